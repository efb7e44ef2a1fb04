"""The shipped presets: compiled freshly, loud only with reason, and the same live as on a finished run."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from examples import each_of, every, few
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.open import open_runs
from rldk.core.model import Run, RunMeta
from rldk.core.table import Row, TableBuilder
from rldk.engine.live import Engine
from rldk.engine.report.build import build_report
from rldk.engine.scan import scan
from rldk.rules.files.load import load_rules
from rldk.rules.files.preset import FOLDER, compiled_presets, preset_names
from rldk.rules.normal import normals
from rldk.rules.rule import Context
from rldk.testing import run_of

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
NAMES = "classic default dpo_basic grpo_safe grpo_strict kl_drift ppo_safe ppo_strict reward_model rloo".split()
HEALTHY = [
    ("grpo_safe", "trl-grpo"),
    ("grpo_strict", "trl-grpo"),
    ("rloo", "trl-rloo"),
    ("dpo_basic", "trl-dpo"),
    ("dpo_basic", "trl-kto"),
    ("reward_model", "trl-reward"),
    ("ppo_safe", "trl-ppo"),
    ("ppo_strict", "trl-ppo"),
    ("classic", "sb3-ppo"),
    ("classic", "rllib-ppo"),
    ("kl_drift", "trl-grpo"),
    ("default", "trl-sft"),
]
QUICKLY = ("ppo_safe",)  # the others run with the slow tests
KINDS = ("flat", "noise", "jump", "ramp", "gaps", "fall", "absent")


def test_all_presets_are_there_and_compiled_from_their_yaml() -> None:
    assert list(preset_names()) == NAMES
    assert {n: (FOLDER / f"{n}.json").read_bytes() for n in NAMES} == compiled_presets()


@each_of("name", NAMES)
def test_a_preset_names_its_sources_and_calls_nothing_critical_by_a_number_alone(name: str) -> None:
    file = load_rules(name)
    assert file.description
    assert not file.notes
    for entry, rule in zip(file.entries, file.rules, strict=True):
        if "condition" in entry.data:
            assert entry.data["source"]
            assert rule.code.startswith(f"{name}_")
            assert rule.severity != "critical"
    page = (ROOT / "docs" / "presets.md").read_text()
    assert not [rule.code for rule in file.rules if rule.code.startswith(name) and rule.code not in page]


@pytest.mark.parametrize(("name", "limit", "ratio"), [("grpo_safe", 8.0, 4.5), ("grpo_strict", 6.5, 3.5)])
def test_the_documented_gradient_limits(name: str, limit: float, ratio: float) -> None:
    rules = load_rules(name).rules

    def codes(policy: float, value: float) -> dict[str, dict[str, float]]:
        run = run_of({"grad_norm_policy": [1.0, policy], "grad_norm_value": [1.0, value]}, algorithm="grpo")
        return {f.code.removeprefix(f"{name}_"): dict(f.evidence) for f in scan(run, rules).findings}

    assert codes(limit, limit / ratio) == {}
    assert codes(limit + 0.1, limit) == {
        "policy_grad_spike": {"policy_over_value": (limit + 0.1) / limit, "value_over_policy": limit / (limit + 0.1)}
    }
    assert list(codes(ratio + 0.1, 1.0)) == ["grad_ratio_imbalance"]
    assert all(
        f.severity == "warn"
        for f in scan(run_of({"grad_norm_policy": [99.0], "grad_norm_value": [1.0]}), rules).findings
    )


@pytest.mark.parametrize("norms", [[(5.0, 5.0), (9.0, None), (None, 1.0), (9.0, None)], [(9.0, 1.0)]])
def test_the_ratio_is_that_of_the_latest_pair_also_on_different_rows(norms: list[tuple[float | None, ...]]) -> None:
    columns = {n: [row[i] for row in norms] for i, n in enumerate(("grad_norm_policy", "grad_norm_value"))}
    found = scan(run_of(columns), load_rules("grpo_safe").rules).findings
    (imbalance,) = [f for f in found if f.code == "grpo_safe_grad_ratio_imbalance"]
    assert (imbalance.value, imbalance.first_step, imbalance.evidence["policy_over_value"]) == (9.0, len(norms), 9.0)


@pytest.mark.parametrize(("name", "fixture"), every(3, HEALTHY))
def test_healthy_runs_are_quiet(name: str, fixture: str) -> None:
    for run in open_runs(FIXTURES / fixture):
        assert not [f.code for f in scan(run, load_rules(name).rules).findings if f.severity != "info"]


@each_of(
    ("metric", "before", "after", "code"),
    [
        ("acceptance_rate", 0.6, 0.3, "acceptance_swing"),
        ("acceptance_rate", 0.6, 0.9, "acceptance_swing"),
        ("diversity_pass_at_1", 0.6, 0.3, "pass_at_1_drop"),
        ("diversity_distinct_4", 0.8, 0.5, "distinct_4_drop"),
        ("diversity_self_bleu", 0.2, 0.5, "self_bleu_rise"),
        ("diversity_output_entropy", 3.0, 1.0, "output_entropy_fall"),
    ],
)
def test_acceptance_and_diversity_are_watched_when_logged(metric: str, before: float, after: float, code: str) -> None:
    noise = random.Random(1)
    values = [level + noise.gauss(0, 0.01) for level in [before] * 40 + [after] * 5]
    (found,) = scan(run_of({metric: [*values]}), load_rules("grpo_safe").rules).findings
    assert (found.code, found.first_step) == (f"grpo_safe_{code}", 43)


def _cell(kind: str, i: int, rng: random.Random, base: float) -> float | None:
    match kind:
        case "noise":
            return base + rng.gauss(0, 0.1)
        case "jump":
            return base * (1.0 + rng.random() * 0.1) * (1.0 if i < 40 else 9.0)
        case "ramp":
            return base + 0.1 * i
        case "gaps":
            return base + rng.random() if rng.random() < 0.5 else None
        case "fall":
            return base * (1.0 + rng.random() * 0.1) * (1.0 if i < 40 else 0.05)
        case "absent":
            return None
        case _:
            return base


def _rows(name: str, seed: int, n: int) -> list[Row]:
    rng = random.Random(seed)
    file = load_rules(name)
    metrics = {m for r in file.rules for m in (*r.needs, *r.each) if "*" not in m} - {"step", "segment"}
    metrics |= {"reward_mean", "grad_norm_value"}
    habits = {m: (rng.choice(KINDS), rng.choice([0.01, 0.5, 1.0, 5.0])) for m in sorted(metrics)}
    cells = [{m: _cell(kind, i, rng, base) for m, (kind, base) in habits.items()} for i in range(n)]
    return [Row(step=2 * i, values={m: v for m, v in row.items() if v is not None}) for i, row in enumerate(cells)]


@settings(max_examples=few(4), deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 90), chunk=st.integers(1, 20))
@pytest.mark.parametrize(
    "name", [name if name in QUICKLY else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_live_and_finished_say_the_same(name: str, seed: int, n: int, chunk: int) -> None:
    rows, rules = _rows(name, seed, n), (*load_rules(name).rules, *normals)
    engine = Engine(rules, Context(algorithm="ppo"))
    for start in range(0, n, chunk):
        for row in rows[start : start + chunk]:
            engine.feed(row)
        live = build_report(engine, rules, meta={}, numbers={})
    builder = TableBuilder()
    for row in rows:
        builder.add(row.step, row.values)
    whole = scan(
        Run(id="x", source="x", metrics=builder.build(), meta=RunMeta(algorithm="ppo")), load_rules(name).rules
    )
    assert not [c for c in live.skipped if "failed" in c.reason]
    for part in ("findings", "incidents", "checked", "skipped", "notes"):
        assert json.dumps(live.to_dict()[part]) == json.dumps(whole.to_dict()[part])
