"""Writes src/rldk/rules/measured.json: what each rule did on labelled corpora, for its page.

python -m benchmarks.measured "TITLE=CORPUS" ... [--jobs N]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from rldk.bench.cases import find_cases  # noqa: E402
from rldk.bench.document import document  # noqa: E402
from rldk.bench.judge import RuleChoice, judge_all  # noqa: E402
from rldk.bench.score import score  # noqa: E402
from rldk.engine.executors import processors  # noqa: E402

OUT = ROOT / "src" / "rldk" / "rules" / "measured.json"
COUNTED = ("checked", "false", "hits", "first", "off")
LOUD = {"warn", "critical"}
SLACK = 2  # steps before the onset that still count, as in the scoring


def figures(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Counts by rule over all corpora, and how often it named which fault."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    faults: dict[str, Counter[str]] = defaultdict(Counter)
    for found in documents:
        for row in found["codes"]:
            counts[row["code"]].update({key: row[key] for key in COUNTED if key != "checked"})
        for run in found["runs"]:
            label = run["label"]
            if label["fault"] == "none":
                for code in run["checked"]:
                    counts[code]["checked"] += 1
                continue
            named = {
                said["code"]
                for said in run["said"]
                if said["severity"] in LOUD
                and said["family"] in label["families"]
                and said["first_step"] >= label["onset"] - SLACK
            }
            for code in named:
                faults[code][label["fault"]] += 1
    return {
        code: {**{key: counts[code][key] for key in COUNTED}, "faults": dict(sorted(faults[code].items()))}
        for code in sorted(counts)
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", metavar="TITLE=CORPUS")
    parser.add_argument("--jobs", type=int, default=processors())
    given = parser.parse_args(argv)
    documents, said = [], []
    for text in given.corpora:
        title, _, path = text.partition("=")
        made = document(score(judge_all(find_cases(Path(path)), RuleChoice(), given.jobs), title), RuleChoice())
        documents.append(made)
        said.append(f"{title}, {made['summary']['clean_runs']} healthy and {made['summary']['faulty_runs']} faulty")
    OUT.write_text(json.dumps({"corpora": "; ".join(said), "rules": figures(documents)}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
