"""Asks a chat model behind an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from rldk.engine.services.json_server import JsonServer
from rldk.errors import UnreadableSource

MOST_MIB = 4  # of an answer


class JudgeAnswer(Struct, frozen=True, kw_only=True):
    """What a judge said. `cut`: it ended at `max_tokens`."""

    text: str
    cut: bool = False


class JudgeServer(Struct, frozen=True, kw_only=True):
    """A server and the model to ask there. `url`: up to and without /chat/completions. `token_variable`: the
    environment variable with the token. `temperature`: 0 makes all votes alike. `max_tokens`: of an answer. `retries`:
    further tries after a time-out, 429 or a 5xx status. `concurrency`: questions at a time."""

    url: str
    model: str
    temperature: float = 0.0
    max_tokens: int = 512
    timeout_s: float = 60.0
    retries: int = 3
    concurrency: int = 8
    token_variable: str = "OPENAI_API_KEY"  # noqa: S105 - the name of the variable

    @property
    def place(self) -> str:
        """The server without anything secret. Raises `UsageError` for an address with a name and password."""
        return self._server().place

    @property
    def endpoint(self) -> str:
        """The address that is asked, without its query. Raises `UsageError` as `place` does."""
        return self._server().endpoint

    def body(self, question: str, *, seed: int = 0) -> dict[str, Any]:
        """What is sent. Together with the address it decides the answer."""
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": float(self.temperature),
            "max_tokens": self.max_tokens,
            "seed": seed,
        }

    def ask(self, question: str, *, seed: int = 0) -> JudgeAnswer:
        """What the model answers. Raises `UnreadableSource` where there is no answer, and `UsageError`."""
        server = self._server()
        told = server.post(self.body(question, seed=seed))
        choices = told.get("choices") if isinstance(told, Mapping) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, Mapping) else None
        text = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(text, str):
            raise UnreadableSource(f"{self.place} gave no answer of a chat", hint="is it an OpenAI-compatible server?")
        text = server.without_token(text)
        return JudgeAnswer(text=text, cut=isinstance(first, Mapping) and first.get("finish_reason") == "length")

    def _server(self) -> JsonServer:
        return JsonServer(
            address=f"{self.url.rstrip('/')}/chat/completions", word="judge", timeout_s=self.timeout_s,
            retries=self.retries, token_variable=self.token_variable, most_mib=MOST_MIB,
        )  # fmt: skip
