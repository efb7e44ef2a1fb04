"""Real trainings of 20 steps with every callback at once, on several versions of TRL.

    python -m benchmarks.trl_matrix --out table.md

It makes one environment for each version below `--envs`, all of which share one installation of torch, and runs GRPO,
DPO, SFT and, where TRL still has it, PPO. The table is written as Markdown with `--out`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# version -> what is installed beside it: old releases do not work with transformers 5, 1.12 imports requests undeclared
VERSIONS: dict[str, list[str]] = {
    "0.23.0": ["trl==0.23.0", "transformers==4.56.2"],
    "0.28": ["trl==0.28.*", "transformers<5"],
    "1.12.0": ["trl==1.12.0", "requests"],
    "newest": ["trl"],
}
TRAINERS = ("grpo", "rloo", "dpo", "sft", "ppo")
CORE = ("click", "msgspec", "numpy", "pandas", "pyyaml", "regex", "rich", "peft")
TORCH = "torch==2.13.0"


def python_of(env: Path) -> Path:
    return env / "bin" / "python"


def make(envs: Path, name: str, packages: list[str], *, share: Path | None) -> Path:
    """An environment with these packages; it sees those of `share` as well. One that is there is used as it is."""
    env = envs / name
    if not python_of(env).exists():
        subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
        if share is not None:
            site = subprocess.run(
                [str(python_of(env)), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
                capture_output=True, text=True, check=True,
            ).stdout.strip()  # fmt: skip
            version = sysconfig.get_python_version()
            (Path(site) / "share.pth").write_text(f"{share / 'lib' / f'python{version}' / 'site-packages'}\n")
        subprocess.run([str(python_of(env)), "-m", "pip", "install", "-q", *packages], check=True)
    return env


def one(env: Path, trainer: str, steps: int, timeout_s: float) -> dict[str, Any]:
    """One training in one environment, as `benchmarks.trl_one` reports it."""
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [str(python_of(env)), "-m", "benchmarks.trl_one", trainer, str(steps)],
            capture_output=True, text=True, timeout=timeout_s, env=given, cwd=ROOT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"trainer": trainer, "error": f"not done after {timeout_s:g} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return {"trainer": trainer, "error": done.stderr.strip()[-400:]}
    return json.loads(lines[-1])


def cell(found: dict[str, Any], steps: int) -> str:
    """The outcome in a few words."""
    if "error" in found:
        text = found["error"]
        return "not in this TRL" if "no PPOTrainer" in text else f"failed: {text[:100]}"
    wrong = [f"{name} missing" for name in found["missing"]] + [f"{part} failed" for part in found["failures"]]
    if found["steps"] != steps:
        wrong.append(f"{found['steps']} steps")
    findings = [f for f in found["findings"] if not f.split()[1].startswith(("ppo_monitor", "benchmark_"))]
    loud = [f.split()[1] for f in findings if not f.startswith("info")]
    return "; ".join(wrong or [f"{found['rows']} rows, {len(found['measured'])} identities", *loud])


def table(outcomes: dict[str, dict[str, dict[str, Any]]], steps: int) -> str:
    """The outcomes as a Markdown table, versions across."""
    heads = []
    for name, runs in outcomes.items():
        version = next((r["trl"] for r in runs.values() if "trl" in r), name)
        heads.append(version if version == name or name in version else f"{version} ({name})")
    lines = [f"| trainer | {' | '.join(f'TRL {h}' for h in heads)} |", "|---|" + "---|" * len(heads)]
    for trainer in next(iter(outcomes.values())):
        cells = [cell(runs[trainer], steps) for runs in outcomes.values()]
        lines.append(f"| {trainer.upper()} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=Path("artifacts/envs"), help="Folder of the environments.")
    parser.add_argument("--versions", nargs="+", default=list(VERSIONS), choices=list(VERSIONS))
    parser.add_argument("--trainers", nargs="+", default=list(TRAINERS), choices=TRAINERS)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--timeout-s", type=float, default=1200.0, help="Time limit of one training.")
    parser.add_argument("--out", type=Path, help="Markdown file for the table.")
    chosen = parser.parse_args()
    share = make(chosen.envs, "torch", [TORCH], share=None)
    outcomes: dict[str, dict[str, dict[str, Any]]] = {}
    for version in chosen.versions:
        env = make(chosen.envs, f"trl-{version}", [*VERSIONS[version], *CORE], share=share)
        outcomes[version] = {}
        for trainer in chosen.trainers:
            found = one(env, trainer, chosen.steps, chosen.timeout_s)
            outcomes[version][trainer] = found
            print(f"{version} {trainer}: {cell(found, chosen.steps)}", file=sys.stderr, flush=True)
    text = table(outcomes, chosen.steps)
    print(text)
    if chosen.out:
        chosen.out.write_text(text)
    failed = [f for runs in outcomes.values() for f in runs.values() if cell(f, chosen.steps).startswith("failed")]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
