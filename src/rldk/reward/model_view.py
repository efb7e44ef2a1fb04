"""How a comparison of two reward models looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rldk.cards.chart import number
from rldk.cards.words import plural, sentence
from rldk.core.stats.estimates import Estimate
from rldk.core.view import Bullets, Charts, Facts, Points, Problem, Section, Table, Tone, View
from rldk.reward.model_facts import RewardModelFacts
from rldk.reward.view import BADGES, finding_section, problem_of

MOST_SHORT = 3
DOUBT = "doubt"  # the topic of a note that says why the scores may not belong together


def models_verdict(report: RewardModelFacts) -> str:
    """The answer in a sentence. A doubt about what is compared comes first."""
    about = f"{report.model_a} and {report.model_b} on {plural(report.n, 'answer')}"
    doubts = "".join(f"{sentence(note.text)} " for note in report.notes if note.topic == DOUBT)
    if not report.spearman.bounded:
        rho = f"rank correlation {number(report.spearman.value)}, of too few prompts for an interval"
        return f"{doubts}Not judged: {about}: {rho}."
    rho = f"rank correlation {number(report.spearman.value)}"
    flips = f", {100 * report.pair_flips.value:.1f} % of pairs flipped" if report.pair_flips is not None else ""
    loud = [f for f in report.findings if f.severity != "info"]
    said = "do not agree" if not report.passed else "differ" if loud else "agree"
    return f"{doubts}The models {said}: {about}: {rho}{flips}."


def model_view(report: RewardModelFacts) -> View:
    """The view of the report."""
    loud = [f for f in report.findings if f.severity != "info"]
    judged = report.spearman.bounded or bool(report.findings)
    tone: Tone = "critical" if not report.passed else "warn" if loud else "ok" if judged else "info"
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "two reward models"),
        tone=tone,
        badge=BADGES[tone],
        banner=report.verdict,
        sections=tuple(_sections(report)),
        problems=tuple(_problem(report)),
        checked=report.checked,
        unchecked={check.code: check.reason for check in report.skipped if check.status == "skipped"},
        figures=dict(report.numbers),
    )


def _problem(report: RewardModelFacts) -> Iterator[Problem]:
    return (problem_of(f, "") for f in report.findings)


def _sections(report: RewardModelFacts) -> Iterator[Section]:
    yield from (finding_section(f) for f in report.findings)
    yield Section(title="Agreement", parts=(_agreement(report),))
    if report.calibration:
        yield Section(title="On the preference pairs", parts=(_calibration(report),))
    points = report.figures.get("scores")
    if isinstance(points, dict):
        yield Section(title="Scores of both models", parts=(_scores(report, points["x"], points["y"]),), wide=True)
    if report.disagreements:
        yield Section(title="Where they disagree most", parts=(_disagreements(report),))
    lacking = [skipped for skipped in report.skipped if skipped.status == "skipped"]
    notes = [*(note.text for note in report.notes), *(f"not checked ({s.name}): {s.reason}" for s in lacking)]
    if notes:
        yield Section(title="Worth knowing", parts=(Bullets(items=tuple(notes)),))
    missing = f"{report.missing[0]:,} and {report.missing[1]:,}"
    pairs = (("answers with both scores", f"{report.n:,}"), ("answers without a score", missing))
    yield Section(title="Looked at", parts=(Facts(pairs=pairs),))


def _scores(report: RewardModelFacts, x: Sequence[float], y: Sequence[float]) -> Charts:
    """The scatter plot, with the line on which both say the same where their ranges meet."""
    low, high = max(min(x), min(y)), min(max(x), max(y))
    plot = Points(
        name="One point an answer" + ("; dashed: equal scores" if low < high else ""), x=x, y=y,
        x_name=report.model_a, y_name=report.model_b, ideal=((low, low), (high, high)) if low < high else None,
    )  # fmt: skip
    return Charts(points=(plot,))


def _agreement(report: RewardModelFacts) -> Table:
    each = (
        ("Pearson", report.pearson, False),
        ("Spearman", report.spearman, False),
        ("pairs that flip", report.pair_flips, True),
        ("signs that flip", report.sign_flips, True),
        ("mean shift, in standard deviations", report.mean_shift, False),
        ("ratio of standard deviations", report.scale, False),
    )
    rows = [_row(name, estimate, share=share) for name, estimate, share in each]
    rows.insert(2, ("Kendall's tau", number(report.kendall), "-", f"{report.n:,}"))
    lines = tuple(f"{name}: {value}{f' ({between})' if between != '-' else ''}" for name, value, between, _ in rows)
    return Table(heads=("What", "Value", "95 %", "Cases"), rows=tuple(rows), lines=lines)


def _row(name: str, estimate: Estimate | None, *, share: bool) -> tuple[str, str, str, str]:
    if estimate is None or estimate.value != estimate.value:
        return name, "not available", "-", "-"
    if share:
        low, high = 100 * estimate.low, 100 * estimate.high
        return name, f"{100 * estimate.value:.1f} %", f"{low:.1f} to {high:.1f} %", f"{estimate.n:,}"
    between = f"{number(estimate.low)} to {number(estimate.high)}" if estimate.bounded else "-"
    return name, number(estimate.value), between, f"{estimate.n:,}"


def _calibration(report: RewardModelFacts) -> Table:
    rows = tuple(
        (name, f"{100 * report.accuracy[name].value:.1f} %" if name in report.accuracy else "-", f"{c.error:.3f}",
         f"{c.by_chance:.3f}", number(c.slope.value))
        for name, c in report.calibration.items()
    )  # fmt: skip
    heads = ("Model", "Accuracy", "Calibration error", "By chance", "Slope (ideal 1)")
    lines = tuple(f"{r[0]}: accuracy {r[1]}, calibration error {r[2]} (chance {r[3]}), slope {r[4]}" for r in rows)
    return Table(heads=heads, rows=rows, lines=lines)


def _disagreements(report: RewardModelFacts) -> Table:
    rows = tuple(
        (f"{d.ranks[0]:.0%} / {d.ranks[1]:.0%}", number(d.score_a), number(d.score_b),
         (d.response or d.prompt or d.key)[:160])
        for d in report.disagreements
    )  # fmt: skip
    lines = tuple(
        f"{report.model_a} {r[1]} (above {d.ranks[0]:.0%} of the answers), {report.model_b} {r[2]} (above "
        f"{d.ranks[1]:.0%}): {r[3]}"
        for d, r in zip(report.disagreements, rows, strict=True)
    )
    heads = ("Above so many answers", report.model_a, report.model_b, "Answer")
    return Table(heads=heads, rows=rows, lines=lines, most=MOST_SHORT)
