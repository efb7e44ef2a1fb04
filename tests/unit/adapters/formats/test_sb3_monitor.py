from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from examples import at_most, each_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rldk.adapters import open_run, open_runs
from rldk.adapters.formats.sb3_evaluations import SB3Evaluations
from rldk.adapters.formats.sb3_monitor import SB3Monitor
from rldk.adapters.log import Log
from rldk.adapters.source import File
from rldk.errors import MalformedInput, RldkError

A2C = Path(__file__).parents[3] / "fixtures/sb3-a2c"
MONITOR, EVALUATIONS = A2C / "train.monitor.csv", A2C / "eval/evaluations.npz"


def read_monitor(path: Path, text: str) -> Log:
    path.write_text(text)
    return SB3Monitor(path).read()


def archive(path: Path, **members: bytes) -> SB3Evaluations:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(f"{name}.npy", data)
    return SB3Evaluations(path)


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array))
    return stream.getvalue()


def test_an_episode_stands_at_the_steps_taken_so_far() -> None:
    log = SB3Monitor(MONITOR).read()
    assert log.table.step.tolist() == np.cumsum(log.table.columns["l"]).tolist()
    assert log.table.columns["r"].tolist() == log.table.columns["l"].tolist()  # CartPole: one point a step


def test_times_are_unix_seconds_from_the_opening_line() -> None:
    log = SB3Monitor(MONITOR).read()
    assert 1795175605 < log.table.time[0] < log.table.time[-1] < 1795175700
    assert log.config == {"env_id": "CartPole-v1"}


def test_keywords_of_the_episode_are_metrics(tmp_path: Path) -> None:
    log = read_monitor(tmp_path / "m.csv", '#{"t_start": 10.0}\nr,l,t,is_success\n1.5,3,2.0,True\n')
    assert log.table.columns["is_success"].tolist() == [1.0]
    assert log.table.time.tolist() == [12.0]


@each_of("line", ["1.0,2", "x,2,3", "1.0,2.5,3", "1.0,-2,3", "1.0,1e300,3", "1,2,3,4"])
def test_a_bad_episode_is_rejected_alone(tmp_path: Path, line: str) -> None:
    log = read_monitor(tmp_path / "m.csv", f"#not json\nr,l,t\n1,2,3\n{line}\n1,2,4\n")
    assert log.table.step.tolist() == [2, 4]
    assert (log.lines, log.rejected_count, log.rejected[0].line) == (3, 1, 4)


def test_a_torn_last_episode_is_not_counted(tmp_path: Path) -> None:
    log = read_monitor(tmp_path / "m.csv", "#{}\nr,l,t\n1,2,3\n1,20,3.1")
    assert (log.table.step.tolist(), log.rejected[0].reason) == ([2], "the last line is torn")


def test_evaluations_are_means_over_episodes() -> None:
    log = SB3Evaluations(EVALUATIONS).read()
    kept = np.load(EVALUATIONS)
    assert log.table.step.tolist() == kept["timesteps"].tolist() == [5000, 10000, 15000, 20000]
    assert log.table.columns["eval/mean_reward"].tolist() == kept["results"].mean(axis=1).tolist()
    assert set(log.table.phase) == {1}


def test_successes_are_a_rate(tmp_path: Path) -> None:
    data = {"timesteps": npy([5, 9]), "results": npy([[1.0, 2.0]] * 2), "successes": npy([[True, False]] * 2)}
    log = archive(tmp_path / "e.npz", **data).read()
    assert log.table.columns["eval/success_rate"].tolist() == [0.5, 0.5]


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    pickled = npy(np.array([[1], [2, 3]], dtype=object))
    with pytest.raises(MalformedInput, match="does not hold numbers"):
        archive(tmp_path / "e.npz", timesteps=npy([5, 9]), results=pickled).read()


@each_of("shape", [b"(9999999999, 9999999)", b"(9**9, 9)", b"(1, 2)", b"(-1, 1)", b"(((((("])
def test_a_header_that_promises_too_much_is_refused_before_memory_is_asked_for(tmp_path: Path, shape: bytes) -> None:
    lying = npy(np.zeros((1, 1))).replace(b"(1, 1)", shape, 1)
    with pytest.raises(MalformedInput):
        archive(tmp_path / "e.npz", timesteps=npy([5]), results=lying).read()


@given(arrays(st.sampled_from(["<i4", ">f8", "f4", "u1", "?"]), array_shapes(min_dims=2, max_dims=2)), st.booleans())
def test_arrays_are_read_as_numpy_wrote_them(
    tmp_path_factory: pytest.TempPathFactory, results: np.ndarray, fortran: bool
) -> None:
    kept = np.asfortranarray(results) if fortran else results
    steps = np.arange(len(results))
    log = archive(tmp_path_factory.mktemp("npz") / "e.npz", timesteps=npy(steps), results=npy(kept)).read()
    with np.errstate(all="ignore"):  # infinities of both signs have no mean
        means = results.mean(axis=1, dtype=float)
    assert np.array_equal(log.table.columns["eval/mean_reward"], means, equal_nan=True)


@pytest.mark.slow
def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "e.npz", timesteps=npy([5]), results=b"\0" * (1 << 28))
    assert (tmp_path / "e.npz").stat().st_size < 1 << 20
    with pytest.raises(MalformedInput, match="unpacks to more than"):
        bomb.read()


@settings(max_examples=at_most(60))
@given(st.integers(0, 1121), st.binary(min_size=1, max_size=8))
def test_a_damaged_archive_gives_rows_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, noise: bytes
) -> None:
    path = tmp_path_factory.mktemp("npz") / "evaluations.npz"
    whole = EVALUATIONS.read_bytes()
    path.write_bytes(whole[:position] + noise + whole[position + len(noise) :])
    with contextlib.suppress(RldkError):
        assert set(SB3Evaluations(path).read().table.columns) <= {"eval/mean_reward", "eval/mean_ep_length"}


def test_only_its_own_archives_are_claimed(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", weights=np.zeros(3))
    assert SB3Evaluations.sniff(File(tmp_path / "weights.npz")) == 0


def test_an_episode_has_a_return_and_a_length_that_rules_know() -> None:
    run = open_run(A2C / "train.monitor.csv")
    assert run.meta.names == {"reward_mean": "r", "response_length_mean": "l"}


def worker(path: Path, start: float, *episodes: tuple[float, int, float]) -> None:
    lines = [f'# {{"t_start": {start}, "env_id": "Cars-v0"}} ', "r,l,t", *(f"{r},{n},{t}" for r, n, t in episodes)]
    path.write_text("\n".join(lines) + "\n")


def test_the_files_of_several_workers_are_one_run_in_the_order_of_time(tmp_path: Path) -> None:
    worker(tmp_path / "0.0.monitor.csv", 100.0, (1.0, 10, 1.0), (3.0, 10, 9.0))
    worker(tmp_path / "1.0.monitor.csv", 101.0, (2.0, 5, 2.0))
    run = open_run(tmp_path)
    assert (run.metrics.columns["r"].tolist(), run.metrics.step.tolist()) == ([1.0, 2.0, 3.0], [10, 15, 25])
    assert run.id == tmp_path.name
    assert (run.meta.config["env_id"], len(run.meta.files), run.rejected_count) == ("Cars-v0", 2, 0)


def test_monitors_of_training_and_evaluation_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "eval").mkdir()
    for name in ("train.monitor.csv", "eval.monitor.csv", "eval/monitor.csv"):
        worker(tmp_path / name, 100.0, (1.0, 10, 1.0))
    assert len(open_runs(tmp_path)) == 3


def test_a_torn_line_of_one_worker_is_counted(tmp_path: Path) -> None:
    for n in range(2):
        worker(tmp_path / f"{n}.monitor.csv", 100.0, (1.0, 10, 1.0))
    with (tmp_path / "1.monitor.csv").open("a") as file:
        file.write("2.0,1")
    run = open_run(tmp_path)
    assert (run.rejected_count, run.lines) == (1, 3)


def test_episodes_without_an_opening_line_are_recognised_by_their_rows(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("r,l,t\n-1.5,10,0.5\n")
    (tmp_path / "other.csv").write_text("r,l,t\nleft,right,top\n")
    assert [SB3Monitor.sniff(File(tmp_path / name)) for name in ("m.csv", "other.csv")] == [70, 0]


def test_line_ends_that_windows_doubled(tmp_path: Path) -> None:
    (tmp_path / "monitor.csv").write_bytes(b'#{"t_start": 10.0}\r\nr,l,t\r\r\n-99.5,100,2.0\r\r\n-80,50,3.5\r\r\n')
    run = open_run(tmp_path / "monitor.csv")
    assert (run.meta.format, run.metrics.step.tolist()) == ("sb3-monitor", [100, 150])
