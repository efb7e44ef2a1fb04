"""The sentence that opens a report on rewards."""

from __future__ import annotations

from collections.abc import Mapping

from rldk.reward.facts import HealthCheck

WORDS: Mapping[str, str] = {
    "drift": "drift",
    "saturation": "saturation",
    "calibration": "calibration",
    "shortcuts": "shortcuts",
    "label_leakage": "leakage",
    "length_bias": "length bias",
    "overoptimization": "over-optimisation",
    "ensemble": "agreement of scorers",
    "label_noise": "label noise",
    "data_imbalance": "imbalance of labels",
    "distribution_shift": "shift from training to validation",
    "missing_rewards": "missing rewards",
}
# what the number of each check is
MEASURES: Mapping[str, str] = {
    "drift": "shift in standard deviations",
    "saturation": "share at a bound",
    "calibration": "calibration score",
    "shortcuts": "strongest correlation",
    "label_leakage": "share or gap",
    "length_bias": "rank correlation",
    "overoptimization": "slope of gold",
    "ensemble": "ratio of disagreement",
    "label_noise": "share",
    "data_imbalance": "share",
    "distribution_shift": "distance in standard deviations",
    "missing_rewards": "share",
}


def verdict_of(checks: Mapping[str, HealthCheck]) -> str:
    """What failed and what warned, or how much could be looked at."""
    by_state: dict[str, list[str]] = {}
    for name, check in checks.items():
        by_state.setdefault(check.status, []).append(WORDS[name])
    failed, warned = by_state.get("fail", []), by_state.get("warn", [])
    asked = sum(check.selected for check in checks.values())
    looked = len(checks) - len(by_state.get("not_available", []))
    open_ones = asked - looked
    needs = "needs" if open_ones == 1 else "need"
    tail = f" {open_ones} of {asked} checks {needs} data that is not there." if open_ones else ""
    if failed:
        more = f" {_sentence(warned)} warn{'s' if len(warned) == 1 else ''}." if warned else ""
        return f"The reward does not pass: {_listed(failed)}.{more}{tail}"
    if warned:
        return f"Warning about the reward: {_listed(warned)}.{tail}"
    judged = [name for name, check in checks.items() if check.status == "pass" and name != "missing_rewards"]
    if not judged:
        return f"Not judged: the data carries too little.{tail}"
    return f"No fault found in the reward by {looked} check{'s' if looked > 1 else ''}.{tail}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(names: list[str]) -> str:
    text = _listed(names)
    return text[:1].upper() + text[1:]
