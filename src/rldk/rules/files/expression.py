"""Conditions of rule files: text -> whitelisted `ast` -> closures over a Frame. Nothing is ever evaluated as Python.

A comparison with a missing value is unknown, and `not` leaves it unknown. Only a condition that is known to hold fires.
A division by zero, or the logarithm of a number that has none, is a missing value.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

from msgspec import Struct, field

from rldk.core.vocabulary import vocabulary
from rldk.rules.files.intervals import (
    Region,
    absolute_preimage,
    complement,
    intersection,
    open_bounds,
    solutions,
    union,
)
from rldk.rules.files.syntax import BadExpression, metric_names, parse, quote, unknown_name
from rldk.rules.files.truth import (
    Read,
    Test,
    all_of,
    any_of,
    comparison,
    constant,
    feature,
    logarithm,
    negation,
    quotient,
    share,
)
from rldk.rules.rule import Frame

MAX_WINDOW = 10_000

# a function of a metric over the window -> the method of Frame; a second argument sets another window
WINDOWED = {
    "mean": "mean",
    "median": "median",
    "max": "max",
    "min": "min",
    "std": "std",
    "slope": "slope",
    "gain": "gain",
}
LEAST = {"std": 2, "slope": 2, "gain": 2}  # the smallest window for which the function is defined
# functions of a metric's history, without a window
HISTORY = ("first", "last", "early", "past", "highest", "lowest")
PAST = frozenset({"first", "early", "past", "highest", "lowest", "gain"})  # functions of the run's own earlier values
FUNCTIONS = (*WINDOWED, *HISTORY, "previous", "leap", "any", "all", "count", "abs", "log", "metric")
_COMPARE: dict[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: quotient,
}


class Condition(Struct, frozen=True, kw_only=True):
    """A compiled condition. `holds(f)` is True, False or None (unknown).

    `measured`, `limit`: the two sides of its first comparison, or None without one. `metrics`: the metrics that must be
    on the row besides the watched one; `elsewhere`: those that may be on other rows. `windowed`: the condition looks at
    a window by itself. `relative`: it compares the metric with the run's own past.
    """

    text: str
    holds: Test
    measured: Read | None
    limit: Read | None
    metrics: tuple[str, ...]
    windowed: bool
    relative: bool
    elsewhere: tuple[str, ...]


class _Number(Struct, frozen=True):
    read: Read
    constant: float | None = None
    metric: str | None = None  # the name, when the number is just a metric: "" is the watched metric


def compile_condition(text: object, *, window: int = 1) -> Condition:
    """The condition over a window of that many rows. Raises `BadExpression`."""
    tree = parse(text)
    compiler = _Compiler(window)
    holds = compiler.truth(tree)
    sides = compiler.sides.get(_first_comparison(tree), (None, None))
    return Condition(
        text=str(text).strip(),
        holds=holds,
        measured=sides[0],
        limit=sides[1],
        metrics=tuple(dict.fromkeys(compiler.needed)),
        windowed=compiler.windowed,
        relative=compiler.relative,
        elsewhere=tuple(dict.fromkeys(compiler.elsewhere)),
    )


def _first_comparison(tree: ast.expr) -> int:
    while isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        tree = tree.values[0]
    return id(tree)


class _Compiler(Struct):
    """Turns a tree into closures, and remembers on the way what they will need."""

    window: int
    needed: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    sides: dict[int, tuple[Read, Read]] = field(default_factory=dict)
    windowed: bool = False
    relative: bool = False

    def truth(self, node: ast.expr) -> Test:
        match node:
            case ast.BoolOp(op=ast.And()):
                return all_of([self.truth(v) for v in node.values])
            case ast.BoolOp(op=ast.Or()):
                return any_of([self.truth(v) for v in node.values])
            case ast.UnaryOp(op=ast.Not()):
                return negation(self.truth(node.operand))
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id="any" | "all")):
                return self._quantified(node)
        self.number(node)
        raise BadExpression(f"{quote(node)} is a number, not a condition", hint=f"compare it: {ast.unparse(node)} > 0")

    def number(self, node: ast.expr) -> _Number:
        match node:
            case ast.Constant():
                return _literal(node)
            case ast.Name():
                return self._named(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                inner, sign = self.number(node.operand), -1.0 if isinstance(node.op, ast.USub) else 1.0
                folded = None if inner.constant is None else sign * inner.constant
                return _Number(lambda f: sign * inner.read(f), folded)
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Call():
                return self._call(node)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                raise BadExpression(f"{quote(node)} is a condition, but a number is expected here")
        raise BadExpression(f"{quote(node)} is not allowed", hint="numbers, metrics, + - * / and functions are allowed")

    def _comparison(self, node: ast.Compare) -> Test:
        ops = [_operator(op, node) for op in node.ops]
        operands = [self.number(n) for n in (node.left, *node.comparators)]
        if all(o.constant is not None for o in operands):
            raise BadExpression(f"{quote(node)} compares numbers only", hint="one side must be a metric, such as value")
        turned = operands[0].constant is not None
        self.sides[id(node)] = (operands[turned].read, operands[not turned].read)
        tests = [comparison(a.read, op, b.read) for a, (_, op), b in zip(operands[:-1], ops, operands[1:], strict=True)]
        return tests[0] if len(tests) == 1 else all_of(tests)

    def _arithmetic(self, node: ast.BinOp) -> _Number:
        op = _ARITHMETIC.get(type(node.op))
        if op is None:
            raise BadExpression(f"the operator in {quote(node)} is not allowed", hint="the operators are + - * /")
        a, b = self.number(node.left), self.number(node.right)
        if a.constant is not None and b.constant is not None:
            folded = op(a.constant, b.constant)
            if not math.isfinite(folded):
                raise BadExpression(f"{quote(node)} is not a finite number")
            return _Number(constant(folded), folded)
        first, second = a.read, b.read
        return _Number(lambda f: op(first(f), second(f)))

    def _named(self, node: ast.Name) -> _Number:
        if node.id == "value":
            return _Number(lambda f: f[f.metric], metric="")
        if node.id == "step":
            return _Number(lambda f: f["step"], metric="step")
        name = vocabulary().canonical(node.id)
        if name is None:
            raise unknown_name("name", node.id, ("value", "step", *FUNCTIONS, *metric_names()))
        return self._metric(name)

    def _metric(self, name: str) -> _Number:
        self.needed.append(name)
        return _Number(lambda f: f[name], metric=name)

    def _call(self, node: ast.Call) -> _Number:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise BadExpression(f"{quote(node)} is not allowed", hint=f"the functions are {', '.join(FUNCTIONS)}")
        name, args = node.func.id, node.args
        if name not in FUNCTIONS:
            raise unknown_name("function", name, FUNCTIONS)
        if not args:
            raise BadExpression(f"{name}() needs an argument", hint=f"such as {name}(value)")
        match name:
            case "any" | "all":
                raise BadExpression(f"{quote(node)} is a condition, but a number is expected here")
            case "abs" | "log":
                self._arity(node, 1)
                inner = self.number(args[0]).read
                return _Number((lambda f: abs(inner(f))) if name == "abs" else (lambda f: logarithm(inner(f))))
            case "metric":
                self._arity(node, 1)
                return self._metric(self._text(args[0]))
            case "count":
                self._arity(node, 1)
                return self._count(args[0])
            case "leap":
                return self._leap(node)
            case "previous":
                return self._history(node, "previous", self._whole(node, 1))
            case _ if name in HISTORY:
                self._arity(node, 1)
                return self._history(node, name)
        window = self._whole(node, self.window)
        if window < LEAST.get(name, 1):
            raise BadExpression(
                f"{quote(node)} needs a window of {LEAST[name]} or more", hint="set window: {size: ...}"
            )
        self.windowed = True
        return self._history(node, WINDOWED[name], window)

    def _history(self, node: ast.Call, method: str, *options: int) -> _Number:
        self.relative = self.relative or method in PAST
        target = self._target(node.args[0], needed=method != "last")
        return _Number(feature(method, target, *options))

    def _leap(self, node: ast.Call) -> _Number:
        self._arity(node, 1, 2)
        inner, log = node.args[0], False
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "log":
            self._arity(inner, 1)
            inner, log = inner.args[0], True
        floor = self.number(node.args[1]).constant if len(node.args) > 1 else 0.0
        if floor is None or floor < 0:
            raise BadExpression(f"the least scale in {quote(node)} must be a number that is not negative")
        target, self.relative = self._target(inner), True
        return _Number(lambda f: f.leap(f.metric if target == "" else target, log=log, floor=floor))

    def _count(self, node: ast.expr) -> _Number:
        self.windowed = True
        if not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
            seen, window = feature("count", self._target(node)), float(self.window)
            return _Number(lambda f: window if seen(f) > window else seen(f))
        return _Number(self._hits(node))

    def _quantified(self, node: ast.Call) -> Test:
        self._arity(node, 1)
        hits, every, window = self._hits(node.args[0]), node.func.id == "all", self.window  # type: ignore[attr-defined]
        return comparison(hits, operator.ge, constant(window if every else 1.0))

    def _hits(self, node: ast.expr) -> Read:
        """How many values of the window satisfy a comparison with numbers."""
        self.windowed = True
        targets: set[str] = set()
        region = self._region(node, targets)
        if len(targets) != 1:
            raise BadExpression(f"{quote(node)} must be about one metric", hint="such as any(value > 0.3)")
        target, window = targets.pop(), self.window
        shares = [share(target, window, *open_bounds(low, high)) for low, high in region]

        def hits(f: Frame) -> float:
            found = window * sum([s(f) for s in shares])
            return float(round(found)) if found == found else math.nan

        return hits

    def _region(self, node: ast.expr, targets: set[str]) -> Region:
        match node:
            case ast.BoolOp():
                parts = [self._region(v, targets) for v in node.values]
                join = intersection if isinstance(node.op, ast.And) else union
                made = parts[0]
                for part in parts[1:]:
                    made = join(made, part)
                return made
            case ast.UnaryOp(op=ast.Not()):
                return complement(self._region(node.operand, targets))
            case ast.Compare():
                pairs = zip((node.left, *node.comparators[:-1]), node.ops, node.comparators, strict=True)
                made = ((-math.inf, math.inf),)
                for left, op, right in pairs:
                    made = intersection(made, self._half(left, _operator(op, node)[0], right, targets))
                return made
        raise BadExpression(f"{quote(node)} is not a comparison of values", hint="such as any(value > 0.3)")

    def _half(self, left: ast.expr, op: str, right: ast.expr, targets: set[str]) -> Region:
        if isinstance(left, ast.Constant | ast.UnaryOp):
            left, op, right = right, _TURNED[op], left
        number = self.number(right).constant
        if number is None:
            raise BadExpression(f"{quote(right)} must be a number here", hint="any, all and count compare with numbers")
        folded = isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "abs"
        inner = left.args[0] if folded and isinstance(left, ast.Call) and len(left.args) == 1 else left
        targets.add(self._target(inner))
        return absolute_preimage(solutions(op, number)) if folded else solutions(op, number)

    def _target(self, node: ast.expr, *, needed: bool = True) -> str:
        """The metric that a function is applied to; "" for the watched one."""
        before = len(self.needed)
        found = self.number(node).metric
        if found is None:
            raise BadExpression(f"{quote(node)} must be a metric here", hint="such as value, or metric('my/own name')")
        if not needed:
            self.elsewhere += self.needed[before:]
            del self.needed[before:]
        return found

    def _text(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            name = node.value
            return vocabulary().canonical(name) or name
        raise BadExpression(f"metric() takes a name in quotes, not {quote(node)}")

    def _whole(self, node: ast.Call, default: int) -> int:
        """The second argument: a number of rows."""
        self._arity(node, 1, 2)
        if len(node.args) < 2:
            return default
        rows = node.args[1]
        if isinstance(rows, ast.Constant) and type(rows.value) is int and 1 <= rows.value <= MAX_WINDOW:
            return rows.value
        raise BadExpression(f"{quote(rows)} must be a whole number of rows, 1 to {MAX_WINDOW}")

    def _arity(self, node: ast.Call, *allowed: int) -> None:
        if len(node.args) not in allowed or node.keywords:
            words = " or ".join(map(str, allowed))
            raise BadExpression(f"{quote(node)} takes {words} argument{'s' if allowed[-1] > 1 else ''}")


def _literal(node: ast.Constant) -> _Number:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadExpression(f"{quote(node)} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadExpression(f"{quote(node)} is not a finite number")
    return _Number(constant(number), number)


def _operator(op: ast.cmpop, node: ast.Compare) -> tuple[str, Callable[[float, float], bool]]:
    try:
        return _COMPARE[type(op)]
    except KeyError:
        raise BadExpression(
            f"the comparison in {quote(node)} is not allowed", hint="the comparisons are < <= > >= == !="
        ) from None
