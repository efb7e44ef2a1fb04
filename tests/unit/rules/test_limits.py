"""Every limit of every rule that looks at rows: the last number at which it speaks, and the next beside it.

The numbers stand in `tests/golden/rule-limits.json`, which `scripts/limits.py` writes: a limit that is changed on
purpose changes that file as well."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from examples import each_of
from rule_limits import Answers, read_limits, said

from rldk.rules.normal import normals
from rldk.rules.rule import Rule, rules
from rldk.rules.subject import BY_ROW

POINTS = read_limits()
BY_CODE: dict[str, Rule] = {rule.code: rule for rule in (*rules, *normals) if rule.subject in BY_ROW}
FILES = {
    file: [rule.code for rule in members]
    for file, members in groupby(BY_CODE.values(), key=lambda r: r.body.__module__.rpartition(".")[2])
}

# rules that speak of no number that could move, each with the reason
WITHOUT_LIMITS: dict[str, str] = {}


def _wrong(rule: Rule, point: dict[str, Any]) -> Iterator[str]:
    answers, metric, says = point["answers"], point["metric"], point["says"]

    def says_the_same(**changed: Any) -> bool:
        return said(rule, metric, {**answers, **changed}) == says

    if not says_the_same():
        yield "it is silent where it spoke"
        return
    for key, edges in point["edges"].items():
        for last, beyond in zip(edges, (-math.inf, math.inf), strict=True):
            if last is not None and not says_the_same(**{key: last}):
                yield f"silent at {key} = {last!r}"
            beside = math.nan if last is None else math.nextafter(last, beyond) or 0.0
            if last is not None and _says_the_same_at(rule, metric, {**answers, key: beside}, says):
                yield f"speaks beyond {key} = {last!r}"
    for key in answers:
        if type(answers[key]) is float and says_the_same(**{key: math.nan}) != (key in point["needless"]):
            yield f"{key} is needed or not, unlike before"


def _says_the_same_at(rule: Rule, metric: str, answers: Answers, says: str) -> bool:
    """A row on which the body raises an error is one without a verdict."""
    try:
        return said(rule, metric, answers) == says
    except (ArithmeticError, ValueError):
        return False


@each_of("file", sorted(FILES))
def test_a_rule_speaks_up_to_its_limits_and_not_beyond(file: str) -> None:
    wrong = [
        f"{code}, case {i}: {what}"
        for code in FILES[file]
        for i, point in enumerate(POINTS.get(code, ()))
        for what in _wrong(BY_CODE[code], point)
    ]
    assert not wrong, "if this is meant: python scripts/limits.py"


def test_every_rule_has_a_case_with_limits() -> None:
    """A new rule gets its case from the test in which it fires: `make golden`."""
    without = {code for code in BY_CODE if not any(point["edges"] for point in POINTS.get(code, ()))}
    assert without == WITHOUT_LIMITS.keys()
    assert not [code for code in POINTS if code not in BY_CODE]
