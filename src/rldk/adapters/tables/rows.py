"""The rows of a table of records: what cannot be read is counted, and each answer is a row of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from rldk.adapters.records import UnreadRecord
from rldk.adapters.tables.cells import is_single, plain_row
from rldk.adapters.tables.several import answers_of
from rldk.core.samples.column_names import paths_of

OPENING = 1000  # records whose keys say which columns there are
KEPT_REASONS = 5
Row = Mapping[Any, Any]


class AnswerRows:
    """The rows of records. `first`: the mappings among the first records. `names`: the columns so far; a key that only
    a later record has joins them. `rejected`: records that are no mapping, with `reasons` of the first. `several`:
    records with several answers. `empty`: there are no records at all."""

    def __init__(self, records: Iterable[Any], word: str = "row") -> None:
        self._rest = iter(records)
        self._opening = list(islice(self._rest, OPENING))
        self._word = word
        self._convert: Callable[[Row], Row] | None = None
        self.first: list[Row] = [row for row in self._opening if isinstance(row, Mapping)]
        self.empty = not self._opening
        self.names: dict[str, None] = {}
        self.rejected = self.several = 0
        self.reasons: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the rows."""
        how = "each answer is a row of its own"
        return (f"{self.several:,} rows hold several answers: {how}",) if self.several else ()

    def look(self, convert: Callable[[Row], Row] | None = None) -> None:
        """Looks at the first records for their columns. `convert`: makes rldk's fields of a tool's record."""
        self._convert = convert
        for number, row in enumerate(self.first, 1):
            for answer in self._answers(number, row):
                self._learn(answer)

    def __iter__(self) -> Iterator[tuple[Row, bool]]:
        """Yields each row, and whether `names` has grown by it."""
        opening, self._opening, self.first = self._opening, [], []
        yield from self._of(enumerate(opening, 1))
        read = len(opening)
        opening.clear()
        yield from self._of(enumerate(self._rest, read + 1))

    def _of(self, records: Iterable[tuple[int, Any]]) -> Iterator[tuple[Row, bool]]:
        plain = self._convert is None
        for number, record in records:
            if plain and type(record) is dict and is_single(record) and record.keys() <= self.names.keys():
                yield record, False  # as nearly all rows are
                continue
            if not isinstance(record, Mapping):
                self._reject(number, record)
                continue
            answers = self._answers(number, record)
            self.several += plain and len(answers) > 1
            for answer in answers:
                yield answer, number > OPENING and not answer.keys() <= self.names.keys() and self._learn(answer)

    def _reject(self, number: int, record: Any) -> None:
        self.rejected += 1
        if len(self.reasons) < KEPT_REASONS:
            why = record if isinstance(record, UnreadRecord) else "not an object"
            self.reasons.append(f"{self._word} {number}: {why}")

    def _answers(self, number: int, row: Row) -> Sequence[Row]:
        return answers_of(plain_row(row), number) if self._convert is None else (self._convert(row),)

    def _learn(self, answer: Row) -> bool:
        names = paths_of(answer) if self._convert is None else map(str, answer)
        self.names |= dict.fromkeys(names)
        return True
