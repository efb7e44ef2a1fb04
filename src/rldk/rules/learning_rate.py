"""OPT: a learning rate that no published configuration has."""

from __future__ import annotations

from rldk.rules.rule import Frame, Signal, rule
from rldk.rules.witness import CLASSIC

HUGGING_FACE = frozenset({"trl", "transformers"})
LARGEST_CLASSIC, LARGEST_LANGUAGE, LARGEST_ANYWHERE = 0.01, 0.03, 10.0


@rule(
    "OPT015",
    "learning-rate-above-all-published",
    severity="warn",
    tier=1,
    needs=("lr",),
    rows=3,
    causes=(
        "a rate made for another optimiser (SGD) or for a table instead of a network",
        "a slip of the exponent, or a rate that is multiplied by the number of workers",
    ),
    fixes=("lower {lr}: 3e-4 is usual for control tasks, 1e-6 to 5e-5 for language models (LoRA: 1e-4 to 2e-4)",),
)
def above_all_published(f: Frame) -> Signal | None:
    """Fires when the learning rate is larger than any that a published configuration of such a trainer has.

    Why it matters: Adam moves every weight by about the rate in every step; above 0.01 a network is somewhere else
    after a hundred of them, and entropy, KL and critic follow.
    How it is computed: above 0.01 on three rows running in logs of Stable-Baselines3, RLlib and CleanRL, above 0.03 in
    those of TRL that hold `epoch`, as its own trainers' do (loops that took over its names may train a table); above
    10 in any other log, a rate of no optimiser at all.
    When it is wrong: plain SGD, which needs and stands larger rates; optimisers without gradients (ARS: 0.03); a loop
    that prints its rate in millionths.
    Source: the largest rate of a gradient method in RL Baselines3 Zoo is 0.004 (DQN on MountainCar); in TRL's examples
    and documentation 0.01 (IPO), 0.01 to 0.03 for prompt tuning; the largest default of an optimiser of PyTorch is 1
    (Adadelta, LBFGS). Measured: 0.0025 at most in 269 healthy runs of these
    trainers here.
    """
    lr, trainer, epoch = f["lr"], f.framework(), f.gap("epoch")
    limit = LARGEST_ANYWHERE
    if trainer in CLASSIC:
        limit = LARGEST_CLASSIC
    elif trainer in HUGGING_FACE and epoch >= 0:
        limit = LARGEST_LANGUAGE
    if lr > limit:
        message = f"the learning rate reached {lr:.3g} (published ones: at most {limit:g})"
        return Signal(value=lr, limit=limit, message=message)
    return None
