"""Texts of an evaluation in training data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_answers import prose

from rldk.core.stats.minhash import signatures
from rldk.core.stats.shingles import WordHashes, runs
from rldk.evals import run
from rldk.evals.overlap.search import find_overlap
from rldk.evals.suites import Suite

RNG = np.random.default_rng(0)
ONLY = Suite(name="x", description="", evaluations=("contamination",))


@pytest.mark.slow
def test_planted_texts_are_found_each_in_its_way() -> None:
    evaluation = [prose(RNG, 60) for _ in range(300)]
    changed = evaluation[1].split()
    changed[30] = "other"
    train = [prose(RNG, 60) for _ in range(1000)]
    train += [
        f"  {evaluation[0].upper()} ",
        " ".join(changed),
        prose(RNG, 60) + " " + " ".join(evaluation[2].split()[:45]),
    ]
    found = find_overlap(train, evaluation)
    assert np.flatnonzero(found.exact).tolist() == [0]
    assert np.flatnonzero(found.covered).tolist() == [0, 1, 2]
    assert np.flatnonzero(found.near).tolist() == [0, 1]
    assert found.searched == 1003


def test_a_template_that_all_prompts_share_is_no_contamination() -> None:
    template = prose(RNG, 40)
    evaluation = [f"{template} {prose(RNG, 15)}" for _ in range(200)]
    found = find_overlap([f"{template} {prose(RNG, 60)}" for _ in range(200)], evaluation)
    assert found.found.sum() == 0


def test_a_signature_agrees_in_the_share_of_common_shingles() -> None:
    words = prose(RNG, 400).split()
    texts = [" ".join(words[:300]), " ".join(words[100:])]
    shingles = runs(*WordHashes().of(texts), 5, short=True)
    sets = [set(shingles[0][shingles[1] == i].tolist()) for i in (0, 1)]
    jaccard = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    agreed = np.mean([(s[0] == s[1]).mean() for s in (signatures(*shingles, 2, seed=i) for i in range(20))])
    assert agreed == pytest.approx(jaccard, abs=0.04)


def test_runs_stay_within_their_text() -> None:
    hashes, owner = runs(*WordHashes().of(["a b c d", "e", "", "a b c"]), 3, short=True)
    assert owner.tolist() == [0, 0, 1, 3]
    assert hashes[0] == hashes[3]


def test_the_evaluation_names_the_rows(tmp_path: Path) -> None:
    rows = [{"prompt_id": i, "prompt": prose(RNG, 20), "correct": 1} for i in range(100)]
    train = tmp_path / "train.jsonl"
    train.write_text("\n".join([json.dumps({"text": rows[7]["prompt"]}), "{torn", json.dumps({"text": "other"})]))
    found = run(rows, ONLY, train=train).raw_results["contamination"]
    assert (found.status, found.value, found.reason) == ("warn", 0.01, "row 8")
    assert found.details["rejected"] == 1
    assert run(rows, ONLY).not_available["contamination"].startswith("needs the training data")
