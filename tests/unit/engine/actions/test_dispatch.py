from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

import rldk
from rldk.core.model import Alert
from rldk.engine.actions.dispatch import Dispatcher, Outcome, Timeouts
from rldk.errors import ConfigError, UsageError
from rldk.rules.files.action import Action

Make = Callable[..., Alert]
Spawn = Callable[..., "Popen[str]"]
QUICK = Timeouts(kill_s=0.2, shell_s=5.0, http_s=5.0, backoff_s=0.01)
BOTH = frozenset({"shell", "http"})


def _play(actions: list[Action], *alerts: Alert, **options: Any) -> list[Outcome]:
    """What became of `alerts` once all was done."""
    dispatcher = Dispatcher({"kl_spike": actions}, timeouts=QUICK, **options)
    for one in alerts:
        dispatcher.submit(one)
    assert dispatcher.close(20)
    return dispatcher.outcomes()


def _brief(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(o.kind, o.status) for o in outcomes]


def test_warn_gives_its_message_and_the_recovery(alert: Make) -> None:
    told = _play([Action("warn", {"msg": "KL {value:.2f}"})], alert(), alert(), alert(event="recovered"))
    assert [(o.status, o.detail, o.event) for o in told] == [
        ("done", "KL 0.46", "begin"),
        ("done", "recovered: KL 0.46", "recovered"),
    ]


def test_a_rule_without_actions_does_nothing(alert: Make) -> None:
    assert _play([Action("warn")], alert(rule="another")) == []


def test_stop_ends_the_process_once(alert: Make, spawn: Spawn) -> None:
    child = spawn("exec sleep 60")
    told = _play([Action("stop")], alert(metric="a"), alert(metric="b"), pid=child.pid)
    assert _brief(told) == [("stop", "done")]
    assert "SIGTERM" in told[0].detail
    assert child.wait() == -signal.SIGTERM


def test_stop_grows_firm_after_its_own_timeout(alert: Make, spawn: Spawn) -> None:
    child = spawn("trap '' TERM; echo ready; while :; do sleep 0.05; done", ready=True)
    told = _play([Action("stop", {"kill_timeout_s": 0.1})], alert(), pid=child.pid)
    assert "SIGKILL" in told[0].detail
    assert child.wait() == -signal.SIGKILL


def test_stop_of_a_process_that_is_gone_is_told(alert: Make, spawn: Spawn) -> None:
    child = spawn("exit 0")
    child.wait()
    assert "had ended" in _play([Action("stop")], alert(), pid=child.pid)[0].detail


def test_what_is_not_allowed_is_skipped_and_told_beforehand(alert: Make, tmp_path: Path) -> None:
    actions = [Action("shell", {"command": ["touch", f"{tmp_path}/made"]}), Action("stop"), Action("warn")]
    assert sorted(_brief(_play(actions, alert()))) == [("shell", "skipped"), ("stop", "skipped"), ("warn", "done")]
    assert not list(tmp_path.iterdir())
    assert Dispatcher({"r": actions}).inactive() == ["r: shell needs --allow-actions shell", "r: stop needs --pid"]


def test_wrong_actions_and_pids_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="rule r: warn has no option 'mgs'; did you mean msg"):
        Dispatcher({"r": [Action("warn", {"mgs": ""})]})
    with pytest.raises(UsageError):
        Dispatcher({}, pid=os.getpid())


def test_the_sentinel_is_whole_json_and_written_once(alert: Make, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "STOP"
    actions = [Action("sentinel", {"path": str(path), "msg": "stop at {step}"})]
    told = _play(actions, alert(value=float("inf")), alert(metric="b", step=500), folders=[tmp_path])
    assert _brief(told) == [("sentinel", "done")]
    read = json.loads(path.read_text())
    assert (read["step"], read["value"], read["text"]) == (120, "Infinity", "stop at 120")
    assert list(path.parent.iterdir()) == [path]


def test_the_sentinel_replaces_a_sentinel_and_nothing_else(alert: Make, tmp_path: Path) -> None:
    (tmp_path / "old").write_text('{"step": 1}')
    (tmp_path / "link").symlink_to(tmp_path / "old")
    os.mkfifo(tmp_path / "pipe")
    names = ["new", "old", "link", ".", "pipe", "old/below"]
    actions = [Action("sentinel", {"path": str(tmp_path / name)}) for name in names]
    for _ in range(2):
        told = _play(actions, alert(), folders=[tmp_path])
        assert [o.status for o in told] == ["done", *["failed"] * 5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "new", "old", "pipe"]
    assert (tmp_path / "old").read_text() == '{"step": 1}'
    assert "old exists and is no sentinel of rldk, so it was left alone" in told[1].detail


def test_a_sentinel_elsewhere_needs_leave(alert: Make, tmp_path: Path) -> None:
    actions = [Action("sentinel", {"path": str(tmp_path / "a" / ".." / "STOP")})]
    (told,) = _play(actions, alert(), folders=[tmp_path / "a"])
    assert (told.status, "--allow-actions sentinel" in told.detail) == ("skipped", True)
    assert _brief(_play(actions, alert(), allow=frozenset({"sentinel"}))) == [("sentinel", "done")]


def test_a_command_gets_filled_arguments_and_never_options(alert: Make, tmp_path: Path) -> None:
    script = 'printf "%s|" "$@" > "$0"'
    out = tmp_path / "out"
    argv = ["sh", "-c", script, str(out), "{name}", "{value:.1f}", "a b;{step}"]
    hostile = alert(name="--output=$(id)\n", value=-0.5)
    assert _brief(_play([Action("shell", {"command": argv})], hostile, allow=BOTH)) == [("shell", "done")]
    assert out.read_text() == "output=$(id) |-0.5|a b;120|"


def test_a_failing_command_is_tried_again_and_told(alert: Make) -> None:
    told = _play([Action("shell", {"command": ["sh", "-c", "echo no; exit 3"]})], alert(), allow=BOTH, retries=2)
    assert (told[0].status, told[0].attempts, told[0].detail) == ("failed", 3, "sh exited with 3: no")


@pytest.mark.parametrize("command", [["/nonexistent"], ["echo", "\0"], ["sleep", "60"]])
def test_a_command_that_cannot_end_well_is_told(alert: Make, command: list[str]) -> None:
    told = _play([Action("shell", {"command": command, "timeout_s": 0.2})], alert(), allow=BOTH)
    assert (told[0].status, told[0].attempts) == ("failed", 1)


def test_a_webhook_that_fails_once_is_tried_again(alert: Make, receiver: Any) -> None:
    receiver.script = [500]
    told = _play([Action("http", {"url": receiver.url})], alert(), allow=BOTH)
    assert (told[0].status, told[0].attempts, len(receiver.got)) == ("done", 2, 2)


def test_posts_of_one_rule_are_limited_by_the_clock(alert: Make, receiver: Any) -> None:
    clock = iter([0.0, 30.0, 61.0])
    action = Action("http", {"url": receiver.url, "msg": "{name}"})
    alerts = [alert(metric=m, name=m) for m in "abc"]
    told = _play([action], *alerts, allow=BOTH, clock=lambda: next(clock))
    assert [o.status for o in told] == ["done", "limited", "done"]
    assert [sent["text"] for _, _, sent in receiver.got] == ["a", "c"]


def test_a_slow_server_does_not_hold_back_a_stop(alert: Make, receiver: Any, spawn: Spawn) -> None:
    child = spawn("exec sleep 60")
    receiver.script = ["slow"]
    actions = [Action("http", {"url": receiver.url, "retries": 0}), Action("stop")]
    dispatcher = Dispatcher({"kl_spike": actions}, pid=child.pid, allow=BOTH, timeouts=QUICK)
    dispatcher.submit(alert())
    assert child.wait(4) == -signal.SIGTERM
    receiver.over.set()
    assert dispatcher.close(10)


@pytest.mark.slow
def test_submit_never_waits_and_losses_are_counted(alert: Make) -> None:
    slow = Action("shell", {"command": ["sleep", "60"]})
    dispatcher = Dispatcher({"kl_spike": [slow]}, allow=BOTH, timeouts=Timeouts(kill_s=0.2, shell_s=60.0))
    started = time.monotonic()
    for i in range(1000):
        dispatcher.submit(alert(metric=str(i)))
    assert time.monotonic() - started < 30, "it has waited for the first action"
    assert not dispatcher.close(0.05)
    assert dispatcher.counts()["alert", "dropped"] >= 999


def test_closing_in_a_hurry_ends_a_pause_between_attempts(alert: Make) -> None:
    patient = Timeouts(backoff_s=30.0)
    dispatcher = Dispatcher({"kl_spike": [Action("shell", {"command": ["false"]})]}, allow=BOTH, timeouts=patient)
    dispatcher.submit(alert())
    started = time.monotonic()
    assert not dispatcher.close(0.3)
    assert time.monotonic() - started < 5
    assert [(o.status, o.attempts) for o in dispatcher.outcomes()] == [("failed", 1)]


def test_outcomes_are_told_once(alert: Make) -> None:
    dispatcher = Dispatcher({"kl_spike": [Action("warn")]})
    dispatcher.submit(alert())
    assert dispatcher.close(10)
    assert len(dispatcher.outcomes()) == 1
    assert dispatcher.outcomes() == []


def test_nothing_starts_before_it_is_needed() -> None:
    before = set(threading.enumerate())
    assert Dispatcher({"r": [Action("warn")]}).close(1)
    assert set(threading.enumerate()) <= before


def test_the_http_client_is_not_loaded_until_a_webhook_is_called() -> None:
    code = (
        "import sys, rldk.engine.actions.dispatch; print({'urllib.request', 'http.client', 'ssl'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(rldk.__file__).parents[1])}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert out.stdout == "set()\n"
