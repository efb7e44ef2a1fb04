"""Judges one labelled run with the rules, or many runs on several processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field

from rldk.bench.cases import Case, Label, open_case
from rldk.core.model import Finding, Severity
from rldk.engine.executors import Job, run_all
from rldk.engine.scan import scan
from rldk.errors import RldkError
from rldk.rules.rule import Rule

MAX_SAID = 200  # findings kept of a run: a rule that flaps over a long log adds nothing beyond that


class RuleChoice(Struct, frozen=True, kw_only=True):
    """Which rules to use, as in `rldk.rules.chosen.chosen_rules`."""

    preset: str = "default"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def rules(self) -> tuple[Rule, ...]:
        from rldk.rules.chosen import chosen_rules

        return chosen_rules(self.preset, self.select, self.ignore)


class Said(Struct, frozen=True, kw_only=True):
    """A finding in short. A finding without a step counts as one at step 0."""

    code: str
    family: str
    severity: Severity
    first_step: int
    message: str


class Result(Struct, frozen=True, kw_only=True):
    """The findings of one run. `health`, `evidence`: those of `rldk.engine.report.health.Health` after its last row.

    `error`: why the run could not be judged. `exit_code`: that of the error."""

    run: str
    label: Label
    rows: int = 0
    checked: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()
    health: float | None = None
    evidence: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    exit_code: int = 0


def judge(case: Case, rules: Sequence[Rule]) -> Result:
    """Judges one run. A run that cannot be judged is a result too, and is never skipped."""
    try:
        with open_case(case) as run:
            report = scan(run, rules)
    except RldkError as error:
        return _failed(case, error.message, error.exit_code)
    except Exception as error:  # noqa: BLE001 - one run that ends rldk must not end the measurement: it is counted
        return _failed(case, f"{type(error).__name__}: {error}", RldkError.exit_code)
    return Result(
        run=case.name,
        label=case.label,
        rows=int(report.numbers.get("rows") or 0),
        checked=report.checked,
        said=tuple(_short(finding) for finding in report.findings[:MAX_SAID]),
        health=report.numbers["health"],
        evidence=report.meta["evidence"],
    )


def judge_all(
    cases: Sequence[Case], choice: RuleChoice, jobs: int = 1, begin: Callable[[str], None] = lambda _: None
) -> list[Result]:
    """One result a case, in the order of the cases whatever `jobs`. `begin` is called with the name of each.

    Raises `UnknownName` and the errors of a rule file before anything is read."""
    choice.rules()
    job = Job(work=_judge, lost=_lost, prepare=_prepare, given=(choice,))
    return list(run_all(job, cases, jobs, lambda case: begin(case.name)))


_rules: tuple[Rule, ...] = ()  # of this process


def _prepare(choice: RuleChoice) -> None:
    global _rules  # noqa: PLW0603 - compiled once a process, since a rule cannot be sent to one
    _rules = choice.rules()


def _judge(case: Case) -> Result:
    return judge(case, _rules)


def _lost(case: Case) -> Result:
    return _failed(case, "the process that judged it died", RldkError.exit_code)


def _short(finding: Finding) -> Said:
    return Said(
        code=finding.code,
        family=finding.family,
        severity=finding.severity,
        first_step=finding.first_step or 0,
        message=finding.message,
    )


def _failed(case: Case, error: str, exit_code: int) -> Result:
    return Result(run=case.name, label=case.label, error=error, exit_code=exit_code)
