"""The health score on labelled logs of several repositories."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.genuine import Logs, document, ordered, quality, read, refitted
from benchmarks.health import Data, probability

PAIRS = Path(__file__).parents[1] / "corpus" / "pairs"
B = np.array([2.0, -4.0, -1.0, -0.5])
MODEL = {"intercept": 2.0, "weights": {"warned_families": -4.0, "critical_families": -1.0, "strain": -0.5}}


def made(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    evidence = np.column_stack([rng.integers(0, 2, n), rng.integers(0, 2, n), rng.uniform(0, 1, n)]).astype(float)
    return evidence, rng.random(n) < probability(B, evidence)


def logs(n: int = 60) -> Logs:
    evidence, healthy = made(n, 1)
    return Logs(evidence, healthy, np.array([f"owner/{i % 6}" for i in range(n)]))


@pytest.mark.slow
def test_logs_are_read_with_their_labels_and_repositories(tmp_path: Path) -> None:
    for i, run in enumerate(sorted(p for p in PAIRS.iterdir() if p.is_dir())[:4]):
        shutil.copytree(run, tmp_path / run.name)
        healthy = json.loads((run / "label.json").read_text())["fault"] == "none"
        outcome = "unclear" if i == 3 else "healthy" if healthy else "unhealthy"
        label = {"outcome": outcome, "source": f"owner/{i % 2} path/to/log @ 0123"}
        (tmp_path / run.name / "label.json").write_text(json.dumps(label))
    found = read(tmp_path)
    assert found.repository.tolist() == ["owner/0", "owner/1", "owner/0"]
    assert found.evidence.shape == (3, 3)
    assert (found.evidence[:, 0] > 0).tolist() == (~found.healthy).tolist()


@pytest.mark.slow
def test_no_log_is_judged_by_a_model_that_saw_its_repository() -> None:
    one = logs()
    evidence, healthy = made(200, 2)
    data = Data(evidence=evidence, healthy=healthy, fault=np.where(healthy, "none", "a"))
    inside = one.repository == "owner/3"
    turned = Logs(one.evidence, np.where(inside, ~one.healthy, one.healthy), one.repository)
    told, won = refitted(one, data)
    again, _ = refitted(turned, data)
    assert np.array_equal(told[inside], again[inside])
    assert not np.array_equal(told[~inside], again[~inside])
    assert set(np.unique(won)) <= {0.0, 0.5, 1.0}


@pytest.mark.slow
def test_the_truth_is_well_calibrated_and_both_models_are_told_of() -> None:
    one = logs(300)
    said = probability(B, one.evidence)
    found = quality(said, ordered(said, one), one)
    assert found["low"] < found["auc"] < found["high"]
    assert sum(row["runs"] for row in found["reliability"]) == 300
    evidence, healthy = made(200, 2)
    both = document(one, Data(evidence=evidence, healthy=healthy, fault=np.where(healthy, "none", "a")), MODEL)
    assert both["repositories"] == 6
    assert both["shipped"] == found
    assert abs(both["refitted"]["brier"] - found["brier"]) < 0.05
