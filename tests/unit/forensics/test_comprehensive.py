from __future__ import annotations

import inspect
import json
import math
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from examples import each_of, every

from rldk import ComprehensivePPOForensics, diagnose
from rldk.core.codec import to_json
from rldk.core.model import Run
from rldk.errors import UsageError
from rldk.forensics.metrics import ComprehensivePPOMetrics
from rldk.forensics.row import ARGUMENTS
from rldk.testing import run_of

Rows = list[dict[str, Any]]
PPO = {"kl_target": 0.1, "length_bias_threshold": 0.35}


def fed(rows: Rows, **options: Any) -> ComprehensivePPOForensics:
    forensics = ComprehensivePPOForensics(**options)
    for row in rows:
        forensics.update(**row)
    return forensics


@cache
def fed_with(ppo_rows: Callable[..., Rows], fault: str) -> ComprehensivePPOForensics:
    """The same for all tests that only read it."""
    return fed(ppo_rows(**FAULTS[fault]))


def jump(at: int, factor: float) -> Callable[[int, float], float]:
    return lambda i, x: x * factor if i >= at else x


FAULTS: dict[str, dict[str, Any]] = {
    "kl": {"kl": jump(50, 6.0), "reward_mean": lambda i, x: 0.5 + 0.001 * (i % 7)},
    "gradients": {"policy_grad_norm": jump(50, 30.0)},
    "advantages": {"advantage_mean": lambda i, x: 0.3 if i >= 50 else x},
    "coefficient": {"kl_coef": lambda i, x: 0.0 if i >= 50 else x},
    "nan": {"value_loss": lambda i, x: math.nan if i >= 50 else x},
}


def test_the_constructor_is_the_documented_one() -> None:
    found = {n: p.default for n, p in inspect.signature(ComprehensivePPOForensics).parameters.items()}
    assert found == {
        "kl_target": 0.1,
        "kl_target_tolerance": 0.05,
        "window_size": 100,
        "enable_kl_schedule_tracking": True,
        "enable_gradient_norms_analysis": True,
        "enable_advantage_statistics": True,
        "enable_kl_drift_tracking": True,
        "kl_drift_threshold": 0.15,
        "kl_drift_window_size": 100,
        "enable_length_bias_detection": False,
        "length_bias_threshold": 0.35,
    }


@pytest.mark.parametrize("seed", every(4, range(4)))
def test_a_healthy_run_has_no_anomaly(ppo_rows: Callable[..., Rows], seed: int) -> None:
    forensics = fed(ppo_rows(150, seed=seed))
    assert forensics.get_anomalies() == []
    assert forensics.get_health_summary()["status"] == "healthy"


@pytest.mark.parametrize(
    ("fault", "name", "tracker"),
    [
        ("kl", "kl_trend_anomaly", "kl_schedule"),
        ("gradients", "exploding_gradient_anomaly", "gradient_norms"),
        ("advantages", "advantage_normalization_anomaly", "advantage_statistics"),
        ("coefficient", "coef_adaptation_anomaly", "kl_schedule"),
        ("nan", "non_finite_value", "gradient_norms"),
    ],
)
def test_a_fault_is_named_at_its_step(ppo_rows: Callable[..., Rows], fault: str, name: str, tracker: str) -> None:
    found = fed_with(ppo_rows, fault).get_anomalies()
    first = next(a for a in found if a["type"] == name)
    assert first["tracker"] == tracker
    assert 50 <= first["step"] <= 53
    assert min(a["step"] for a in found) >= 50


@pytest.mark.parametrize("fault", every(3, ["none", *FAULTS]))
def test_the_anomalies_are_the_findings_of_the_doctor(ppo_rows: Callable[..., Rows], fault: str) -> None:
    rows = ppo_rows(**FAULTS.get(fault, {}))
    table = [{ARGUMENTS.get(name, name): x for name, x in row.items()} for row in rows]
    report = diagnose(run_of_rows(table), config=PPO)
    assert report.meta["algorithm"] == "ppo"
    said = fed(rows, enable_length_bias_detection=True).report()
    for part in ("findings", "incidents", "checked", "skipped", "notes"):
        assert to_json(getattr(said, part)) == to_json(getattr(report, part))  # as text: NaN is not NaN


LATE: dict[str, dict[str, Any]] = {
    "kl": {"kl": jump(260, 6.0), "reward_mean": lambda i, x: 0.5 + 0.001 * (i % 7)},
    "gradients": {"policy_grad_norm": jump(230, 30.0)},
    "nan": {"value_loss": lambda i, x: math.nan if 240 <= i < 245 else x},
    "gaps": {"entropy": lambda i, x: None if i % 3 else x, "kl_coef": lambda i, x: 0.0 if i >= 333 else x},
    "restarted": {"step": lambda i, x: x if i < 250 else x - 40},
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", LATE)
def test_when_rows_are_judged_changes_nothing(ppo_rows: Callable[..., Rows], fault: str) -> None:
    """Read row by row each is judged at once, else up to two hundred together."""
    rows = ppo_rows(420, **LATE.get(fault, {}))
    samples = np.random.default_rng(0).normal(size=(len(rows), 30))
    held, read, now_and_then = (ComprehensivePPOForensics() for _ in range(3))
    later = []
    for i, row in enumerate(rows):
        extra = {"advantage_samples": samples[i]} if i % 5 == 0 else {}
        later.append(held.update(**row, **extra))
        at_once = read.update(**row, **extra).to_dict()
        other = now_and_then.update(**row, **extra)
        if i % 37 == 0:
            assert to_json(other.to_dict()) == to_json(at_once)
        if i >= 200:
            rows[i]["seen"] = at_once
    assert to_json([m.to_dict() for m in later[200:]]) == to_json([row["seen"] for row in rows[200:]])
    for forensics in (held, now_and_then):
        assert to_json(forensics.history()) == to_json(read.history())
        assert to_json(forensics.get_comprehensive_analysis()) == to_json(read.get_comprehensive_analysis())


@pytest.mark.slow
def test_metrics_that_are_not_judged_yet_can_be_copied(ppo_rows: Callable[..., Rows]) -> None:
    forensics = ComprehensivePPOForensics()
    *_, last = [forensics.update(**row) for row in ppo_rows(230)]
    copy = pickle.loads(pickle.dumps(last))
    assert copy == last == forensics.current_metrics != ComprehensivePPOMetrics(step=229)
    assert repr(copy).startswith("ComprehensivePPOMetrics(step=229, kl=")
    with pytest.raises(AttributeError):
        _ = last.no_such_metric
    with pytest.raises(TypeError):
        ComprehensivePPOMetrics(step=1, klx=2)


def run_of_rows(table: Rows) -> Run:
    columns = {name: [row[name] for row in table] for name in table[0] if name != "step"}
    return run_of(columns, step=[row["step"] for row in table], algorithm="ppo")


@pytest.mark.slow
def test_an_anomaly_that_is_over_is_remembered(ppo_rows: Callable[..., Rows]) -> None:
    rows = ppo_rows(200, policy_grad_norm=lambda i, x: x * 30 if 50 <= i < 60 else x)
    found = next(a for a in fed(rows).get_anomalies() if a["code"] == "GRAD002")
    assert (found["ongoing"], found["first_step"]) == (False, 52)
    assert found["last_step"] < 100


def test_nothing_is_claimed_before_there_is_evidence(ppo_rows: Callable[..., Rows]) -> None:
    forensics = ComprehensivePPOForensics()
    assert forensics.current_metrics is None
    assert forensics.get_health_summary()["status"] == "no_data"
    metrics = forensics.update(**ppo_rows(1)[0])
    flat = metrics.to_dict()
    measured = {name for name, x in flat.items() if x is not None}
    told = {"step", "kl", "kl_coef", "entropy", "reward_mean", "reward_std", "kl_schedule_kl_target"}
    told |= {"kl_schedule_current_kl", "kl_schedule_current_kl_coef", "gradient_norms_policy_value_ratio"}
    told |= {f"gradient_norms_{part}_grad_norm" for part in ("policy", "value", "total")}
    told |= {"advantage_statistics_advantage_mean", "advantage_statistics_advantage_std"}
    assert measured == told
    assert forensics.get_health_summary()["status"] == "too_early"
    assert forensics.get_kl_drift_analysis()["status"] == "too_early"


def test_what_is_known_after_a_while_are_shares_ratios_and_risks(ppo_rows: Callable[..., Rows]) -> None:
    flat = fed(ppo_rows(120)).current_metrics.to_dict()  # type: ignore[union-attr]
    bounded = {n: x for n, x in flat.items() if n.endswith(("_health", "_score", "_risk", "_range", "_stability"))}
    assert len([x for x in bounded.values() if x is not None]) >= 15
    assert all(x is None or 0 <= x <= 1 for x in bounded.values())
    assert flat["kl_schedule_time_in_target_range"] == 1.0
    assert flat["advantage_statistics_advantage_normalization_health"] == 1.0


@pytest.mark.parametrize(
    ("switch", "part", "fault", "code"),
    [
        ("enable_kl_schedule_tracking", "kl_schedule", "coefficient", "KL013"),
        ("enable_gradient_norms_analysis", "gradient_norms", "gradients", "GRAD002"),
        ("enable_advantage_statistics", "advantage_statistics", "advantages", "ADV004"),
    ],
)
def test_a_part_that_is_off_is_neither_measured_nor_reported(
    ppo_rows: Callable[..., Rows], switch: str, part: str, fault: str, code: str
) -> None:
    rows = ppo_rows(**FAULTS[fault])
    on, off = fed_with(ppo_rows, fault), fed(rows, **{switch: False})
    assert code in {a["code"] for a in on.get_anomalies()}
    assert code not in {a["code"] for a in off.get_anomalies()}
    metrics = off.current_metrics
    assert metrics is not None
    assert getattr(metrics, f"{part}_metrics") is None
    assert not any(name.startswith(part) for name in metrics.to_dict())
    assert part not in off.get_comprehensive_analysis()["trackers"]


@pytest.mark.slow
def test_the_drift_stays_when_the_schedule_is_off_and_goes_by_its_own_switch(ppo_rows: Callable[..., Rows]) -> None:
    rows = ppo_rows(**FAULTS["kl"])
    both = [(a["type"], a["tracker"]) for a in fed(rows).get_anomalies() if a["code"] == "KL001"]
    alone = [a["type"] for a in fed(rows, enable_kl_schedule_tracking=False).get_anomalies()]
    neither = fed(rows, enable_kl_schedule_tracking=False, enable_kl_drift_tracking=False)
    assert both == [("kl_trend_anomaly", "kl_schedule"), ("kl_drift_anomaly", "kl_drift")]
    assert alone == ["kl_drift_anomaly"]
    assert neither.get_anomalies() == []
    assert neither.get_kl_drift_analysis() == {
        "enabled": False,
        "detected": False,
        "score": None,
        "status": "disabled",
    }


def test_what_is_returned_is_a_copy(ppo_rows: Callable[..., Rows]) -> None:
    forensics = fed(ppo_rows(30))
    before = json.dumps(forensics.get_comprehensive_analysis())
    row = {**ppo_rows(31)[30], "advantage_samples": np.random.default_rng(0).normal(size=64)}
    metrics = forensics.update(**row)
    after = json.dumps(forensics.get_comprehensive_analysis())
    assert metrics.kl_schedule_metrics is not None
    metrics.kl = metrics.kl_schedule_metrics.current_kl = 1e9
    metrics.advantage_statistics_metrics.advantage_percentiles["p50"] = 1e9  # type: ignore[union-attr, index]
    forensics.get_kl_drift_analysis()["decided_by"].clear()
    forensics.get_comprehensive_analysis()["trackers"].clear()
    assert before != after == json.dumps(forensics.get_comprehensive_analysis())


def test_copies_of_anomalies_share_nothing(ppo_rows: Callable[..., Rows]) -> None:
    forensics = fed(ppo_rows(**FAULTS["kl"]))
    for anomaly in forensics.get_anomalies():
        anomaly["causes"].clear()
        anomaly["evidence"].clear()
    assert all(a["causes"] for a in forensics.get_anomalies())


def test_metrics_of_any_trainer_are_understood_and_samples_fill_in() -> None:
    forensics = ComprehensivePPOForensics()
    samples = np.random.default_rng(0).normal(3.0, 2.0, size=500)
    row = {"policy/clipfrac_avg": 0.2, "my_own": 4, "advantage_samples": samples, "advantage_std": 9.0}
    metrics = forensics.update(1, 0.1, 0.2, **row)  # type: ignore[arg-type]
    values = forensics._observer.values
    assert (values["clip_frac"], values["my_own"]) == (0.2, 4.0)
    advantages = metrics.advantage_statistics_metrics
    assert advantages is not None
    assert advantages.advantage_mean == pytest.approx(3.0, abs=0.3)
    assert advantages.advantage_std == 9.0  # what is told wins
    assert advantages.advantage_percentiles is not None
    assert advantages.advantage_percentiles["p50"] == pytest.approx(float(np.median(samples)))


@each_of("wrong", [{"kl": "high"}, {"entropy": [1, 2]}, {"my_own": {}}, {"step": 1.5}, {"step": None}])
def test_what_is_no_number_is_refused_with_its_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ComprehensivePPOForensics().update(**{"step": 1, "kl": 0.1, "kl_coef": 0.1, **wrong})


def test_a_length_bias_is_seen_when_it_is_asked_for(ppo_rows: Callable[..., Rows]) -> None:
    rng = np.random.default_rng(0)
    rows = ppo_rows(12)
    for row in rows:
        own = rng.normal(size=64)
        row["response_data"] = [
            {"prompt_id": i // 4, "n_tokens": 100 + 20 * x, "reward": 2 * x + rng.normal()} for i, x in enumerate(own)
        ]
    on, off = fed(rows, enable_length_bias_detection=True), fed(rows)
    found = on.get_length_bias_analysis()
    assert (found["detected"], found["status"], found["direction"]) == (True, "warn", "longer")
    assert found["interval"][0] > 0.35
    assert "length_bias_anomaly" in {a["type"] for a in on.get_anomalies()}
    assert off.get_length_bias_analysis()["status"] == "disabled"
    assert off.get_anomalies() == []


def test_without_samples_it_says_what_it_needs(ppo_rows: Callable[..., Rows]) -> None:
    forensics = fed(ppo_rows(30), enable_length_bias_detection=True)
    assert forensics.get_length_bias_analysis()["reason"].startswith("needs response_data")
    missing = {c["type"]: c["reason"] for c in forensics.get_comprehensive_analysis()["not_checked"]}
    assert missing["advantage_kurtosis_anomaly"].startswith("needs advantage_kurtosis, advantage_count, computed from")
    assert missing["length_bias_anomaly"].startswith("needs length_reward_rho")


@pytest.mark.slow
def test_an_update_costs_the_same_at_any_length(ppo_rows: Callable[..., Rows], monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts what is kept, not seconds: beside the flat history nothing may grow."""
    monkeypatch.setattr("rldk.engine.memory.MOST_KEPT", 100)  # values of a metric, beyond those that windows need
    forensics = ComprehensivePPOForensics(window_size=30, kl_drift_window_size=30)
    samples = np.random.default_rng(0).normal(size=40)
    sizes = []
    for row in ppo_rows(1400):
        forensics.update(**row, advantage_samples=samples)
        if row["step"] in (999, 1399):
            sizes.append(_items(forensics, {id(forensics._history), id(forensics._drift)}))
    assert sizes[1] <= sizes[0] * 1.03  # one value a metric and row would be 10 %
    assert len(forensics._history._cells) == 1400 * len(forensics._history.names)


def _items(root: object, seen: set[int]) -> int:
    """How many items all containers that can be reached hold together."""
    todo, count = [root], 0
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, str | bytes | type) or inspect.isroutine(thing):
            continue
        seen.add(id(thing))
        if isinstance(thing, dict):
            parts = [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set | frozenset) or type(thing).__name__ == "deque":
            parts = list(thing)  # type: ignore[call-overload]
        else:
            slots = {s for c in type(thing).__mro__ for s in getattr(c, "__slots__", ())}
            parts = [*vars(thing).values()] if hasattr(thing, "__dict__") else []
            parts += [getattr(thing, s) for s in slots if hasattr(thing, s)]
        count += len(parts)
        todo += [p for p in parts if p is not None and not isinstance(p, int | float | bool)]
    return count
