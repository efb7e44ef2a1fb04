"""What a tracker records, and that it is read back by the schema of the manifest."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from examples import few
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_runs import TOKENIZER

import rldk
from rldk import ExperimentTracker, TrackingConfig
from rldk.adapters.open import open_runs
from rldk.core.codec import from_json
from rldk.core.manifest import Manifest, manifest_schema, read_manifest, status_of
from rldk.errors import MalformedInput, UnknownName, UsageError
from rldk.provenance.fingerprints.dataset import fingerprint
from rldk.provenance.fingerprints.model import model_fingerprint
from rldk.provenance.fingerprints.tokenizer import fingerprint_tokenizer
from rldk.utils.seed import SeedState, restore_seed_state, seed_context

ROWS = [{"prompt": "a", "reward": 0.5}, {"prompt": "b", "reward": 1.0}]
WEIGHTS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, dtype=np.int64)}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # a run records the repository around the current folder
    for name in ("RANK", "RLDK_DIR", "RLDK_MODE"):
        monkeypatch.delenv(name, raising=False)
    with seed_context(0):
        yield


def tracker(folder: Path, name: str = "run", **more: Any) -> ExperimentTracker:
    return ExperimentTracker(TrackingConfig(name, output_dir=folder, **more))


def read(folder: Path | None, name: str = "run.json") -> Manifest:
    assert folder is not None
    jsonschema.Draft202012Validator(manifest_schema()).validate(json.loads((folder / name).read_text()))
    found = read_manifest(folder, name)
    assert found is not None
    return found


def test_everything_that_was_recorded_is_read_back(tmp_path: Path) -> None:
    with tracker(tmp_path, "first run", tags=["a"], notes="n", metadata={"lr": 1e-4}) as run:
        run.track_dataset(ROWS, "train", {"split": "train"})
        run.track_model(WEIGHTS, "policy", {"layers": 1})
        run.set_seeds(42)
        run.add_metadata("beta", np.float64(0.1))
        run.add_tag("b")
        run.add_tag("a")
        run.log({"kl": 0.1})
        rldk.log({"kl": 0.2})
    found = read(run.dir)
    assert run.dir == tmp_path / "first-run"
    assert (found.run_id, found.name, found.status, found.records) == ("first-run", "first run", "finished", 2)
    assert (found.seed, found.tags, found.notes) == (42, ("a", "b"), "n")
    assert found.metadata == {"lr": 1e-4, "beta": 0.1}
    assert found.datasets["train"].fingerprint == f"sha256:{fingerprint(ROWS).digest}"
    assert (found.datasets["train"].rows, found.datasets["train"].metadata) == (2, {"split": "train"})
    expected = model_fingerprint(WEIGHTS)
    assert found.models["policy"].weights == f"sha256:{expected.weights}"
    assert found.models["policy"].architecture == f"sha256:{expected.architecture}"
    assert (found.models["policy"].parameters, found.redactions) == (8, None)
    assert yaml.safe_load((tmp_path / "first-run/run.yaml").read_text()) == json.loads(
        (tmp_path / "first-run/run.json").read_text()
    )
    assert {"python", "platform"} <= found.environment.keys()
    assert "numpy" in found.packages
    assert found.command


def test_the_log_of_a_tracked_run_is_its_only_log(tmp_path: Path) -> None:
    with tracker(tmp_path) as run:
        run.track_dataset(ROWS, "train")
        for step in range(3):
            run.log({"kl": 0.1}, step=step)
    folder = tmp_path / "run"
    (folder / "untracked").mkdir(exist_ok=True)
    (folder / "untracked/old.csv").write_text("step,kl\n1,9\n2,9\n")
    (found,) = open_runs(folder)
    assert found.metrics.columns["kl"].tolist() == [0.1] * 3
    assert found.meta.left_out == {}
    (folder / "run.jsonl").write_text('{"step": 7, "entropy": 2.0}\n')
    (folder / "metrics.jsonl").unlink()
    assert open_runs(folder)[0].metrics.columns["entropy"].tolist() == [2.0]  # a log of the user's is no file of ours


def test_each_call_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    run = tracker(tmp_path)
    assert run.start_experiment() == tmp_path / "run"
    assert run.start_experiment() == tmp_path / "run"
    assert status_of(read(run.dir)) == "running"
    run.track_dataset(np.arange(4), "numbers")
    assert list(read(run.dir).datasets) == ["numbers"]
    run.add_note("one")
    run.add_note("two")
    assert read(run.dir).notes == "one\ntwo"
    assert run.manifest == read(run.dir)
    assert run.finish_experiment() == run.finish_experiment() == tmp_path / "run"
    assert read(run.dir).status == "finished"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError(), "crashed", "ValueError"),
        (SystemExit(0), "finished", None),
        (SystemExit(3), "crashed", "SystemExit"),
    ],
)
def test_a_block_that_is_left_by_an_exception(
    error: BaseException, status: str, said: str | None, tmp_path: Path
) -> None:
    with pytest.raises(type(error)), tracker(tmp_path) as run:
        raise error
    assert (read(run.dir).status, read(run.dir).error) == (status, said)


def test_a_call_out_of_order_says_what_to_call(tmp_path: Path) -> None:
    run = tracker(tmp_path)
    calls = [lambda: run.add_tag("a"), lambda: run.set_seeds(1), lambda: run.track_dataset(ROWS, "d")]
    for call in (*calls, run.finish_experiment):
        with pytest.raises(UsageError, match="has not begun"):
            call()
    with run:
        pass
    for call in calls:
        with pytest.raises(UsageError, match="run is finished"):
            call()


def test_a_tokenizer_is_recorded_part_by_part(tmp_path: Path) -> None:
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    with tracker(tmp_path) as run:
        run.track_tokenizer(tmp_path / "tok", "policy")
    found = read(run.dir).tokenizers["policy"]
    assert found.digest == fingerprint_tokenizer(tmp_path / "tok").digest
    assert found.source == str(tmp_path / "tok")
    assert "vocabulary" in found.parts


def test_what_is_switched_off_is_not_recorded(tmp_path: Path) -> None:
    off: dict[str, Any] = {
        f"enable_{part}_tracking": False for part in ("dataset", "model", "environment", "seed", "git")
    }
    with tracker(tmp_path, **off, save_to_yaml=False) as run:
        assert run.track_dataset(ROWS, "d") is None
        assert run.track_model(WEIGHTS, "m") is None
        assert run.set_seeds(7) == 7
    found = read(run.dir)
    assert (found.git, found.environment, found.packages, found.seeds, found.seed) == (None, {}, {}, {}, None)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [".writer", "metrics.jsonl", "run.json"]


def test_parts_of_the_environment_are_left_out(tmp_path: Path) -> None:
    with tracker(tmp_path, capture_system_info=False, capture_pip_freeze=False) as run:
        pass
    assert read(run.dir).packages == {}
    assert "cpus" not in read(run.dir).environment
    assert "python" in read(run.dir).environment


def test_without_json_only_the_yaml_is_there(tmp_path: Path) -> None:
    with tracker(tmp_path, save_to_json=False) as run:
        run.add_tag("t")
    assert not (tmp_path / "run/run.json").exists()
    assert yaml.safe_load((tmp_path / "run/run.yaml").read_text())["tags"] == ["t"]


def test_the_states_of_the_generators_bring_the_draws_back(tmp_path: Path) -> None:
    with tracker(tmp_path, track_python_seed=True) as run:
        run.set_seeds(42)
    drawn = [random.random(), *np.random.random(3)]
    torch = "as seeded" if "torch" in sys.modules else "not loaded"
    assert read(run.dir).seeds["generators"] == {"python": "as seeded", "numpy": "as seeded", "torch": torch}
    restore_seed_state(from_json((tmp_path / "run/seeds.json").read_text(), SeedState))
    assert [random.random(), *np.random.random(3)] == drawn


def test_a_generator_that_is_not_asked_for_is_not_recorded(tmp_path: Path) -> None:
    with tracker(tmp_path, track_numpy_seed=False) as run:
        run.set_seeds(1)
    assert "numpy" not in read(run.dir).seeds["generators"]
    assert "numpy" not in json.loads((tmp_path / "run/seeds.json").read_text())["shared"]


def test_an_id_that_is_given_again_continues_the_run(tmp_path: Path) -> None:
    for part in ("one", "two"):
        with tracker(tmp_path, experiment_id="long", tags=[part], notes=part, metadata={part: 1}) as run:
            run.track_dataset(ROWS, part)
            run.log({"kl": 0.1})
            if part == "one":
                run.set_seeds(5)
    found = read(tmp_path / "long")
    assert (found.restarts, found.run_id, found.tags, found.notes) == (1, "long", ("one", "two"), "one\ntwo")
    assert (list(found.datasets), found.metadata) == (["one", "two"], {"one": 1, "two": 1})
    assert len((tmp_path / "long/metrics.jsonl").read_text().splitlines()) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["long"]


def test_a_name_that_is_given_again_is_another_run(tmp_path: Path) -> None:
    runs = [tracker(tmp_path, "a b") for _ in range(3)]
    assert [run.start_experiment() for run in runs] == [tmp_path / name for name in ("a-b", "a-b-2", "a-b-3")]
    for run in runs:
        run.finish_experiment()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "a b", "/abs", "x" * 200])
def test_an_id_that_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no name of a directory"):
        tracker(tmp_path, experiment_id=name)


def test_a_configuration_that_cannot_work_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean sha256"):
        tracker(tmp_path, dataset_checksum_algorithm="sha265")
    with pytest.raises(UsageError, match="experiment_name is empty"):
        tracker(tmp_path, " ")
    with pytest.raises(UsageError, match="list of texts"):
        tracker(tmp_path, tags="a,b")


def test_the_fields_of_the_configuration_are_those_that_are_documented() -> None:
    config = TrackingConfig(experiment_name="x")
    assert (config.wandb_project, config.tags, config.metadata, config.notes) == ("rldk-experiments", [], {}, None)
    on = [name for name in TrackingConfig.__struct_fields__ if getattr(config, name) is True]
    assert len(on) == 15
    assert (config.save_model_weights, config.save_to_wandb, config.output_dir) == (False, False, "runs")


def test_small_data_keeps_a_digest_of_each_row_and_any_data_those_of_the_leaves(tmp_path: Path) -> None:
    with tracker(tmp_path) as run:
        small = run.track_dataset(pd.DataFrame({"a": [1, 2, 3]}), "small")
        large = run.track_dataset(np.zeros(20_000), "large")
        asked = run.track_dataset(np.zeros(20_000), "asked", rows=True)
    assert small
    assert large
    assert asked
    assert (small.rows_file, large.rows_file, asked.rows_file) == ("datasets/small.rows", None, "datasets/asked.rows")
    assert (tmp_path / "run/datasets/small.rows").stat().st_size == 3 * 16
    kept = json.loads((tmp_path / "run" / str(large.leaves_file)).read_text())
    assert [bytes.fromhex(leaf) for leaf in kept["leaves"]] == list(fingerprint(np.zeros(20_000)).leaves)
    assert (kept["digest"], kept["kind"], large.bytes) == (large.fingerprint[7:], "array", 160_000)


def test_a_file_is_recorded_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    monkeypatch.chdir(tmp_path)
    with tracker(tmp_path) as run:
        made = run.track_dataset("d.jsonl", "d")
    assert made
    assert (made.source, made.bytes, made.rows) == (str(tmp_path / "d.jsonl"), 18, 2)


def test_a_part_of_a_dataset_is_marked_as_such(tmp_path: Path) -> None:
    with tracker(tmp_path) as run:
        part = run.track_dataset(ROWS * 10, "part", max_rows=5)
        whole = run.track_dataset((ROWS * 10)[:5], "whole")
    assert part
    assert whole
    assert (part.sampled, part.rows, whole.sampled) == (True, 5, False)
    assert part.fingerprint != whole.fingerprint


class Stream:
    """Rows without an end that is known."""

    def __iter__(self) -> Iterator[dict[str, int]]:
        return iter([{"a": i} for i in range(100)])


class Augmented:
    """A dataset that draws a random number for each row, as augmentations do."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> dict[str, float]:
        return {"i": i, "noise": random.random() + float(np.random.random())}


class Loader(Augmented):
    dataset, batch_sampler = ROWS, None


def test_what_tracking_would_use_up_is_refused(tmp_path: Path) -> None:
    with tracker(tmp_path) as run:
        with pytest.raises(UsageError, match="read only once"):
            run.track_dataset((row for row in ROWS), "d")
        with pytest.raises(UsageError, match=r"loader\.dataset"):
            run.track_dataset(Loader(), "d")
        with pytest.raises(UsageError, match="max_rows"):
            run.track_dataset(Stream(), "d")
        with pytest.raises(MalformedInput):
            run.track_dataset([{"a": object()}], "d")
        assert run.track_dataset(Stream(), "d", max_rows=7)
    assert (read(run.dir).status, list(read(run.dir).datasets)) == ("finished", ["d"])


def test_tracking_a_dataset_leaves_the_generators_as_they_were(tmp_path: Path) -> None:
    with tracker(tmp_path) as run:
        run.set_seeds(3)
        first = random.random(), np.random.random()
        run.set_seeds(3)
        run.track_dataset(Augmented(), "d")
        assert (random.random(), np.random.random()) == first


class Algorithm:
    """Looks like an algorithm of Stable-Baselines3, whose policy holds the weights."""

    class policy:
        @staticmethod
        def state_dict() -> dict[str, Any]:
            return WEIGHTS


def test_a_model_leaves_its_tensors_and_its_architecture(tmp_path: Path) -> None:
    with tracker(tmp_path) as run:
        made = run.track_model(WEIGHTS, "policy/best")
        assert run.track_model(Algorithm(), "sb3").weights == made.weights  # type: ignore[union-attr]
    assert made
    folder = tmp_path / "run"
    tensors = json.loads((folder / str(made.tensors_file)).read_text())["tensors"]
    expected = model_fingerprint(WEIGHTS).tensors
    assert {name: one["digest"] for name, one in tensors.items()} == {n: t.digest for n, t in expected.items()}
    assert [bytes.fromhex(leaf) for leaf in tensors["w"]["leaves"]] == list(expected["w"].leaves)
    architecture = json.loads((folder / str(made.architecture_file)).read_text())
    assert architecture["tensors"] == {
        "b": {"dtype": "int64", "shape": [2]}, "w": {"dtype": "float32", "shape": [2, 3]},
    }  # fmt: skip
    assert made.weights_file is None
    assert (folder / str(made.tensors_file)).parent == folder / "models"


def test_saved_weights_are_the_model_and_open_again(tmp_path: Path) -> None:
    with tracker(tmp_path, save_model_weights=True, save_model_architecture=False) as run:
        made = run.track_model(WEIGHTS, "policy")
    assert made
    assert made.architecture_file is None
    again = model_fingerprint(tmp_path / "run" / str(made.weights_file))
    assert f"sha256:{again.weights}" == made.weights


def test_a_type_that_safetensors_lacks_is_said(tmp_path: Path) -> None:
    with tracker(tmp_path, save_model_weights=True) as run, pytest.raises(MalformedInput, match="complex128"):
        run.track_model({"w": np.zeros(2, dtype=np.complex128)}, "policy")
    assert not list((tmp_path / "run/models").iterdir())


def test_values_of_metadata_keep_their_form(tmp_path: Path) -> None:
    values = {
        "list": np.arange(3),
        "matrix": np.eye(2),
        "series": pd.Series([1.5]),
        "large": np.zeros(2000),
        "p": Path("a"),
    }
    with tracker(tmp_path, metadata=values) as run:
        run.add_metadata("nan", float("nan"))
    found = read(run.dir).metadata
    assert (found["list"], found["matrix"], found["series"]) == ([0, 1, 2], [[1.0, 0.0], [0.0, 1.0]], [1.5])
    assert (found["large"][:3], found["p"], found["nan"]) == ("[0.", "a", "nan")


@pytest.mark.parametrize("name", ["\u4e2d" * 100, "a/b", "..", "\ud800", "x" * 300, "\0"])
def test_any_name_of_a_run_and_of_its_data_is_kept(name: str, tmp_path: Path) -> None:
    with tracker(tmp_path, f"n{name}") as run:
        made = run.track_dataset([1], name)
        run.add_tag(name)
    assert run.dir
    assert made
    assert (run.dir / str(made.rows_file)).parent == run.dir / "datasets"
    assert (run.dir / str(made.rows_file)).is_file()
    assert yaml.safe_load((run.dir / "run.yaml").read_text())["status"] == "finished"
    assert (list(read(run.dir).datasets), read(run.dir).tags) == ([name], (name,))


def test_a_snapshot_says_what_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with tracker(tmp_path) as run:
        first = run.snapshot()
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        second = run.snapshot()
    assert first
    assert second
    assert (first.changes, first.file, second.file) == ((), "snapshots/0001.json", "snapshots/0002.json")
    assert second.changes == ("OMP_NUM_THREADS was absent and is 3",)
    assert json.loads((tmp_path / "run/snapshots/0002.json").read_text())["changes"] == list(second.changes)


NAMES = st.text(st.characters(exclude_categories=()), min_size=1, max_size=12)
CALLS = st.one_of(
    st.tuples(st.just("add_tag"), NAMES),
    st.tuples(st.just("add_metadata"), NAMES.map(lambda key: f"m{key}"), st.integers(-5, 5)),
    st.tuples(st.just("track_dataset"), st.lists(st.integers(), max_size=3), NAMES),
)


@settings(max_examples=few(20))
@given(calls=st.lists(CALLS, max_size=6))
def test_any_calls_leave_what_they_say(calls: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory) -> None:
    tags: dict[str, None] = {}
    metadata: dict[str, int] = {}
    data: dict[str, str] = {}
    with tracker(tmp_path_factory.mktemp("t"), enable_environment_tracking=False, enable_git_tracking=False) as run:
        for call, *words in calls:
            getattr(run, call)(*words)
            match call:
                case "add_tag":
                    tags[words[0]] = None
                case "add_metadata":
                    metadata[words[0]] = words[1]
                case _:
                    data[words[1]] = f"sha256:{fingerprint(words[0]).digest}"
    found = read(run.dir)
    assert (found.tags, found.metadata) == (tuple(tags), metadata)
    assert {name: one.fingerprint for name, one in found.datasets.items()} == data
    for one in found.datasets.values():
        assert (run.dir / str(one.leaves_file)).is_file()  # type: ignore[operator]
