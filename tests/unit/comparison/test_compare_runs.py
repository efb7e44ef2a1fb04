"""`compare_runs`: groups, outcomes, and what it says when the evidence is thin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from examples import each_of

from rldk import compare_runs
from rldk.cli.main import main
from rldk.comparison import ComparisonReport
from rldk.core.manifest import Manifest, write_manifest
from rldk.errors import NoData, UnknownName, UsageError


def write(folder: Path, seed: int, height: float = 1.0, *, speed: float = 30.0, steps: int = 150) -> str:
    rng = np.random.default_rng(seed)
    own = height + 0.05 * rng.normal()
    step = np.arange(1, steps + 1)
    rows = zip(step, own * (1 - np.exp(-step / speed)) + 0.02 * rng.normal(size=steps), strict=True)
    folder.mkdir()
    log = folder / "metrics.jsonl"
    log.write_text("".join(json.dumps({"step": int(s), "reward_mean": float(v)}) + "\n" for s, v in rows))
    return str(folder)


def group(root: Path, name: str, seeds: range, **how: Any) -> list[str]:
    return [write(root / f"{name}-{seed}", seed, **how) for seed in seeds]


@pytest.mark.slow
def test_a_better_group_is_called_better_and_the_base_worse(tmp_path: Path) -> None:
    runs = [*group(tmp_path, "base", range(5)), *group(tmp_path, "new", range(10, 15), height=1.5)]
    found = compare_runs(runs)
    assert {name: len(ids) for name, ids in found.groups.items()} == {"base": 5, "new": 5}
    (one,) = found.contrasts
    assert (one.outcome, one.improvement, found.passed) == ("better", 1.0, True)
    assert one.low is not None
    assert one.high is not None
    assert one.low < 0.5 < one.high
    (other,) = compare_runs(runs, baseline="new").contrasts
    assert (other.outcome, other.improvement) == ("worse", 0.0)
    assert not compare_runs(runs, baseline="new").passed


def test_equal_groups_are_not_enough_evidence_and_the_number_of_seeds_is_told(tmp_path: Path) -> None:
    found = compare_runs([*group(tmp_path, "a", range(4)), *group(tmp_path, "b", range(20, 24), height=1.02)])
    (one,) = found.contrasts
    assert one.outcome == "not enough evidence"
    assert one.seeds is not None
    assert one.seeds > 4
    assert "You need about" in found.verdict


def test_two_seeds_are_too_few(tmp_path: Path) -> None:
    found = compare_runs([*group(tmp_path, "a", range(2)), *group(tmp_path, "b", range(5, 10), height=3)])
    assert found.contrasts[0].outcome == "too few seeds"
    assert found.contrasts[0].low is None


def test_what_has_too_few_seeds_does_not_pass_in_a_build(tmp_path: Path) -> None:
    few = compare_runs([*group(tmp_path, "a", range(2)), *group(tmp_path, "b", range(2))]).view()
    assert (few.checked, list(few.unchecked)[-1]) == ((), "worse-reward_mean")
    enough = compare_runs([*group(tmp_path, "c", range(4)), *group(tmp_path, "d", range(4))]).view()
    assert enough.checked == ("worse-reward_mean",)


@pytest.mark.slow
def test_no_better_group_is_found_among_many_equal_ones(tmp_path: Path) -> None:
    runs = [run for n, name in enumerate("abcdefgh") for run in group(tmp_path, name, range(n * 9, n * 9 + 4))]
    assert {one.outcome for one in compare_runs(runs).contrasts} == {"not enough evidence"}


def test_a_faster_group_needs_fewer_steps(tmp_path: Path) -> None:
    found = compare_runs([*group(tmp_path, "a", range(3)), *group(tmp_path, "b", range(5, 8), speed=10)])
    slow, fast = found.scores
    assert slow.steps is not None
    assert fast.steps is not None
    assert fast.steps < slow.steps
    assert fast.reached == 3


def test_recorded_configurations_make_the_groups(tmp_path: Path) -> None:
    runs = []
    for seed in range(6):
        folder = write(tmp_path / f"x{seed}", seed)
        config = {"lr": 0.1 if seed < 3 else 0.2, "seed": seed, "output_dir": folder}
        write_manifest(Path(folder), Manifest(run_id=f"r{seed}", seed=seed, config=config))
        runs.append(folder)
    found = compare_runs(runs).groups
    assert {name: len(ids) for name, ids in found.items()} == {"lr=0.1": 3, "lr=0.2": 3}


def test_groups_can_be_told(tmp_path: Path) -> None:
    runs = group(tmp_path, "a", range(4))
    found = compare_runs(runs, groups={"old": ["a-0", "a-1"], "new": ["a-2", "a-3"]})
    assert found.groups == {"old": ("a-0", "a-1"), "new": ("a-2", "a-3")}
    with pytest.raises(UnknownName, match="a-9"):
        compare_runs(runs, groups={"old": ["a-9"]})
    with pytest.raises(UnknownName, match="nobody"):
        compare_runs(runs, baseline="nobody")


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    runs = group(tmp_path, "a", range(2))
    with pytest.raises(UsageError, match="one run"):
        compare_runs(runs[:1])
    with pytest.raises(UnknownName, match="nothing"):
        compare_runs(runs, metrics="nothing")
    with pytest.raises(NoData, match="no known metric"):
        compare_runs([[{"step": 1, "q": 1.0}, {"step": 2, "q": 2.0}]] * 2)


@pytest.mark.slow
def test_the_command_says_the_same(tmp_path: Path) -> None:
    runs = [*group(tmp_path, "a", range(4), height=2), *group(tmp_path, "b", range(5, 9))]
    done = CliRunner().invoke(main, ["compare", *runs])
    assert done.exit_code == 1
    assert "b is worse than a" in done.stdout
    made = CliRunner().invoke(main, ["forensics", "compare-runs", *runs, "--json"])
    assert json.loads(made.stdout)["contrasts"][0]["outcome"] == "worse"
    assert CliRunner().invoke(main, ["compare-runs", *runs[:4], "--format", "md"]).exit_code == 0


def test_a_comparison_survives_json(tmp_path: Path) -> None:
    found = compare_runs(group(tmp_path, "a", range(3)))
    assert ComparisonReport.from_dict(found.to_dict()) == found


def test_forensics_compares_two_runs_in_the_same_way(tmp_path: Path) -> None:
    from rldk import forensics

    a, b = write(tmp_path / "a", 1), write(tmp_path / "b", 2)
    assert forensics.compare_runs(a, b) == compare_runs([a, b])


def tracked(root: Path, seed: int, *, noise: int = 0, **settings: Any) -> str:
    """A run whose settings are metadata, as `ExperimentTracker` keeps them, with a result among them."""
    folder = write(root / f"x{seed}", seed + 1000 * noise, height=1.0 + settings.get("bonus", 0.0))
    own = {**settings, "seed": seed, "final": float(np.random.default_rng(seed).normal())}
    write_manifest(Path(folder), Manifest(run_id=f"r{seed}", seed=seed, metadata=own))
    return folder


def test_metadata_make_the_groups_and_a_result_among_them_does_not(tmp_path: Path) -> None:
    runs = [tracked(tmp_path, seed, bonus=0.5 * (seed >= 3)) for seed in range(6)]
    found = compare_runs(runs)
    assert list(found.groups) == ["bonus=0.0", "bonus=0.5"]
    assert any("final" in note.text for note in found.notes)


@pytest.mark.slow
def test_the_setting_that_counts_comes_first_with_an_interval(tmp_path: Path) -> None:
    runs = [
        tracked(tmp_path, seed, bonus=[0.0, 0.3, 0.6][seed % 3], twin=f"t{seed % 3}", flavour="ab"[seed // 6 % 2])
        for seed in range(12)
    ]
    found = {one.key: one for one in compare_runs(runs).settings}
    bonus = found["bonus"]
    assert (bonus.outcome, bonus.kind, bonus.together_with) == ("goes with the score", "ordered", ("twin",))
    assert bonus.low is not None
    assert bonus.low > 0.5
    assert [runs for _, runs, _ in bonus.values] == [4, 4, 4]
    assert (found["twin"].kind, found["twin"].outcome) == ("unordered", "goes with the score")
    assert found["flavour"].outcome == "no evidence"
    assert set(found) == {"bonus", "twin", "flavour"}  # neither the seed nor a result


def test_few_runs_say_nothing_about_settings(tmp_path: Path) -> None:
    found = compare_runs([tracked(tmp_path, seed, bonus=0.9 * (seed % 2)) for seed in range(6)])
    (one,) = found.settings
    assert (one.outcome, one.p) == ("not enough runs", None)  # 3 and 3 of 6: the least p is 0.1


def test_a_learning_curve_has_a_band_that_holds_its_middle(tmp_path: Path) -> None:
    runs = [*group(tmp_path, "a", range(5)), *group(tmp_path, "b", range(5, 10), height=2.0)]
    low, high = (one for one in compare_runs(runs).curves)
    assert (low.group, high.group, low.runs) == ("a", "b", 5)
    assert low.step[-1] == 150
    for one in (low, high):
        assert all(a <= m <= b for a, m, b in zip(one.low, one.middle, one.high, strict=True))  # type: ignore[operator]
    assert all(x > y for x, y in zip(high.low[20:], low.high[20:], strict=True))  # type: ignore[operator]


def test_a_curve_ends_where_the_shortest_run_ends_and_meets_other_intervals(tmp_path: Path) -> None:
    runs = [write(tmp_path / "a-1", 1), write(tmp_path / "a-2", 2, steps=75)]
    sparse = write(tmp_path / "a-3", 3)
    log = Path(sparse) / "metrics.jsonl"
    log.write_text("".join(line + "\n" for line in log.read_text().splitlines()[::7]))
    (one,) = compare_runs([*runs, sparse]).curves
    assert 60 <= one.step[-1] <= 80
    assert one.runs == 3
    assert len(one.step) >= 8


def test_cost_is_told_where_it_is_logged(tmp_path: Path) -> None:
    runs = group(tmp_path, "a", range(2))
    for run in runs:
        log = Path(run) / "metrics.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        log.write_text("".join(json.dumps(r | {"num_tokens": 100.0 * r["step"]}) + "\n" for r in rows))
    found = compare_runs(runs)
    (cost,) = found.costs
    assert (cost.steps, cost.tokens, cost.seconds) == (150, 15_000, None)
    assert [(check.code, check.reason) for check in found.skipped] == [("cost-seconds", "needs wall_time in every run")]


def test_the_page_draws_curves_and_the_profile(tmp_path: Path) -> None:
    runs = [*group(tmp_path, "a", range(4)), *group(tmp_path, "b", range(5, 9))]
    page = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["compare", *runs, "--html", str(page), "--all"])
    assert "Performance profile" in done.stdout
    assert "▁" in done.stdout
    text = page.read_text()
    assert text.count('class="range"') == 2
    assert text.count('class="interval"') == 2 * 5


@each_of(
    "name",
    [
        "run-2020-08-29-04-35-32-241430",
        "run_20200829T043532",
        "run 2020-08-29",
        "run-2020-08-29_04-35-32_s3",
        "run_seed12",
    ],
)
def test_a_date_and_a_seed_are_no_part_of_the_name_of_a_group(tmp_path: Path, name: str) -> None:
    runs = [write(tmp_path / name, 1), write(tmp_path / "run-1", 2)]
    assert list(compare_runs(runs).groups) == ["run"]


def test_patterns_on_the_command_line_make_groups(tmp_path: Path) -> None:
    group(tmp_path, "a", range(3))
    group(tmp_path, "b", range(3, 6))
    args = ["compare", str(tmp_path), "--json", "--group"]
    made = CliRunner().invoke(main, [*args, "old=a-*", "--group", "new=b-[34]"])
    assert json.loads(made.stdout)["groups"] == {"old": ["a-0", "a-1", "a-2"], "new": ["b-3", "b-4"]}
    assert CliRunner().invoke(main, [*args, "old=zzz*"]).exit_code == 2
    assert CliRunner().invoke(main, [*args, "nonsense"]).exit_code == 2


def test_many_groups_of_one_run_are_told_in_one_sentence(tmp_path: Path) -> None:
    found = compare_runs([write(tmp_path / name, i) for i, name in enumerate("abcd")])
    assert found.verdict == "3 groups cannot be compared with a: give three or more seeds of each."
