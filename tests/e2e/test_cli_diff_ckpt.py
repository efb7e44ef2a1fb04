"""`rldk diff-ckpt` as a user calls it: text, formats, exit codes, refusals; and its how-to page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rldk.cli.main import main
from rldk.provenance.fingerprints.safetensors import write_tensors

FIXTURES = Path(__file__).parents[1] / "fixtures" / "checkpoints"
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "compare-checkpoints.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```\w*\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FIXTURES, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def diff(*words: str) -> Result:
    return CliRunner().invoke(main, ["diff-ckpt", *words])


def model(name: str, bad: float = 0.0) -> str:
    """A file with one weight of 20,000 elements; one of them is `bad`."""
    values = np.ones(20_000, np.float32)
    values[7] += bad
    write_tensors(Path(name), {"w\x1b[31m": ("float32", (20_000,))}, [("w\x1b[31m", values.view(np.uint8).data)])
    return name


def test_the_page_shows_what_is_printed() -> None:
    shown = next(block for block in BLOCKS if block.startswith("6 of 6"))
    assert diff("checkpoint-1", "checkpoint-2").output.startswith(shown)
    refusal = next(block for block in BLOCKS if block.startswith("error:"))
    assert diff("hostile.pt", "checkpoint-1").output == refusal


def test_the_code_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(next(b for b in BLOCKS if b.startswith("from rldk")), "page", "exec"), {})
    assert capsys.readouterr().out.rstrip().endswith("layers.1.mlp.bias")


@pytest.mark.slow
def test_exit_codes_follow_the_findings() -> None:
    good, other, bad = model("a.safetensors"), model("b.safetensors", 1.0), model("c.safetensors", float("nan"))
    assert diff(good, good).exit_code == 0
    assert "The checkpoints are the same" in diff(good, good).output
    assert diff(good, other).exit_code == 0
    assert diff(good, other, "--gate").exit_code == 0
    assert diff(good, other, "--gate-codes", "0,7,8").exit_code == 7
    assert diff(good, bad, "--gate-codes", "0,7,8").exit_code == 8
    assert diff(good, other, "--fail-on", "warn").exit_code == 1
    assert diff(good, other, "--gate-codes", "0,1,1", "--ignore", "CKPT012").exit_code == 0
    assert diff(good, bad).exit_code == 1
    assert diff(good, bad, "--fail-on", "never").exit_code == 0
    assert diff(good, "nothing.pt").exit_code == diff("hostile.bin", good).exit_code == 3
    assert diff(good, "distributed-1").exit_code == 3  # not one name in common
    assert diff(good, "distributed-1", "--gate-codes", "0,0,0").exit_code == 3
    assert "Not compared" in diff(good, "distributed-1").output
    assert diff(good).exit_code == 2


def test_the_document_has_every_number() -> None:
    found = json.loads(diff("checkpoint-1", "checkpoint-2", "--json").output)
    assert (found["kind"], found["same"], found["numbers"]["changed"]) == ("checkpoint_diff", False, 22)
    moved = next(t for t in found["tensors"] if t["name"] == "layers.0.mlp.weight")
    assert (moved["changed"], moved["elements"], moved["layer"], moved["part"]) == (64, 64, 0, "mlp")
    assert moved["ulps"]


@pytest.mark.slow
def test_every_format_names_the_element_and_hides_control_characters() -> None:
    good, other = model("a.safetensors"), model("b.safetensors", 1.0)
    for form in ("text", "md", "html", "github", "junit", "sarif", "json"):
        text = diff(good, other, "--format", form, "--color").output
        assert "[7]" in text.replace("\\", ""), form
        assert "w\x1b[31m" not in text, form
    assert diff(good, other, "--html", "x.html").exit_code == 0
    assert "CKPT012" in Path("x.html").read_text()


def test_it_is_there_under_forensics_too() -> None:
    called = CliRunner().invoke(main, ["forensics", "diff-ckpt", "distributed-1", "distributed-2"])
    assert (called.exit_code, called.output.split(":")[0]) == (0, "The checkpoints are the same")
