"""`rldk run --hooks`: real processes, with small stand-ins for the packages of trainers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rldk.cli.main import main

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SRC = str(ROOT / "src")
WRITER = """
class SummaryWriter:
    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None):
        print("wrote", tag, global_step)
    def add_text(self, tag, text_string, global_step=None): pass
    def close(self): print("closed")
"""
SCRIPT = """
import os, random, sys
from tensorboardX import SummaryWriter
writer = SummaryWriter()
writer.add_text("hyperparameters", "|param|value|\\n|-|-|\\n|exp_name|ppo|\\n|gamma|0.9|")
for step in range(30):
    writer.add_scalar("losses/value_loss", 1.0 if step < 20 else float("nan"), step)
    writer.add_scalar("losses/clipfrac", random.random(), step)
writer.close()
print("path", sys.path[:2], "draws", random.Random(1).random(), os.environ.get("MARK"), "sitecustomize" in sys.modules)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script, and the packages that it imports."""
    package = tmp_path / "packages" / "tensorboardX"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .writer import SummaryWriter\n")
    (package / "writer.py").write_text(WRITER)
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "packages"), SRC]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


Ran = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rldk(project: Path, capfd: pytest.CaptureFixture[str]) -> Ran:
    def call(*words: str, hooks: bool = True) -> tuple[int, str, str]:
        with contextlib.chdir(project), pytest.raises(SystemExit) as ended:
            main(["run", *(["--hooks"] if hooks else []), "--run-dir", "out", "--", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capfd.readouterr()

    return call


def _report(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "out" / "report.json").read_text())
    return found


def test_a_script_is_hooked_judged_and_otherwise_left_alone(project: Path, rldk: Ran) -> None:
    plain = subprocess.run([sys.executable, "train.py", "7"], capture_output=True, text=True, check=False)
    code, out, err = rldk(sys.executable, "train.py", "7")
    assert (code, out) == (7, plain.stdout)
    assert "[critical] training_events GRAD001 step 20" in err
    assert err.splitlines()[-1] == "rldk: hooked SummaryWriter of tensorboardX: 30 rows"
    assert _report(project)["hooks"] == {"hooked": ["SummaryWriter of tensorboardX"], "failed": {}, "rows": 30}
    jsonschema.validate(_report(project), json.loads((ROOT / "docs" / "monitor.report.schema.json").read_text()))
    folder = project / "out" / "hooks"
    assert json.loads((folder / "run.json").read_text())["config"] == {"exp_name": "ppo", "gamma": 0.9}
    assert not (folder / "training_alerts.json").exists()
    assert (project / "out" / "report.html").is_file()


def test_the_sitecustomize_of_the_user_still_runs(project: Path, rldk: Ran) -> None:
    (project / "packages" / "sitecustomize.py").write_text("import os\nos.environ['MARK'] = 'mine'\n")
    plain = subprocess.run([sys.executable, "train.py", "0"], capture_output=True, text=True, check=False)
    code, out, _ = rldk(sys.executable, "train.py", "0")
    assert (code, out) == (0, plain.stdout)
    assert "mine" in out


def test_a_hook_that_fails_is_told_and_the_script_runs_on(project: Path, rldk: Ran) -> None:
    (project / "packages" / "tensorboardX" / "writer.py").write_text(WRITER.replace("add_scalar", "write_scalar"))
    (project / "train.py").write_text("import tensorboardX\nprint('fine')\n")
    code, out, err = rldk(sys.executable, "train.py")
    assert (code, out) == (0, "fine\n")
    assert "tensorboardX.writer was not hooked: AttributeError" in err


def test_a_python_without_rldk_runs_as_it_would(project: Path, rldk: Ran) -> None:
    (project / "train.py").write_text("import sys\nsys.modules['rldk'] = None\nimport tensorboardX\nprint('fine')\n")
    code, out, err = rldk(sys.executable, "train.py")
    assert (code, out) == (0, "fine\n")
    assert "was not hooked: rldk is not installed for this Python" in err


def test_a_command_that_loads_no_trainer_is_told_so(project: Path, rldk: Ran) -> None:
    code, out, err = rldk("echo", "hello")
    assert (code, out) == (0, "hello\n")
    assert "nothing was hooked" in err


def test_a_command_that_is_not_there_leaves_no_folder(project: Path, rldk: Ran) -> None:
    assert rldk("no-such-command")[0] == 2
    assert not (project / "out").exists()


def test_each_start_has_a_folder_of_its_own(project: Path, rldk: Ran) -> None:
    for number in (1, 2):
        rldk(sys.executable, "train.py", "0")
        folder = project / "out" / ("hooks" if number == 1 else "hooks-2")
        assert len((folder / "training_events.jsonl").read_text().splitlines()) == 30
    assert _report(project)["hooks"]["rows"] == 30
