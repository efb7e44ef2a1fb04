"""Fits the health score on labelled runs and writes the model with its measured quality.

python -m benchmarks.health CORPUS... [--held-out CORPUS...] [--out src/rldk/engine/report/data/health.json] [--jobs N]

Log-odds of a healthy run = intercept + weights * evidence, no weight above 0, L2 on the weights, both classes weighted
alike (a run is as likely healthy as not before anything is seen). Quality is cross-validated by fault: every pair of a
healthy and a faulty run is ordered by a model that saw neither of them, nor any other run with that fault. The interval
is a bootstrap over faults and healthy runs. `--held-out`: corpora that nothing is fitted on, measured with the model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from rldk.bench.cases import find_cases  # noqa: E402
from rldk.bench.judge import Result, RuleChoice, judge_all  # noqa: E402
from rldk.core.stats.ranking import auc, auc_interval  # noqa: E402
from rldk.engine.executors import processors  # noqa: E402

TARGET = ROOT / "src" / "rldk" / "engine" / "report" / "data" / "health.json"
EVIDENCE = ("warned_families", "critical_families", "strain")
L2 = 1.0
FOLDS = 5  # of healthy runs
RESAMPLES = 2000
BINS = (0.0, 0.1, 0.3, 0.7, 0.9, 1.0)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    evidence: Floats  # (runs, EVIDENCE)
    healthy: NDArray[np.bool_]
    fault: NDArray[np.str_]


def measured(corpora: Sequence[Path], jobs: int) -> list[Result]:
    """The runs whose health is known at all; a run that fails ends the fit."""
    results = [r for corpus in corpora for r in judge_all(find_cases(corpus), RuleChoice(), jobs)]
    failed = [f"{r.run}: {r.error}" for r in results if r.error]
    if failed:
        raise SystemExit("\n".join(failed))
    return [r for r in results if r.health is not None]


def data_of(results: Sequence[Result]) -> Data:
    return Data(
        evidence=np.array([[r.evidence[name] for name in EVIDENCE] for r in results]),
        healthy=np.array([r.label.healthy for r in results]),
        fault=np.array([r.label.fault for r in results]),
    )


def balance(healthy: NDArray[np.bool_]) -> Floats:
    """Weights under which both classes count alike; their sum is the number of runs."""
    share = np.where(healthy, healthy.mean(), 1 - healthy.mean())
    return np.asarray(0.5 / share, dtype=np.float64)


def fit(evidence: Floats, healthy: NDArray[np.bool_]) -> Floats:
    """Intercept and weights."""
    from scipy.optimize import minimize

    weights, sign = balance(healthy), np.where(healthy, 1.0, -1.0)

    def loss(b: Floats) -> tuple[float, Floats]:
        margin = sign * (b[0] + evidence @ b[1:])
        slope = -sign * weights / (1 + np.exp(margin))
        value = float((weights * np.logaddexp(0, -margin)).sum() + L2 / 2 * (b[1:] ** 2).sum())
        return value, np.concatenate([[slope.sum()], evidence.T @ slope + L2 * b[1:]])

    bounds = [(None, None)] + [(None, 0.0)] * evidence.shape[1]
    found = minimize(loss, np.zeros(evidence.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float64)


def probability(b: Floats, evidence: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(b[0] + evidence @ b[1:]))), dtype=np.float64)


def cross_validated(data: Data) -> tuple[Floats, Floats]:
    """For each healthy run against each faulty one, 1 when it is above, 0.5 for a tie; and each run's probability by
    models that saw neither it nor its fault (their mean)."""
    healthy, faulty = np.flatnonzero(data.healthy), np.flatnonzero(~data.healthy)
    fold = np.arange(len(healthy)) % FOLDS
    won = np.full((len(healthy), len(faulty)), np.nan)
    told, times = np.zeros(len(data.healthy)), np.zeros(len(data.healthy))
    for fault in sorted(set(data.fault[faulty])):
        for part in range(FOLDS):
            rows, columns = np.flatnonzero(fold == part), np.flatnonzero(data.fault[faulty] == fault)
            out = np.concatenate([healthy[rows], faulty[columns]])
            kept = np.setdiff1d(np.arange(len(data.healthy)), out)
            said = probability(fit(data.evidence[kept], data.healthy[kept]), data.evidence[out])
            above, below = said[: len(rows), None], said[None, len(rows) :]
            won[np.ix_(rows, columns)] = (above > below) + 0.5 * (above == below)
            told[out] += said
            times[out] += 1
    return won, told / times


def interval(won: Floats, faults: NDArray[np.str_], rng: np.random.Generator) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean, resampled by fault and by healthy run."""
    groups = [np.flatnonzero(faults == f) for f in sorted(set(faults))]
    means = []
    for _ in range(RESAMPLES):
        columns = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        rows = rng.integers(won.shape[0], size=won.shape[0])
        means.append(won[np.ix_(rows, columns)].mean())
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def reliability(told: Floats, healthy: NDArray[np.bool_]) -> list[dict[str, float]]:
    """What was said and what was so, in bins of what was said, with the classes weighted alike."""
    weights = balance(healthy)
    place = np.clip(np.digitize(told, BINS) - 1, 0, len(BINS) - 2)
    table = []
    for i in sorted(set(place.tolist())):
        inside = place == i
        said, so = (float(np.average(x[inside], weights=weights[inside])) for x in (told, healthy.astype(float)))
        table.append(
            {"from": BINS[i], "to": BINS[i + 1], "runs": int(inside.sum()), "said": _short(said), "was": _short(so)}
        )
    return table


def brier(told: Floats, healthy: NDArray[np.bool_]) -> float:
    return float(np.average((told - healthy) ** 2, weights=balance(healthy)))


def digest(corpora: Sequence[Path]) -> str:
    """One hash over every label and log."""
    total = hashlib.sha256()
    for folder in (case.folder for corpus in corpora for case in find_cases(corpus)):
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def document(corpora: Sequence[Path], results: Sequence[Result]) -> dict[str, Any]:
    """The model and what is known of it."""
    data = data_of(results)
    b = fit(data.evidence, data.healthy)
    own = probability(b, data.evidence)
    won, told = cross_validated(data)
    low, high = interval(won, data.fault[~data.healthy], np.random.default_rng(0))
    return {
        "schema_version": 1,
        "intercept": _short(float(b[0])),
        "weights": {name: _short(float(w)) for name, w in zip(EVIDENCE, b[1:], strict=True)},
        "prior": 0.5,
        "l2": L2,
        "trained_on": {
            "corpora": [corpus.name for corpus in corpora],
            "healthy": int(data.healthy.sum()),
            "faulty": int((~data.healthy).sum()),
            "faults": len(set(data.fault)) - 1,
            "sha256": digest(corpora),
        },
        "in_sample": {"auc": _short(_area(own, data.healthy)), "brier": _short(brier(own, data.healthy))},
        "cross_validated": {
            "auc": _short(float(won.mean())),
            "low": _short(low),
            "high": _short(high),
            "brier": _short(brier(told, data.healthy)),
            "reliability": reliability(told, data.healthy),
        },
    }


def held_out(model: dict[str, Any], results: Sequence[Result]) -> dict[str, Any]:
    """The quality of the model on runs that it was not fitted on."""
    data = data_of(results)
    b = np.array([model["intercept"], *(model["weights"][name] for name in EVIDENCE)])
    told = probability(b, data.evidence)
    healthy, faulty = int(data.healthy.sum()), int((~data.healthy).sum())
    area = _area(told, data.healthy)
    low, high = auc_interval(area, healthy, faulty)
    return {
        "healthy": healthy,
        "faulty": faulty,
        "auc": _short(area),
        "low": _short(low),
        "high": _short(high),
        "brier": _short(brier(told, data.healthy)),
        "reliability": reliability(told, data.healthy),
    }


def _area(told: Floats, healthy: NDArray[np.bool_]) -> float:
    return auc(told[healthy].tolist(), told[~healthy].tolist())


def _short(x: float) -> float:
    return round(x, 4)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.health", description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--held-out", nargs="+", type=Path, default=[])
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--jobs", type=int, default=processors())
    options = parser.parse_args()
    found = document(options.corpora, measured(options.corpora, options.jobs))
    if options.held_out:
        found["held_out"] = held_out(found, measured(options.held_out, options.jobs))
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
