"""What an archive of Stable-Baselines3 holds, by its names."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from rldk.resume.checkpoints import inspected


def _saved(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"_stable_baselines3_version": "2.9.2", **files}.items():
            archive.writestr(name, text)
    return path


def test_an_archive_of_stable_baselines3_is_read_by_its_names(tmp_path: Path) -> None:
    data = json.dumps({"num_timesteps": 64, "lr_schedule": {":serialized:": "gASV"}})
    path = _saved(tmp_path / "ppo.zip", **{"data": data, "policy.pth": "x", "policy.optimizer.pth": "x"})
    found = inspected(tmp_path, path).inventory
    assert found is not None
    there = {kind for kind, is_there in found.items() if is_there}
    assert there == {"weights", "optimizer state", "schedule", "step"}
    assert {"random state", "position in the data", "normaliser", "environment"} <= found.keys()


@pytest.mark.parametrize("data", ["no JSON", "[1]", None])
def test_another_archive_is_no_inventory(data: str | None, tmp_path: Path) -> None:
    path = _saved(tmp_path / "ppo.zip", **({} if data is None else {"data": data}))
    found = inspected(tmp_path, path)
    assert found.inventory is None
    assert found.reason
