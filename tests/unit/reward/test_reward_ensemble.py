"""Several scorers of the same answers: which columns they are, and where they disagree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rldk.errors import UnknownName, UsageError
from rldk.reward import RewardHealthReport, health
from rldk.reward.scorer_columns import scorer_columns

COUNT = 600


def scored(seed: int = 0, *, scorers: int = 5, share: float = 0.0, gain: float = 6.0) -> np.ndarray:
    """Scores of answers, shape (600, scorers). The first scorer gives a share of them `gain` too much."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=COUNT)[:, None] + 0.5 * rng.normal(size=(COUNT, scorers))
    made[rng.random(COUNT) < share, 0] += gain
    return made


def frame(scores: np.ndarray, stem: str = "score_", **more: Any) -> pd.DataFrame:
    columns = {f"{stem}{k}": scores[:, k] for k in range(scores.shape[1])}
    return pd.DataFrame({"prompt": [f"question {i // 4}" for i in range(COUNT)], **columns, **more})


def state(report: RewardHealthReport) -> str:
    return report.status("ensemble")


def test_scorers_that_a_policy_has_fooled_are_named_and_honest_ones_pass() -> None:
    honest, hacked = health(frame(scored())), health(frame(scored(share=0.12)))
    assert (state(honest), state(hacked)) == ("pass", "warn")
    assert [f.code for f in hacked.findings] == ["RM033"]
    assert hacked.ensemble is not None
    assert hacked.ensemble.top.low > 1.5 < hacked.ensemble.top.value
    assert hacked.ensemble.scorers == tuple(f"score_{k}" for k in range(5))
    assert len(hacked.ensemble.curve) == 10
    assert any("mean of the scores of 5 scorers" in note.text for note in hacked.notes)


def test_without_several_scorers_the_check_says_what_it_needs() -> None:
    data = pd.DataFrame({"prompt": [f"q{i // 4}" for i in range(COUNT)], "reward": scored()[:, 0]})
    found = health(data).checks["ensemble"]
    assert (found.status, found.value) == ("not_available", None)
    assert "score_0, score_1" in found.reason


@pytest.mark.parametrize("stretch", [np.exp, np.cbrt, lambda x: 1 / (1 + np.exp(-4 * x))])
def test_a_scorer_on_a_stretched_scale_is_no_disagreement(stretch: Any) -> None:
    scores = scored()
    scores[:, 1] = stretch(scores[:, 1])
    assert state(health(frame(scores))) == "pass"


def test_a_reward_of_its_own_decides_which_answers_are_best() -> None:
    scores = scored(share=0.12)
    found = health(frame(scores, reward=scores[:, 1:].mean(axis=1))).ensemble
    assert found is not None
    assert found.top.value < 1.5


def test_scorers_that_measure_different_things_are_no_ensemble() -> None:
    report = health(frame(np.random.default_rng(0).normal(size=(COUNT, 3))))
    assert state(report) == "not_available"
    assert any("rank the answers too differently" in note.text for note in report.notes)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.repeat(scored()[:, :1], 3, axis=1), "copies of one"),
        (np.minimum(scored(), -0.9), "the same score to the best"),
        (scored() * [1, 1, 0, 1, 1], "the same score to every answer"),
    ],
)
def test_copies_and_a_reward_at_its_bound_are_said(scores: np.ndarray, words: str) -> None:
    report = health(frame(scores))
    assert state(report) == "not_available"
    assert any(words in note.text for note in report.notes), report.notes


def test_a_reward_of_two_values_has_no_best_tenth() -> None:
    report = health(frame(scored(), reward=(scored()[:, 0] > 0).astype(float)))
    assert state(report) == "not_available"
    assert any("too few values" in note.text for note in report.notes)


def test_gold_scores_say_whether_disagreement_tells_errors() -> None:
    rng = np.random.default_rng(3)
    gold, spread = rng.normal(size=COUNT), np.where(rng.random(COUNT) < 0.5, 0.1, 1.5)
    scores = gold[:, None] + spread[:, None] * rng.normal(size=(COUNT, 4))
    found = health(frame(scores, gold=gold)).ensemble
    assert found is not None
    assert found.error is not None
    assert found.error.low > 0.3


def test_every_form_of_a_file_gives_the_same(tmp_path: Path) -> None:
    data = frame(scored(share=0.12), stem="reward_model_")
    data.to_parquet(tmp_path / "a.parquet")
    data.to_csv(tmp_path / "a.csv", index=False)
    data.to_json(tmp_path / "a.jsonl", orient="records", lines=True, double_precision=15)
    lists = data[["prompt"]].assign(ensemble_scores=list(scored(share=0.12)))
    lists.to_parquet(tmp_path / "lists.parquet")
    rows = [{"prompt": p, "ensemble_scores": s.tolist()} for p, s in zip(*lists.to_dict("list").values(), strict=True)]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = sorted(path for path in tmp_path.iterdir())
    found = [health(path).checks["ensemble"].value for path in files]
    assert len(files) == 5
    assert found == pytest.approx([found[0]] * 5)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["reward", "score_0", "score_1", "score_2"], 3),
        (["reward1", "reward2", "reward3", "reward1_rank"], 3),
        (["RM.0", "RM.1"], 2),
        (["score_1", "score_2"], 0),
        (["score_1", "score_3", "score_4"], 0),
        (["score_0", "score_1", "score_2", "response_0", "response_1", "response_2"], 0),
        (["accuracy_reward", "format_reward", "reward"], 0),
        (["score_10", "score_1", *(f"score_{k}" for k in range(2, 10))], 10),
    ],
)
def test_numbered_columns_are_an_ensemble_and_others_are_not(names: list[str], found: int) -> None:
    columns = scorer_columns(names)
    assert len(columns) == found
    assert list(columns) == sorted(columns, key=lambda name: int("".join(c for c in name if c.isdigit())))


def test_the_user_may_name_the_columns() -> None:
    data = frame(scored(share=0.12)).rename(columns={f"score_{k}": name for k, name in enumerate("abcde")})
    assert state(health(data, columns={"scorers": "a, b,c,d,e"})) == "warn"
    with pytest.raises(UnknownName, match="f"):
        health(data, columns={"scorers": "a,f"})
    with pytest.raises(UsageError, match="two scorers"):
        health(data, columns={"scorers": "a"})
