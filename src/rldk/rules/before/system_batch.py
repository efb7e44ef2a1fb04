"""SYS: batch sizes that cannot be divided as the trainer has to divide them."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.rule import Context, Signal, rule
from rldk.rules.subject import ConfigView

_ACTOR = "actor_rollout_ref.actor"
_FRAMEWORKS = frozenset({"trl", "verl", "openrlhf"})


def _foreign(context: Context) -> str | None:
    if context.framework in _FRAMEWORKS:
        return None
    return "defined for TRL, verl and OpenRLHF, whose batch arithmetic is known"


def processes(c: ConfigView) -> int | None:
    """The number of training processes that the configuration states; None where it does not."""
    if c.framework == "verl":
        per_node, nodes = c.count("trainer.n_gpus_per_node"), c.count("trainer.nnodes", default=1)
    elif c.framework == "openrlhf":
        per_node, nodes = c.count("actor.num_gpus_per_node"), c.count("actor.num_nodes", default=1)
    else:
        per_node, nodes = c.count("num_processes", "world_size", "WORLD_SIZE"), 1
    return None if per_node is None or nodes is None else per_node * nodes


def _impossible(key: str, value: float, limit: float, why: str) -> Signal:
    return Signal(value=float(value), limit=float(limit), metric=key, message=why)


def _divides(c: ConfigView, whole: int, whole_said: str, part: int, part_said: str) -> Signal | None:
    if whole % part == 0:
        return None
    key = c.key("batch") or c.key("minibatch") or c.key("group_size")
    return _impossible(key, whole, part, f"{whole_said} = {whole} is not a multiple of {part_said} = {part}")


def _trl(c: ConfigView) -> Signal | None:
    world, group = processes(c), c.count("num_generations")
    each = c.count("per_device_train_batch_size", default=8)
    if world is None or group is None or each is None:
        return None
    accumulated = c.count("gradient_accumulation_steps", default=1) or 1
    steps = c.count("steps_per_generation") or accumulated
    stated = c.count("generation_batch_size")
    if stated is not None and stated % (each * world):
        said = f"`per_device_train_batch_size` x processes ({each} x {world})"
        return _divides(c, stated, "`generation_batch_size`", each * world, said)
    whole = stated or each * world * steps
    said = f"a generation batch ({each} a device x {world} processes x {steps} steps)"
    return _divides(c, whole, "`generation_batch_size`" if stated else said, group, "`num_generations`")


def _is_fsdp(c: ConfigView) -> bool:
    """Whether the actor is sharded by FSDP: other engines split a batch by their own parallel sizes."""
    strategy, engine = c.named(f"{_ACTOR}.strategy"), c.named("model_engine")
    foreign = any(key.startswith((f"{_ACTOR}.megatron", f"{_ACTOR}.veomni")) for key in c.values)
    if strategy is not None:
        return str(strategy).startswith("fsdp")
    return str(engine or "dp") == "dp" and not foreign


def _verl(c: ConfigView) -> Signal | None:
    world, n = processes(c), c.count("actor_rollout_ref.rollout.n", default=1) or 1
    batch, mini = c.count("data.train_batch_size"), c.count(f"{_ACTOR}.ppo_mini_batch_size")
    micro = c.count(f"{_ACTOR}.ppo_micro_batch_size_per_gpu")
    if world is None or c.is_on(f"{_ACTOR}.use_dynamic_bsz") or not _is_fsdp(c):
        return None
    ring = c.count(f"{_ACTOR}.ulysses_sequence_parallel_size", default=1) or 1
    ranks = max(1, world // ring)
    if batch is not None and (wrong := _divides(c, batch * n, f"a batch ({batch} prompts x {n})", world, "the GPUs")):
        return wrong
    if mini is None or micro is None:
        return None
    share = mini * n // ranks
    if share < micro:
        why = f"a mini-batch of {mini} prompts x {n} gives each of {ranks} ranks {share} samples"
        key = f"{_ACTOR}.ppo_mini_batch_size"
        return _impossible(key, share, micro, f"{why}, less than a micro-batch of {micro}: nothing is accumulated")
    return _divides(c, share, f"a rank's share of a mini-batch ({mini} x {n} / {ranks})", micro, "the micro-batch")


def _openrlhf(c: ConfigView) -> Signal | None:
    world, n = processes(c), c.count("rollout.n_samples_per_prompt", default=1) or 1
    rollout, train = c.count("rollout.batch_size"), c.count("train.batch_size")
    micro = c.count("train.micro_batch_size")
    if rollout is not None and train is not None and rollout * n < train:
        why = f"a rollout has {rollout} prompts x {n} = {rollout * n} samples, less than one training batch of {train}"
        return _impossible("train.batch_size", train, rollout * n, why)
    if world is None or train is None or micro is None or c.is_on("train.dynamic_batch_enable"):
        return None
    return _divides(c, train, "`train.batch_size`", micro * world, f"micro-batch x GPUs ({micro} x {world})")


@rule(
    "SYS006",
    "batch-arithmetic-impossible",
    severity="critical",
    tier=0,
    data="C",
    subject="config",
    needs=("group_size",),
    algorithms=LLM_POLICY,
    unless=_foreign,
    causes=(
        "the number of devices changed and the batch sizes did not",
        "one of the sizes counts prompts and the other counts completions",
    ),
    fixes=(
        "choose {batch}, {grad_accum} and the number of devices so that their product is a multiple of {group_size}",
        "raise {minibatch}, or lower the micro-batch size",
    ),
)
def batch_arithmetic(c: ConfigView) -> Signal | None:
    """Fires when the batch sizes and the number of devices cannot be divided as the trainer divides them.

    Why it matters: The trainer stops after the model is loaded, or takes no gradient at all on some ranks: with less
    than one micro-batch a rank, the number of accumulation steps is 0 and the gradient norm is NaN.
    How it is computed: TRL (GRPO, RLOO): devices x batch size x steps per generation must be a multiple of the group
    size, and a stated generation batch a multiple of devices x batch size. verl with FSDP and without dynamic batches:
    prompts x group size must be a multiple of the GPUs, and a rank's share of a mini-batch at least one micro-batch and
    a multiple of it. OpenRLHF: a rollout has at least one training batch, and a training batch is a multiple of
    micro-batch x GPUs. Where the number of devices is not stated, TRL's sizes are not judged.
    When it is wrong: A launcher may start another number of processes than the configuration says.
    Source: verl#2505 (gradient norm NaN on several GPUs); the checks of TRL 1.16 (`GRPOConfig.__post_init__`), verl
    0.9.1 (`validate_config`, `ActorConfig.validate`) and OpenRLHF 0.11.2.
    """
    match c.framework:
        case "verl":
            return _verl(c)
        case "openrlhf":
            return _openrlhf(c)
        case _:
            return _trl(c)
