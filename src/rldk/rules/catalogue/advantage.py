"""Rules on advantages: groups without signal, centring and normalisation that no longer hold."""

from __future__ import annotations

from rldk.core.algorithms import GROUP, LLM_POLICY
from rldk.rules.evidence import CLASSIC, is_unsolved
from rldk.rules.knobs import keys_of
from rldk.rules.rule import Frame, Signal, rule

CENTRED, LEAST_LOSS = 1e-6, 0.01  # the second in units of a policy loss
ROUNDING = 0.1  # standard deviations: groups of equal rewards leave less than that


@rule(
    "ADV001",
    "groups-without-signal",
    severity="critical",
    tier=1,
    needs=("zero_std_group_frac",),
    rows=3,
    algorithms=GROUP,
    causes=(
        "the prompts are too hard or too easy for the policy: all completions of a prompt get the same reward",
        "completions of a prompt are identical (temperature, entropy, one seed for all)",
        "the reward has too few levels, or is broken",
    ),
    fixes=("filter prompts by difficulty, or turn on {dynamic_sampling}", "raise {group_size}", "raise {temperature}"),
)
def groups_without_signal(f: Frame) -> Signal | None:
    """Fires when all completions have the same reward in most groups, so that their advantages are 0.

    Why it matters: Such groups cost a full rollout and teach nothing.
    How it is computed: The rule looks at the share of groups whose rewards are all equal. It fires when the median
    share over 20 rows is above 0.8 while a running mean of the reward is more than a quarter of its range below its
    best, or when the share is exactly 1 for five rows while the reward is a fifth below its best. Such a finding may
    count as critical when a second finding stands beside it. At its best reward the task is solved, and a share above
    one half alone is common on hard prompts: both are information. It is a warning when the share has doubled since the
    first ten rows and the median reward of 20 rows is not above that of the first ten by its noise. It is also a
    warning when six of the first 20 rows are all above 0.65 while the reward is below its best, or when a mean of 20
    rows is above 0.65 and either no reward above 0 was ever seen or the mean reward is no higher than at first and
    below its best.
    When it is wrong: Groups of two or four are often equal by chance (p^G + (1-p)^G).
    Source: 0.5 and 0.8 over 20 steps are a convention (at 0.75, four rollouts are paid for each useful one). We lowered
    a share below 0.8 to information, because sparse tasks that learn live there (jsboige/CoursIA#10603 measured 77 %
    with groups of two).
    """
    name = "zero_std_group_frac"
    value, usual, same, low = f[name], f.median(name, 20), f.repeats(name), is_unsolved(f)
    at_first, alike = f.early(name, 0, 10), _alike_for_nothing(f)
    moved = f.highest("reward_mean", before=0) > f.lowest("reward_mean", before=0)
    every = value == 1.0 and same >= 3  # on three rows in a row: five equal rows
    best, last = f.highest("reward_mean", before=0), f.median("reward_mean", 1)
    low = last < best - 0.2 * abs(best) if every else low
    mean, least, count = f.mean(name, 20), f.min(name, 6), f.count(name)
    few = count < 20 and least > 0.65 and last < best - 0.1 * abs(best)
    level, start, noise = f.mean("reward_mean", 20), f.early("reward_mean", 0, 10), f.noise("reward_mean", 20)
    stuck = best <= 0 or (level < start + noise and level < best - 0.1 * abs(best))
    if alike and not (usual > 0.8 and low):
        message = (
            f"groups with equal rewards went from {at_first:.0%} to {usual:.0%} of all, and the reward did not rise"
        )
        return Signal(value=usual, limit=0.5, message=message, severity="warn")
    if few or (mean > 0.65 and stuck and not (usual > 0.8 and low)):
        share = least if few else mean
        message = f"in {share:.0%} of the groups all rewards are equal, row after row, and the reward does not rise"
        return Signal(value=share, limit=0.65, message=message, severity="warn")
    if every or usual > 0.5:
        share = 1.0 if every else usual
        solved = moved and not low
        state = ", at the best reward so far: the task looks solved" if solved else ""
        message = f"in {share:.0%} of the groups all rewards are equal{state}"
        loud = share > 0.8 and not solved
        return Signal(value=share, limit=0.8, message=message, severity="critical" if loud else "info")
    return None


def _alike_for_nothing(f: Frame) -> bool:
    """Most groups have come to equal rewards while the reward did not rise: they agree on what does not help."""
    share, at_first = f.median("zero_std_group_frac", 20), f.early("zero_std_group_frac", 0, 10)
    reward, start, noise = f.median("reward_mean", 20), f.early("reward_mean", 0, 10), f.noise("reward_mean", 20)
    return share > 0.5 and share > 2 * at_first and reward <= start + noise


@rule(
    "ADV004",
    "advantage-normalisation-broken",
    severity="critical",
    tier=0,
    each=("advantage_mean", "advantage_std", "policy_loss"),
    rows=2,
    algorithms=LLM_POLICY,
    causes=(
        "advantages are whitened per micro-batch or over padding, or are no longer whitened",
        "a mean over ranks or groups is missing",
        "something is added to the advantages after normalisation",
    ),
    fixes=("turn {normalize_advantage} back on, over the whole batch", "mask padding before the mean is taken"),
)
def normalisation_broken(f: Frame) -> Signal | None:
    """Fires when advantages that were centred, or whose spread was constant, no longer are.

    Why it matters: An advantage that is off its centre pushes all probabilities up or down, whatever the reward says.
    How it is computed: The rule compares the run with what it guaranteed itself. The mean was within 1e-4 of 0 over the
    first ten rows and is now more than 0.02 standard deviations from it. Or the spread was constant within 3 % over the
    first ten rows and is now off by more than 10 %. Either must hold on two rows in a row. Groups of equal rewards
    shrink the spread of GRPO in a healthy way, so a fall counts only with a critic or without such groups, and a spread
    of 0 is left to the rule on constant rewards. Two faults are seen from the first step: where the configuration
    normalises a critic's advantages, a median of ten means beyond 0.05 standard deviations; and a median beyond 0.5
    where a spread of 0.9 to 1.1, constant within 0.03 over the first ten rows, shows that the advantages are
    normalised.
    When it is wrong: In GRPO, advantage means over tokens are not 0. Nothing was guaranteed there and the rule is
    quiet.
    Source: 1e-4, 0.02, 3 % and 10 % were measured on faultbench (no false alarm on 44 healthy runs). 0.05 is published
    for whitened advantages in studies of PPO details (known from the literature). Ten times that, where no
    configuration is logged, is our own choice.
    """
    name, value = f.metric, f[f.metric]
    if name == "policy_loss":
        return _loss_off_zero(f)
    usual, spread, typical = f.early(name, 0, 10), f.spread(name, 0, 10), f.median("advantage_mean", 10)
    critic, deviation = f.stated("value_loss"), f["advantage_std"]
    unit = 0.9 < f.early("advantage_std", 0, 10) < 1.1 and f.spread("advantage_std", 0, 10) < 0.03
    if name == "advantage_mean":
        scale = deviation if deviation > 0 else 1.0
        centred = abs(usual) < 1e-4 and spread < 2e-4
        if centred and abs(value) > 0.02 * scale:
            message = f"the mean advantage was 0 and is now {value:.3g} (standard deviation {scale:.3g})"
            return Signal(value=value, limit=0.02 * scale, message=message)
        whitened = critic and f.config(*keys_of("normalize_advantage")) is True
        limit = 0.05 * scale if whitened else 0.5 * scale
        if (whitened or unit) and abs(typical) > limit:
            message = f"advantages are normalised, but their mean has been {typical:.3g} from the start"
            return Signal(value=typical, limit=limit, message=message)
        return None
    steady = usual > 0 and spread <= 0.03 * usual
    fell = 0 < value < 0.9 * usual and (critic or f["zero_std_group_frac"] == 0.0)
    if steady and (value > 1.1 * usual or fell):
        message = f"the standard deviation of the advantages was {usual:.3g} and is now {value:.3g}"
        return Signal(value=value, limit=usual, message=message)
    return None


def _loss_off_zero(f: Frame) -> Signal | None:
    name = "policy_loss"
    value, usual, spread = f[name], f.early(name, 0, 10), f.spread(name, 0, 10)
    printed = f.rounded(name)
    if f.framework() in CLASSIC or printed > CENTRED or f.gap("advantage_mean") >= 0:
        return None
    if spread < CENTRED and abs(usual) < CENTRED and abs(value) > LEAST_LOSS:
        message = f"the policy loss was 0, as centred advantages make it before an update, and is now {value:.3g}"
        return Signal(value=value, limit=LEAST_LOSS, message=message)
    return None


@rule(
    "ADV013",
    "advantages-one-sided",
    severity="warn",
    tier=0,
    needs=("advantage_min", "advantage_max"),
    rows=3,
    algorithms=GROUP,
    causes=("the group mean is not subtracted", "advantages are clipped, or rewards used in their place"),
    fixes=("turn {normalize_advantage} back on", "subtract the mean of the group before dividing by its spread"),
)
def one_sided(f: Frame) -> Signal | None:
    """Fires when no sample of a batch has a negative advantage, or no sample has a positive one.

    Why it matters: The advantages of a group sum to 0. When all have one sign, every answer is made more likely, the
    wrong ones too.
    How it is computed: The smallest advantage is 0 or more while the largest is above 0.1, or the other way round, on
    three rows in a row.
    When it is wrong: Never, for advantages relative to a group.
    Source: An identity of group-relative advantages.
    """
    low, high = f["advantage_min"], f["advantage_max"]
    if (low >= 0 and high > ROUNDING) or (high <= 0 and low < -ROUNDING):
        side = "negative" if low >= 0 else "positive"
        return Signal(
            value=low, limit=0.0, message=f"not one advantage is {side}: they run from {low:.3g} to {high:.3g}"
        )
    return None
