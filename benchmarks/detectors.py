"""Writes docs/detectors.md: the figures of the rules on labelled corpora around a text that says what they mean.

python -m benchmarks.detectors "TITLE=CORPUS" ... [--out docs/detectors.md] [--jobs N]

What a corpus is stands in the first paragraph of its README.md, if it has one. The health table is that of the shipped
model (see benchmarks/health.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from rldk.bench.cases import find_cases  # noqa: E402
from rldk.bench.judge import RuleChoice, judge_all  # noqa: E402
from rldk.bench.score import score  # noqa: E402
from rldk.bench.tables import tables, view_of  # noqa: E402
from rldk.cards import markdown  # noqa: E402
from rldk.engine.executors import processors  # noqa: E402


def section(title: str, corpus: Path, jobs: int) -> str:
    """The figures of one corpus."""
    scored = score(judge_all(find_cases(corpus), RuleChoice(), jobs), corpus.name)
    about = corpus / "README.md"
    said = about.read_text().split("\n\n")[1].strip() + "\n\n" if about.exists() else ""
    return f"## {title}\n\n{said}{markdown.render(view_of(scored, tables(scored)), head=False)}"


def health_tables(model: dict[str, Any]) -> str:
    """What is known of the shipped model."""
    genuine = model.get("genuine", {})
    measured = {
        "corpora, cross-validated by fault": model["cross_validated"],
        "corpora, held out": model.get("held_out"),
        "genuine logs, none of which it was fitted on": genuine.get("shipped"),
        "the same logs by its rival, fitted on those of other repositories": genuine.get("refitted"),
    }
    lines = ["| measured on | AUC | 95 % | Brier score |", "|---|---|---|---|"]
    lines += [
        f"| {k} | {m['auc']:.3f} | {m['low']:.3f}-{m['high']:.3f} | {m['brier']:.3f} |"
        for k, m in measured.items()
        if m
    ]
    tables = {"cross-validated": model["cross_validated"], "genuine logs": genuine.get("shipped")}
    for title, m in tables.items():
        lines += _reliability(title, m["reliability"]) if m else []
    return "\n".join(lines) + "\n\nHealthy and faulty runs are weighted alike in the last column.\n"


def _reliability(title: str, bins: list[dict[str, float]]) -> list[str]:
    heads = ["", f"| said, {title} | runs | mean of what was said | healthy |", "|---|---|---|---|"]
    return heads + [
        f"| {row['from']:.0%}-{row['to']:.0%} | {row['runs']} | {row['said']:.0%} | {row['was']:.0%} |" for row in bins
    ]


def page(corpora: list[tuple[str, Path]], jobs: int) -> str:
    """The whole page."""
    model = json.loads(files("rldk.engine.report").joinpath("data", "health.json").read_text(encoding="utf-8"))
    trained = model["trained_on"]
    said = f"{trained['healthy']} healthy and {trained['faulty']} faulty runs with {trained['faults']} faults"
    text = (ROOT / "benchmarks" / "detectors.intro.md").read_text()
    sections = "\n".join(section(title, corpus, jobs) for title, corpus in corpora)
    return text.replace("{corpora}", sections).replace("{trained}", said).replace("{health}", health_tables(model))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", metavar="TITLE=CORPUS")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "detectors.md")
    parser.add_argument("--jobs", type=int, default=processors())
    options = parser.parse_args()
    named = [text.rpartition("=") for text in options.corpora]
    options.out.write_text(page([(title, Path(corpus)) for title, _, corpus in named], options.jobs))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
