"""What every preset does on healthy and on faulty runs, as docs/presets.md.

python -m benchmarks.presets --faultbench DIR --fixtures DIR [--out docs/presets.md]

`--faultbench`: folders of runs, each `metrics.jsonl` and `label.json` (algo, fault, onset), below dev/ and pairs/.
`--fixtures`: folders of genuine logs, named as in `HEALTHY` and `BROKEN`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from rldk.adapters.open import open_runs  # noqa: E402
from rldk.core.model import Run  # noqa: E402
from rldk.engine.scan import scan  # noqa: E402
from rldk.rules.files.load import RuleFile, load_rules  # noqa: E402

# genuine logs by the algorithm whose preset judges them
HEALTHY = {
    "trl-grpo": "grpo", "trl-grpo-printer": "grpo", "trl-rloo": "rloo", "trl-dpo": "dpo", "trl-kto": "dpo",
    "trl-reward": "reward_model", "trl-sft": "sft", "trl-ppo": "ppo", "sb3-ppo": "classic", "sb3-a2c": "classic",
    "cleanrl-ppo": "classic", "rllib-ppo": "classic",
}  # fmt: skip
BROKEN = {
    "trl-grpo-collapse": "grpo", "trl-dpo-hot": "dpo", "trl-ppo-hot": "ppo", "sb3-ppo-hot": "classic",
    "cleanrl-ppo-hot": "classic", "sb3-dqn": "classic",
}  # fmt: skip
JUDGES = {  # preset -> algorithms of the runs it is tried on; none: all
    "default": (),
    "ppo_safe": ("ppo",),
    "ppo_strict": ("ppo",),
    "grpo_safe": ("grpo",),
    "grpo_strict": ("grpo",),
    "rloo": ("rloo", "grpo"),
    "kl_drift": ("ppo", "grpo", "rloo"),
    "dpo_basic": ("dpo",),
    "reward_model": ("reward_model",),
    "classic": ("classic",),
}
DOCUMENTED = ("policy_grad_spike", "grad_ratio_imbalance")
SLACK = 2  # steps before the onset from which a finding counts as one of the fault


@dataclass(frozen=True)
class Labelled:
    run: Run
    algorithm: str
    onset: int | None  # None: healthy; 0: broken from the start


@dataclass
class Tally:
    """Counts of runs."""

    healthy: int = 0
    warned: int = 0
    critical: int = 0
    stopped: int = 0
    faulty: int = 0
    seen: int = 0
    early: int = 0
    ended: int = 0
    which: list[str] = field(default_factory=list)


def labelled(faultbench: Path, fixtures: Path) -> Iterator[Labelled]:
    for folder in sorted(p for part in ("dev", "pairs") for p in (faultbench / part).iterdir()):
        label = json.loads((folder / "label.json").read_text())
        for run in open_runs(folder / "metrics.jsonl"):
            yield Labelled(run, label["algo"], label["onset"])
    for names, onset in ((HEALTHY, None), (BROKEN, 0)):
        for name, algorithm in names.items():
            for run in open_runs(fixtures / name):
                yield Labelled(run, algorithm, onset)


def tally(file: RuleFile, runs: Sequence[Labelled]) -> Tally:
    counts = Tally()
    stopping = {code for code, actions in file.actions.items() if any(a.kind == "stop" for a in actions)}
    for case in runs:
        findings = scan(case.run, file.rules).findings
        loud = [f for f in findings if f.severity != "info"]
        ended = any(f.code in stopping for f in findings)
        if case.onset is None:
            counts.healthy += 1
            counts.warned += bool(loud)
            counts.critical += any(f.severity == "critical" for f in loud)
            counts.stopped += ended
            counts.which += sorted({f.code for f in loud})
        else:
            counts.faulty += 1
            counts.seen += any(f.first_step >= case.onset - SLACK for f in loud)
            counts.early += any(f.first_step < case.onset - SLACK for f in loud)
            counts.ended += ended
    return counts


def upper(hits: int, n: int) -> float:
    """The largest rate that leaves 5 % of chance to so few hits (exact, one-sided)."""
    low, high = hits / n, 1.0
    for _ in range(50):
        rate = (low + high) / 2
        chance = sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(hits + 1))
        low, high = (rate, high) if chance > 0.05 else (low, rate)
    return high


def measured(runs: Sequence[Labelled]) -> list[str]:
    lines = [
        "| preset | healthy runs | with a warning | at most (95 %) | with a critical | stopped | faulty runs | seen "
        "| warned before the fault | stopped |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, algorithms in JUDGES.items():
        t = tally(load_rules(name), [r for r in runs if not algorithms or r.algorithm in algorithms])
        bound = f"{upper(t.warned, t.healthy):.0%}"
        cells = (t.healthy, t.warned, bound, t.critical, t.stopped, t.faulty, t.seen, t.early, t.ended)
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    return lines


def gradient_limits(runs: Sequence[Labelled]) -> list[str]:
    """How often the four documented limits are crossed by healthy runs that log both norms, of any algorithm."""
    both = [
        r for r in runs if r.onset is None and {"grad_norm_policy", "grad_norm_value"} <= set(r.run.metrics.columns)
    ]
    lines = ["| rule | limit | healthy runs that log both norms | with a warning |", "|---|---|---|---|"]
    for name in ("grpo_safe", "grpo_strict"):
        file = load_rules(name)
        for entry, rule in zip(file.entries, file.rules, strict=True):
            if rule.code.removeprefix(f"{name}_") in DOCUMENTED:
                hits = sum(bool(scan(r.run, (rule,)).findings) for r in both)
                lines.append(f"| {rule.code} | `{entry.data['condition']}` | {len(both)} | {hits} |")
    return lines


def contents(file: RuleFile) -> list[str]:
    """The rules of one preset."""
    used = [r.code for r in file.rules if "use" in next(e for e in file.entries if _code(e.data) == r.code).data]
    lines = [f"## {file.name}", "", file.description, ""]
    lines += [
        f"{len(used)} rules of the catalogue: " + ", ".join(f"[{c}](rules/{c}.md)" for c in sorted(used)) + ".",
        "",
    ]
    stopping = sorted(c for c, actions in file.actions.items() if any(a.kind == "stop" for a in actions))
    lines += [f"Stops on: {', '.join(stopping)}." if stopping else "Stops on nothing.", ""]
    own = [e.data for e in file.entries if "condition" in e.data]
    if own:
        lines += ["| rule | watches | fires when | rows | source |", "|---|---|---|---|---|"]
    for data in own:
        watched = data.get("metric") or data["where"]
        rows = data.get("window", {}).get("size", 1)
        lines.append(f"| {data['id']} | `{watched}` | `{data['condition']}` | {rows} | {data['source']} |")
    return [*lines, ""] if own else lines


def _code(data: object) -> object:
    return data.get("use", data.get("id")) if isinstance(data, dict) else None


def page(runs: Sequence[Labelled]) -> str:
    intro = (ROOT / "benchmarks" / "presets.intro.md").read_text()
    parts = intro.replace("{measured}", "\n".join(measured(runs))).replace("{limits}", "\n".join(gradient_limits(runs)))
    return parts + "\n" + "\n".join(line for name in JUDGES for line in contents(load_rules(name))).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.presets", description=__doc__.splitlines()[0])
    parser.add_argument("--faultbench", type=Path, required=True)
    parser.add_argument("--fixtures", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "presets.md")
    options = parser.parse_args()
    text = page(list(labelled(options.faultbench, options.fixtures)))
    options.out.write_text(text)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
