"""The quick path of the JSONL decoder: a msgspec Struct made for the keys of one file. It grows when new keys appear.

It may refuse any line, which then takes the slow path of `records`. A line that it accepts means the same on both
paths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import astuple

from rldk.core.decoding.mending import Forms, forms_in, numbers_of, quote_non_json
from rldk.core.decoding.shape import Kind, kinds_in, merge_keys
from rldk.core.records import (
    MAX_STEP,
    BadLine,
    Form,
    Layout,
    Role,
    form_of,
    to_number,
    to_phase,
    to_step,
    to_time,
)
from rldk.core.rows import Assembler, Events
from rldk.core.table import Phase

MAX_REBUILDS = 50
LONG_LINE = 300  # bytes: from here on, looking at each newline takes less time than a search for three bytes
_Step = Annotated[int, msgspec.Meta(ge=-MAX_STEP, le=MAX_STEP)] | float | str | None
_Null = Annotated[str, msgspec.Meta(pattern="(?!)")] | None  # null only: no text has this pattern
_NO_NAMES = frozenset(("NaN", "Infinity", "-Infinity"))  # the text that `quote_non_json` makes of these is no name
_ONCE = frozenset((Role.STEP, Role.TIME, Role.PHASE, Role.NAME, Role.VALUE))


class Place(Struct, frozen=True):
    """The target of one field of a Struct: flat key, role, whether it is text; or the places of a nested Struct."""

    path: str
    role: Role
    nested: tuple[Place, ...] | None = None
    text: bool = False


class ColumnBuffer(Struct):
    """Collects the columns of many lines."""

    columns: dict[str, Sequence[float | None]] = field(default_factory=dict)
    stated: dict[str, list[int]] = field(default_factory=dict)
    by_role: dict[Role, Sequence[Any]] = field(default_factory=dict)


class TypedLines:
    """Learns the keys of a file line by line. `decode` reads a line; it returns None while there is no quick path."""

    def __init__(self, layout: Layout) -> None:
        self.decode: Callable[[bytes], msgspec.Struct] | None = None
        self._decode_lines: Callable[[bytes], list[msgspec.Struct]] | None = None
        self._decode_line: Callable[[bytes], msgspec.Struct] | None = None
        self._mends = False  # whether the last block had to be rewritten: most likely the next one must be, too
        self._forms: Forms = ()  # what was rewritten in it
        self._step: str | None = None  # the field of the step, with those that it is nested in: "f1.f4"
        self._layout = layout
        self._shape: dict[str, Any] = {}
        self._places: tuple[Place, ...] = ()
        self._numerals = False  # whether the decoder makes numbers of numbers as text, and None of a missing value
        self._live: set[str] = set()  # metrics that have had a value: a key that is always null makes no column
        self._builds = 0

    def learn(self, obj: dict[str, Any]) -> bool:
        """Takes the keys of a line that was read slowly. True when the Struct must be rebuilt."""
        if self._builds > MAX_REBUILDS or form_of(obj, self._layout.envelope) is not self._layout.form:
            return False
        return merge_keys(self._shape, obj)

    def build(self, identified: Iterable[str]) -> None:
        """Makes the Struct. `identified`: identity fields that are known already. The others are left to the slow
        path."""
        self._builds += 1
        self._numerals = self._reads_numerals()
        struct, self._places = _Builder(self._layout, frozenset(identified), self._numerals).struct(self._shape)
        quick = self._builds <= MAX_REBUILDS and self._layout.rank is None and self._unambiguous()
        decoder = msgspec.json.Decoder(struct, strict=not self._numerals) if quick else None
        self.decode = self._one if decoder else None
        self._decode_line = decoder.decode if decoder else None
        self._decode_lines = decoder.decode_lines if decoder else None
        self._step = _path_of_step(struct.__struct_fields__, self._places)

    def _reads_numerals(self) -> bool:
        """Whether the decoder itself can read numbers that stand as text. It refuses what it would read in another way
        than `to_number`, except the text "null": that is a missing metric, but no value of an event."""
        plain = self._layout.form is not Form.SCALAR and not self._layout.null_is_nan
        return plain and any(Kind.NUMERAL in kind for kind in kinds_in(self._shape))

    def decode_block(self, block: bytes, lines: int) -> list[msgspec.Struct] | None:
        """Decodes the `lines` lines of `block`. None when one of them must be checked on its own.

        msgspec takes any white space between objects. Where every newline has } before and { after it, the newline can
        only stand between two objects. Then as many objects as lines means one object on each line."""
        if self._decode_lines is None or block[:1] != b"{" or block[-1:] != b"}" or not _is_cut(block, lines):
            return None
        for text in self._versions(block):
            try:
                found = self._decode_lines(text)
            except (ValueError, RecursionError):
                continue
            self._mends = text is not block
            return found if len(found) == lines and self._is_sound(found, as_mended=self._mends) else None
        return None

    def _versions(self, block: bytes) -> Iterator[bytes]:
        """Yields the block as it stands and rewritten: first as the block before it could be read."""
        if self._mends:
            yield quote_non_json(block, self._forms)
        else:
            yield block
        self._forms = forms_in(block)
        mended = quote_non_json(block, self._forms)
        if mended is not block:
            yield mended
        if self._mends:
            yield block

    def _one(self, line: bytes) -> msgspec.Struct:
        """The line as a Struct. Raises `ValueError` and `RecursionError` where the line must be checked on its own."""
        decode = self._decode_line
        if decode is None:
            raise ValueError("there is no quick path")
        text = line
        try:
            found = decode(line)
        except ValueError:
            text = quote_non_json(line)
            if text is line:
                raise
            found = decode(text)
        if not self._is_sound([found], as_mended=text is not line):
            raise ValueError("a step or a value that is none")
        return found

    def _is_sound(self, found: Sequence[Any], *, as_mended: bool) -> bool:
        """Whether each step is a whole number, and each event has a name and a number."""
        steps = map(attrgetter(self._step), found) if self._step else ()
        if self._layout.form is Form.SCALAR:
            if as_mended and not _NO_NAMES.isdisjoint(line.name for line in found):
                return False
            texts = (
                {x for line in found if type(x := line.value) is str} if Kind.NUMERAL in self._shape["value"] else ()
            )
            if None in map(to_number, texts):
                return False
        try:
            for step in steps:
                if type(step) is not int:
                    to_step(step)
        except BadLine:
            return False
        return True

    def deliver(self, found: Sequence[Any], assembler: Assembler) -> None:
        """Passes on the lines read by `decode` or `decode_block`, in order."""
        if not found:
            return
        if self._layout.form is Form.SCALAR:
            self._deliver_events(found, assembler)
            return
        block = ColumnBuffer()
        self._collect(found, self._places, block)
        n = len(found)
        steps = [x if type(x) is int else to_step(x) for x in block.by_role.get(Role.STEP, (None,) * n)]
        times = [x if type(x) is float else to_time(x) for x in block.by_role.get(Role.TIME, ())] or [math.nan] * n
        phases = [to_phase(value) for value in block.by_role.get(Role.PHASE, ())] or ["train"] * n
        assembler.block(steps, block.columns, phases=phases, times=times, stated=block.stated)

    def _deliver_events(self, found: Sequence[Any], assembler: Assembler) -> None:
        """Does the same as `deliver`, field by field. With three or four fields this takes a third of the time."""
        n = len(found)
        roles = {place.role for place in self._places}
        steps: list[int | None] = [None] * n
        if Role.STEP in roles:
            steps = [line.step if type(line.step) is int else to_step(line.step) for line in found]
        times = [line.time for line in found] if Role.TIME in roles else [math.nan] * n
        phases: list[Phase] = ["train"] * n
        if any(place.role is Role.PHASE for place in _flat(self._places)):
            block = ColumnBuffer()
            self._collect(found, self._places, block)
            phases = [to_phase(value) for value in block.by_role[Role.PHASE]]
        values = [line.value for line in found]
        if self._layout.null_is_nan or self._shape["value"] & (Kind.FLAG | Kind.NUMERAL):
            null = math.nan if self._layout.null_is_nan else None
            values = [null if value is None else to_number(value) for value in values]
        assembler.events(Events(steps, times, phases, [line.name for line in found], values))

    def _collect(self, found: Sequence[Any], places: tuple[Place, ...], block: ColumnBuffer) -> None:
        for place, column in zip(places, zip(*map(astuple, found), strict=True), strict=True):
            if place.nested is not None:
                self._collect(column, place.nested, block)
            elif place.role is not Role.METRIC:
                block.by_role[place.role] = column
            elif place.text:
                numbers, stated = numbers_of(column)
                if self._layout.null_is_nan and None in column:
                    stated = sorted([*stated, *(i for i, x in enumerate(column) if x is None)])
                self._put(place.path, numbers, stated, block)
            elif self._layout.null_is_nan and None in column:
                self._put(place.path, column, [i for i, x in enumerate(column) if x is None], block)
            elif self._numerals:
                self._put(place.path, column, _nans(column), block)
            else:
                self._put(place.path, column, [], block)

    def _put(self, path: str, column: Sequence[float | None], stated: list[int], block: ColumnBuffer) -> None:
        """Adds a column. `stated`: where the source said NaN. Any other NaN or None is a missing value."""
        if not stated and _has_none(column):
            return
        if path not in self._live:
            if not stated and not any(value is not None and value == value for value in column):
                return
            self._live.add(path)
        block.columns[path] = column
        if stated:
            block.stated[path] = stated

    def _unambiguous(self) -> bool:
        """Whether the fields can be told apart without the order of the keys on the line, which a Struct forgets."""
        places = list(_flat(self._places))
        keys = [place.path if place.role is Role.METRIC else place.role for place in places]
        keys = [key for key in keys if isinstance(key, str) or key in _ONCE]
        if self._layout.form is Form.SCALAR:
            return len(set(keys)) == len(keys) and Role.NAME in keys and Role.VALUE in keys
        # with a name on some lines and a value on others, only the slow path sees which lines are scalar events
        name = self._shape.get("name")
        named = isinstance(name, Kind) and bool(name & (Kind.TEXT | Kind.NUMERAL))
        events = self._layout.form is Form.WIDE and "value" in self._shape and named
        return len(set(keys)) == len(keys) and not events


class _Builder:
    """Builds Struct types for a shape. Field names are positions, because keys need not be identifiers."""

    def __init__(self, layout: Layout, identified: frozenset[str], numerals: bool) -> None:
        self._layout = layout
        self._identified = identified
        self._numerals = numerals

    def struct(
        self, shape: dict[str, Any], prefix: str = "", inside: bool = False
    ) -> tuple[type[msgspec.Struct], tuple[Place, ...]]:
        fields: list[tuple[str, Any, Any]] = []
        places: list[Place] = []
        for key, kind in shape.items():
            kind_, default, place = self._field(key, kind, prefix, inside)
            scalar = self._layout.form is Form.SCALAR and not prefix and place.role in _ONCE
            name = place.role.value if scalar else f"f{len(fields)}"
            fields.append((name, kind_, default))
            places.append(place)
        rename = dict(zip((name for name, _, _ in fields), shape, strict=True))
        struct = msgspec.defstruct("Line", fields, rename=rename, gc=False, forbid_unknown_fields=True, kw_only=True)
        return struct, tuple(places)

    def _field(self, key: str, kind: Any, prefix: str, inside: bool) -> tuple[Any, Any, Place]:
        path = prefix + key
        form = self._layout.form
        if isinstance(kind, dict):
            if form is Form.ROW and not prefix and not inside and key == self._layout.envelope:
                nested, places = self.struct(kind, "", True)
                return nested, msgspec.field(), Place(path, Role.IGNORED, places)
            nested, places = self.struct(kind, path + "/", inside)
            idle = all(place.role in (Role.IGNORED, Role.IDENTITY) for place in _flat(places))  # not worth parsing
            place = Place(path + "/", Role.IGNORED, None if idle else places)
            return nested, msgspec.field(default_factory=nested), place
        role = self._layout.role(path, form, inside=inside)
        if role is Role.METRIC and kind is Kind.LIST:
            role = Role.IGNORED
        return *self._leaf(role, kind, path), Place(path, role, text=self._is_text(kind))

    def _leaf(self, role: Role, kind: Kind, path: str) -> tuple[Any, Any]:
        match role:
            case Role.STEP:
                return _Step, None
            case Role.TIME:
                return float | str | None, math.nan
            case Role.PHASE:
                return str | None, None
            case Role.IDENTITY:
                known = path.removeprefix("model_info/") in self._identified
                return (str | float | bool | None if known else _Null), None
            case Role.NAME:
                return str, msgspec.field()
            case Role.VALUE:
                return self._number(kind), msgspec.field()
            case _ if kind is Kind.LIST:
                return (list[msgspec.Raw] if self._layout.null_is_nan else list[msgspec.Raw] | None), ()
            case _:
                return self._number(kind), None if self._numerals else math.nan

    def _number(self, kind: Kind) -> Any:
        """The type of a metric. It is only as wide as the values seen, because a wider type takes longer."""
        made: Any = float | None
        if self._is_text(kind):
            made |= str
        if Kind.FLAG in kind:
            made |= bool
        return made

    def _is_text(self, kind: Kind) -> bool:
        """Whether some values stay text when they are decoded. Text for a flag does: "true" is no number."""
        return bool(kind & (Kind.TEXT | (Kind.FLAG if self._numerals else Kind.NUMERAL)))


def _is_cut(block: bytes, lines: int) -> bool:
    """Whether each newline has } before and { after it. The quicker way depends on the length of the lines."""
    if len(block) < LONG_LINE * lines:
        return block.count(b"}\n{") == lines - 1
    at, end, begin = block.find(b"\n"), ord("}"), ord("{")
    while at > 0 and block[at - 1] == end and block[at + 1] == begin:
        at = block.find(b"\n", at + 1)
    return at < 0


def _has_none(column: Sequence[float | None]) -> bool:
    """Whether each line lacks this metric in the same way: a quick look."""
    first = column[0]
    return (first is None or first != first) and column.count(first) == len(column)


def _nans(column: Sequence[float | None]) -> list[int]:
    """Where the column has NaN."""
    try:
        total: float = sum(column)  # type: ignore[arg-type]  # a quick look
    except TypeError:
        total = math.nan
    return [] if total == total else [i for i, x in enumerate(column) if x != x]


def _path_of_step(names: Sequence[str], places: Sequence[Place]) -> str | None:
    for name, place in zip(names, places, strict=True):
        if place.role is Role.STEP:
            return name
        if place.nested is not None:
            inside = _path_of_step([f"f{i}" for i in range(len(place.nested))], place.nested)
            if inside is not None:
                return f"{name}.{inside}"
    return None


def _flat(places: Iterable[Place]) -> Iterable[Place]:
    for place in places:
        yield from (place,) if place.nested is None else _flat(place.nested)
