from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from rldk.adapters.base import BaseAdapter, adapters
from rldk.adapters.live.formats import live_formats, recognise
from rldk.adapters.live.lineformat import LineFormat
from rldk.adapters.live.reader import LiveReader
from rldk.adapters.live.rowsource import TextRows
from rldk.adapters.log import Log
from rldk.adapters.reading import Sink, parse_file
from rldk.adapters.source import File
from rldk.adapters.wire.console import Piece


class Lines:
    def take(self, piece: Piece, sink: Sink) -> None:
        if piece.text.startswith("@@ "):
            step, reward = piece.text.split()[1:]
            sink.row(int(step), {"reward_mean": float(reward)})

    def finish(self, sink: Sink) -> None:
        pass


class Plugin(BaseAdapter):
    name: ClassVar[str] = "plugin"
    describes: ClassVar[str] = "lines of a trainer that rldk does not know"
    lines: ClassVar[LineFormat | None] = LineFormat(source=lambda: TextRows(Lines()), identify=lambda *_: {})

    @classmethod
    def sniff(cls, file: File) -> int:
        return 90 if file.head.startswith(b"@@ ") else 0

    def read(self) -> Log:
        return parse_file(self, Lines()).log()


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    adapters.names()
    monkeypatch.setitem(adapters._items, Plugin.name, Plugin)
    live_formats.cache_clear()
    yield
    live_formats.cache_clear()


def test_a_plugin_is_followed_like_a_format_of_our_own(plugin: None) -> None:
    reader = LiveReader()
    rows = reader.feed(b"@@ 1 0.5\n@@ 2 0.75\n") + reader.finish()
    assert reader.meta.format == "plugin"
    assert [(row.step, dict(row.values)) for row in rows] == [(1, {"reward_mean": 0.5}), (2, {"reward_mean": 0.75})]


def test_a_format_without_lines_is_not_followed() -> None:
    assert "parquet" in adapters
    assert "parquet" not in live_formats()
    assert recognise(b"PAR1") is None
