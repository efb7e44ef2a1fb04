"""The text of an expression in a rule file: how it is parsed within limits and quoted in errors, and its names."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable

from rldk.core.vocabulary import vocabulary
from rldk.errors import ConfigError, UnknownName

MAX_TEXT, MAX_NODES, MAX_DEPTH = 1000, 200, 32


class BadExpression(ConfigError):
    """A condition cannot be compiled. The message is a clause that quotes the wrong part."""


def parse(text: object) -> ast.expr:
    """The tree of one expression. Raises `BadExpression` when the text is not one, or is too long, large or deep."""
    if not isinstance(text, str) or not text.strip():
        raise BadExpression("there is no text", hint='write an expression, such as "value > 0.3"')
    if len(text) > MAX_TEXT:
        raise BadExpression(
            f"it has {len(text)} characters, but at most {MAX_TEXT} are read", hint="split it into two rules"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on code is no advice on a condition
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        reason = error.msg if isinstance(error, SyntaxError) else "it cannot be read"
        raise BadExpression(f"this is not an expression: {reason}{where}", hint='an example: "value > 0.3"') from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES or _depth(tree) > MAX_DEPTH:
        raise BadExpression("it is too large or too deeply nested", hint="split it into two rules")
    return tree


def _depth(tree: ast.AST) -> int:
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def quote(node: ast.AST) -> str:
    """The part of an expression, quoted for an error."""
    text = ast.unparse(node)
    return f"`{text if len(text) <= 80 else text[:77] + '...'}`"


def unknown_name(kind: str, name: str, known: Iterable[str]) -> BadExpression:
    """The error for an unknown name, with the nearest known one."""
    found = UnknownName(kind, name, known)
    return BadExpression(found.message, hint=found.hint)


def metric_names() -> tuple[str, ...]:
    """Every name that a condition may use for a metric."""
    metrics = vocabulary().metrics
    return (*metrics, *(alias for m in metrics.values() for alias in m.also_known_as))
