"""Each planted cause is named, with its evidence; what the data cannot tell apart is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.mismatch import PLANTS, Plant, run
from click.testing import CliRunner
from examples import each_of, every
from msgspec.structs import replace

import rldk
from rldk.cards import terminal
from rldk.cards.mismatch import mismatch_view
from rldk.cli.main import main
from rldk.core.registry import renderers
from rldk.core.samples import to_sample
from rldk.logprobs.pairs import MOST_STEPS, TOKENS_OF_STEP, collect
from rldk.logprobs.statistics import CAP, context_line, gap_by_lag, line, shape_of

Records = list[dict[str, Any]]
NAMES = [f"{p.cause}-{p.size}" for p in PLANTS]
ONE_OF_EACH = [next(p for p in PLANTS if p.cause == cause) for cause in dict.fromkeys(p.cause for p in PLANTS)]


@cache
def made(plant: Plant, steps: int, ids: bool) -> Records:
    return list(run(plant, 0, steps=steps, ids=ids))


def records(plant: Plant = PLANTS[0], *, steps: int = 4, ids: bool = False) -> Records:
    return [dict(record) for record in made(plant, steps, ids)]


def sums(found: Records) -> Records:
    return [
        {"step": r["step"], "n_tokens": len(r["logp_train"]), "response": "x"}
        | {name: float(sum(r[name])) for name in ("logp_rollout", "logp_train")}
        for r in found
    ]


@pytest.mark.parametrize("plant", every(2, ONE_OF_EACH), ids=[p.cause for p in ONE_OF_EACH])
def test_a_planted_cause_is_named_alone(plant: Plant) -> None:
    report = rldk.mismatch(records(plant))
    assert [f.name for f in report.findings] == ([] if plant.cause == "none" else [plant.cause])


@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS, ids=NAMES)
def test_every_size_of_a_cause_is_named_for_three_seeds(plant: Plant) -> None:
    expected = () if plant.cause == "none" else (plant.cause,)
    names = [tuple(f.name for f in rldk.mismatch(run(plant, seed, ids=False)).findings) for seed in (101, 102, 103)]
    assert names == [expected] * 3


def test_the_temperature_is_the_slope_within_a_context() -> None:
    report = rldk.mismatch(records(Plant(temperature=0.7)))
    assert report.findings[0].value == pytest.approx(0.7, abs=0.005)
    assert report.findings[0].severity == "critical"


@pytest.mark.slow
def test_without_repeated_contexts_a_temperature_shows_in_the_slope_of_all_tokens() -> None:
    bare = [{k: v for k, v in r.items() if k.startswith(("step", "logp"))} for r in records(Plant(temperature=0.6))]
    assert [f.name for f in rldk.mismatch(bare).findings] == ["temperature"]


def test_the_kept_mass_is_the_mean_ratio() -> None:
    report = rldk.mismatch(records(Plant(top_p=0.85)))
    assert report.numbers["mean_ratio"] == pytest.approx(0.857, abs=0.01)


@pytest.mark.slow
def test_temperature_and_truncation_at_once_are_both_named() -> None:
    report = rldk.mismatch(records(Plant(temperature=0.8, top_p=0.8)))
    assert {f.name for f in report.findings} == {"temperature", "truncated sampling"}


def test_token_ids_say_what_jumps_only_suggest() -> None:
    found = rldk.mismatch(records(Plant(respelled=0.01), ids=True)).findings[0]
    assert (found.name, found.severity, found.tier) == ("tokenisation", "critical", 0)


def test_lists_of_different_length_are_other_tokens() -> None:
    odd = [{"step": 1, "response": "x", "logp_rollout": [-1.0, -2.0], "logp_train": [-1.0]}] * 3
    report = rldk.mismatch(odd)
    assert [f.name for f in report.findings] == ["tokenisation"]


def test_a_gap_of_a_single_step_is_not_separated() -> None:
    report = rldk.mismatch([r | {"step": 40} for r in records(Plant(bits=3), steps=1)])
    assert report.findings == ()
    assert {check.name for check in report.skipped} == {"precision", "stale weights"}
    assert "disagree" in report.verdict


def test_the_age_of_the_weights_shows_staleness_without_a_first_step() -> None:
    late = [r | {"policy_version": r["step"] + 49 if r["step"] == 1 else 50} for r in records(Plant(lag=-1))]
    late = [r | {"step": r["step"] + 49} for r in late]
    report = rldk.mismatch(late)
    assert [f.name for f in report.findings] == ["stale weights"]
    assert "age of the weights" in report.findings[0].message


def test_sums_show_staleness_and_say_what_they_hide() -> None:
    report = rldk.mismatch(sums(records(Plant(lag=-1))))
    assert [f.name for f in report.findings] == ["stale weights"]
    assert {c.name for c in report.skipped} >= {"temperature", "tokenisation", "precision"}
    hidden = rldk.mismatch(sums(records(Plant(temperature=0.6))))
    assert hidden.findings == ()
    assert "disagree over" in hidden.verdict


def test_a_mask_leaves_out_the_tokens_of_others() -> None:
    masked = [
        r
        | {name: [0.0, *r[name]] for name in ("logp_rollout", "logp_train")}
        | {"loss_mask": [0] + [1] * len(r["logp_train"])}
        for r in records()
    ]
    assert rldk.mismatch(masked).numbers["tokens"] == rldk.mismatch(records()).numbers["tokens"]


def test_tokens_that_one_side_lacks_are_left_out_and_a_wild_value_is_capped() -> None:
    odd = [r | {"logp_rollout": [None, *r["logp_rollout"][1:]]} for r in records()]
    odd[0] = odd[0] | {"logp_train": [-1e9, *odd[0]["logp_train"][1:]]}
    pairs = collect(rldk.core.samples.to_sample(r) for r in odd)
    assert len(pairs) == len(odd) * (len(odd[0]["logp_train"]) - 1)
    assert abs(shape_of(pairs).mean) < CAP


def test_memory_is_bounded_by_step_and_by_steps() -> None:
    sample = rldk.core.samples.to_sample
    wide = collect(
        sample({"step": 1, "response": "x", "logp_rollout": [-1.0] * 999, "logp_train": [-1.0] * 999})
        for _ in range(50)
    )
    assert len(wide) <= TOKENS_OF_STEP + 999
    long = collect(
        sample({"step": s, "response": "x", "logp_rollout": [-1.0], "logp_train": [-1.0]}) for s in range(1000)
    )
    assert 0 < len(np.unique(long.step)) <= MOST_STEPS
    assert long.step.min() == 0


def test_the_statistics_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    y = 1.5 * x + rng.normal(size=500)
    assert line(x, y).slope == pytest.approx(np.polyfit(x, y, 1)[0])
    assert line(x, y).fit == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert math.isnan(line(np.ones(5), np.arange(5.0)).slope)


def test_contexts_of_one_token_have_no_slope() -> None:
    pairs = collect(rldk.core.samples.to_sample({k: v for k, v in r.items() if k[0] in "sl"}) for r in records())
    assert context_line(pairs).n == 0
    assert gap_by_lag(pairs) == []


def test_without_log_probabilities_nothing_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps({"step": 1, "response": "x", "reward": 1.0}) + "\n")
    result = CliRunner().invoke(main, ["mismatch", str(path)])
    assert result.exit_code == 3
    assert "Not checked: needs the log-probabilities" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("plant", "options", "code"),
    every(
        2,
        [
            (PLANTS[0], [], 0),
            (Plant(temperature=0.6), [], 1),
            (Plant(top_p=0.8), [], 0),
            (Plant(top_p=0.8), ["--fail-on", "warn"], 1),
        ],
    ),
    ids=["healthy", "critical", "warning", "warning-fails"],
)
def test_the_command(tmp_path: Path, plant: Plant, options: list[str], code: int) -> None:
    path, page = tmp_path / "samples-0.jsonl", tmp_path / "gap.html"
    path.write_text("".join(json.dumps(record) + "\n" for record in records(plant)))
    result = CliRunner().invoke(main, ["mismatch", str(path), "--json", "--html", str(page), *options])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["kind"]) == (code, "mismatch")
    assert page.read_text().count("<html") == 1


@each_of("name", ["terminal", "markdown", "github", "junit", "sarif", "html"])
def test_every_renderer_draws_the_report(name: str) -> None:
    report = rldk.mismatch(records(Plant(temperature=0.6)))
    assert "temperature" in str(renderers.get(name)(mismatch_view(report)))


def test_a_place_is_a_token_or_a_range_of_them() -> None:
    report = rldk.mismatch(records())
    assert sum(b - a + 1 for a, b, _ in report.meta["by_position"]) == max(len(r["logp_train"]) for r in records())
    report = replace(report, meta={**report.meta, "by_position": [(0, 0, 0.5), (1, 2, 0.25)]})
    (section,) = [s for s in mismatch_view(report).sections if s.title == "Gap by position"]
    assert section.parts[0].rows == (("0", "0.5"), ("1-2", "0.25"))  # type: ignore[union-attr]


def test_sums_count_only_without_lists() -> None:
    lists = records()
    alone, mixed = collect(map(to_sample, sums(lists))), collect(map(to_sample, [*sums(lists), *lists]))
    assert (alone.sums, mixed.sums) == (True, False)


def test_golden_mismatch(golden: Callable[[str, str], None]) -> None:
    plants = {
        "healthy": PLANTS[0],
        "temperature": Plant(temperature=0.6),
        "stale": Plant(lag=-1),
        "cut": Plant(top_p=0.8),
    }
    parts = {name: rldk.mismatch(records(plant)) for name, plant in plants.items()}
    parts |= {
        "sums": rldk.mismatch(sums(records(Plant(lag=-1)))),
        "nothing": rldk.mismatch([{"step": 1, "prompt": "x"}]),
    }
    texts = {name: terminal.render(mismatch_view(report), everything=True) for name, report in parts.items()}
    golden("mismatch.txt", "".join(f"===== {name}\n{text}\n" for name, text in texts.items()))


@pytest.mark.slow
def test_answers_of_one_token_have_no_gap_by_position() -> None:
    short = [{**r, **{name: r[name][:1] for name in ("logp_train", "logp_rollout")}} for r in records(steps=10)]
    short = [{name: x for name, x in r.items() if name in ("step", "logp_train", "logp_rollout")} for r in short]
    report = rldk.mismatch(short)
    assert (report.meta["by_position"], len(report.meta["by_step"])) == ([], 10)
