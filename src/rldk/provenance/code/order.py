"""Orders that differ from start to start, or from machine to machine: of sets, directories, addresses, completion."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from rldk.provenance.code.module import CodeModule, constant, keyword, last_word

Seen = tuple[str, ast.AST, str]
# what does not depend on the order of its argument, or takes the order away
_ABSORBERS = frozenset(
    "builtins.sorted builtins.set builtins.frozenset builtins.len builtins.any builtins.all builtins.min builtins.max "
    "collections.Counter natsort.natsorted numpy.sort numpy.unique builtins.bool builtins.isinstance "
    "builtins.issubclass".split()
)
# what passes the order on
_CARRIERS = frozenset(
    "builtins.list builtins.tuple builtins.map builtins.filter builtins.enumerate builtins.zip builtins.iter "
    "builtins.reversed builtins.next itertools.chain itertools.islice numpy.array numpy.asarray numpy.fromiter "
    "tqdm.tqdm tqdm.auto.tqdm builtins.str builtins.dict".split()
)
_DRAWS = frozenset("choice choices sample shuffle permutation".split())
_SET_METHODS = frozenset("union intersection difference symmetric_difference copy".split())
_LISTINGS = frozenset("os.listdir os.scandir os.walk glob.glob glob.iglob".split())
_PATH_LISTINGS = frozenset({"iterdir", "rglob", "glob"})
_PATHS = frozenset({"pathlib.Path", "pathlib.PosixPath", "pathlib.Path.cwd", "pathlib.Path.home"})
_FINISHED = frozenset(
    "concurrent.futures.as_completed asyncio.as_completed ray.wait dask.distributed.as_completed "
    "distributed.as_completed".split()
)
_NUMERIC = frozenset(f"builtins.{name}" for name in ("int", "len", "float", "round", "ord", "abs", "range", "bool"))
_TESTS = frozenset({"startswith", "endswith", "issubset", "issuperset", "isdisjoint"})
_TELLS = frozenset(
    {"warn", "warning", "info", "debug", "error", "exception", "print", "critical", "log", "warning_once"}
)
_HARMLESS_CALLS = frozenset({"add", "discard", "unlink", "rmdir", "setdefault", "remove", "rmtree", "mkdir", "close"})


def seen_in(module: CodeModule) -> Iterator[Seen]:
    """Every place where such an order may reach a result. What is only said in a message is no result."""
    for kind, node, detail in (*_sets(module), *_listings(module)):
        if not _is_message(module, node):
            yield kind, node, detail
    yield from _addresses(module)
    yield from _completion(module)
    yield from _hashes(module)


def _sets(module: CodeModule) -> Iterator[Seen]:
    walks: list[ast.For | ast.comprehension] = [*module.of(ast.For), *module.of(ast.comprehension)]
    for node in walks:
        walked: ast.AST = node if isinstance(node, ast.For) else module.parents[node]
        if _is_set(module, node.iter) and not _is_harmless(module, walked):
            yield "set-order", node.iter, ast.unparse(node.iter)[:60]
    for starred in module.of(ast.Starred):
        home = module.parents[starred]
        absorbed = isinstance(home, ast.Call) and module.full_name(home.func) in _ABSORBERS
        if _is_set(module, starred.value) and not isinstance(home, ast.Set) and not absorbed:
            yield "set-order", starred.value, ast.unparse(starred.value)[:60]
    for call, name in module.calls:
        carries = name in _CARRIERS and name != "builtins.str"
        joins = isinstance(call.func, ast.Attribute) and call.func.attr == "join" and len(call.args) == 1
        sets = [a for a in call.args if _is_set(module, a)] if carries or joins else []
        if sets and not _is_absorbed(module, call):
            yield "set-order", call, ast.unparse(call)[:60]
        popped = isinstance(call.func, ast.Attribute) and call.func.attr == "pop" and not call.args
        if popped and isinstance(call.func, ast.Attribute) and _is_set(module, call.func.value):
            yield "set-order", call, ast.unparse(call)[:60]


def _is_message(module: CodeModule, node: ast.AST) -> bool:
    """Whether the expression is part of an error, a warning, or a line of a log."""
    for outer in module.above(node):
        if isinstance(outer, ast.Raise | ast.Assert):
            return True
        if isinstance(outer, ast.Call) and last_word(module.full_name(outer.func)) in _TELLS:
            return True
        if isinstance(outer, ast.stmt):
            return False
    return False


def _is_set(module: CodeModule, node: ast.AST, depth: int = 0) -> bool:
    """Whether the expression is a set whose elements may be texts or objects. Sets of numbers keep their order."""
    if depth > 8:
        return False
    match node:
        case ast.Set(elts=elements):
            return not all(_is_numeric(module, e) for e in elements)
        case ast.SetComp(elt=element):
            return not _is_numeric(module, element)
        case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
            keys = _is_keys(left) and (_is_keys(right) or _is_set(module, right, depth + 1))
            return keys or _is_set(module, left, depth + 1)
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _SET_METHODS:
            return _is_set(module, value, depth + 1)
        case ast.Call(args=given) if module.full_name(node.func) in ("builtins.set", "builtins.frozenset"):
            return not given or not _is_numeric(module, given[0])
        case ast.Name() | ast.Attribute(value=ast.Name(id="self")):
            values = module.values(node)
            return (
                bool(values) and all(_is_set(module, v, depth + 1) for v in values) and not _holds_numbers(module, node)
            )
        case _:
            return False


def _is_keys(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def _is_numeric(module: CodeModule, node: ast.AST) -> bool:
    """Whether the expression is a number, or an iterable of numbers, for sure."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float | None)
        case ast.UnaryOp(operand=inner):
            return _is_numeric(module, inner)
        case ast.BinOp(left=left, right=right):
            return _is_numeric(module, left) and _is_numeric(module, right)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return bool(elements) and all(_is_numeric(module, e) for e in elements)
        case ast.Call():
            return module.full_name(node.func) in _NUMERIC
        case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element):
            return _is_numeric(module, element)
        case _:
            return False


def _holds_numbers(module: CodeModule, node: ast.AST) -> bool:
    """Whether everything that is added to a named set is a number, and something is."""
    if not isinstance(node, ast.Name):
        return False
    added = [
        call.args[0]
        for call, _ in module.calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "add"
        and call.args
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == node.id
    ]
    return bool(added) and all(_is_numeric(module, value) for value in added)


def _listings(module: CodeModule) -> Iterator[Seen]:
    for call, name in module.calls:
        if (name in _LISTINGS or _lists_path(module, call)) and not _is_ordered_later(module, call):
            yield "directory-order", call, name if name in _LISTINGS else f"Path.{name.rpartition('.')[2]}"


def _lists_path(module: CodeModule, call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _PATH_LISTINGS:
        return False
    return _is_path(module, call.func.value)


def _is_path(module: CodeModule, node: ast.AST, depth: int = 0) -> bool:
    """Whether the expression is a path of pathlib for sure."""
    if depth > 8:
        return False
    match node:
        case ast.Call(func=func):
            return module.full_name(func) in _PATHS or (
                isinstance(func, ast.Attribute)
                and func.attr in ("resolve", "absolute", "expanduser", "joinpath", "with_name")
                and _is_path(module, func.value, depth + 1)
            )
        case ast.BinOp(left=left, op=ast.Div()):
            return _is_path(module, left, depth + 1)
        case ast.Attribute(value=value, attr="parent"):
            return _is_path(module, value, depth + 1)
        case ast.Name() | ast.Attribute(value=ast.Name(id="self")):
            values = module.values(node)
            return module.annotation(node) in _PATHS or (
                bool(values) and all(_is_path(module, v, depth + 1) for v in values)
            )
        case _:
            return False


def _is_ordered_later(module: CodeModule, call: ast.Call) -> bool:
    """Whether nothing that follows depends on the order of a listing, as far as the same scope shows."""
    if _is_absorbed(module, call):
        return True
    home = module.parents.get(call)
    match home:
        case ast.For():
            return call is home.iter and _is_harmless(module, home)
        case ast.comprehension():
            return _is_harmless(module, module.parents[home])
        case ast.withitem() | ast.With():
            return True  # os.scandir: the loop inside is not followed
        case ast.Assign(targets=[ast.Name(id=word)]):
            return _name_is_ordered(module, home, word)
        case _:
            return False


def _name_is_ordered(module: CodeModule, home: ast.AST, word: str) -> bool:
    """Whether a named list is sorted in place, or every use of it takes the order away."""
    scope = module.scope(home)
    uses = list(module.loads(word, scope))
    for use in uses:
        outer = module.parents.get(use)
        if isinstance(outer, ast.Attribute) and outer.attr == "sort":
            return True
    return bool(uses) and all(_use_is_harmless(module, use) for use in uses)


def _use_is_harmless(module: CodeModule, use: ast.Name) -> bool:
    outer = module.parents.get(use)
    match outer:
        case ast.For():
            return use is outer.iter and _is_harmless(module, outer)
        case ast.comprehension():
            return _is_harmless(module, module.parents[outer])
        case ast.If() | ast.BoolOp() | ast.Assert() | ast.While():
            return True
        case ast.UnaryOp(op=ast.Not()):
            return True
        case _:
            return _is_absorbed(module, use)


def _is_absorbed(module: CodeModule, node: ast.AST) -> bool:
    """Whether what encloses the expression takes its order away: `sorted(list(x))`, `len(x)`, `y in x`."""
    for outer in module.above(node):
        match outer:
            case ast.Call():
                name = module.full_name(outer.func)
                if name in _ABSORBERS or last_word(name) in _TESTS:
                    return True
                if name not in _CARRIERS:
                    return False
            case ast.Compare(ops=ops):
                return all(isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq) for op in ops) and (
                    all(isinstance(op, ast.In | ast.NotIn) for op in ops) or isinstance(node, ast.SetComp)
                )
            case ast.SetComp() | ast.Set():
                return True
            case ast.UnaryOp(op=ast.Not()) | ast.JoinedStr() | ast.FormattedValue():
                return isinstance(outer, ast.UnaryOp)
            case ast.GeneratorExp() | ast.ListComp() | ast.comprehension() | ast.Starred() | ast.keyword():
                continue
            case ast.Assign(targets=[ast.Name(id=word)]):
                return any(
                    isinstance(module.parents.get(use), ast.Attribute) and module.parents[use].attr == "sort"  # type: ignore[attr-defined]  # an Attribute, as just tested
                    for use in module.loads(word, module.scope(outer))
                )
            case _:
                return False
    return False


def _is_harmless(module: CodeModule, walked: ast.AST) -> bool:
    """Whether a loop or a comprehension does the same in any order."""
    match walked:
        case ast.For(body=body, orelse=[]):
            return all(_does_the_same(module, statement) for statement in body)
        case ast.SetComp():
            return True
        case ast.GeneratorExp() | ast.ListComp():
            return _is_absorbed(module, walked)
        case _:
            return False


def _does_the_same(module: CodeModule, statement: ast.stmt) -> bool:
    """Whether a statement of a loop does the same in any order of the loop."""
    match statement:
        case ast.Pass() | ast.Continue() | ast.Raise() | ast.Assert() | ast.Delete():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attr))):
            return attr in _HARMLESS_CALLS
        case ast.If(body=body, orelse=orelse):
            return all(_does_the_same(module, inner) for inner in (*body, *orelse))
        case ast.Return(value=ast.Constant()):
            return True
        case ast.AugAssign(op=ast.Add(), value=value):
            return isinstance(constant(value), int)
        case _:
            return False


def _addresses(module: CodeModule) -> Iterator[Seen]:
    for call, name in module.calls:
        sorts = name in ("builtins.sorted", "builtins.min", "builtins.max")
        sorts = sorts or (isinstance(call.func, ast.Attribute) and call.func.attr == "sort")
        key = keyword(call, "key") if sorts else None
        if key is None:
            continue
        made = key.body.func if isinstance(key, ast.Lambda) and isinstance(key.body, ast.Call) else key
        by = module.full_name(made)
        if by in ("builtins.id", "builtins.hash"):
            yield "address-order", call, by.rpartition(".")[2]


def _completion(module: CodeModule) -> Iterator[Seen]:
    for call, name in module.calls:
        last = last_word(name)
        first = name == "asyncio.wait" and "FIRST_COMPLETED" in ast.dump(call)
        taken = name in _FINISHED or first or last == "imap_unordered"
        if taken and not _is_absorbed(module, call):
            yield "completion-order", call, last


def _hashes(module: CodeModule) -> Iterator[Seen]:
    for call, name in module.calls:
        if name != "builtins.hash" or len(call.args) != 1 or _is_numeric(module, call.args[0]):
            continue
        if isinstance(module.parents.get(call), ast.Compare):
            continue  # compared within one process
        inside = (getattr(outer, "name", "") for outer in module.above(call))
        if not any(word in ("__hash__", "__eq__") for word in inside):
            yield "hash-of-text", call, ast.unparse(call)[:60]
