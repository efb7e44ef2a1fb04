"""`rldk doctor` and `rldk PATH` on genuine logs and on bad input."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from examples import each_of, every

from rldk.cli.main import main

FIXTURES = Path(__file__).parents[1] / "fixtures"
COLLAPSE = str(FIXTURES / "trl-grpo-collapse")
HEALTHY = str(FIXTURES / "trl-grpo")


def run(*args: str, stdin: str | bytes | None = None, **env: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(args), input=stdin, env=env or None)
    assert "Traceback" not in result.stderr
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A log whose loss becomes NaN at step 31 and stays so."""
    rows = [
        {"step": i, "loss": 1 / i if i < 31 else math.nan, "reward": float(i % 7), "grad_norm": 1 + 1 / i}
        for i in range(1, 61)
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_path_alone_is_doctor() -> None:
    assert run(COLLAPSE) == run("doctor", COLLAPSE)


def test_the_verdict_comes_first_and_an_incident_says_what_to_do(broken: Path) -> None:
    code, out, err = run(str(broken))
    assert (code, err) == (1, "")
    assert out.startswith("Critical since step 31: ")
    assert "1. CRITICAL" in out
    for part in (
        "steps 31-60",
        "Likely causes",
        "What to try",
        "╰─",
        "×××",
        "Source",
        "rldk explain ",
        f"doctor {broken} --all",
    ):
        assert part in out


def test_a_genuine_collapse_is_named() -> None:
    document = json.loads(run("doctor", COLLAPSE, "--json", "--all")[1])
    assert {"warn", "critical"} & {f["severity"] for f in document["findings"]}
    assert document["meta"]["source"] == COLLAPSE
    assert document["meta"]["algorithm"] == "grpo"


def test_fail_on_decides_the_exit_code(broken: Path) -> None:
    assert run("doctor", str(broken), "--fail-on", "never")[0] == 0
    assert run("doctor", str(broken), "--fail-on", "warn")[0] == 1
    assert run("doctor", str(broken), RLDK_FAIL_ON="never")[0] == 0
    assert run("doctor", str(broken), "--fail-on", "critical", RLDK_FAIL_ON="never")[0] == 1
    assert run("doctor", HEALTHY)[0] == 0


@pytest.mark.slow
def test_the_exit_code_is_the_worst_of_all_inputs(broken: Path) -> None:
    code, out, err = run("doctor", str(broken), str(broken.parent / "absent"))
    assert code == 3
    assert "Critical since step 31" in out
    assert err.startswith("error: ")
    assert run("doctor", str(broken), HEALTHY)[0] == 1


@pytest.mark.slow
def test_several_runs_are_a_list_of_reports() -> None:
    document = json.loads(run("doctor", COLLAPSE, HEALTHY, "--json")[1])
    assert [r["meta"]["source"] for r in document["reports"]] == [COLLAPSE, HEALTHY]
    assert document["errors"] == []


def test_select_and_ignore_narrow_what_is_checked(broken: Path) -> None:
    code = json.loads(run("doctor", str(broken), "--json")[1])["findings"][0]["code"]
    only = json.loads(run("doctor", str(broken), "--json", "--select", code)[1])
    assert only["checked"] == [code]
    less = json.loads(run("doctor", str(broken), "--json", "--ignore", code)[1])
    assert code not in less["checked"]


@pytest.mark.parametrize("option", ["--select", "--ignore", "--adapter"])
def test_a_name_nobody_carries_is_a_usage_error(option: str) -> None:
    code, out, err = run("doctor", COLLAPSE, option, "NOPE123")
    assert (code, out) == (2, "")
    assert err.startswith("error: unknown ")


def test_html_is_written_beside_the_text(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    _, out, err = run("doctor", COLLAPSE, "--html", str(path))
    assert path.read_text().startswith("<!doctype html>")
    assert "Source" in out
    assert err == f"wrote {path}\n"


def test_html_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    code, _, err = run("doctor", COLLAPSE, "--html", str(tmp_path / "absent/report.html"))
    assert code == 2
    assert "cannot write" in err


def test_a_plain_log_is_judged_from_a_file_from_stdin_and_from_a_glob(broken: Path) -> None:
    code, out, _ = run(str(broken))
    assert code == 1
    assert out.startswith("Critical since step 31: ")
    assert run("-", stdin=broken.read_text())[1].splitlines()[0] == out.splitlines()[0]
    assert run(str(broken.parent / "*.jsonl"))[1].splitlines()[0] == out.splitlines()[0]


@pytest.mark.slow
def test_colour_is_off_in_a_pipe_and_on_when_asked(broken: Path) -> None:
    assert "\x1b" not in run(str(broken))[1]
    assert "\x1b[1;31m" in run(str(broken), FORCE_COLOR="1")[1]
    assert "\x1b" not in run(str(broken), "--no-color", FORCE_COLOR="1")[1]
    assert "\x1b" not in run(str(broken), FORCE_COLOR="1", NO_COLOR="1")[1]


def test_a_log_cannot_drive_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07<script>"
    path = tmp_path / "metrics.jsonl"
    rows = [{"step": i, "loss": math.nan if i > 9 else 1.0, evil: math.nan} for i in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)) + f"\n{evil}\n")
    for args in ((str(path), "--all"), ("validate-format", str(path)), ("ingest", str(path))):
        _, out, err = run(*args)
        assert not {"\x1b", "\x07"} & set(out + err)


def _random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(4096))


def _one_row(path: Path) -> None:
    path.write_text('{"step": 1, "reward": 0.5, "loss": 0.1}\n')


def _all_nan(path: Path) -> None:
    path.write_text("\n".join(json.dumps({"step": i, "loss": math.nan, "reward": math.nan}) for i in range(40)))


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 << 30)


def _no_steps(path: Path) -> None:
    path.write_text("hello\nworld\n" * 20)


@each_of(
    ("make", "codes"),
    [
        (_random_bytes, {3}),
        (Path.touch, {3}),
        (Path.mkdir, {3}),
        (_no_steps, {3}),
        (_sparse, {3}),
        (_one_row, {0, 3}),
        (_all_nan, {1}),
    ],
)
def test_bad_input_is_one_clear_error_or_an_honest_report(tmp_path: Path, make: object, codes: set[int]) -> None:
    path = tmp_path / "run"
    make(path)  # type: ignore[operator]
    code, out, err = run(str(path))
    assert code in codes
    assert err.startswith("error: ") != bool(out)
    if code == 3 and not out:
        assert json.loads(run(str(path), "--json")[1])["error"]["exit_code"] == 3


def test_a_directory_of_secrets_is_no_reason_to_crash(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 1}\n')
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert run(str(path))[0] == 3


def test_a_real_process_says_the_same(broken: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "rldk", str(broken)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == run(str(broken))


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background inherits an ignored one


@pytest.mark.slow
def test_an_interrupt_is_130_without_a_traceback() -> None:
    command = [sys.executable, "-m", "rldk", "doctor", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe, preexec_fn=_interruptible) as process:  # noqa: PLW1509
        assert process.stdin is not None
        process.stdin.write(b'{"step": 1, "kl": 0.1}\n' * 50_000)  # more than a pipe holds: returns once it is read
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, b"")


def test_an_incident_says_what_made_it_loud_and_keeps_its_own_causes() -> None:
    _, out, _ = run("doctor", COLLAPSE)
    assert "(critical because LEN004 came with it)" in out
    advice = out[out.index("Likely causes") : out.index("What came with it")]
    assert "completion" not in advice  # those of LEN009 and LEN004 stay with them


@pytest.mark.parametrize(
    ("form", "begins", "holds"),
    every(
        2,
        [
            ("md", "## ", "### CRITICAL `"),
            ("github", "::error file=", "::warning file="),
            ("junit", "<?xml", '<failure type="critical"'),
            ("sarif", "{", '"ruleId": "REW001"'),
            ("json", "{", '"verdict"'),
            ("text", "Critical", "1. CRITICAL"),
        ],
    ),
)
def test_a_report_in_every_format_fails_as_the_text_does(form: str, begins: str, holds: str) -> None:
    code, out, err = run("doctor", COLLAPSE, "--format", form, GITHUB_STEP_SUMMARY="")
    assert (code, err) == (1, "")
    assert out.startswith(begins)
    assert holds in out


@pytest.mark.slow
def test_github_adds_to_the_summary_of_the_job(tmp_path: Path) -> None:
    page, lost = tmp_path / "summary.md", str(tmp_path / "lost")
    page.write_text("before\n")
    code, out, _ = run("doctor", COLLAPSE, lost, "--format", "github", GITHUB_STEP_SUMMARY=str(page))
    assert code == 3
    assert f"::error file={lost},title=unreadable not-read::no such file or directory" in out
    assert page.read_text().startswith("before\n## ")
    assert page.read_text().count("\n## ") == 3  # the table of both, and each


def test_two_formats_at_once_and_one_that_nobody_draws() -> None:
    assert run("doctor", HEALTHY, "--json", "--format", "md")[0] == 2
    code, _, err = run("doctor", HEALTHY, "--format", "markdwon")
    assert code == 2
    assert "did you mean markdown" in err
