"""How often the sizes that a report on rewards gives lie inside their intervals.

`python -m benchmarks.reward_intervals [--models 10] [--draws 500]` prints two tables of docs/reward.md. The first is of
the faults of `benchmarks.reward_faults`: for each of ten models many new sets of answers are drawn, and the interval of
each is held against the size in a very large set. The second is of the rank correlation among the answers to a prompt,
of values that are made outright."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

from benchmarks.reward_faults import (
    EACH,
    lists_given_the_rest,
    ranks,
    show,
    together,
    trained,
)
from benchmarks.tiny_reward import RATE, BagModel, Counted, Maker
from rldk.core.stats.clustered import paired_scale_ratio
from rldk.core.stats.coupling import GroupRanks, residuals, within_groups
from rldk.core.stats.label_noise import flipped_share
from rldk.reward.distributions import bound_mass
from rldk.reward.table import ScoreTable

SIZES, PAIRS = (40, 100, 300), (300, 1000, 3000)
FIRST = 60_000  # seed of the first model
LARGE, BLOCKS = 20_000, 15  # prompts, sets: of a true size
FLIPPED = 0.2
Ends = tuple[float, float]
Case = Callable[[Maker], tuple[Callable[[Counted], float], Callable[[Counted], Ends]]]


def groups(own: Counted) -> np.ndarray:
    return np.arange(len(own.bag)) // EACH


def ends_of(found) -> Ends:
    return found.low, found.high


def length(maker: Maker):
    model = trained(maker, lambda a, b, _: 0.15 * (a.fill - b.fill))
    return (
        lambda own: together(ranks(own.length), ranks(model.score(own.bag))),
        lambda own: ends_of(within_groups(own.length, model.score(own.bag), groups(own))),
    )


def feature(maker: Maker):
    model, dash = trained(maker, lambda a, b, _: 3.0 * (a.listed - b.listed)), maker.place["-"]

    def given_the_rest(own: Counted) -> Ends:
        words, place = own.bag.sum(axis=1), GroupRanks(groups(own))
        repeated = np.where(words >= 16, 1 - (own.bag > 0).sum(axis=1) / words, 0.0)
        size = [place.of(own.length), place.centred(own.length), place.centred(np.log1p(own.length))]
        fixed = np.column_stack([*size, place.of(repeated)])
        x, y = (residuals(place.of(v), fixed) for v in (own.bag[:, dash], model.score(own.bag)))
        return ends_of(place.coupling(x, y))

    return lambda own: lists_given_the_rest(own, model.score(own.bag), own.bag[:, dash]), given_the_rest


def position(maker: Maker):
    model = trained(maker, lambda a, b, first: np.where(first == 1, 1.5, -1.5), place=True)

    def shown(own: Counted) -> tuple[np.ndarray, np.ndarray]:
        at = maker.rng.permuted(np.tile(np.arange(1, 3), (len(own.bag) // EACH, EACH // 2)), axis=1).ravel()
        show(maker, own.bag, at)
        return at.astype(float), model.score(own.bag)

    return (
        lambda own: together(*map(ranks, shown(own))),
        lambda own: ends_of(within_groups(*shown(own), groups(own))),
    )


def saturated(maker: Maker):
    model = trained(maker)
    top = float(np.quantile(model.score(maker.counted(2000).bag), 0.6))

    def share(own: Counted) -> float:
        capped = np.minimum(model.score(own.bag), top)
        return float((capped >= top - 0.01 * (top - np.quantile(capped, 0.005))).mean())

    def reported(own: Counted) -> Ends:
        table = ScoreTable(reward=np.minimum(model.score(own.bag), top), group=groups(own), prompt=groups(own))
        return ends_of(bound_mass(table, None).share)

    return share, reported


def drifted(maker: Maker):
    model, later = trained(maker), BagModel(0)
    later.weights = 1.4 * model.weights + 0.02 * maker.rng.normal(size=len(model.weights))
    return (
        lambda own: float(later.score(own.bag).std() / model.score(own.bag).std()),
        lambda own: ends_of(paired_scale_ratio(model.score(own.bag), later.score(own.bag), groups(own))),
    )


CASES: dict[str, Case] = {
    "length shortcut": length,
    "format shortcut": feature,
    "position bias": position,
    "saturation at a bound": saturated,
    "scale drift between versions": drifted,
}


def flips(maker: Maker, count: int) -> Callable[[], Ends]:
    """The interval of the flipped share of labels of `count` pairs, of a model that was trained on flipped labels."""
    model = trained(maker, flip=FLIPPED)

    def reported() -> Ends:
        a, b = maker.counted(count), maker.counted(count)
        wins = maker.preferred(RATE * (a.quality - b.quality))
        wins = np.where(maker.rng.random(count) < FLIPPED, ~wins, wins)
        margin = model.score(a.bag) - model.score(b.bag)
        return ends_of(flipped_share(np.where(wins, margin, -margin), clusters=count))

    return reported


def told(ends: list[Ends], true: list[float]) -> str:
    """The share inside, and those above and below the truth."""
    bounded = [(low, high, t) for (low, high), t in zip(ends, true, strict=True) if low == low]
    above = np.mean([low > t for low, _, t in bounded])
    below = np.mean([high < t for _, high, t in bounded])
    return f"{100 * (1 - above - below):.1f} % ({100 * above:.1f}, {100 * below:.1f})"


def of_models(models: int, draws: int) -> None:
    print("| size | 40 prompts | 100 prompts | 300 prompts |\n|---|---|---|---|")
    for name, make in CASES.items():
        ends: dict[int, list[Ends]] = {size: [] for size in SIZES}
        true: list[float] = []
        for seed in range(models):
            maker = Maker(FIRST + seed)
            exact, reported = make(maker)
            true += draws * [float(np.mean([exact(maker.counted(LARGE * EACH)) for _ in range(BLOCKS)]))]
            for size in SIZES:
                ends[size] += [reported(maker.counted(size * EACH)) for _ in range(draws)]
        print(f"| {name} | {' | '.join(told(ends[size], true) for size in SIZES)} |", flush=True)
    cells = []
    for count in PAIRS:
        makers = [flips(Maker(FIRST + seed), count) for seed in range(models)]
        found = [reported() for reported in makers for _ in range(draws)]
        cells.append(told(found, len(found) * [FLIPPED]))
    print(f"| 20 % flipped labels ({', '.join(f'{n:,}' for n in PAIRS)} pairs) | {' | '.join(cells)} |", flush=True)


def normal(r: float):
    def draw(rng: np.random.Generator, shape: tuple[int, int]):
        x = rng.normal(size=shape)
        return x, r * x + math.sqrt(1 - r * r) * rng.normal(size=shape)

    return draw


def rare(share: float, pays: float):
    def draw(rng: np.random.Generator, shape: tuple[int, int]):
        x = (rng.random(shape) < share).astype(float)
        return x, pays * x + rng.normal(size=shape)

    return draw


def counts(rng: np.random.Generator, shape: tuple[int, int]):
    x = np.where(rng.random(shape) < 0.3, rng.choice([3.0, 4.0], shape), 0.0)
    return x, 0.5 * x + rng.normal(size=shape)


def by_prompt(rng: np.random.Generator, shape: tuple[int, int]):
    x = rng.normal(size=shape)
    return x, (0.5 + rng.normal(size=(shape[0], 1))) * x + rng.normal(size=shape)


def verdicts(rng: np.random.Generator, shape: tuple[int, int]):
    x = rng.normal(size=shape)
    hard = 2 * rng.normal(size=(shape[0], 1))
    return x, (x + hard + rng.logistic(size=shape) > 0).astype(float)


WORLDS = {
    "none": normal(0.0),
    "normal, 0.6": normal(0.6),
    "normal, 0.9": normal(0.9),
    "a word in 5 % of the answers": rare(0.05, 1.0),
    "lists in 30 %, counted": counts,
    "effect that differs by prompt": by_prompt,
    "verdicts of 0 and 1, many prompts all alike": verdicts,
}


def of_worlds(draws: int) -> None:
    sizes = (15, *SIZES)
    print(f"\n| among the answers to a prompt | rho | {' | '.join(f'{n} prompts' for n in sizes)} |")
    print(f"|---|---|{'---|' * len(sizes)}")
    for name, draw in WORLDS.items():
        rng = np.random.default_rng(20261130)
        true = float(np.mean([together(*(ranks(v) for v in draw(rng, (LARGE, EACH)))) for _ in range(2 * BLOCKS)]))
        cells = []
        for size in sizes:
            group = np.repeat(np.arange(size), EACH)
            ends = []
            for _ in range(draws):
                x, y = draw(rng, (size, EACH))
                ends.append(ends_of(within_groups(x.ravel(), y.ravel(), group)))
            known = sum(low == low for low, _ in ends)
            cells.append(told(ends, draws * [true]) if known > draws / 4 else "-")
        print(f"| {name} | {true:+.2f} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--draws", type=int, default=500)
    options = parser.parse_args()
    of_models(options.models, options.draws)
    of_worlds(options.models * options.draws)


if __name__ == "__main__":
    main()
