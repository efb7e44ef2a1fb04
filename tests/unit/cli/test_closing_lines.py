"""What a command says last and how it ends: exit lines, the slowest run, what a monitor may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from examples import each_of

from rldk.cli import doctor, flags, watching
from rldk.cli.main import main
from rldk.core.model import Report
from rldk.diagnosis.many import Judged
from rldk.engine.actions.dispatch import OPEN
from rldk.errors import UnknownName, UsageError


@each_of(
    ("code", "worst", "said"),
    [
        (0, None, ""), (0, "info", ""), (1, "warn", ""), (1, "critical", ""), (2, "warn", ""),
        (0, "warn", "Exit code 0 under --fail-on never; --fail-on warn makes it 1."),
        (0, "critical", "Exit code 0 under --fail-on never; --fail-on critical makes it 1."),
        (3, None, "Exit code 3: rldk could not read and judge all that matters."),
    ],
)  # fmt: skip
def test_an_exit_code_that_surprises_is_explained(code: int, worst: Any, said: str) -> None:
    assert flags.exit_line(code, worst, "never") == said


@each_of(
    ("seconds", "said"),
    [([], ""), ([doctor.SLOW_S - 0.001, 1.0], ""), ([1.0, doctor.SLOW_S], "slowest: run 1 took 5 s"),
     ([12.4, 3.0], "slowest: run 0 took 12 s")],
)  # fmt: skip
def test_the_slowest_run_is_named_from_a_limit_on(seconds: list[float], said: str) -> None:
    reports = [Report(kind="x", passed=True, meta={"run": f"run {i}"}) for i in range(len(seconds))]
    assert doctor._slowest(Judged(reports=reports, seconds=seconds)) == said.replace("5 s", f"{doctor.SLOW_S:.0f} s")


@each_of(
    ("health", "fail_on", "code"),
    [
        ("unknown", "never", 3), ("unknown", "warn", 3), ("ok", "warn", 0), ("partly", "warn", 0), ("warn", "warn", 1),
        ("critical", "warn", 1), ("warn", "critical", 0), ("critical", "critical", 1), ("critical", "never", 0),
    ],
)  # fmt: skip
def test_the_exit_code_of_a_monitor_is_that_of_doctor(health: str, fail_on: str, code: int) -> None:
    assert watching.exit_code(health, fail_on) == code


def test_the_job_of_a_monitor_has_the_actions_that_are_allowed() -> None:
    times: dict[str, Any] = {"kill_s": 3.0, "http_s": 4.0}
    job = watching.job_of(allow_actions=["shell, http", "", "warn,stop"], stop_on="warn", pid=7, **times)
    assert job.allow == {"shell", "http"} & OPEN
    assert job.stop_on == {"warn", "critical"}
    assert (job.pid, job.timeouts.kill_s, job.timeouts.http_s) == (7, 3.0, 4.0)
    assert watching.job_of(allow_actions=[], stop_on=None, pid=None, **times).stop_on == frozenset()
    with pytest.raises(UnknownName, match="unknown action 'shel'"):
        watching.job_of(allow_actions=["shel"], stop_on=None, pid=None, **times)
    with pytest.raises(UsageError, match="--stop-on needs the process"):
        watching.job_of(allow_actions=[], stop_on="critical", pid=None, **times)


RULES = """
rules:
  - {id: kl_high, metric: kl, condition: value > 0.5, cooldown_steps: 2, actions: [{sentinel: {path: "%s"}}]}
"""


def _log(tmp_path: Path, bad: range) -> list[str]:
    (tmp_path / "rules.yaml").write_text(RULES % (tmp_path / "STOP"))
    rows = [{"step": i, "kl": 0.9 if i in bad else 0.1, "reward_mean": 0.5} for i in range(1, 41)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["--rules", str(tmp_path / "rules.yaml"), "--plain", "--allow-actions", "sentinel"]


@pytest.mark.parametrize(
    ("source", "bad", "acts"),
    [
        (["--once"], range(10, 12), True),  # a finished log: what happened in it is acted on
        (["--idle-timeout", "0.1", "--stream"], range(10, 12), False),  # over before anybody watched
        (["--idle-timeout", "0.1", "--stream"], range(38, 41), True),  # still going on
    ],
)
def test_following_holds_back_the_actions_of_what_is_over(
    tmp_path: Path, source: list[str], bad: range, acts: bool
) -> None:
    words = [*_log(tmp_path, bad), *source, str(tmp_path / "log.jsonl")]
    done = CliRunner().invoke(main, ["monitor", *words])
    assert done.exit_code == 0, done.output
    assert "kl_high" in done.stdout
    assert (tmp_path / "STOP").exists() is acts


def test_what_a_format_keeps_is_said_where_it_is_known() -> None:
    facts = json.loads(CliRunner().invoke(main, ["format-info", "--json"]).stdout)["formats"]
    assert {fact["keeps"] for fact in facts} != {"(not stated)"}
    assert not [fact["name"] for fact in facts if "`" in fact["keeps"] or not fact["loses"]]
