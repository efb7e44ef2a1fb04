"""CFG: settings that contradict each other, or that the trainer does not read because of another one."""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.rule import Context, Signal, rule
from rldk.rules.subject import ConfigView

_ROLLOUT, _ACTOR = "actor_rollout_ref.rollout", "actor_rollout_ref.actor"
Check = Callable[[ConfigView], str]
# how many devices share one sequence, by the settings of verl's engines
_SPLIT = ("ulysses_sequence_parallel_size", "ulysses_parallel_size", "ulysses_size", "context_parallel_size")
MOST_NAMED = 2  # contradictions in one message; the others are counted


def _foreign(context: Context) -> str | None:
    known = ("trl", "transformers", "verl", "openrlhf")
    return None if context.framework in known else "defined for TRL, verl and OpenRLHF, whose settings are known"


def _number(c: ConfigView, name: str) -> float:
    value = c.named(name)
    try:
        return math.nan if isinstance(value, bool | None) else float(value)
    except (TypeError, ValueError):
        return math.nan


def _two_formats(c: ConfigView) -> str:
    return "`bf16` and `fp16` are both on" if c.is_on("bf16") and c.is_on("fp16") else ""


def _two_warmups(c: ConfigView) -> str:
    steps, ratio = _number(c, "warmup_steps"), _number(c, "warmup_ratio")
    return f"`warmup_ratio` {ratio:g} is not read because `warmup_steps` is {steps:g}" if steps > 0 < ratio else ""


def _best_without_evaluation(c: ConfigView) -> str:
    strategy = c.named("eval_strategy") or c.named("evaluation_strategy") or ""
    off = str(strategy).lower() in ("no", "false", "intervalstrategy.no")
    said = "`load_best_model_at_end` is on, and `eval_strategy` is no: there is no best model"
    return said if off and c.is_on("load_best_model_at_end") else ""


def _two_generation_sizes(c: ConfigView) -> str:
    both = c.count("generation_batch_size") and c.count("steps_per_generation")
    each = c.count("per_device_train_batch_size")
    steps, whole = c.count("steps_per_generation"), c.count("generation_batch_size")
    if not both or not each or not steps or not whole or whole % (each * steps) == 0:
        return ""  # a recorded configuration holds both after the trainer has derived one from the other
    return f"`generation_batch_size` {whole} is no multiple of {each} a device x `steps_per_generation` {steps}"


def _reference_unused(c: ConfigView) -> str:
    off = _number(c, "beta") == 0 and c.algorithm in LLM_POLICY
    return "`sync_ref_model` is on, and `beta` is 0: no reference is used" if off and c.is_on("sync_ref_model") else ""


def _kl_unused(c: ConfigView) -> str:
    if c.framework != "openrlhf" or not c.is_on("algo.kl.use_loss"):
        return ""
    return "`algo.kl.use_loss` is on, and `algo.kl.init_coef` is 0" if _number(c, "algo.kl.init_coef") == 0 else ""


def _two_micro_batches(c: ConfigView) -> str:
    names = (f"{_ACTOR}.ppo_micro_batch_size", f"{_ACTOR}.ppo_micro_batch_size_per_gpu")
    both = all(c.count(name) for name in names) and not c.is_on(f"{_ACTOR}.use_dynamic_bsz")
    return f"`{names[0]}` and `{names[1]}` are both set; verl stops" if both else ""


def _two_verl_warmups(c: ConfigView) -> str:
    steps, ratio = _number(c, f"{_ACTOR}.optim.lr_warmup_steps"), _number(c, f"{_ACTOR}.optim.lr_warmup_steps_ratio")
    if not steps > 0 < ratio:
        return ""
    return f"`lr_warmup_steps_ratio` {ratio:g} is not read because `lr_warmup_steps` is {steps:g}"


def _filter_without_metric(c: ConfigView) -> str:
    on = c.is_on("algorithm.filter_groups.enable") and "algorithm.filter_groups.metric" in c.values
    missing = c.named("algorithm.filter_groups.metric") in (None, "null", "")
    return "`algorithm.filter_groups` is on without a metric to filter by" if on and missing else ""


def _filter_one(c: ConfigView) -> str:
    one = c.count("rollout.n_samples_per_prompt") == 1 and c.is_on("algo.dynamic_filtering_enable")
    return "`algo.dynamic_filtering_enable` needs several samples a prompt, and there is one" if one else ""


EXCLUSIVE: tuple[Check, ...] = (
    _two_formats,
    _two_generation_sizes,
    _two_micro_batches,
    _filter_without_metric,
    _filter_one,
)
UNREAD: tuple[Check, ...] = (
    _two_warmups,
    _two_verl_warmups,
    _best_without_evaluation,
    _reference_unused,
    _kl_unused,
)


@rule(
    "CFG001",
    "settings-contradict",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    unless=_foreign,
    causes=("two ways to say the same thing were both used", "a setting was copied from another configuration"),
    fixes=("keep the one of the two that you mean, and remove the other",),
)
def settings_contradict(c: ConfigView) -> Signal | None:
    """Fires when two settings exclude each other, or when one makes the trainer ignore the other.

    Why it matters: The run does not do what its configuration says, and nothing in its log shows it.
    How it is computed: A list of pairs, each checked exactly. TRL: two number formats, a warm-up share beside a number
    of warm-up steps, the best model without evaluations, a generation batch that its steps do not divide, a synced
    reference model with a KL coefficient of 0. verl: two micro-batch sizes, a warm-up share beside steps, a group
    filter without a metric. OpenRLHF: a KL loss with coefficient 0, filtering of groups of one.
    Where a setting is only not read, the finding is information: many sound runs carry such a leftover.
    When it is wrong: A later release of the trainer may read both.
    Source: The arguments of transformers 5.23 (`warmup_steps` overrides the share), TRL 1.16 (`GRPOConfig`), verl 0.9.1
    (`ActorConfig`) and OpenRLHF 0.11.2 (`train_ppo_ray`); a setting that is silently ignored: verl#418, verl#3126.
    """
    wrong = [text for check in EXCLUSIVE if (text := check(c))]
    said = [*wrong, *(text for check in UNREAD if (text := check(c)))]
    if not said:
        return None
    more = f"; {len(said) - MOST_NAMED} more" if len(said) > MOST_NAMED else ""
    message = "; ".join(said[:MOST_NAMED]) + more
    found = Signal(value=float(len(said)), limit=0.0, metric="config", message=message)
    return found if wrong else replace(found, severity="info")


@rule(
    "CFG020",
    "context-shorter-than-prompt-and-response",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    needs=("max_new_tokens",),
    algorithms=LLM_POLICY,
    unless=_foreign,
    causes=("the response limit was raised and the context of the rollout engine was not",),
    fixes=("raise the context of {rollout_engine}, or lower {max_new_tokens}",),
)
def context_too_short(c: ConfigView) -> Signal | None:
    """Fires when the longest prompt and the longest response do not fit where they have to fit together.

    Why it matters: The engine cuts responses below their limit, and no length metric shows it, because it compares with
    the limit. A token budget per device that is smaller than one sequence stops the run at the first long response.
    How it is computed: Prompt limit plus response limit is above the context length of the rollout engine (TRL:
    `vllm_max_model_length`, verl: `rollout.max_model_len`), or, for verl with dynamic batches, above the token budget
    of the actor on one device times its sequence-parallel size.
    When it is wrong: Prompts may all be far shorter than their limit.
    Source: verl#7823 (the truncation ratio is 0 while the context is the binding limit); `rearrange_micro_batches` of
    verl 0.9.1 refuses a sequence that is longer than the budget.
    """
    prompt = c.count("max_prompt_length", "data.max_prompt_length")
    response = c.count("max_completion_length", "data.max_response_length")
    if response is None:
        return None
    whole = (prompt or 0) + response
    for key in ("vllm_max_model_length", "vllm_max_model_len", f"{_ROLLOUT}.max_model_len"):
        room = c.count(key)
        if room is not None and whole > room:
            message = f"prompt and response may have {prompt or 0} + {response} tokens, and `{key}` is {room}"
            return Signal(value=float(whole), limit=float(room), metric=key, message=message)
    budget, key = c.count(f"{_ACTOR}.ppo_max_token_len_per_gpu"), f"{_ACTOR}.ppo_max_token_len_per_gpu"
    ring = max(
        [c.count(name) or 1 for name in c.values if name.startswith("actor_") and name.endswith(_SPLIT)], default=1
    )
    if c.is_on(f"{_ACTOR}.use_dynamic_bsz") and budget is not None and whole > budget * ring:
        message = f"prompt and response may have {whole} tokens, and the actor's budget is `{key}` {budget} x {ring}"
        return Signal(value=float(whole), limit=float(budget * ring), metric=key, message=message)
    return None


@rule(
    "CFG021",
    "kl-penalty-counted-twice",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    algorithms=LLM_POLICY,
    unless=lambda context: None if context.framework == "verl" else "defined for verl, which has both penalties",
    causes=("the loss term of GRPO was switched on in a configuration of PPO",),
    fixes=("switch off `algorithm.use_kl_in_reward` or `actor_rollout_ref.actor.use_kl_loss`",),
)
def kl_counted_twice(c: ConfigView) -> Signal | None:
    """Fires when the KL to the reference is taken off the reward and added to the loss as well.

    Why it matters: The policy is held back twice, with two coefficients, and neither is the one that was meant.
    How it is computed: `algorithm.use_kl_in_reward` and `actor.use_kl_loss` are both on.
    When it is wrong: Both may be wanted; verl allows it with a notice.
    Source: `validate_config` of verl 0.9.1.
    """
    if not (c.is_on("algorithm.use_kl_in_reward") and c.is_on(f"{_ACTOR}.use_kl_loss")):
        return None
    return Signal(value=2.0, limit=1.0, metric="config", message="the KL is both in the reward and in the loss")
