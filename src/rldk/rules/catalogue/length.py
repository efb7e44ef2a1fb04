"""Rules on the length of responses: collapse, truncation, nothing left."""

from __future__ import annotations

from rldk.core.algorithms import LLM_POLICY, POLICY, SUPERVISED, VALUE_BASED
from rldk.rules.evidence import about_episodes, about_language, episodic, lost_share
from rldk.rules.knobs import lacks, setting
from rldk.rules.rule import Context, Frame, Signal, rule

LONGER, LONGER_THAN_PAST = 4.0, 3.0  # times
LEAST_VALID = 0.05  # of the tokens
SAME = 0.15  # of the level: a return that has not risen
EPISODES, APART = 100, 0.3  # rows of single episodes; deviations between rows: two standard errors


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
    """Fires when responses have become much shorter than in the run's own past, and reward or entropy fell with them.

    Why it matters: A model that stops early no longer reasons, and some rewards pay for that.
    How it is computed: The median length of three rows is below 60 % of the past median, and either half of the reward
    gained is lost, or entropy is below 30 % of its first value while the reward of 20 rows has not risen.
    When it is wrong: Shorter responses at a rising reward are progress, and the rule is quiet about them.
    Source: 60 % and "accuracy not up" come from hiyouga/EasyR1#40 and simpleRL-reason#4; the second witness was
    measured on faultbench (healthy runs fall to 56 % of their past at a rising reward).
    """
    now, past = f.median("response_length_mean", 3), f.past("response_length_mean", least=20)
    lost, gain = lost_share(f), f.gain("reward_mean", 20)
    entropy, first = f.median("entropy", 3), f.first("entropy")
    if now < 0.6 * past and not about_episodes(f) and (lost > 0.5 or (entropy < 0.3 * first and gain <= 0)):
        message = f"responses shrank from {past:.3g} to {now:.3g} tokens and the reward did not gain by it"
        return Signal(value=now, limit=0.6 * past, message=message)
    return None


@rule(
    "LEN003",
    "truncation-starvation",
    severity="critical",
    tier=1,
    each=("truncation_frac", "response_length_mean"),
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
    """Fires when most responses are cut off at the length limit: suddenly, all along, or while reward is lost.

    Why it matters: A response that was cut off has no answer, so the reward measures the limit.
    How it is computed: It is a warning when three rows are above one half and above the run's own past median by 0.3,
    and either the share jumped there off its own line (five scales within three rows; by 0.4 before the 20th row) or
    half of the reward gained is lost. It is a warning when the share is exactly 1 on five rows in a row and was once
    below one half, or is 1 on most of 20 rows and was once below 0.8. It is a warning when the median of 20 rows is
    above 0.7 and not falling while the reward is no higher than at first. So is a median of 20 rows above 0.9 that is
    not falling, whatever the reward. A share above 0.9 on every row so far, for 20 rows, is structural: a warning,
    critical with a second finding beside it. A median of 20 rows above one half that is not falling is information.
    Where no share is logged, the mean length tells: all responses are as long as the limit when it is one whole number
    above 3, bit for bit, on the first 20 rows, or on 10 rows after a jump of a fifth. The rule does not look at lengths
    that the log calls those of episodes, because in control tasks the longest episode is often the best.
    When it is wrong: Responses of one fixed length may be intended. When responses grow to the limit while the reward
    rises, the policy is paid for length: information, not an alarm.
    Source: Measured on small trainings: 0.5 and 0.3 above the own median fired on 22 of 175 healthy ones whose
    responses grew step by step, hence the jump or the loss; 0.9 comes from autocontext PR#1067 and ms-swift#4950. The
    published 0.3 over 20 steps was raised to 0.5, because long reasoning runs live there.
    """
    name = f.metric
    now, past, cut = f[name], f.past(name), f.share(name, 3, above=0.5)
    usual, trend, least = f.median(name, 20), f.gain(name, 20), f.lowest(name, before=0)
    leap, level, before = f.leap(name, floor=0.05), f.median(name, 8, before=3), f.median(name, 5, before=3)
    newest, whole = f.min(name, 3), f.min(name, 5)
    lost = lost_share(f)
    reward, reward_start, noise = f.mean("reward_mean", 20), f.early("reward_mean", 0, 10), f.noise("reward_mean", 20)
    if about_episodes(f):
        return None
    if name == "response_length_mean":
        return None if f.gap("truncation_frac") >= 0 else _at_the_limit(f)
    if least > 0.9 and usual > 0.9:
        message = f"at least {least:.0%} of the responses were cut off on every row so far"
        return Signal(value=now, limit=0.9, message=message, severity="critical")
    early = leap != leap and newest > before + 0.4
    suddenly = early or (leap >= 5.0 and now > level + 0.3)
    if cut == 1.0 and now > past + 0.3 and (suddenly or lost > 0.5):
        message = f"{now:.0%} of the responses are cut off, up from {level if suddenly else past:.0%}"
        return Signal(value=now, limit=past + 0.3, message=message, severity="warn")
    if whole == 1.0 and (least < 0.5 or (usual == 1.0 and least < 0.8)):
        message = f"all responses are cut off on five rows in a row; once it was only {least:.0%}"
        return Signal(value=now, limit=1.0, message=message, severity="warn")
    if usual > 0.7 and trend > -0.05 and reward < reward_start + 0.5 * noise:
        message = f"{usual:.0%} of the responses are cut off over 20 rows, not falling, and the reward has not risen"
        return Signal(value=usual, limit=0.7, message=message, severity="warn")
    if usual > 0.9 and trend > -0.05:
        message = f"{usual:.0%} of the responses are cut off over 20 rows, and the share is not falling"
        return Signal(value=usual, limit=0.9, message=message, severity="warn")
    if usual > 0.5 and trend > -0.05:
        message = f"{usual:.0%} of the responses are cut off over 20 rows, and the share is not falling"
        return Signal(value=usual, limit=0.5, message=message, severity="info")
    return None


def _at_the_limit(f: Frame) -> Signal | None:
    name = "response_length_mean"
    value, same, count, before = f[name], f.repeats(name), f.count(name), f.departed(name)
    first, leapt = same == count >= 20, same >= 10 and before < 0.8 * value
    if not (value > 3 and value == round(value) and (first or leapt)):
        return None
    since = "since the first row" if first else f"but was {before:.3g} before"
    message = f"every response is {value:.0f} tokens long on {same:.0f} rows, {since}: all are cut off"
    return Signal(value=value, message=message, severity="warn")


@rule(
    "LEN008",
    "responses-stop-ending",
    severity="warn",
    tier=1,
    needs=("eos_count",),
    rows=3,
    algorithms=LLM_POLICY,
    unless=episodic,
    causes=(
        "length is rewarded, and responses grew to the length limit",
        "the end token is masked, suppressed, or was never learnt",
    ),
    fixes=(
        "read the longest completions: do they say more, or the same again?",
        "raise {max_new_tokens}, or turn on {missing_eos_penalty}",
        "check that the end token is trained on and not masked as padding",
    ),
)
def responses_stop_ending(f: Frame) -> Signal | None:
    """Fires when responses used to end with the end token and most of them no longer do.

    Why it matters: This is LEN003 for logs that count end tokens instead of truncated responses. A response that was
    cut off has no answer, and its reward measures the limit.
    How it is computed: Three rows in a row hold less than a quarter of the end tokens that the run's own past rows held
    (their median, at least four, over at least ten rows).
    When it is wrong: A batch may shrink to a quarter. A padding token that ends texts, too, is counted.
    Source: Truncation above one half (LEN003) leaves at most half of the end tokens; a quarter and four are our own
    choice. Measured on small PPO runs of TRL: none of 18 healthy runs, and 2 of 2 that were paid for length.
    """
    ends, usual = f["eos_count"], f.past("eos_count", before=5)
    if usual >= 4 and ends < 0.25 * usual:
        message = f"{ends:.0f} responses of a batch end with the end token; {usual:.0f} used to"
        return Signal(value=ends, limit=0.25 * usual, message=message)
    return None


@rule(
    "LEN004",
    "no-valid-tokens",
    severity="critical",
    tier=0,
    each=("response_length_mean", "aborted_frac", "rollout_is_clip_frac", "valid_token_frac"),
    rows=3,
    algorithms=LLM_POLICY | SUPERVISED,
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
    """Fires when almost no response token is left to train on.

    Why it matters: The loss is then a mean over nothing, so gradients are 0 or NaN.
    How it is computed: On three rows in a row, responses have less than one token, or no more than one (the end token)
    where the run began above three, or a share above 95 % of the responses is aborted or masked, or the loss sees fewer
    than 5 % of the tokens (as a hook counts them). It is only information
    when responses shrank to one token step by step (to two or less on the eight rows before) while the reward is not
    below where it began, because that is what the reward asked for.
    When it is wrong: Tasks may be answered in one token. They begin at one, and the rule is quiet about them.
    Source: Fewer than 5 % valid tokens for three steps (trl#4772, ms-swift#8343).
    """
    name, value, first = f.metric, f[f.metric], f.first(f.metric)
    before, reward, start = f.median(name, 8, before=3), f.median("reward_mean", 3), f.early("reward_mean", 0, 5)
    words = about_language(f)
    if name == "response_length_mean":
        if about_episodes(f):
            return None
        if (value < 1.0 and (words or first >= 1.0)) or (value <= 1.0 and first > 3.0):
            message = f"responses are down to {value:.3g} token on average; they began with {first:.3g}"
            asked = value == 1.0 and before <= 2.0 and reward >= start
            return Signal(value=value, limit=1.0, message=message, severity="info" if asked else None)
    elif name == "valid_token_frac":
        if value < LEAST_VALID:
            message = f"the loss sees {value:.1%} of the tokens"
            return Signal(value=value, limit=LEAST_VALID, message=message)
    elif value > 0.95:
        what = "aborted" if name == "aborted_frac" else "masked out"
        return Signal(value=value, limit=0.95, message=f"{value:.0%} of the responses are {what}")
    return None


def _no_limit(context: Context) -> str | None:
    return episodic(context) or lacks("max_new_tokens")(context)


@rule(
    "LEN007",
    "length-heads-for-the-limit",
    severity="info",
    tier=2,
    needs=("response_length_max",),
    rows=5,
    algorithms=LLM_POLICY,
    unless=_no_limit,
    causes=(
        "length is rewarded: directly, by the reward model, or by a mean over sequences that favours long wrong ones",
        "the task needs longer answers than the limit allows",
    ),
    fixes=(
        "decide before it gets there: raise {max_new_tokens}, or turn on {overlong_penalty}",
        "read the longest completions: do they say more, or the same again?",
        "average the loss over tokens instead of sequences: {loss_type}",
    ),
)
def length_heads_for_the_limit(f: Frame) -> Signal | None:
    """Fires when the longest responses grow so fast that they will reach the length limit before the run ends.

    Why it matters: From there on the longest responses, often the best ones, are cut off and their reward measures the
    limit.
    How it is computed: The longest response (median of 20 rows) grew by 10 % over 20 rows and by more than its
    row-to-row noise, and is still below the configured limit. At this rate it reaches the limit within the declared
    rest of the run, or, without a declared length, within as many rows as there were. Where the truncated share is
    logged, it must not be falling.
    When it is wrong: Growth may level off by itself, as it does when a model finds the length it needs.
    Source: verl#7412, MOSS-RLHF#2; 10 % and the noise are our own choice. The rule only gives information, because a
    projection is not a fault. Not measured: the corpus has no such fault with a configured limit.
    """
    name, cap = "response_length_max", setting(f, "max_new_tokens")
    now, before, noise = f.median(name, 20), f.median(name, 20, before=20), f.noise(name, 40)
    cut, progress = f.gain("truncation_frac", 40), f.progress()
    slope = (now - before) / 20
    left = f.count(name) * ((1 - progress) / progress if progress > 0 else 1.0)
    if now < cap and now > 1.1 * before and now - before > noise and now + slope * left >= cap and not cut < 0:
        rows = (cap - now) / slope
        return Signal(
            value=now,
            limit=cap,
            message=f"the longest responses grew from {before:.4g} to {now:.4g} tokens over 20 rows; at this rate the "
            f"limit of {cap:.0f} is reached in {rows:.0f} rows",
        )
    return None


@rule(
    "LEN009",
    "responses-vanish-at-once",
    severity="warn",
    tier=3,
    needs=("response_length_mean",),
    algorithms=LLM_POLICY,
    unless=episodic,
    causes=(
        "the first updates were far too large: the policy ends at once",
        "an empty or very short answer is paid as well as a right one",
    ),
    fixes=("read the completions of these rows", "lower {lr} and add {warmup}", "pay nothing for an empty answer"),
)
def responses_vanish_at_once(f: Frame) -> Signal | None:
    """Fires when, within the first 20 rows, responses shrink to a few tokens and all become alike.

    Why it matters: This is LEN002 for runs that do not yet have a past of 20 rows.
    How it is computed: The newest four rows are all below a fifth of the first length and below 12 tokens. In these
    rows, half of the groups or more have equal rewards, or the median entropy is below 60 % of the first.
    When it is wrong: The right answer may be one word, after a start that talked too much.
    Source: Our own choice, after a public GRPO log of 18 rows (53 tokens, then 2 to 5 from the second row on).
    """
    name = "response_length_mean"
    now, first, count = f.max(name, 4), f.first(name), f.count(name)
    alike, entropy, entropy_first = f.median("zero_std_group_frac", 4), f.median("entropy", 4), f.first("entropy")
    if count <= 20 and now < 0.2 * first and now < 12 and (alike >= 0.5 or entropy < 0.6 * entropy_first):
        message = f"responses began with {first:.3g} tokens and have at most {now:.3g} on the last four rows"
        return Signal(value=now, limit=0.2 * first, message=message)
    return None


def _no_episodes(context: Context) -> str | None:
    key = context.names.get("response_length_mean", "")
    return None if "ep" in key.lower() else "the lengths of this log are not those of episodes"


@rule(
    "LEN010",
    "longer-episodes-for-nothing",
    severity="warn",
    tier=3,
    needs=("response_length_mean", "reward_mean"),
    rows=3,
    cooldown=100,
    provisional=True,
    algorithms=POLICY | VALUE_BASED,
    unless=_no_episodes,
    causes=(
        "the policy found one safe action and repeats it until the time limit",
        "exploration ended too early: entropy or the share of random actions is close to 0",
    ),
    fixes=(
        "watch an episode: does it stand still, hover or walk in a loop?",
        "raise {entropy_coef}, or let the share of random actions fall later",
        "make time cost something in the reward",
    ),
)
def longer_for_nothing(f: Frame) -> Signal | None:
    """Fires when episodes have become several times longer and pay no more than before.

    Why it matters: An agent that waits for the time limit learns nothing from most of its steps.
    How it is computed: The median length of 20 rows is four times that of rows 10 to 30, and the median return of 20
    rows is not above that of the same early rows by 15 % or twice its noise. Or the length is three times its own past
    (the median of at most 200 rows), and the return is below its best running mean by a tenth of its range and three
    times its noise. In tasks that pay for each step, lengths and returns rise together. Where each
    row is one episode, the mean return of 100 rows must not be above that of the first 100 by 15 % or 0.3 deviations.
    When it is wrong: In some tasks waiting is right and nothing is paid for it.
    Source: Our own choice: two signals that point against each other, as seen in public logs of A2C on Breakout (164 to
    2952 steps at a return of 3.7) and DQN on LunarLander (210 to 892 steps, return -44 to -92).
    """
    length, reward = "response_length_mean", "reward_mean"
    now, at_first, before = f.median(length, 20), f.early(length, 10, 30), f.past(length, least=40)
    paid, paid_first, noise = f.median(reward, 20), f.early(reward, 10, 30), f.noise(reward, 20)
    best, high, low = f.peak(reward, 0.1), f.highest(reward), f.lowest(reward)
    control = about_episodes(f)
    flat = now > LONGER * at_first and paid < paid_first + max(SAME * abs(paid_first), 2 * noise)
    lost = now > LONGER_THAN_PAST * before and paid < best - max(0.1 * (high - low), 3 * noise)
    single, spread = f.rise("episode_count") == 1.0, f.std(reward, EPISODES)
    usual, usual_first = f.mean(reward, EPISODES), f.early_mean(reward, 0, EPISODES)
    if single:  # twenty rows are too few to see that the return has risen
        flat = now > LONGER * at_first and usual < usual_first + max(SAME * abs(usual_first), APART * spread)
        lost = False
    if control and (flat or lost):
        once = at_first if flat else before
        message = f"episodes take {now:.4g} steps and took {once:.4g} before, but the return is no better: {paid:.4g}"
        return Signal(value=now, limit=once, message=message)
    return None


@rule(
    "LEN011",
    "responses-grow-for-nothing",
    severity="warn",
    tier=3,
    needs=("response_length_mean", "reward_mean", "truncation_frac"),
    rows=3,
    cooldown=100,
    algorithms=LLM_POLICY,
    unless=episodic,
    causes=("length is paid, or a mean over sequences favours long wrong answers", "responses no longer end"),
    fixes=("read the longest completions", "turn on {overlong_penalty}", "average the loss over tokens: {loss_type}"),
)
def responses_grow_for_nothing(f: Frame) -> Signal | None:
    """Fires when responses are several times longer than at first, begin to be cut off, and earn no more.

    Why it matters: This is LEN010 for language models: the length goes on to the limit, and the reward does not follow.
    How it is computed: The median length of eight rows is four times that of the first ten. The median truncated share
    of these rows is above 0.1 and above twice that of the first ten. The mean reward of 20 rows is not above the median
    of the first ten.
    When it is wrong: The reward may be about to rise: long reasoning is learnt before it pays.
    Source: Our own choice; four times as in LEN010. Seen in a public GRPO log (130 to 2600 tokens, a reward of 5 after
    7, and half of the responses cut off in the end).
    """
    length, cut, reward = "response_length_mean", "truncation_frac", "reward_mean"
    now, at_first = f.median(length, 8), f.early(length, 0, 10)
    share, share_first = f.median(cut, 8), f.early(cut, 0, 10)
    paid, paid_first = f.mean(reward, 20), f.early(reward, 0, 10)
    if now > LONGER * at_first and share > max(0.1, 2 * share_first) and paid < paid_first and not about_episodes(f):
        message = f"responses grew from {at_first:.4g} to {now:.4g} tokens, {share:.0%} are cut off, no more is earned"
        return Signal(value=now, limit=LONGER * at_first, message=message)
    return None
