"""A server that is asked in JSON: tries, time limits, the token, and what no message shows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from msgspec.structs import replace

from rldk.engine.services.json_server import JsonServer
from rldk.errors import UnreadableSource, UsageError

Answer = Callable[[BaseHTTPRequestHandler, int], None]


@contextmanager
def serving(answer: Answer, **options: Any) -> Iterator[tuple[JsonServer, list[Any]]]:
    """A server on loopback; `answer` gets the handler and the number of the request."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.headers.get("Authorization"), body))
            answer(self, len(asked))

        def log_message(self, *_: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
    try:
        address = f"http://127.0.0.1:{served.server_port}/ask?key=hunter2"
        yield JsonServer(address=address, word="judge", timeout_s=5, **options), asked
    finally:
        served.shutdown()
        served.server_close()


def says(status: int, data: bytes = b"{}", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def test_the_answer_comes_back_and_the_token_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_TOKEN", "hunter3")
    with serving(says(200, b'{"a": 1}'), token_variable="JUDGE_TOKEN") as (server, asked):
        assert server.post({"q": 2}) == {"a": 1}
    assert asked == [("Bearer hunter3", {"q": 2})]


def test_a_token_with_a_line_break_is_named_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_TOKEN", "hunter3\nX-Other: 1")
    words = "JUDGE_TOKEN holds more than printable ASCII"
    sending = serving(says(200), token_variable="JUDGE_TOKEN")
    with sending as (server, asked), pytest.raises(UsageError, match=words) as caught:
        server.post({})
    assert not asked
    assert "hunter3" not in str(caught.value)


def test_it_waits_as_long_as_the_server_says_and_not_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("rldk.engine.services.json_server.time.sleep", waits.append)

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        statuses = [(429, {"Retry_After": "7"}), (503, {}), (503, {"Retry_After": "9999"}), (200, {})]
        status, headers = statuses[number - 1]
        says(status, b"{}", **headers)(handler, number)

    with serving(answer, retries=3) as (server, _):
        assert server.post({}) == {}
    assert waits == [7.0, 14.0, 30.0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(401), "refused: status 401"),
        (says(302, Location="http://127.0.0.1:9/"), "refused: status 302"),
        (says(200, b"<html>"), "did not answer with JSON"),
        (says(200, b"[" * 100_000), "did not answer with JSON"),
        (says(200, b" " * (1 << 20) + b"{}"), "larger than 1 MiB"),
    ],
)
def test_an_answer_that_is_final_is_not_asked_for_again(answer: Answer, words: str) -> None:
    sending = serving(answer, retries=3, most_mib=1)
    with sending as (server, asked), pytest.raises(UnreadableSource, match=words) as caught:
        server.post({})
    assert len(asked) == 1
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"


def test_a_server_that_sends_a_byte_now_and_then_gets_no_more_time() -> None:
    def answer(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.02)
        except OSError:
            pass

    with serving(answer, retries=0) as (server, _), pytest.raises(UnreadableSource, match="in 1 try: timed out"):
        replace(server, timeout_s=0.2).post({})


@pytest.mark.parametrize(
    "address", ["http://me:secret@host/", "ftp://host/", "file:///etc/passwd", "http://", "http://host:port/", "x"]
)
def test_an_address_that_is_no_plain_one_is_an_error_without_its_secret(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        JsonServer(address=address, word="judge").post({})
    assert "secret" not in str(caught.value)


def test_the_message_of_an_error_is_shown_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_TOKEN", "hunter3")
    bodies = {
        b'{"error": {"message": "the context is too long"}}': "status 400 (the context is too long)",
        b'{"error": "no model\\n m"}': "status 400 (no model m)",
        b'{"detail": "hunter3 at /ask?key=hunter2"}': "status 400 ([redacted] at /ask?key=[redacted])",
        b"<html>": "status 400",
        b'{"error": {"message": [1]}}': "status 400",
    }
    for body, words in bodies.items():
        with serving(says(400, body), token_variable="JUDGE_TOKEN") as (server, _):
            with pytest.raises(UnreadableSource) as caught:
                server.post({})
            assert caught.value.message.endswith(f"refused: {words}")
