"""Rows of several kinds that are there together give the alerts and the report of rows that come one by one."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from examples import at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from odd_runs import odd_run

from rldk.adapters.open import open_runs
from rldk.core.codec import to_builtins
from rldk.core.table import Row
from rldk.engine import mixed, session
from rldk.engine.scan import context_of, rows_of
from rldk.engine.session import EngineSession
from rldk.engine.stretches import chunk_of
from rldk.errors import RldkError
from rldk.rules.chosen import chosen_rules
from rldk.rules.files.entry import written_rule
from rldk.rules.rule import Context, Rule

FIXTURES = Path(__file__).parents[2] / "fixtures"
RULES = chosen_rules("default", None, None)


def told(
    context: Context, pieces: Iterable[Sequence[Row]], rules: Sequence[Rule] = RULES
) -> tuple[list[str], list[str]]:
    """Every alert with its row, and at the end the findings that go on and the report. The signs of zeros count."""
    one = EngineSession(rules, context, run="r")
    said = [
        f"{row.step} {row.phase} {to_builtins(alert)!r}"
        for piece in pieces
        for row, alerts in one.feed(piece)
        for alert in alerts
    ]
    state = [one.rows, one.last_step, [to_builtins(finding) for finding in one.open()], to_builtins(one.report())]
    return said, list(map(repr, state))


def pieces(rows: Sequence[Row], ends: Iterable[int]) -> list[Sequence[Row]]:
    edges = [0, *sorted({end for end in ends if 0 < end < len(rows)}), len(rows)]
    return [rows[start:stop] for start, stop in pairwise(edges)]


def one_by_one(rows: Iterable[Row]) -> Iterator[list[Row]]:
    return ([row] for row in rows)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are enough to be looked at together."""
    monkeypatch.setattr(session, "SOME_BLOCKS", 2)
    monkeypatch.setattr(mixed, "LEAST_ROWS", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
@settings(max_examples=at_most(60), deadline=None)
@given(
    seed=st.integers(0, 10**9),
    count=st.integers(1, 400),
    cuts=st.lists(st.integers(1, 400), max_size=6),
    shuffled=st.booleans(),
)
def test_odd_rows_in_any_pieces_give_the_alerts_of_single_rows(
    seed: int, count: int, cuts: list[int], shuffled: bool
) -> None:
    run, rng = odd_run(seed, count), random.Random(seed)
    rows = [*rows_of(run)]
    if shuffled:  # each row has its metrics in an order of its own
        rows = [replace(row, values=dict(rng.sample([*row.values.items()], len(row.values)))) for row in rows]
    context = context_of(run.meta)
    assert told(context, pieces(rows, cuts)) == told(context, one_by_one(rows))


def over_one(metric: str, family: str, severity: str) -> Rule:
    entry = {"id": metric, "metric": metric, "condition": "value > 1", "severity": severity, "family": family}
    return replace(written_rule(entry, file="my.yaml"), tier=1)


@pytest.mark.usefixtures("soon")
def test_an_alert_about_an_old_incident_knows_no_later_row() -> None:
    """From row 100 on the loss is too high. The KL joins it at row 103, which makes the old alert worse."""
    rules = over_one("loss", "GRAD", "critical"), over_one("kl", "KL", "warn")
    rows = [
        Row(
            step=i,
            values={
                "loss": 5.0 if i >= 100 else 0.5,
                "kl": 5.0 if i >= 103 else 0.5,
                **({"own": 1.0} if i % 2 else {}),
            },
        )
        for i in range(160)
    ]
    one = EngineSession(rules, Context())
    said = [alert for piece in pieces(rows, [102]) for _, alerts in one.feed(piece) for alert in alerts]
    assert [(a.event, a.rule, a.step, a.finding.last_step) for a in said] == [
        ("begin", "loss", 100, 100), ("begin", "kl", 103, 103), ("worse", "loss", 103, 103),
    ]  # fmt: skip
    assert told(Context(), pieces(rows, [102]), rules) == told(Context(), one_by_one(rows), rules)


def test_a_row_shows_its_new_metrics_in_its_own_order() -> None:
    rows = [
        Row(step=0, values={"b": 1.0, "a": 1.0}, phase="eval"),
        Row(step=0, values={"a": 1.0, "c": 1.0, "b": 1.0}),
        Row(step=1, values={"d": 1.0, "c": 1.0}),
        Row(step=2, values={"c": 1.0}),
    ]
    part = chunk_of(rows)
    assert part is not None
    found = [[*stretch.block.columns] for stretch in part.stretches("train", {}, ())]
    assert found == [["a", "c", "b", "step", "segment"], ["d", "c", "step", "segment"]]


def test_steps_too_large_for_a_table_are_looked_at_one_by_one() -> None:
    rows = [Row(step=i << 60, values={("loss", "kl")[i % 2]: 1.0}) for i in range(100)]
    assert chunk_of(rows) is None
    assert told(Context(), [rows]) == told(Context(), one_by_one(rows))


def test_few_rows_need_no_numpy() -> None:
    """A monitor that follows a log gets one row after the other, and starts without numpy."""
    rows = [Row(step=i, values={("loss", "kl")[i % 2]: 1.0}) for i in range(20)]
    code = (
        "import sys\nfrom rldk.core.table import Row\nfrom rldk.engine.session import EngineSession\n"
        "from rldk.rules.rule import Context\n"
        f"rows = [Row(step=step, values=values) for step, values in {[(row.step, row.values) for row in rows]}]\n"
        "list(EngineSession((), Context()).feed(rows))\nprint('numpy' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def genuine_logs() -> list[Path]:
    return sorted(path for path in FIXTURES.iterdir() if path.is_dir())


@pytest.mark.slow
@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("folder", genuine_logs(), ids=lambda path: path.name)
def test_genuine_logs_give_the_alerts_of_single_rows(folder: Path) -> None:
    try:
        runs = open_runs(folder)
    except RldkError:
        pytest.skip("no log of a run")
    rng = random.Random(7)
    for run in runs:
        rows = [*rows_of(run)]
        expected = told(context_of(run.meta), one_by_one(rows))
        for cuts in ((), [rng.randrange(len(rows) + 1) for _ in range(3)]):
            assert told(context_of(run.meta), pieces(rows, cuts)) == expected
