from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import PIPE, Popen
from typing import Any

import pytest
from msgspec.structs import replace

from rldk.core.model import Alert, Finding

FINDING = Finding(
    code="KL001",
    name="kl-spike",
    family="KL",
    severity="warn",
    tier=1,
    first_step=120,
    last_step=120,
    metric="kl",
    value=0.4567,
    limit=0.3,
    message="KL is 0.457",
)
ALERT = Alert(
    finding=FINDING,
    event="begin",
    rule="kl_spike",
    severity="warn",
    step=120,
    name="kl",
    value=0.4567,
    message="KL is 0.457",
    run="toy",
)


@pytest.fixture
def alert() -> Callable[..., Alert]:
    """Makes an alert; `first_step` and `metric` are those of its finding."""

    def make(first_step: int = 120, metric: str = "kl", **changes: Any) -> Alert:
        return replace(ALERT, finding=replace(FINDING, first_step=first_step, metric=metric), **changes)

    return make


@pytest.fixture
def spawn() -> Iterator[Callable[..., Popen[str]]]:
    """Starts a shell script; the processes still there at the end of the test are ended."""
    made: list[Popen[str]] = []

    def start(script: str, *, session: bool = True, ready: bool = False) -> Popen[str]:
        process = Popen(["sh", "-c", script], stdout=PIPE, text=True, start_new_session=session)
        made.append(process)
        if ready:
            assert process.stdout is not None
            process.stdout.readline()
        return process

    yield start
    for process in made:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Receiver(ThreadingHTTPServer):
    """Answers POSTs by `script` (a status, "slow", "drip"; 200 when it is used up) and keeps what it got."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.script: list[int | str] = []
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), json.loads(text)))
        step = self.server.script.pop(0) if self.server.script else 200
        if step == "slow":
            self.server.over.wait(10)
        elif step == "drip":
            while not self.server.over.wait(0.02):
                self.wfile.write(b"H")
        else:
            self.send_response(int(step))
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("no_proxy", "*")
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()
