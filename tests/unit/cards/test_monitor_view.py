"""The report of a monitor in every format that a report has."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from click.testing import CliRunner

from rldk.cards.monitor import monitor_view
from rldk.cli.main import main


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rows = ({"step": i, "loss": 1 / i if i < 31 else float("nan"), "reward": float(i % 7)} for i in range(1, 61))
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _report(log: Path, name: str) -> str:
    path = log.parent / name
    result = CliRunner().invoke(main, ["monitor", "--once", str(log), "--report", str(path)])
    assert (result.exit_code, result.exception) == (0, None)
    return path.read_text()


def test_the_view_has_every_finding_and_what_was_not_checked(log: Path) -> None:
    document = json.loads(_report(log, "report.json"))
    view = monitor_view(document)
    (run,) = document["runs"]
    assert (view.kind, view.tone, view.source) == ("monitor", "critical", str(log))
    assert [p.code for p in view.problems] == [f["code"] for f in run["findings"]]
    assert len(view.unchecked) == len(run["skipped"])
    assert dict(view.sections[-1].parts[0].pairs)["ended"] == document["ended"]  # type: ignore[union-attr]


@pytest.mark.slow
def test_the_name_of_the_report_says_its_format(log: Path) -> None:
    assert _report(log, "r.md").startswith("## \N{LARGE RED CIRCLE} CRITICAL: ")
    assert "<h2>Watching</h2>" in _report(log, "r.html")
    suites = Xml.fromstring(_report(log, "r.xml"))
    assert int(suites.get("failures", "0")) >= 1
    assert json.loads(_report(log, "r.sarif"))["version"] == "2.1.0"
    assert json.loads(_report(log, "r.txt"))["kind"] == "monitor"


def test_a_run_too_short_to_judge_has_a_view_too(tmp_path: Path) -> None:
    path = tmp_path / "short.jsonl"
    path.write_text('{"step": 1, "loss": 0.5}\n')
    assert _report(path, "r.md").startswith("## \N{LARGE BLUE CIRCLE} ")
