"""Views as SARIF 2.1.0, which code hosts and editors show as alerts: one result for each problem."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from rldk.cards.safe import clean
from rldk.core.registry import renderers
from rldk.core.view import Problem, View

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"critical": "error", "warn": "warning", "info": "note"}


def render(views: View | Sequence[View]) -> str:
    """The document: one run of rldk over all views. Each problem has its rule, its message and the log it is in.

    A step is no line of a file. So it is in the message and under `properties`, and a location has a region only where
    the problem has a line."""
    from rldk import __version__

    many = [views] if isinstance(views, View) else list(views)
    problems = [problem for view in many for problem in view.problems]
    codes = sorted({problem.code for problem in problems})
    rules = _rules(codes)
    driver: dict[str, Any] = {
        "name": "rldk",
        "semanticVersion": _semantic(__version__),
        "rules": [_rule(code, rules.get(code), problems) for code in codes],
    }
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(problem, codes.index(problem.code)) for problem in problems],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _rules(codes: Sequence[str]) -> Mapping[str, Any]:
    """The registered rules of those codes. Rules of a user's rule file are not among them."""
    from rldk.rules.rule import rules

    return {code: rules.get(code) for code in codes if code in rules}


def _rule(code: str, rule: Any, problems: Sequence[Problem]) -> dict[str, Any]:
    first = next(problem for problem in problems if problem.code == code)
    told: dict[str, Any] = {
        "id": code,
        "name": "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", first.name)) or code,
        "defaultConfiguration": {"level": LEVELS[rule.severity if rule else first.severity]},
    }
    if rule is not None:
        told["shortDescription"] = {"text": rule.name.replace("-", " ")}
        told["fullDescription"] = {"text": rule.page.what}
        sections = rule.page.sections
        text = "\n\n".join(f"{heading}: {body}" for heading, body in sections.items())
        told["help"] = {"text": text, "markdown": "\n\n".join(f"**{h}.** {b}" for h, b in sections.items())}
    return told


def _result(problem: Problem, index: int) -> dict[str, Any]:
    steps = problem.steps
    where = "" if steps is None else f" (steps {steps[0]:,}-{steps[1]:,})"
    fixes = "".join(f"\nTry: {clean(fix)}" for fix in problem.fixes)
    causes = "".join(f"\nLikely cause: {clean(cause)}" for cause in problem.causes)
    told: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": index,
        "level": LEVELS[problem.severity],
        "message": {"text": f"{clean(problem.message, 2000)}{where}{causes}{fixes}"},
        "properties": {"metric": problem.metric, "value": _finite(problem.value), "limit": _finite(problem.limit)},
    }
    if steps is not None:
        told["properties"] |= {"first_step": steps[0], "last_step": steps[1]}
    if problem.source:
        place: dict[str, Any] = {"artifactLocation": {"uri": _uri(problem.source)}}
        if problem.line is not None:
            place["region"] = {"startLine": problem.line}
        told["locations"] = [{"physicalLocation": place}]
    return told


def _finite(value: float | None) -> float | str | None:
    return value if value is None or value - value == 0.0 else str(value)


def _uri(source: str) -> str:
    """A relative reference, or that of an absolute path. A URL stays as it is."""
    plain = clean(source, 4000)
    if "://" in plain:
        return quote(plain, safe=":/?#[]@!$&'()*+,;=%")
    path = quote(plain.replace("\\", "/"))
    return f"file://{path}" if path.startswith("/") else path


def _semantic(version: str) -> str:
    """The version as SemVer, which the format requires: 0.1.0.dev3 becomes 0.1.0-dev3."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?[.+-]?(.*)", version)
    if found is None:
        return "0.0.0"
    major, minor, patch, rest = found.groups()
    tail = re.sub(r"[^0-9A-Za-z.-]+", "-", rest).strip(".-")
    return f"{major}.{minor}.{patch or 0}" + (f"-{tail}" if tail else "")


renderers.register("sarif", render)
