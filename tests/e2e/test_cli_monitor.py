"""`rldk monitor` as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from examples import each_of, every

from rldk.cli.main import main
from rldk.diagnosis import diagnose

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
ALERT, REPORT = (
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / f"monitor.{kind}.schema.json").read_text()))
    for kind in ("alert", "report")
)
LOGS = [
    "trl-grpo/stdout.txt",
    "trl-grpo-collapse/trainer_state.json",
    "verl-grpo-format/stdout.txt",
    "verl-grpo-format/proj/toy_grpo.jsonl",
    "sb3-ppo/log/progress.json",
    "openrlhf-ppo-format/stdout.txt",
    "sb3-a2c/stdout.txt",
    "cleanrl-ppo-hot/stdout.txt",
    "rllib-ppo/trial/result.json",
]


def monitor(*words: str, cwd: Path, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    done = run(*words, cwd=cwd, **env)
    assert done.returncode == code, done.stderr
    return done


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The command in this process; its stdin is neither a pipe nor a file."""
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(main, ["monitor", *words], env=env)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


def broken_log(path: Path, *, rows: int = 60, at: int = 30) -> Path:
    """A log whose loss becomes NaN."""
    lines = [{"step": i, "loss": 1.0 if i < at else None, "kl": 0.1 + 0.001 * (i % 7)} for i in range(rows)]
    path.write_text("".join(json.dumps(x).replace("null", "NaN") + "\n" for x in lines))
    return path


def read_alerts(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_a_real_process_reads_to_the_end_and_writes_what_validates(tmp_path: Path) -> None:
    log = broken_log(tmp_path / "m.jsonl")
    words = ["--once", str(log), "--alerts", "deep/a.jsonl", "--alerts-txt", "a.txt", "--report", "r.json"]
    command = [sys.executable, "-m", "rldk", "monitor", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=ENV)
    alerts = read_alerts(tmp_path / "deep" / "a.jsonl")
    for alert in alerts:
        ALERT.validate(alert)
    report = json.loads((tmp_path / "r.json").read_text())
    REPORT.validate(report)
    assert [(a["rule"], a["step"], a["event"]) for a in alerts] == [("GRAD001", 30, "begin")]
    assert done.stdout.startswith("[critical] GRAD001 step 30: loss is NaN")
    assert (tmp_path / "a.txt").read_text() == done.stdout.splitlines()[0] + "\n"
    assert (report["health"], report["ended"], report["source"]["lines"]) == ("critical", "the source ended", 60)


@pytest.mark.parametrize("name", every(4, LOGS))
def test_once_finds_what_doctor_finds(name: str, tmp_path: Path) -> None:
    monitor("--once", str(FIXTURES / name), "--report", "r.json", cwd=tmp_path)
    (run,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    report = diagnose(FIXTURES / name).to_dict()
    assert {part: run[part] for part in ("findings", "incidents", "checked", "skipped", "notes", "verdict")} == {
        part: report[part] for part in ("findings", "incidents", "checked", "skipped", "notes", "verdict")
    }


def test_json_is_a_line_an_alert_and_the_report(tmp_path: Path) -> None:
    done = monitor("--once", str(broken_log(tmp_path / "m.jsonl")), "--json", cwd=tmp_path)
    *alerts, report = map(json.loads, done.stdout.splitlines())
    assert [a["kind"] for a in alerts] == ["alert"]
    REPORT.validate(report)


@pytest.mark.parametrize(
    ("words", "code"),
    [((), 0), (("--exit-code",), 1), (("--exit-code", "--fail-on", "never"), 0)],
)
def test_the_exit_code_judges_only_on_request(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    monitor("--once", str(broken_log(tmp_path / "m.jsonl")), *words, cwd=tmp_path, code=code)


@each_of(
    ("words", "message"),
    [
        (("--once", "absent.jsonl"), "no such file or directory: absent.jsonl"),
        (("--once", "m.jsonl", "--rules", "ppo_saf"), "did you mean ppo_safe"),
        (("--once", "m.jsonl", "--allow-actions", "shel"), "did you mean shell"),
        (("--once", "m.jsonl", "--preset", "trll"), "did you mean trl"),
        (("--once", "m.jsonl", "--regex", "("), "not a regular expression"),
        (("--once", "m.jsonl", "--set-rule", "GRAD001.rows=x"), "--set-rule GRAD001.rows=x"),
        (("--once", "m.jsonl", "--tee"), "does not read stdin"),
    ],
)
def test_a_wrong_call_is_told_before_anything_is_read(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    broken_log(tmp_path / "m.jsonl")
    done = run(*words, cwd=tmp_path)
    assert message in done.stderr
    assert done.returncode in (2, 3)


def test_nothing_to_watch_says_what_to_do(tmp_path: Path) -> None:
    done = monitor(cwd=tmp_path, code=2)
    assert "nothing to watch" in done.stderr
    assert "RLDK_METRICS_PATH" in done.stderr


def test_the_file_of_the_environment_is_followed_when_nothing_is_named(tmp_path: Path) -> None:
    broken_log(tmp_path / "m.jsonl")
    done = monitor("--idle-timeout", "0.2", cwd=tmp_path, RLDK_METRICS_PATH="m.jsonl")
    assert done.stdout.startswith("[critical] GRAD001 step 30")


def test_the_newest_file_of_a_directory_is_followed_and_not_what_the_monitor_writes(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    broken_log(tmp_path / "runs" / "m.jsonl")
    words = ["--stream", "runs", "--alerts", "runs/found.jsonl", "--report", "r.json", "--idle-timeout", "0.2"]
    monitor(*words, cwd=tmp_path)
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["source"]["lines"], report["alerts"]["begin"]) == (60, 1)


@each_of(
    ("line", "words"),
    [
        ('{{"step": {0}, "my_loss": {1}}}', ("--field-map", '{"my_loss": "loss"}')),
        ("it {0} of 99 | L {1}", ("--regex", r"it (?P<step>\d+) .* L (?P<loss>\S+)")),
        ("progress: step={0} loss={1} lr=0.1", ("--regex", "name=value")),
        ("{{'loss': {1}, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': {0}.0}}", ("--regex", "trl")),
        ('{{"step": {0}, "train/loss": {1}}}', ("--preset", "trl")),
    ],
)
def test_names_and_texts_that_the_user_explains(line: str, words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("".join(line.format(i, 1.0 if i < 30 else "NaN") + "\n" for i in range(60)))
    done = monitor("--once", "m.txt", *words, cwd=tmp_path)
    assert "GRAD001" in done.stdout, done.stdout + done.stderr


def test_commands_run_only_when_allowed(tmp_path: Path) -> None:
    rule = {"use": "GRAD001", "actions": [{"shell": {"command": ["touch", "{rule}-{step}"]}}]}
    (tmp_path / "rules.json").write_text(json.dumps({"rules": [rule]}))
    log = str(broken_log(tmp_path / "m.jsonl"))
    done = monitor("--once", log, "--rules", "rules.json", "--report", "r.json", cwd=tmp_path)
    assert "GRAD001: shell needs --allow-actions shell" in done.stderr
    assert not (tmp_path / "GRAD001-30").exists()
    monitor("--once", log, "--rules", "rules.json", "--allow-actions", "http,shell", "--report", "r.json", cwd=tmp_path)
    assert (tmp_path / "GRAD001-30").exists()
    (action,) = json.loads((tmp_path / "r.json").read_text())["actions"]
    assert (action["kind"], action["status"]) == ("shell", "done")


def test_what_was_over_before_it_was_followed_calls_for_nothing_any_more(tmp_path: Path) -> None:
    rule = {"use": "GRAD001", "actions": [{"shell": {"command": ["touch", "acted"]}}]}
    (tmp_path / "rules.json").write_text(json.dumps({"rules": [rule]}))
    rows = ({"step": i, "loss": float("nan") if 5 <= i < 8 else 1.0} for i in range(60))
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--rules", "rules.json", "--allow-actions", "shell"]
    done = monitor("--stream", "m.jsonl", "--idle-timeout", "0.2", *words, cwd=tmp_path)
    assert "GRAD001" in done.stdout
    assert not (tmp_path / "acted").exists()
    monitor("--once", "m.jsonl", *words, cwd=tmp_path)  # a finished log is acted upon as it was written
    assert (tmp_path / "acted").exists()


def test_rules_are_changed_from_the_command_line(tmp_path: Path) -> None:
    log = str(broken_log(tmp_path / "m.jsonl"))
    done = monitor("--once", log, "--rules", "kl_drift", "--set-rule", "GRAD001.severity=warn", cwd=tmp_path)
    assert done.stdout.startswith("[warn] GRAD001")


def test_the_reward_is_summed_up_over_its_newest_rows(tmp_path: Path) -> None:
    rows = ({"step": i, "reward": 0.0 if i < 50 else 1.0} for i in range(60))
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monitor("--once", "m.jsonl", "--report", "r.json", "--reward-health-window", "20", cwd=tmp_path)
    reward = json.loads((tmp_path / "r.json").read_text())["runs"][0]["reward"]
    assert (reward["window"], reward["rows"], reward["mean"], reward["saturation"]) == (20, 20, 0.5, 0.5)


@pytest.mark.slow
def test_it_loads_nothing_heavy(tmp_path: Path) -> None:
    log = broken_log(tmp_path / "m.jsonl")
    code = (
        "import sys\nfrom rldk.cli.main import main\n"
        f"try: main(['monitor', '--once', {str(log)!r}, '--rules', 'ppo_safe'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'pandas', 'scipy', 'yaml', 'rich', 'matplotlib', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENV)
    assert done.stdout.splitlines()[-1] == "[]"
