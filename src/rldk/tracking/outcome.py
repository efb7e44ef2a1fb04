"""What became of each thing that was verified, as a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rldk.cards.words import plural
from rldk.core.audit.outcome import CheckOutcome
from rldk.core.model import Report
from rldk.core.view import Bullets, Commands, Part, Problem, Section, Table, Tone, View

MOST = 20  # lines of a list, without --all


class VerificationReport(Report, frozen=True, kw_only=True):
    """Whether things are what the record says. `passed`: nothing failed, and at least one thing was checked."""

    outcomes: tuple[CheckOutcome, ...] = ()

    def view(self) -> View:
        """Everything that a renderer may show of the report."""
        failed = [one for one in self.outcomes if one.status == "failed"]
        tone: Tone = "critical" if failed else "ok" if self.passed else "warn"
        badge = "CHANGED" if failed else "VERIFIED" if self.passed else "NOT CHECKED"
        source = str(self.meta.get("source") or "")
        return View(
            kind=self.kind,
            title=str(self.meta.get("run") or source),
            tone=tone,
            badge=badge,
            banner=self.verdict,
            source=source,
            sections=tuple(_sections(self.outcomes, self.meta.get("next") or ())),
            problems=tuple(_problem(one, source) for one in failed),
            checked=self.checked,
            unchecked={f"{one.part} {one.name}": one.message for one in self.outcomes if one.status == "not_checked"},
            figures=dict(self.numbers),
        )


def verification(
    kind: str, outcomes: Sequence[CheckOutcome], *, run: str, source: str, commands: Sequence[str] = ()
) -> VerificationReport:
    """The report of what was verified. `commands`: what to type next where something failed."""
    counts = {status: sum(one.status == status for one in outcomes) for status in ("passed", "failed", "not_checked")}
    return VerificationReport(
        kind=kind,
        passed=not counts["failed"] and bool(counts["passed"]),
        verdict=_verdict(outcomes, counts),
        checked=tuple(f"{one.part} {one.name}" for one in outcomes if one.status != "not_checked"),
        numbers={**counts},
        meta={"run": run, "source": source, **({"next": list(commands)} if counts["failed"] and commands else {})},
        outcomes=tuple(outcomes),
    )


def _verdict(outcomes: Sequence[CheckOutcome], counts: dict[str, int]) -> str:
    failed = [one for one in outcomes if one.status == "failed"]
    left = f" {plural(counts['not_checked'], 'thing')} could not be checked." if counts["not_checked"] else ""
    if failed:
        first = failed[0]
        where = f": {first.places[0]}" if first.places else ""
        others = f", and {plural(len(failed) - 1, 'other thing')}" if len(failed) > 1 else ""
        return f"{_headed(first)} is not what was recorded{where}{others}.{left}"
    if not counts["passed"]:
        return f"Nothing was verified.{left}"
    return f"{plural(counts['passed'], 'thing')} verified: all as recorded.{left}"


def _name(one: CheckOutcome) -> str:
    return f"{one.part} `{one.name}`" if one.name else one.part


def _headed(one: CheckOutcome) -> str:
    name = _name(one)
    return name[:1].upper() + name[1:]


def _sections(outcomes: Sequence[CheckOutcome], commands: Iterable[str]) -> Iterable[Section]:
    for one in outcomes:
        if one.status == "failed":
            places = (*one.places, *((f"and {one.more:,} more",) if one.more else ()))
            parts: tuple[Part, ...] = (Bullets(items=places, plain=True, most=MOST),) if places else ()
            yield Section(title=f"{_headed(one)}: {one.message}", tone="critical", parts=parts)
    for title, status in (("As recorded", "passed"), ("Not checked", "not_checked")):
        if rows := [(one.part, one.name, one.message) for one in outcomes if one.status == status]:
            yield Section(title=title, parts=(Table(heads=("what", "name", "how"), rows=tuple(rows), most=MOST),))
    if lines := tuple(commands):
        yield Section(title="Next", parts=(Commands(lines=lines),))


def _problem(one: CheckOutcome, source: str) -> Problem:
    where = f": {', '.join(one.places[:3])}" if one.places else ""
    return Problem(
        code=f"VERIFY-{one.part.upper()}",
        name=f"{one.part}-changed",
        severity="critical",
        message=f"{_name(one)}: {one.message}{where}",
        source=source,
    )
