from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from rldk.core.model import Alert
from rldk.engine.actions.retry import Attempt
from rldk.engine.actions.webhook import body, post

Make = Callable[..., Alert]
Receiver = Any  # the server of conftest


def _post(receiver: Receiver, alert: Alert, path: str = "/hook", timeout_s: float = 5.0, **options: Any) -> Attempt:
    return post({"url": receiver.url + path, **options}, alert, timeout_s=timeout_s)


def test_the_alert_arrives_as_json(receiver: Receiver, alert: Make) -> None:
    assert _post(receiver, alert(), "/hook?key=secret") == Attempt(True, f"{receiver.url} answered 200")
    path, headers, sent = receiver.got[0]
    assert (path, headers["Content-Type"]) == ("/hook?key=secret", "application/json")
    assert (sent["rule"], sent["event"], sent["step"], sent["value"]) == ("kl_spike", "begin", 120, 0.4567)


@pytest.mark.parametrize(("status", "again"), [(500, True), (503, True), (429, True), (404, False), (403, False)])
def test_only_what_may_pass_is_tried_again(receiver: Receiver, alert: Make, status: int, again: bool) -> None:
    receiver.script = [status]
    assert _post(receiver, alert()) == Attempt(False, f"{receiver.url} answered {status}", again=again)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, alert: Make, status: int) -> None:
    receiver.script = [status]
    made = _post(receiver, alert())
    assert (made.ok, made.again, [path for path, _, _ in receiver.got]) == (False, False, ["/hook"])


@pytest.mark.parametrize("script", ["slow", "drip"])
def test_a_slow_server_costs_the_timeout_and_no_more(receiver: Receiver, alert: Make, script: str) -> None:
    receiver.script = [script]
    started = time.monotonic()
    made = _post(receiver, alert(), timeout_s=0.2)
    assert (made.ok, made.again) == (False, True)
    assert time.monotonic() - started < 2


def test_a_closed_port_may_open_again(alert: Make, receiver: Receiver) -> None:
    receiver.server_close()
    receiver.shutdown()
    made = _post(receiver, alert(), "/services/T0/secret")
    assert made.again
    assert "secret" not in made.detail


def test_secrets_come_from_the_environment_and_are_not_told(
    receiver: Receiver, alert: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", receiver.url + "/services/hidden?token=hidden")
    monkeypatch.setenv("TOKEN", "hidden")
    receiver.script = [500]
    made = post({"url": "env:HOOK", "headers": {"Authorization": "Bearer env:TOKEN"}}, alert(), timeout_s=5)
    path, headers, _ = receiver.got[0]
    assert (path, headers["Authorization"]) == ("/services/hidden?token=hidden", "Bearer hidden")
    assert "hidden" not in made.detail


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "env:RLDK_NOT_SET"}, "RLDK_NOT_SET is not set"),
        ({"url": "file:///etc/passwd"}, "not a plain"),
        ({"url": "http://user:hidden@host/"}, "not a plain"),
        ({"url": "http://good.example\\@127.0.0.1/"}, "not a plain"),
        ({"url": "http://127.0.0.1/a\r\nX: y"}, "not a plain"),
        ({"url": "http://evil.example/", "hosts": ["good.example", ".slack.com"]}, "not among the allowed hosts"),
        ({"url": "http://evilslack.com/", "hosts": [".slack.com"]}, "not among the allowed hosts"),
        ({"url": "http://127.0.0.1:1/", "headers": {"X": "é漢"}}, "UnicodeEncodeError"),
    ],
)
def test_what_must_not_be_sent_is_not(alert: Make, options: dict[str, Any], words: str) -> None:
    made = post(options, alert(), timeout_s=2)
    assert (made.ok, made.again) == (False, False)
    assert words in made.detail
    assert "hidden" not in made.detail


def test_an_allowed_host_is_sent_to(receiver: Receiver, alert: Make) -> None:
    assert _post(receiver, alert(), hosts=["127.0.0.1"]).ok


def test_slack_and_discord_get_their_shape_and_no_mentions(alert: Make) -> None:
    hostile = alert(message="<!channel> & @everyone")
    assert body({"style": "slack", "msg": "{message}"}, hostile) == {"text": "&lt;!channel&gt; &amp; @everyone"}
    discord = body({"style": "discord"}, hostile)
    assert discord["allowed_mentions"] == {"parse": []}
    assert discord["content"].startswith("warn kl_spike at step 120")


def test_a_payload_is_filled_through(alert: Make) -> None:
    payload = {"title": "{rule} {event}", "list": ["{value:.2f}", 3, None], "in": {"{name}": "{name}"}}
    filled = body({"payload": payload}, alert(event="recovered"))
    assert filled == {"title": "kl_spike recovered", "list": ["0.46", 3, None], "in": {"{name}": "kl"}}
