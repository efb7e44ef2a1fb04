"""A measurement as one JSON document, and back. The findings of each run are the truth; the figures follow from
them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from rldk import __version__
from rldk.bench.judge import Result, RuleChoice
from rldk.bench.score import RunOutcome, Score, Summary
from rldk.core.codec import from_builtins, to_builtins
from rldk.errors import MalformedInput, UnreadableSource

SCHEMA_VERSION = 1
KIND = "bench"


def document(score: Score, choice: RuleChoice) -> dict[str, Any]:
    """The document. `summary` has the names that the corpus's own scorer prints."""
    plain: dict[str, Any] = to_builtins(
        {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "version": __version__,
            "corpus": score.corpus,
            "rules": choice,
            "summary": flat(score.summary),
            "rates": score.summary,
            "faults": score.faults,
            "algorithms": score.algorithms,
            "frameworks": score.frameworks,
            "codes": score.codes,
            "silent": score.silent,
        }
    )
    return {**plain, "runs": [_run(outcome) for outcome in score.outcomes]}


def flat(summary: Summary) -> dict[str, float | None]:
    """The figures alone, rounded."""
    return {
        "runs": summary.runs,
        "errors": summary.errors,
        "clean_runs": summary.clean.n,
        "faulty_runs": summary.named.n,
        "clean_false_alarm_rate": round(summary.clean.share or 0.0, 3),
        "clean_critical_rate": round(summary.critical.share or 0.0, 3),
        "early_false_alarm_rate": round(summary.early.share or 0.0, 3),
        "detected_any_family": round(summary.detected.share or 0.0, 3),
        "detected_and_named": round(summary.named.share or 0.0, 3),
        "median_delay_steps": summary.delay.median,
    }


def read_results(path: str | os.PathLike[str]) -> list[Result]:
    """The findings of each run as stored in `path`. Raises `UnreadableSource`, `MalformedInput`."""
    try:
        data = msgspec.json.decode(Path(path).read_bytes())
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    except msgspec.DecodeError as error:
        raise MalformedInput(f"{path} is no JSON: {error}", hint=_HINT) from None
    if not isinstance(data, dict) or data.get("kind") != KIND or not isinstance(data.get("runs"), list):
        raise MalformedInput(f"{path} is no measurement of rldk bench", hint=_HINT)
    return [from_builtins(run, Result) for run in data["runs"]]


_HINT = "give a file that `rldk bench CORPUS --json` has printed"


def _run(outcome: RunOutcome) -> dict[str, Any]:
    told: dict[str, Any] = to_builtins(outcome.result)
    told["outcome"] = {
        "alarm": outcome.healthy and bool(outcome.loud),
        "early": bool(outcome.early),
        "detected": bool(outcome.late),
        "named": bool(outcome.naming),
        "delay": outcome.delay,
    }
    return told
