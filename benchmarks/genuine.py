"""Measures the health score on genuine logs, and whether a fit on such logs of other repositories would beat it.

python -m benchmarks.genuine LOGS --with CORPUS... [--out src/rldk/engine/report/data/health.json] [--jobs N]

LOGS holds a folder for each log, with a `label.json` beside it: `outcome` ("healthy", "unhealthy", others are passed
over) and `source` ("owner/repository path @ commit"). Every log is judged by the shipped model, and by a model that is
fitted on the corpora and the logs of all other repositories; two logs are ordered by a model that saw the repository of
neither. The figures go into the model's file as "genuine", the logs stay where they are. A log of several runs counts
once, as its worst run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from benchmarks.health import (  # noqa: E402
    EVIDENCE,
    RESAMPLES,
    TARGET,
    Data,
    Floats,
    brier,
    data_of,
    fit,
    measured,
    probability,
    reliability,
)  # fmt: skip
from rldk.diagnosis import diagnose_all  # noqa: E402
from rldk.engine.executors import processors  # noqa: E402
from rldk.errors import RldkError  # noqa: E402


@dataclass(frozen=True)
class Logs:
    evidence: Floats  # (logs, EVIDENCE)
    healthy: NDArray[np.bool_]
    repository: NDArray[np.str_]


def read(root: Path) -> Logs:
    """The logs whose health is known at all, by label and by evidence."""
    evidence, healthy, repository = [], [], []
    for path in sorted(root.glob("*/label.json")):
        label = json.loads(path.read_text())
        if label["outcome"] not in ("healthy", "unhealthy"):
            continue
        worst = _worst(path.parent)
        if worst is not None:
            evidence.append([worst[name] for name in EVIDENCE])
            healthy.append(label["outcome"] == "healthy")
            repository.append(label["source"].split(" ", 1)[0])
    return Logs(np.array(evidence), np.array(healthy), np.array(repository))


def _worst(folder: Path) -> dict[str, float] | None:
    """The evidence of the run of a log that is least likely healthy; None where nothing is known of any."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "log"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("label.json"))
        files = [p for p in copy.rglob("*") if p.is_file()]
        try:
            reports = diagnose_all(str(files[0] if len(files) == 1 else copy))
        except RldkError:
            return None
        known = [r for r in reports if r.numbers["health"] is not None]
        worst = min(known, key=lambda r: float(r.numbers["health"] or 0.0), default=None)
        return None if worst is None else worst.meta["evidence"]


def refitted(logs: Logs, data: Data) -> tuple[Floats, Floats]:
    """Each log's probability by the model that is fitted on the corpora and the logs of all other repositories, and
    what `ordered` says, of each pair by the model that saw the repository of neither."""
    healthy, unhealthy = np.flatnonzero(logs.healthy), np.flatnonzero(~logs.healthy)
    told, won = np.zeros(len(logs.healthy)), np.zeros((len(healthy), len(unhealthy)))
    names = sorted(set(logs.repository))
    for name, other in ((a, b) for a in names for b in names if a <= b):
        out = (logs.repository == name) | (logs.repository == other)
        evidence = np.concatenate([data.evidence, logs.evidence[~out]])
        said = probability(fit(evidence, np.concatenate([data.healthy, logs.healthy[~out]])), logs.evidence)
        for one, two in {(name, other), (other, name)}:
            rows, columns = logs.repository[healthy] == one, logs.repository[unhealthy] == two
            won[np.ix_(rows, columns)] = ordered(said, logs)[np.ix_(rows, columns)]
        if name == other:
            told[out] = said[out]
    return told, won


def ordered(told: Floats, logs: Logs) -> Floats:
    """For each healthy log against each unhealthy one, 1 when it is above, 0.5 for a tie."""
    above, below = told[logs.healthy][:, None], told[~logs.healthy][None, :]
    return np.asarray((above > below) + 0.5 * (above == below), dtype=np.float64)


def quality(told: Floats, won: Floats, logs: Logs) -> dict[str, Any]:
    """How well the probabilities order the logs and how true they are; the interval is a bootstrap by repository."""
    rng, names = np.random.default_rng(0), sorted(set(logs.repository))
    groups = [(np.flatnonzero(own[logs.healthy]), np.flatnonzero(own[~logs.healthy])) for own in _own(logs, names)]
    areas = []
    for _ in range(RESAMPLES):
        drawn = [groups[i] for i in rng.integers(len(groups), size=len(groups))]
        rows, columns = (np.concatenate(part) for part in zip(*drawn, strict=True))
        if len(rows) and len(columns):
            areas.append(won[np.ix_(rows, columns)].mean())
    return {
        "auc": round(float(won.mean()), 4),
        "low": round(float(np.quantile(areas, 0.025)), 4),
        "high": round(float(np.quantile(areas, 0.975)), 4),
        "brier": round(brier(told, logs.healthy), 4),
        "reliability": reliability(told, logs.healthy),
    }


def _own(logs: Logs, names: Sequence[str]) -> list[NDArray[np.bool_]]:
    return [logs.repository == name for name in names]


def document(logs: Logs, data: Data, model: dict[str, Any]) -> dict[str, Any]:
    """What is known of the shipped model and of its rival on the logs."""
    b = np.array([model["intercept"], *(model["weights"][name] for name in EVIDENCE)])
    said = probability(b, logs.evidence)
    return {
        "healthy": int(logs.healthy.sum()),
        "unhealthy": int((~logs.healthy).sum()),
        "repositories": len(set(logs.repository)),
        "shipped": quality(said, ordered(said, logs), logs),
        "refitted": quality(*refitted(logs, data), logs),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.genuine", description=__doc__.splitlines()[0])
    parser.add_argument("logs", type=Path)
    parser.add_argument("--with", dest="corpora", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--jobs", type=int, default=processors())
    options = parser.parse_args(arguments)
    model = json.loads(options.out.read_text())
    found = document(read(options.logs), data_of(measured(options.corpora, options.jobs)), model)
    options.out.write_text(json.dumps({**model, "genuine": found}, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
