"""What reward data must have for each fact that rules over "scores" and "rescored" look at, in a reader's words."""

from __future__ import annotations

from collections.abc import Mapping

# what the data must have for each fact, in a reader's words
SCORE_WORDS: Mapping[str, str] = {
    "length": "thirty responses or more that differ in length and reward (a response or length column)",
    "shortcuts": "responses as text",
    "words": "two hundred responses or more as text",
    "position": "the position at which each answer was shown (a position column)",
    "accuracy": "pairs with the scores of the chosen and the rejected answer",
    "style_gap": "pairs with scores, and texts or lengths of both answers",
    "calibration": "labels (0 or 1), gold scores, or pairs with scores of both answers",
    "bound": "thirty rewards or more",
    "flat_groups": "ten prompts or more with several answers each (a prompt column)",
    "drift": "reference data with rewards",
    "start": "the step of each reward, ten steps or more",
    "course": "a gold score beside the reward, over ten steps or more",
    "disagreement": "three hundred answers with scores of several scorers that rank them alike (score_0, score_1, ...)",
    "noise": "a hundred pairs or more with the scores of both answers",
    "balance": "labels",
    "missing": "rewards",
    "contradictions": "pairs with both answers as text",
    "overlap": "a `split` column (train or validation) and texts",
    "memorised": "a `split` column and labels or pairs",
    "shift": "a `split` column (train or validation)",
}
PAIR_WORDS: Mapping[str, str] = {
    "spearman": "scores of both models",
    "pair_flips": "two answers or more to a prompt",
    "sign_flips": "scores of either sign",
    "mean": "scores that vary",
    "scale": "scores that vary",
}
