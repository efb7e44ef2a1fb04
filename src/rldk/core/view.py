"""What a report looks like, whatever its kind and whatever draws it: a banner, sections of parts, problems, figures.

A kind of report yields one `View`; a renderer knows views and nothing of kinds. Text is plain: what stands between
backticks is code, and a renderer makes the rest harmless for its medium."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from rldk.core.model import Severity

Tone = Literal["critical", "warn", "info", "ok", ""]


class Paragraph(Struct, frozen=True, kw_only=True, tag=True):
    """`soft`: said beside the matter. `short`: what is said where not everything is asked for, if that is less."""

    text: str
    short: str = ""
    soft: bool = False


class Bullets(Struct, frozen=True, kw_only=True, tag=True):
    """A list; `ranked`: the first is the likeliest; `plain`: facts, each on a line of its own. `most`: how many are
    shown where not everything is asked for."""

    title: str = ""
    items: tuple[str, ...] = ()
    ranked: bool = False
    plain: bool = False
    most: int | None = None


class Table(Struct, frozen=True, kw_only=True, tag=True):
    """`tones`: one a row, or none at all. `lines`: each row as a sentence, for a medium without room for columns, of
    which `most` are shown where not everything is asked for. `folded`: shown on request by a medium that can.
    `shares`: for each row (low, share, high), all from 0 to 1, which a renderer may draw; None where it has none."""

    title: str = ""
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    tones: tuple[Tone, ...] = ()
    lines: tuple[str, ...] = ()
    most: int | None = None
    folded: str = ""
    shares: tuple[tuple[float, float, float] | None, ...] = ()


class Band(Struct, frozen=True, kw_only=True):
    """Steps first..last of a curve to shade. `kind`: a severity, or "onset"; `label`: what is said of them."""

    first: int
    last: int
    kind: str
    label: str


class Limit(Struct, frozen=True, kw_only=True):
    """A level of a curve, with the code that set it."""

    value: float
    label: str


class Curve(Struct, frozen=True, kw_only=True, tag=True):
    """A metric over its steps; None in `value` breaks the line. `gaps`: steps at which the source said NaN or infinity.
    `logged_as`: the log's own name, where it has another. `span`: the steps of the whole run."""

    name: str
    step: Sequence[int] = ()
    value: Sequence[float | None] = ()
    gaps: Sequence[int] = ()
    logged_as: str = ""
    bands: tuple[Band, ...] = ()
    limits: tuple[Limit, ...] = ()
    span: tuple[int, int] | None = None


class Charts(Struct, frozen=True, kw_only=True, tag=True):
    """Small curves side by side."""

    curves: tuple[Curve, ...] = ()
    note: str = ""


class Facts(Struct, frozen=True, kw_only=True, tag=True):
    """Names and their values."""

    pairs: tuple[tuple[str, str], ...] = ()


class Commands(Struct, frozen=True, kw_only=True, tag=True):
    """What to type next."""

    lines: tuple[str, ...] = ()


Part = Paragraph | Bullets | Table | Curve | Charts | Facts | Commands


class Section(Struct, frozen=True, kw_only=True):
    """`code`, `name`: of the rule that an incident is about. `detail`: shown where everything is asked for; else
    `brief` stands in its place. `wide`: for a medium with room to draw, else `brief` too."""

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
    """Something that a gate may fail on. `steps`: where, None where the kind of report has no steps. `source`: the file
    or directory that it is about."""

    code: str
    name: str
    severity: Severity
    message: str
    source: str = ""
    steps: tuple[int, int] | None = None
    metric: str = ""
    value: float | None = None
    limit: float | None = None
    causes: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()


class View(Struct, frozen=True, kw_only=True):
    """`kind`: that of the report. `badge`: its headline in a word or two, in the colour `tone`; `banner`: the verdict;
    `reserve`: what the verdict does not cover; `outlook`: what is to be expected, where everything is asked for.
    `unchecked`: code -> why a rule gave no verdict; `checked`: codes of those that did."""

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
