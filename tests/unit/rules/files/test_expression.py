from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from examples import each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.core.table import Row
from rldk.engine.live import Engine
from rldk.rules.files.expression import compile_condition
from rldk.rules.files.syntax import BadExpression, parse
from rldk.rules.page import Page
from rldk.rules.rule import Context, Frame, Rule

W = 6
Pair = tuple[str, str]  # an expression of a rule file, and the same in Python


def _play(text: str, columns: dict[str, Any], window: int = W) -> list[bool | None]:
    """What the condition says of every row, with `kl` watched."""
    holds = compile_condition(text, window=window).holds
    said: list[bool | None] = []

    def body(f: Frame) -> None:
        said.append(holds(f))

    page = Page(what="", sections={})
    rule = Rule(code="T", name="t", severity="warn", tier=1, body=body, page=page, metric="kl", needs=("kl",))
    engine = Engine([rule], Context())
    said.clear()  # binding asks once
    for i, cells in enumerate(zip(*columns.values(), strict=True)):
        engine.feed(Row(step=i, values={n: c for n, c in zip(columns, cells, strict=True) if c is not None}))
    return said


_numbers = st.integers(-16, 16).map(lambda i: i / 4)
_literals = _numbers.map(lambda x: (repr(x), repr(x)))
_plain = st.sampled_from(
    [
        ("value", "v[-1]"),
        ("entropy", "e[-1]"),
        ("step", "(len(v) - 1)"),
        ("mean(value)", "float(np.mean(w))"),
        ("mean(entropy, 3)", "float(np.mean(e[-3:]))"),
        ("max(value)", "max(w)"),
        ("min(value, 4)", "min(v[-4:])"),
        ("median(value)", "float(np.median(w))"),
        ("std(value)", "float(np.std(w))"),
        ("slope(value)", "float(np.polyfit(range(6), w, 1)[0])"),
        ("count(value)", "min(len(v), 6)"),
        ("count(value > 0.5)", "sum(x > 0.5 for x in w)"),
        ("previous(value, 2)", "v[-3]"),
        ("first(value)", "v[0]"),
        ("last(entropy)", "e[-1]"),
    ]
)


def _wider(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    def joined(op: str, a: Pair, b: Pair) -> Pair:
        return f"({a[0]} {op} {b[0]})", f"({a[1]} {op} {b[1]})"

    return st.one_of(
        st.builds(joined, st.sampled_from("+-*/"), inner, inner),
        inner.map(lambda p: (f"abs({p[0]})", f"abs({p[1]})")),
        inner.map(lambda p: (f"log({p[0]})", f"math.log({p[1]})")),
        inner.map(lambda p: (f"-{p[0]}", f"-{p[1]}")),
    )


_number = st.recursive(st.one_of(_plain, _literals), _wider, max_leaves=4)
_ops = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


@st.composite
def _comparison(draw: Any) -> Pair:
    (a, b), op, (c, d) = draw(_plain), draw(_ops), draw(_number)
    return f"{a} {op} {c}", f"{b} {op} {d}"


@st.composite
def _quantified(draw: Any) -> Pair:
    word, op, n, m = draw(st.sampled_from(["any", "all"])), draw(_ops), draw(_numbers), draw(_numbers)
    inner = draw(
        st.sampled_from(["X {op} {n}", "{m} < X <= {n}", "X > {m} or X {op} {n}", "not X {op} {n}", "abs(X) {op} {n}"])
    )
    text = inner.format(op=op, n=n, m=m)
    return f"{word}({text.replace('X', 'value')})", f"{word}({text.replace('X', 'x')} for x in w)"


_condition = st.recursive(
    st.one_of(_comparison(), _quantified()),
    lambda inner: st.one_of(
        st.builds(
            lambda op, a, b: (f"({a[0]}) {op} ({b[0]})", f"({a[1]}) {op} ({b[1]})"),
            st.sampled_from(["and", "or"]),
            inner,
            inner,
        ),
        inner.map(lambda p: (f"not ({p[0]})", f"not ({p[1]})")),
    ),
    max_leaves=4,
)


@settings(deadline=None)
@given(pair=_condition, seed=st.integers(0, 10**6))
def test_a_condition_says_what_python_says_of_the_same_expression(pair: Pair, seed: int) -> None:
    rng = np.random.default_rng(seed)
    v = [float(x) for x in rng.integers(-8, 8, 12) / 4]
    e = [float(x) for x in rng.integers(-8, 8, 12) / 4]
    names = {"np": np, "math": math, "v": v, "e": e, "w": v[-W:]}
    try:
        expected = bool(eval(pair[1], names))
    except (ZeroDivisionError, ValueError):
        return  # Python raises where a rule says nothing
    said = _play(pair[0], {"kl": list(v), "entropy": list(e)})[-1]
    if said is not expected:  # sums taken in another order differ by rounding
        near = [
            eval(f"({pair[1]})", {**names, "v": [x + d for x in v], "w": [x + d for x in v[-W:]]})
            for d in (1e-9, -1e-9)
        ]
        assert "slope" in pair[0] or "std" in pair[0] or "mean" in pair[0], pair
        assert said in near, pair


@each_of(
    ("text", "rows", "expected"),
    [
        ("value > 0.3", [0.2, 0.4], [False, True]),
        ("0.3 < value", [0.2, 0.4], [False, True]),
        ("not mean(value) > 0.3", [0.1] * 7, [None] * 5 + [True] * 2),
        ("entropy > 1", [1.0], [None]),
        ("not entropy > 1", [1.0], [None]),
        ("value > 1 or entropy > 1", [2.0, 0.0], [True, None]),
        ("value > 1 and entropy > 1", [2.0, 0.0], [None, False]),
        ("value / 0 > 1 or log(value) > 0", [-1.0], [None]),
        ("log(value) < 0", [0.5, 0.0], [True, None]),
        ("count(value) >= 3", [1.0, 1.0, 1.0], [False, False, True]),
        ("any(value < 0 and value > 1)", [1.0] * 3, [False] * 3),
        ("step >= 1", [5.0, 5.0], [False, True]),
        ("leap(log(value), 0.05) >= 5", [1.0] * 24 + [3.0] * 3, [None] * 19 + [False] * 7 + [True]),
    ],
)
def test_what_is_missing_is_unknown_and_never_fires(text: str, rows: list[float], expected: list[bool | None]) -> None:
    assert _play(text, {"kl": list(rows)}) == expected


@each_of(
    ("text", "words"),
    [
        ("", "no text"),
        (True, "no text"),
        ("value >", "this is not an expression"),
        ("x" * 2000, "at most 1000"),
        ("-" * 900 + "value > 0", "deep"),
        ("(" * 300 + "value" + ")" * 300 + " > 0", "this is not an expression"),
        (f"value in ({','.join('1' * 300)})", "too large"),
        ("vlaue > 0.3", "value"),
        ("kll > 0.3", "kl"),
        ("maen(value) > 1", "mean"),
        ("value", "is a number, not a condition"),
        ("value + 1", "is a number, not a condition"),
        ("mean(value > 1) > 1", "is a condition, but a number is expected"),
        ("(value > 1) > 1", "is a condition, but a number is expected"),
        ("any(value)", "is not a comparison"),
        ("any(value > mean(value))", "must be a number here"),
        ("any(value > 1 or entropy > 1)", "one metric"),
        ("mean(value + 1) > 1", "must be a metric here"),
        ("mean(value, 0) > 1", "whole number of rows"),
        ("mean(value, 1e9) > 1", "whole number of rows"),
        ("mean(value, 99999999) > 1", "whole number of rows"),
        ("mean() > 1", "needs an argument"),
        ("abs(value, 1) > 1", "takes 1 argument"),
        ("mean(value, size=2) > 1", "not allowed"),
        ("1 > 2", "compares numbers only"),
        ("value > 1e999", "is not a finite number"),
        ("value > 1/0", "is not a finite number"),
        ("value > True", "is not a number"),
        ("value > 'a'", "is not a number"),
        ("value ** 2 > 1", "operator"),
        ("value % 2 > 1", "operator"),
        ("value is None", "comparison"),
        ("value in (1, 2)", "comparison"),
        ("value.real > 1", "not allowed"),
        ("value[0] > 1", "not allowed"),
        ("(lambda: 1)() > 1", "not allowed"),
        ("__import__('os').system('true') > 1", "not allowed"),
        ("[v for v in value] > 1", "not allowed"),
        ("f'{value}' > 1", "not allowed"),
        ("(value := 1) > 1", "not allowed"),
        ("value if value > 1 else 2", "not allowed"),
        ("metric(value) > 1", "name in quotes"),
        ("leap(value, value) > 1", "least scale"),
    ],
)
def test_what_is_not_allowed_is_quoted(text: str, words: str) -> None:
    with pytest.raises(BadExpression) as caught:
        compile_condition(text, window=4)
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_a_window_too_small_is_an_error() -> None:
    with pytest.raises(BadExpression, match="window of 2"):
        compile_condition("std(value) > 1", window=1)


def test_what_a_condition_needs_and_compares_is_known() -> None:
    found = compile_condition("value > 3 * past(value) and last(grad_norm_value) > 0 and metric('my/own') > 1")
    assert (found.metrics, found.elsewhere, found.windowed) == (("my/own",), ("grad_norm_value",), False)
    assert found.measured is not None
    assert found.limit is not None


def test_advice_of_python_on_a_text_is_no_error_of_a_condition() -> None:
    assert parse(r'name == "\d"') is not None  # Python warns of the escape, and warnings are errors in this suite
