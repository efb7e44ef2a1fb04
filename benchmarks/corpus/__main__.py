"""Makes the corpus: python -m benchmarks.corpus --out DIR [--jobs N] [--only REGEX] [--list]."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from importlib import import_module
from pathlib import Path

from benchmarks.corpus.plan import runs
from benchmarks.corpus.pool import make_all

# what the modules need; imported once, before the children are forked, since it takes seconds
NEEDS = {
    "trl_online": ("trl.trainer.grpo_trainer", "trl.trainer.rloo_trainer", "datasets"),
    "trl_offline": (
        "trl.trainer.dpo_trainer",
        "trl.trainer.kto_trainer",
        "trl.trainer.reward_trainer",
        "trl.trainer.sft_trainer",
        "datasets",
    ),
    "trl_ppo": ("trl.experimental.ppo", "datasets"),
    "sb3_runs": ("stable_baselines3", "gymnasium"),
    "cleanrl_ppo": ("torch", "tensorboard"),
    "cleanrl_dqn": ("torch", "tensorboard"),
    "lm_runs": ("torch",),
    "numpy_table": (),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("--out", type=Path, required=False, default=Path("corpus"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="a regular expression on split/name, as ^look/ or lm-ppo")
    parser.add_argument("--stop", type=float, default=1e9, help="seconds after which no run goes on")
    parser.add_argument("--slow", type=float, default=1.0, help="a factor on the time that a run may take")
    parser.add_argument("--list", action="store_true", help="print the plan")
    options = parser.parse_args()
    wanted = [run for run in runs() if re.search(options.only, run.name)]
    if options.list:
        for run in wanted:
            print(run.name, run.onset or "")
        print(Counter((run.framework, run.fault == "none") for run in wanted), len(wanted))
        return
    for name in sorted({need for run in wanted for need in NEEDS[run.module]}):
        try:
            import_module(name)
        except ImportError as error:
            raise SystemExit(f"{name}: {error}. What is needed: benchmarks/corpus/README.md") from None
    print(Counter(make_all(wanted, options.out, jobs=options.jobs, stop_s=options.stop, slow=options.slow).values()))


if __name__ == "__main__":
    main()
