"""CKPT: what a log and the files of checkpoints say: a jump after a resume, a best one long past, a cut one."""

from __future__ import annotations

import math

from rldk.core.checkpoint import Part
from rldk.rules.evidence import factor
from rldk.rules.rule import Context, Frame, Signal, rule
from rldk.rules.subject import CheckpointsView

AFTER = 10  # rows since the restart that are compared with those before it
BEYOND = 5.0  # times the row-to-row noise
LEAST_MOVED, STILL_THERE = 0.1, 0.25  # of the first level; of the way from it
# metric -> the smallest change that matters, as a factor, as in the rules on these metrics
MATERIAL = {
    "reward_mean": 0.0,  # no factor: half of the range it had
    "kl": 2.0,
    "entropy": 1.25,
    "response_length_mean": 1.5,
    "value_loss": 3.0,
    "grad_norm": 3.0,
    "kl_policy_update": 3.0,
}
WORDS: dict[Part, str] = {
    "weights": "weights",
    "optimizer": "the optimiser's state",
    "scheduler": "the state of the schedule",
    "random": "the random state",
}
LEAST_SIZE = 0.9  # of the size that the same part has in other checkpoints
_LARGE: tuple[Part, ...] = ("weights", "optimizer")


def _first_segment(name: str, context: Context) -> tuple[float, float]:  # noqa: ARG001 - as of `Rule.calm`
    return -math.inf, 0.0


def _levels(f: Frame, name: str) -> tuple[float, float, float, float]:
    """The medians of the 10 rows since the restart and of the 10 before, the value 20 rows ago, and the noise."""
    after, before, earlier = f.median(name, AFTER), f.median(name, AFTER, before=AFTER), f.previous(name, 2 * AFTER)
    return after, before, earlier, f.noise(name, 20)


@rule(
    "CKPT001",
    "jump-at-resume",
    severity="warn",
    tier=2,
    needs=("segment",),
    calm=_first_segment,
    causes=(
        "the optimiser's state was not restored: its moments start from zero",
        "the learning-rate schedule, the KL controller or the reward or observation normaliser started over",
        "the wrong checkpoint was loaded, or the reference model is now the resumed policy",
    ),
    fixes=(
        "compare optimiser, scheduler, random state and normalisers right after loading with what was saved: {resume}",
        "check {lr_schedule}, {warmup} and {kl_coef} on the first row after the restart",
        "go back to the checkpoint and resume again with everything restored",
    ),
)
def jump_at_resume(f: Frame) -> Signal | None:
    """Fires when two or more metrics have clearly different values after a restart than before it.

    Why it matters: A training that forgets its state at every resume is another training, and often a worse one.
    How it is computed: A restart is where the step goes back, but not to the first step of the run, which would be a
    new run. The rule compares the medians of the first 10 rows after it with those of the 10 rows before it: reward,
    KL, entropy, response length, value loss, gradient norm, update KL. A metric counts when it moved by five times its
    row-to-row noise beyond twice the change it made since 20 rows ago, and by what matters in its unit (2x KL, 25 %
    entropy, 1.5x length, 3x value loss and norms, half of the reward's range). Two metrics must count.
    When it is wrong: Data, reward or settings may be changed on purpose at the restart.
    Source: Two metrics: open-r1#450, brax#655, rsl_rl#89 (F70 of the rule catalogue, which permutes 20 rows on either
    side; medians with a material change suit autocorrelated metrics better). The sizes are those of the rules on these
    metrics. Not measured: the corpus has no such fault.
    """
    since, restart, first = f.repeats("segment"), f.previous("step", AFTER - 1), f.first("step")
    high, low = f.highest("reward_mean", before=AFTER), f.lowest("reward_mean", before=AFTER)
    moved: dict[str, tuple[float, float]] = {}
    levels = {name: _levels(f, name) for name in MATERIAL}
    if not (since == AFTER and f["segment"] > 0 and restart > first):
        return None
    for name, (after, before, earlier, noise) in levels.items():
        least = MATERIAL[name]
        # by more than its noise and by more than it was moving already
        jumped = abs(after - before) > BEYOND * noise + 2 * abs(before - earlier)
        if jumped and (factor(after, before) > least if least else abs(after - before) > 0.5 * (high - low)):
            moved[name] = (after, before)
    if len(moved) >= 2:
        metric, (after, before) = next(iter(moved.items()))
        message = f"after the restart at step {restart:,.0f} these have clearly other values: {', '.join(moved)}"
        return Signal(value=after, limit=before, metric=metric, message=message)
    return None


def _is_back(f: Frame, name: str) -> bool:
    """The metric had moved far from its first values and jumped back to them three rows ago."""
    start, before, now = f.early(name, 0, 5), f.median(name, 5, before=3), f.median(name, 3)
    noise, jump = f.noise(name, 20), f.previous(name, 2) - f.previous(name, 3)
    moved = abs(before - start)
    clear = moved > BEYOND * noise and moved > LEAST_MOVED * abs(start)
    return clear and abs(now - start) < STILL_THERE * moved and abs(jump) > 0.5 * moved


@rule(
    "CKPT002",
    "training-began-again",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    causes=(
        "the run was resumed, and neither the weights nor the schedule were restored",
        "the weights were replaced by the first ones: a fresh adapter, a failed load, a model that was built again",
    ),
    fixes=(
        "compare a few weights right after loading with what was saved: {resume}",
        "go back to the last checkpoint and resume with weights, optimiser and scheduler",
    ),
)
def training_began_again(f: Frame) -> Signal | None:
    """Fires when several metrics jump back, on one row, to where they were when the run began.

    Why it matters: This is CKPT001 for a restart that the step does not show: everything learnt is gone, after full
    cost.
    How it is computed: The rule looks at reward, KL, entropy, response length and value loss. A metric counts when
    three things hold: its median of five rows had moved away from that of the first five by five times its noise and by
    a tenth; the median of the newest three rows is back by 75 % of the way; and half of the way was one step, three
    rows ago. Three metrics must count. Two are enough where the learning rate fell by more than half on that step and
    has risen since, which no decay does.
    When it is wrong: A second stage may begin from the first weights on purpose.
    Source: open-r1#450 (a GRPO run resumed at step 800); the limits are our own choice.
    """
    back = [
        name for name in ("reward_mean", "kl", "entropy", "response_length_mean", "value_loss") if _is_back(f, name)
    ]
    lr, fell, decayed = f["lr"], f.previous("lr", 2), f.previous("lr", 3)
    again = fell < 0.5 * decayed and lr > fell
    if len(back) >= 3 or (len(back) == 2 and again):
        beside = ", and the learning rate warms up again" if again else ""
        message = f"within one step these went back to where the run began: {', '.join(back)}{beside}"
        return Signal(value=f[back[0]], limit=f.early(back[0], 0, 5), metric=back[0], message=message)
    return None


@rule(
    "CKPT003",
    "best-checkpoint-long-past",
    severity="info",
    tier=2,
    each=("eval_reward_mean", "eval_loss"),
    phase="eval",
    causes=(
        "the run goes on after it has learnt what it can",
        "the policy has over-fitted or over-optimised since then",
    ),
    fixes=(
        "use the checkpoint of the best evaluation, not the last one: {save_steps}",
        "stop earlier, or lower {lr} and raise {kl_coef} from that checkpoint on",
    ),
)
def best_checkpoint_long_past(f: Frame) -> Signal | None:
    """Fires when the best evaluation is long past and no later one came near it.

    Why it matters: The last checkpoint is not the one to keep, and the steps since the best one were spent for nothing.
    How it is computed: The best evaluation has the largest reward, or the smallest loss where there is no reward or
    where pairs are evaluated. It is at least 5 evaluations and 30 % of all evaluations ago, and the median of the last
    three is worse by three times their noise and by 5 % of the best.
    When it is wrong: Evaluations may be too small to tell. This rule only gives information.
    Source: Our own choice. The noise is 1.4826 times the median step between the last six evaluations, divided by the
    square root of 2. Not measured: no run of the corpus has that many evaluations.
    """
    name = f.metric
    sign = 1 if name == "eval_reward_mean" else -1
    age, count, now, noise = f.age(name, sign), f.count(name), f.median(name, 3), f.noise(name, 6)
    best = f.highest(name, before=0) if sign > 0 else f.lowest(name, before=0)
    by_loss = f.gap("eval_pref_accuracy") >= 0 or not f.gap("eval_reward_mean") >= 0
    worse = sign * (best - now)
    if by_loss == (sign > 0) or not age >= max(5, 0.3 * count):
        return None
    if worse > 3 * noise and worse > 0.05 * abs(best):
        what = "reward" if sign > 0 else "loss"
        message = f"the best evaluation ({what} {best:.4g}) was {age:.0f} evaluations ago; the {what} is now {now:.4g}"
        return Signal(value=now, limit=best, message=message)
    return None


@rule(
    "CKPT005",
    "checkpoint-without-state",
    severity="warn",
    tier=0,
    data="C",
    subject="checkpoints",
    needs=("weights",),
    causes=(
        "the disk was full, or the job was ended while the checkpoint was written",
        "the settings of saving were changed in mid-run",
    ),
    fixes=("resume from the checkpoint before it: {resume}", "save again, and look at the free space of the disk"),
)
def checkpoint_without_state(c: CheckpointsView) -> Signal | None:
    """Fires when the newest checkpoint lacks a part that an earlier checkpoint of the run has.

    Why it matters: A run that is resumed from it starts its optimiser, its schedule or its random numbers over, or does
    not start at all.
    How it is computed: The rule looks at the names of files only (Transformers, PEFT, DeepSpeed, verl): weights,
    optimiser, schedule, random state. A part counts as lost when an earlier checkpoint in the same directory has it and
    the newest one does not.
    When it is wrong: The newest checkpoint may be being written at this moment, or be meant for inference only.
    Source: An identity; F70 of the rule catalogue names the incomplete checkpoint as a cause of jumps at a resume.
    """
    lost = c.lost()
    if not lost:
        return None
    parts = ", ".join(WORDS[part] for part in lost)
    earlier = max(checkpoint.step for checkpoint in lost.values())
    message = f"the checkpoint of this step lacks {parts}, which that of step {earlier:,} has"
    evidence = {"path": c.newest.path, "lost": list(lost)}
    return Signal(
        value=float(len(lost)), limit=0.0, metric="checkpoint", message=message, step=c.newest.step, evidence=evidence
    )


@rule(
    "CKPT006",
    "checkpoint-cut-short",
    severity="warn",
    tier=0,
    data="C",
    subject="checkpoints",
    needs=("weights",),
    unless_view=lambda c: None if len(c.checkpoints) > 1 or c.newest.empty else "defined for two checkpoints or more",
    causes=(
        "the disk was full, or the job was ended while the checkpoint was written",
        "only some ranks saved their part",
    ),
    fixes=("resume from the checkpoint before it: {resume}", "compare the number of files of both checkpoints"),
)
def checkpoint_cut_short(c: CheckpointsView) -> Signal | None:
    """Fires when the newest checkpoint has an empty file, or is clearly smaller than all others of the run.

    Why it matters: It cannot be loaded, and it is the one that a resume takes.
    How it is computed: A file of the newest checkpoint has 0 bytes, or all files of its weights (or of its optimiser)
    together are below 90 % of the smallest such sum among the other checkpoints.
    When it is wrong: The newest checkpoint may be being written at this moment. A run may save fewer parameters from
    some step on.
    Source: An identity, because the parameters of a run do not become fewer; 90 % is our own choice and leaves room for
    headers.
    """
    newest, others = c.newest, c.checkpoints[:-1]
    evidence: dict[str, object] = {"path": newest.path}
    if newest.empty:
        message = f"in the checkpoint of this step `{newest.empty[0]}` is an empty file"
        return Signal(value=0.0, limit=1.0, metric="checkpoint", message=message, step=newest.step, evidence=evidence)
    for part in _LARGE:
        usual = min((o.sizes[part] for o in others if part in o.sizes), default=0)
        size = newest.sizes.get(part, usual)
        if size < LEAST_SIZE * usual:
            message = f"in the checkpoint of this step {WORDS[part]} take {size / usual:.0%} of the bytes of any other"
            value, limit = float(size), LEAST_SIZE * usual
            return Signal(
                value=value, limit=limit, metric="checkpoint", message=message, step=newest.step, evidence=evidence
            )
    return None
