"""A whole watch of a finished log under a rule file of its own: alerts, lines, report, panel, kept in tests/golden."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rldk.adapters.live.reader import ReadOptions
from rldk.core.table import Row
from rldk.errors import UsageError
from rldk.monitor.feeds import finished_feeds
from rldk.monitor.job import MonitorOptions, watch, write_report
from rldk.monitor.panel import Panel
from rldk.monitor.recent_curves import LENGTH, RecentCurves
from rldk.monitor.reward import RewardWindow
from rldk.monitor.session import RunSession
from rldk.monitor.step_gaps import MOST_KINDS, StepGaps
from rldk.rules.files.load import load_rules
from rldk.rules.rule import Context

RULES = """
description: two limits
rules:
  - id: kl_high
    metric: kl
    condition: value > 0.5
    window: {size: 2, kind: consecutive}
    cooldown_steps: 3
    actions: [{warn: {msg: "KL {value:.2f} at {step}"}}]
  - id: reward_gone
    metric: reward_mean
    condition: value <= 0
    severity: critical
  - id: entropy_low
    metric: entropy
    condition: value < 1
"""


class Heard:
    """A screen that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.documents: list[dict[str, Any]] = []
        self.shown = 0

    def alert(self, line: str, document: dict[str, Any]) -> None:
        self.lines.append(line)
        self.documents.append(document)

    def warn(self, text: str) -> None:
        self.lines.append(f"warned: {text}")

    def show(self, sessions: Any) -> None:
        self.shown += 1

    def close(self) -> None: ...


def _rows() -> Iterator[str]:
    """Two KL episodes of which the first ends, a lost reward that lasts, a line that is none, a gap and a step back."""
    for i in range(1, 41):
        kl = 0.9 if i in (10, 11, 12) or i > 36 else 0.1
        reward = 0.5 if i < 30 else 0.0
        step = i if i < 20 else i + 10 if i < 38 else i - 3
        yield json.dumps({"step": step, "kl": kl, "reward_mean": reward}) + "\n"
        if i == 5:
            yield "{torn\n"


def _watched(tmp_path: Path, **more: Any) -> tuple[dict[str, Any], Heard]:
    (tmp_path / "log.jsonl").write_text("".join(_rows()))
    (tmp_path / "rules.yaml").write_text(RULES)
    heard = Heard()
    options = MonitorOptions(hold=False, **more)
    feeds = finished_feeds([str(tmp_path / "log.jsonl")], ReadOptions(), warn=heard.warn)
    return watch(options, feeds, load_rules(tmp_path / "rules.yaml"), heard, lambda _: None), heard


def _plain(text: str, tmp_path: Path) -> str:
    text = text.replace(str(tmp_path), "TMP")
    return re.sub(r'("(?:written|monitor|seconds)": )("[^"]*"|[\d.e+-]+)', r"\1_", text)


def test_golden_watch(golden: Callable[[str, str], None], tmp_path: Path) -> None:
    places = {"alerts": tmp_path / "a/alerts.jsonl", "alerts_txt": tmp_path / "a/alerts.txt"}
    document, heard = _watched(tmp_path, report=tmp_path / "r/report.json", reward_window=7, **places)
    assert json.loads((tmp_path / "r/report.json").read_text()) == document
    assert [json.loads(x) for x in places["alerts"].read_text().splitlines()] == heard.documents
    assert places["alerts_txt"].read_text().splitlines() == heard.lines
    parts = ["\n".join(heard.lines), json.dumps(heard.documents, indent=1), json.dumps(document, indent=1)]
    golden("watch.txt", _plain("\n=====\n".join(parts), tmp_path))


def test_an_alert_that_was_told_is_not_told_again(tmp_path: Path) -> None:
    places: dict[str, Any] = {"alerts": tmp_path / "alerts.jsonl", "state": tmp_path / "state.json"}
    _, first = _watched(tmp_path, **places)
    assert len(first.lines) == 4
    document, again = _watched(tmp_path, **places)
    assert (again.lines, document["alerts"]) == ([], {"begin": 0, "worse": 0, "recovered": 0})
    (tmp_path / "state.json").unlink()
    _, anew = _watched(tmp_path, **places)
    assert anew.lines == first.lines


def test_a_report_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as caught:
        write_report(tmp_path / "file" / "r.json", {})
    assert caught.value.hint == "check the directory and its space"
    with pytest.raises(UsageError, match="cannot write"):
        write_report(tmp_path / "r.json", {"x": float("nan")})


def test_the_reward_of_the_newest_rows() -> None:
    window = RewardWindow(4)
    assert window.summary() == {
        "window": 4, "rows": 0, "mean": None, "std": None, "trend": None, "saturation": None,
    }  # fmt: skip
    window.follow([9.0])
    assert window.summary() == {"window": 4, "rows": 1, "mean": 9.0, "std": None, "trend": None, "saturation": None}
    window.follow([0.0, 1.0, 2.0, 8.92, float("nan"), 1e300, 8.9])
    found = window.summary()
    newest = [1.0, 2.0, 8.92, 8.9]
    trend = float(np.polyfit(range(4), newest, 1)[0])
    assert found == pytest.approx(
        {"window": 4, "rows": 4, "mean": 5.205, "std": float(np.std(newest)), "saturation": 0.25, "trend": trend}
    )


def test_a_reward_is_saturated_up_to_a_hundredth_below_its_best() -> None:
    window = RewardWindow(3)
    window.follow([0.0, 100.0, 99.0])
    assert window.summary()["saturation"] == 2 / 3
    window.follow([98.99, 99.0, 98.0])
    assert window.summary()["saturation"] == 1 / 3


def test_steps_that_jump_and_turn_back() -> None:
    gaps = StepGaps()
    assert (gaps.last, gaps.count()) == (None, 0)
    gaps.follow([3])
    assert (gaps.first, gaps.last, gaps.rows, gaps.count()) == (3, 3, 1, 0)
    gaps.follow([5, 7, 11, 16, 16, 2, 4])
    assert (gaps.first, gaps.last, gaps.rows, gaps.turns, gaps.count()) == (3, 4, 8, 1, 1)
    once = StepGaps()
    once.follow([1, 2, 9])
    assert once.count() == 0  # no advance is common
    wild, step = StepGaps(), 0
    for i in range(1, MOST_KINDS + 1):
        step += i
        wild.follow([step - 1, step] if i == 1 else [step])
    assert wild.count() == 0


def test_the_newest_values_for_the_panel() -> None:
    curves = RecentCurves()
    for step in range(LENGTH + 5):
        curves.update(step, {"kl": float("nan") if step == 7 else step / 2, "reward_mean": 1.0, "other": 1.0})
    found = curves.series(1)
    assert list(curves.series(9)) == list(curves.series(2))
    (series,) = found.values()
    assert (series["rows"], series["step"][0], series["step"][-1]) == (LENGTH, 5, LENGTH + 4)
    kl = curves.series(9)["kl"]
    assert (kl["gaps"], len(kl["step"]), kl["value"][0]) == ([7], LENGTH - 1, 2.5)


def test_golden_panel(golden: Callable[[str, str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    rules = load_rules(tmp_path / "rules.yaml")
    now = iter([0.0, 0.2, 0.25, 0.3, 0.6, 61.4, 70.0])
    panel = Panel("log.jsonl", "mine", clock=lambda: next(now))
    drawn: list[str] = []

    def draw(picture: Any, *, refresh: bool) -> None:
        console = Console(width=100, record=True, file=io.StringIO(), color_system=None)
        console.print(picture)
        drawn.append(console.export_text())

    panel._live.update = draw
    session = RunSession(rules.rules, Context(), run="one", curves=RecentCurves())
    silent = RunSession(rules.rules, Context())
    panel.show([])
    assert not drawn
    panel.show([])
    session.feed(Row(step=1000 + i, values={"kl": 0.1 * i, "reward_mean": float(i < 8)}) for i in range(12))
    panel.show([session])
    assert len(drawn) == 1
    for i in range(8):
        panel.alert(f"[warn] kl_high step {i}: high", {})
    panel.warn("a problem\x1b[0m")
    panel.show([session, silent])
    panel.close()
    capsys.readouterr()
    golden("panel.txt", "\n".join(drawn))
