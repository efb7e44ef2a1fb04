"""A fingerprint tells how far it has come, whatever it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rldk.provenance.fingerprints.dataset import fingerprint
from rldk.provenance.fingerprints.model import model_fingerprint


@pytest.mark.parametrize(
    "data", [np.zeros((5000, 100)), pd.DataFrame({"a": range(70_000)}), [{"a": i} for i in range(8192)]]
)
def test_all_rows_are_told_in_several_parts(data: Any) -> None:
    told: list[int] = []
    assert fingerprint(data, each=told.append) == fingerprint(data)
    assert (sum(told), len(told) > 1) == (len(data), True)


def test_every_file_and_every_tensor_is_told(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    told: list[int] = []
    fingerprint(tmp_path, each=told.append)
    assert told == [1, 1, 1]
    names: list[str] = []
    weights = {"b": np.zeros(2), "a": np.zeros(3)}
    assert model_fingerprint(weights, each=names.append) == model_fingerprint(weights)
    assert names == ["b", "a"]
