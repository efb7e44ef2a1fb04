"""CKPT: what a resumed training has lost besides what every training has: environment, normaliser, KL, reference."""

from __future__ import annotations

from functools import partial

from rldk.rules.resumes import LostKind, ResumeView
from rldk.rules.rule import Signal, rule

_lost_rule = partial(
    rule, tier=0, data="2", subject="resume", severity="critical", needs=("states",), unless_view=lambda r: r.unlost
)


def _state(resume: ResumeView, kind: LostKind) -> Signal | None:
    lost = resume.lost_of(kind)
    return None if lost is None else Signal(value=1.0, limit=0.0, metric=kind, message=lost.message)


@_lost_rule(
    "CKPT031",
    "environment-not-restored",
    causes=("the environment is made again when the program resumes", "its generator is seeded again"),
    fixes=(
        "save the state of the environment and its generator, where the environment can do that",
        "or save at the end of an episode, and seed the next one by its number",
        "or accept it: compare several seeds of resumed and whole runs instead of bits",
    ),
)
def environment_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when the environments of a resumed run differ from the environments of the uninterrupted run.

    Why it matters: Episodes are cut off at each resume. Where the environment is also seeded again, the same first
    episodes come back each time, and a job that is often preempted sees little else.
    How it is computed: Hooks on environments of gymnasium and Stable-Baselines3 digest what each reset and step shows.
    The rule looks at the first optimizer step that differs: the resumed run has begun with a reset where the
    uninterrupted one was within an episode, or a reset shows another beginning, or all else agrees.
    When it is wrong: Few trainers save environments, and most results do not depend on it. With many episodes between
    two checkpoints the loss is small.
    Source: section 8 of the notes on resuming: the environment is a state of its own. Stable-Baselines3's
    `BaseAlgorithm._excluded_save_params` leaves out `env` and `replay_buffer`.
    """
    return _state(resume, "environment")


@_lost_rule(
    "CKPT032",
    "normaliser-not-restored",
    causes=("the statistics of the normaliser are not in the checkpoint", "they are kept in a file that is not loaded"),
    fixes=(
        "Stable-Baselines3: `env.save(path)`, and `VecNormalize.load(path, env)` when the program resumes",
        "CheckpointCallback(..., save_vecnormalize=True) saves them on the way",
        "else: save mean, variance and count of each running mean with the model",
    ),
)
def normaliser_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when a normaliser of observations or rewards begins again after a resume.

    Why it matters: The policy sees observations of another scale than it has learnt from, and falls apart at once.
    How it is computed: Hooks find running means: those of gymnasium and Stable-Baselines3, and objects with `mean`,
    `var` or `std`, and `count` that the callers of an optimizer step hold. The rule fires where one has seen fewer
    values than in the uninterrupted run, at the first optimizer step that differs.
    When it is wrong: A program may start its statistics again on purpose. One without a count is not judged: statistics
    that differ may come from other data.
    Source: section 8 of the notes on resuming; DLR-RM/stable-baselines3, the example of PyBullet with VecNormalize:
    "Don't forget to save the VecNormalize statistics when saving the agent".
    """
    return _state(resume, "normaliser")


@_lost_rule(
    "CKPT033",
    "kl-controller-not-restored",
    causes=("the adaptive coefficient is not in the checkpoint, and begins at its first value again",),
    fixes=("save the value of the controller with the model, and set it when the program resumes",),
)
def kl_controller_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when a resumed run goes on with another coefficient of the KL penalty.

    Why it matters: The penalty jumps back to its first value. The policy leaves the reference, or is pulled to it,
    until the controller has found its way again.
    How it is computed: At each optimizer step hooks look at variables of the callers with names such as `kl_coef` and
    `kl_ctl`. The rule fires where the first step that differs has another value. Where data or generators differ as
    well, the value must be nearer to the first of the run than to the one that it should have.
    When it is wrong: A variable of that name may be something else.
    Source: section 8 of the notes on resuming: the coefficient of the controller is a state of its own.
    """
    return _state(resume, "KL controller")


@_lost_rule(
    "CKPT034",
    "reference-model-not-restored",
    causes=("the reference model is copied from the resumed policy instead of the first one",),
    fixes=("load the reference from where the training began", "or save it with the policy, and load both"),
)
def reference_model_not_restored(resume: ResumeView) -> Signal | None:
    """Fires when a resumed run compares its policy with another reference model.

    Why it matters: The KL begins at 0 again: each resume lets the policy go as far from the first model once more.
    How it is computed: At each optimizer step hooks digest the weights of models that the callers call `ref`,
    `ref_model`, `reference_policy` or the like.
    When it is wrong: On at most 4,096 entries of each tensor. A reference that follows the policy is another one once
    the policy is; the rule looks at the first step that differs, where the weights of the policy agree.
    Source: section 8 of the notes on resuming: the reference is a state of its own.
    """
    return _state(resume, "reference")
