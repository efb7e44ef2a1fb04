"""What commands print, and how far they say they are."""

from __future__ import annotations

import pytest

from rldk.cli.output import Progress, use_colour


def test_work_that_turns_out_to_be_more_is_expected() -> None:
    progress = Progress(2)
    assert progress.done == -1  # nothing has begun
    progress.begin("a")
    progress.expect(3)
    progress.begin("b")
    assert (progress.done, progress.total, progress.name) == (1, 5, "b")


@pytest.mark.parametrize(
    ("setting", "env", "expected"),
    [
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("auto", {}, False),  # captured output is no terminal
    ],
)
def test_colours_are_as_asked_for(
    setting: str, env: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert use_colour(setting) is expected


@pytest.mark.parametrize(("env", "expected"), [({}, True), ({"CI": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_has_colours_unless_it_is_that_of_a_machine(
    env: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **env}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert use_colour("auto") is expected
