"""Ensembles of reward models, honest and hacked: how often does RM033 fire, and how large a ratio does it measure?

`python -m benchmarks.reward_ensembles [--seeds 200] [--first 0]` prints the table of docs/reward.md. Every
ensemble scores 600 answers to 150 prompts."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.tiny_reward import RATE, BagModel, Maker
from rldk.reward.ensemble import disagreement_of
from rldk.reward.table import ScoreTable
from rldk.rules.catalogue.scores.reward_ensemble import scorers_disagree_on_the_best
from rldk.rules.score_view import ScoresView

PROMPTS, EACH = 150, 4
COUNT = PROMPTS * EACH
NAMES = [f"score_{k}" for k in range(9)]
HEAD = "| ensemble | fires | ratio of disagreement (median) |\n|---|---|---|"
Scores = np.ndarray
Made = Callable[[np.random.Generator, int], Scores]


def quality(rng: np.random.Generator) -> np.ndarray:
    """The quality of the answers, half of whose variance lies between prompts."""
    return (np.repeat(rng.normal(size=PROMPTS), EACH) + rng.normal(size=COUNT)) / np.sqrt(2)


def trained(rng: np.random.Generator, seed: int, *, planted: bool = False) -> Scores:
    """Five linear models on bootstrap samples of 1,500 preferences. Planted: one of them also learnt to like a filler
    word, which 12 % of the answers repeat three times."""
    maker = Maker(seed)
    a, b = maker.counted(1500), maker.counted(1500)
    wins = maker.preferred(RATE * (a.quality - b.quality))
    bag = maker.counted(COUNT).bag
    word = maker.place[maker.filler[0]]
    if planted:
        bag[rng.random(COUNT) < 0.12, word] += 3
    made = []
    for k in range(5):
        drawn = rng.integers(0, 1500, 1500)
        model = BagModel(len(maker.place)).fit(a.bag[drawn], b.bag[drawn], wins[drawn], steps=6)
        if planted and k == 0:
            model.weights[word] += 2 * model.score(bag).std()
        made.append(model.score(bag))
    return np.column_stack(made)


def noisy(scorers: int, scale: float = 0.7) -> Made:
    def make(rng: np.random.Generator, _: int) -> Scores:
        return quality(rng)[:, None] * rng.uniform(0.5, 2, scorers) + scale * rng.normal(size=(COUNT, scorers))

    return make


def heavy(rng: np.random.Generator, _: int) -> Scores:
    return quality(rng)[:, None] + 0.4 * rng.standard_t(3, size=(COUNT, 4))


def stretched(rng: np.random.Generator, _: int) -> Scores:
    x = quality(rng)
    shapes = (lambda v: v, np.exp, lambda v: 1 / (1 + np.exp(-2 * v)), lambda v: v**3)
    return np.column_stack([shape(x + 0.5 * rng.normal(size=COUNT)) for shape in shapes])


def judges(rng: np.random.Generator, _: int) -> Scores:
    return np.clip(np.rint(6 + 2 * (quality(rng)[:, None] + 0.6 * rng.normal(size=(COUNT, 3)))), 1, 10)


def uneven(rng: np.random.Generator, _: int) -> Scores:
    spread = np.repeat(np.exp(0.6 * rng.normal(size=PROMPTS)), EACH)[:, None]
    return quality(rng)[:, None] + 0.6 * spread * rng.normal(size=(COUNT, 4))


def refused(rng: np.random.Generator, _: int) -> Scores:
    made = noisy(4)(rng, 0)
    bad = rng.random(COUNT) < 0.3
    made[bad] = -4 + 0.05 * rng.normal(size=(int(bad.sum()), 4))
    return made


def two_kinds(rng: np.random.Generator, _: int) -> Scores:
    good = (rng.random(COUNT) < 0.3)[:, None]
    return np.where(good, 3.0, 0.0) + rng.normal(size=(COUNT, 4)) * np.where(good, 0.8, 0.2)


def harder(rng: np.random.Generator, _: int) -> Scores:
    x = quality(rng)[:, None]
    return x + 0.5 * np.exp(0.4 * x) * rng.normal(size=(COUNT, 4))


def hacked(scorers: int, share: float, gain: float, victims: int = 1) -> Made:
    """Honest scorers with errors of half a standard deviation, and a share of the answers to which `victims` of them
    give `gain` standard deviations too much."""

    def make(rng: np.random.Generator, _: int) -> Scores:
        made = quality(rng)[:, None] + 0.5 * rng.normal(size=(COUNT, scorers))
        made[np.ix_(rng.random(COUNT) < share, range(victims))] += gain
        return made

    return make


def selected(rng: np.random.Generator, _: int) -> Scores:
    """In three of ten rows the best of 32 answers by the mean of four scorers whose errors have heavy tails."""
    x = rng.normal(size=(COUNT, 32))
    made = x[:, :, None] + 0.5 * rng.standard_t(2.5, size=(COUNT, 32, 4))
    return made[np.arange(COUNT), np.where(rng.random(COUNT) < 0.3, made.mean(axis=2).argmax(axis=1), 0)]


ENSEMBLES: dict[str, Made] = {
    "honest: five models on bootstrap samples of preferences": trained,
    "honest: two scorers, each on a scale of its own": noisy(2),
    "honest: four scorers, each on a scale of its own": noisy(4),
    "honest: errors with heavy tails (t, 3 degrees of freedom)": heavy,
    "honest: one scorer through exp, one through a sigmoid, one cubed": stretched,
    "honest: three judges with marks from 1 to 10": judges,
    "honest: disagreement that differs by prompt": uneven,
    "honest: 30 % refusals on which all agree": refused,
    "honest: 30 % good answers on which they disagree four times as much": two_kinds,
    "not hacked, but disagreement grows with quality": harder,
    "hacked: one of five trained models likes a word in 12 % of the answers": lambda r, s: trained(r, s, planted=True),
    "hacked: one of three scorers, 12 % of the answers, +4 sd": hacked(3, 0.12, 4),
    "hacked: one of five scorers, 12 % of the answers, +6 sd": hacked(5, 0.12, 6),
    "hacked: two of five scorers, 12 % of the answers, +6 sd": hacked(5, 0.12, 6, 2),
    "hacked: one of five scorers, 5 % of the answers, +6 sd": hacked(5, 0.05, 6),
    "hacked: one of five scorers, 12 % of the answers, +3 sd": hacked(5, 0.12, 3),
    "hacked: the best of 32 in three of ten rows": selected,
}


def look(scores: Scores) -> tuple[bool, float]:
    """Whether the rule fires on an ensemble, and the ratio that it measures."""
    prompt = np.repeat(np.arange(PROMPTS), EACH)
    table = ScoreTable(
        reward=scores.mean(axis=1),
        prompt=prompt,
        group=prompt,
        scorers=scores,
        scorer_names=tuple(NAMES[: scores.shape[1]]),
    )
    found, _ = disagreement_of(table, seed=0)
    fired = scorers_disagree_on_the_best.body(ScoresView(disagreement=found))
    return fired is not None, float("nan") if found is None else found.top.value


def row(name: str, fired: int, seeds: int, ratio: float) -> str:
    """The row of an ensemble."""
    return f"| {name} | {fired} of {seeds} | {ratio:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(HEAD)
    for name, make in ENSEMBLES.items():
        if options.only not in name:
            continue
        seeds = range(options.first, options.first + options.seeds)
        found = [look(make(np.random.default_rng(seed), seed)) for seed in seeds]
        ratio = float(np.nanmedian([value for _, value in found]))
        print(row(name, sum(fired for fired, _ in found), len(found), ratio), flush=True)


if __name__ == "__main__":
    main()
