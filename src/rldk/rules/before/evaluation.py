"""EVAL: evaluations that measure something else than they say."""

from __future__ import annotations

import math

from rldk.core.model import Severity
from rldk.rules.rule import Signal, rule
from rldk.rules.setup import SetupView
from rldk.rules.subject import ConfigView

_VALIDATION = "actor_rollout_ref.rollout.val_kwargs"


def _number(value: object) -> float:
    try:
        return math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # None raises as well
    except (TypeError, ValueError):
        return math.nan


@rule(
    "EVAL005",
    "evaluation-repeats-one-sample",
    severity="warn",
    tier=0,
    data="C",
    subject="config",
    causes=("the number of samples was raised for pass@k, and sampling stayed greedy",),
    fixes=("sample evaluations with a temperature above 0, or take one sample",),
)
def evaluation_repeats(c: ConfigView) -> Signal | None:
    """Fires when an evaluation takes several samples of a prompt without randomness.

    Why it matters: All samples are the same. pass@k equals pass@1 and the evaluation costs k times as much.
    How it is computed: More than one sample with a temperature of 0, or with sampling switched off (verl: `val_kwargs`,
    OpenRLHF: `eval.*`).
    When it is wrong: Only when the sampler's own rounding makes the difference.
    Source: An identity: the sampler's distribution is a point.
    """
    count, greedy = math.nan, False
    if c.framework == "openrlhf":
        count, greedy = _number(c.named("eval.n_samples_per_prompt")), _number(c.named("eval.temperature")) == 0
    elif c.framework == "verl":
        off = str(c.named(f"{_VALIDATION}.do_sample")).lower() == "false"
        count = _number(c.named(f"{_VALIDATION}.n"))
        greedy = off or _number(c.named(f"{_VALIDATION}.temperature")) == 0
    if not (count > 1 and greedy):
        return None
    message = f"the evaluation takes {count:g} samples a prompt, all of them greedy and so the same"
    return Signal(value=count, limit=1.0, metric="config", message=message)


@rule(
    "EVAL002",
    "evaluation-prompts-in-training",
    severity="critical",
    tier=0,
    data="P",
    subject="setup",
    needs=("data.overlap",),
    causes=("the split was made after duplicates were added", "both sets come from the same public collection"),
    fixes=("remove the shared prompts from the training set, by exact text first",),
)
def evaluation_in_training(s: SetupView) -> Signal | None:
    """Fires when prompts of the evaluation set are training prompts.

    Why it matters: The evaluation then measures memory. A gap between training and evaluation cannot show.
    How it is computed: The number of evaluation rows whose prompt, without blanks at its ends and with every run of
    white space as one blank, is a training prompt. Up to 20,000 rows of each set are compared. Below 1 % of the
    evaluation set it is a warning.
    When it is wrong: The evaluation may be meant to be on the training set.
    Source: An identity; leakage of benchmarks into training sets: the contamination literature.
    """
    data = s.data
    if data is None or not data.overlap or not data.eval_rows:
        return None
    share = data.overlap / data.eval_rows
    message = f"{data.overlap:,} of {data.eval_rows:,} evaluation prompts ({share:.1%}) are training prompts"
    evidence = {"example": data.examples["overlap"]} if "overlap" in data.examples else {}
    severity: Severity = "critical" if share >= 0.01 else "warn"
    return Signal(value=share, limit=0.0, metric="eval_dataset", message=message, severity=severity, evidence=evidence)


@rule(
    "EVAL004",
    "evaluation-prompts-look-different",
    severity="warn",
    tier=0,
    data="C",
    subject="setup",
    needs=("data.eval_form",),
    causes=("the two sets were made by two scripts", "the system prompt was added to one of them only"),
    fixes=("make both sets with the same function: messages or text, with or without a system prompt",),
)
def evaluation_looks_different(s: SetupView) -> Signal | None:
    """Fires when the prompts of training and evaluation have different forms.

    Why it matters: The policy is judged on a prompt format that it was not trained on.
    How it is computed: The form of the first 100 prompts: text, messages, or messages with a system prompt.
    When it is wrong: An evaluation may be meant to measure another format.
    Source: EVAL004 of the rule catalogue; open-r1 and TRL threads on templates.
    """
    data = s.data
    if data is None or not data.form or not data.eval_form or data.form == data.eval_form:
        return None
    message = f"training prompts are {data.form}, evaluation prompts are {data.eval_form}"
    return Signal(value=0.0, metric="eval_dataset", message=message)
