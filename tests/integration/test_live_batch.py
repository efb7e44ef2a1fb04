"""For any rows and any chunking, the live engine and the scan of the finished run find the same."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.core.jsonl import Decoder, decode
from rldk.core.model import Report, Run, RunMeta
from rldk.core.table import Row, TableBuilder
from rldk.engine.live import Engine
from rldk.engine.report.build import build_report
from rldk.engine.scan import scan
from rldk.rules.catalogue.metrics import DERIVED
from rldk.rules.normal import normals
from rldk.rules.rule import Context, Rule, rules

ALL: tuple[Rule, ...] = (*rules, *normals)
METRICS = [
    *sorted({n for r in ALL for n in r.needs} - {"step", "segment", "row_interval_s", *DERIVED}),
    "reward_fn/accuracy/mean",
    "reward_fn/format/mean",
    "loss",
    "a name no one knows",
]
HABITS = ("missing", "constant", "zero", "noise", "jump", "ramp", "wild", "gaps", "nonfinite")


def _value(habit: str, i: int, rng: random.Random, base: float) -> float | None:
    match habit:
        case "missing":
            return None
        case "constant":
            return base
        case "zero":
            return 0.0
        case "noise":
            return base + rng.gauss(0, 0.1)
        case "jump":
            return base * (1.0 if i < 30 else 50.0)
        case "ramp":
            return base + 0.1 * i
        case "wild":
            return rng.choice([0.0, -1.0, 1.0, 1e300, -1e300, 5e-324, 0.5])
        case "gaps":
            return base if rng.random() < 0.5 else None
        case _:
            return rng.choice([math.nan, math.inf, -math.inf, base])


def _rows(seed: int, n: int) -> list[Row]:
    rng = random.Random(seed)
    habits = {m: (rng.choice(HABITS), rng.choice([0.0, 0.01, 0.5, 1.0, 2.0, 100.0, -0.3])) for m in METRICS}
    rows, step, segment, clock = [], 0, 0, 1.7e9
    for i in range(n):
        back = rng.random() < 0.02
        step = max(0, step - 3) if back else step + rng.choice([0, 1, 1, 1, 5])
        segment += back
        drawn = {m: _value(habit, i, rng, base) for m, (habit, base) in habits.items()}
        values = {m: v for m, v in drawn.items() if v is not None}
        clock += rng.choice([0.0, 1.0, 1.0, 700.0, -5.0])
        time, phase = rng.choice([clock, clock, math.nan]), rng.choice(["train"] * 9 + ["eval"])
        rows.append(Row(step=step, values=values, phase=phase, segment=segment, time=time))  # type: ignore[arg-type]
    return rows


def _run(rows: list[Row], algorithm: str | None) -> Run:
    builder = TableBuilder()
    for r in rows:
        builder.add(r.step, r.values, phase=r.phase, segment=r.segment, time=r.time)
    return Run(id="x", source="x", metrics=builder.build(), meta=RunMeta(algorithm=algorithm, total_steps=200))


def _key(report: Report) -> str:
    return json.dumps([report.to_dict()[k] for k in ("findings", "incidents", "checked", "skipped", "notes")])


@pytest.mark.slow
@settings(max_examples=at_most(40), deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 90),
    algorithm=st.sampled_from([None, "ppo", "grpo", "dpo", "dqn", "sft"]),
    chunk=st.integers(1, 20),
)
def test_every_rule_finds_the_same_live_and_finished(seed: int, n: int, algorithm: str | None, chunk: int) -> None:
    rows = _rows(seed, n)
    engine = Engine(ALL, Context(algorithm=algorithm, total_steps=200))
    for start in range(0, n, chunk):
        for row in rows[start : start + chunk]:
            engine.feed(row)
        report = build_report(engine, ALL, meta={}, numbers={})
    assert not [c for c in report.skipped if "failed" in c.reason], "a shipped rule raised on a row"
    assert _key(report) == _key(scan(_run(rows, algorithm), tuple(rules)))


STEADY = ("constant", "zero", "noise", "noise", "noise", "jump", "ramp", "wild")


def _steady_rows(seed: int, n: int) -> list[Row]:
    """Rows of few shapes: what is asked of a whole block at once."""
    rng = random.Random(seed)
    habits = {m: (rng.choice(STEADY), rng.choice([0.0, 0.01, 0.5, 1.0, 2.0, -0.3])) for m in METRICS}
    gone, torn, back = rng.randrange(2 * n), rng.randrange(2 * n), rng.randrange(2 * n)
    rows = []
    for i in range(n):
        values = {m: _value(habit, i, rng, base) or 0.0 for m, (habit, base) in habits.items() if i < gone or m != "kl"}
        if i == torn:
            values["reward_mean"] = math.nan
        rows.append(Row(step=i - (9 if i >= back else 0), values=values, segment=int(i >= back)))
    return rows


@pytest.mark.slow
@settings(max_examples=at_most(12), deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(20, 600), algorithm=st.sampled_from([None, "ppo", "grpo"]))
def test_every_rule_finds_the_same_in_blocks(seed: int, n: int, algorithm: str | None) -> None:
    rows, rng = _steady_rows(seed, n), random.Random(seed)
    context = Context(algorithm=algorithm, total_steps=n)
    single, blocks = Engine(ALL, context), Engine(ALL, context)
    said = [[(w.rule.code, w.metric) for w, _ in single.feed(row)] for row in rows]
    heard, start = [], 0
    while start < n:
        stop = start + rng.choice([1, 7, 40, 100, 600])
        heard += [[(w.rule.code, w.metric) for w, _ in begun] for _, begun in blocks.feed_all(rows[start:stop])]
        start = stop
    reports = [_key(build_report(engine, ALL, meta={}, numbers={})) for engine in (single, blocks)]
    assert heard == said
    assert reports[0] == reports[1]


@pytest.mark.slow
@settings(max_examples=at_most(25), deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 40_000), max_size=8))
def test_any_cut_of_the_bytes_gives_the_same_rows(
    seed: int, cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [json.dumps({"step": i, **dict(r.values)}) for i, r in enumerate(_rows(seed, 40))]
    lines.insert(7, '{"step": 7, "torn')
    data = ("\n".join(lines) + "\n").encode()
    file: Path = tmp_path_factory.mktemp("cut") / "m.jsonl"
    file.write_bytes(data)
    decoder = Decoder()
    edges = sorted({0, len(data), *(min(c, len(data)) for c in cuts)})
    live = [row for a, b in itertools.pairwise(edges) for row in decoder.feed(data[a:b])] + decoder.finish()
    whole = decode(file)
    assert [(r.step, repr(sorted(r.values.items()))) for r in live] == [
        (r.step, repr(sorted(r.values.items()))) for r in whole.table.rows()
    ]
    assert decoder.lines == whole.lines == len(live) + decoder.rejected_count
