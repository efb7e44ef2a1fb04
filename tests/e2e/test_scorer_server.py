"""`rldk reward-drift` with a scorer behind HTTP: what a user sees when the server is slow, broken, or refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
from click.testing import CliRunner, Result

from rldk.cli.main import main

TOKEN = "hunter2-secret"
COUNT = 40


class Scorer(BaseHTTPRequestHandler):
    """Answers with the statuses that it is told, one a request, and then with scores. It repeats the token, as a
    server that was made to be debugged does."""

    statuses: ClassVar[list[int]] = []
    answer: ClassVar[str] = "good"
    asked: ClassVar[int] = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked += 1
        if self.statuses:
            self.send_response(self.statuses.pop(0), f"token was {self.headers['Authorization']}")
            self.end_headers()
            self.wfile.write(f"token was {self.headers['Authorization']}".encode())
            return
        scores = [float(len(text)) for text in body["input"]]
        self.send_response(200)
        self.send_header("X-Debug", str(self.headers["Authorization"]))
        self.end_headers()
        parts = {
            "good": [json.dumps({"scores": scores, "debug": self.headers["Authorization"]})],
            "short": [json.dumps(scores[1:])],
            "words": [f"token was {self.headers['Authorization']}"],
            "deep": ["[" * 100_000],
            "object": [json.dumps({"error": self.headers["Authorization"]})],
            "huge": ["[" + ", ".join(["1" + "0" * 400] * len(scores)) + "]"],
            "drip": [" "] * 40,
            "silent": [""] * 40,
        }[self.answer]
        for part in parts:
            try:
                self.wfile.write(part.encode())
                self.wfile.flush()
            except OSError:
                return  # the client has gone
            if len(parts) > 1:
                time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    served = ThreadingHTTPServer(("127.0.0.1", 0), Scorer)
    served.daemon_threads = True
    Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/score"
    served.shutdown()
    served.server_close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("scorer")
    rows = [{"id": i, "prompt": f"q{i}", "response": "w" * (i + 1), "score": float(i + 3)} for i in range(COUNT)]
    for name in ("prompts.jsonl", "scores.jsonl"):
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder / "prompts.jsonl", folder / "scores.jsonl"


def drift(address: str, files: tuple[Path, Path], *more: object) -> Result:
    words = ["reward-drift", address, "--scores-b", files[1], "--prompts", files[0], "--batch-size", COUNT, *more]
    return CliRunner().invoke(main, [str(word) for word in words], env={"RLDK_SCORER_TOKEN": TOKEN, "COLUMNS": "100"})


def serve(*statuses: int, answer: str = "good") -> None:
    Scorer.statuses, Scorer.answer, Scorer.asked = list(statuses), answer, 0


CASES = (
    ((401,), "good", "refused: status 401", "RLDK_SCORER_TOKEN"),
    ((404,), "good", "refused: status 404", "server's log"),
    ((500,), "good", "did not answer in 1 try: status 500", "is the server up?"),
    ((), "short", "39 scores for 40 texts", "one for each text"),
    ((), "words", "did not answer with JSON", "is it a scorer?"),
    ((), "deep", "did not answer with JSON", "is it a scorer?"),
    ((), "object", "no list of scores for 40 texts", "one for each text"),
    ((), "huge", "too large", "finite numbers"),
)


@pytest.mark.parametrize(("statuses", "answer", "words", "hint"), CASES)
def test_a_refusal_or_nonsense_is_one_sentence_without_the_token(
    address: str, files: tuple[Path, Path], statuses: tuple[int, ...], answer: str, words: str, hint: str
) -> None:
    serve(*statuses, answer=answer)
    found = drift(address, files, "--retries", 0)
    assert found.exit_code == 3
    assert found.stderr.startswith("error: http://127.0.0.1:")
    assert words in found.stderr
    assert hint in found.stderr
    assert len(found.stderr.splitlines()) == 2
    assert TOKEN not in found.output + found.stderr
    assert Scorer.asked == 1


@pytest.mark.parametrize("answer", ["drip", "silent"])
def test_a_server_that_takes_too_long_is_given_up(address: str, files: tuple[Path, Path], answer: str) -> None:
    serve(answer=answer)
    found = drift(address, files, "--retries", 0, "--timeout", 0.1)
    assert found.exit_code == 3
    assert "did not answer in 1 try: timed out" in found.stderr
    assert TOKEN not in found.stderr


@pytest.mark.slow
def test_a_server_that_fails_once_gives_a_report_without_the_token(
    address: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    serve(500)
    found = drift(address, files, "--html", tmp_path / "drift.html", "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["n"] == COUNT
    assert Scorer.asked == 2
    assert TOKEN not in found.output + (tmp_path / "drift.html").read_text()


def test_a_token_with_a_line_break_is_named_but_not_shown(address: str, files: tuple[Path, Path]) -> None:
    serve()
    words = ["reward-drift", address, "--scores-b", files[1], "--prompts", files[0]]
    found = CliRunner().invoke(main, [str(w) for w in words], env={"RLDK_SCORER_TOKEN": f"{TOKEN}\n"})
    assert (found.exit_code, Scorer.asked) == (2, 0)
    assert "RLDK_SCORER_TOKEN" in found.stderr
    assert TOKEN not in found.stderr
