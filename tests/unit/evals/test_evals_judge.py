"""A judge behind a server on loopback: one that reads, one that takes the first answer, one that fails."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rldk.errors import NoData, UnreadableSource, UsageError
from rldk.evals import JudgeServer, judge_pairs

A = [{"prompt_id": i, "prompt": f"q{i} {{first}}", "response": "bad " * 3} for i in range(40)]
B = [
    {**row, "response": "good " * 3 if i < 30 else "bad " * 3, "human": "b" if i < 30 else "tie"}
    for i, row in enumerate(A)
]


@contextmanager
def serving(judge: Callable[[str, int], tuple[int, Any]]) -> Iterator[tuple[JudgeServer, list[Any]]]:
    """A server whose answers `judge` gives: status and body, from the question and the number of the request."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers.get("Authorization"), body))
            status, told = judge(body["messages"][0]["content"], len(asked))
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        yield JudgeServer(url=url, model="made", retries=1, timeout_s=5, concurrency=4), asked
    finally:
        server.shutdown()
        server.server_close()


def said(text: str) -> tuple[int, Any]:
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}}]}


def reads(question: str, _: int) -> tuple[int, Any]:
    first, second = (re.search(rf"\[Answer {n}\]\n(.*)", question)[1] for n in (1, 2))  # type: ignore[index]
    good = ["good" in first, "good" in second]
    return said(f"Because. [[{'tie' if good[0] == good[1] else 1 if good[0] else 2}]]")


@pytest.mark.slow
def test_a_judge_that_reads_agrees_with_itself_and_with_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "token-of-the-test")
    with serving(reads) as (server, asked):
        found, pairs = judge_pairs(A, B, server, votes=2)
    assert found.scores["win_rate"] == pytest.approx((30 + 5) / 40)
    assert found.scores["position_bias"] == 0.0
    assert found.scores["judge_agreement"] == pytest.approx(1.0)
    assert pairs[0]["votes"] == [["b", "b"], ["b", "b"]]
    assert len(asked) == 160
    assert {path for path, _, _ in asked} == {"/v1/chat/completions"}
    assert {token for _, token, _ in asked} == {"Bearer token-of-the-test"}
    assert {body["temperature"] for _, _, body in asked} == {0.0}


def test_a_judge_that_takes_the_first_answer_fails_and_gives_no_win() -> None:
    with serving(lambda question, n: said("[[1]]")) as (server, _):
        found, _pairs = judge_pairs(A, B, server)
    assert found.raw_results["position_bias"].status == "fail"
    assert found.scores["win_rate"] == 0.5
    assert not found.passed


@pytest.mark.slow
def test_a_verdict_that_cannot_be_read_is_left_out_and_said() -> None:
    with serving(lambda question, n: said("I like both.") if "q7 " in question else reads(question, n)) as (server, _):
        found, pairs = judge_pairs(A, B, server)
    assert pairs[7]["choice"] is None
    assert found.raw_results["win_rate"].n == 39
    assert "1 prompt got no verdict" in found.notes[0].text


def test_a_text_cannot_stand_in_for_another() -> None:
    with serving(reads) as (server, asked):
        judge_pairs(A, B, server, most=3)
    assert len(asked) == 6
    assert all("{first}" in body["messages"][0]["content"] for _, _, body in asked)


def test_a_busy_server_is_asked_again_and_a_refusal_is_final() -> None:
    with serving(lambda question, n: (503, {}) if n == 1 else reads(question, n)) as (server, _):
        assert judge_pairs(A[:12], B[:12], server)[0].scores["win_rate"] == 1.0
    with serving(lambda question, n: (401, {})) as (server, asked):
        with pytest.raises(UnreadableSource, match="refused: status 401"):
            server.ask("x")
        assert len(asked) == 1
    with serving(lambda question, n: (200, {"odd": 1})) as (server, _), pytest.raises(UnreadableSource):
        server.ask("x")


def test_wrong_arguments_are_errors() -> None:
    server = JudgeServer(url="http://user:secret@host/v1", model="made")
    with pytest.raises(UsageError) as caught:
        server.ask("x")
    assert "secret" not in str(caught.value)
    with pytest.raises(NoData, match="no prompt in common"):
        judge_pairs(A, [{"prompt_id": "other", "response": "x"}], server)
