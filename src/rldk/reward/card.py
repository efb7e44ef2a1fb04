"""The part of a reward card that a look at single answers fills in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from rldk.cards.trust.facts import CardCheck, CardPlot
from rldk.cards.trust.status import CardWord
from rldk.cards.words import sentence
from rldk.core.model import Finding
from rldk.reward.facts import CheckState, HealthCheck, RewardHealthFacts
from rldk.reward.plots import plots
from rldk.reward.verdict import MEASURES

STATES: Mapping[CheckState, CardWord] = {"pass": "pass", "warn": "warn", "fail": "fail", "not_available": "not checked"}


class CardQuestion(Struct, frozen=True):
    """A question of the card. `quiet`: its answer where the check passes."""

    name: str
    code: str
    quiet: str


QUESTIONS: Mapping[str, CardQuestion] = {
    "calibration": CardQuestion("Calibration", "calibration", "the scores are as certain as labels allow"),
    "shortcuts": CardQuestion("Shortcuts", "shortcut-signals", "form, words and position do not decide the reward"),
    "label_leakage": CardQuestion("Label leakage", "label-leakage", "training does not know the validation rows"),
    "length_bias": CardQuestion("Length bias within a prompt", "length-bias", "length does not decide the reward"),
    "saturation": CardQuestion("Saturation", "saturation", "the rewards are not stuck at a bound"),
    "drift": CardQuestion("Drift of the scores", "reward-drift", "the rewards have not drifted away"),
    "overoptimization": CardQuestion(
        "Over-optimisation", "overoptimization", "gold does not fall while the reward rises"
    ),
    "ensemble": CardQuestion(
        "Scorers agree on the best answers", "ensemble", "they disagree no more on the best answers than on others"
    ),
    "label_noise": CardQuestion("Labels are right", "label-noise", "few labels are wrong"),
    "data_imbalance": CardQuestion("Labels are balanced", "data-imbalance", "both labels are there"),
    "distribution_shift": CardQuestion(
        "Validation is like training", "distribution-shift", "the validation rewards lie where those of training do"
    ),
    "missing_rewards": CardQuestion("Rewards are there", "missing-rewards", "every answer has a reward"),
}
OFTEN = 7  # the questions that a card always has; of the others it has those with a fault


def card_plots(report: RewardHealthFacts) -> Iterator[CardPlot]:
    """The plots of the report as a card has them."""
    for one in plots(report):
        yield CardPlot(
            name=one.name, x=one.x, y=one.y, x_name=one.x_name, y_name=one.y_name, joined=one.joined, bars=one.bars,
            ideal=one.ideal,
        )  # fmt: skip


def card_checks(report: RewardHealthFacts) -> Iterator[CardCheck]:
    """The checks as a card has them, each under the code of the gap that it fills."""
    findings = {f.code: f for f in report.findings}
    for place, (name, question) in enumerate(QUESTIONS.items()):
        check = report.checks.get(name)
        if check is None or not check.selected:
            continue
        if place < OFTEN or check.status in ("warn", "fail"):
            yield _check(question, check, [findings[code] for code in check.codes if code in findings])


def _check(question: CardQuestion, check: HealthCheck, found: list[Finding]) -> CardCheck:
    if check.status == "not_available":
        return CardCheck(name=question.name, code=question.code, status="not checked", reason=check.reason)
    codes = ", ".join(f.code for f in found) or ", ".join(check.codes)
    return CardCheck(
        name=question.name,
        code=question.code,
        status=STATES[check.status],
        result=sentence(check.reason or question.quiet),
        value=check.value,
        limit=check.limit,
        low=check.low,
        high=check.high,
        n=check.n,
        of="cases",
        method=f"{codes}; {check.method}" if check.method else codes,
        metric=MEASURES[check.name],
        causes=tuple(dict.fromkeys(cause for f in found for cause in f.causes)),
        fixes=tuple(dict.fromkeys(fix for f in found for fix in f.fixes)),
    )
