"""DATA: what the processes of a distributed training are fed with."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.rule import Frame, Signal, rule


@rule(
    "DATA016",
    "ranks-get-the-same-prompts",
    severity="warn",
    tier=0,
    data="T",
    needs=("ranks_with_same_prompts",),
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "the data loader is not split over the ranks (no distributed sampler, or one that does not know its rank)",
        "every rank shuffles with the same seed and takes the same part",
    ),
    fixes=("check {dataloader}: each rank must get a part of its own", "let the trainer prepare the data loader"),
)
def ranks_get_the_same_prompts(f: Frame) -> Signal | None:
    """Fires when ranks train on the very same prompts.

    Why it matters: The batch holds each prompt several times, so that the gradient is as noisy as that of one rank.
    How it is computed: Each rank writes a checksum of the prompts of its step. Another rank has that of rank 0 at three
    measured steps in a row.
    When it is wrong: The members of one group may be spread over ranks on purpose; then every rank has the same prompts
    and samples with a seed of its own. Ranks of one tensor-parallel group must agree.
    Source: An identity; three steps are our own choice.
    """
    same = f["ranks_with_same_prompts"]
    if same > 0:
        message = f"{same:.0f} rank{'s' if same > 1 else ''} train on the very prompts of rank 0"
        return Signal(value=same, limit=0.0, message=message)
    return None
