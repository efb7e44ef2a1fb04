"""Runs the benchmarks, prints one table, and writes JSON for whoever keeps a history.

python -m benchmarks [--only decode,doctor] [--scale 0.1] [--repeats 3] [--out results.json] [--check]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import tempfile
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # also when called as a file, and in a checkout that is not installed

from benchmarks.result import Result, table  # noqa: E402

JOBS = (
    "startup", "emit", "decode", "ingest", "tfevents", "wandb_file", "doctor", "shapes", "forensics", "monitor", "late",
    "table", "runs", "big", "fingerprints", "checkpoints", "tracking", "contamination",
    "reward_drift",
)  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    unknown = set(options.only) - set(JOBS)
    if unknown:
        raise SystemExit(f"no job named {', '.join(sorted(unknown))}; there are {', '.join(JOBS)}")
    found: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="rldk-bench-") as work:
        for job in options.only:
            print(f"{job} ...", file=sys.stderr, flush=True)
            found += import_module(f"benchmarks.{job}").results(Path(work), options.scale, options.repeats)
    print(table(found))
    if options.out:
        options.out.write_text(json.dumps(_record(found, options), indent=1) + "\n")
    if options.check and any(result.within is False for result in found):
        raise SystemExit(1)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=lambda text: text.split(","), default=JOBS, help=f"of {','.join(JOBS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the made logs; budgets hold at 1")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each measurement; the cheapest counts")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    parser.add_argument("--check", action="store_true", help="exit 1 when a budget does not hold")
    return parser.parse_args(argv)


def _record(found: list[Result], options: argparse.Namespace) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "scale": options.scale,
        "results": [{**dataclasses.asdict(r), "budget": r.budget, "within": r.within} for r in found],
    }


if __name__ == "__main__":
    main()
