"""SYS: the processes of a distributed training, compared with each other."""

from __future__ import annotations

from rldk.rules.rule import Frame, Signal, rule


@rule(
    "SYS003",
    "ranks-diverged",
    severity="critical",
    tier=0,
    data="T",
    needs=("ranks_with_other_weights",),
    rows=2,
    causes=(
        "a parameter is left out of the gradient all-reduce (used outside of the wrapped forward, or added later)",
        "one rank skipped a step, or loaded another checkpoint",
        "a collective failed silently",
    ),
    fixes=(
        "broadcast the weights of rank 0 and find the first step at which they differ",
        "wrap the model before the optimiser is made, and call its forward instead of that of the inner module",
    ),
)
def ranks_diverged(f: Frame) -> Signal | None:
    """Fires when data-parallel ranks do not have the same weights.

    Why it matters: Each rank then trains a model of its own, and the average that is logged belongs to none of them.
    How it is computed: Each rank writes a checksum of a fixed sample of its trained weights, taken just after an
    optimizer step. Rank 0 compares those of the same step. They differ, bit by bit, at two measured steps in a row.
    When it is wrong: Ranks that hold different shards on purpose (tensor or expert parallel) differ. A shard of the
    process itself is never compared as if it were the whole.
    Source: An identity (the BLOOM case, unnoticed for days, in the TrainCheck documentation).
    """
    differ = f["ranks_with_other_weights"]
    if differ > 0:
        message = f"{differ:.0f} rank{'s' if differ > 1 else ''} of the training have other weights than rank 0"
        return Signal(value=differ, limit=0.0, message=message)
    return None


@rule(
    "SYS004",
    "ranks-share-a-random-state",
    severity="critical",
    tier=0,
    data="T",
    needs=("ranks_with_same_random_state", "ranks_with_same_prompts"),
    rows=2,
    causes=("every rank calls the same seed function with the same seed",),
    fixes=("seed each rank with its own number: seed + rank, as rldk.utils.seed.derive_seed does ({seed})",),
)
def ranks_share_a_random_state(f: Frame) -> Signal | None:
    """Fires when ranks have the very same random state and the very same prompts.

    Why it matters: They then sample the same completions. The batch is as large as it says only in cost.
    How it is computed: Each rank writes a checksum of the state of torch's generator (numpy's without torch), and one
    of its prompts. Those of another rank equal those of rank 0 at two measured steps in a row.
    When it is wrong: Ranks of one tensor-parallel group must agree.
    Source: An identity: equal by chance with a probability of 2^-64 (verl#1589 shows the symptom). Equal states alone
    are common and harmless where every rank has data of its own, so the prompts are asked for as well.
    """
    same, prompts = f["ranks_with_same_random_state"], f["ranks_with_same_prompts"]
    if same > 0 and prompts > 0:
        message = f"{same:.0f} rank{'s' if same > 1 else ''} sample with the very random state of rank 0"
        return Signal(value=same, limit=0.0, message=message)
    return None
