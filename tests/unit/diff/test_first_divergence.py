"""`first_divergence`: which question it answers, what it finds, and what it says that it cannot tell."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from examples import each_of

from rldk import DivergenceReport, first_divergence
from rldk.core.manifest import Manifest, write_manifest
from rldk.errors import NoData, UnknownName, UsageError

STEPS = 200


def run(seed: int, *, shift: float = 0.0, at: int = 100, every: int = 1, steps: int = STEPS) -> pd.DataFrame:
    """A run that learns: the reward rises and KL grows, with the noise of its seed."""
    rng = np.random.default_rng(seed)
    step = np.arange(1, steps + 1)
    reward = 1 - np.exp(-step / 60) + 0.05 * rng.normal(size=steps) + shift * 0.05 * (step >= at)
    kl = 0.02 * step + 0.1 * rng.normal(size=steps)
    frame = pd.DataFrame({"step": step, "reward_mean": reward, "kl": kl})
    return frame[frame.step % every == 0].reset_index(drop=True)


def seeds(*numbers: int) -> list[pd.DataFrame]:
    return [run(number) for number in numbers]


def test_the_same_log_twice_is_identical() -> None:
    found = first_divergence(run(1), run(1), ["kl"])
    assert (found.question, found.diverged, found.first_step) == ("identical", False, None)
    assert found.passed


def test_a_change_is_told_from_the_noise_of_seeds() -> None:
    found = first_divergence(run(1), run(2, shift=8), ["reward_mean", "kl"], baseline_runs=seeds(3, 4, 5, 6))
    assert found.question == "seed-noise"
    assert found.diverged
    assert found.first_step in range(100, 103)
    assert (found.first_mover, found.tripped_signals) == ("reward_mean", ("reward_mean",))


def test_a_metric_under_two_names_is_compared_once() -> None:
    a, b = (run(n).assign(learning_rate=1e-3).rename(columns={"reward_mean": "reward"}) for n in (1, 2))
    assert {one.signal for one in first_divergence(a, b).details} == {"lr", "reward_mean", "kl"}
    asked = first_divergence(a, b, ["learning_rate", "lr", "reward"])
    assert {one.signal for one in asked.details} <= {"learning_rate", "lr", "reward", "reward_mean"}
    for frame in (a, b):
        frame["reward_fn/vowels/mean"] = frame["reward"]
    assert {one.signal for one in first_divergence(a, b).details} == {"lr", "reward_mean", "kl"}
    b["reward_fn/vowels/mean"] += 1e-9
    assert "reward_fn/vowels/mean" in {one.signal for one in first_divergence(a, b).details}


def truncated(seed: int, *, rate: float = 1.0) -> pd.DataFrame:
    """The share of 16 answers that were cut: hardly any at first, more in the end, and in some seeds sooner."""
    step = np.arange(1, 121)
    share = np.minimum(1.0, rate * 0.01 * np.exp(step / 50))
    return pd.DataFrame({"step": step, "truncation_frac": np.random.default_rng(seed).binomial(16, share) / 16})


def test_a_share_that_spreads_as_it_rises_is_compared_on_the_scale_of_its_root() -> None:
    baselines = [truncated(n) for n in (2, 3, 4, 5)]
    alarms = [
        first_divergence(truncated(1), truncated(n, rate=1.5), baseline_runs=baselines).diverged for n in range(10, 30)
    ]
    assert sum(alarms) <= 2  # 10 of 20 where the values themselves are compared
    found = first_divergence(truncated(1), truncated(6, rate=4.0), baseline_runs=baselines)
    assert found.diverged
    range_of_b = found.meta["series"]["truncation_frac"]
    assert min(range_of_b["low"]) >= 0
    assert max(range_of_b["high"]) < 1


def test_another_seed_alone_is_seed_noise() -> None:
    found = first_divergence(run(1), run(2), ["reward_mean", "kl"], baseline_runs=seeds(3, 4, 5, 6))
    assert (found.question, found.diverged, found.passed) == ("seed-noise", False, True)
    assert "stays within the seed noise of 5 runs" in found.verdict


def test_one_pair_of_different_seeds_says_that_it_cannot_tell() -> None:
    found = first_divergence(run(1), run(2, shift=10), ["reward_mean"])
    assert found.question == "not-identifiable"
    assert found.diverged
    assert found.first_step in range(100, 115)
    assert "cannot tell" in found.verdict


def test_too_few_baselines_are_no_envelope() -> None:
    found = first_divergence(run(1), run(2), ["kl"], baseline_runs=seeds(3, 4, 5))
    assert found.question == "not-identifiable"
    assert any("4 usable runs" in note.text for note in found.notes)


def test_a_baseline_counts_once_and_b_is_none() -> None:
    copies = [run(1), run(3), run(3), run(3), run(2)]
    found = first_divergence(run(1), run(2), ["kl"], baseline_runs=copies)
    assert found.question == "not-identifiable"
    assert sum("counts once" in note.text for note in found.notes) == 2
    assert any("B itself" in note.text for note in found.notes)


def test_a_change_under_one_seed_is_large_at_once() -> None:
    b = run(1)
    b.loc[b.step >= 120, "reward_mean"] *= 1.5
    found = first_divergence(run(1), b, ["reward_mean", "kl"])
    assert (found.question, found.first_step, found.first_mover) == ("same-seed", 120, "reward_mean")
    assert found.details[0].kind == "change"


def test_rounding_that_grows_is_called_so() -> None:
    a, b = run(1), run(1)
    grown = 1e-15 * np.minimum(np.exp(0.25 * np.maximum(a.step.to_numpy() - 20, 0)), 1e13)
    b["kl"] = b["kl"] * np.where(a.step > 20, 1 + grown, 1.0)
    found = first_divergence(a, b, ["kl"])
    one = found.details[0]
    assert found.question == "same-seed"
    assert (one.kind, one.diverged) == ("rounding", True)
    assert one.first_unequal is not None
    assert one.first_step is not None
    assert one.first_unequal + 30 < one.first_step
    assert one.ulps is not None
    assert one.ulps <= 16


def test_rounding_alone_is_no_divergence() -> None:
    a, b = run(1), run(1)
    b["kl"] = np.nextafter(b["kl"], np.inf)
    found = first_divergence(a, b, ["kl"])
    assert (found.question, found.diverged, found.details[0].ulps) == ("same-seed", False, 1)


def test_a_nan_that_stays_is_a_divergence(tmp_path: Path) -> None:
    log = tmp_path / "b.jsonl"
    rows = [
        {"step": row["step"], "kl": row["kl"] if row["step"] < 150 else float("nan")}
        for row in run(2).to_dict("records")
    ]
    log.write_text(
        "".join(json.dumps(row | ({"kl": float("nan")} if row["step"] >= 150 else {})) + "\n" for row in rows)
    )
    found = first_divergence(run(1), log, ["kl"], baseline_runs=seeds(3, 4, 5, 6))
    assert found.first_step == 150


def test_runs_that_log_at_different_intervals_meet_at_common_steps() -> None:
    found = first_divergence(run(1, every=5), run(2, shift=8), ["reward_mean"], baseline_runs=seeds(3, 4, 5, 6))
    assert found.numbers["common_steps"] == STEPS // 5
    assert found.first_step in range(100, 111)
    assert any("every 5 steps" in note.text for note in found.notes)


def test_a_shorter_run_is_compared_as_far_as_it_goes() -> None:
    found = first_divergence(run(1), run(2, steps=120), ["kl"], baseline_runs=seeds(3, 4, 5, 6))
    assert found.numbers["common_steps"] == 120
    assert any("B at step 120" in note.text for note in found.notes)


def test_of_repeated_steps_the_newest_count() -> None:
    whole = run(2)
    crashed = whole.iloc[:80].assign(kl=99.0)
    resumed = pd.concat([whole.iloc[:60], crashed.iloc[60:], whole.iloc[60:]], ignore_index=True)
    found = first_divergence(run(1), resumed, ["kl"])
    assert found.details == first_divergence(run(1), whole, ["kl"]).details
    assert any("B has 1 restart" in note.text for note in found.notes)


def test_runs_are_compared_by_tokens() -> None:
    a, b = run(1), run(2)
    a["tokens_total"], b["tokens_total"] = a.step * 1000, b.step * 1000 + 3
    b["step"] += 5000
    with pytest.raises(NoData, match="in common"):
        first_divergence(a, b, ["kl"])
    assert first_divergence(a, b, ["kl"], align_on="tokens").numbers["common_steps"] == STEPS


def test_a_signal_that_one_run_lacks_is_not_compared() -> None:
    b = run(2).drop(columns="kl")
    found = first_divergence(run(1), b, ["reward_mean", "kl"])
    assert [(c.code, c.reason) for c in found.skipped] == [("kl", "needs kl in B")]
    with pytest.raises(UnknownName, match="reward_maen"):
        first_divergence(run(1), b, ["reward_maen"])
    with pytest.raises(NoData, match="needs kl in B"):
        first_divergence(run(1), b, ["kl"])


def test_signals_may_be_the_users_own_names() -> None:
    a, b = (frame.rename(columns={"kl": "objective/kl"}) for frame in seeds(1, 2))
    assert first_divergence(a, b, "objective/kl").checked == ("objective/kl",)
    assert first_divergence(a, b, "kl_mean").checked == ("kl",)


@each_of("wrong", [{"k_consecutive": 0}, {"window": 2}, {"tolerance": 0.0}, {"tolerance": float("nan")}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        first_divergence(run(1), run(2), ["kl"], **wrong)


def test_the_files_say_what_the_report_says(tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = first_divergence(
        run(1), run(2, shift=8), ["kl", "reward_mean"], baseline_runs=seeds(3, 4, 5, 6), output_dir=out
    )
    assert found.report_path == str(out / "diff_report.md")
    assert "reward" in Path(found.report_path).read_text()
    assert found.events_csv_path is not None
    rows = list(csv.DictReader(Path(found.events_csv_path).read_text().splitlines()))
    assert [(row["signal"], row["diverged"]) for row in rows] == [("reward_mean", "True"), ("kl", "False")]
    card = json.loads((out / "drift_card.json").read_text())
    assert (card["first_step"], card["question"]) == (found.first_step, "seed-noise")


def test_a_report_survives_json() -> None:
    found = first_divergence(run(1), run(2), ["kl"])
    assert DivergenceReport.from_dict(found.to_dict()) == found


def recorded(folder: Path, seed: int, config: dict[str, Any], **how: Any) -> Path:
    folder.mkdir()
    run(seed, **how).to_json(folder / "metrics.jsonl", orient="records", lines=True)
    write_manifest(folder, Manifest(run_id=folder.name, seed=seed, config=config, packages={"trl": "0.23.0"}))
    return folder


def test_the_changed_key_is_the_first_cause(tmp_path: Path) -> None:
    plain = {"learning_rate": 1e-4, "output_dir": "x", "batch": 8}
    a = recorded(tmp_path / "a", 1, plain)
    others = [recorded(tmp_path / f"s{n}", n, plain | {"output_dir": f"y{n}"}) for n in (3, 4, 5, 6)]
    b = recorded(tmp_path / "b", 2, plain | {"output_dir": "z", "learning_rate": 3e-4}, shift=8)
    found = first_divergence(a, b, baseline_runs=others)
    assert found.suspected_causes == ("config learning_rate: 0.0001 -> 0.0003",)


def test_another_version_of_the_trainer_comes_before_packages_that_one_run_lacks(tmp_path: Path) -> None:
    packages = {
        "numpy": "2.4",
        "stable-baselines3": "2.9",
        "transformers": "5.0",
        "absl-py": "2",
        "ray": "2",
        "zict": "3",
    }
    folders = [recorded(tmp_path / name, n, {"x": 1}, shift=8.0 * n) for n, name in enumerate("ab")]
    other = {"numpy": "1.26", "stable-baselines3": "2.2", "six": "1"}
    for folder, installed in zip(folders, (packages, other), strict=True):
        write_manifest(folder, Manifest(run_id="r", config={"x": 1}, packages=installed))
    assert first_divergence(folders[0], folders[1]).suspected_causes == (
        "packages stable-baselines3: 2.9 -> 2.2",
        "packages numpy: 2.4 -> 1.26",
        "packages only in A: ray, transformers, absl-py and 1 more; only in B: six",
    )


def test_without_baselines_the_seed_and_the_folder_come_last(tmp_path: Path) -> None:
    a = recorded(tmp_path / "a", 1, {"output_dir": "x", "beta": 0.1})
    b = recorded(tmp_path / "b", 2, {"output_dir": "y", "beta": 0.2}, shift=10)
    causes = first_divergence(a, b).suspected_causes
    assert [cause.split(":")[0] for cause in causes] == ["config beta", "seed seed", "config output_dir"]


def test_a_stated_seed_decides_the_question(tmp_path: Path) -> None:
    a, b = recorded(tmp_path / "a", 1, {"x": 1}), recorded(tmp_path / "b", 1, {"x": 1}, shift=3)
    assert first_divergence(a, b).question == "same-seed"


def test_what_a_tracker_keeps_as_metadata_is_a_cause(tmp_path: Path) -> None:
    """`ExperimentTracker` has no configuration of its own: its user's settings are its metadata."""
    folders = []
    for place, rate in enumerate((1e-4, 3e-4)):
        folder = tmp_path / f"r{place}"
        folder.mkdir()
        run(place, shift=10.0 * place).to_json(folder / "metrics.jsonl", orient="records", lines=True)
        settings = {"learning_rate": rate, "final": 0.1 * place}
        write_manifest(folder, Manifest(run_id=folder.name, seed=place, metadata=settings))
        folders.append(folder)
    causes = first_divergence(folders[0], folders[1]).suspected_causes
    assert [cause.split(":")[0] for cause in causes] == ["config learning_rate", "config final", "seed seed"]


def episodic(seed: int, *, pace: float = 1.0, shift: float = 0.0) -> pd.DataFrame:
    """A run that logs at the end of every fourth episode, at steps that no other run has; `pace` stretches episodes."""
    rng = np.random.default_rng(seed)
    step = np.cumsum(rng.integers(20, 60, size=400) * pace).astype(int)
    step = step[step <= 6000]
    reward = np.minimum(step / 3000, 1) + 0.05 * rng.normal(size=step.size) + shift * 0.05 * (step >= 3500)
    return pd.DataFrame({"step": step, "reward_mean": reward})


def test_runs_that_log_every_few_episodes_meet_in_ranges_of_steps() -> None:
    baselines = [episodic(seed, pace=1 + seed / 4) for seed in (3, 4, 5, 6)]
    found = first_divergence(episodic(1), episodic(2, shift=8), baseline_runs=baselines)
    assert (found.question, found.numbers["baselines"]) == ("seed-noise", 5)
    assert found.first_step is not None
    assert 3500 <= found.first_step <= 4100
    assert any("ranges of" in note.text for note in found.notes)
    calm = first_divergence(episodic(1), episodic(2), baseline_runs=baselines)
    assert not calm.diverged
    assert calm.numbers["common_steps"] in range(30, 80)
    pair = first_divergence(episodic(1), episodic(2), window=20)
    assert (pair.question, pair.diverged) == ("not-identifiable", False)


def test_uneven_steps_that_both_runs_have_are_compared_as_they_are() -> None:
    a = episodic(1)
    found = first_divergence(a, a.assign(reward_mean=a.reward_mean + 0.01 * (a.step > 3000)))
    assert (found.question, found.numbers["common_steps"]) == ("same-seed", len(a))
