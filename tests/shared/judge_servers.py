"""A judge behind a server on loopback."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rldk.evals import JudgeServer


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
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the one who asked has gone

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
    """Prefers an answer that holds the word good."""
    first, second = (re.search(rf"\[Answer {n}\]\n(.*)", question)[1] for n in (1, 2))  # type: ignore[index]
    good = ["good" in first, "good" in second]
    return said(f"Because. [[{'tie' if good[0] == good[1] else 1 if good[0] else 2}]]")
