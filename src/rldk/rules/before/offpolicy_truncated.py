"""OFF: sampling settings that make the probabilities of the sampler another distribution than the trainer's."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.rule import Context, Signal, rule
from rldk.rules.subject import ConfigView

_ROLLOUT = "actor_rollout_ref.rollout"


def _foreign(context: Context) -> str | None:
    known = ("trl", "verl", "openrlhf")
    return None if context.framework in known else "defined for TRL, verl and OpenRLHF, whose settings are known"


def _corrects(c: ConfigView) -> bool:
    match c.framework:
        case "trl":
            stated = c.named("vllm_importance_sampling_correction")
            return c.is_on("use_vllm") and (stated is None or c.is_on("vllm_importance_sampling_correction"))
        case "verl":
            return c.named("algorithm.rollout_correction.rollout_is") not in (None, "null", "None", "", False)
        case _:
            return c.named("algo.advantage.is_correction_level") not in (None, "none", "None", "off", "", False)


def _cut(c: ConfigView) -> tuple[str, float]:
    """The setting that leaves tokens out of the sampling, and its value; "" where none does."""
    top_p = c.number("top_p")
    if 0 < top_p < 1:
        return c.key("top_p"), top_p
    top_k = c.number("top_k")
    if top_k > 0:
        return c.key("top_k"), top_k
    for key in ("min_p", f"{_ROLLOUT}.min_p"):
        value = c.values.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return key, float(value)
    return "", 0.0


@rule(
    "OFF030",
    "truncated-sampling-with-correction",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    algorithms=LLM_POLICY,
    unless=_foreign,
    causes=("sampling settings of an evaluation or a chat are used for training",),
    fixes=("set {top_p} to 1 and {top_k} off (0 or -1) for rollouts", "switch off {is_correction}"),
)
def truncated_sampling(c: ConfigView) -> Signal | None:
    """Fires when rollouts are sampled from a part of the vocabulary while importance weights correct for the sampler.

    Why it matters: The sampler's probabilities are divided by the mass that top-p, top-k or min-p keeps, the trainer's
    are not. Every importance weight is then too small by that mass (0.90 for top-p 0.8, 0.97 for top-k 20), and the
    correction corrects for the cut.
    How it is computed: The correction is on (TRL: it is by default with vLLM) and top-p is below 1, top-k is above 0 or
    min-p is above 0. OFF004 sees the same in the logged weights.
    When it is wrong: A sampler may report the probabilities of the whole vocabulary.
    Source: trl#6789 with the measured masses; vllm-project/vllm#42259.
    """
    key, value = _cut(c)
    if not key or not _corrects(c):
        return None
    message = f"`{key}` is {value:g} while importance weights correct for the sampler: they are too small by the cut"
    return Signal(value=value, metric=key, message=message)
