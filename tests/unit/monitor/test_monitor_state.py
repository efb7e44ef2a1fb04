from __future__ import annotations

import json
from pathlib import Path

import pytest
from examples import each_of

from rldk.core.model import Alert, Finding
from rldk.errors import ConfigError
from rldk.monitor.alert_json import record, text
from rldk.monitor.state import MonitorState


def _alert(step: int, *, rule: str = "KL002", run: str = "") -> Alert:
    finding = Finding(
        code=rule, name="x", family="KL", severity="warn", tier=1, first_step=step, last_step=step, metric="kl",
        value=1.0, limit=None, message="m",
    )  # fmt: skip
    return Alert(
        finding=finding,
        event="begin",
        rule=rule,
        severity="warn",
        step=step,
        name="kl",
        value=1.0,
        message="m",
        run=run,
    )


def _saved(path: Path, identity: str, *alerts: Alert) -> None:
    state = MonitorState(path)
    state.open("", identity)
    for alert in alerts:
        state.add(alert)
    state.save()


def test_what_was_said_is_not_said_again(tmp_path: Path) -> None:
    _saved(tmp_path / "s", "a", _alert(3))
    state = MonitorState(tmp_path / "s")
    state.open("", "a")
    assert [state.is_repeated(_alert(3)), state.is_repeated(_alert(3, rule="KL003")), state.is_repeated(_alert(4))] == [
        True,
        False,
        False,
    ]


def test_a_log_that_turns_out_to_have_other_steps_is_not_told_of_again(tmp_path: Path) -> None:
    state = MonitorState()
    state.open("", "a")
    state.add(_alert(3))
    state.rewind("")
    assert [state.is_repeated(_alert(step)) for step in (45, 46)] == [True, False]


def test_what_did_not_come_again_hides_no_new_alert() -> None:
    state = MonitorState()
    state.open("", "a")
    state.add(_alert(3))
    state.rewind("")
    state.end_rereading("")
    assert not state.is_repeated(_alert(50))


def test_what_was_said_of_a_row_too_early_is_expected_at_its_step_only() -> None:
    state = MonitorState()
    state.open("", "a")
    state.expect(_alert(3))
    assert [state.is_repeated(_alert(step)) for step in (4, 3, 3)] == [False, True, False]


def test_the_same_step_of_a_restarted_run_is_said(tmp_path: Path) -> None:
    _saved(tmp_path / "s", "a", _alert(3))
    state = MonitorState(tmp_path / "s")
    state.open("", "a")
    assert [state.is_repeated(_alert(3)) for _ in range(2)] == [True, False]


def test_another_run_in_its_place_is_told_of(tmp_path: Path) -> None:
    _saved(tmp_path / "s", "a", _alert(3))
    state = MonitorState(tmp_path / "s")
    state.open("", "b")
    assert not state.is_repeated(_alert(3))


def test_an_alert_in_the_file_counts_though_the_state_was_not_saved(tmp_path: Path) -> None:
    _saved(tmp_path / "s", "a")
    state = MonitorState(tmp_path / "s")
    lines = [text(record(_alert(step), monitor=state.name(""), written=0.0)) for step in (3, 4)]
    (tmp_path / "alerts").write_text(f"{lines[0]}\nnot json\n[]\n{lines[1]}\n{{}}\n" + lines[0][:40])
    state.recover(tmp_path / "alerts")
    assert [state.is_repeated(_alert(step)) for step in (3, 4, 5)] == [True, True, False]


@each_of("content", ["", "[]", "{", '{"id": 1, "sources": 3}', '{"id": 1, "sources": {"a": {}}}'])
def test_a_file_that_is_no_state_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "s").write_text(content)
    with pytest.raises(ConfigError, match="is not a monitor state"):
        MonitorState(tmp_path / "s")


def test_saving_leaves_one_whole_file(tmp_path: Path) -> None:
    _saved(tmp_path / "deep" / "s", "a", _alert(3))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["s"]
    assert json.loads((tmp_path / "deep" / "s").read_text())["sources"][""]["told"] == {'["begin", "KL002", "kl"]': 1}
