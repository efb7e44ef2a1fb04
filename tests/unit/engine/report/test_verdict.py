from __future__ import annotations

from examples import each_of

from rldk.core.model import Report, Severity
from rldk.engine.report.verdict import headline_of
from rldk.engine.scan import scan
from rldk.rules.page import Page
from rldk.rules.rule import Frame, Rule, Signal
from rldk.testing import run_of


def _at(code: str, step: int, severity: Severity) -> Rule:
    def body(f: Frame) -> Signal | None:
        return Signal(value=1.0, message=f"{code} went wrong") if f.step >= step else None

    page = Page(what="", sections={})
    return Rule(
        code=code, name=code.lower(), severity=severity, tier=0, body=body, page=page, needs=("kl",), metric="kl"
    )


QUIET = _at("KL001", 99, "warn")


def _judge(*rules: Rule, rows: int = 30, metrics: str = "kl reward_mean") -> Report:
    return scan(run_of({name: [0.0] * rows for name in metrics.split()}), rules)


def test_a_healthy_run_is_told_what_was_looked_at() -> None:
    assert _judge(QUIET).verdict == (
        "No problem found: 1 rule looked at 30 rows up to step 30; 0 had nothing to look at."
    )


def test_what_moved_first_is_said_first_and_then_what_it_led_to() -> None:
    rules = [("OPT003", 5, "warn"), ("KL002", 9, "critical"), ("ENT001", 12, "warn"), ("REW012", 13, "warn")]
    verdict = _judge(*(_at(code, step, severity) for code, step, severity in rules)).verdict  # type: ignore[arg-type]
    assert verdict == ("Critical: at step 5, OPT003 went wrong. By step 9, KL002 went wrong.")


def test_unrelated_incidents_are_counted() -> None:
    verdict = _judge(_at("SYS001", 5, "warn"), _at("KL002", 9, "warn")).verdict
    assert verdict == "Warning since step 5: SYS001 went wrong. 1 other incident."


def test_a_few_rows_are_not_called_healthy() -> None:
    verdict = _judge(QUIET, rows=3).verdict
    assert verdict == "Too early to say: 1 rule saw nothing wrong in 3 rows; most need 20."


@each_of(
    ("metrics", "headline", "verdict"),
    [
        ("kl lr reward_mean x", "ok", "No problem found: 1 rule looked"),
        (
            "kl lr avg_rew x",
            "partly",
            "Partly judged: nothing wrong in kl (30 rows). Not looked at: reward or return; not read: avg_rew, x.",
        ),
        (
            "lr x it's",
            "not_judged",
            "Not judged: rldk knows 1 of the 3 columns (lr) and none that matters. "
            """Try: --field-map '{"COLUMN": "reward_mean"}'""",
        ),
        ("x", "not_judged", "Not judged: rldk does not know the only column: x. Try: "),
        ("lr", "not_checked", "Not checked: no rule found what it needs in 30 rows."),
    ],
)
def test_silence_means_as_much_as_was_understood(metrics: str, headline: str, verdict: str) -> None:
    report = _judge(QUIET, metrics=metrics)
    assert (headline_of(report), report.verdict[: len(verdict)]) == (headline, verdict)


def test_a_finding_is_one_whatever_else_was_not_understood() -> None:
    report = _judge(_at("KL001", 9, "warn"), metrics="kl x")
    assert (headline_of(report), report.verdict) == ("warn", "Warning since step 9: KL001 went wrong.")


def test_few_rows_of_a_log_that_is_half_known_are_not_too_early_to_say_something_of() -> None:
    assert _judge(QUIET, rows=3, metrics="kl").verdict.startswith(
        "Partly judged: nothing wrong in kl (3 rows; most rules need 20). "
    )
