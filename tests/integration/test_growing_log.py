"""A log that grows, followed with any chunks and pauses, gives the findings of the finished file."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from examples import every, few
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.live.formats import recognise
from rldk.adapters.live.reader import LiveReader, ReadOptions
from rldk.adapters.open import open_run
from rldk.adapters.source import File
from rldk.core.model import Report, RunMeta
from rldk.core.table import Row
from rldk.engine.live import Engine
from rldk.engine.report.build import build_report
from rldk.engine.scan import context_of, rule_columns, scan
from rldk.errors import NoData, NotALog
from rldk.rules.normal import normals
from rldk.rules.rule import Rule, rules

TESTS = Path(__file__).parents[1]
ROOTS = (TESTS / "fixtures", TESTS / "folders")
FIXTURES, FOLDERS = ([p for p in sorted(root.iterdir()) if p.is_dir()] for root in ROOTS)
ALL: tuple[Rule, ...] = (*rules, *normals)
META = ("framework", "algorithm", "total_steps", "config", "names", "estimators", "format")


class Monitor:
    """What a monitor does with a reader: it starts again whenever the reader does."""

    def __init__(self, path: Path) -> None:
        self.reader = LiveReader(ReadOptions(path=path))
        self.rows: list[Row] = []
        self._revision = -1

    def take(self, rows: list[Row]) -> None:
        if rows and self.reader.revision != self._revision:
            self._revision, self.rows = self.reader.revision, []
            self.engine = Engine(ALL, context_of(self.reader.meta))
        for row in rows:
            self.engine.feed(row)
        self.rows += rows

    def follow(self, data: bytes, rng: random.Random, sizes: list[int], pause: float) -> None:
        start = 0
        while start < len(data):
            size = rng.choice(sizes)
            self.take(self.reader.feed(data[start : start + size]))
            start += size
            if rng.random() < pause:
                self.take(self.reader.flush())
                self.reader.peek()
        self.take(self.reader.finish())


def said(report: Report) -> str:
    return json.dumps(
        [report.to_dict()[k] for k in ("verdict", "findings", "incidents", "checked", "skipped", "notes")]
    )


def shown(rows: list[Row]) -> list[tuple[object, ...]]:
    return [(r.step, r.phase, r.segment, repr(r.time), repr(sorted(r.values.items()))) for r in rows]


def assert_same(path: Path, rng: random.Random, sizes: list[int], pause: float) -> None:
    monitor, run = Monitor(path), open_run(path)
    monitor.follow(path.read_bytes(), rng, sizes, pause)
    meta: RunMeta = monitor.reader.meta
    assert shown(monitor.rows) == shown(list(rule_columns(run).rows())), path
    assert {k: getattr(meta, k) for k in META} == {k: getattr(run.meta, k) for k in META}
    assert (monitor.reader.lines, monitor.reader.rejected_count) == (run.lines, run.rejected_count)
    assert said(build_report(monitor.engine, ALL, meta={}, numbers={})) == said(scan(run, tuple(rules))), path


def logs(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and recognise(File(p).head) is not None]


@pytest.mark.slow
def test_a_growing_log_of_each_format_is_judged_as_the_finished_one() -> None:
    found: dict[Any, Any] = {}
    for path in (path for folder in FIXTURES for path in logs(folder)):
        found.setdefault(open_run(path).meta.format, path)
    assert len(found) > 9
    for path in found.values():
        assert_same(path, random.Random(1), [1, 50, 700, 9_000], 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("folder", [*FIXTURES, *FOLDERS], ids=lambda p: str(p.relative_to(TESTS)))
def test_a_growing_log_is_judged_the_same_in_any_chunks(folder: Path, seed: int) -> None:
    for path in logs(folder):
        rng = random.Random(seed)
        assert_same(path, rng, rng.choice([[10], [300], [1, 10_000], [70_000]]), rng.choice([0.0, 0.01, 0.1]))


KEYS = ("kl", "train/kl", "objective/kl", "loss", "reward", "epoch", "learning_rate", "eval_loss", "entropy", "x", "y")


def written(rng: random.Random, n: int) -> bytes:
    """Lines of a log that is not of one piece: clocks, forms, phases and keys come and go."""
    keys = rng.sample(KEYS, rng.randint(1, 6))
    clock = rng.choice(["step", "global_step", "none"])
    step, out = 0, []
    for i in range(n):
        step += rng.choice([0, 0, 1, 1, 1, 5, -3])
        if rng.random() < 0.05:
            keys = rng.sample(KEYS, rng.randint(1, 6))
        obj = {k: rng.choice([None, float("nan"), rng.random(), "0.5", True]) for k in keys if rng.random() < 0.8}
        obj |= {clock: step} if clock != "none" else {}
        obj |= {"phase": "eval"} if rng.random() < 0.1 else {}
        form = rng.random()
        if form < 0.1:
            obj = {"step": step, "name": rng.choice(KEYS), "value": rng.random()}
        elif form < 0.2:
            obj = {"step": step, "metrics": obj}  # type: ignore[dict-item]
        out.append("not json" if rng.random() < 0.02 else json.dumps(obj))
        if i == n - 1 and rng.random() < 0.5:
            return ("\n".join(out) + '\n{"step": 9, "k').encode()
    return ("\n".join(out) + "\n").encode()


@pytest.mark.slow
@settings(max_examples=few(25), deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 350), pause=st.sampled_from([0.0, 0.05, 0.5]))
def test_logs_that_change_their_ways(seed: int, n: int, pause: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = random.Random(seed)
    path = tmp_path_factory.mktemp("log") / "metrics.jsonl"
    path.write_bytes(b'{"step": 0, "kl": 0.1}\n{"step": 1, "kl": 0.1}\n' + written(rng, n))
    assert_same(path, rng, rng.choice([[7, 90], [2_000], [10**6]]), pause)


def table(rng: random.Random, n: int) -> bytes:
    """A table with steps that go back, cells of any kind, quoted texts over lines, and now and then a new header."""
    comma = rng.choice(",\t;")
    keys = [rng.choice(["step", "step", "loss value"]), *rng.sample(KEYS, rng.randint(1, 5)), "note"]
    step, out = 0, [comma.join(keys)]
    for _ in range(n):
        step += rng.choice([0, 1, 1, 1, 5, -3])
        cells = [str(step), *(rng.choice(["", "nan", "x", "1e-3", repr(rng.random())]) for _ in keys[2:])]
        cells.append(rng.choice(["", "", "plain", f'"a{comma}b"', '"over\n1\nlines"', 'stray " quote']))
        out.append(comma.join(cells[: rng.choice([99, 99, 99, 2])]))
        if rng.random() < 0.02:
            keys.insert(-1, f"new_{len(keys)}")
            out.append(comma.join(keys))
    return ("\n".join(out) + rng.choice(["\n", "", f"\n{step}{comma}0.1"])).encode()


@pytest.mark.slow
@settings(max_examples=few(25), deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 350), pause=st.sampled_from([0.0, 0.05, 0.5]))
def test_tables_that_change_their_ways(
    seed: int, n: int, pause: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = random.Random(seed)
    path = tmp_path_factory.mktemp("log") / "metrics.csv"
    path.write_bytes(table(rng, n))
    with suppress(NoData, NotALog):  # all its rows are bad
        open_run(path)
        assert_same(path, rng, rng.choice([[7, 90], [2_000], [10**6]]), pause)


CONSOLES = {
    "line": "Episode {i}/90 | Reward: {i}.5 | Loss: 0.25\n",
    "block": "  Learning iteration {i}/90\n  Value function loss: 0.0{i}\n  Mean reward: {i}.5\n  Entropy: 0.1\n",
    "dict": "(A pid=3) a.py:330 - rollout {i}: {'rollout/raw_reward': 0.{i}}\nx - step {i}: {'train/loss': 0.5}\n",
    "dict over lines": "x | INFO - Step {i}: \n{'policy/final_loss': '0.{i}',\n 'reward/avg_raw_reward': '0.25'}\n",
    "box": "--------------\n| eprewmean | {i}.5 |\n| total_timesteps | {i}000 |\n| loss | 0.5 |\n--------------\n",
    "agents": "[INFO] Walker. Step: {i}000. Time Elapsed: 70.8 s. Mean Reward: {i}.5. Std of Reward: 3.6. Training.\n",
    "line with an aside": "Epoch #1: 9it [00:05, env_step={i}00, rew={i}.0]\nEpoch #1: test_reward: 2.0 ± 0.0\n",
    "line then values": "Epoch: 3, global_step={i}00\nSPS: 1203, pg_loss=-0.0021, v_loss=0.1{i}\n",
}
SAMPLES = "".join(f"sample {i}: think step by step about {i} apples and the reward of virtue\n" for i in range(1200))


@pytest.mark.parametrize("late", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["at once", "late"])
@pytest.mark.parametrize("name", every(3, CONSOLES))
def test_consoles_are_followed_as_their_finished_files(tmp_path: Path, name: str, late: bool) -> None:
    text = "".join(CONSOLES[name].replace("{i}", str(i)) for i in range(1, 25))
    path = tmp_path / "console.txt"
    path.write_text((SAMPLES if late and name != "line then values" else "") + text[:-4])
    for sizes in ([70_000], [300, 5_000]):
        assert_same(path, random.Random(0), sizes, 0.01)
