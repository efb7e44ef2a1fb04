"""`rldk.reward.compare_models`: do two reward models, or two versions of one, say the same?"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.cards.words import plural
from rldk.core.model import SEVERITIES, Finding, Incident, Note
from rldk.core.secrets.redact import without_secrets
from rldk.core.stats.clustered import (
    average_ranks,
    clustered_correlation,
    clustered_mean,
    clustered_share,
    paired_scale_ratio,
)
from rldk.core.stats.estimates import Estimate
from rldk.core.stats.kendall import order_agreement
from rldk.core.stats.spearman import clustered_spearman
from rldk.engine.live import Engine
from rldk.engine.once import look_once
from rldk.errors import NoData, UsageError
from rldk.reward.labels import pair_accuracy, pair_calibration
from rldk.reward.model_facts import Disagreement
from rldk.reward.model_report import RewardModelReport
from rldk.reward.model_view import DOUBT, models_verdict
from rldk.reward.scorers.files import doubts_of, notes_of
from rldk.reward.scorers.items import ScoredItems, items_of
from rldk.reward.scorers.joined import JoinedItems, joined_files
from rldk.reward.scorers.opened import scores_of
from rldk.reward.scorers.options import ModelScores, ScorerOptions
from rldk.reward.table import PairTable
from rldk.rules.chosen import Words, chosen_rules
from rldk.rules.rule import Context
from rldk.rules.score_view import ScorePairView

KIND = "reward_drift"
LEAST = 10
MOST_LAGS = 8  # of answers to one prompt that are paired
SHOWN = 10  # disagreements
CUT = 300  # characters of a text in a report
POINTS = 800

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Items = ScoredItems | JoinedItems


def compare_models(
    model_a: Any,
    model_b: Any,
    prompts: Any = None,
    responses: Any = None,
    *,
    options: ScorerOptions | None = None,
    seed: int = 0,
    select: Words = None,
    ignore: Words = None,
    advance: Callable[[int], None] | None = None,
) -> RewardModelReport:
    """The report on two reward models that score the same answers.

    A model is a function of texts, "package.module:function", a local directory of a sequence classifier, a file of
    scores, an http(s) address, or an array of scores. `prompts`: a list of prompts (`responses` then has one answer, or
    a list of answers, for each), or a frame, a list of dicts or a path with prompts and answers or with pairs (chosen,
    rejected). Without prompts both models are files of scores, which are joined by their ids, or else by their texts.
    What one of them did not score is counted, not left out in silence. The texts of two files are not held: memory is
    about 400 bytes for each row that is in both. `advance` is called with the number of answers that have been scored.

    A function that takes `completions` is called as TRL calls reward functions; one with two parameters that have no
    default gets prompts and answers; one with one parameter gets the answers (the prompts, where there are none).

    Raises `UsageError`, `NoData`, `UnreadableSource`, `MalformedInput`, `MissingExtra`, and `OutputError` where there
    is no room for temporary files."""
    how, go = options or ScorerOptions(), advance or _nothing
    items: Items
    if prompts is None:
        items, first, second = _from_files(model_a, model_b)
    else:
        items = items_of(prompts, responses)
        first, second = (scores_of(model, items, how, go) for model in (model_a, model_b))
    both = np.isfinite(first.scores) & np.isfinite(second.scores)
    if int(both.sum()) < LEAST:
        raise _too_few(items, (first, second), int(both.sum()))
    return _report(items, first, second, both, seed=seed, select=select, ignore=ignore)


def _too_few(items: Items, models: Sequence[ModelScores], both: int) -> NoData:
    """The error for fewer than ten answers with two scores: it names a model that gave none."""
    finite = [int(np.isfinite(model.scores).sum()) for model in models]
    told = f"only {plural(both, 'answer')} with scores of both models; it takes {LEAST}"
    if len(items) >= LEAST:
        lacking = min(range(2), key=finite.__getitem__)
        name, count = models[lacking].name, finite[lacking]
        what = "none" if not count else f"only {count:,}"
        return NoData(
            f"{told}: of {len(items):,} answers {what} has a finite score from {name}", hint="look at its scores"
        )
    return NoData(told, hint="are the ids, or the texts, the same in both? give ten answers or more")


def _nothing(count: int) -> None:
    """Stands in for a callback that was not given."""


def _from_files(model_a: Any, model_b: Any) -> tuple[JoinedItems, ModelScores, ModelScores]:
    for model in (model_a, model_b):
        if callable(model) or (isinstance(model, str | os.PathLike) and not Path(model).is_file()):
            raise UsageError("without prompts, both models must be files of scores", hint="give prompts")
    joined = joined_files(model_a, model_b)
    names = [Path(m).name if isinstance(m, str | os.PathLike) else w for m, w in ((model_a, "a"), (model_b, "b"))]
    made = []
    files = joined.first, joined.second
    for file, other, name, scores in zip(files, files[::-1], names, joined.scores, strict=True):
        lacking = len(other.keys) - len(joined.mine)
        told = notes_of(file) + ((f"{name} has no score for {lacking:,} rows of the other",) if lacking else ())
        made.append(ModelScores(name=name, scores=scores, notes=told, doubts=doubts_of(file)))
    made[0].notes = (*joined.notes, *made[0].notes)
    made[0].doubts = (*joined.doubts, *made[0].doubts)
    return JoinedItems(joined), made[0], made[1]


def _report(
    items: Items, first: ModelScores, second: ModelScores, both: NDArray[np.bool_], *, seed: int,
    select: Words, ignore: Words,
) -> RewardModelReport:  # fmt: skip
    rows = np.flatnonzero(both)
    a, b, prompt = first.scores[rows], second.scores[rows], items.prompt[rows]
    for model, scores in ((first, a), (second, b)):
        if not float(np.ptp(scores)) > 0:
            raise NoData(
                f"{model.name} gives every one of {len(rows):,} answers the score {scores[0]:.6g}",
                hint="nothing can be said about how it ranks them; is the reward function broken, or at its bound?",
            )
    ranks = average_ranks(a), average_ranks(b)
    pearson, spearman = clustered_correlation(a, b, prompt), clustered_spearman(a, b, prompt)
    view = ScorePairView(
        n=len(rows),
        spearman=spearman,
        pair_flips=_pair_flips(a, b, prompt),
        sign_flips=_sign_flips(a, b, prompt),
        mean=clustered_mean((b - a) / a.std(), prompt) if a.std() > 0 else None,
        scale=paired_scale_ratio(a, b, prompt) if a.std() > 0 and b.std() > 0 else None,
    )
    rules = [rule for rule in chosen_rules("default", select, ignore) if rule.subject == "rescored"]
    context = Context()
    once = look_once(rules, context, Engine(rules, context).inapplicable, {"rescored": view})
    findings = _in_order(once.findings)
    names = _names(first.name, second.name)
    pairs = {name: _pairs(items, m.scores) for name, m in zip(names, (first, second), strict=True)}
    calibration = {name: c for name, p in pairs.items() if p is not None and (c := pair_calibration(p, seed=seed))}
    accuracy = {name: e for name, p in pairs.items() if p is not None and (e := pair_accuracy(p))}
    tau = order_agreement(a, b).tau
    missing = tuple(int((~np.isfinite(m.scores)).sum()) for m in (first, second))
    made = RewardModelReport(
        kind=KIND,
        passed=not any(f.evidence.get("status") == "fail" for f in findings),
        findings=findings,
        incidents=tuple(_incident(f) for f in findings),
        checked=tuple(sorted(once.checked)),
        skipped=tuple(sorted(once.unchecked, key=lambda check: check.code)),
        notes=_notes(first, second),
        numbers={"answers": len(items), "scored_by_both": len(rows), "missing_a": missing[0], "missing_b": missing[1]},
        meta={"run": f"{names[0]} and {names[1]}", "source": ""},
        model_a=names[0],
        model_b=names[1],
        n=len(rows),
        missing=(missing[0], missing[1]),
        pearson=pearson,
        spearman=spearman,
        kendall=tau if tau == tau else None,
        pair_flips=view.pair_flips,
        sign_flips=view.sign_flips,
        mean_shift=view.mean,
        scale=view.scale,
        calibration=calibration,
        accuracy=accuracy,
        disagreements=_disagreements(items, rows, (a, b), ranks),
        figures=_figures(a, b),
    )
    return replace(made, verdict=models_verdict(made))


def _notes(first: ModelScores, second: ModelScores) -> tuple[Note, ...]:
    doubts = (Note(topic=DOUBT, text=text) for text in (*first.doubts, *second.doubts))
    return (*doubts, *(Note(topic="scores", text=text) for text in (*first.notes, *second.notes)))


def _names(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first != second else (f"{first} (a)", f"{second} (b)")


def _pairs(items: Items, scores: Array) -> PairTable | None:
    if items.pairs is None:
        return None
    chosen, rejected = items.pairs
    margin = scores[chosen] - scores[rejected]
    kept = np.isfinite(margin)
    return PairTable(margin=margin[kept], prompt=items.prompt[chosen][kept]) if int(kept.sum()) >= 30 else None


def _pair_flips(a: Array, b: Array, prompt: Codes) -> Estimate | None:
    """Over pairs of answers to a prompt, up to eight apart in the order of the data; None for fewer than thirty."""
    order = np.argsort(prompt, kind="stable")
    own, x, y = prompt[order], a[order], b[order]
    flips, clusters = [], []
    for lag in range(1, min(MOST_LAGS, len(order) - 1) + 1):
        same = own[lag:] == own[:-lag]
        if not same.any():
            break
        both = np.sign(x[lag:] - x[:-lag])[same] * np.sign(y[lag:] - y[:-lag])[same]
        flips.append(both[both != 0] < 0)
        clusters.append(own[lag:][same][both != 0])
    if sum(map(len, flips)) < 30:
        return None
    return clustered_share(np.concatenate(flips), np.concatenate(clusters))


def _sign_flips(a: Array, b: Array, prompt: Codes) -> Estimate | None:
    """None where no score is negative (or none positive): such scores have no sign to flip."""
    if not ((a > 0).any() and (a < 0).any()):
        return None
    return clustered_share(np.sign(a) * np.sign(b) < 0, prompt)


def _disagreements(
    items: Items, rows: Codes, scores: tuple[Array, Array], ranks: tuple[Array, Array]
) -> tuple[Disagreement, ...]:
    """The answers whose places under both models are farthest apart."""
    apart = np.abs(ranks[0] - ranks[1])
    top = [i for i in np.argsort(-apart, kind="stable")[:SHOWN].tolist() if apart[i] > 0]
    count = max(1, len(rows) - 1)
    return tuple(
        Disagreement(
            key=key[:CUT],
            score_a=float(scores[0][i]),
            score_b=float(scores[1][i]),
            ranks=(float((ranks[0][i] - 1) / count), float((ranks[1][i] - 1) / count)),
            prompt=without_secrets(prompt[:CUT]),
            response=without_secrets(response[:CUT]),
        )
        for i, (key, prompt, response) in zip(top, items.shown(rows[top].tolist()), strict=True)
    )


def _figures(a: Array, b: Array) -> dict[str, Any]:
    step = max(1, len(a) // POINTS)
    return {"scores": {"x": [round(v, 6) for v in a[::step].tolist()], "y": [round(v, 6) for v in b[::step].tolist()]}}


def _in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    def key(f: Finding) -> tuple[int, int, str]:
        return int(f.evidence.get("status") != "fail"), -SEVERITIES.index(f.severity), f.code

    return tuple(replace(f, incident=place + 1) for place, f in enumerate(sorted(findings, key=key)))


def _incident(f: Finding) -> Incident:
    return Incident(
        id=f.incident or 0, title=f.message, severity=f.severity, first_step=None, last_step=None,
        first_mover=f.metric, codes=(f.code,), causes=f.causes, fixes=f.fixes,
    )  # fmt: skip
