"""Runs on a W&B server, of which W&B's own client is genuine and the server is a stand-in on loopback."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rldk.adapters.open import open_run
from rldk.adapters.servers.poll import Retry
from rldk.adapters.servers.wandb import WandBFollower, WandBRun
from rldk.errors import NoData, UnreadableSource

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("wandb") is None, reason="needs the wandb package"),
    pytest.mark.filterwarnings("ignore"),  # of the client's dependencies
]

REQUESTS = json.loads((Path(__file__).parents[1] / "fixtures/wandb-api/requests.json").read_text())
RECORDED = {request["operation"] for request in REQUESTS}
SOURCE = "wandb://team/proj/abc"
VIEWER = {
    "id": "u1", "username": "u", "entity": "team", "email": "", "name": "u", "flags": "{}", "admin": False,
    "teams": {"edges": []}, "apiKeys": {"edges": []},
}  # fmt: skip


class Server(ThreadingHTTPServer):
    """Answers what the client asks of one run. `trouble`: an HTTP status to answer with, or "drop"; `asked`: so far."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rows: list[dict[str, Any]] = []
        self.state = "running"
        self.trouble: int | str | None = None
        self.asked: list[str] = []
        self.key = ""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def log(self, **values: Any) -> None:
        self.rows.append({"_step": len(self.rows), "_timestamp": 1.7e9 + len(self.rows), **values})

    def run(self) -> dict[str, Any]:
        return {
            "id": "UnVuOjE=", "projectId": "7", "name": "abc", "displayName": "brave-run-1", "state": self.state,
            "config": json.dumps({"lr": {"value": 0.1}, "wandb_api_key": {"value": "s3cr3t"}, "_wandb": {"value": {}}}),
            "commit": "deadbeef", "sweepName": None, "group": None, "jobType": None, "readOnly": False, "tags": [],
            "createdAt": "2026-01-01T00:00:00Z", "heartbeatAt": "2026-01-01T00:00:00Z", "description": "", "notes": "",
            "systemMetrics": "{}", "summaryMetrics": json.dumps({"train/loss": 9, "best": {"reward": 3}, "_step": 4}),
            "historyLineCount": len(self.rows), "user": {"name": "u", "username": "u"}, "historyKeys": self.keys(),
        }  # fmt: skip

    def keys(self) -> dict[str, Any]:
        return {"lastStep": max((row["_step"] for row in self.rows), default=-1), "sets": [], "keys": {}}

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case "ProbeRunInput":
                return {"RunType": {"fields": [{"name": "projectId"}]}}
            case "Run" | "RunHistoryKeys" if (asked["entity"], asked["project"], asked["name"]) != (
                "team",
                "proj",
                "abc",
            ):
                return {"project": {"run": None}}
            case "Run":
                return {"project": {"run": self.run()}}
            case "RunHistoryKeys":
                return {"project": {"run": {"historyKeys": self.keys()}}}
            case "RunParquetHistory":
                steps = [{"_step": row["_step"]} for row in self.rows]
                return {"project": {"run": {"parquetHistory": {"liveData": steps, "parquetUrls": []}}}}
            case "HistoryPage":
                rows = [r for r in self.rows if asked["minStep"] <= r["_step"] < asked["maxStep"]][: asked["pageSize"]]
                return {"project": {"run": {"history": [json.dumps(row) for row in rows]}}}
            case _:
                return {"viewer": VIEWER}


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/graphql":  # the client's own telemetry
            return self.reply(200, b"")
        if self.server.trouble == "drop":
            self.close_connection = True
            return None
        self.server.key = self.headers.get("Authorization", "")
        if self.server.trouble is not None:
            return self.reply(int(self.server.trouble), json.dumps({"errors": [{"message": "no"}]}).encode())
        asked = json.loads(body)
        named = re.search(r"\bquery (\w+)", asked["query"])
        operation = named[1] if named else ""
        self.server.asked.append(operation)
        return self.reply(
            200, json.dumps({"data": self.server.answer(operation, asked.get("variables") or {})}).encode()
        )

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The client's files, and the service process that newer clients start, away from the user's."""
    folder = str(tmp_path_factory.mktemp("wandb"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "TMPDIR", "WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
            patch.setenv(name, folder)
        for name in ("WANDB_ENTITY", "WANDB_PROJECT", "WANDB_MODE", "NETRC"):
            patch.delenv(name, raising=False)
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        yield
        import wandb

        wandb.teardown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{made.server_address[1]}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr("rldk.adapters.servers.wandb.TIMEOUT_S", 2)
    yield made
    made.shutdown()
    made.server_close()


def impatient(attempts: int = 2) -> Retry:
    return Retry(attempts=attempts, sleep=lambda _: None)


def test_a_whole_run(server: Server) -> None:
    for step in range(5):
        loss = "NaN" if step == 3 else 1 / (step + 1)
        server.log(
            **{"train/loss": loss, "train/global_step": 10 * step, "table": {"_type": "table-file"}, "a": {"b": 1}}
        )
    run = open_run(SOURCE)
    assert (run.id, run.meta.format, run.meta.git_sha) == ("abc", "wandb", "deadbeef")
    assert run.meta.config == {"lr": 0.1, "wandb_api_key": "[redacted]"}
    assert run.meta.environment["wandb_name"] == "brave-run-1"
    rows = list(WandBRun(SOURCE).read().table.rows())
    assert [row.step for row in rows] == [0, 10, 20, 30, 40, 40]
    assert [repr(row.values["train/loss"]) for row in rows[:-1]] == ["1.0", "0.5", "0.3333333333333333", "nan", "0.2"]
    assert {name for row in rows[:-1] for name in row.values} == {"train/loss", "a.b"}
    assert (rows[-1].phase, dict(rows[-1].values)) == ("summary", {"best.reward": 3})


def test_the_client_asks_what_was_recorded(server: Server) -> None:
    server.log(loss=1.0)
    WandBFollower(SOURCE).poll()
    assert {"Run", "RunHistoryKeys", "HistoryPage"} <= set(server.asked) <= RECORDED
    assert "MDAwMDAwMDAw" in server.key  # the API key in base64; older and newer clients differ in the user's name


def test_pages_and_gaps(server: Server) -> None:
    server.rows = [{"_step": step, "loss": step / 7} for step in (*range(2300), *range(10**6, 10**6 + 50))]
    rows = list(WandBRun(SOURCE).read().table.rows())
    assert [(row.step, row.values["loss"]) for row in rows if row.phase == "train"] == [
        (row["_step"], row["loss"]) for row in server.rows
    ]
    assert server.asked.count("HistoryPage") < 30


def test_a_growing_run_is_followed_to_its_end(server: Server) -> None:
    follower, rows = WandBFollower(SOURCE), []
    assert follower.poll() == []
    for step in range(1, 7):
        server.log(**{"train/loss": step, "train/global_step": step, "eval/loss": -step})
        rows += follower.poll()
        assert (rows[-1].step, follower.finished) == (step, False)
        if step == 3:  # another process goes on
            follower = WandBFollower(SOURCE, cursor=json.loads(json.dumps(follower.cursor)))
    server.state = "finished"
    assert (follower.poll(), follower.finished) == ([], True)
    assert [(row.step, row.phase, dict(row.values)) for row in rows] == [
        (step, *what)
        for step in range(1, 7)
        for what in (("train", {"train/loss": step}), ("eval", {"eval/loss": -step}))
    ]


def test_an_absent_run_and_an_empty_one(server: Server) -> None:
    with pytest.raises(UnreadableSource, match="has no run team/proj/other"):
        open_run("wandb://team/proj/other")
    with pytest.raises(NoData):
        open_run(SOURCE)


def test_a_refused_key(server: Server) -> None:
    server.trouble = 401
    with pytest.raises(UnreadableSource, match="does not let you read") as caught:
        WandBFollower(SOURCE, retry=impatient(5)).poll()
    assert "wandb login" in caught.value.hint


def test_no_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(UnreadableSource, match="does not let you read"):
        open_run(SOURCE)


@pytest.mark.parametrize("trouble", [503, "drop"])
def test_trouble_in_the_middle_passes(server: Server, trouble: int | str) -> None:
    server.log(loss=1.0)
    follower = WandBFollower(SOURCE, retry=impatient())
    rows = follower.poll()
    server.log(loss="Infinity")
    server.trouble = trouble
    with pytest.raises(UnreadableSource, match=r"cannot be reached \(2 attempts\)"):
        follower.poll()
    server.trouble = None
    rows += follower.poll()
    assert [row.values["loss"] for row in rows] == [1.0, math.inf]
