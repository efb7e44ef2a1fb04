"""The section of a report about the first operation that differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rldk.cards import words
from rldk.core.view import Bullets, Paragraph, Part, Section, Table, Tone
from rldk.determinism.trace.facts import OperationTrace
from rldk.rules.operations import OperationCause, TracedDifference, TracedEvent

SAYS: Mapping[OperationCause, str] = {
    "input": "What goes into it from outside the trace differs: data, numbers of NumPy or Python, other threads.",
    "chance": "It draws from a generator in another state, and all else that goes in is equal.",
    "kernel": "The same bits go in and others come out: the kernel is not deterministic.",
    "order": "The replicas do other things from here on.",
    "memory": "It reads memory that no operation has written to.",
    "environment": "The environment answers the same action with other values.",
}
MOVED = "The same values come in another order."


def trace_section(trace: OperationTrace, tone: Tone) -> Section | None:
    """The section; None where nothing differs or nothing was compared."""
    if trace.equal is not False:
        return None
    found = trace.difference
    if found is None:
        text = (
            f"Two traced replicas differ in the events of optimizer step {trace.step or 0:,}. Its operations could not "
            f"be caught in {words.plural(trace.pairs, 'pair')} of replicas: the first difference moves from run to run."
        )
        return Section(title="First operation that differs", tone=tone, parts=(Paragraph(text=text),))
    when = words.plural(found.first.step, "optimizer step")
    title = f"First operation that differs: {found.first.what}" + (f", after {when}" if found.first.step else "")
    parts: list[Part] = [
        Paragraph(text=MOVED if found.moved else SAYS[found.cause]),
        Bullets(items=tuple(_facts(found)), plain=True),
        _sides(found),
        *_around(found),
    ]
    return Section(title=title, tone=tone, parts=tuple(parts))


def _facts(found: TracedDifference) -> Iterator[str]:
    event = found.first
    if event.where:
        yield f"line: {event.where}" + (f"  `{event.text}`" if event.text else "")
    if event.library:
        yield f"called in: {event.library}"
    if event.module:
        yield f"module: {event.module}"
    if event.direction:
        yield f"pass: {event.direction}"
    if found.origin is not None:
        origin = found.origin
        yield f"an earlier call that differs: {origin.where}  `{origin.text or origin.what}`"
    if found.unseeded:
        yield "no call of torch.manual_seed was seen before it"
    yield f"event {event.number:,} of process {found.process}"


def _sides(found: TracedDifference) -> Table:
    kinds = ("what", "where", "inputs", "arguments", "chance", "output")
    names = ("Operation", "Line", "Tensors that go in", "Other arguments", "State of chance", "Result")
    rows = []
    for kind, name in zip(kinds, names, strict=True):
        first = getattr(found.first, kind)
        second = getattr(found.second, kind) if found.second is not None else "nothing more"
        if first or second:
            rows.append((name, first or "-", second or "-", "same" if first == second else "differs"))
    lines = tuple(f"{name}: {same if same == 'same' else f'{one} and {two}'}" for name, one, two, same in rows)
    return Table(heads=("", "First replica", "Second replica", ""), rows=tuple(rows), lines=lines)


def _around(found: TracedDifference) -> Iterator[Bullets]:
    alike = [one.words() for one in found.after_first] == [one.words() for one in found.after_second]
    for title, events in (
        ("Just before, in both", found.before),
        ("Then both" if alike else "Then the first replica", found.after_first),
        ("Then the second replica", () if alike else found.after_second),
    ):
        if events:
            yield Bullets(title=title, items=tuple(_line(one) for one in events), plain=True, most=3)


def _line(event: TracedEvent) -> str:
    return f"{event.number:,}: {event.words()}"
