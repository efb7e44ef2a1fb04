"""What a reward card asks of a log: questions as data, each answered by rules, and the numbers beside the answer."""

from __future__ import annotations

from msgspec import Struct


class RewardQuestion(Struct, frozen=True, kw_only=True):
    """A question. `rules`: the codes, or beginnings of codes, of the rules that answer it; where none could look, the
    reason of the first is told. `metrics`: what it is about. `quiet`: what is said when no rule found anything.
    `main`: the card cannot pass without an answer. `same`: the code of the check on single answers that asks the same,
    so that the card has one verdict of both."""

    name: str
    code: str
    rules: tuple[str, ...]
    metrics: tuple[str, ...]
    quiet: str
    main: bool = False
    same: str = ""


GOAL = ("reward_mean", "eval_reward_mean", "pref_margin", "pref_accuracy", "success_rate")
LENGTH = ("response_length_mean", "episode_length_mean")
QUESTIONS = (
    RewardQuestion(
        name="Learnt",
        code="reward-learning",
        rules=("REW022", "PREF003", "RM001", "REW009", "REW016", "REW023", "REW024", "REW026", "REW027",
               "REW028", "REW036", "REW037", "REW038", "REW040"),
        metrics=GOAL,
        quiet="No rule sees a run that does not learn",
        main=True,
    ),
    RewardQuestion(
        name="Kept",
        code="reward-collapse",
        rules=("REW012", "REW020", "REW021", "REW025"),
        metrics=("reward_mean", "eval_reward_mean"),
        quiet="What was gained is not lost again",
    ),
    RewardQuestion(
        name="Finite",
        code="reward-finite",
        rules=("REW010",),
        metrics=("reward_mean",),
        quiet="No NaN and no infinity",
    ),
    RewardQuestion(
        name="Varies",
        code="reward-spread",
        rules=("REW001", "REW015", "GRAD030", "ADV001"),
        metrics=("reward_std", "reward_mean", "zero_std_group_frac"),
        quiet="It varies, so that there is something to learn from",
    ),
    RewardQuestion(
        name="Scale is steady",
        code="reward-scale",
        rules=("REW005", "REW007", "REW017", "REW018", "RM003", "PREF008", "PREF010"),
        metrics=GOAL,
        quiet="No jump of the scale",
    ),
    RewardQuestion(
        name="Parts agree",
        code="reward-parts",
        rules=("REW003", "REW004"),
        metrics=("reward_task_mean", "reward_shaped_mean"),
        quiet="No part takes over, and none is dead",
    ),
    RewardQuestion(
        name="Preferences are sound",
        code="reward-preferences",
        rules=("PREF009", "PREF001", "PREF002", "PREF004", "PREF005"),
        metrics=("pref_margin", "pref_accuracy"),
        quiet="Pairs are told apart with a margin, and not too soon",
    ),
    RewardQuestion(
        name="Held-out data agree",
        code="reward-held-out",
        rules=("REW002", "PREF006", "PREF007"),
        metrics=("eval_reward_mean", "eval_pref_accuracy"),
        quiet="Training and held-out reward go together",
    ),
    RewardQuestion(
        name="Not paid by length",
        code="reward-length",
        rules=("LEN",),
        metrics=LENGTH,
        quiet="No rule sees length paid for, or length that collapses",
        same="length-bias",
    ),
    RewardQuestion(
        name="Not bought with KL",
        code="reward-kl",
        rules=("KL001", "KL002", "KL009", "KL017", "KL019", "KL020"),
        metrics=("kl",),
        quiet="The KL does not run away",
    ),
    RewardQuestion(
        name="Answers judged right",
        code="reward-judging",
        rules=("REW029", "REW030", "REW031"),
        metrics=("samples",),
        quiet="Every sample has a reward that fits its answer",
    ),
)  # fmt: skip


class RewardGap(Struct, frozen=True, kw_only=True):
    """A question that no log of means can answer. `reason`: what it needs."""

    name: str
    code: str
    reason: str


GAPS = (
    RewardGap(
        name="Calibration", code="calibration", reason="needs scores of chosen and rejected answers, or gold labels"
    ),
    RewardGap(name="Shortcuts", code="shortcut-signals", reason="needs responses with their rewards (samples-*.jsonl)"),
    RewardGap(name="Label leakage", code="label-leakage", reason="needs the training and held-out texts"),
    RewardGap(
        name="Length bias within a prompt",
        code="length-bias",
        reason="needs several responses to a prompt with rewards",
    ),
    RewardGap(name="Saturation", code="saturation", reason="needs the rewards of single samples"),
    RewardGap(name="Drift of the scores", code="reward-drift", reason="needs reference scores of the same answers"),
    RewardGap(name="Over-optimisation", code="overoptimization", reason="needs a gold reward that was not trained on"),
)
