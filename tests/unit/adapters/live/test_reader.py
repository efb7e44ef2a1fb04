from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.live.reader import LiveReader, ReadOptions
from rldk.adapters.naming.keys import PRESETS
from rldk.core.table import Row
from rldk.errors import UnknownName, UsageError

FIXTURES = Path(__file__).parents[3] / "fixtures"


def lines(*objects: object) -> bytes:
    return "".join(json.dumps(obj) + "\n" for obj in objects).encode()


def followed(reader: LiveReader, pieces: Iterable[bytes]) -> list[Row]:
    """All rows, as one who starts again at each revision has them at the end."""
    rows: list[Row] = []
    revision = reader.revision
    calls = [call for piece in pieces for call in (lambda p=piece: reader.feed(p), reader.flush)]
    for call in (*calls, reader.finish):
        new = call()
        rows = new if reader.revision != revision else rows + new
        revision = reader.revision
    return rows


def cells(rows: Iterable[Row]) -> list[tuple[int, dict[str, float]]]:
    return [(row.step, dict(row.values)) for row in rows]


def test_a_row_is_told_before_the_log_is_known_for_sure() -> None:
    reader = LiveReader()
    assert reader.feed(lines({"step": 1, "kl": 0.5})) == []
    assert cells(reader.flush()) == [(1, {"kl": 0.5})]
    assert reader.flush() == []


def test_what_more_rows_settle_otherwise_is_told_anew() -> None:
    reader = LiveReader()
    reader.feed(lines({"global_step": 8, "epoch": 1, "kl": 0.5}))
    assert [row.step for row in reader.flush()] == [8]
    reader.feed(lines({"step": 1, "kl": 0.5}, {"step": 2, "kl": 0.5}, {"step": 3, "kl": 0.5}))
    assert [row.step for row in reader.flush()] == [0, 1, 2, 3]
    assert reader.revision == 1


def test_the_writer_is_known_with_the_first_rows() -> None:
    reader = LiveReader()
    reader.feed(lines({"step": 1, "actor/pg_loss": 0.1, "actor/grad_norm": 1.0, "critic/score/mean": 0.5}))
    (row,) = reader.flush()
    assert dict(row.values) == {"policy_loss": 0.1, "grad_norm_policy": 1.0, "reward_mean": 0.5}
    assert (reader.meta.framework, reader.meta.names["reward_mean"]) == ("verl", "critic/score/mean")


def test_names_that_come_late_join_the_meta_in_use() -> None:
    reader = LiveReader()
    reader.feed(lines(*({"step": i, "kl": 0.5, "pad": "x" * 700} for i in range(150))))
    meta = reader.meta
    rows = reader.feed(lines({"step": 150, "phase": "eval", "reward_mean": 2.0}))
    assert cells(rows) == [(150, {"eval_reward_mean": 2.0})]
    assert meta.names == {"kl": "kl", "reward_mean": "reward_mean", "eval_reward_mean": "reward_mean"}


def test_scalar_events_of_a_step_can_be_seen_before_the_next_step() -> None:
    reader = LiveReader()
    event = '{"step":%d,"name":"%s","value":%g}\n'
    steps = [event % (s, n, s / 1000) for s in range(2000) for n in ("kl", "loss")]
    rows = reader.feed("".join(steps).encode())
    assert rows[-1].step == 1998
    assert cells(reader.peek()) == [(1999, {"kl": 1.999, "loss": 1.999})]
    assert cells(reader.peek()) == cells(reader.finish())


def test_steps_written_in_parts_are_joined_once_that_shows() -> None:
    reader = LiveReader()
    parts = [{"step": s, **part} for s in range(60) for part in ({"loss": 1.0}, {"lr": 0.1}, {"kl": 0.2})]
    rows = followed(reader, (lines(part) for part in parts))
    assert cells(rows) == [(s, {"loss": 1.0, "lr": 0.1, "kl": 0.2}) for s in range(60)]


def test_a_user_s_map_and_step_count() -> None:
    how = ReadOptions(field_map={"my_kl": "kl", "step": "my_step"})
    rows = followed(LiveReader(how), [lines(*({"my_step": 10 * i, "my_kl": 0.1, "n": i} for i in (1, 2, 1)))])
    assert [(row.step, row.segment, row.values["kl"]) for row in rows] == [(10, 0, 0.1), (20, 0, 0.1), (10, 1, 0.1)]


@each_of(
    ("preset", "key", "metric"),
    [
        ("grpo", "completions/clipped_ratio", "truncation_frac"),
        ("trl", "rewards/margins", "pref_margin"),
        ("openrlhf", "actor_lr", "lr"),
        ("verl", "actor/entropy", "entropy"),
        ("sb3", "rollout/ep_rew_mean", "reward_mean"),
        ("cleanrl", "losses/clipfrac", "clip_frac"),
        ("rllib", "env_runners/episode_return_mean", "reward_mean"),
        ("accelerate", "train/loss", "loss"),
    ],
)
def test_presets_name_the_keys_of_events_and_of_rows(preset: str, key: str, metric: str) -> None:
    for obj in ({"step": 1, "name": key, "value": 0.5}, {"step": 1, key: 0.5}):
        rows = followed(LiveReader(ReadOptions(preset=preset)), [lines(obj)])
        assert cells(rows) == [(1, {metric: 0.5})]
    assert preset in PRESETS


def test_a_preset_wins_over_what_the_keys_look_like() -> None:
    obj = {"step": 1, "loss": 1.0, "learning_rate": 0.1, "epoch": 0.5, "actor/entropy": 2.0}
    reader = LiveReader(ReadOptions(preset="verl"))
    rows = followed(reader, [lines(obj)])
    assert (reader.meta.framework, rows[0].values["entropy"]) == ("verl", 2.0)


@each_of(
    ("pattern", "text", "rows"),
    [
        (
            r"step (?P<step>\d+).* loss (?P<loss>\S+) kl (?P<kl>\S+)",
            "[12:00] step 1: loss 0.5 kl nan\nsaved\n[12:01] step 2: loss 4.2e-05 kl 0.1\n",
            [(1, ["loss", "kl"]), (2, ["loss", "kl"])],
        ),
        (
            r"(?P<step>\d+) (?P<name>\w+)=(?P<value>\S+)",
            "1 kl=0.1\n1 loss=0.5\n2 kl=0.2\n",
            [(1, ["kl", "loss"]), (2, ["kl"])],
        ),
        (r"loss: (?P<loss>\S+)", "loss: 1\nloss: 2\n", [(0, ["loss"]), (1, ["loss"])]),
        (
            "name=value",
            "step=1 loss=0.5, kl: 0.1\nsteps done\nstep: 2 lr = 1e-4\n",
            [(1, ["loss", "kl"]), (2, ["lr"])],
        ),
        (
            "cleanrl",
            "global_step=7, episodic_return=[21.]\nSPS: 100\n",
            [(7, ["reward_mean"]), (7, ["samples_per_sec"])],
        ),
    ],
)
def test_text_logs_by_a_pattern(pattern: str, text: str, rows: list[tuple[int, list[str]]]) -> None:
    found = followed(LiveReader(ReadOptions(pattern=pattern)), [text[:9].encode(), text[9:].encode()])
    assert [(row.step, list(row.values)) for row in found] == rows


@each_of("pattern", ["(", "step (?P<step>\\d+)", "(?P<name>x)", "(?P<1>x)"])
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"pattern|expression"):
        LiveReader(ReadOptions(pattern=pattern))


def test_unknown_presets_and_formats_name_the_nearest() -> None:
    with pytest.raises(UnknownName, match="grpo"):
        LiveReader(ReadOptions(preset="gprpo"))
    with pytest.raises(UnknownName, match="sb3-json"):
        LiveReader(ReadOptions(format="sb3-jsno"))


def test_hostile_lines_are_counted_and_good_ones_kept() -> None:
    bad = [
        b"\xff\x1b[31m",
        b'{"step":1e400,"kl":1}',
        b"[" * 100_000,
        b'{"step":2,"kl"',
        b'{"x":' * 40 + b"1" + b"}" * 40,
    ]
    names = ["\x1b]0;x\x07", "<script>", "a\nb", "{kl}", "🦆", "\ud800", "", "__class__"]
    good = [lines({"step": i, "kl": 0.1} | dict.fromkeys(names, 1.0)) for i in range(3)]
    reader = LiveReader()
    rows = followed(reader, [piece for pair in zip(good, [b"\n".join(bad) + b"\n"] * 3, strict=True) for piece in pair])
    assert sum("kl" in row.values for row in rows) == 3
    assert (reader.lines, reader.rejected_count) == (18, 12)  # what is nested without end is a line without a metric


def test_what_is_no_log_gives_nothing() -> None:
    assert followed(LiveReader(), [b"hello\n" * 20_000, b"\x00\x01" * 50_000]) == []


def test_a_log_that_begins_late_in_the_output_is_found() -> None:
    noise = b"loading weights ...\n" * 5_000
    line = b"global_step=%d, episodic_return=[20.]\n"
    rows = followed(LiveReader(), [noise, *(line % i for i in range(3))])
    assert [row.step for row in rows] == [0, 1, 2]


@pytest.mark.slow
def test_thousands_of_metrics_settle_the_names_once() -> None:
    row = {f"layer/{i}/load": 1.0 for i in range(4_000)}
    reader = LiveReader()
    rows = followed(reader, [lines({"step": i, **row}) for i in range(8)])
    assert (len(rows), len(rows[-1].values), reader.revision) == (8, 4_000, 0)


@pytest.mark.slow
def test_a_new_key_on_every_line_does_not_fill_the_memory() -> None:
    reader = LiveReader()
    rows = followed(reader, [lines(*({"step": i, "kl": 0.1, f"new/{i}": 1.0} for i in range(25_000)))])
    assert len(rows) == 25_000
    assert (len(rows[10].values), len(rows[-1].values)) == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [64 << 10, 1 << 20])
def test_a_line_of_five_megabytes_is_a_row(cut: int) -> None:
    data = lines({"step": 1, "kl": 0.1}, {"step": 2, "kl": 0.2, "text": "x" * (5 << 20)}, {"step": 3, "kl": 0.3})
    rows = followed(LiveReader(), [data[i : i + cut] for i in range(0, len(data), cut)])
    assert cells(rows) == [(1, {"kl": 0.1}), (2, {"kl": 0.2}), (3, {"kl": 0.3})]


def test_configuration_beside_the_log_is_known(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"config": {"beta": 0.04}}')
    reader = LiveReader(ReadOptions(path=tmp_path / "metrics.jsonl"))
    followed(reader, [lines({"step": 1, "kl": 0.1})])
    assert reader.meta.config == {"beta": 0.04}


def test_following_loads_neither_numpy_nor_pandas_nor_yaml() -> None:
    code = "import sys, rldk.adapters.live.reader, rldk.adapters.live.follow; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in out.stdout.split()} & {"numpy", "pandas", "yaml", "scipy", "rich"}
