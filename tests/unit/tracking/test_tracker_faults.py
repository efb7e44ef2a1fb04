"""Several processes, threads, a full disk, secrets, and death at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rldk import ExperimentTracker, TrackingConfig
from rldk.core.manifest import read_manifest, status_of
from rldk.errors import MalformedInput, MissingExtra, UnreadableSource, UsageError
from rldk.tracking import record as record_module
from rldk.utils.seed import seed_context

BARE: dict[str, Any] = {"enable_environment_tracking": False, "enable_git_tracking": False}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # a run records the repository around the current folder
    for name in ("RANK", "RLDK_DIR", "RLDK_MODE"):
        monkeypatch.delenv(name, raising=False)
    with seed_context(0):
        yield


def tracker(folder: Path, **more: Any) -> ExperimentTracker:
    return ExperimentTracker(TrackingConfig("run", output_dir=folder, **{"experiment_id": "run", **BARE, **more}))


def child(code: str, *words: object, **variables: str) -> subprocess.Popen[str]:
    start = "from rldk import ExperimentTracker as T, TrackingConfig as C\nimport os, sys, time\n"
    argv = [sys.executable, "-c", start + code, *map(str, words)]
    piped = subprocess.PIPE
    return subprocess.Popen(argv, stdout=piped, stderr=piped, stdin=piped, text=True, env={**os.environ, **variables})


@pytest.mark.slow
def test_a_run_that_another_process_writes_is_refused_until_that_ends(tmp_path: Path) -> None:
    other = child(
        "T(C('run', 'run', sys.argv[1])).start_experiment(); print(1, flush=True); sys.stdin.read()", tmp_path
    )
    assert other.stdout
    assert other.stdout.readline() == "1\n"
    with pytest.raises(UsageError, match=rf"is being written by process {other.pid}"):
        tracker(tmp_path).start_experiment()
    other.kill()
    other.communicate()
    with tracker(tmp_path) as run:
        assert run.manifest.restarts == 1


def test_one_process_does_not_write_a_run_twice(tmp_path: Path) -> None:
    first = tracker(tmp_path)
    first.start_experiment()
    with pytest.raises(UsageError, match="by this process"):
        tracker(tmp_path).start_experiment()
    first.finish_experiment()
    with tracker(tmp_path):
        pass


@pytest.mark.slow
def test_processes_that_begin_together_do_not_collide(tmp_path: Path) -> None:
    code = """time.sleep(max(0, float(sys.argv[2]) - time.time()))
with T(C('a', output_dir=sys.argv[1])) as t: t.log({'x': 1})"""
    begin = time.time() + 3
    for process in [child(code, tmp_path, begin) for _ in range(6)]:
        assert process.communicate(timeout=60)[1] == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", *(f"a-{i}" for i in range(2, 7))]
    assert all((read_manifest(p) or MISSING).status == "finished" for p in tmp_path.iterdir())
    code = code.replace("'a', ", "'a', 'same', ").replace("t.log({'x': 1})", "time.sleep(2)")
    begin = time.time() + 3
    said = [p.communicate(timeout=60)[1] for p in [child(code, tmp_path, begin) for _ in range(4)]]
    assert sorted("is being written by" in text for text in said) == [False, True, True, True]


MISSING: Any = type("Missing", (), {"status": "missing"})


def test_each_rank_writes_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tracker(tmp_path) as first:
        monkeypatch.setenv("RANK", "3")
        with tracker(tmp_path) as fourth:
            first.add_tag("zero")
            fourth.add_tag("three")
            fourth.track_dataset([1], "shard")
            first.track_dataset([2], "shard")
            fourth.log({"kl": 0.1})
    found = [read_manifest(tmp_path / "run", name) for name in ("run.json", "run.rank3.json")]
    assert [(m.rank, m.tags, m.status) for m in found if m] == [
        (None, ("zero",), "finished"), (3, ("three",), "finished"),
    ]  # fmt: skip
    assert (tmp_path / "run/metrics.rank3.jsonl").is_file()
    assert len({m.datasets["shard"].rows_file for m in found if m}) == 2


def test_a_rank_without_a_shared_id_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    with tracker(tmp_path / "r", experiment_id=None) as run:
        assert run.track_dataset([1], "d") is None
        assert run.set_seeds(3) == 3
        run.add_tag("t")
        run.log({"kl": 0.1})
        assert run.snapshot() is None
    assert not (tmp_path / "r").exists()
    assert "only through experiment_id" in capsys.readouterr().err


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLDK_MODE", "disabled")
    with tracker(tmp_path / "r") as run:
        run.add_metadata("a", 1)
        assert (run.dir, run.experiment_id) == (None, "run")
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_calls_of_many_threads_are_all_kept(tmp_path: Path) -> None:
    with tracker(tmp_path, save_to_yaml=False) as run:

        def work(number: int) -> None:
            for i in range(5):
                run.add_metadata(f"{number}.{i}", i)
                run.add_tag(f"t{number}")
                run.track_dataset([number, i], f"d{number}.{i}")
                run.log({"kl": 0.1})

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = read_manifest(tmp_path / "run")
    assert found
    assert (len(found.metadata), len(found.tags), len(found.datasets), found.records) == (30, 6, 30, 30)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_changes_nothing(tmp_path: Path) -> None:
    with tracker(tmp_path) as run:
        pid = os.fork()
        if pid == 0:
            run.add_tag("child")
            run.track_dataset([1], "d")
            run.track_model({}, "m")
            run.set_seeds(1)
            run.snapshot()
            run.finish_experiment()
            os._exit(0)
        os.waitpid(pid, 0)
        with pytest.raises(UsageError, match="being written"):
            tracker(tmp_path).start_experiment()
        run.add_tag("parent")
    found = read_manifest(tmp_path / "run")
    assert found
    assert (found.tags, found.status) == (("parent",), "finished")
    assert not [name for name in ("datasets", "models", "snapshots") if (tmp_path / "run" / name).exists()]


def test_data_that_changed_within_a_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for data in ([1, 2], [1, 2], [1, 3]):
        with tracker(tmp_path) as run:
            run.track_dataset(data, "train")
    said = capsys.readouterr().err
    assert said.count("rldk: the dataset train is not what it was when this run recorded it before") == 1


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "run/models").mkdir(parents=True)
    torn, fresh = tmp_path / "run/models/.a.safetensors.ab.part", tmp_path / "run/.run.json.cd.part"
    for path in (torn, fresh):
        path.touch()
    os.utime(torn, (1, 1))
    with tracker(tmp_path):
        assert (torn.exists(), fresh.exists()) == (False, True)


def test_a_full_disk_keeps_what_was_saved_and_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with tracker(tmp_path) as run:
        run.add_tag("before")
        with monkeypatch.context() as patch:
            patch.setattr(record_module, "write_whole", full)
            run.add_tag("during")
            run.add_tag("still")
            made = run.track_dataset([1, 2], "d")
            assert (read_manifest(tmp_path / "run") or MISSING).tags == ("before",)
        assert made
        assert (made.rows_file, made.leaves_file) == (None, None)
        run.add_tag("after")
    found = read_manifest(tmp_path / "run")
    assert found
    assert (found.tags, found.status) == (("before", "during", "still", "after"), "finished")
    assert capsys.readouterr().err.count("cannot write run.json") == 1


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: the kernel refuses the write itself."""
    code = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
t = T(C('run', 'run', sys.argv[1])); t.start_experiment(); t.add_tag('kept')
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
t.add_metadata('a', 'x' * 5000); t.track_dataset(list(range(1000)), 'd'); t.finish_experiment()
print('trained')"""
    out, err = child(code, tmp_path).communicate(timeout=60)
    assert (out, "File too large" in err) == ("trained\n", True)
    found = read_manifest(tmp_path / "run")
    assert found
    assert (found.tags, status_of(found)) == (("kept",), "crashed")
    assert not list((tmp_path / "run").glob(".*.part"))


def test_what_would_make_the_manifest_unreadable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "MAX_BYTES", 1 << 17)
    with tracker(tmp_path, save_to_yaml=False) as run:
        with pytest.raises(UsageError, match="larger than"):
            run.add_metadata("a", {"a": list(range(10_000))})
        run.add_tag("t")
    assert (read_manifest(tmp_path / "run") or MISSING).tags == ("t",)


def test_a_place_that_cannot_be_written_and_a_manifest_of_others_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnreadableSource, match="cannot write the run to"):
        tracker(tmp_path / "file").start_experiment()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("[1]")
    for _ in range(2):  # the first try has not kept the directory for itself
        with pytest.raises(MalformedInput, match="no JSON object"):
            tracker(tmp_path).start_experiment()
    assert (tmp_path / "run/run.json").read_text() == "[1]"


def test_a_wandb_that_is_missing_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as Python does for a package that cannot be imported
    with pytest.raises(MissingExtra, match="wandb"):
        tracker(tmp_path, save_to_wandb=True).start_experiment()
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.writer").symlink_to(tmp_path / "victim")
    with pytest.raises(UnreadableSource):
        tracker(tmp_path).start_experiment()
    assert not (tmp_path / "victim").exists()


SECRET = "s3cr3tvalue0123456789"
HF, AWS = f"hf_{SECRET}{SECRET}", "AKIAIOSFODNN7EXAMPLE"


def test_no_file_has_a_secret_and_their_number_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("XLA_FLAGS", f"--api_key={SECRET}")
    monkeypatch.setattr(
        sys, "orig_argv", ["python", "train.py", "--hub-token", SECRET, f"--url=https://u:{SECRET}@h/x"]
    )
    metadata = {"api_key": SECRET, "deep": [{"note": f"use {HF}"}], HF: 1}
    given = {"notes": f"key {AWS}", "tags": [HF, "fine"], "metadata": metadata}
    config = TrackingConfig(f"run {HF}", output_dir=tmp_path, **given)  # type: ignore[arg-type]
    with ExperimentTracker(config) as run:
        run.add_metadata("password", SECRET)
        run.add_metadata("env", {"AWS_ACCESS_KEY_ID": AWS})
        run.add_note(f"Authorization: Bearer {SECRET}")
        run.add_tag(AWS)
        run.track_dataset([1], f"data {AWS}", {"url": f"https://u:{SECRET}@h/x"})
        run.track_model({}, HF, {"token": SECRET})
        run.snapshot()
    assert run.dir
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 8
    for path in files:
        text = f"{path} {path.read_bytes().decode('latin-1')}"
        assert not [secret for secret in (SECRET, HF, AWS) if secret in text], path
    found = read_manifest(run.dir)
    assert found
    assert (found.redactions or 0) >= 12
    assert found.tags == ("[redacted]", "fine")


def test_the_log_has_no_metric_that_is_a_secret(tmp_path: Path) -> None:
    with tracker(tmp_path) as run:
        run.log({"kl": 0.1})
    assert json.loads((tmp_path / "run/metrics.jsonl").read_text())["metrics"] == {"kl": 0.1}


@pytest.mark.slow
def test_no_program_but_git_is_started(tmp_path: Path) -> None:
    code = """
seen = []
starts = ('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn')
sys.addaudithook(lambda event, args: event in starts and seen.append(args[0]))
with T(C('run', output_dir=sys.argv[1])) as t:
    t.track_dataset([1], 'd'); t.set_seeds(1); t.snapshot()
print(sorted({os.path.basename(str(s)) for s in seen}))"""
    subprocess.run(["git", "init", "-q"], check=True)  # here, where the run is started
    out, err = child(code, tmp_path).communicate(timeout=60)
    assert (out, err) == ("['git']\n", "")


@pytest.mark.slow
def test_death_at_any_moment_leaves_a_readable_manifest(tmp_path: Path) -> None:
    code = """
t = T(C('run', 'run', sys.argv[1], save_model_weights=True)); t.start_experiment(); print(1, flush=True)
i = 0
while True:
    i += 1
    t.track_dataset([i] * 100, f'd{i % 9}'); t.add_tag(f't{i % 50}')
    t.add_metadata('i', i); t.set_seeds(i); t.log({'kl': i}, step=i)"""
    rng = random.Random(7)
    restarts = 0
    for _ in range(50):
        process = child(code, tmp_path)
        if rng.random() < 0.8:
            assert process.stdout
            process.stdout.readline()
        time.sleep(rng.random() * 0.4)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = read_manifest(tmp_path / "run") if (tmp_path / "run").is_dir() else None
        if found is None:  # it died before the first save
            continue
        assert status_of(found) == "crashed"
        assert (found.restarts or 0) >= restarts
        restarts = found.restarts or 0
        for one in found.datasets.values():
            assert (tmp_path / "run" / str(one.rows_file)).stat().st_size == 1600
    assert restarts > 20
