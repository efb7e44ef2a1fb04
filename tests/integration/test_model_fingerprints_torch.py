"""Fingerprints of live modules and of what torch saved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rldk.errors import NotALog
from rldk.provenance.fingerprints.dataset import fingerprint
from rldk.provenance.fingerprints.model import diff_models, model_fingerprint

pytestmark = pytest.mark.integration
torch = pytest.importorskip("torch")


def test_a_module_and_its_files_are_one_model(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(30, 40), torch.nn.LayerNorm(40)).to(torch.bfloat16)
    live = model_fingerprint(module)
    torch.save(module.state_dict(), tmp_path / "model.pt")
    assert model_fingerprint(tmp_path / "model.pt") == live
    assert live.tensors["0.weight"].dtype == "bfloat16"
    with torch.no_grad():
        module[0].weight[3, 7] += 1
    (found,) = diff_models(live, model_fingerprint(module))
    assert (found.name, found.first, found.last) == ("0.weight", 0, 1199)


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.zeros(2), "b": Runs()}, "bad.pt")
    with pytest.raises(NotALog, match="as weights"):
        model_fingerprint("bad.pt")
    assert not Path("made-by-a-pickle").exists()


def test_tensors_as_datasets() -> None:
    rows = torch.arange(12.0).reshape(4, 3)
    assert fingerprint(rows).digest == fingerprint(rows.clone()).digest != fingerprint(rows.to(torch.bfloat16)).digest
    pairs = torch.utils.data.TensorDataset(rows, torch.arange(4))
    assert fingerprint(pairs).digest == fingerprint(torch.utils.data.TensorDataset(rows, torch.arange(4))).digest
    assert fingerprint(pairs).rows == 4
