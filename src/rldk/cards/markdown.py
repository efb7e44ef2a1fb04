"""Views as Markdown, for a comment on a pull request or for a job's summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rldk.cards.safe import clean
from rldk.core.registry import renderers
from rldk.core.text import later
from rldk.core.view import Bullets, Charts, Commands, Curve, Facts, Paragraph, Part, Points, Section, Table, View

_CODE = later(r"`([^`]+)`")
_MARKUP = str.maketrans({c: f"\\{c}" for c in "\\|*_`<>[]#~!"})
SIGNS = {"critical": "\N{LARGE RED CIRCLE}", "warn": "\N{LARGE YELLOW CIRCLE}", "ok": "\N{LARGE GREEN CIRCLE}"}
FENCE = "```"


def render(views: View | Sequence[View], *, everything: bool = False, head: bool = True) -> str:
    """One or several views. Each stands under a heading of the second level, or starts at its banner where the heading
    is elsewhere."""
    many = [views] if isinstance(views, View) else list(views)
    lines = (line for view in many for line in _lines(view, everything=everything, head=head))
    return "\n".join(lines).rstrip("\n") + "\n"


def _lines(view: View, *, everything: bool, head: bool) -> Iterable[str]:
    sign = SIGNS.get(view.tone, "\N{LARGE BLUE CIRCLE}")
    yield from (f"## {sign} {escape(view.badge)}: {escape(view.title)}", "") if head else ()
    yield prose(view.banner)
    if view.reserve:
        yield from ("", f"*{prose(view.reserve)}*")
    yield ""
    for section in view.sections:
        if section.wide or (section.detail and not everything):
            yield from (prose(section.brief), "") if section.brief else ()
        else:
            yield from _section(section)


def _section(section: Section) -> Iterable[str]:
    code = f" `{section.code}` {escape(section.name)}" if section.code else ""
    extent = f", {escape(section.extent)}" if section.extent else ""
    yield f"### {escape(section.title)}{code}{extent}"
    yield ""
    for part in section.parts:
        if lines := list(_part(part)):
            yield from (*lines, "")


def _part(part: Part) -> Iterable[str]:
    match part:
        case Paragraph():
            yield f"*{prose(part.text)}*" if part.soft else prose(part.text)
        case Bullets():
            yield from (f"**{escape(part.title)}**", "") if part.title else ()
            yield from (f"{f'{i}.' if part.ranked else '-'} {prose(item)}" for i, item in enumerate(part.items, 1))
        case Table():
            yield from _table(part)
        case Facts():
            yield from (f"- {escape(name)}: {prose(value)}" for name, value in part.pairs)
        case Commands():
            yield from (f"{FENCE}sh", *(clean(line, 1200).replace(FENCE, "'''") for line in part.lines), FENCE)
        case Points():
            yield from (prose(part.brief),) if part.brief else ()
        case Curve() | Charts():
            return  # the summary of a job shows none of our drawings


def _table(table: Table) -> Iterable[str]:
    yield from (f"**{escape(table.title)}**", "") if table.title else ()
    yield _row([escape(head) for head in table.heads])
    yield "|" + "---|" * len(table.heads)
    yield from (_row([prose(cell) for cell in row]) for row in table.rows)
    yield from ("", prose(table.note)) if table.note else ()


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: object) -> str:
    """Harmless text: nothing in it is markup, a mention or a link."""
    return clean(text, 2000).translate(_MARKUP).replace("@", "@\N{ZERO WIDTH NON-JOINER}").replace("://", ":\\//")


def prose(text: str) -> str:
    """Escaped text. Text between backticks is shown as code."""
    parts = _CODE.split(clean(text, 2000))
    return "".join(f"`{part.replace('|', '')}`" if i % 2 else escape(part) for i, part in enumerate(parts))


renderers.register("markdown", render)
