"""Planted faults of reward models: is each one named, and is its size inside its own interval?

`python -m benchmarks.reward_faults [--seeds 20] [--first 0]` trains a small reward model for each fault and seed, and
prints the table of docs/reward.md.

Where the true size is not planted it is the mean over `BLOCKS` large sets of answers of the same model, made without
their texts, and measured without the code that is judged. The sampling error of that mean is a thirteenth of that of
the report, so that it does not count."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.tiny_reward import RATE, BagModel, Counted, Maker
from rldk.reward import RewardHealthReport, compare_models, health

TRAIN, PROMPTS, EACH, LARGE, BLOCKS = 4000, 300, 4, 1200, 40
HEAD = "| planted | named | size inside its interval | other findings |\n|---|---|---|---|"
Outcome = tuple[RewardHealthReport, str, float, tuple[float, float] | None]


def trained(maker: Maker, fault: Callable[..., np.ndarray] | None = None, *, flip: float = 0.0, place: bool = False):
    """A model on pairs whose log-odds have the fault's term, and the pairs."""
    a, b = maker.counted(TRAIN), maker.counted(TRAIN)
    first = np.where(maker.rng.random(TRAIN) < 0.5, 1, 2)
    odds = RATE * (a.quality - b.quality) + (fault(a, b, first) if fault else 0.0)
    wins = maker.preferred(odds)
    wins = np.where(maker.rng.random(TRAIN) < flip, ~wins, wins)
    if place:
        show(maker, a.bag, first)
        show(maker, b.bag, 3 - first)
    return BagModel(len(maker.place)).fit(a.bag, b.bag, wins)


def show(maker: Maker, bag: np.ndarray, position: np.ndarray) -> None:
    """Tells the model the place of each answer."""
    bag[np.arange(len(bag)), [maker.place[f"[{at}]"] for at in position]] = 1


def scored(maker: Maker, model: BagModel, prompts: int, *, place: bool = False) -> dict[str, list]:
    """New answers with their scores."""
    texts = maker.answers(prompts * EACH)[0]
    position = maker.rng.permuted(np.tile(np.arange(1, 3), (prompts, EACH // 2)), axis=1).ravel() if place else None
    made = {
        "prompt": [f"question {i}" for i in range(prompts) for _ in range(EACH)],
        "response": texts,
        "reward": model.score(maker.bag(texts, position)).tolist(),
    }
    return made | ({"position": position.tolist()} if place else {})


def pairs(maker: Maker, model: BagModel, count: int, *, flip: float = 0.0) -> dict[str, list]:
    a, b = maker.answers(count), maker.answers(count)
    wins = maker.preferred(RATE * (a[1] - b[1]))
    wins = np.where(maker.rng.random(count) < flip, ~wins, wins)
    s, t = model.score(maker.bag(a[0])), model.score(maker.bag(b[0]))
    return {
        "prompt": [f"question {i}" for i in range(count)],
        "chosen": [x if w else y for x, y, w in zip(a[0], b[0], wins, strict=True)],
        "rejected": [y if w else x for x, y, w in zip(a[0], b[0], wins, strict=True)],
        "chosen_score": np.where(wins, s, t).tolist(),
        "rejected_score": np.where(wins, t, s).tolist(),
    }


def true_size(measure: Callable[[Counted], float], maker: Maker) -> float:
    """The mean of a quantity over large sets of new answers."""
    return float(np.mean([measure(maker.counted(LARGE * EACH)) for _ in range(BLOCKS)]))


def ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each answer among those to its prompt, minus the mean rank: half of those below minus those above."""
    by_prompt = values.reshape(-1, EACH)
    return 0.5 * np.sign(by_prompt[:, :, None] - by_prompt[:, None, :]).sum(axis=2).ravel()


def centred(values: np.ndarray) -> np.ndarray:
    """The values minus the mean over the answers to their prompt."""
    by_prompt = values.reshape(-1, EACH)
    return (by_prompt - by_prompt.mean(axis=1, keepdims=True)).ravel()


def together(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def lists_given_the_rest(own: Counted, score: np.ndarray, dashes: np.ndarray) -> float:
    """The rank correlation of list items with the score, with length and repetition held fixed."""
    words = own.bag.sum(axis=1)
    repeated = np.where(words >= 16, 1 - (own.bag > 0).sum(axis=1) / words, 0.0)
    fixed = np.column_stack([ranks(own.length), centred(own.length), centred(np.log1p(own.length)), ranks(repeated)])
    x, y = (v - fixed @ np.linalg.lstsq(fixed, v, rcond=None)[0] for v in (ranks(dashes), ranks(score)))
    return together(x, y)


def frame(columns: dict[str, list]):
    import pandas as pd

    return pd.DataFrame(columns)


def length(seed: int) -> Outcome:
    maker = Maker(seed)
    model = trained(maker, lambda a, b, _: 0.15 * (a.fill - b.fill))
    report = health(frame(scored(maker, model, PROMPTS)))
    own = report.length_bias_metrics

    true = true_size(lambda own: together(ranks(own.length), ranks(model.score(own.bag))), maker)
    return report, "LEN020", true, (own.low, own.high)


def feature(seed: int) -> Outcome:
    maker = Maker(seed)
    model = trained(maker, lambda a, b, _: 3.0 * (a.listed - b.listed))

    def lists(report: RewardHealthReport):
        return next(one.coupling for one in report.shortcut_analysis["format"] if one.feature == "lists")

    report = health(frame(scored(maker, model, PROMPTS)))
    own = lists(report)
    dash = maker.place["-"]
    true = true_size(lambda own: lists_given_the_rest(own, model.score(own.bag), own.bag[:, dash]), maker)
    return report, "RM020", true, (own.low, own.high)


def position(seed: int) -> Outcome:
    maker = Maker(seed)
    model = trained(maker, lambda a, b, first: np.where(first == 1, 1.5, -1.5), place=True)

    def place(report: RewardHealthReport):
        return report.shortcut_analysis["position"][0].coupling

    report = health(frame(scored(maker, model, PROMPTS, place=True)))
    own = place(report)

    def correlation(own: Counted) -> float:
        shown = maker.rng.permuted(np.tile(np.arange(1, 3), (LARGE, EACH // 2)), axis=1).ravel()
        show(maker, own.bag, shown)
        return together(ranks(shown), ranks(model.score(own.bag)))

    true = true_size(correlation, maker)
    return report, "RM021", true, (own.low, own.high)


def flipped(seed: int) -> Outcome:
    maker = Maker(seed)
    report = health(frame(pairs(maker, trained(maker, flip=0.2), 3000, flip=0.2)))
    check = report.checks["label_noise"]
    return report, "DATA050", 0.2, (check.low, check.high)


def overlap(seed: int) -> Outcome:
    maker = Maker(seed)
    model = trained(maker)
    train, held = (frame(scored(maker, model, n)) for n in (900, PROMPTS))
    copied = maker.rng.choice(len(held), len(held) // 10, replace=False)
    held.loc[copied, ["prompt", "response"]] = train.loc[copied, ["prompt", "response"]].to_numpy()
    import pandas as pd

    report = health(pd.concat([train.assign(split="train"), held.assign(split="validation")], ignore_index=True))
    check = report.checks["label_leakage"]
    return report, "EVAL006", 0.1, (check.low, check.high)


def saturated(seed: int) -> Outcome:
    maker = Maker(seed)
    model = trained(maker)
    top = float(np.quantile(model.score(maker.counted(2000).bag), 0.6))

    def capped(prompts: int) -> dict[str, list]:
        columns = scored(maker, model, prompts)
        return columns | {"reward": np.minimum(columns["reward"], top).tolist()}

    report = health(frame(capped(PROMPTS)))
    share = report.saturation_analysis.share

    def at_a_bound(own: Counted) -> float:
        capped = np.minimum(model.score(own.bag), top)
        return float((capped >= top - 0.01 * (top - np.quantile(capped, 0.005))).mean())

    true = true_size(at_a_bound, maker)
    return report, "RM025", true, (share.low, share.high)


def drifted(seed: int) -> Outcome:
    maker = Maker(seed)
    model = trained(maker)
    later = BagModel(0)
    later.weights = 1.4 * model.weights + 0.02 * maker.rng.normal(size=len(model.weights))
    small = scored(maker, model, PROMPTS)["response"]
    prompts = [f"question {i // EACH}" for i in range(len(small))]
    found = compare_models(
        lambda texts: model.score(maker.bag(texts)),
        lambda texts: later.score(maker.bag(texts)),
        prompts,
        responses=small,
    )

    true = true_size(lambda own: float(later.score(own.bag).std() / model.score(own.bag).std()), maker)
    return found, "RM031", true, (found.scale.low, found.scale.high)


def clean(seed: int) -> Outcome:
    maker = Maker(seed)
    model = trained(maker)
    first = health(frame(scored(maker, model, PROMPTS, place=True)), frame(scored(maker, model, PROMPTS)))
    second = health(frame(pairs(maker, model, 3000)))
    return (first if first.findings else second), "", 0.0, None


FAULTS: dict[str, Callable[[int], Outcome]] = {
    "length shortcut": length,
    "format shortcut": feature,
    "position bias": position,
    "20 % flipped labels": flipped,
    "10 % of validation in training": overlap,
    "saturation at a bound": saturated,
    "scale drift between versions": drifted,
    "none": clean,
}


def row(name: str, counts: tuple[int, int, int], others: str, *, fault: bool) -> str:
    """The row of a fault. `counts`: in how many seeds it was named, and its size inside its interval, of how many."""
    named, inside, seeds = counts
    told = f"{inside} of {seeds}" if fault else "-"
    return f"| {name} | {named} of {seeds}{'' if fault else ' pass'} | {told} | {others} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(HEAD)
    for name, make in FAULTS.items():
        if options.only and options.only not in name:
            continue
        named = inside = 0
        others: dict[str, int] = {}
        for seed in range(options.first, options.first + options.seeds):
            report, code, size, ends = make(seed)
            codes = {f.code for f in report.findings}
            named += code in codes if code else not codes
            inside += ends is not None and ends[0] <= size <= ends[1]
            for other in codes - {code}:
                others[other] = others.get(other, 0) + 1
        more = ", ".join(f"{c} {n}" for c, n in sorted(others.items())) or "-"
        print(row(name, (named, inside, options.seeds), more, fault=bool(code)), flush=True)


if __name__ == "__main__":
    main()
