"""The look of a report, whatever its kind and whatever draws it: a banner, sections of parts, problems, figures.

Each kind of report gives one `View`. A renderer knows views and nothing of kinds. Text is plain. Text between backticks
is code, and a renderer makes the rest harmless for its medium."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from rldk.core.model import Severity

Tone = Literal["critical", "warn", "info", "ok", ""]


class Paragraph(Struct, frozen=True, kw_only=True, tag=True):
    """`soft`: the text is an aside. `short`: the text to show where not everything is asked for, if that is less."""

    text: str
    short: str = ""
    soft: bool = False


class Bullets(Struct, frozen=True, kw_only=True, tag=True):
    """A list. `ranked`: the first item is the likeliest. `plain`: the items are facts, each on its own line.

    `most`: how many items are shown where not everything is asked for."""

    title: str = ""
    items: tuple[str, ...] = ()
    ranked: bool = False
    plain: bool = False
    most: int | None = None


class Table(Struct, frozen=True, kw_only=True, tag=True):
    """A table. `tones`: one a row, or none at all. `lines`: each row as a sentence, for a medium without room for
    columns.

    `most`: how many of the lines are shown where not everything is asked for. `folded`: a medium that can fold shows
    the table on request. `shares`: for each row (low, share, high), all from 0 to 1, for a renderer to draw; None where
    a row has none. `trimmed`: a medium of lines may shorten the first cell and cut the last one. `links`: for each row
    the part of the same document that its first cell leads to, "" where there is none."""

    title: str = ""
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    tones: tuple[Tone, ...] = ()
    lines: tuple[str, ...] = ()
    most: int | None = None
    folded: str = ""
    shares: tuple[tuple[float, float, float] | None, ...] = ()
    trimmed: bool = False
    links: tuple[str, ...] = ()


class Band(Struct, frozen=True, kw_only=True):
    """Steps first..last of a curve to shade. `kind`: a severity, or "onset". `label`: the text about these steps."""

    first: int
    last: int
    kind: str
    label: str


class Limit(Struct, frozen=True, kw_only=True):
    """A level of a curve, with the code that set it."""

    value: float
    label: str


class SideLine(Struct, frozen=True, kw_only=True):
    """A line beside a curve. `kind`: "other" is the curve of another run; "low" and "high" bound a range to shade."""

    name: str
    step: Sequence[int] = ()
    value: Sequence[float | None] = ()
    kind: Literal["other", "low", "high"] = "other"


class Curve(Struct, frozen=True, kw_only=True, tag=True):
    """A metric over its steps. None in `value` breaks the line. `gaps`: steps at which the source said NaN or infinity.

    `logged_as`: the log's own name, where it has another. `axis`: what the steps are. `span`: those of the whole run.
    `beside`: other lines to draw in the same chart, where the medium has room. `log`: the axis of the values is
    logarithmic where all are positive; otherwise only a curve of many magnitudes has such an axis."""

    name: str
    step: Sequence[int] = ()
    value: Sequence[float | None] = ()
    gaps: Sequence[int] = ()
    logged_as: str = ""
    axis: str = "step"
    bands: tuple[Band, ...] = ()
    limits: tuple[Limit, ...] = ()
    span: tuple[int, int] | None = None
    beside: tuple[SideLine, ...] = ()
    log: bool = False


class Points(Struct, frozen=True, kw_only=True, tag=True):
    """Points over two axes. `joined`: they are drawn as a line, too. `bars`: they are drawn as bars from 0 that touch
    each other, as a histogram is. `ideal`: two points of a dashed line to compare with. A medium without room to draw
    shows `brief`, if there is any."""

    name: str
    x: Sequence[float] = ()
    y: Sequence[float] = ()
    x_name: str = "x"
    y_name: str = "y"
    joined: bool = False
    bars: bool = False
    ideal: tuple[tuple[float, float], tuple[float, float]] | None = None
    brief: str = ""


class Charts(Struct, frozen=True, kw_only=True, tag=True):
    """Small curves side by side, and after them `points` over two axes."""

    curves: tuple[Curve, ...] = ()
    note: str = ""
    points: tuple[Points, ...] = ()


class Facts(Struct, frozen=True, kw_only=True, tag=True):
    """Names and their values."""

    pairs: tuple[tuple[str, str], ...] = ()


class Commands(Struct, frozen=True, kw_only=True, tag=True):
    """The commands to type next."""

    lines: tuple[str, ...] = ()


def tone_of(word: str) -> Tone:
    """The tone of that name; that of information for another word."""
    return word if word in ("critical", "warn", "ok") else "info"  # type: ignore[return-value]  # as just tested


Part = Paragraph | Bullets | Table | Curve | Charts | Points | Facts | Commands


class Section(Struct, frozen=True, kw_only=True):
    """`code`, `name`: those of the rule that an incident is about.

    `detail`: shown where everything is asked for; otherwise `brief` replaces it. `wide`: for a medium with room to
    draw; otherwise `brief` replaces it, too."""

    title: str
    tone: Tone = ""
    code: str = ""
    name: str = ""
    extent: str = ""
    parts: tuple[Part, ...] = ()
    detail: bool = False
    brief: str = ""
    wide: bool = False


class Problem(Struct, frozen=True, kw_only=True):
    """Something that may fail a gate. `steps`: where, None where the kind of report has no steps. `source`: the file or
    directory of the problem. `line`: its line in that file, counted from 1."""

    code: str
    name: str
    severity: Severity
    message: str
    source: str = ""
    steps: tuple[int, int] | None = None
    line: int | None = None
    metric: str = ""
    value: float | None = None
    limit: float | None = None
    causes: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()


class View(Struct, frozen=True, kw_only=True):
    """A report as renderers see it. `kind`: the kind of the report. `badge`: its headline in a word or two, in the
    colour `tone`.

    `banner`: the verdict. `reserve`: what the verdict does not cover. `outlook`: the expected course, where everything
    is asked for. `unchecked`: code -> why a rule gave no verdict. `checked`: codes of the rules that gave one.
    `one_page`: the parts are few and short enough for one printed page."""

    kind: str
    title: str
    tone: Tone
    badge: str
    banner: str
    source: str = ""
    reserve: str = ""
    outlook: str = ""
    sections: tuple[Section, ...] = ()
    problems: tuple[Problem, ...] = ()
    checked: tuple[str, ...] = ()
    unchecked: dict[str, str] = field(default_factory=dict)
    figures: dict[str, float | int | None] = field(default_factory=dict)
    one_page: bool = False
