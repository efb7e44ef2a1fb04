"""The facts about the answers of an evaluation that rules on them look at."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rldk.core.samples import sample_words
from rldk.core.stats.clustered import clustered_difference, codes_of
from rldk.core.stats.effects import detectable_difference
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.shingles import normalised
from rldk.core.text import later
from rldk.evals.checks.design import score_of
from rldk.evals.intervals import average, rate
from rldk.evals.table import EvalTable
from rldk.rules.answers_view import (
    AnswersView,
    Checkpoints,
    Counted,
    CutAnswers,
    Dominant,
    Guessing,
    Moved,
    Respelled,
    Unparsed,
)

LEAST, LEAST_PROMPTS, LEAST_RIGHT = 30, 10, 50
LEAST_CUT = 5
LONG = 40  # characters; shorter answers are alike by chance
LONGEST = 2000  # characters of an answer that are compared with the right one
SHOWN = 5
NO_ERROR = frozenset({"", "none", "null", "false", "0"})
MEANT_TO_DIFFER = ("paraphrase_of", "pair_id", "sycophancy_pair", "stance")
_NUMBER = later(r"[-+]?\d[\d,]*(?:\.\d+)?")


def answer_facts(table: EvalTable, *, seed: int) -> AnswersView:
    """Every fact that the table carries."""
    cells = table.cells
    right = table.flag("correct")
    known = np.isfinite(right)
    cluster = table.clusters()
    accuracy = None
    if int(known.sum()) >= LEAST_RIGHT:
        accuracy = rate(right[known], None if cluster is None else cluster[known])
    scored = "correct" in cells or "reward" in cells
    return AnswersView(
        cut=_cut(table) if "finish_reason" in cells and "correct" in cells else None,
        unparsed=_unparsed(table) if "parsed" in cells else None,
        filters=table.filters or None,
        copies=_copies(table) if "response" in cells and cluster is not None else None,
        dominant=_dominant(table) if "gold" in cells else None,
        repeated=_repeated(table) if {"prompt_id", "prompt"} <= cells.keys() else None,
        ambiguous=_ambiguous(table) if {"prompt_id", "prompt"} <= cells.keys() else None,
        errors=_errors(table) if "error" in cells else None,
        chance=_guessing(table),
        right=accuracy,
        respelled=_respelled(table) if {"gold", "correct"} <= cells.keys() else None,
        change=_change(table, seed) if not table.per_step else None,
        checkpoints=_checkpoints(table) if scored and not table.per_step else None,
    )


def _cut(table: EvalTable) -> CutAnswers | None:
    words = sample_words()
    told = [str(value).lower() if value is not None else "" for value in table.cells["finish_reason"]]
    right = table.flag("correct")
    cut = np.array([word in words.cut for word in told])
    there = np.isfinite(right) & np.array([word in words.cut or word in words.ended for word in told])
    if int(there.sum()) < LEAST or min(int((cut & there).sum()), int((~cut & there).sum())) < LEAST_CUT:
        return None
    cluster = table.clusters()
    own = None if cluster is None else cluster[there]
    sides = [(right[there & side], None if cluster is None else cluster[there & side]) for side in (cut, ~cut)]
    difference = clustered_difference(sides[0][0], sides[1][0], sides[0][1], sides[1][1])
    return CutAnswers(
        share=rate(cut[there].astype(np.float64), own),
        right_cut=float(sides[0][0].mean()),
        right_ended=float(sides[1][0].mean()),
        difference=difference,
    )


def _unparsed(table: EvalTable) -> Unparsed | None:
    """Of the answers that are there. A tool may write an empty text where it found none; where no row has one, a
    missing result stands for none."""
    answers, parsed, gold = table.texts("response"), table.texts("parsed"), table.texts("gold")
    stated = "" in parsed
    rows = [row for row, text in enumerate(answers) if text is not None and not (stated and parsed[row] is None)]
    if len(rows) < LEAST:
        return None
    absent = [row for row in rows if not (parsed[row] or "").strip()]
    cluster = table.clusters()
    hits = np.zeros(len(rows))
    hits[np.isin(rows, absent)] = 1
    holding = None
    if "gold" in table.cells:
        pairs = ((gold[row], answers[row]) for row in absent)
        holding = sum(_holds(right, answer) for right, answer in pairs)
    share = rate(hits, None if cluster is None else cluster[rows])
    return Unparsed(share=share, holding=holding, rows=tuple(row + 1 for row in absent[:SHOWN]))


def _holds(right: str | None, answer: str | None) -> bool:
    """Whether the answer has the words of the right one in a row."""
    if not right or not answer:
        return False
    own, words = f" {plain(right)} ", f" {' '.join(plain(word) for word in answer.split())} "
    return bool(own.strip()) and own in words


def _copies(table: EvalTable) -> Estimate | None:
    """The share of prompts whose long answers at one step are all the same text."""
    keys, steps = table.keys(), table.cells.get("step", [None] * table.rows)
    if keys is None:
        return None
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for key, step, text in zip(keys, steps, table.texts("response"), strict=True):
        if key and text is not None and len(text) >= LONG:
            groups[key, str(step)].append(hash(text))
    several = [texts for texts in groups.values() if len(texts) > 1]
    if len(several) < LEAST_PROMPTS:
        return None
    return rate(np.array([float(len(set(texts)) == 1) for texts in several]), None)


def _results(table: EvalTable) -> list[str | None]:
    """What counts as the answer: the result that was found, else the whole answer."""
    found = zip(table.texts("parsed"), table.texts("response"), strict=True)
    return [parsed if parsed is not None and parsed.strip() else answer for parsed, answer in found]


def _dominant(table: EvalTable) -> Dominant | None:
    given = [
        (normalised(text[:LONGEST]), normalised(right))
        for text, right in zip(_results(table), table.texts("gold"), strict=True)
        if text and text.strip() and right
    ]
    if len(given) < LEAST:
        return None
    text, count = Counter(answer for answer, _ in given).most_common(1)[0]
    rights = Counter(right for _, right in given).most_common(1)[0][1]
    hits = np.zeros(len(given))
    hits[:count] = 1
    return Dominant(text=text, share=rate(hits, None), right=rights / len(given))


def _prompts_of_ids(table: EvalTable) -> dict[tuple[str, str], list[int]]:
    """Task and id -> a hash of the prompt of each of its answers."""
    tasks = table.cells.get("task", [""] * table.rows)
    made: dict[tuple[str, str], list[int]] = defaultdict(list)
    for task, key, text in zip(tasks, table.keys() or [], table.texts("prompt"), strict=True):
        if key and text and text.strip():
            made[str(task), key].append(hash(normalised(text)))
    return made


def _repeated(table: EvalTable) -> Counted | None:
    ids = _prompts_of_ids(table)
    if len(ids) < LEAST:
        return None
    seen: dict[tuple[str, int], str] = {}
    again: list[str] = []
    for (task, key), prompts in ids.items():
        first = seen.setdefault((task, prompts[0]), key)
        if first != key:
            again.append(key)
    return Counted(count=len(again), n=len(ids), examples=tuple(again[:SHOWN]))


def _ambiguous(table: EvalTable) -> Counted | None:
    if any(name in table.cells for name in MEANT_TO_DIFFER):
        return None
    several = {key: prompts for (_, key), prompts in _prompts_of_ids(table).items() if len(prompts) > 1}
    if not several:
        return None
    bad = [key for key, prompts in several.items() if len(set(prompts)) > 1]
    return Counted(count=len(bad), n=len(several), examples=tuple(bad[:SHOWN]))


def _errors(table: EvalTable) -> Counted:
    score = table.number("correct" if "correct" in table.cells else "reward")
    texts = table.texts("error")
    failed = [t for t, s in zip(texts, score, strict=True) if t is not None and t.lower() not in NO_ERROR and s != s]
    return Counted(count=len(failed), n=table.rows, examples=tuple(t[:200] for t in failed[:SHOWN]))


def _guessing(table: EvalTable) -> Guessing | None:
    options, right = table.number("n_choices"), table.flag("correct")
    there = (options >= 2) & np.isfinite(right)
    if int(there.sum()) < LEAST_RIGHT:
        return None
    cluster = table.clusters()
    found = rate(right[there], None if cluster is None else cluster[there])
    return Guessing(right=found, chance=float((1 / options[there]).mean()))


def plain(text: str) -> str:
    """The text without case, spaces, punctuation and currency signs. A number keeps its sign and its decimal point;
    "1,000.0" is "1000"."""
    stripped = text.strip().strip("$\u20ac\u00a3. ").replace("$", "")
    if _NUMBER.fullmatch(stripped):
        number = stripped.replace(",", "").removeprefix("+")
        return number.rstrip("0").rstrip(".") if "." in number else number
    kept = (c for c in unicodedata.normalize("NFKC", text).casefold() if unicodedata.category(c)[0] in "LNM")
    return "".join(kept)


def _respelled(table: EvalTable) -> Respelled | None:
    right = table.flag("correct")
    wrong = np.flatnonzero(right == 0)
    if not len(wrong):
        return None
    results, gold = _results(table), table.texts("gold")
    found: list[tuple[str, str]] = []
    for row in wrong.tolist():
        got, wanted = results[row], gold[row]
        if got and wanted and len(got) <= LONGEST and len(wanted) <= LONGEST:
            own = plain(got)
            if own and own == plain(wanted):
                found.append((got.strip(), wanted.strip()))
    example = found[0] if found else ("", "")
    return Respelled(count=len(found), wrong=len(wrong), n=int(np.isfinite(right).sum()), example=example)


def _change(table: EvalTable, seed: int) -> Moved | None:
    if {"before", "after"} <= table.cells.keys():
        before, after, place = table.number("before"), table.number("after"), "by training"
        there = np.isfinite(before) & np.isfinite(after)
        first, last = before[there], after[there]
        cluster = table.clusters()
        own = None if cluster is None else cluster[there]
    else:
        means = _by_step(table)
        if means is None:
            return None
        scores, steps = means
        first, last, own = scores[:, 0], scores[:, -1], None
        place = f"from step {steps[0]:g} to step {steps[-1]:g}"
    gap = last - first
    if len(gap) < LEAST_PROMPTS or not float(np.ptp(gap)) > 0:
        return None
    smallest = detectable_difference(float(gap.std(ddof=1)), len(gap))
    change = average(gap, own, seed=seed)
    return Moved(before=float(first.mean()), after=float(last.mean()), change=change, detectable=smallest, place=place)


def _by_step(table: EvalTable) -> tuple[NDArray[np.float64], Sequence[float]] | None:
    """The mean score of each prompt that was asked at every step, shape (prompts, steps)."""
    cluster = table.clusters()
    if cluster is None or "step" not in table.cells or not ({"correct", "reward"} & table.cells.keys()):
        return None
    step, score = table.number("step"), score_of(table)[1]
    there = np.isfinite(step) & np.isfinite(score)
    if not there.any():
        return None
    steps, place = np.unique(step[there], return_inverse=True)
    label = codes_of(cluster[there])
    count = int(label.max()) + 1
    if len(steps) < 2 or count * len(steps) > 4 * int(there.sum()) + 1000:  # prompts that are hardly ever asked again
        return None
    sums, sizes = np.zeros((count, len(steps))), np.zeros((count, len(steps)))
    np.add.at(sums, (label, place), score[there])
    np.add.at(sizes, (label, place), 1)
    whole = (sizes > 0).all(axis=1)
    if int(whole.sum()) < LEAST_PROMPTS:
        return None
    return sums[whole] / sizes[whole], steps.tolist()


def _checkpoints(table: EvalTable) -> Checkpoints | None:
    found = _by_step(table)
    if found is None or len(found[1]) < 3:
        return None
    scores, steps = found
    means = scores.mean(axis=0)
    best = int(means.argmax())
    return Checkpoints(
        best_step=steps[best], best=float(means[best]), last_step=steps[-1], last=float(means[-1]),
        p=differ_p(scores), steps=len(steps), prompts=len(scores),
    )  # fmt: skip


def differ_p(scores: NDArray[np.float64]) -> float:
    """The p-value of Cochran's Q: whether the columns differ in their mean over the rows, shape (prompts, steps).

    Q is (steps - 1) times the sum of squares between the steps, divided by that within the prompts; chi-square with
    steps - 1 degrees of freedom. NaN where no prompt's score changes."""
    from scipy.stats import chi2

    prompts, steps = scores.shape
    within = float(((scores - scores.mean(axis=1, keepdims=True)) ** 2).sum())
    if not within > 0:
        return math.nan
    between = prompts * float(((scores.mean(axis=0) - scores.mean()) ** 2).sum())
    return float(chi2.sf(prompts * (steps - 1) * between / within, steps - 1))
