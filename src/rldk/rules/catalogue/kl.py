"""Rules on the divergence from the reference policy and on its coefficient."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY
from rldk.rules.departure import departure
from rldk.rules.evidence import is_unsolved, lost_share, reward_rises, synced_reference
from rldk.rules.knobs import lacks, setting
from rldk.rules.rule import Frame, Signal, rule

MATERIAL = 1e-3  # nats, as in KL001
AT_ONCE_TOKEN, AT_ONCE_SUM = 0.5, 5.0  # nats
ANOTHER_MODEL, ANOTHER_TEXT = 1.0, 100.0  # nats per token, and per response


@rule(
    "KL002",
    "kl-blow-up",
    severity="critical",
    tier=3,
    needs=("kl",),
    rows=3,
    algorithms=LLM_POLICY,
    causes=(
        "the learning rate is too high",
        "the KL coefficient is too small, off, or of the wrong sign",
        "the policy exploits the reward",
    ),
    fixes=("lower {lr}", "raise {kl_coef}", "roll back to a checkpoint before the first step named here"),
)
def kl_blow_up(f: Frame) -> Signal | None:
    """Fires when the KL to the reference runs away and entropy or reward is lost with it.

    Why it matters: A policy that is far from its reference and has paid for it with reward or entropy does not come
    back.
    How it is computed: The median KL of five rows is ten times that of rows 5 to 25, twice that of 25 to 35 rows
    before, above every value until 20 rows ago, and above 0.001 nats. It is critical if half of the reward gained is
    lost. It is a warning if entropy is below 70 % of rows 5 to 25 and the reward of the last 40 rows has not risen and
    stands below its best by more than a tenth of its range. A KL summed over sequences also warns above 10 nats once
    entropy is below half of its first value.
    When it is wrong: A KL that rises while entropy falls and the reward rises is healthy learning; the rule is quiet.
    Source: Measured on faultbench dev, none of the healthy runs (10x, doubling in 20 to 40 rows, 70 %, half of the
    reward range); 0 to 10 nats per sequence comes from an old TRL FAQ (trl PR#612); open-r1#373.
    """
    now, early, before = f.median("kl", 5), f.early("kl"), f.median("kl", 10, before=25)
    entropy, entropy_early, entropy_first = f.median("entropy", 5), f.early("entropy"), f.first("entropy")
    lost, gain, top = lost_share(f), f.gain("reward_mean", 40), f.highest("kl", before=20)
    low = is_unsolved(f)
    ran = now > 10 * early > 0 and now > 2 * before and now > top and now > MATERIAL
    if ran and lost > 0.5:
        message = f"the KL rose from {early:.3g} to {now:.3g} and {min(lost, 1.0):.0%} of the reward gained is lost"
        return Signal(value=now, limit=10 * early, message=message)
    if ran and entropy < 0.7 * entropy_early and gain <= 0 and low:
        message = f"the KL rose from {early:.3g} to {now:.3g}, entropy fell to {entropy:.3g} and nothing was gained"
        return Signal(value=now, limit=10 * early, message=message, severity="warn")
    if "seq_sum" in f.estimator("kl") and now > 10 and entropy < 0.5 * entropy_first:
        message = f"the KL is {now:.3g} nats per response and entropy fell from {entropy_first:.3g} to {entropy:.3g}"
        return Signal(value=now, limit=10.0, message=message, severity="warn")
    return None


@rule(
    "KL009",
    "kl-out-of-target-range",
    severity="warn",
    tier=3,
    needs=("kl",),
    rows=3,
    algorithms=LLM_POLICY,
    unless=lacks("kl_target"),
    causes=(
        "the coefficient cannot keep up or is fixed",
        "target and KL are in different units (per token, per sequence)",
    ),
    fixes=("raise {kl_coef}", "lower {lr}", "state {kl_target} in the unit of the logged KL"),
)
def kl_out_of_range(f: Frame) -> Signal | None:
    """Fires when the KL was above twice its target on nearly all of the last 100 rows and is not coming back.

    Why it matters: The controller does not do its job, and the policy drifts as if there were no target.
    How it is computed: Over 100 rows, fewer than a fifth lie between half and twice the target, the median is above
    twice the target, and the newest quarter is not below the oldest.
    When it is wrong: The target may be in another unit than the logged KL. A KL below its target is never a finding.
    Source: A share in range below 0.2 over 100 steps comes from the catalogue of controller faults; the factor 2 is our
    own choice.
    """
    target = setting(f, "kl_target")
    if not target > 0:
        return None
    inside, level, gain = (
        f.share("kl", 100, above=0.5 * target, below=2 * target),
        f.median("kl", 100),
        f.gain("kl", 100),
    )
    if inside < 0.2 and level > 2 * target and gain >= 0:
        message = f"the KL is {level:.3g} over 100 rows, with a target of {target:.3g}, and is not coming back"
        return Signal(value=level, limit=2 * target, message=message)
    return None


@rule(
    "KL017",
    "kl-runs-off-at-once",
    severity="warn",
    tier=1,
    needs=("kl",),
    algorithms=LLM_POLICY,
    unless=synced_reference,
    causes=("the learning rate is ten or a hundred times too high", "the KL term has the wrong sign"),
    fixes=("lower {lr} by 10x", "check {kl_coef} and the sign of the KL term"),
)
def kl_at_once(f: Frame) -> Signal | None:
    """Fires when the policy is already far from its reference on the first five rows.

    Why it matters: A policy that becomes another model within a handful of updates was not tuned but replaced.
    How it is computed: The median KL of the first five rows is above 0.5 nats per token where the KL is known to be a
    mean over tokens, and above 5 nats otherwise.
    When it is wrong: A resumed run may count from its restart, or the reference may be another model by design.
    Source: A whole tuned run ends at 0.1 nats per token or 10 per response (trl PR#612 wanted 0 to 10). Half of that
    sum, and five times that mean, reached at once, are our own choice. Healthy small trainings with bold rates were at
    most at 0.13 and 0.75.
    """
    early, tokens = f.early("kl", 0, 5), "tok_mean" in f.estimator("kl")
    limit = AT_ONCE_TOKEN if tokens else AT_ONCE_SUM
    if f.count("kl") == 5 and early > limit:
        return Signal(value=early, limit=limit, message=f"the KL is already {early:.3g} on the first five rows")
    return None


@rule(
    "KL020",
    "kl-of-another-model",
    severity="warn",
    tier=1,
    needs=("kl",),
    rows=3,
    cooldown=100,
    algorithms=LLM_POLICY,
    unless=synced_reference,
    causes=("the learning rate is too high", "the KL coefficient is far too small for the unit of the logged KL"),
    fixes=("lower {lr}", "raise {kl_coef}", "read ten completions beside those of the reference"),
)
def kl_of_another_model(f: Frame) -> Signal | None:
    """Fires when the KL to the reference is typically above one nat per token and little was gained by it.

    Why it matters: A nat per token means that the reference would give each token a third of its probability. The
    policy is another model by then, whatever its reward says.
    How it is computed: The median KL of 20 rows is above 1 where the KL is known to be a mean over tokens, and above
    100 nats for a response of the mean length. The running
    mean of the reward has gained less, since the first ten rows, than the reward typically differs within a batch
    (`reward_std`).
    When it is wrong: The reference may be another model by design. The estimator of the KL may be dominated by a few
    tokens.
    Source: KL017, whose half a nat is for the first rows. 1 nat is twice that and ten times what whole tuned runs end
    at (trl PR#612). The largest median of 20 rows was 0.6 in public GRPO logs that went well, and 2.8 in one whose
    gradient norm reached 1900. 100 nats are ten times the upper end of the range per response there. Tiny models that
    learn short answers from nothing pass 1 nat per token, but not 100 per response (faultbench).
    """
    usual, tokens = f.median("kl", 20), "tok_mean" in f.estimator("kl")
    level, start, spread = f.ewma("reward_mean", 0.1), f.early("reward_mean", 0, 10), f.median("reward_std", 20)
    whole = usual * f.median("response_length_mean", 20)
    if tokens and usual > ANOTHER_MODEL and whole > ANOTHER_TEXT and level - start < spread:
        message = f"the KL to the reference is typically {usual:.3g} nats per token, for a reward of {level:.3g}"
        return Signal(value=usual, limit=ANOTHER_MODEL, message=message)
    return None


@rule(
    "KL001",
    "kl-leaves-its-course",
    severity="warn",
    tier=2,
    needs=("kl",),
    algorithms=LLM_POLICY,
    unless=synced_reference,
    causes=(
        "the learning rate is too high, or was raised",
        "the policy found something that the reward pays and the reference would never say",
        "rollouts and trainer disagree about what was sampled (temperature, template, weights)",
    ),
    fixes=("lower {lr}", "raise {kl_coef}", "read the completions of the first step named here beside earlier ones"),
)
def kl_leaves_its_course(f: Frame) -> Signal | None:
    """Fires when the KL to the reference triples off its own line within three rows and the reward does not rise.

    Why it matters: The first sign of most broken updates is a policy that moves away from its reference.
    How it is computed: The line test on the logarithm of the KL (five scales, three rows) finds at least a factor of
    three, above 1e-3 nats, and the reward of the newest three rows is not above that of the eight before by its noise.
    A KL that rises together with the reward is learning.
    When it is wrong: The policy may be in a phase of learning that the reward does not show: the reward belongs to
    another set of prompts, or the reference was reset on purpose without saying so.
    Source: The line test and the factor were measured on labelled real trainings (docs/detectors.md). The second
    witness is there because KL, entropy and length also move when all is well.
    """
    moved, learning = departure(f, "kl"), reward_rises(f)
    if moved is None or not moved.up or (learning and not moved.reference) or moved.now < 1e-3:
        return None
    message = f"the KL to the reference {moved.how}"
    return Signal(value=moved.now, limit=3 * moved.level, message=message, evidence={"scales": moved.scales})
