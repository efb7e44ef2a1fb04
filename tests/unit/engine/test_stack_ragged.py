"""Runs as they come are scanned together with the reports that each gets alone: rows lack metrics, carry times, have
evaluations between them, and each run has its own configuration."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import every, few
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rldk.adapters.open import open_runs
from rldk.core.codec import to_builtins
from rldk.core.model import Run, RunMeta
from rldk.core.table import MetricTable, TableBuilder
from rldk.engine.blocks import single
from rldk.engine.frame import MAKERS
from rldk.engine.memory import Memory
from rldk.engine.ragged import join_rows
from rldk.engine.scan import rule_columns, scan
from rldk.engine.stacks import stack
from rldk.engine.stacks.ragged_frame import RaggedMemory
from rldk.engine.stacks.stack import scan_all
from rldk.rules.chosen import chosen_rules
from rldk.rules.rule import Rule, Signal

FIXTURES = Path(__file__).parents[2] / "fixtures"
NO_LOGS = {"checkpoints", "schemas", "trainer-configs", "wandb-api"}
GENUINE = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir() and path.name not in NO_LOGS)
RULES = chosen_rules("default", None, None)
NAMES = (
    "reward_mean", "kl", "entropy", "loss", "policy_loss", "grad_norm", "grad_norm_policy", "grad_norm_value", "lr",
    "value_loss", "response_length_mean", "clip_frac", "pref_accuracy", "eval_loss", "own_metric",
)  # fmt: skip
Values = dict[str, float]


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of runs that were looked at together."""
    sizes: list[int] = []
    follow = stack._follow

    def counted(*args: Any) -> Any:
        found = list(follow(*args))
        sizes.append(len(found))
        return found

    monkeypatch.setattr(stack, "_follow", counted)
    return sizes


def _same(runs: Sequence[Run]) -> bool:
    """The signs of zeros and the order of findings count, too."""
    return [repr(to_builtins(r)) for r in scan_all(runs, RULES)] == [repr(to_builtins(scan(r, RULES))) for r in runs]


def _run(
    seed: int,
    rows: int = 60,
    change: Callable[[int, Values], None] = lambda *_: None,
    *,
    evaluated: int = 0,
    timed: int | None = None,
    **meta: Any,
) -> Run:
    """`evaluated`: an evaluation after so many rows; `timed`: the first row that has a time."""
    rng, builder = random.Random(seed), TableBuilder()
    levels = {name: rng.uniform(0.1, 2.0) for name in NAMES[:8]}
    clock = 1e9
    for step in range(rows):
        values = {name: abs(rng.gauss(level, 0.05)) for name, level in levels.items()}
        values |= {"lr": 1e-5, "reward_mean": min(step, 40) / rows + rng.gauss(0, 0.1)}
        change(step, values)
        clock += rng.uniform(1.0, 1.5)
        is_timed = timed is not None and step >= timed
        builder.add(step, values, time=clock if is_timed else math.nan)
        if evaluated and step % evaluated == evaluated - 1:
            clock += rng.uniform(3.0, 4.0)
            seen = {"eval_reward_mean": values.get("reward_mean", 0.5) - 0.1, "loss": 1.0 + rng.random()}
            builder.add(step, seen, phase="eval", time=clock if is_timed else math.nan)
    given = {"format": "jsonl", "names": {name: name for name in NAMES}, **meta}
    return Run(id=f"run_{seed}", source="log", metrics=builder.build(), meta=RunMeta(**given))


def _only_each(n: int, *names: str, start: int = 0) -> Callable[[int, Values], None]:
    """Metrics that only each n-th row has, from a row on."""

    def change(step: int, values: Values) -> None:
        for name in names:
            if step < start or step % n:
                values.pop(name, None)
            else:
                values.setdefault(name, 0.5 + 0.01 * (step % 7))

    return change


def test_metrics_that_some_rows_lack(stacked: list[int]) -> None:
    runs = [_run(seed, 50 + seed, _only_each(seed + 2, "eval_loss", "pref_accuracy", start=7)) for seed in range(4)]
    assert _same(runs)
    assert stacked == [4]


def test_metrics_that_begin_after_the_first_row(stacked: list[int]) -> None:
    runs = [_run(seed, 60, _only_each(1, "loss", "entropy", "grad_norm_policy", start=1)) for seed in range(3)]
    assert _same(runs)
    assert stacked == [3]


def test_a_ratio_that_only_some_rows_give(stacked: list[int]) -> None:
    def small(step: int, values: Values) -> None:
        values["kl"] = 1e-4 if step < 10 or step % 4 == 0 else 0.05

    assert _same([_run(seed, 60, small) for seed in range(3)])
    assert stacked == [3]


@pytest.mark.parametrize("timed", [0, 5])
def test_times(stacked: list[int], timed: int) -> None:
    assert _same([_run(seed, 60, timed=timed) for seed in range(3)])
    assert stacked == [3]


def test_a_pause_is_seen_in_the_run_that_had_it(stacked: list[int]) -> None:
    runs = [_run(seed, 120, timed=0) for seed in range(3)]
    late = np.array(runs[1].metrics.time)
    late[90:] += 900.0
    table = runs[1].metrics
    runs[1] = replace(runs[1], metrics=replace(table, time=late))
    assert _same(runs)
    assert stacked == [3]


def test_evaluations_between_training_rows(stacked: list[int]) -> None:
    runs = [_run(seed, 60, evaluated=n, timed=0) for seed, n in enumerate((5, 7, 20, 60))]
    assert _same(runs)
    assert stacked == [4]


def test_evaluations_that_get_worse_are_told_with_the_norms_of_that_time(stacked: list[int]) -> None:
    def worse(step: int, values: Values) -> None:
        values["loss"], values["reward_mean"] = 2.0 / (step + 1.0), 0.01 * step
        values["grad_norm_policy"] = 1.0 + step

    def overfit(run: Run) -> Run:
        table = run.metrics
        loss = np.array(table.columns["loss"])
        loss[table.phase == 1] = np.linspace(0.5, 4.0, int((table.phase == 1).sum()))
        return replace(run, metrics=replace(table, columns={**table.columns, "loss": loss}))

    runs = [overfit(_run(seed, 200, worse, evaluated=4)) for seed in range(3)]
    assert _same(runs)
    assert stacked == [3]


def test_each_run_has_its_own_configuration(stacked: list[int]) -> None:
    configs = [
        {"learning_rate": 1e-5, "max_grad_norm": 0.5}, {"learning_rate": 3e-5, "max_grad_norm": 1, "seed": 2},
        {"learning_rate": 1e-5, "max_grad_norm": 1.0, "seed": 3}, {"learning_rate": 0.1, "kl_target": 0.1},
        {"learning_rate": "1e-5", "max_grad_norm": True, "vocab_size": 50}, {"beta": 0.0, "entropy_coef": math.nan},
        {"learning_rate": [1e-5], "vocab_size": {"a": 1}, "gamma": 0.9}, {},
    ]  # fmt: skip
    runs = [_run(seed, config=config, total_steps=60 + seed % 2) for seed, config in enumerate(configs)]
    assert _same(runs)
    assert sum(stacked) >= 4


def test_a_rule_that_asks_for_the_configuration_gets_that_of_the_run() -> None:
    def loud(step: int, values: Values) -> None:
        values["grad_norm"] = 0.9 if step < 30 else 30.0
        values["entropy"] = 8.0 if step < 40 else 0.1

    configs = [{"max_grad_norm": limit, "vocab_size": size} for limit in (0.5, 1.0, 50.0) for size in (100, 50_000)]
    assert _same([_run(seed, 100, loud, config=config) for seed, config in enumerate(configs)])


def test_rows_that_state_no_finite_number(stacked: list[int]) -> None:
    def odd(step: int, values: Values) -> None:
        if step in (0, 30, 31, 50) or 40 < step < 45:
            values |= {"loss": math.nan, "grad_norm_policy": math.inf, "own_metric": math.nan}
        elif step % 3:
            values["own_metric"] = 1.0

    plain = dict.fromkeys(("grad_norm_policy", "own_metric"), 1.0)
    runs = [_run(0, 70, odd), _run(1, 60, odd, evaluated=9), _run(2, 64, lambda _, values: values.update(plain))]
    assert _same(runs)
    assert sum(stacked) >= 2


def test_runs_that_cannot_be_joined_are_scanned_alone(stacked: list[int]) -> None:
    changes: list[Callable[[int, Values], None]] = [
        lambda step, values: values.update(loss=math.nan),
        lambda step, values: values.update(loss=1e305),
    ]
    runs = [_run(seed, 40, change, evaluated=10) for seed, change in enumerate(changes)]
    restarted = _run(4)
    runs.append(replace(restarted, metrics=replace(restarted.metrics, segment=(np.arange(60) > 30).astype(np.int32))))
    assert [join_rows(rule_columns(run)) for run in runs] == [None] * 3
    assert _same([*runs, _run(5), _run(6)])
    assert stacked == [2]


def _probe(code: str, ask: Callable[[Any], Values], fires: Callable[[Values], bool], **given: Any) -> Rule:
    """A rule that says what it was told: a wrong answer on any row shows in its finding or in where it fires."""

    def body(f: Any) -> Signal | None:
        seen = ask(f)
        if fires(seen):
            return Signal(value=f.rows, message=f"row {f.rows:.0f}", evidence=seen)
        return None

    return replace(RULES[0], code=code, name=code.lower(), body=body, **{**PLAIN, **given})


PLAIN = {
    "metric": "", "needs": (), "each": (), "also": (), "unless": None, "algorithms": None, "calm": None, "rows": 1,
    "within": 0, "cooldown": 1, "nonfinite": False, "absent": False, "severity": "warn", "subject": "rows",
    "note": False,
}  # fmt: skip
OWN = "own_metric"
PROBES = [
    _probe("P001", lambda f: {"x": f.gap(OWN)}, lambda s: s["x"] > 1),
    _probe("P002", lambda f: {"x": f.coverage(OWN)}, lambda s: s["x"] < 0.6),
    _probe("P003", lambda f: {"x": f.broken(OWN), "y": f.lapses(OWN)}, lambda s: s["x"] >= 2 or s["y"] == 3),
    _probe("P004", lambda f: {"x": f.stated(OWN), "y": f[OWN]}, lambda s: not s["x"]),
    _probe("P005", lambda f: {"x": f.last(OWN), "y": f.median(OWN, 4)}, lambda s: s["y"] > 0.5),
    _probe("P006", lambda f: {"x": f[OWN]}, lambda s: not s["x"] < 0.6, needs=(OWN,), nonfinite=True),
    _probe("P007", lambda f: {"x": f[OWN]}, lambda s: s["x"] > 0.5, needs=(OWN, "kl")),
    _probe("P008", lambda f: {"x": f.median("kl", 3), "y": f.count("kl")}, lambda s: s["y"] > 9, each=(OWN,)),
    _probe("P009", lambda f: {"x": f.gap(f.metric)}, lambda s: s["x"] > 0, each=(OWN,), absent=True),
    _probe("P010", lambda f: {"x": f.config("max_grad_norm"), "y": f["kl"]}, lambda s: s["x"] * s["y"] > 0.4),
    _probe("P011", lambda f: {"x": f.progress()}, lambda s: s["x"] > 0.5),
    _probe("P012", lambda f: {"x": f["train_reward_mean"]}, lambda s: s["x"] > 0.1, phase="eval"),
    _probe("P013", lambda f: {"x": f["row_interval_s"], "y": f.max("row_interval_s", 3)}, lambda s: s["y"] > 2.0),
    _probe("P014", lambda f: {"x": f.share("kl", 5, above=0.0), "y": f.last("never")}, lambda s: s["x"] > 2),
    _probe("P015", lambda f: {"x": f.wander(OWN, 6, lag=1), "y": f.last("kl")}, lambda s: s["x"] > 9, rows=2),
    _probe("P016", lambda f: {"x": f.last(OWN)}, lambda s: s["x"] > 9),
    _probe("P018", lambda f: {"x": f["kl"]}, lambda s: s["x"] >= 0.0, each=(OWN,), absent=True),
    _probe("P019", lambda f: {"x": f.last(OWN), "y": f["early"]}, lambda s: s["y"] > 9, needs=("early",)),
    _probe("P020", lambda f: {"x": f[OWN], "y": f["kl"]}, lambda s: 0.35 < s["y"] < 0.39, each=(OWN,)),
    _probe("P021", lambda f: {"x": f.median(OWN, 4), "y": f["early"]}, lambda s: s["y"] > 0.0, needs=("early",)),
    _probe("P017", lambda f: {"x": f.mean(OWN, 20)}, lambda s: s["x"] > 9),
]


@pytest.mark.parametrize(
    ("start", "odd", "timed"), every(5, [*product((0, 1, 25), (None, math.nan, math.inf), (None, 0, 3))])
)
def test_every_row_says_the_same(stacked: list[int], start: int, odd: float | None, timed: int | None) -> None:
    def change(step: int, values: Values, n: int) -> None:
        _only_each(n, OWN, start=start)(step, values)
        if odd is not None and OWN in values and step % 4 == 3:
            values[OWN] = odd
        elif OWN in values:
            values[OWN] += 0.05 * abs(45 - step)
        if step < 12:
            values["early"] = 1.0
        values["kl"] = 0.01 * (step % 50)

    runs = [
        _run(
            n,
            80 + 5 * n,
            partial(change, n=n),
            evaluated=7 * (n % 2),
            timed=timed,
            config={"max_grad_norm": 0.5 * n},
            total_steps=150 + n,
        )
        for n in (1, 2, 3, 4)
    ]
    found = [repr(to_builtins(report)) for report in scan_all(runs, PROBES)]
    assert found == [repr(to_builtins(scan(run, PROBES))) for run in runs]
    assert sum(stacked) >= 3


def test_a_run_whose_configuration_asks_for_other_features_is_scanned_alone(stacked: list[int]) -> None:
    probe = _probe("P001", lambda f: {"x": f.leap("kl", log=f.config("beta") > 1.0)}, lambda s: s["x"] > 9)
    runs = [_run(n, 80, config={"beta": beta}) for n, beta in enumerate((0.5, 2.0, 0.7))]
    found = [repr(to_builtins(report)) for report in scan_all(runs, [probe])]
    assert found == [repr(to_builtins(scan(run, [probe]))) for run in runs]
    assert stacked == [2]


@given(st.lists(st.sampled_from((None, 1.0, 2.0, 3.0, math.nan, math.inf)), min_size=14, max_size=40))
def test_the_memory_of_a_joined_run_says_what_that_of_its_rows_says(values: list[float | None]) -> None:
    builder = TableBuilder()
    for step, x in enumerate(values):
        builder.add(step, {"kl": 0.1} if x is None else {"kl": 0.1, OWN: x})
    run = join_rows(builder.build())
    assume(run is not None and OWN in run.ragged)
    assert run is not None
    plain, joined = Memory(MAKERS), RaggedMemory(MAKERS, run.ragged, {})
    for memory in (plain, joined):
        memory.feature(("median", OWN, 3, 0))
        memory.keep(OWN, 10)
    joined.take(run.block.columns, len(values), finite=True, ragged=run.ragged)
    for row, group in enumerate(map(single, builder.build().rows())):
        plain.take(group.columns, 1, finite=group.finite)
        joined.go(row)
        for ask in ("gap", "coverage", "lapses", "broken", "knows"):
            assert repr(getattr(plain, ask)(OWN)) == repr(getattr(joined, ask)(OWN))
        assert plain.tail(OWN, 0, 5) == joined.tail(OWN, row, 5)
        assert joined.has(OWN) == (OWN in group.columns)
        assert repr(plain.value(("median", OWN, 3, 0), 0)) == repr(joined.value(("median", OWN, 3, 0), row))
        plain.end()


@st.composite
def sweeps(draw: st.DrawFn) -> list[Run]:
    """A few runs of one program: the same kinds of rows, each with its own numbers."""
    seed = draw(st.integers(0, 10_000))
    patterns = draw(
        st.lists(
            st.tuples(st.sampled_from(NAMES), st.integers(1, 6), st.integers(0, 15)),
            max_size=5,
            unique_by=lambda p: p[0],
        )
    )
    evaluated = draw(st.sampled_from((0, 0, 3, 10)))
    timed = draw(st.sampled_from((None, 0, 4)))
    spikes = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES), st.integers(0, 60), st.sampled_from((0.0, -0.0, 1e-9, 50.0, math.nan, math.inf))
            ),
            max_size=6,
        )
    )
    runs = []
    for at in range(draw(st.integers(2, 4))):

        def change(step: int, values: Values, at: int = at) -> None:
            for name, row, value in spikes[at::2]:
                if step >= row and (value - value == 0.0 or step < row + 3):
                    values[name] = value
            for name, n, start in patterns:
                _only_each(n, name, start=start)(step, values)

        config = {"learning_rate": 1e-5 * (1 + at % 2), "seed": at, "max_grad_norm": draw(st.sampled_from((0.5, 1.0)))}
        rows = draw(st.integers(13, 90))
        runs.append(_run(seed + at, rows, change, evaluated=evaluated, timed=timed, config=config))
    return runs


@settings(max_examples=few(60))
@given(sweeps())
def test_sweeps_of_all_kinds(runs: list[Run]) -> None:
    assert _same(runs)


@pytest.mark.parametrize("folder", every(7, GENUINE))
def test_genuine_logs_cut_at_different_rows(folder: str) -> None:
    runs = open_runs(FIXTURES / folder)
    for run in runs[:3]:
        assert _same([_shortened(run, part) for part in (1.0, 0.9, 0.75)])


def _shortened(run: Run, part: float) -> Run:
    table = run.metrics
    n = max(1, int(part * min(len(table), 900)))
    stated = {name: rows[rows < n] for name, rows in table.stated_nan.items()}
    columns = {name: column[:n] for name, column in table.columns.items()}
    cut = MetricTable(
        step=table.step[:n],
        phase=table.phase[:n],
        segment=table.segment[:n],
        time=table.time[:n],
        columns=columns,
        stated_nan=stated,
    )
    config = {**run.meta.config, "seed": n, "learning_rate": 1e-5 * part}
    return replace(run, metrics=cut, samples=None, sample_reader=None, meta=replace(run.meta, config=config))
