"""An evaluation and training data of the same number of rows, searched for each other's texts, against reading and
hashing both files once.

`python -m benchmarks.contamination [--rows 100000 ...]` prints the table of docs/how-to/evaluate-answers.md: CPU, peak
memory and disk, which of the planted copies were found, and what was found besides them. 2 % of the evaluation's texts
are planted in the training data, a third each as a whole copy in other case and spacing, as a quotation of 75 % in a
longer text, and with one word changed. A fifth of all texts begin with one of twenty instructions of 16 words."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Cost, Work, race
from benchmarks.result import Result

ROWS = 20_000
PLANTED = 0.02
KINDS = ("exact", "covered", "near")
WORDS = 50_000
BLOCK = 10_000
IMPORTS = "numpy,rldk.evals.overlap.search"
AT_MOST = 12.0  # times the CPU of reading and hashing
RSS_MB = 600.0


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """One measurement of both; the files are made in `work`."""
    rows = max(1000, int(ROWS * scale))
    make(work, rows)
    ours, plain = race(
        Work(f"{__name__}:search", str(work), IMPORTS), Work(f"{__name__}:hashed", str(work), IMPORTS), repeats=repeats
    )
    return [
        Result(
            job=f"contamination, {rows:,} x {rows:,} texts",
            ours=ours,
            baseline=plain,
            against="read and hash both",
            ratio=ours.cpu_s / plain.cpu_s,
            at_most=AT_MOST,
            rss_budget_mb=RSS_MB,
            note=told(ours.facts),
        )
    ]


def told(facts: dict[str, Any]) -> str:
    found = ", ".join(f"{name} {facts[name]:.1%}" for name in KINDS)
    return f"found: {found}; {facts['false']} others; {facts['disk_mb']:.0f} MB on disk"


def make(work: Path, rows: int) -> None:
    """Writes evaluation.jsonl and training.jsonl, and planted.json: kind -> rows of the evaluation."""
    rng = np.random.default_rng(0)
    starts = [" ".join(some) for some in _vocabulary()[rng.integers(0, WORDS, (20, 16))].tolist()]
    chosen = rng.permutation(rows)[: int(rows * PLANTED)]
    parts = dict(zip(KINDS, (part.tolist() for part in np.array_split(chosen, len(KINDS))), strict=True))
    kind_of = {row: kind for kind, some in parts.items() for row in some}
    planted: list[str] = []
    with (work / "evaluation.jsonl").open("w") as stream:
        for row, text in enumerate(_texts(rows, starts, rng)):
            stream.write(json.dumps({"id": row, "prompt": text}) + "\n")
            if row in kind_of:
                planted.append(_copy(kind_of[row], text, rng))
    places = iter(np.sort(rng.choice(rows, len(planted), replace=False)).tolist())
    queue, place = iter(planted), next(places, -1)
    with (work / "training.jsonl").open("w") as stream:
        for row, text in enumerate(_texts(rows, starts, rng)):
            mine = row == place
            place = next(places, -1) if mine else place
            stream.write(json.dumps({"text": next(queue) if mine else text, "source": "made"}) + "\n")
    (work / "planted.json").write_text(json.dumps(parts))


def _vocabulary() -> np.ndarray:
    """Made words of two to four syllables, the frequent ones shorter."""
    rng = np.random.default_rng(1)
    syllables = np.array([c + v for c in "bdfgklmnprstvz" for v in "aeiou"])
    sizes = 1 + (np.arange(WORDS) > 60).astype(int) + (np.arange(WORDS) > 3000)
    return np.array(["".join(syllables[rng.integers(0, len(syllables), size + 1)]) for size in sizes])


def _texts(rows: int, starts: list[str], rng: np.random.Generator) -> Iterator[str]:
    """Texts of 40 to 80 words whose frequencies fall as in prose (Zipf)."""
    words = _vocabulary()
    for begin in range(0, rows, BLOCK):
        sizes = rng.integers(40, 81, min(BLOCK, rows - begin))
        drawn = words[np.minimum(rng.pareto(1.0, int(sizes.sum())) * 20, WORDS - 1).astype(int)].tolist()
        at = 0
        for size, start in zip(sizes.tolist(), rng.integers(0, 100, len(sizes)).tolist(), strict=True):
            text = " ".join(drawn[at : at + size])
            yield f"{starts[start]} {text}" if start < len(starts) else text
            at += size


def _copy(kind: str, text: str, rng: np.random.Generator) -> str:
    words = text.split()
    if kind == "exact":
        return "  ".join(words).upper()
    if kind == "near":
        words[int(rng.integers(0, len(words)))] = "changed"
        return " ".join(words)
    size = int(np.ceil(0.75 * len(words)))
    begin = int(rng.integers(0, len(words) - size + 1))
    around = [f"own{n}" for n in rng.integers(0, WORDS, 120).tolist()]
    return " ".join([*around[:60], *words[begin : begin + size], *around[60:]])


def search(folder: str) -> dict[str, Any]:
    """Searches the training data for the prompts, which are read from the file as they are needed."""
    from rldk.adapters.records import read_records
    from rldk.evals.overlap.search import find_overlap

    work = Path(folder)
    prompts = (row["prompt"] for row in read_records(work / "evaluation.jsonl") if isinstance(row, dict))
    found = find_overlap(work / "training.jsonl", prompts)
    planted = json.loads((work / "planted.json").read_text())
    other = found.found.copy()
    for rows in planted.values():
        other[rows] = False
    return {
        **{name: float(getattr(found, name)[planted[name]].mean()) for name in KINDS},
        "false": int(other.sum()), "disk_mb": found.on_disk / 1e6, "left_out": found.left_out,
    }  # fmt: skip


def hashed(folder: str) -> dict[str, Any]:
    """Reads both files and hashes the whole of each text."""
    from rldk.core.stats.shingles import exact_keys
    from rldk.evals.overlap.sources import texts_of_training

    for name in ("evaluation.jsonl", "training.jsonl"):
        for text in texts_of_training(Path(folder) / name):
            exact_keys([text])
    return {}


def _line(rows: int, ours: Cost, plain: Cost) -> str:
    facts = ours.facts
    found = " | ".join(f"{100 * facts[name]:.1f} %" for name in KINDS)
    return (
        f"| {rows:,} | {ours.cpu_s:.1f} s | {ours.cpu_s / plain.cpu_s:.1f} | {ours.rss_mb:.0f} MB | "
        f"{facts['disk_mb']:.0f} MB | {found} | {facts['false']} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    print(
        "| rows of each | CPU | by reading and hashing | memory | disk | whole | quoted | one word changed | others |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), rows)
            ours, plain = race(
                Work("benchmarks.contamination:search", folder, IMPORTS),
                Work("benchmarks.contamination:hashed", folder, IMPORTS),
                repeats=options.repeats,
            )
            print(_line(rows, ours, plain), flush=True)


if __name__ == "__main__":
    main()
