"""The view of a profile: the bottleneck, phases, lines, memory, and curves over time, on one page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rldk.cards import words
from rldk.core.view import Bullets, Charts, Commands, Curve, Facts, Problem, Section, Table, Tone, View
from rldk.profiling.facts import ProfileFacts
from rldk.rules.profiles import MemoryTrend

GIB, MIB, HOUR = float(1 << 30), float(1 << 20), 3600.0
SHOWN = 6
MOST_POINTS = 400  # of a curve
_HEADS = ("Phase", "Share", "Seconds a step", "Seconds", "How")


def view_of_profile(report: ProfileFacts) -> View:
    """Everything that a renderer may show of the report."""
    worst = report.worst()
    tone: Tone = "critical" if worst == "critical" else "warn" if worst == "warn" else "ok"
    top = report.phases[0] if report.phases else None
    leak = any(finding.code in ("SYS040", "SYS041") for finding in report.findings)
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "profile"),
        tone=tone,
        badge="MEMORY GROWS" if leak else f"{top.name.upper()} {top.share:.0%}" if top else "PROFILED",
        banner=report.verdict,
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report)),
        problems=tuple(_problems(report)),
        checked=report.checked,
        unchecked={check.name: check.reason for check in report.skipped},
        figures=dict(report.numbers),
        one_page=True,
    )


def _sections(report: ProfileFacts) -> Iterator[Section]:
    if report.phases:
        yield Section(title="Where the time goes", parts=(_phases(report),))
    yield Section(title="Speed and resources", parts=(Facts(pairs=tuple(_figures(report))),))
    for finding in report.findings:
        title = words.sentence(finding.message).rstrip(".")
        parts = (Bullets(title="What to try", items=finding.fixes),)
        yield Section(title=title, tone=finding.severity, code=finding.code, name=finding.name, parts=parts)
    if report.hot_lines:
        yield Section(title="Lines that ran most", parts=(_lines(report),))
    if report.operations:
        yield Section(title=f"Operations of torch in {words.plural(report.torch_steps, 'step')}", parts=(_ops(report),))
    curves = tuple(_curves(report))
    if curves:
        yield Section(title="Over time", parts=(Charts(curves=curves),), wide=True, brief="")
    notes = tuple(words.sentence(note.text) for note in report.notes)
    if notes:
        yield Section(title="Worth knowing", parts=(Bullets(items=notes),))
    if report.unavailable:
        lines = tuple(f"{name}: {why}" for name, why in report.unavailable.items())
        yield Section(title="Not available", parts=(Bullets(items=lines, plain=True),))
    if report.findings:
        yield Section(title="Next", parts=(Commands(lines=(f"rldk explain {report.findings[0].code}",)),))


def _phases(report: ProfileFacts) -> Table:
    rows = tuple(
        (
            one.name,
            f"{one.share:.1%}",
            "-" if one.per_step is None else f"{one.per_step:.4g}",
            f"{one.seconds:.1f}",
            one.how,
        )
        for one in report.phases
    )
    lines = tuple(
        f"{name:<12} {share:>6}"
        + ("" if step == "-" else f"   {step} s a step")
        + ("" if how == "timed" else f"   ({how})")
        for name, share, step, _, how in rows
    )
    shares = tuple((one.share, one.share, one.share) for one in report.phases)
    return Table(heads=_HEADS, rows=rows, lines=lines, shares=shares)


def _figures(report: ProfileFacts) -> Iterator[tuple[str, str]]:
    n = report.numbers
    if n["step_s"] is not None:
        spread = f", 95 % of them below {n['step_s_p95']:.3g} s" if n["step_s_p95"] else ""
        yield "step", f"{n['step_s']:.3g} s (median of {len(report.step_seconds):,} steps{spread})"
    for name, label in (("tokens_per_sec", "generated tokens"), ("environment_steps_per_sec", "environment steps")):
        if n[name] is not None:
            yield label, f"{n[name]:,.1f} a second"
    if n["cpu_cores"] is not None:
        yield "CPU", f"{n['cpu_cores']:.2f} cores in use, on average"
    if n["memory_peak_bytes"] is not None:
        yield "memory", f"{(n['memory_peak_bytes'] or 0) / GIB:.2f} GiB at most ({_trend(report.memory)})"
    if n["gpu_busy"] is not None:
        yield (
            "GPU",
            f"busy for {n['gpu_busy']:.0%} of the time, {(n['gpu_memory_peak_bytes'] or 0) / GIB:.2f} GiB at most",
        )
    if report.device_memory is not None:
        yield "memory of torch on GPUs", _trend(report.device_memory)
    yield "time", f"{n['seconds']:.1f} s in all"


def _trend(trend: MemoryTrend | None) -> str:
    if trend is None:
        return "trend not judged"
    pace = f"{trend.slope * HOUR / MIB:+,.0f} MiB an hour"
    return f"grows, {pace}" if trend.grows else "does not grow steadily"


def _lines(report: ProfileFacts) -> Table:
    rows = tuple(
        (f"{one.share:.0%}", one.where, one.function, one.phase, one.calls or "-", one.text) for one in report.hot_lines
    )
    lines = tuple(
        f"{share:>4}  {where} in {function}"
        + (f", in {calls}" if calls != "-" else "")
        + (f"  `{text}`" if text else "")
        for share, where, function, _, calls, text in rows
    )
    return Table(heads=("Share", "Line", "Function", "Phase", "Calls", "Code"), rows=rows, lines=lines, most=SHOWN)


def _ops(report: ProfileFacts) -> Table:
    on_device = any(one.device_s for one in report.operations)
    total = sum(one.device_s if on_device else one.cpu_s for one in report.operations) or math.nan
    rows = tuple(
        (one.name, f"{(one.device_s if on_device else one.cpu_s) / total:.1%}", f"{one.calls:,}",
         f"{one.cpu_s:.4f}", f"{one.device_s:.4f}")
        for one in sorted(report.operations, key=lambda one: -(one.device_s if on_device else one.cpu_s))
    )  # fmt: skip
    lines = tuple(f"{share:>6}  {name}, {calls} calls" for name, share, calls, _, _ in rows)
    note = "Own time, without the operations that one calls."
    heads = ("Operation", "Share", "Calls", "CPU seconds", "GPU seconds")
    return Table(heads=heads, rows=rows, lines=lines, most=SHOWN, note=note)


def _curves(report: ProfileFacts) -> Iterator[Curve]:
    c = report.curves
    yield from _curve("memory (GiB)", c.seconds, [value / GIB for value in c.private])
    yield from _curve("CPU cores in use", c.seconds, c.cpu)
    yield from _curve("GPU busy", c.seconds, c.gpu_busy)
    yield from _curve("GPU memory (GiB)", c.seconds, [value / GIB for value in c.gpu_memory])
    steps = report.step_seconds
    yield from _curve("seconds of a step", [float(n + 1) for n in range(len(steps))], steps, "step")


def _curve(name: str, at: Sequence[float], values: Sequence[float], axis: str = "seconds") -> Iterator[Curve]:
    """The curve: the mean of each whole second or step, or of several where there are more than `MOST_POINTS`."""
    width = max(1, math.ceil((at[-1] - at[0]) / MOST_POINTS)) if len(at) else 1
    groups: dict[int, list[float]] = {}
    for place, value in zip(at, values, strict=False):
        groups.setdefault(int(place // width) * width, []).append(value)
    if len(groups) > 1:
        means = tuple(sum(group) / len(group) for group in groups.values())
        yield Curve(name=name, step=tuple(groups), value=means, axis=axis)


def _problems(report: ProfileFacts) -> Iterator[Problem]:
    for finding in report.findings:
        yield Problem(
            code=finding.code,
            name=finding.name,
            severity=finding.severity,
            message=finding.message,
            source=str(report.meta.get("source") or ""),
            metric=finding.metric,
            value=finding.value,
            limit=finding.limit,
            causes=finding.causes,
            fixes=finding.fixes,
        )
