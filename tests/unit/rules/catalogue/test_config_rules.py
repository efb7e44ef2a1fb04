"""Rules over a configuration: at the limit and beside it, and what they say where nothing can be looked at."""

from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.core.model import Report
from rldk.testing import scan_columns

TRL: dict[str, Any] = {"framework": "trl", "algorithm": "grpo"}
VERL: dict[str, Any] = {"framework": "verl", "algorithm": "grpo"}
SB3: dict[str, Any] = {"framework": "stable_baselines3", "algorithm": "ppo"}
ROLLOUT, ACTOR = "actor_rollout_ref.rollout", "actor_rollout_ref.actor"


def _report(code: str, config: dict[str, Any], meta: dict[str, Any]) -> Report:
    return scan_columns(code, {"reward_mean": [0.1, 0.2, 0.3]}, config=config, **meta)


@each_of(
    ("code", "config", "meta", "metric", "message"),
    [
        ("CFG003", {f"{ROLLOUT}.n": 1}, VERL, f"{ROLLOUT}.n", f"`{ROLLOUT}.n` is 1: a group of one has no advantage"),
        ("CFG004", {"temperature": 0.0}, TRL, "temperature", "`temperature` is 0.0: every sample is the same"),
        ("CFG004", {"temperature": 1.0, "top_k": 1}, TRL, "temperature", "`top_k` is 1: every sample is the same"),
        ("CFG005", {"gamma": 9.9}, SB3, "gamma", "`gamma` is 9.9, which is outside 0 to 1"),
        ("CFG005", {"gamma": 0.99, "gae_lambda": 1.01}, SB3, "gamma", "`gae_lambda` is 1.01, which is outside 0 to 1"),
        ("CFG006", {"warmup_steps": 100, "max_steps": 100}, TRL, "warmup_steps", "`warmup_steps` is 100 and"),
        ("CFG007", {"epsilon": 0.28, "epsilon_high": 0.2}, TRL, "epsilon", "`epsilon_high` is 0.2, which is below"),
        ("CFG008", {"learning_rate": 0}, TRL, "learning_rate", "`learning_rate` is 0: nothing can be learnt"),
        ("CFG008", {"learning_rate": "-1e-6"}, TRL, "learning_rate", "`learning_rate` is -1e-6: nothing can be learnt"),
        (
            "CFG009",
            {f"{ACTOR}.ppo_mini_batch_size": 257, "data.train_batch_size": 256},
            VERL,
            f"{ACTOR}.ppo_mini_batch_size",
            f"`{ACTOR}.ppo_mini_batch_size` is 257, which is more than a batch",
        ),
    ],
)
def test_fires_without_a_step(
    code: str, config: dict[str, Any], meta: dict[str, Any], metric: str, message: str
) -> None:
    report = _report(code, config, meta)
    (finding,) = report.findings
    assert (finding.code, finding.metric, finding.first_step, finding.last_step) == (code, metric, None, None)
    assert finding.message.startswith(message)
    assert report.checked == (code,)
    assert "before the first step: " in report.verdict


@each_of(
    ("code", "config", "meta"),
    [
        ("CFG003", {"num_generations": 2}, TRL),
        ("CFG004", {"temperature": 0.01, "top_k": 2}, TRL),
        ("CFG004", {"temperature": 1.0, "top_k": 0}, TRL),  # 0: no limit
        ("CFG005", {"gamma": 1.0, "gae_lambda": 1.0}, SB3),
        ("CFG005", {"gamma": 0, "gae_lambda": 0}, SB3),
        ("CFG006", {"warmup_steps": 99, "max_steps": 100}, TRL),
        ("CFG006", {"warmup_steps": 0.9, "max_steps": -1}, TRL),  # a share, and a run counted in epochs
        ("CFG006", {"warmup_steps": 100, "max_steps": -1}, TRL),
        ("CFG007", {"epsilon": 0.2, "epsilon_high": 0.2}, TRL),
        ("CFG008", {"learning_rate": 1e-9}, TRL),
        ("CFG008", {"learning_rate": "<function linear>"}, SB3),
        ("CFG009", {f"{ACTOR}.ppo_mini_batch_size": 256, "data.train_batch_size": 256}, VERL),
    ],
)
def test_stays_quiet_near_the_limit(code: str, config: dict[str, Any], meta: dict[str, Any]) -> None:
    report = _report(code, config, meta)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "config", "meta", "status", "reason"),
    [
        ("CFG003", {}, TRL, "skipped", "needs the run's configuration, which this log does not carry"),
        (
            "CFG003",
            {"seed": 1},
            TRL,
            "skipped",
            "needs the number of completions per prompt in the run's configuration",
        ),
        ("CFG003", {"num_generations": 1}, {"algorithm": "dpo"}, "not_applicable", "defined for grpo, rloo"),
        ("CFG005", {"gamma": 2.0}, {}, "not_applicable", "defined for some algorithms only, and this log does not say"),
        ("CFG009", {"n_steps": 64, "batch_size": 256}, SB3, "not_applicable", "defined for"),
        ("CFG006", {"warmup_steps": 9}, TRL, "skipped", "needs the number of training steps in the run's config"),
    ],
)
def test_says_why_it_gave_no_verdict(
    code: str, config: dict[str, Any], meta: dict[str, Any], status: str, reason: str
) -> None:
    (check,) = _report(code, config, meta).skipped
    assert (check.code, check.status) == (code, status)
    assert check.reason.startswith(reason)


def test_what_the_configuration_explains_is_one_incident_with_it() -> None:
    columns = {"zero_std_group_frac": [1.0] * 60, "reward_mean": [0.5 + 0.01 * (i % 3) for i in range(60)]}
    report = scan_columns(["CFG", "ADV"], columns, config={f"{ROLLOUT}.n": 1}, **VERL)
    assert {"CFG003", "ADV001"} <= {f.code for f in report.findings}
    (incident,) = (i for i in report.incidents if "ADV001" in i.codes)
    assert incident.codes[0] == "CFG003"
    assert incident.first_step is None
