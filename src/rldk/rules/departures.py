"""Rules on metrics that leave their own course: KL, gradient norm, reward scale, entropy, value loss, rollout gap."""

from __future__ import annotations

from rldk.core.algorithms import ACTOR_CRITIC, LLM_POLICY, POLICY_GRADIENT
from rldk.rules.course import departure
from rldk.rules.gradient import GRAD_NORMS
from rldk.rules.kl import synced_reference
from rldk.rules.rule import Context, Frame, Signal, rule
from rldk.rules.witness import (
    CLASSIC,
    about_episodes,
    bounded_entropy,
    negligible,
    rising,
    settled,
    starting_entropy,
)

TRIFLE = 1e-3  # of the first losses
LEAST_NORM = 1e-3  # norms of language-model policies are 0.01 to 10, of agents more; below, nothing explodes
ROLLOUT_GAPS = ("rollout_logprob_diff_mean", "rollout_prob_diff_mean", "rollout_kl")


@rule(
    "KL001",
    "kl-leaves-its-course",
    severity="warn",
    tier=2,
    needs=("kl",),
    algorithms=LLM_POLICY,
    unless=synced_reference,
    causes=(
        "a learning rate that is too high, or was raised",
        "the policy found something that the reward pays and the reference would never say",
        "rollouts and trainer disagree about what was sampled (temperature, template, weights)",
    ),
    fixes=("lower {lr}", "raise {kl_coef}", "read the completions of the first step named here beside earlier ones"),
)
def kl_leaves_its_course(f: Frame) -> Signal | None:
    """Fires when the KL to the reference triples off its own line within three rows and the reward does not rise.

    Why it matters: the first thing that most broken updates show is a policy that moves away from its reference.
    How it is computed: the line test on log KL (five scales, three rows) and at least a factor of three, above 1e-3
    nats; the reward of the newest three rows is not above that of the eight before by its noise. KL that rises
    together with the reward is learning.
    When it is wrong: a phase of learning that the reward does not show (a reward of another set of prompts, a
    reference that is reset on purpose without saying so).
    Source: line test and factor as measured on labelled real trainings (docs/detectors.md); the second witness
    because KL, entropy and length also move when all is well.
    """
    moved, learning = departure(f, "kl"), rising(f)
    if moved is None or not moved.up or (learning and not moved.reference) or moved.now < 1e-3:
        return None
    message = f"the KL to the reference {moved.how}"
    return Signal(value=moved.now, limit=3 * moved.level, message=message, evidence={"scales": moved.scales})


@rule(
    "GRAD002",
    "gradient-explosion",
    severity="warn",
    tier=2,
    each=GRAD_NORMS,
    causes=(
        "a loss, reward or advantage of another scale than before",
        "a learning rate that is too high: the loss has grown steep",
        "one bad batch, or a few tokens with an enormous ratio",
    ),
    fixes=(
        "lower {lr}",
        "clip gradients: {max_grad_norm}",
        "look at the loss, the reward scale and the largest ratios on the first step named here",
    ),
)
def gradient_explosion(f: Frame) -> Signal | None:
    """Fires when a gradient norm triples off its own line within three rows, or stays above eight times its past.

    Why it matters: steps are then made of whatever exploded, and clipping only hides it.
    How it is computed: the line test on the log of the norm (five scales, three rows) with a factor of three; or three
    rows running above eight times the median of the run's own past (at most 200 rows, the newest five left out). Single
    spikes are quiet. Norms below the largest so far are no explosion but a return to normal, and below 0.001 none are.
    When it is wrong: sparse rewards: the norm is next to nothing until the first success is found.
    Source: measured on labelled real trainings (docs/detectors.md): healthy norms move by less than a factor of two
    within a run; a frozen three-sigma band fired on 20 of 20 healthy simulated runs. trl#2980: single spikes grow
    after many steps while the reward is fine.
    """
    name = f.metric
    moved, past = departure(f, name), f.past(name)
    low, now = f.min(name, 3), f.median(name, 3)
    calm, top = f.share("zero_std_group_frac", 10, above=0.9), f.highest(name, before=3)
    returned = (
        now < top or now < LEAST_NORM or calm > 0.5
    )  # the norm of a group trainer is 0 while no group has a signal
    if moved is not None and moved.up and (moved.reference or not returned):
        message = f"{name} {moved.how}"
        return Signal(value=moved.now, limit=3 * moved.level, message=message, evidence={"scales": moved.scales})
    if past > 0 and low > 8 * past and not returned:
        message = f"{name} has been above {8 * past:.3g}, eight times its own past, for three rows (now {f[name]:.3g})"
        return Signal(value=now, limit=8 * past, message=message)
    return None


def _episodes(context: Context) -> str | None:
    if context.framework in CLASSIC:
        return "the return of an environment grows by its very design; its scale is not the reward's"
    return None


@rule(
    "REW005",
    "reward-changed-its-scale",
    severity="warn",
    tier=2,
    needs=("reward_mean",),
    algorithms=LLM_POLICY,
    unless=_episodes,
    causes=(
        "the reward model or verifier was changed, reloaded or lost its normalisation in mid-run",
        "noise was added to the reward (a sampled judge, a race in a running mean)",
        "a sign, a weight or a unit of a reward component changed",
    ),
    fixes=(
        "score the same ten completions before and after the first step named here",
        "pin the version and the sampling of {reward_fn}",
        "check {reward_scale} and {reward_weights}",
    ),
)
def reward_changed_its_scale(f: Frame) -> Signal | None:
    """Fires when the reward jumps out of all it has been in one row, or its spread grows to 2.5 times all it was.

    Why it matters: learning moves a reward step by step within its bounds; a jump is a change of what is measured, and
    all that the run learnt was about the old measure.
    How it is computed: from the 20th row on, three rows are beyond everything seen before by more than its whole
    range, and the way there was one step of eight times the largest step so far. Or: the spread of the reward
    (`reward_std`, within groups where that is logged) leaves its line by five scales, by a factor of 2.5, and beyond
    1.5 times all it ever was. Where no spread is logged, the batch means themselves: their row-to-row noise over ten
    rows is eight times that of the twenty rows before.
    Returns of environments, whatever the trainer, grow by such steps once an agent has found out how, and are not
    looked at.
    When it is wrong: a curriculum or another data set from one step on; a sparse reward found all at once.
    Source: factors as measured on labelled real trainings (docs/detectors.md).
    """
    name = "reward_mean"
    high, low, stride = f.highest(name, before=3), f.lowest(name, before=3), f.largest_step(name, before=3)
    least, most, count = f.min(name, 3), f.max(name, 3), f.count(name)
    step = max(abs(f[name] - f.previous(name, 3)), abs(f.previous(name, 2) - f.previous(name, 3)))
    spread, widest = departure(f, "reward_std"), f.highest("reward_std", before=3)
    noise, usual, logged = f.noise(name, 11), f.noise(name, 21, before=10), f.gap("reward_std") == 0.0
    extent = high - low
    if about_episodes(f):
        return None
    beyond = least > high + extent or most < low - extent
    if count >= 20 and extent > 0 and beyond and step > 8 * stride:
        message = f"the reward left all it has been ({low:.3g} to {high:.3g}) in one step: {f[name]:.3g}"
        return Signal(value=f[name], limit=high if least > high else low, message=message)
    if spread is not None and spread.up and (spread.reference or spread.now > 1.5 * widest):
        message = f"the spread of the reward {spread.how}"
        return Signal(value=spread.now, limit=2.5 * spread.level, metric="reward_std", message=message)
    if not logged and usual > 0 and noise > 8 * usual:
        message = f"the reward of a batch now varies by {noise:.3g} from row to row, {usual:.3g} before"
        return Signal(value=noise, limit=8 * usual, message=message)
    return None


def _unknown_agent(context: Context) -> str | None:
    if context.framework in CLASSIC and context.algorithm is None:
        return "defined for on-policy algorithms; this log does not say which one it is of"
    return None


@rule(
    "REW016",
    "reward-below-its-start",
    severity="warn",
    tier=3,
    needs=("reward_mean",),
    rows=5,
    algorithms=POLICY_GRADIENT,
    unless=_unknown_agent,
    causes=(
        "the sign of the advantages, of the loss or of the reward is turned",
        "the critic gives advantages that point the wrong way",
        "a penalty (length, KL, entropy) outweighs the reward",
    ),
    fixes=("check the signs of advantage and loss on one batch", "lower {lr}", "look at {kl_coef} and {entropy_coef}"),
)
def reward_below_its_start(f: Frame) -> Signal | None:
    """Fires when an on-policy run earns lastingly less than it did before it was trained, and never earned more.

    Why it matters: updates undo what the model could do from the start.
    How it is computed: from the 20th row on, the median reward of ten rows is below that of the first five by 30 %,
    and by five times its slow wandering (differences over five rows, trend taken off); a running mean was never above
    those first rows by that wandering.
    When it is wrong: a curriculum that begins easy. Value-based and off-policy agents are often worse than chance at
    first and are not looked at, nor are agents of an unknown trainer.
    Source: the guard below the start that the measurements on labelled real trainings used; 30 % and five: ours.
    """
    name = "reward_mean"
    now, start, count = f.median(name, 10), f.early(name, 0, 5), f.count(name)
    scale, best, unknown = f.wander(name, 20, lag=5), f.peak(name, 0.1), about_episodes(f)
    if unknown and f.framework() not in CLASSIC:
        return None
    fell = start - now > max(0.3 * abs(start), 5 * scale)
    if count >= 20 and fell and best <= start + scale:
        message = f"the reward began at {start:.4g} and is {now:.4g}; it has never been better than at the start"
        return Signal(value=now, limit=start, message=message)
    return None


@rule(
    "VAL003",
    "value-loss-diverges",
    severity="warn",
    tier=2,
    needs=("value_loss", "value_explained_variance"),
    rows=3,
    algorithms=ACTOR_CRITIC - {"a2c"},
    causes=(
        "the critic is no longer updated, or from wrong targets",
        "the scale of the rewards changed",
        "the critic's learning rate is too high",
    ),
    fixes=(
        "check that the optimiser holds the critic's parameters and steps them",
        "lower {lr_value} or {value_coef}",
        "turn on {reward_scale}",
    ),
)
def value_loss_diverges(f: Frame) -> Signal | None:
    """Fires when the value loss is three times its own past and the critic has become worse than useless.

    Why it matters: advantages of a critic that no longer follows are noise of growing size.
    How it is computed: three rows running, the median value loss of three rows is above three times the median of
    the run's own past, and the explained variance (median of three) is below -1 and by 1 below its own past, or
    below 0 where it had typically been above one half. Not for a loss next to nothing: below a thousandth of the first
    ten rows, or with a root below a hundredth of what one step pays; nor while the task is solved, where the critic has
    next to nothing to explain (VAL011).
    When it is wrong: after a reward of another scale the old critic is wrong without a fault of its own. A2C, which
    logs both of one batch of a few steps, is not looked at.
    Source: the two-witness form as measured on labelled real trainings: small healthy critics explain nothing and
    vary in their loss, never both together at that size.
    """
    loss, past = f.median("value_loss", 3), f.past("value_loss")
    explained, usual = f.median("value_explained_variance", 3), f.past("value_explained_variance")
    worse = explained < -1.0 and explained < usual - 1.0
    forgot = usual > 0.5 and explained < 0.0
    trifle, solved, nothing = loss < TRIFLE * f.early("value_loss", 0, 10), settled(f), negligible(f, loss)
    if past > 0 and loss > 3 * past and (worse or forgot) and not (trifle or solved or nothing):
        message = (
            f"the value loss rose from {past:.3g} to {loss:.3g} and the explained variance fell to {explained:.3g}"
        )
        return Signal(value=loss, limit=3 * past, message=message)
    return None


@rule(
    "ENT008",
    "entropy-leaves-its-course",
    severity="warn",
    tier=2,
    needs=("entropy", "reward_mean"),
    algorithms=POLICY_GRADIENT,
    causes=(
        "an entropy coefficient of the wrong sign or size",
        "a learning rate that is too high, or was raised",
        "rollouts are sampled otherwise than the trainer thinks (temperature, top-p, another template)",
    ),
    fixes=("check {entropy_coef} and its sign", "lower {lr}", "compare {temperature} of rollout engine and trainer"),
)
def entropy_leaves_its_course(f: Frame) -> Signal | None:
    """Fires when the entropy moves by a quarter off its own line within three rows and the reward does not rise.

    Why it matters: a policy changes its randomness step by step; a jump is a change of what is sampled or optimised.
    How it is computed: the line test on the entropy (five scales, three rows) and a change of 25 %; the reward of the
    newest three rows is not above that of the eight before by its noise; where the entropy of an agent in an
    environment falls, neither have the newest five rows risen above the oldest five of twenty. Not below a fifth of the
    entropy that the run began with: a policy that is nearly determined moves by such shares for little.
    When it is wrong: a phase of learning that the reward does not show. Entropy of continuous actions has no zero
    and is not judged.
    Source: 25 % is the smallest change that healthy runs do not make (healthy ones move by 15 to 20 % in three rows
    at more than five scales); docs/detectors.md.
    """
    moved, learning, bounded, start = departure(f, "entropy"), rising(f), bounded_entropy(f), starting_entropy(f)
    gain, noise, agent = f.gain("reward_mean", 20), f.noise("reward_mean", 20), about_episodes(f)
    if moved is None or not bounded or moved.level < 0.2 * start:
        return None
    learning = learning or (agent and not moved.up and gain > noise)
    if learning and not moved.reference:
        return None
    message = f"the entropy {moved.how}" + ("" if moved.reference else ", and the reward did not rise")
    return Signal(value=moved.now, limit=moved.level, message=message, evidence={"scales": moved.scales})


@rule(
    "OFF002",
    "rollout-gap-leaves-its-course",
    severity="warn",
    tier=2,
    each=ROLLOUT_GAPS,
    algorithms=LLM_POLICY,
    causes=(
        "the rollout engine samples from older or other weights than the trainer's",
        "temperature, precision or template of the two sides differ since then",
    ),
    fixes=(
        "compare a checksum of one tensor in engine and trainer after a sync",
        "turn on {is_correction}",
    ),
)
def gap_leaves_its_course(f: Frame) -> Signal | None:
    """Fires when the gap between rollout engine and trainer doubles off its own line within three rows.

    Why it matters: the gap is a property of the two implementations; when it moves, something between them changed.
    How it is computed: the line test on the log of the gap (five scales, three rows) with a factor of two, and the
    gap is above 1e-4, below which it is rounding.
    When it is wrong: a policy that moves to longer or rarer responses widens the gap in a healthy way, slowly; the
    line follows that.
    Source: the line test as measured on labelled real trainings; a gap of about 0.01 is normal and 0.2 was broken
    sync in trl#5312.
    """
    name = f.metric
    moved = departure(f, name)
    if moved is None or not moved.up or moved.now < 1e-4:
        return None
    message = f"{name} {moved.how}"
    return Signal(value=moved.now, limit=2 * moved.level, message=message, evidence={"scales": moved.scales})
