from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]

DPO: dict[str, Any] = {"algorithm": "dpo"}
MOVES: list[Any] = [0.0, *(0.1 * i for i in range(1, 12))]


def rewards(margin: list[Any], lr: float = 1e-4) -> Columns:
    return {"pref_margin": margin, "pref_reward_chosen": margin, "lr": [lr] * len(margin)}


@pytest.mark.parametrize(("margin", "first_step"), [([0.0] * 12, 10), ([*MOVES, *[0.0] * 8], 17)])
def test_a_policy_that_is_its_reference_has_no_margin(margin: list[Any], first_step: int) -> None:
    (finding,) = scan_columns("KL016", rewards(margin), **DPO).findings
    assert (finding.first_step, finding.severity, finding.family) == (first_step, "critical", "KL")


@pytest.mark.parametrize(
    "columns",
    [
        rewards([0.0, 0.0, 0.0, 0.0, *MOVES]),  # warm-up
        rewards([*MOVES, 1e-12, 0.0, 1e-12, 0.0]),
        rewards([0.0] * 20, lr=0.0),  # OPT011 speaks of that
    ],
)
def test_a_margin_of_nearly_nothing_is_one(columns: Columns) -> None:
    report = scan_columns("KL016", columns, **DPO)
    assert (report.findings, report.checked) == ((), ("KL016",))


def held_out(margin: list[Any], accuracy: float | None) -> Columns:
    return {"eval_pref_margin": margin, "eval_pref_accuracy": [accuracy] * len(margin)}


@pytest.mark.parametrize("accuracy", [0.2, None])
def test_held_out_pairs_in_reverse(accuracy: float | None) -> None:
    columns = held_out([-0.5, -1.0, -1.5], accuracy)
    (finding,) = scan_columns("PREF007", columns, phase=["eval"] * 3, **DPO).findings
    assert (finding.first_step, finding.severity) == (2, "warn")


@pytest.mark.parametrize(
    "columns", [held_out([-0.5, -0.4, -0.3], 0.2), held_out([-0.5, -1.0, -1.5], 0.6), held_out([0.0, 0.0, 0.0], 0.0)]
)
def test_held_out_pairs_that_are_near_chance_or_get_better(columns: Columns) -> None:
    report = scan_columns("PREF007", columns, phase=["eval"] * 3, **DPO)
    assert (report.findings, report.checked) == ((), ("PREF007",))


def test_a_margin_that_leaps() -> None:
    grows: list[Any] = [0.02 * i for i in range(20)]
    (finding,) = scan_columns("PREF008", {"pref_margin": [*grows, *[20.0] * 4]}, **DPO).findings
    assert (finding.first_step, finding.severity) == (23, "warn")
    for quiet in ([*grows, *[20.0] * 2, 0.4], [*grows, *[1.5] * 4], [2.0**i for i in range(20)]):
        report = scan_columns("PREF008", {"pref_margin": quiet}, **DPO)
        assert (report.findings, report.checked) == ((), ("PREF008",))


@each_of(
    ("code", "missing"),
    [
        ("KL016", "pref_margin"),
        ("PREF008", "pref_margin"),
        ("PREF007", "eval_pref_margin"),
        ("PREF009", "pref_accuracy"),
        ("PREF010", "pref_margin"),
    ],
)
def test_says_what_is_missing(code: str, missing: str) -> None:
    (check,) = scan_columns(code, {"loss": [0.69] * 50}, **DPO).skipped
    assert check.reason.startswith(f"needs {missing}")


EASY: list[Any] = [1.0] * 30
STUCK: list[Any] = [0.6931 - 0.0001 * i for i in range(30)]


def test_pairs_told_apart_without_margin() -> None:
    (finding,) = scan_columns("PREF009", {"pref_accuracy": EASY, "loss": STUCK}, **DPO).findings
    assert (finding.first_step, finding.severity) == (20, "warn")


@pytest.mark.parametrize(
    "columns",
    [
        {"pref_accuracy": EASY, "loss": [0.6931 - 0.002 * i for i in range(30)]},
        {"pref_accuracy": [0.8] * 30, "loss": STUCK},
        {"pref_accuracy": EASY, "loss": [1.0, *[0.69] * 29]},  # another loss than the sigmoid
    ],
)
def test_pairs_that_are_told_apart_by_a_margin_are_quiet(columns: Columns) -> None:
    report = scan_columns("PREF009", columns, **DPO)
    assert (report.findings, report.checked) == ((), ("PREF009",))


@pytest.mark.parametrize("algorithm", ["dpo", "kto"])
def test_a_margin_that_runs_off_at_once(algorithm: str) -> None:
    (finding,) = scan_columns(
        "PREF010", {"pref_margin": [0.0, 2.0, 6.0, 9.0, 12.0, 15.0]}, algorithm=algorithm
    ).findings
    assert (finding.first_step, finding.severity) == (5, "warn")


@pytest.mark.parametrize(
    "margin",
    [
        [0.4 * i for i in range(30)],  # beyond 5 on row 14
        [0.0, 2.0, 6.0, 4.0, 6.0, 4.0, 6.0],
        [3.0, 6.0, 7.0, 8.0, 9.0],  # not from the start
    ],
)
def test_a_margin_that_grows_slowly_is_quiet(margin: list[Any]) -> None:
    report = scan_columns("PREF010", {"pref_margin": margin}, **DPO)
    assert (report.findings, report.checked) == ((), ("PREF010",))


def test_a_margin_of_the_first_rows_that_were_logged_late_is_quiet() -> None:
    margin = [0.0, 2.0, 6.0, 9.0, 12.0]
    report = scan_columns("PREF010", {"pref_margin": margin}, step=[100 * i for i in range(1, 6)], **DPO)
    assert (report.findings, report.checked) == ((), ("PREF010",))
