"""`rldk env-audit` as a user calls it: text, formats, lock, card, exit codes, and no secret in any of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rldk.cli.main import main
from rldk.forensics import audit_environment
from rldk.provenance.environment import VARIABLES
from rldk.provenance.hashing import file_sha256

PROGRAM = """import os
import random
import numpy as np

rng = np.random.default_rng()
for name in os.listdir("data"):
    print(name)
names = [f(name) for name in os.listdir("data")]
random.seed(3)
"""
SECRET = "hf_abcdefghij0123456789"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PROGRAM)
    return tmp_path


def audit(*words: str) -> Result:
    return CliRunner().invoke(main, ["env-audit", *words])


def report(*words: str) -> dict[str, Any]:
    done = audit(*words, "--json", "--no-lock")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_text_names_place_reason_and_fix() -> None:
    done = audit("train.py")
    assert done.exit_code == 0
    assert done.stdout.startswith("Warning: train.py:5 makes a generator without a seed.")
    for said in (
        "DET027 generator-without-seed", "train.py:5  rng = np.random.default_rng()", "- pass a seed: np.random",
        "`DET021`", "code: 1 file, 1 program: train.py", "--fail-on warn makes it 1",
    ):  # fmt: skip
        assert said.replace("`", "") in done.stdout.replace("`", ""), said
    assert done.stderr == "wrote rldk.lock\n"


def test_exit_codes(folder: Path) -> None:
    assert audit("train.py", "--no-lock", "--fail-on", "warn").exit_code == 1
    assert audit("train.py", "--no-lock", "--ignore", "DET027", "--fail-on", "warn").exit_code == 0
    assert audit("absent.py").exit_code == 3
    (folder / "empty").mkdir()
    assert audit("empty", "--no-lock").exit_code == 3
    assert audit("train.py", "--select", "DET999").exit_code == 2
    (folder / "bad.py").write_text("def f(:\n")
    done = audit("bad.py", "--no-lock")
    assert (done.exit_code, "a syntax error in line 1" in done.stdout) == (3, True)
    (folder / "rldk.lock").write_text("{}")
    assert audit("train.py").exit_code == 3


def test_the_second_call_compares_with_the_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (folder / "rldk.lock").exists()
    audit("train.py")
    written = (folder / "rldk.lock").read_text()
    assert "0 differences" in audit("train.py").stdout
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    lock = json.loads(written)
    lock["packages"]["numpy"] = "1.0"
    (folder / "rldk.lock").write_text(json.dumps(lock))
    done = audit("train.py", "--all")
    assert "Packages differ from the lock: numpy 1.0 -> " in " ".join(done.stdout.split())
    assert "Environment variables differ from the lock: OMP_NUM_THREADS 3 is new" in " ".join(done.stdout.split())
    assert json.loads((folder / "rldk.lock").read_text()) == lock
    done = audit("train.py", "--update")
    assert "numpy 1.0 -> " in done.stdout
    assert "0 differences" in audit("train.py").stdout


def test_json_has_every_place_and_the_library_gives_the_same(folder: Path) -> None:
    told = report("train.py")
    assert (told["kind"], told["passed"], told["numbers"]["files"]) == ("env_audit", False, 1)
    found = {f["code"]: f for f in told["findings"]}
    assert [p["line"] for p in found["DET021"]["evidence"]["places"]] == [6, 8]
    card, lock = audit_environment(folder / "train.py")
    assert card["verdict"] == told["verdict"]
    assert json.loads(lock)["schema_version"] == 1
    assert card["rng_map"]["random"] == {"seeded_at": ["train.py:9"], "draws": 0}
    flags = {flag["name"]: flag for flag in card["flags"]}
    assert (flags["PYTHONHASHSEED"]["fit"], flags["PYTHONHASHSEED"]["wanted"]) == (False, "0")
    assert json.loads(json.dumps(card)) == card


@pytest.mark.parametrize("form", ["md", "html", "github", "sarif", "junit", "json"])
def test_every_format_names_file_and_line(form: str, folder: Path) -> None:
    done = audit(str(folder), "--no-lock", "--format", form)
    assert done.exit_code == 0
    match form:
        case "github":
            assert "::warning file=train.py,line=5,title=DET027 generator-without-seed::train.py:5 " in done.stdout
        case "sarif":
            results = json.loads(done.stdout)["runs"][0]["results"]
            places = [r["locations"][0]["physicalLocation"] for r in results if r["ruleId"] == "DET027"]
            assert places == [{"artifactLocation": {"uri": "train.py"}, "region": {"startLine": 5}}]
        case "junit":
            assert 'name="DET027 generator-without-seed"' in done.stdout
        case _:
            assert "train.py:5" in done.stdout


def test_files_that_are_written(folder: Path) -> None:
    done = audit("train.py", "--card", "card.json", "--html", "a.html", "-o", "b.sarif", "--lock", "c.lock")
    assert done.exit_code == 0
    assert json.loads((folder / "card.json").read_text())["kind"] == "environment_card"
    assert "DET027" in (folder / "a.html").read_text()
    assert "DET027" in (folder / "b.sarif").read_text()
    assert json.loads((folder / "c.lock").read_text())["packages"]
    assert not (folder / "rldk.lock").exists()


def test_no_secret_is_in_any_output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("XLA_FLAGS", f"--api_key={SECRET}")
    (folder / "train.py").write_text(f"import os\nx = hash('{SECRET}'), f(api_key='{SECRET}', n=os.listdir('d'))\n")
    for form in ("text", "json", "md", "html", "github", "sarif", "junit"):
        done = audit("train.py", "--all", "--format", form, "--card", "card.json")
        assert "train.py" in done.output
        assert SECRET not in done.output, form
    written = "".join(p.read_text() for p in folder.iterdir() if p.name != "train.py")
    assert SECRET not in written


def test_a_hostile_name_of_a_file_does_no_harm(folder: Path) -> None:
    name = "a\x1b[31m::error::<script>.py"
    (folder / name).write_text(PROGRAM)
    for form in ("text", "github", "html", "md", "sarif"):
        done = audit(".", "--no-lock", "--all", "--format", form)
        assert "\x1b[31m" not in done.output
        assert "<script>." not in done.output or form not in ("html", "md")
    lines = audit(".", "--no-lock", "--format", "github").stdout.splitlines()
    assert not [line for line in lines if line.startswith("::error")]


def test_a_folder_of_many_files_is_read_whole(folder: Path) -> None:
    for i in range(300):
        (folder / f"m{i}.py").write_text("x = 1\n")
    (folder / "root").symlink_to("/")
    told = report(".")
    assert told["numbers"]["files"] == 301


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("torch.use_deterministic_algorithms(True)", "PYTHONHASHSEED, CUBLAS_WORKSPACE_CONFIG are not set for it"),
        (
            "import os\nos.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'\ntorch.use_deterministic_algorithms(True)",
            "and PYTHONHASHSEED is not set for it",
        ),
        (
            "from trl import GRPOConfig\nGRPOConfig(full_determinism=True)",
            "`full_determinism` is on, and PYTHONHASHSEED is",
        ),
        ("torch.manual_seed(1)", ""),
    ],
)
def test_a_program_that_asks_for_determinism_needs_its_variables(lines: str, wrong: str, folder: Path) -> None:
    (folder / "train.py").write_text(f"import torch\n{lines}\n")
    said = [f["message"] for f in report("train.py")["findings"] if f["code"] == "DET002"]
    assert bool(said) == bool(wrong)
    assert wrong in "".join(said)


def test_a_run_directory_is_audited_by_what_it_has_recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = {"python": "3.9.1", "variables": {"NVTE_ALLOW_NONDETERMINISTIC_ALGO": "1"}}
    script = {"path": "train.py", "sha256": file_sha256(folder / "train.py")}
    manifest = {"schema_version": 1, "environment": recorded, "packages": {"numpy": "1.0"}, "script": script}
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text(json.dumps(manifest))
    told = report("run")
    found = {f["code"]: f for f in told["findings"]}
    assert {"DET027", "DET050"} <= found.keys()
    assert (told["meta"]["python"], told["meta"]["source"]) == ("3.9.1", "run")
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")
    (folder / "run" / "run.json").write_text(json.dumps({**manifest, "cwd": str(folder)}))
    assert report("../run")["numbers"]["files"] == 1
    monkeypatch.chdir(folder)
    sarif = json.loads(audit("run", "--no-lock", "--format", "sarif", "--select", "DET027").stdout)
    (result,) = sarif["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "train.py"
    (folder / "train.py").write_text("changed = 1\n")
    told = report("run")
    assert told["meta"]["unread"] == {"train.py": "the script of the run is gone, or was changed since"}
    assert audit("run", "--no-lock", "--ignore", "DET050").exit_code == 3


def test_the_group_has_it_too() -> None:
    done = CliRunner().invoke(main, ["forensics", "env-audit", "train.py", "--no-lock"])
    assert "DET027" in done.stdout
