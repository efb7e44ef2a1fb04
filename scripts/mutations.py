"""The small changes that may be made in a file of Python, each of one kind."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EDGES: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
BOTH: dict[type[ast.boolop], type[ast.boolop]] = {ast.And: ast.Or, ast.Or: ast.And}
SIGNS: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of one place: the text from `start` to `end` becomes `new`."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    old: str
    new: str
    function: int | None  # the line where its function begins; None outside any

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {shorten(self.old)} -> {shorten(self.new)}"


def shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


def mutants(node: ast.AST, rng: random.Random) -> Iterator[tuple[str, ast.AST, str]]:
    """What may be done to a node: the kind, the node whose text is replaced, and the new text."""
    match node:
        case ast.Compare(left, [op], [right]):
            for kind, table in (("comparison edge", EDGES), ("comparison negated", NEGATED)):
                if type(op) in table:
                    yield kind, node, ast.unparse(ast.Compare(left, [table[type(op)]()], [right]))
        case ast.UnaryOp(ast.Not(), operand):
            yield "not dropped", node, f"({ast.unparse(operand)})"
        case ast.BoolOp(op, values):
            yield "and/or", node, f"({ast.unparse(ast.BoolOp(BOTH[type(op)](), values))})"
        case ast.BinOp(left, ast.Add() | ast.Sub() as op, right) if not is_text(left) and not is_text(right):
            yield "+ and -", node, f"({ast.unparse(ast.BinOp(left, SIGNS[type(op)](), right))})"
        case ast.AugAssign(target, ast.Add() | ast.Sub() as op, value) if not is_text(value):
            yield "+ and -", node, ast.unparse(ast.AugAssign(target, SIGNS[type(op)](), value))
        case ast.If(test) | ast.IfExp(test) if not ast.unparse(test).startswith(("TYPE_CHECKING", "__name__")):
            yield "if negated", test, f"(not ({ast.unparse(test)}))"
        case _:
            yield from _of_values(node, rng)


def _of_values(node: ast.AST, rng: random.Random) -> Iterator[tuple[str, ast.AST, str]]:
    match node:
        case ast.Expr(ast.Call()):
            yield "call removed", node, "pass"
        case ast.Return(value) if value is not None and ast.unparse(value) != "None":
            yield "return None", node, "return None"
        case ast.Constant(value) if type(value) is int:
            yield "int off by one", node, str(value + rng.choice([-1, 1]))
        case ast.Constant(value) if type(value) is float and value:
            yield "float 30 %", node, repr(value * rng.choice([0.7, 1.3]))


def is_text(node: ast.AST) -> bool:
    """Whether it can only be added to: a text, bytes, a list, a tuple."""
    words = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    return words or isinstance(node, ast.JoinedStr | ast.List | ast.ListComp | ast.Tuple)


def changes(root: Path, path: Path, rng: random.Random) -> list[Change]:
    """Every change that may be made in a file; `is_program` says whether one leaves it a program."""
    text = (root / path).read_bytes()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, function in walk(ast.parse(text), None):
        for kind, replaced, new in mutants(node, rng):
            start, end = (
                starts[replaced.lineno - 1] + replaced.col_offset,  # type: ignore[attr-defined]
                starts[replaced.end_lineno - 1] + replaced.end_col_offset,  # type: ignore[attr-defined]
            )
            change = Change(
                path=str(path), line=replaced.lineno, kind=kind, start=start, end=end,  # type: ignore[attr-defined]
                old=text[start:end].decode(), new=new, function=function,
            )  # fmt: skip
            found.append(change)
    return found


def walk(node: ast.AST, function: int | None) -> Iterator[tuple[ast.AST, int | None]]:
    """All nodes but annotations, each with the first line of its function: None for what runs on import."""
    outer = None if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params"}:
            continue
        here = outer if name in {"decorator_list", "args"} else function
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield child, function
                yield from walk(child, first_line(child))
            elif isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield child, here
                yield from walk(child, here)


def applied(text: bytes, change: Change) -> bytes:
    return text[: change.start] + change.new.encode() + text[change.end :]


def is_program(text: bytes) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def runs_on_import(text: bytes, function: int) -> bool:
    """Whether the function that begins on that line is called outside of all functions: it has then done its work when
    its module was loaded, and new code would come too late."""
    nodes = list(walk(ast.parse(text), None))
    names = {node.name for node, _ in nodes if isinstance(node, ast.FunctionDef) and first_line(node) == function}
    called = [node.func for node, outer in nodes if outer is None and isinstance(node, ast.Call)]
    return any(isinstance(name, ast.Name) and name.id in names for name in called)


def first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])
