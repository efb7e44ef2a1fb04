"""Secrets that stand in a run's manifest and command line are in no output, whatever the format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cards.drawing import Words
from rldk.cards.picture import picture
from rldk.cards.report_view import view_of
from rldk.cli.main import main
from rldk.diagnosis import diagnose

SECRET = "s3cr3tvalue0123456789"
TOKEN = f"hf_{SECRET}{SECRET}"
CONFIG = {
    "api_key": SECRET,
    "hub": {"headers": {"Authorization": f"Bearer {SECRET}"}},
    "tracking": f"https://user:{SECRET}@example.com/x",
    "argv": ["train.py", "--hub-token", SECRET],
    "note": f"use {TOKEN}",
    "num_generations": 1,
    "use_deterministic_algorithms": True,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory of a broken run, as another tool may have written it."""
    rows = [{"step": i, "loss": 1.0 if i < 9 else float("nan"), "reward": 0.1 * i} for i in range(30)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    environment = {"variables": {"WANDB_API_KEY": SECRET, "XLA_FLAGS": f"--api_key={SECRET}"}}
    manifest = {"schema_version": 1, "run_id": "r", "config": CONFIG, "environment": environment}
    (tmp_path / "run.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["doctor", "--all"],
        *(["doctor", "--all", "--format", form] for form in ("json", "md", "html", "github", "junit", "sarif")),
        ["monitor", "--json", "--once"],
        ["validate-format", "--json"],
        ["runs", "show", "--all"],
        ["runs", "show", "--json"],
        ["runs", "list", "--json"],
        ["ingest"],
    ],
    ids="-".join,
)
def test_no_output_of_a_command_has_a_secret(words: list[str], run: Path) -> None:
    done = CliRunner().invoke(main, [*words, str(run)])
    assert done.exit_code in (0, 1, 3), done.output
    assert len(done.stdout) > 20
    assert SECRET not in done.output


@pytest.mark.slow
def test_no_written_file_has_a_secret(run: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("out")
    for name in ("r.json", "r.md", "r.html", "r.xml", "r.sarif", "r.txt"):
        CliRunner().invoke(main, ["doctor", str(run), "--all", "--output", str(out / name)])
    CliRunner().invoke(
        main, ["monitor", "--once", str(run), "--alerts", str(out / "a.jsonl"), "--report", str(out / "m.json")]
    )
    texts = {path.name: path.read_text() for path in out.iterdir()}
    assert len(texts) == 8
    assert not [name for name, text in texts.items() if SECRET in text]


def test_no_picture_has_a_secret(run: Path) -> None:
    report = diagnose(run)
    assert "DET002" in {finding.code for finding in report.findings}  # what it says comes from the manifest
    shapes = picture(view_of(report), lambda text, face, size: size * len(text), everything=True).drawing.shapes
    assert SECRET not in " ".join(shape.text for shape in shapes if isinstance(shape, Words))
