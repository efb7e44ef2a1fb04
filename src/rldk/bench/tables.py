"""A measurement as tables of text, and as the view of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from rldk.bench.compare import Comparison
from rldk.bench.judge import Said
from rldk.bench.score import Rate, RunOutcome, Score, Summary
from rldk.cards.chart import number
from rldk.cards.words import plural
from rldk.core.view import Section, Table, View

MAX_SAID = 4  # findings shown of a run
FAULTY = ("faulty", "seen", "named", "95 %", "early", "median delay", "longest")


def headline(score: Score) -> str:
    """The measurement in a sentence."""
    s = score.summary
    said = [f"{of(s.clean)} healthy runs warned"] if s.clean.n else []
    if s.named.n:
        half = f", half of those within {number(s.delay.median)} steps" if s.delay.n else ""
        said.append(f"{of(s.named)} faulty runs named{half}")
    said += [f"{plural(s.errors, 'run')} failed"] if s.errors else []
    return "; ".join(said) + "."


def tables(score: Score, comparison: Comparison | None = None) -> list[Table]:
    """All tables that have something to show, the figures first."""
    made = [
        _figures(score.summary),
        *([_changes(comparison)] if comparison else []),
        _faults(score.faults),
        _groups("By algorithm", "algorithm", score.algorithms),
        _groups("By framework", "framework", score.frameworks),
        _codes(score),
        *listings(score),
        *([_changed_runs(comparison)] if comparison else []),
    ]
    return [table for table in made if table.rows]


def listings(score: Score) -> list[Table]:
    """The runs that need a look, and the findings of each."""
    faulty = [o for o in score.outcomes if not o.healthy and not o.error]
    return [
        _listing("False alarms on healthy runs", (o for o in score.outcomes if o.healthy and o.loud), lambda o: o.loud),
        _listing("Warned before the fault", (o for o in faulty if o.early), lambda o: o.early),
        _listing("Not named", (o for o in faulty if not o.naming), lambda o: o.late),
        Table(
            title="Failed",
            heads=("run", "fault", "why"),
            rows=tuple((o.run, o.result.label.fault, o.error) for o in score.outcomes if o.error),
        ),
    ]


def view_of(score: Score, shown: Sequence[Table]) -> View:
    """A measurement as every renderer shows it."""
    return View(
        kind="bench",
        title=score.corpus,
        tone="info",
        badge="MEASURED",
        banner=headline(score),
        source=score.corpus,
        sections=tuple(Section(title=table.title, parts=(replace(table, title=""),)) for table in shown),
    )


def _drawn(rate: Rate) -> tuple[float, float, float] | None:
    return None if rate.share is None else (rate.low, rate.share, rate.high)


def of(rate: Rate) -> str:
    """ "38 of 48"."""
    return f"{rate.hits:,} of {rate.n:,}"


def percent(rate: Rate) -> str:
    """ "79 %", or "-" without runs."""
    return "-" if rate.share is None else f"{rate.share:.0%}".replace("%", " %")


def interval(rate: Rate) -> str:
    """ "66-88 %"."""
    return "-" if rate.share is None else f"{rate.low:.0%}-{rate.high:.0%}".replace("%-", "-").replace("%", " %")


def _figures(s: Summary) -> Table:
    named = [
        ("healthy runs warned", s.clean),
        ("healthy runs called critical", s.critical),
        ("faulty runs warned before the fault", s.early),
        ("faults seen at all", s.detected),
        ("faults named", s.named),
    ]
    rows = [(what, of(rate), percent(rate), interval(rate)) for what, rate in named if rate.n]
    notes = []
    if s.delay.n:
        places = ", ".join(f"{float(share):.0%} {number(value)}" for share, value in s.delay.quantiles.items())
        notes.append(f"Delay from the onset to the name, in steps: {places}, longest {number(s.delay.longest)}.")
    if s.health.auc is not None:
        said = f"{s.health.auc:.3f} (95 %: {s.health.low:.3f} to {s.health.high:.3f})"
        notes.append(f"The health of a healthy run is above that of a faulty one with probability {said}.")
    shown = tuple(rate for _, rate in named if rate.n)
    heads = ("figure", "runs", "share", "95 %")
    return Table(title="Figures", heads=heads, rows=tuple(rows), note=" ".join(notes), shares=tuple(map(_drawn, shown)))


def _faults(groups: Mapping[str, Summary]) -> Table:
    """One line for each fault. Healthy runs have none."""
    faulty = {name: s for name, s in groups.items() if s.named.n}
    return Table(
        title="By fault",
        heads=("fault", *FAULTY),
        rows=tuple((name, *_group(s)) for name, s in faulty.items()),
        shares=tuple(_drawn(s.named) for s in faulty.values()),
    )


def _groups(title: str, head: str, groups: Mapping[str, Summary]) -> Table:
    return Table(
        title=title,
        heads=(head, *FAULTY, "healthy", "warned"),
        rows=tuple((name, *_group(s), str(s.clean.n), str(s.clean.hits)) for name, s in groups.items()),
        shares=tuple(_drawn(s.named) for s in groups.values()),
    )


def _group(s: Summary) -> tuple[str, ...]:
    counts = (str(s.named.n), str(s.detected.hits), str(s.named.hits), interval(s.named), str(s.early.hits))
    return (*counts, number(s.delay.median), number(s.delay.longest))


def _codes(score: Score) -> Table:
    heads = ("rule", "named", "first", "only", "other family", "early", "false alarms", "of healthy runs")
    return Table(
        title="By rule",
        heads=heads,
        rows=tuple(
            tuple(str(x) for x in (c.code, c.hits, c.first, c.only, c.off, c.early, c.false, c.checked))
            for c in score.codes
        ),
        note="In runs. first: no other rule named it before; only: no other named it; other family: it spoke after the "
        "onset, and that is not the fault's name; of healthy runs: those on which it could look."
        + (f" Looked and stayed quiet: {', '.join(score.silent)}." if score.silent else ""),
    )


def _listing(title: str, outcomes: Iterable[RunOutcome], what: Callable[[RunOutcome], Sequence[Said]]) -> Table:
    rows = []
    for o in outcomes:
        onset = "-" if o.healthy else f"{o.result.label.onset:,}"
        rows.append((o.run, o.result.label.fault, onset, list_findings(what(o)) or "nothing"))
    return Table(title=title, heads=("run", "fault", "onset", "what was said"), rows=tuple(rows))


def list_findings(said: Sequence[Said]) -> str:
    """The findings in short, each rule once."""
    first = {s.code: s for s in reversed(said)}
    shown = sorted(first.values(), key=lambda s: (s.first_step, s.code))
    more = f"; {len(shown) - MAX_SAID} more" if len(shown) > MAX_SAID else ""
    return "; ".join(f"{s.code} {s.severity} at {s.first_step:,}" for s in shown[:MAX_SAID]) + more


def _changes(comparison: Comparison) -> Table:
    rows = [
        (c.figure, of(c.before), of(c.now), str(len(c.gained)), str(len(c.lost)), f"{c.p:.2g}")
        for c in comparison.changes
        if c.now.n
    ]
    left = [(comparison.only_before, "only before"), (comparison.only_now, "only now")]
    note = "p: how likely so uneven a change is by chance. clean, critical: healthy runs warned, called critical."
    note += "".join(f" Not compared, {when}: {plural(len(runs), 'run')}." for runs, when in left if runs)
    return Table(title="Changes", heads=("figure", "before", "now", "+", "-", "p"), rows=tuple(rows), note=note)


def _changed_runs(comparison: Comparison) -> Table:
    rows = [
        (c.figure, sign, run)
        for c in comparison.changes
        for sign, runs in (("+", c.gained), ("-", c.lost))
        for run in runs
    ]
    return Table(title="Runs that changed", heads=("figure", "", "run"), rows=tuple(rows))
