"""Writes tests/golden/rule-limits.json: for each rule, features at which it fires, and how far each may move until the
rule says something else. A change of a limit is then a change of that file, which the one who reviews it reads.

    python scripts/limits.py
"""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import force_setattr

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "shared"))

from rule_limits import LIMITS, SIGNATURES, key_of, said

from rldk.engine.frame import BlockFrame, EngineFrame
from rldk.rules.normal import normals
from rldk.rules.rule import Rule, Signal, rules
from rldk.rules.subject import BY_ROW

FAR = 70  # doublings of the distance at which a feature is tried
Point = dict[str, Any]


class Listener:
    """Hands a rule's questions on to the engine and writes down the answers."""

    def __init__(self, frame: EngineFrame) -> None:
        self._frame = frame
        self.step, self.rows, self.metric = frame.step, frame.rows, frame.metric
        self.answers: dict[str, Any] = {"step of row": frame.step, "rows": frame.rows}

    def __getitem__(self, name: str) -> float:
        return float(self._heard(name, self._frame[name]))

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def ask(*words: Any, **named: Any) -> Any:
            return self._heard(key_of(method, *words, **named), getattr(self._frame, method)(*words, **named))

        if method not in SIGNATURES:
            raise AttributeError(method)
        return ask

    def _heard(self, key: str, answer: Any) -> Any:
        if answer == answer and not (isinstance(answer, float) and math.isinf(answer)):
            self.answers[key] = answer
        return answer


def listen(rule: Rule, heard: dict[str, dict[str, Point]]) -> None:
    """Puts a listener between a rule and the engine. `heard`: for each code, what it said first of each kind."""
    body = rule.body

    def listening(frame: Any) -> Signal | None:
        if type(frame) not in (EngineFrame, BlockFrame):
            return body(frame)
        listener = Listener(frame)
        signal = body(listener)
        if signal is not None:
            severity = signal.severity or rule.severity
            kind = f"{severity} {re.sub(r'[-+.0-9einfa]+', '#', signal.message)[:60]}"
            kind += "" if frame.metric in listener.answers else " (no number)"  # it has no limits
            point = {"metric": frame.metric, "says": severity, "answers": listener.answers}
            heard.setdefault(rule.code, {}).setdefault(kind, point)
        return signal

    force_setattr(rule, "body", listening)
    heard.setdefault(rule.code, {})["body"] = {"body": body}


def edge(same: Callable[[float], bool], start: float, sign: int) -> float | None:
    """The last number on this side of `start` for which all stays the same; None where it always does."""
    near = start
    for doubled in range(-10, FAR, 2):
        far = start + sign * max(abs(start), 1e-12) * 2.0**doubled
        if not same(far):
            break
        near = far
    else:
        return None
    low, high = ordinal(near), ordinal(far)
    while abs(high - low) > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if same(of_ordinal(middle)) else (low, middle)
    return of_ordinal(low)


def ordinal(x: float) -> int:
    """The place of a number among all numbers, so that the next number has the next place."""
    (bits,) = struct.unpack("<q", struct.pack("<d", x))
    return int(bits) if bits >= 0 else -(int(bits) + (1 << 63))


def of_ordinal(place: int) -> float:
    (x,) = struct.unpack("<d", struct.pack("<q", place if place >= 0 else -place - (1 << 63)))
    return float(x)


def measured(rule: Rule, point: Point) -> Point | None:
    """The point with its edges; None where it does not fire by its answers alone."""
    answers, metric, says = point["answers"], point["metric"], point["says"]

    def says_the_same(key: str, value: Any) -> bool:
        try:
            return bool(said(rule, metric, {**answers, key: value}) == says)
        except (ArithmeticError, ValueError):
            return False

    if said(rule, metric, answers) != says:
        return None
    edges = {}
    for key, answer in answers.items():
        if isinstance(answer, str | bool) or not isinstance(answer, int | float):
            continue
        low, high = (edge(partial(says_the_same, key), float(answer), sign) for sign in (-1, 1))
        if low is not None or high is not None:
            edges[key] = [low, high]
    features = [k for k, x in answers.items() if type(x) is float]
    needless = sorted(key for key in features if says_the_same(key, math.nan))
    return {"metric": metric, "says": says, "answers": answers, "edges": edges, "needless": needless}


def main() -> None:
    heard: dict[str, dict[str, Point]] = {}
    all_of = [r for r in (*rules, *normals) if r.subject in BY_ROW]
    bodies = {rule.code: rule.body for rule in all_of}
    for rule in all_of:
        listen(rule, heard)
    folder = str(ROOT / "tests" / "unit" / "rules")
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=quick"]
    pytest.main([*options, folder, f"--ignore={folder}/test_limits.py"])
    table = {}
    for rule in all_of:
        force_setattr(rule, "body", bodies[rule.code])
        points = [measured(rule, p) for kind, p in sorted(heard[rule.code].items()) if kind != "body"]
        table[rule.code] = [p for p in points if p is not None]
    lines = [f" {json.dumps(code)}: [{_listed(points)}]" for code, points in table.items()]
    LIMITS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    none = [code for code, points in table.items() if not points]
    print(f"{sum(map(len, table.values()))} points of {len(table)} rules; none of {', '.join(none) or 'no rule'}")


def _listed(points: list[Point]) -> str:
    return "".join(f"\n  {json.dumps(p)}," for p in points).rstrip(",") + ("\n " if points else "")


if __name__ == "__main__":
    main()
