"""The metrics and rows that a rule watches: `metric: kl`, or `where: name in ("kl", "entropy")` and a phase."""

from __future__ import annotations

import ast

from msgspec import Struct

from rldk.core.table import Phase
from rldk.core.vocabulary import vocabulary
from rldk.errors import UnknownName
from rldk.rules.files.syntax import BadExpression, metric_names, parse, quote, unknown_name

PHASE_NAMES: tuple[Phase, ...] = ("train", "eval")
_HINT = 'such as name == "kl", name in ("kl", "entropy"), and tags.phase == "train" beside it'


class Selection(Struct, frozen=True, kw_only=True):
    """What a rule watches. `names` are canonical where known, else the user's own; they may hold `*` and `?`."""

    names: tuple[str, ...]
    phase: Phase


def select_metric(name: object) -> Selection:
    """The selection of `metric: NAME`. Raises `BadExpression`."""
    if not isinstance(name, str) or not name.strip():
        raise BadExpression("there is no metric name", hint="such as metric: kl")
    return _selection([name.strip()], None)


def select_where(text: object) -> Selection:
    """The selection of a `where` expression. Raises `BadExpression`."""
    tree = parse(text)
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
    names: list[str] = []
    phase: Phase | None = None
    for part in parts:
        if _is_phase(part):
            if phase is not None:
                raise BadExpression("two phases are named", hint="write one rule for each")
            phase = _phase(part)
        elif names:
            raise BadExpression(
                f"{quote(part)}: a metric has one name", hint='for several metrics: name in ("kl", "entropy")'
            )
        else:
            names = _names(part)
    if not names:
        raise BadExpression("no metric is named", hint=_HINT)
    return _selection(names, phase)


def unfamiliar_note(name: str) -> str:
    """The note about a name that is not a canonical metric: the user's own, or a typing error. "" for others."""
    words = vocabulary()
    if words.canonical(name) or "*" in name or "?" in name or words.resolve(name):
        return ""
    found = UnknownName("metric", name, metric_names())
    return f"rldk does not know the metric {name!r} and takes it for your own" + (
        f" ({found.hint})" if found.nearest else ""
    )


def _names(node: ast.expr) -> list[str]:
    match node:
        case ast.BoolOp(op=ast.Or()):
            return [name for value in node.values for name in _names(value)]
        case ast.Compare(left=ast.Name(id="name"), ops=[ast.Eq()], comparators=[right]):
            return [_quoted(right)]
        case ast.Compare(left=ast.Name(id="name"), ops=[ast.In()], comparators=[ast.Tuple() | ast.List() as right]):
            return [_quoted(item) for item in right.elts]
        case ast.Compare(left=ast.Attribute(value=ast.Name(id="tags"), attr=tag)):
            raise unknown_name("tag", f"tags.{tag}", ("tags.phase",))
        case ast.Compare(left=ast.Name(id=other)) if other != "name":
            raise unknown_name("name", other, ("name", "tags.phase"))
    raise BadExpression(f"{quote(node)} is not allowed", hint=_HINT)


def _is_phase(node: ast.expr) -> bool:
    match node:
        case ast.Compare(left=ast.Attribute(value=ast.Name(id="tags"), attr="phase")):
            return True
    return False


def _phase(node: ast.expr) -> Phase:
    match node:
        case ast.Compare(ops=[ast.Eq()], comparators=[ast.Constant(value=str(word))]):
            if word in PHASE_NAMES:
                return word
            raise unknown_name("phase", word, PHASE_NAMES)
    raise BadExpression(f"{quote(node)} is not allowed", hint='such as tags.phase == "train"')


def _quoted(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip():
        return node.value.strip()
    raise BadExpression(f"{quote(node)} must be a metric in quotes", hint=_HINT)


def _selection(names: list[str], phase: Phase | None) -> Selection:
    """The canonical names in the spelling of their phase. Without a phase, the first name decides."""
    words = vocabulary()
    known = [words.canonical(name) or (m.canonical if (m := words.resolve(name)) else name) for name in names]
    stage: Phase = phase or ("eval" if known[0].startswith("eval_") else "train")
    staged = [words.stage_name(name, stage) if words.canonical(name) else name for name in known]
    return Selection(names=tuple(dict.fromkeys(staged)), phase=stage)
