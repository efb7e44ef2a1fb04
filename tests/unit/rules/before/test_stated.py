"""What rules say of a configuration alone: at the limit, one beyond it, and where the configuration does not say."""

from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.preflight import preflight
from rldk.rules.before.stated import SMALL_CLIP, schedule_that_ends_early
from rldk.rules.rule import Signal
from rldk.rules.subject import ConfigView

TRL: dict[str, Any] = {"num_generations": 4, "per_device_train_batch_size": 4, "learning_rate": 1e-6, "seed": 1}
VERL: dict[str, Any] = {"algorithm.adv_estimator": "grpo", "actor_rollout_ref.rollout.n": 8, "data.seed": 1}
CLIP = "actor_rollout_ref.actor.optim.clip_grad"
BUFFER = "reward_model.overlong_buffer"


def _found(code: str, config: dict[str, Any]) -> str | None:
    """The severity of the finding of a rule."""
    report = preflight(config, packages={"none": "1"})
    return next((finding.severity for finding in report.findings if finding.code == code), None)


@each_of(
    ("code", "config", "severity"),
    [
        ("KL007", {**TRL, "beta": 0.0}, None),
        ("KL007", {**TRL, "beta": "-1e-3"}, "critical"),
        ("KL007", {**TRL, "beta": True}, None),
        ("GRAD003", {**TRL, "max_grad_norm": SMALL_CLIP}, None),
        ("GRAD003", {**TRL, "max_grad_norm": SMALL_CLIP / 2}, "info"),
        ("GRAD003", {**TRL, "max_grad_norm": 0.0}, None),  # TRL: no clipping
        ("GRAD003", {**VERL, CLIP: 0.0}, "warn"),
        ("GRAD003", {**VERL, CLIP: 1.0}, None),
        ("OPT005", {**TRL, "loss_type": "bnpo", "gradient_accumulation_steps": 1}, None),
        ("OPT005", {**TRL, "loss_type": "bnpo", "gradient_accumulation_steps": 2}, "info"),
        ("OPT005", {**TRL, "loss_type": "dapo", "gradient_accumulation_steps": 2}, None),
        (
            "OPT005",
            {**TRL, "loss_type": "bnpo", "per_device_train_batch_size": 1, "gradient_accumulation_steps": 4},
            None,
        ),
        ("OPT005", {**TRL, "average_tokens_across_devices": False, "num_processes": 1}, None),
        ("OPT005", {**TRL, "average_tokens_across_devices": False}, "info"),
        ("OPT005", {**TRL, "average_tokens_across_devices": False, "num_processes": 2}, "warn"),
        ("REW008", {**TRL, "missing_eos_penalty": 1.0}, None),
        ("REW008", {**VERL, f"{BUFFER}.enable": False, f"{BUFFER}.penalty_factor": -1.0}, None),
        ("REW008", {**VERL, f"{BUFFER}.enable": True, f"{BUFFER}.penalty_factor": 1.0}, None),
        ("REW008", {**VERL, f"{BUFFER}.enable": True, f"{BUFFER}.penalty_factor": -1.0}, "warn"),
        ("ENV001", {**TRL, "agent.time_limit_bootstrap": True}, None),
        ("ENV001", {**TRL, "agent.time_limit_bootstrap": False}, "info"),
        ("ENV001", {**TRL, "handle_timeout_termination": "false"}, "warn"),
    ],
)
def test_the_limit_and_what_lies_beyond_it(code: str, config: dict[str, Any], severity: str | None) -> None:
    assert _found(code, config) == severity


@pytest.mark.parametrize("code", ["REW008", "ENV001"])
def test_what_the_configuration_does_not_say_is_not_checked(code: str) -> None:
    (check,) = (c for c in preflight(TRL, packages={"none": "1"}).skipped if c.code == code)
    assert (check.status, check.reason[:6]) == ("skipped", "needs ")


def _schedule(steps: int, warmup: float, stable: int, decay: int, **more: Any) -> Signal | None:
    phases = {"num_stable_steps": stable, "num_decay_steps": decay, **more}
    values = {"lr_scheduler_type": "warmup_stable_decay", "max_steps": steps, "warmup_steps": warmup}
    return schedule_that_ends_early(
        ConfigView(values={**values, **{f"lr_scheduler_kwargs.{name}": x for name, x in phases.items()}})
    )


def test_phases_that_fill_the_run_or_end_above_zero_are_sound() -> None:
    assert _schedule(100, 10, 60, 30) is None
    assert _schedule(100, 0.1, 60, 30) is None
    assert _schedule(100, 10, 60, 29, min_lr_ratio=0.1) is None
    found = [_schedule(100, 10, 60, 29), _schedule(100, 0.1, 60, 29)]
    assert [signal and signal.value for signal in found] == [99, 99]


@pytest.mark.integration
@pytest.mark.parametrize(("stable", "decay"), [(10, 5), (10, 8), (4, 3), (0, 1)])
def test_the_schedule_of_transformers_is_at_zero_where_the_rule_says(stable: int, decay: int) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    steps, warmup = 20, 2
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = transformers.get_wsd_schedule(
        optimizer, num_warmup_steps=warmup, num_stable_steps=stable, num_decay_steps=decay
    )
    rates = []
    for _ in range(steps):
        optimizer.step()
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    signal = _schedule(steps, warmup, stable, decay)
    used = [step for step, rate in enumerate(rates, start=1) if rate == 0 and step > warmup]
    assert (None if signal is None else signal.value + 1) == (used[0] if used else None)
