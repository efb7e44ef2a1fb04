"""Rules on the length of responses: collapse, truncation, nothing left."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.rule import Frame, Signal, rule
from rldk.rules.witness import episodic, lost_share


@rule(
    "LEN002",
    "length-collapse",
    severity="warn",
    tier=3,
    needs=("response_length_mean",),
    rows=3,
    algorithms=LLM_POLICY,
    unless=episodic,
    causes=(
        "short responses are paid as well as right ones (brevity bonus, penalty for length or truncation)",
        "the policy ends at once because its entropy collapsed",
    ),
    fixes=(
        "read the shortest completions with a high reward",
        "weaken {overlong_penalty} or the brevity part of {reward_fn}",
        "raise {kl_coef}",
    ),
)
def length_collapse(f: Frame) -> Signal | None:
    """Fires when responses have become much shorter than the run's own past and the reward or the entropy went with it.

    Why it matters: a model that stops early no longer reasons; with some rewards that pays.
    How it is computed: the median length of three rows is below 60 % of the past median, and either half of the
    reward gained is lost, or entropy is below 30 % of its first value and the reward of 20 rows has not risen.
    When it is wrong: shorter responses at a rising reward are progress and stay quiet.
    Source: 60 % and "accuracy not up" from hiyouga/EasyR1#40, simpleRL-reason#4; the second witness as measured on
    faultbench (healthy runs fall to 56 % of their past at a rising reward).
    """
    now, past = f.median("response_length_mean", 3), f.past("response_length_mean", least=20)
    lost, gain = lost_share(f), f.gain("reward_mean", 20)
    entropy, first = f.median("entropy", 3), f.first("entropy")
    if now < 0.6 * past and (lost > 0.5 or (entropy < 0.3 * first and gain <= 0)):
        message = f"responses shrank from {past:.3g} to {now:.3g} tokens and the reward did not gain by it"
        return Signal(value=now, limit=0.6 * past, message=message)
    return None


@rule(
    "LEN003",
    "truncation-starvation",
    severity="critical",
    tier=1,
    needs=("truncation_frac",),
    algorithms=LLM_POLICY,
    unless=episodic,
    causes=(
        "the policy no longer ends its responses (end token masked, suppressed or never learnt)",
        "length is rewarded",
        "the length limit is too small for the task",
    ),
    fixes=(
        "raise {max_new_tokens}",
        "check that the end token is trained on and not masked as padding",
        "turn on {overlong_penalty}, or {mask_truncated}",
    ),
)
def truncation_starvation(f: Frame) -> Signal | None:
    """Fires when most responses are cut off at the length limit: suddenly, or all along and not getting better.

    Why it matters: a response that was cut has no answer; the reward then measures the limit.
    How it is computed: three rows are above one half and the newest is above the run's own past median by 0.3; or the
    median of 20 rows is above one half and not falling (by 0.05). Above 0.9 in every row so far, for 20 rows, is
    structural; then it may count as critical with a second finding beside it. A warning otherwise.
    When it is wrong: a model that has yet to learn to stop begins there; while the share falls the rule is quiet.
    Source: measured on faultbench (0.5 and 0.3 above the own median, three rows: none of the healthy runs); 0.9 from
    autocontext PR#1067, ms-swift#4950. The published 0.3 over 20 steps was raised to 0.5: long reasoning runs live
    there.
    """
    name = "truncation_frac"
    now, past, cut = f[name], f.past(name), f.share(name, 3, above=0.5)
    usual, trend, least = f.median(name, 20), f.gain(name, 20), f.lowest(name, before=0)
    if least > 0.9 and usual > 0.9:
        message = f"at least {least:.0%} of the responses were cut off on every row so far"
        return Signal(value=now, limit=0.9, message=message, severity="critical")
    if cut == 1.0 and now > past + 0.3:
        message = f"{now:.0%} of the responses are cut off, up from {past:.0%}"
        return Signal(value=now, limit=past + 0.3, message=message, severity="warn")
    if usual > 0.5 and trend > -0.05:
        message = f"{usual:.0%} of the responses are cut off, for 20 rows and not falling"
        return Signal(value=usual, limit=0.5, message=message, severity="warn")
    return None


@rule(
    "LEN004",
    "no-valid-tokens",
    severity="critical",
    tier=0,
    each=("response_length_mean", "aborted_frac", "rollout_is_clip_frac"),
    rows=3,
    algorithms=LLM_POLICY,
    unless=episodic,
    causes=(
        "responses consist of the end token alone",
        "all truncated responses are masked, and all are truncated",
        "sequence-level importance masks reject the whole batch",
    ),
    fixes=(
        "raise {max_new_tokens}, or turn off {mask_truncated}",
        "use token-level {is_correction}",
        "print ten raw completions",
    ),
)
def no_valid_tokens(f: Frame) -> Signal | None:
    """Fires when next to no response token is left to train on.

    Why it matters: the loss is then a mean over nothing: gradients are 0 or NaN.
    How it is computed: the scalar form, three rows running: responses of less than one token, or of no more than one
    (the end token) where the run began above three; or a share of aborted or masked responses above 95 %.
    When it is wrong: tasks answered in one token; these begin at one and stay quiet.
    Source: fewer than 5 % valid tokens for three steps (trl#4772, ms-swift#8343).
    """
    name, value, first = f.metric, f[f.metric], f.first(f.metric)
    if name == "response_length_mean":
        if value < 1.0 or (value <= 1.0 and first > 3.0):
            message = f"responses are down to {value:.3g} token on average; they began with {first:.3g}"
            return Signal(value=value, limit=1.0, message=message)
    elif value > 0.95:
        what = "aborted" if name == "aborted_frac" else "masked out"
        return Signal(value=value, limit=0.95, message=f"{value:.0%} of the responses are {what}")
    return None
