"""RM: several reward models that score the same answers."""

from __future__ import annotations

from rldk.rules.rule import Signal, rule
from rldk.rules.score_view import ScoresView, interval, judged

APART = 1.5


@rule(
    "RM033",
    "scorers-disagree-on-the-best-answers",
    severity="warn",
    tier=2,
    data="P",
    subject="scores",
    needs=("disagreement",),
    causes=(
        "the policy has found answers that some of the scorers overrate (over-optimisation)",
        "answers of that kind are rare in the preferences that the scorers learnt from",
    ),
    fixes=(
        "read the answers with a high reward on which the scorers are farthest apart",
        "use the lowest score of the ensemble as the reward, or take off a multiple of the spread",
        "raise {kl_coef}, or collect preferences on such answers and train the scorers again",
    ),
)
def scorers_disagree_on_the_best(s: ScoresView) -> Signal | None:
    """Fires when the scorers of an ensemble are much farther apart on the best answers than on others.

    Why it matters: A high mean on which the scorers disagree is mostly the error of one of them. A policy that is
    trained on it learns this error.
    How it is computed: Each scorer's scores minus their median, in units of their median absolute deviation. The
    disagreement on an answer is the standard deviation between the scorers. Its mean over the tenth with the highest
    reward is more than 1.5 times that over the middle eight tenths. Of three 95 % intervals (clusters of prompts) the
    lower end is above 1: that of this ratio, that of the highest tenth over the lowest one, and that of the same with
    each scorer's ranks in place of its scores. Scorers that score on different scales, or whose errors have heavy
    tails, disagree on both ends alike and stay silent.
    When it is wrong: Scorers may disagree more about good answers without any hacking, where good answers are the
    harder ones to judge. Gold scores of these answers tell. A fault that all scorers share raises no disagreement.
    Source: Coste et al. 2023 (arXiv 2310.02743) and Eisenstein et al. 2023 (arXiv 2312.09244) on ensembles; 1.5 is our
    own choice. Measured on made ensembles: see docs/reward.md.
    """
    d = s.disagreement
    if d is None or not (d.top.value > APART and min(d.top.low, d.ends.low, d.ranked_ends.low) > 1):
        return None
    message = (
        f"the {len(d.scorers)} scorers disagree {d.top.value:.1f} times as much ({interval(d.top)}) on the tenth of "
        f"the answers with the highest reward as on the middle ones"
    )
    return judged(d.top.value, APART, message, metric="scores", ends=d.ends.value)
