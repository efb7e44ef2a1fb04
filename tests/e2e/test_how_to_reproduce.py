"""Every snippet of the page on reproducible runs, and the example, run in order as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rldk import diagnose
from rldk.core.manifest import read_manifest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "reproducible-run.md"
VARIABLES = {k: v for k, v in os.environ.items() if not k.startswith("RLDK_")}


@pytest.mark.slow
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    snippets = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in snippets] == ["python", "sh", "python", "sh"]
    said = []
    for kind, code in snippets:
        words = ["-c", code] if kind == "python" else ["-m", *shlex.split(code)]
        argv = [sys.executable, *words]
        done = subprocess.run(argv, cwd=tmp_path, env=VARIABLES, check=True, timeout=60, capture_output=True, text=True)
        said.append(done.stdout)
    sums, annotation = (read_manifest(tmp_path / "runs" / name) for name in ("sums", "annotation"))
    assert sums
    assert annotation
    assert (list(sums.datasets), list(sums.models), sums.seed) == (["train"], ["initial", "trained"], 42)
    assert sums.datasets["train"].fingerprint[:19] in said[1]
    assert annotation.tags == ("sweep", "late")


def test_the_page_names_what_there_is() -> None:
    from rldk import ExperimentTracker

    page = PAGE.read_text()
    calls = set(re.findall(r"`(\w+)\([^`]*\)`", page)) | set(re.findall(r"\brun\.(\w+)\(", page))
    methods = {name for name in calls if name not in {"TrackingConfig", "set_global_seed"}}
    assert methods
    assert not [name for name in methods if not hasattr(ExperimentTracker, name)]


@pytest.mark.slow
def test_the_example_ends_with_the_same_weights_for_the_same_seed(tmp_path: Path) -> None:
    weights = []
    for seed in ("42", "42", "43"):
        argv = [sys.executable, str(ROOT / "examples/tracking_demo.py"), "--out", str(tmp_path), "--seed", seed]
        done = subprocess.run(argv, env=VARIABLES, check=True, timeout=120, capture_output=True, text=True)
        weights.append(re.search(r"^weights +(\S+)$", done.stdout, re.MULTILINE)[1])  # type: ignore[index]
    assert weights[0] == weights[1] != weights[2]
    assert "these weights: 1" in done.stdout
    assert (tmp_path / "tracking-demo-3/models/trained.safetensors").is_file()
    assert [f for f in diagnose(tmp_path / "tracking-demo").findings if f.severity != "info"] == []
