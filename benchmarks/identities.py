"""A labelled set of small real trainings, broken in ways that scalars do not show, and healthy ones.

    python -m benchmarks.identities --out table.md

Each fault is trained twice with different seeds. A fault counts as found when one of its codes is named, as a warning
or worse, within five rows of its beginning. A healthy training counts as warned when anything but information is named.
Needs torch, trl, peft and datasets (the newest)."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

SEEDS = (0, 1)
WITHIN = 5  # rows from the beginning of a fault
LATE = 6  # the iteration at which some faults begin
PLAIN: dict[str, frozenset[str]] = {
    "optimizer-of-a-copy": frozenset({"OPT006", "OPT001"}),
    "frozen-model": frozenset({"OPT006"}),
    "head-not-in-the-optimizer": frozenset({"OPT006"}),
    "group-without-a-rate": frozenset({"OPT016"}),
    "step-never-called": frozenset({"OPT001"}),
    "gradients-zeroed-before-the-step": frozenset({"GRAD015"}),
    "update-taken-back": frozenset({"OPT017"}),
    "loss-without-the-policy": frozenset({"GRAD015", "OPT002"}),
    "every-token-masked": frozenset({"LEN004"}),
    "body-detached": frozenset({"GRAD016"}),
    "reference-is-the-policy": frozenset({"KL005"}),
    "reference-follows-the-policy": frozenset({"KL005"}),
    "another-reference": frozenset({"KL004"}),
    "sampler-never-synced": frozenset({"OFF003"}),
    "sampler-misses-a-layer": frozenset({"OFF003"}),
    "sampler-synced-before-the-step": frozenset({"OFF003"}),
    "sampled-colder": frozenset({"OFF005"}),
    "sampled-from-the-top": frozenset({"OFF005"}),
    "dropout-in-both-passes": frozenset({"CLIP001"}),
    "old-from-older-weights": frozenset({"CLIP001"}),
    "old-at-another-temperature": frozenset({"CLIP001"}),
    "old-shifted-by-one": frozenset({"CLIP001"}),
}
RANKED = {"ranks-diverge": frozenset({"SYS003"}), "ranks-share-a-seed": frozenset({"SYS004"})}
OPTIONS: dict[str, dict[str, Any]] = {"dropout-in-both-passes": {"dropout": 0.2}}
LATER = ("sampler-never-synced", "sampler-misses-a-layer", "reference-follows-the-policy", "every-token-masked")


def healthy_loops() -> dict[str, dict[str, Any]]:
    """The options of the healthy plain loops."""
    import torch

    return {
        "plain": {},
        "plain adapter": {"adapter": True},
        "plain accumulation": {"accumulate": 4},
        "plain bf16 weights": {"dtype": torch.bfloat16, "lr": 5e-3, "beta": 0.0},
        "plain resumed": {"start": 400},
        "plain several-epochs": {"epochs": 3, "lr": 3e-3},
        "plain dropout": {"dropout": 0.1},
        "plain without-a-penalty": {"beta": 0.0},
        "plain warm-up": {"schedule": "warmup"},
        "plain rate-to-zero": {"schedule": "linear"},
        "plain sgd": {"optimizer": "sgd", "lr": 0.3},
        "plain adam": {"optimizer": "adam"},
        "plain sampler-in-bf16": {"sampler_dtype": torch.bfloat16},
        "plain small-rate": {"lr": 1e-4},
        "plain large-rate": {"lr": 3e-2},
        "plain measured-always": {"interval": 1},
        "plain without-samples": {"samples": False},
        "plain strong-penalty": {"beta": 0.3},
        "plain adapter several-epochs": {"adapter": True, "epochs": 2, "lr": 5e-3},
    }


@dataclass
class Outcome:
    """One training: `found` is the first row at which the fault was named, None when it was not."""

    name: str
    seed: int
    onset: int
    found: int | None
    named: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        return self.found is not None and self.found - self.onset < WITHIN


def loud(alerts: Iterable[Any]) -> list[tuple[str, int]]:
    """The rules that warned or worse, with the step."""
    return [(a.rule, a.step) for a in alerts if a.event != "recovered" and a.severity != "info"]


def judged(
    name: str, seed: int, codes: frozenset[str], train: Callable[[], list[tuple[str, int]]], onset: int = 1
) -> Outcome:
    """Trains and compares what was named with the label. Warnings before the onset count as named wrongly."""
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = train()
    found = min((step for code, step in told if code in codes and step >= onset), default=None)
    listed = tuple(dict.fromkeys(f"{code}@{step}" for code, step in told))
    return Outcome(name, seed, onset, found, listed, round(time.monotonic() - began, 1))


def plain_run(fault: str, seed: int, onset: int = 1, **options: Any) -> list[tuple[str, int]]:
    from benchmarks.plain_loop import Loop, train

    steps = options.pop("steps", onset + 7)
    folder = Path(tempfile.mkdtemp(prefix="rldk-set-"))
    # the model is looked at on every step, as the callback does on the first five: a late fault needs no luck then
    interval = options.pop("interval", 1 if onset > 1 else 10)
    return loud(train(Loop(folder, fault, seed, steps, onset, interval=interval, **options)).alerts)


def trl_run(make: Any, seed: int) -> list[tuple[str, int]]:
    from benchmarks.trl_faults import train

    return loud(train(make, Path(tempfile.mkdtemp(prefix="rldk-set-")), seed))


def ranked_run(fault: str) -> list[tuple[str, int]]:
    from benchmarks.ranked_loop import launch

    folder = Path(tempfile.mkdtemp(prefix="rldk-set-"))
    launch(folder, fault)
    alerts = json.loads((folder / "r_alerts.json").read_text())
    return [(a["rule"], a["step"]) for a in alerts if a["event"] != "recovered" and a["severity"] != "info"]


def faults(part: str) -> Iterable[Outcome]:
    for seed in SEEDS:
        if part in ("all", "plain"):
            for fault, codes in PLAIN.items():
                onset = LATE if fault in LATER and seed else 1
                run = partial(plain_run, fault, seed, onset, **OPTIONS.get(fault, {}))
                yield judged(f"plain {fault}", seed, codes, run, onset)
            for fault, codes in RANKED.items():
                yield judged(f"gloo {fault}", seed, codes, partial(ranked_run, fault))
        if part in ("all", "trl"):
            from benchmarks.trl_faults import FAULTS

            for name, (make, codes) in FAULTS.items():
                yield judged(name, seed, codes, partial(trl_run, make, seed))


def healthy(part: str) -> Iterable[Outcome]:
    nothing: frozenset[str] = frozenset()
    if part in ("all", "plain"):
        for name, options in healthy_loops().items():
            yield judged(name, 0, nothing, partial(plain_run, "", 0, steps=30, **{"lr": 5e-3, **options}))
    if part in ("all", "trl"):
        from benchmarks.trl_faults import HEALTHY

        for name, make in HEALTHY.items():
            yield judged(name, 0, nothing, partial(trl_run, make, 0))


def table(broken: list[Outcome], sound: list[Outcome]) -> str:
    """Both parts as Markdown."""
    lines = ["| fault | named at row (each seed) | everything that was named |", "|---|---|---|"]
    for name in dict.fromkeys(o.name for o in broken):
        own = [o for o in broken if o.name == name]
        rows = ", ".join(f"{o.found - o.onset + 1}" if o.found is not None else "not" for o in own)
        late = f" (from row {LATE} with the second seed)" if any(o.onset > 1 for o in own) else ""
        lines.append(f"| {name}{late} | {rows} | {', '.join(dict.fromkeys(n for o in own for n in o.named))} |")
    warned = [o for o in sound if o.named]
    lines += ["", f"{sum(o.good for o in broken)} of {len(broken)} broken trainings were named within {WITHIN} rows; "]
    lines[-1] += f"{len(warned)} of {len(sound)} healthy ones were warned."
    lines += ["", "| healthy training | warnings |", "|---|---|"]
    lines += [f"| {o.name} | {', '.join(o.named) or 'none'} |" for o in sound]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("all", "plain", "trl"), default="all")
    parser.add_argument("--only", choices=("both", "faults", "healthy"), default="both")
    parser.add_argument("--out", type=Path, help="Markdown file for the table.")
    chosen = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    broken: list[Outcome] = []
    sound: list[Outcome] = []
    for outcome in faults(chosen.part) if chosen.only != "healthy" else ():
        broken.append(outcome)
        print(f"{'found' if outcome.good else 'MISSED'}: {outcome}", file=sys.stderr, flush=True)
    for outcome in healthy(chosen.part) if chosen.only != "faults" else ():
        sound.append(outcome)
        print(f"{'WARNED' if outcome.named else 'quiet'}: {outcome}", file=sys.stderr, flush=True)
    text = table(broken, sound)
    print(text)
    if chosen.out:
        chosen.out.write_text(text)
    return 0 if all(o.good for o in broken) and not any(o.named for o in sound) else 1


if __name__ == "__main__":
    sys.exit(main())
