"""Runs on a real MLflow server, on loopback, with a database of its own."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rldk.adapters.formats.mlflow_store import MLflowDatabase
from rldk.adapters.open import open_run
from rldk.adapters.servers.mlflow import MLflowFollower, MLflowRun
from rldk.adapters.servers.poll import RemoteFollower, Retry
from rldk.core.table import Row
from rldk.errors import UnreadableSource

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("mlflow") is None, reason="needs the mlflow package"),
    pytest.mark.filterwarnings("ignore"),  # of MLflow's own dependencies
]

WRITER = """
import sys, time
from mlflow import MlflowClient
from mlflow.entities import Metric
client, run = MlflowClient(sys.argv[1]), sys.argv[2]
for step in range(40):
    if step % 2:
        for key in ("reward", "kl"):
            client.log_metric(run, key, step / 7 if key == "kl" else -step, step=step)
    else:
        now = int(time.time() * 1000)
        client.log_batch(run, [Metric(key, step / 7 if key == "kl" else -step, now, step) for key in ("kl", "reward")])
    if step % 10 == 9:
        client.log_metric(run, "eval/reward", step, step=step)
client.set_terminated(run)
"""


class Server:
    """An `mlflow server` process."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "mlflow.db"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = ["server", "--backend-store-uri", f"sqlite:///{self.database}", "--port", str(self.port)]
        command += ["--host", "127.0.0.1", "--workers", "1", "--default-artifact-root", str(folder / "artifacts")]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "_MLFLOW"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command],
            env=environment | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self) -> None:
        limit = time.monotonic() + 120
        while time.monotonic() < limit and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=1).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        self.stop()
        pytest.fail("the MLflow server did not start")

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(self.url)

    def source(self, run: str) -> str:
        return f"mlflow://127.0.0.1:{self.port}/{run}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("mlflow"))
    made.wait()
    yield made
    made.stop()


def new_run(server: Server) -> str:
    return str(server.client().create_run("0").info.run_id)


def log(server: Server, run: str, points: list[tuple[str, float, int]]) -> None:
    """Logs (key, value, step), a millisecond apart."""
    from mlflow.entities import Metric

    start = int(time.time() * 1000) - len(points)
    metrics = [Metric(key, value, start + i, step) for i, (key, value, step) in enumerate(points)]
    for first in range(0, len(metrics), 1000):
        server.client().log_batch(run, metrics[first : first + 1000])


def flat(rows: list[Row]) -> list[tuple[int, int, str, str]]:
    return sorted((row.segment, row.step, key, repr(value)) for row in rows for key, value in row.values.items())


def test_what_was_logged_is_read(server: Server) -> None:
    run = new_run(server)
    points = [(key, value, step) for step in range(20) for key, value in (("kl", step / 7), ("loss", -0.1))]
    points += [("loss", math.nan, 20), ("loss", math.inf, 21), ("loss", -math.inf, 22), ("eval/reward", 1.5, 22)]
    log(server, run, points)
    table = MLflowRun(server.source(run)).read().table
    assert flat(list(table.rows())) == sorted((0, step, key, repr(float(value))) for key, value, step in points)
    assert table.stated_nan["loss"].tolist() == [20]


def test_what_is_known_of_the_run_comes_along(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    run, client = new_run(server), server.client()
    for key, value in (("kl", 0.5), ("system/cpu", 1.0)):
        client.log_metric(run, key, value, step=3)
    client.log_param(run, "lr", 1e-5)
    client.log_param(run, "hub_token", "hf_secret")
    client.set_tag(run, "mlflow.source.git.commit", "abc123")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    found = open_run(f"mlflow://{run}")
    assert (found.id, found.source, found.meta.format) == (run, f"mlflow://{run}", "mlflow")
    assert (found.meta.config, found.meta.git_sha) == ({"lr": 1e-5, "hub_token": "[redacted]"}, "abc123")
    assert list(found.metrics.columns) == ["kl"]
    assert any("about the machine" in note for note in found.meta.notes)


def test_pages_and_cadences_are_as_in_the_database(server: Server) -> None:
    run = new_run(server)
    points = [("kl", math.sin(step), step) for step in range(3500)]
    points += [("eval/reward", step / 3, step) for step in range(0, 3500, 500)]
    points += [("kl", math.cos(step), step) for step in range(3400, 3600)]  # restarted from a checkpoint
    log(server, run, points)
    over_http = open_run(server.source(run))
    in_database = MLflowDatabase(server.database, run=run).load_run()
    assert flat(list(over_http.metrics.rows())) == flat(list(in_database.metrics.rows()))
    assert over_http.lines == len(points)


def poll_all(follower: RemoteFollower, limit_s: float = 60) -> list[Row]:
    rows: list[Row] = []
    end = time.monotonic() + limit_s
    while not follower.finished and time.monotonic() < end:
        rows += follower.poll()
    assert follower.finished
    return rows


def test_a_growing_run_is_followed_to_its_end(server: Server) -> None:
    run = new_run(server)
    with subprocess.Popen([sys.executable, "-c", WRITER, server.url, run]) as writer:
        rows = poll_all(MLflowFollower(server.source(run)))
    assert writer.returncode == 0
    train = [row for row in rows if row.phase == "train"]
    assert [row.step for row in train] == list(range(40))
    assert all(row.values == {"kl": row.step / 7, "reward": -row.step} for row in train)
    assert [(row.step, dict(row.values)) for row in rows if row.phase == "eval"] == [
        (step, {"eval/reward": step}) for step in (9, 19, 29, 39)
    ]


def test_a_follower_goes_on_where_another_stopped(server: Server) -> None:
    run = new_run(server)
    source, cursor, rows = server.source(run), None, []
    for first in range(0, 2500, 500):
        log(server, run, [(key, step / 3, step) for step in range(first, first + 500) for key in ("kl", "loss")])
        follower = MLflowFollower(source, cursor=cursor)
        rows += follower.poll()
        cursor = follower.cursor
        assert follower.poll() == []
    server.client().set_terminated(run)
    rows += poll_all(MLflowFollower(source, cursor=cursor))
    assert [row.step for row in rows] == list(range(2500))
    assert all(row.values == {"kl": row.step / 3, "loss": row.step / 3} for row in rows)


def test_a_restart_from_an_earlier_step_is_seen(server: Server) -> None:
    now = [0.0]
    run = new_run(server)
    follower = MLflowFollower(server.source(run), retry=Retry(clock=lambda: now[0]))
    log(server, run, [("kl", 1.0, step) for step in range(50)])
    rows = follower.poll()
    log(server, run, [("kl", 2.0, step) for step in range(20, 30)])
    now[0] += 60
    rows += follower.poll()
    rows += follower.poll()
    now[0] += 60
    rows += follower.poll()
    assert [(row.segment, row.step) for row in rows if row.values["kl"] == 2.0] == [(1, step) for step in range(20, 30)]


def test_values_without_a_step_are_numbered(server: Server) -> None:
    run = new_run(server)
    log(server, run, [(key, i, 0) for i in range(30) for key in ("kl", "loss")])
    server.client().set_terminated(run)
    rows = poll_all(MLflowFollower(server.source(run)))
    assert [row.step for row in rows] == list(range(30))
    assert flat(rows) == flat(list(MLflowDatabase(server.database, run=run).read().table.rows()))


def test_an_absent_run(server: Server) -> None:
    with pytest.raises(UnreadableSource, match="has no run"):
        open_run(server.source("0" * 32))


def test_another_server_than_mlflow_is_told(server: Server) -> None:
    with pytest.raises(UnreadableSource, match="no usable answer"):
        open_run(f"mlflow://127.0.0.1:{server.port}/no/such/prefix/abc")


def test_a_server_that_goes_away(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.wait()
    run, waits = new_run(server), list[Any]()
    log(server, run, [("kl", 0.5, step) for step in range(10)])
    follower = MLflowFollower(server.source(run), retry=Retry(attempts=3, sleep=waits.append))
    rows = follower.poll()
    cursor = follower.cursor
    server.stop()
    with pytest.raises(UnreadableSource, match=r"cannot be reached \(3 attempts\)"):
        follower.poll()
    assert (len(rows), len(waits), follower.cursor) == (9, 2, cursor)
    with sqlite3.connect(server.database) as db:  # what had been logged is still there for `rldk doctor mlflow.db`
        assert db.execute("SELECT count(*) FROM metrics").fetchone() == (10,)


def test_no_server_at_all() -> None:
    waits: list[float] = []
    with pytest.raises(UnreadableSource, match="cannot be reached"):
        MLflowFollower("mlflow://127.0.0.1:9/abc", retry=Retry(attempts=2, sleep=waits.append)).poll()
    assert len(waits) == 1


def test_the_monitor_watches_a_run_to_its_end(server: Server, tmp_path: Path) -> None:
    run = new_run(server)
    log(server, run, [(key, 0.1, step) for step in range(30) for key in ("train/loss", "train/kl")])
    words = ["--from-mlflow", f"127.0.0.1:{server.port}/{run}", "--report", "r.json"]
    command = [sys.executable, "-m", "rldk", "monitor", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        log(server, run, [("train/loss", math.nan if step >= 40 else 0.1, step) for step in range(30, 60)])
        server.client().set_terminated(run)
        shown, _ = process.communicate(timeout=120)
    assert "[critical] GRAD001 step 40: loss is NaN" in shown
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["ended"], report["last_step"]) == ("the source ended", 59)
