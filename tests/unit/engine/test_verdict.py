from __future__ import annotations

from rldk.core.model import Report, Severity
from rldk.engine.scan import scan
from rldk.rules.rule import Frame, Page, Rule, Signal
from rldk.testing import run_of


def _at(code: str, step: int, severity: Severity) -> Rule:
    def body(f: Frame) -> Signal | None:
        return Signal(value=1.0, message=f"{code} went wrong") if f.step >= step else None

    page = Page(what="", sections={})
    return Rule(
        code=code, name=code.lower(), severity=severity, tier=0, body=body, page=page, needs=("kl",), metric="kl"
    )


def _judge(*rules: Rule, rows: int = 30) -> Report:
    return scan(run_of({"kl": [0.0] * rows}), rules)


def test_a_healthy_run_is_told_what_was_looked_at() -> None:
    assert _judge(_at("KL001", 99, "warn")).verdict == (
        "No problem found: 1 rule looked at 30 rows up to step 30, 0 had nothing to look at."
    )


def test_the_worst_is_said_first_and_then_what_moved_first() -> None:
    rules = [("OPT003", 5, "warn"), ("KL002", 9, "critical"), ("ENT001", 12, "warn"), ("REW012", 13, "warn")]
    verdict = _judge(*(_at(code, step, severity) for code, step, severity in rules)).verdict
    assert verdict == (
        "Critical since step 9: KL002 went wrong, after OPT003 went wrong at step 5; 3 steps later, ENT001 went wrong; "
        "1 further finding came with it (REW012)."
    )


def test_unrelated_incidents_are_counted() -> None:
    verdict = _judge(_at("SYS001", 5, "warn"), _at("KL002", 9, "warn")).verdict
    assert verdict == "Warning since step 5: SYS001 went wrong. 1 other incident."


def test_a_few_rows_are_not_called_healthy() -> None:
    verdict = _judge(_at("KL001", 99, "warn"), rows=3).verdict
    assert verdict == "Too early to say: 1 rule saw nothing wrong in 3 rows; most need 20."
