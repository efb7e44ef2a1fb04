from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.rules.files.action import Action, problem


@each_of(
    "action",
    [
        Action("warn"),
        Action("warn", {"msg": "KL spike {value:.3f} at step {step}, {{braces}}"}),
        Action("stop", {"msg": "stopping", "kill_timeout_s": 3}),
        Action("sentinel", {"path": "artifacts/STOP"}),
        Action("shell", {"command": ["notify", "{name}"]}),
        Action("http", {"url": "env:SLACK_URL", "style": "slack", "hosts": ["hooks.slack.com"]}),
        Action("http", {"url": "https://h/x", "payload": {"a": [{"b": "{rule}"}, 1, None]}, "headers": {"X": "env:T"}}),
    ],
)
def test_nothing_is_wrong_with_what_is_documented(action: Action) -> None:
    assert problem(action) == ""


@each_of(
    ("kind", "options", "words"),
    [
        ("wran", {}, "did you mean warn?"),
        ("warn", {"mgs": "x"}, "did you mean msg?"),
        ("warn", {"msg": "{vlaue}"}, "did you mean value?"),
        ("warn", {"msg": "{name.__class__}"}, "no placeholder"),
        ("warn", {"msg": "{value[0]}"}, "no placeholder"),
        ("warn", {"msg": "{"}, "Single '{'"),
        ("warn", {"msg": 3}, "must be a text"),
        ("sentinel", {}, "needs path"),
        ("shell", {"command": "rm -rf {name}"}, "not a shell line"),
        ("shell", {"command": []}, "not a shell line"),
        ("http", {"url": "file:///etc/passwd"}, "http:// or https://"),
        ("http", {"url": "http://h", "headers": {"X": "a\r\nB: c"}}, "headers"),
        ("http", {"url": "http://h", "retries": True}, "0 to 10"),
        ("http", {"url": "http://h", "timeout_s": float("nan")}, "seconds"),
        ("stop", {"kill_timeout_s": float("inf")}, "seconds"),
    ],
)
def test_what_is_wrong_is_named(kind: str, options: dict[str, Any], words: str) -> None:
    assert words in problem(Action(kind, options))


def test_a_bottomless_payload_is_refused() -> None:
    payload: dict[str, Any] = {}
    payload["again"] = payload
    assert "deep" in problem(Action("http", {"url": "http://h", "payload": payload}))
