"""The tracker with the real packages: the documented quick start, torch, transformers, datasets, safetensors, W&B."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from rldk import ExperimentTracker, TrackingConfig, ingest_runs
from rldk.core.manifest import Manifest, manifest_schema, read_manifest
from rldk.errors import UsageError
from rldk.provenance.fingerprints.model import model_fingerprint
from rldk.utils.seed import (
    derive_seed,
    get_current_seed,
    restore_seed_state,
    seed_context,
    seed_state,
    set_global_seed,
    validate_seed_consistency,
)

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("RLDK_DIR", "RLDK_MODE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    before = seed_state()
    yield
    restore_seed_state(before)


def read(folder: Path | None) -> Manifest:
    assert folder is not None
    jsonschema.Draft202012Validator(manifest_schema()).validate(json.loads((folder / "run.json").read_text()))
    found = read_manifest(folder)
    assert found is not None
    return found


def test_the_documented_quick_start_runs_as_it_stands() -> None:
    torch = pytest.importorskip("torch")
    datasets = pytest.importorskip("datasets")
    config = TrackingConfig(
        experiment_name="my_experiment",
        enable_dataset_tracking=True,
        enable_model_tracking=True,
        enable_environment_tracking=True,
        enable_seed_tracking=True,
        enable_git_tracking=True,
        save_to_wandb=False,
        tags=["ppo", "baseline"],
        notes="a first try",
        metadata={"lr": 1e-5},
    )
    tracker = ExperimentTracker(config)
    tracker.start_experiment()
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    frame = pd.DataFrame({"prompt": ["a", "b"], "reward": [0.1, 0.2]})
    tracker.track_dataset(np.random.default_rng(0).standard_normal((20, 4)), "numpy", {"split": "train"})
    tracker.track_dataset(frame, "pandas")
    tracker.track_dataset(datasets.Dataset.from_pandas(frame), "hugging face")
    tracker.track_dataset(torch.utils.data.TensorDataset(torch.zeros(3, 2), torch.arange(3)), "torch")
    tracker.track_model(model, "policy", {"architecture": "mlp"})
    tracker.set_seeds(42)
    tracker.add_metadata("learning_rate", 0.001)
    tracker.add_tag("test")
    folder = tracker.finish_experiment()
    found = read(folder)
    assert folder == Path("runs/my_experiment")
    assert found.datasets["pandas"].fingerprint == found.datasets["hugging face"].fingerprint
    assert (len(found.datasets), found.models["policy"].parameters, found.seed) == (4, 58, 42)
    assert found.seeds["generators"]["torch"] == "as seeded"
    architecture = json.loads((folder / str(found.models["policy"].architecture_file)).read_text())
    assert architecture["class"] == "torch.nn.modules.container.Sequential"


def test_the_documented_seeds_run_as_they_stand() -> None:
    torch = pytest.importorskip("torch")
    assert set_global_seed(42, deterministic=True) == 42
    first = (random.random(), np.random.random(), torch.rand(1).item())
    set_global_seed(42)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == first
    assert get_current_seed() == 42
    state = seed_state()
    with seed_context(123):
        random.random()
    after = torch.rand(1).item()
    restore_seed_state(state)
    assert torch.rand(1).item() == after
    assert validate_seed_consistency().consistent
    assert derive_seed(42, 3, "rollout") != derive_seed(42, 4, "rollout")


def test_a_streaming_dataset_needs_a_bound_and_says_so() -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"a": i} for i in range(50)])
    with ExperimentTracker(TrackingConfig("stream")) as tracker:
        with pytest.raises(UsageError, match="max_rows"):
            tracker.track_dataset(rows.to_iterable_dataset(), "s")
        made = tracker.track_dataset(rows.to_iterable_dataset(), "s", max_rows=10)
    assert made
    assert (made.rows, made.sampled) == (10, True)


def test_a_loader_and_a_dataset_that_draws_leave_the_training_alone() -> None:
    torch = pytest.importorskip("torch")

    class Noisy(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> Any:
            return torch.rand(2)

    with ExperimentTracker(TrackingConfig("noisy")) as tracker:
        with pytest.raises(UsageError, match=r"loader\.dataset"):
            tracker.track_dataset(torch.utils.data.DataLoader(Noisy()), "d")
        tracker.set_seeds(1)
        expected = torch.rand(3)
        tracker.set_seeds(1)
        tracker.track_dataset(Noisy(), "d")
        assert torch.equal(torch.rand(3), expected)


def test_saved_weights_open_with_the_official_package() -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    model = torch.nn.Sequential(torch.nn.Linear(5, 3).to(torch.bfloat16), torch.nn.BatchNorm1d(3))
    model[1].weight = torch.nn.Parameter(torch.ones(3).to(torch.float8_e4m3fn), requires_grad=False)
    with ExperimentTracker(TrackingConfig("w", save_model_weights=True)) as tracker:
        made = tracker.track_model(model, "m")
    assert made
    assert tracker.dir
    loaded = safetensors.load_file(tracker.dir / str(made.weights_file))
    state = model.state_dict()
    assert loaded.keys() == state.keys()
    for name, tensor in state.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name].reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))
    assert f"sha256:{model_fingerprint(tracker.dir / str(made.weights_file)).weights}" == made.weights


def test_a_model_of_transformers_keeps_its_configuration() -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=50, n_positions=16)
    model = transformers.GPT2LMHeadModel(config)
    with ExperimentTracker(TrackingConfig("gpt", save_model_weights=True)) as tracker:
        made = tracker.track_model(model, "policy")
    assert made
    assert tracker.dir
    kept = json.loads((tracker.dir / str(made.architecture_file)).read_text())
    assert (kept["config"]["n_embd"], kept["class"].rsplit(".", 1)[-1]) == (8, "GPT2LMHeadModel")
    model.save_pretrained("saved")
    with ExperimentTracker(TrackingConfig("gpt")) as tracker:
        from_files = tracker.track_model("saved", "policy")
    assert from_files
    assert from_files.source == str(Path.cwd() / "saved")


WANDB = """
import sys, wandb
from rldk import ExperimentTracker, TrackingConfig
own = wandb.init(mode="offline", project="own") if sys.argv[1] == "own" else None
name = "sums" if sys.argv[1] == "id" else None
config = TrackingConfig("sums", experiment_id=name, output_dir="runs", save_to_wandb=True, wandb_project="lab",
                        tags=["sweep"], notes="why", metadata={"api_key": "s3cr3tvalue0123456789", "lr": 0.5})
with ExperimentTracker(config) as tracker:
    tracker.track_dataset([{"a": 1}], "train")
    tracker.set_seeds(42)
    tracker.add_tag("late")
    for step in range(5):
        tracker.log({"kl": 0.1 * step}, step=step)
assert (wandb.run is own)
if own:
    own.log({"loss": 1.0})
    own.finish()
"""


@pytest.mark.parametrize("whose", ["ours", "own", "id"])
def test_an_offline_run_of_wandb_has_what_was_tracked(whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    done = subprocess.run(
        [sys.executable, "-c", WANDB, whose], capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.returncode, "W&B gets no more" in done.stderr) == (0, False), done.stderr
    (file,) = Path().glob("**/offline-run-*/*.wandb")
    content = file.read_bytes()
    assert b"s3cr3tvalue0123456789" not in content
    for text in (b"sweep", b"late", b"why", read(Path("runs/sums")).datasets["train"].fingerprint.encode()):
        assert text in content, text
    table = ingest_runs(file)
    assert (file.stem == "run-sums") == (whose == "id")  # a name that others may have, too, continues no run
    assert ("kl" in table) == (whose != "own")
    if whose != "own":
        assert file.is_relative_to("runs/sums")
        assert b"lab" in content
        assert list(table["kl"]) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_wandb_that_fails_ends_no_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb = pytest.importorskip("wandb")

    def broken(**_: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(wandb, "init", broken)
    with ExperimentTracker(TrackingConfig("x", save_to_wandb=True)) as tracker:
        tracker.add_tag("t")
        tracker.log({"kl": 0.1})
    assert capsys.readouterr().err.count("W&B gets no more of this run: RuntimeError: no network") == 1
    assert read(tracker.dir).tags == ("t",)
