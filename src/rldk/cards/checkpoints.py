"""The view of two checkpoints: findings, which part moved, a strip of the layers, and every tensor."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rldk.cards import words
from rldk.cards.parts import finding_section, problem_of, unchecked_sections
from rldk.cards.safe import clean
from rldk.core.checkpoint import AdapterChange, LayerChange, TensorChange, ValueChange
from rldk.core.view import Bullets, Commands, Section, Table, Tone, View

SHADES = " ▁▂▃▄▅▆▇█"
TOP = 10  # tensors, values and names without --all
MAX_ROWS = 2000  # of one table
MAX_STRIP = 128  # layers of a strip
MAX_NAME = 200
BADGES: Mapping[Tone, str] = {"critical": "CRITICAL", "warn": "WARNING", "info": "NOT COMPARED", "ok": "THE SAME"}


def checkpoints_view(report: Any) -> View:
    """Everything that a renderer may show of a `CheckpointReport`."""
    worst = report.worst()
    loud: Tone = worst if worst in ("critical", "warn") else "ok"
    tone: Tone = loud if report.numbers["compared"] or report.same else "info"
    return View(
        kind=report.kind,
        title=str(report.meta["run"]),
        tone=tone,
        badge="CHANGED" if tone == "ok" and not report.same else BADGES[tone],
        banner=report.verdict,
        source=str(report.meta["source"]),
        sections=tuple(_sections(report)),
        problems=tuple(problem_of(f, str(report.meta["source"])) for f in report.findings),
        checked=report.checked,
        unchecked={check.code: check.reason for check in report.skipped if check.status == "skipped"},
        figures=dict(report.numbers),
    )


def _sections(report: Any) -> Iterable[Section]:
    yield from (finding_section(f, detail=f.severity == "info") for f in report.findings)
    if report.parts:
        yield Section(title="Which part moved", parts=(_parts(report.parts, report.layers),))
    if report.adapters:
        yield Section(title="What the adapters do (B A, not scaled)", parts=(_adapters(report.adapters),))
    yield from _tensors(report.tensors)
    yield from _values(report.values)
    if report.ties:
        items = tuple(f"{t.name} and {t.other} ({t.how} before): {_kept(t.kept)}" for t in report.ties)
        yield Section(title="Names for one tensor", parts=(Bullets(items=items, plain=True, most=TOP),), detail=True)
    if report.notes:
        yield Section(title="Not read", parts=(Bullets(items=tuple(n.text for n in report.notes), plain=True, most=5),))
    yield from unchecked_sections(report)
    yield Section(title="Looked at", parts=(Bullets(items=tuple(_looked(report)), plain=True),))
    yield Section(title="Next", parts=(Commands(lines=tuple(_next(report))),))


def _parts(parts: Sequence[LayerChange], layers: Sequence[LayerChange]) -> Table:
    """One row for each part; the strip shows the relative change of its layers, darkest where it is largest."""
    rows = []
    most = max((x.relative_l2 for x in layers if math.isfinite(x.relative_l2)), default=0.0)
    for part in parts:
        own = [x for x in layers if x.part == part.part and x.layer is not None]
        strip = heat_strip([x.relative_l2 for x in own], most)
        share = part.changed / part.elements if part.elements else 0.0
        rows.append(
            (part.part, number(part.relative_l2), f"{share:.3%}", f"{part.tensors:,}", f"{part.elements:,}", strip)
        )
    heads = ("Part", "Relative change", "Elements changed", "Tensors", "Elements", "Layer by layer")
    lines = tuple(f"{r[0]:<11} {r[1]:>9}  {r[2]:>8} of {r[4]} elements  {r[5]}".rstrip() for r in rows)
    note = "Relative change is |after - before| / |before|. The strip has one mark a layer, on a logarithmic scale."
    return Table(heads=heads, rows=tuple(rows), lines=lines, note=note)


def heat_strip(values: Sequence[float], most: float) -> str:
    """One mark for each value, on a logarithmic scale over four decades below `most`; a blank for no change at all."""
    marks = []
    for value in values[:MAX_STRIP]:
        if not value or not most:
            marks.append("·")
        else:
            level = 1.0 if not math.isfinite(value) else max(0.0, 1 + math.log10(value / most) / 4)
            marks.append(SHADES[1 + round(level * (len(SHADES) - 2))])
    return "".join(marks) + (" ..." if len(values) > MAX_STRIP else "")


def number(value: float) -> str:
    """A number in three digits; "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:.3g}"


def _tensors(tensors: Sequence[TensorChange]) -> Iterable[Section]:
    moved = sorted((t for t in tensors if t.changed), key=lambda t: (t.section != "model", *_size(t)))
    if moved:
        title = f"Tensors that changed ({len(moved):,}), the largest relative change first"
        yield Section(title=title, parts=(_table(moved),))
    for fate, title in (
        ("removed", "Gone"),
        ("added", "New"),
        ("reshaped", "Other shapes"),
        ("retyped", "Other types"),
    ):
        found = [t for t in tensors if t.fate == fate]
        if found:
            items = tuple(_lonely(t) for t in found[:MAX_ROWS])
            yield Section(title=f"{title} ({len(found):,})", parts=(Bullets(items=items, plain=True, most=TOP),))


def _size(t: TensorChange) -> tuple[bool, float]:
    """Sorts the largest relative change first. Tensors that were zero before have none, and come last."""
    return (True, -t.l2) if math.isinf(t.relative_l2) else (False, -t.relative_l2)


def _lonely(t: TensorChange) -> str:
    now = f"{t.dtype} {list(t.shape)}"
    kind = f"{t.was} became {t.dtype if t.fate == 'retyped' else now}" if t.was else now
    return f"{_name(t)}: {kind}"


def _name(t: TensorChange) -> str:
    name = clean(t.name, MAX_NAME)
    return name if t.section == "model" else f"{t.section}: {name}"


def _table(moved: Sequence[TensorChange]) -> Table:
    heads = (
        "Tensor",
        "Relative",
        "L2",
        "Cosine",
        "Largest",
        "At",
        "Before -> after",
        "Changed",
        "ULPs",
        "NaN, infinite",
    )
    shown = moved[:MAX_ROWS]
    more = f"{len(moved) - MAX_ROWS:,} more are in the JSON document." if len(moved) > MAX_ROWS else ""
    return Table(
        heads=heads,
        rows=tuple(_row(t) for t in shown),
        lines=tuple(_line(t) for t in shown),
        most=TOP,
        note=more,
    )


def _row(t: TensorChange) -> tuple[str, ...]:
    ulps = ", ".join(f"{name}: {count:,}" for name, count in t.ulps.items())
    bad = f"{t.nan[0]:,} -> {t.nan[1]:,}, {t.inf[0]:,} -> {t.inf[1]:,}" if any((*t.nan, *t.inf)) else ""
    at = "" if t.at is None else str(list(t.at))
    pair = f"{t.before:.6g} -> {t.after:.6g}"
    cosine = "-" if math.isnan(t.cosine) else f"{t.cosine:.6f}"
    changed = f"{t.changed:,} of {t.elements:,}"
    numbers = (number(t.relative_l2), number(t.l2), cosine, number(t.max_abs))
    return (_name(t), *numbers, at, pair, changed, ulps, bad)


def _line(t: TensorChange) -> str:
    pair = f"{t.before:.6g} -> {t.after:.6g}"
    at = "" if t.at is None else f" at {list(t.at)} ({pair})" if t.at else f" ({pair})"
    count = f"{t.changed:,} of {t.elements:,} elements"
    bad = f", NaN {t.nan[0]:,} -> {t.nan[1]:,}, infinite {t.inf[0]:,} -> {t.inf[1]:,}" if any((*t.nan, *t.inf)) else ""
    by = "was zero" if math.isinf(t.relative_l2) else f"changed by {number(t.relative_l2)}"
    return f"`{_name(t)}` {by}: {count}, at most {number(t.max_abs)}{at}{bad}"


def _values(values: Sequence[ValueChange]) -> Iterable[Section]:
    if values:
        shown = values[:MAX_ROWS]
        cells = [(v.section, clean(v.name, MAX_NAME), clean(v.before, 200), clean(v.after, 200)) for v in shown]
        lines = tuple(f"{section}: {name}: {a or 'none'} -> {b or 'none'}" for section, name, a, b in cells)
        table = Table(heads=("Section", "Name", "Before", "After"), rows=tuple(cells), lines=lines, most=TOP)
        yield Section(title=f"Values beside the tensors that differ ({len(values):,})", parts=(table,))


def _adapters(adapters: Sequence[AdapterChange]) -> Table:
    rows = tuple((clean(a.name, MAX_NAME), number(a.norm[0]), number(a.norm[1]), number(a.l2)) for a in adapters)
    lines = tuple(f"`{name}`: norm {a} -> {b}, difference {c}" for name, a, b, c in rows)
    return Table(heads=("Adapter", "Norm before", "after", "Difference"), rows=rows, lines=lines, most=TOP)


def _kept(kept: bool | None) -> str:
    return "one of both is gone" if kept is None else "still the same" if kept else "they differ now"


def _looked(report: Any) -> Iterable[str]:
    meta, numbers = report.meta, report.numbers
    for word, files, step in zip(("before", "after"), meta["files"], meta["steps"], strict=True):
        at = "" if step is None else f", step {step:,}"
        yield f"{word}: {clean(meta[word], 1000)} ({words.plural(len(files), 'file')}{at})"
    sections = [(s, numbers.get(f"{s}_tensors") or 0) for s in ("model", "optimizer", "scheduler", "random", "other")]
    said = ", ".join(f"{count:,} of {section}" for section, count in sections if count)
    yield f"{words.plural(numbers['tensors'], 'tensor')} ({said or 'none'}), {_size_words(numbers['bytes'])} in all"
    yield f"{words.plural(len(report.checked), 'rule')} looked"


def _size_words(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return words.plural(count, "byte")


def _next(report: Any) -> Iterable[str]:
    if report.findings:
        yield f"rldk explain {report.findings[0].code}"
    paths = " ".join(shlex.quote(clean(report.meta[which], 1000)) for which in ("before", "after"))
    yield f"rldk diff-ckpt {paths} --all"
    yield f"rldk diff-ckpt {paths} --html checkpoints.html"
