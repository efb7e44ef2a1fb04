"""Names the causes of a gap from its shape, and says which ones the data cannot tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rldk.core.model import Check, Finding, Report, Severity
from rldk.logprobs.causes import CAUSES, Cause
from rldk.logprobs.pairs import Pairs
from rldk.logprobs.statistics import GapShape, gap_by_lag, gap_by_place, gap_by_step, line, shape_of

LEAST_TOKENS, LEAST_SUMS = 500, 64
ERROR = 1.05  # mean exp|d|: NeMo RL asks to look into more
MASS, SLOPE = 0.02, 0.05  # rules.md's limits of OFF004 and OFF005
FIT, LEAST_CONTEXT = 0.975, 32  # of the line within contexts: a temperature fits it exactly, apart from rounding
WIDE_FIT = 0.95  # of the line over all contexts, whose normalisers differ
ABOVE = 0.02  # share of tokens that may lie above 0 under truncated sampling
CLEAR_SLOPE, CLEAR_FIT = 0.1, 0.85  # so far off 1 is no other cause, even where contexts differ widely
JUMPS, JUMP_SHARE, FOLLOWED = 0.004, 0.5, 0.4
GROWN = 4.0  # a gap of stale weights is so many times that of the first step
Found = list[Finding]


def mismatch_report(pairs: Pairs, *, run: str, source: str) -> Report:
    """The report on the pairs."""
    meta: dict[str, Any] = {"run": run, "source": source, "sums": pairs.sums}
    least = LEAST_SUMS if pairs.sums else LEAST_TOKENS
    if len(pairs) < least and not pairs.respelled:
        return _unchecked(pairs, least, meta)
    steps = gap_by_step(pairs)
    open_: dict[str, str]
    if len(pairs) < least:
        findings, open_ = [_respelled(pairs)], {}
        shape = None
    elif pairs.sums:
        shape, (findings, open_) = None, _judge_sums(pairs, steps)
    else:
        shape = shape_of(pairs)
        findings, open_ = _judge(pairs, shape, steps)
    named = {f.name for f in findings}
    unsure = [name for name in CAUSES if name in open_ and name not in named]
    return Report(
        kind="mismatch",
        passed=all(f.severity != "critical" for f in findings),
        verdict=_sentence(findings, unsure, pairs),
        findings=tuple(findings),
        checked=tuple(name for name in CAUSES if name not in unsure),
        skipped=tuple(Check(code=CAUSES[n].code, name=n, status="skipped", reason=open_[n]) for n in unsure),
        numbers=_numbers(pairs, shape),
        meta={
            **meta,
            "by_step": steps,
            "by_position": gap_by_place(pairs),
            "by_lag": gap_by_lag(pairs),
        },
    )


def _judge(pairs: Pairs, shape: GapShape, steps: Sequence[tuple[int, float]]) -> tuple[Found, dict[str, str]]:
    found: Found = [_respelled(pairs)] if pairs.respelled else []
    if shape.jumps >= JUMPS and shape.jump_share >= JUMP_SHARE and shape.error > ERROR:
        return _jumping(found, shape), {}
    truncated, heated = _is_truncated(shape), _temperature(shape)
    if heated is not None:
        found.append(heated)
        if shape.mass + 4 * shape.mass_error < 1 - MASS:
            found.append(_truncation(shape))
    elif truncated:
        found.append(_truncation(shape))
    if heated is not None or truncated or shape.error <= ERROR or pairs.respelled:
        return found, {}
    return _by_time(found, pairs, shape, steps)


def _jumping(found: Found, shape: GapShape) -> Found:
    if shape.falls and shape.followed >= FOLLOWED:
        if not found:
            text = (
                f"{shape.jumps:.1%} of the tokens jump, and {shape.followed:.0%} of the large falls go on in the next "
                "token: the trainer reads other tokens than were sampled"
            )
            found.append(_finding("tokenisation", text, shape.jumps, JUMPS, {"followed": shape.followed}))
        return found
    text = (
        f"{shape.jumps:.1%} of the tokens jump by themselves, in both directions, while the others agree within "
        f"{shape.scale:.2g} nats: experts are chosen otherwise, if the model has any"
    )
    found.append(_finding("expert routing", text, shape.jumps, JUMPS, {"followed": shape.followed}))
    return found


def _is_truncated(shape: GapShape) -> bool:
    """Hardly a token is likelier to the trainer than to the sampler, and the ratios do not average to 1."""
    level = math.isnan(shape.context.slope) or shape.context.n < LEAST_CONTEXT or abs(shape.context.slope - 1) < SLOPE
    return level and shape.upper <= ABOVE and shape.mass + 4 * shape.mass_error < 1 - MASS


def _truncation(shape: GapShape) -> Finding:
    text = (
        f"the ratios average to {shape.mass:.3f} instead of 1, and {shape.upper:.1%} of them are above 1: the sampler "
        f"keeps {shape.mass:.0%} of the probability"
    )
    evidence = {"kept_mass": shape.mass, "standard_error": shape.mass_error, "above": shape.upper}
    return _finding("truncated sampling", text, shape.mass, 1 - MASS, evidence)


def _temperature(shape: GapShape) -> Finding | None:
    within, wide = shape.context, shape.line
    if within.n >= LEAST_CONTEXT:
        if not (abs(within.slope - 1) > SLOPE + 4 * within.slope_error and within.fit > FIT):
            return None
        text = (
            f"among first tokens of one prompt, the trainer's log-probabilities are {within.slope:.3f} times the "
            f"sampler's: it samples at a temperature of about {within.slope:.2g} that the trainer does not apply"
        )
        evidence = {"slope": within.slope, "fit": within.fit, "pairs": within.n, "slope_of_all": wide.slope}
        return _finding("temperature", text, within.slope, 1.0, evidence, severity="critical", tier=0)
    if _is_truncated(shape):  # which bends the line, too; under a temperature many ratios are above 1
        return None
    clear = abs(wide.slope - 1) > CLEAR_SLOPE and wide.fit > CLEAR_FIT
    if not clear and not (abs(wide.slope - 1) > SLOPE and wide.fit > WIDE_FIT):
        return None
    text = (
        f"the trainer's log-probabilities are {wide.slope:.2f} times the sampler's over all tokens (the contexts "
        "differ, so the temperature itself lies further from 1)"
    )
    return _finding("temperature", text, wide.slope, 1.0, {"slope_of_all": wide.slope, "fit": wide.fit})


def _by_time(
    found: Found, pairs: Pairs, shape: GapShape, steps: Sequence[tuple[int, float]]
) -> tuple[Found, dict[str, str]]:
    """A gap without a form: it grows from the first step, or with the age of the weights, or is always there."""
    lags = gap_by_lag(pairs)
    aged = len(lags) > 1 and lags[0][0] == 0 and lags[-1][1] > GROWN * lags[0][1]
    (first_step, first), later = steps[0], sorted(gap for _, gap in steps[1:])
    middle = later[len(later) // 2] if later else math.nan
    if aged or (len(later) >= 2 and middle > GROWN * first):
        what = (
            f"the gap grows with the age of the weights, from {lags[0][1]:.2g} to {lags[-1][1]:.2g} nats"
            if aged
            else f"the gap is {first:.2g} nats at step {first_step} and {middle:.2g} after it"
        )
        text = f"{what}: the sampler has older weights than the trainer"
        found.append(_finding("stale weights", text, middle, GROWN * first, {"first": first, "later": middle}))
        return found, {}
    if first_step <= 1 and len(later) >= 2:
        text = (
            f"the gap is a scatter of {shape.scale:.2g} nats from the first step on, the same in both directions, and "
            "does not grow: the two compute in different precision"
        )
        found.append(_finding("precision", text, shape.error, ERROR, {"scale": shape.scale, "first": first}))
        return found, {}
    reason = "needs the first step of the run and two later ones, or the version of the sampler's weights"
    return found, {"stale weights": reason, "precision": reason}


def _judge_sums(pairs: Pairs, steps: Sequence[tuple[int, float]]) -> tuple[Found, dict[str, str]]:
    """What sums over responses can say: only how the gap goes with the steps."""
    reason = "needs log-probabilities of each token; sums hide it"
    open_ = dict.fromkeys(("temperature", "truncated sampling", "precision", "tokenisation", "expert routing"), reason)
    found: Found = [_respelled(pairs)] if pairs.respelled else []
    gaps = [gap for _, gap in steps]
    if max(gaps) < math.log(ERROR):
        return found, open_ | {"stale weights": reason} if not found else open_
    first, later = gaps[0], sorted(gaps[1:])
    if len(later) >= 2 and later[len(later) // 2] > GROWN * first:
        middle = later[len(later) // 2]
        text = (
            f"the gap is {first:.2g} nats a token at step {steps[0][0]} and {middle:.2g} after it: the sampler has "
            "older weights than the trainer"
        )
        found.append(_finding("stale weights", text, middle, GROWN * first, {"first": first, "later": middle}))
        return found, open_
    return found, open_ | {"stale weights": "the gap is there from the first recorded step on"}


def _respelled(pairs: Pairs) -> Finding:
    share = pairs.respelled / pairs.spelled
    text = f"{pairs.respelled} of {pairs.spelled} responses have other tokens for the trainer than for the sampler"
    return _finding("tokenisation", text, share, 0.0, {"example": pairs.example}, severity="critical", tier=0)


def _finding(
    name: str,
    message: str,
    value: float,
    limit: float,
    evidence: dict[str, Any],
    *,
    severity: Severity = "warn",
    tier: int = 2,
) -> Finding:
    cause: Cause = CAUSES[name]
    return Finding(
        code=cause.code,
        name=name,
        family=cause.code.rstrip("0123456789"),
        severity=severity,
        tier=tier,
        first_step=None,
        last_step=None,
        metric="logp",
        value=value,
        limit=limit,
        message=message,
        rows=0,
        ongoing=True,
        evidence=evidence,
        causes=cause.causes,
        fixes=cause.fixes,
    )


def _sentence(findings: Sequence[Finding], unsure: Sequence[str], pairs: Pairs) -> str:
    unit = "responses" if pairs.sums else "tokens"
    if findings:
        names = " and ".join(dict.fromkeys(f.name for f in findings))
        return f"Sampler and trainer disagree because of {names}: {findings[0].message}."
    gap = len(unsure) > 0 and not pairs.sums
    if gap:
        return f"Sampler and trainer disagree over {len(pairs):,} {unit}; {' or '.join(unsure)} may be why."
    if pairs.sums:
        small = max(gap for _, gap in gap_by_step(pairs)) < math.log(ERROR)
        told = "agree on average" if small else "disagree"
        return f"Sampler and trainer {told} over {len(pairs):,} responses; sums hide what a token would tell."
    return f"No gap that matters between sampler and trainer over {len(pairs):,} tokens."


def _numbers(pairs: Pairs, shape: GapShape | None) -> dict[str, float | int | None]:
    made: dict[str, float | int | None] = {"samples": pairs.samples}
    if shape is None:
        if len(pairs) > 1:
            made |= {"responses": len(pairs), "slope": _finite(line(pairs.sampler, pairs.trainer).slope)}
        return made
    return made | {
        "tokens": shape.tokens,
        "mean_gap": shape.mean,
        "median_gap": shape.median,
        "scale": shape.scale,
        "mult_prob_error": shape.error,
        "prob_diff": shape.shift,
        "mean_ratio": shape.mass,
        "slope": _finite(shape.line.slope),
        "slope_within_context": _finite(shape.context.slope),
        "jumps": shape.jumps,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _unchecked(pairs: Pairs, least: int, meta: dict[str, Any]) -> Report:
    have = f"{len(pairs)} of them" if len(pairs) else "none"
    unit = "responses" if pairs.sums else "tokens"
    reason = f"needs the log-probabilities of sampler and trainer for {least} {unit} or more; there are {have}"
    return Report(
        kind="mismatch",
        passed=True,
        verdict=f"Not checked: {reason}.",
        skipped=tuple(Check(code=c.code, name=n, status="skipped", reason=reason) for n, c in CAUSES.items()),
        numbers={"samples": pairs.samples},
        meta=meta,
    )
