"""Tables of polars have the digests of the same tables in Arrow."""

from __future__ import annotations

from typing import Any

import pytest

from rldk.errors import MalformedInput
from rldk.provenance.fingerprints.dataset import fingerprint

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.integration

ROWS: dict[str, list[Any]] = {
    "prompt": ["a", "b", None, ""],
    "reward": [1.0, 2.5, float("nan"), -0.0],
    "n": [1, None, 3, 1 << 62],
    "ids": [[1, 2], [], [3], [4]],
}


@pytest.mark.parametrize("names", [list(ROWS), ["prompt"], ["reward", "n"], ["ids"]])
def test_a_frame_has_the_digest_of_its_arrow_table(names: list[str]) -> None:
    rows = {name: ROWS[name] for name in names}
    frame = pl.DataFrame(rows)
    assert fingerprint(frame).digest == fingerprint(pa.table(rows)).digest
    assert fingerprint(pl.concat([frame[:1], frame[1:]], rechunk=False)).digest == fingerprint(frame).digest
    assert fingerprint(frame[:3]).digest != fingerprint(frame).digest


def test_a_plan_is_no_data() -> None:
    with pytest.raises(MalformedInput, match="LazyFrame"):
        fingerprint(pl.DataFrame(ROWS).lazy())
