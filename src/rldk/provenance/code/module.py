"""One parsed file, as detectors ask about it: calls by their full names, who encloses what, what a name stands for."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar, cast

from rldk.provenance.code.text import ParsedSource

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
_SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign)
N = TypeVar("N", bound=ast.AST)
UNKNOWN = "?"  # opens the name of what is neither imported nor built in
MAX_VALUES = 20  # assignments to one name; a name with more stands for anything


class CodeModule:
    """`name`: the file as reports show it."""

    def __init__(self, name: str, source: ParsedSource) -> None:
        self.name = name
        self.source = source
        self.tree = source.tree
        self.parents: dict[ast.AST, ast.AST] = {}
        self._by_type: dict[type[ast.AST], list[ast.AST]] = {}
        self._collect()
        self.aliases = dict(self._imported())

    def of(self, kind: type[N]) -> list[N]:
        """All nodes of that type, in the order of the source."""
        return cast("list[N]", self._by_type.get(kind, []))

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        """Every call with the full name of what is called."""
        return [(node, self.full_name(node.func)) for node in self.of(ast.Call)]

    @cached_property
    def called(self) -> frozenset[str]:
        """The full names of everything that is called."""
        return frozenset(name for _, name in self.calls)

    @cached_property
    def last_words(self) -> frozenset[str]:
        """The last words of these names."""
        return frozenset(last_word(name) for name in self.called)

    @cached_property
    def roots(self) -> frozenset[str]:
        """The packages that are imported."""
        found = {name.partition(".")[0] for name in self.aliases.values()}
        for node in self.of(ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        return frozenset(found - {UNKNOWN, ""})

    @cached_property
    def is_program(self) -> bool:
        """Whether the file is started: a notebook, a file with a `__main__` guard, or one with a shebang line."""
        guards = (node.test for node in self.tree.body if isinstance(node, ast.If))
        return (
            bool(self.source.starts)
            or any("__main__" in ast.dump(test) for test in guards)
            or self.source.line(1).startswith("#!")
        )

    def full_name(self, node: ast.AST) -> str:
        """The full name of what an expression refers to: `np.random.seed` is `numpy.random.seed`, and `Path(x).glob` is
        `pathlib.Path().glob`. It begins with `?` where the first word is neither imported nor built in."""
        match node:
            case ast.Name(id=word):
                if word in self.aliases and not self._is_parameter(node, word):
                    return self.aliases[word]
                own = word in self._values_of(self.tree)
                return f"builtins.{word}" if hasattr(builtins, word) and not own else f"{UNKNOWN}{word}"
            case ast.Attribute(value=value, attr=attr):
                return f"{self.full_name(value)}.{attr}"
            case ast.Call(func=func):
                return f"{self.full_name(func)}()"
            case _:
                return UNKNOWN

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes that enclose the node, the nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def scope(self, node: ast.AST) -> Scope:
        """The function, class or module that the node stands in."""
        return next((n for n in self.above(node) if isinstance(n, _SCOPES)), self.tree)

    def values(self, node: ast.AST) -> list[ast.expr]:
        """What is assigned to a name, or to an attribute of `self`, in the nearest scope that assigns it; empty where
        that is not known for every assignment."""
        match node:
            case ast.Name(id=word):
                for scope in self._scopes(node):
                    found = self._values_of(scope).get(word)
                    if found is not None:
                        return [v for v in found if v is not None] if None not in found else []
            case ast.Attribute(value=ast.Name(id="self"), attr=attr):
                home = next((n for n in self.above(node) if isinstance(n, ast.ClassDef)), None)
                found = self._attributes(home).get(attr, []) if home is not None else []
                return [v for v in found if v is not None] if None not in found else []
        return []

    def stands_for(self, node: ast.AST) -> set[str]:
        """The full names of what an expression may be made by: of the calls that are assigned to a name, or its own."""
        if isinstance(node, ast.Call):
            return {self.full_name(node.func)}
        return {self.full_name(v.func) for v in self.values(node) if isinstance(v, ast.Call)}

    def loads(self, name: str, scope: Scope) -> Iterator[ast.Name]:
        """Where a name is read within a scope."""
        for node in ast.walk(scope):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                yield node

    def annotation(self, node: ast.AST) -> str:
        """The full name of the annotation of a parameter; empty where there is none."""
        if not isinstance(node, ast.Name):
            return ""
        for scope in self._scopes(node):
            if isinstance(scope, _FUNCTIONS):
                for argument in _arguments(scope):
                    if argument.arg == node.id:
                        return self.full_name(argument.annotation) if argument.annotation is not None else ""
        return ""

    def _scopes(self, node: ast.AST) -> Iterator[Scope]:
        first = True
        for outer in self.above(node):
            # the names of a class body are not seen in its methods
            if isinstance(outer, _SCOPES) and (first or not isinstance(outer, ast.ClassDef)):
                first = False
                yield outer

    def _is_parameter(self, node: ast.AST, word: str) -> bool:
        functions = (outer for outer in self.above(node) if isinstance(outer, _FUNCTIONS))
        return any(argument.arg == word for function in functions for argument in _arguments(function))

    def _collect(self) -> None:
        """Takes up every node by its type, with its parent. Nodes without any field (`Load`, `Add`) are shared between
        expressions, and left out."""
        stack: list[ast.AST] = [self.tree]
        while stack:
            node = stack.pop()
            self._by_type.setdefault(type(node), []).append(node)
            inner: list[ast.AST] = []
            for name in node._fields:
                value = getattr(node, name, None)
                if isinstance(value, ast.AST):
                    inner.append(value)
                elif isinstance(value, list):
                    inner += [item for item in value if isinstance(item, ast.AST)]
            for child in inner:
                if child._fields:
                    self.parents[child] = node
            stack += [child for child in reversed(inner) if child._fields]

    def _imported(self) -> Iterator[tuple[str, str]]:
        for plain in self.of(ast.Import):
            for alias in plain.names:
                first = alias.name.partition(".")[0]
                yield alias.asname or first, alias.name if alias.asname else first
        for node in self.of(ast.ImportFrom):
            home = UNKNOWN if node.level else (node.module or "")
            for alias in node.names:
                yield alias.asname or alias.name, f"{home}.{alias.name}"

    @cached_property
    def _bindings(self) -> dict[ast.AST, dict[str, list[ast.expr | None]]]:
        """For each scope, what is assigned to each of its names; None for what is not known."""
        found: dict[ast.AST, dict[str, list[ast.expr | None]]] = {}
        for scope, name, value in (*self._assignments(), *self._definitions()):
            held = found.setdefault(scope, {}).setdefault(name, [])
            if len(held) < MAX_VALUES:
                held.append(value)
            else:
                held[-1] = None
        return found

    def _assignments(self) -> Iterator[tuple[Scope, str, ast.expr | None]]:
        for assign in self.of(ast.Assign):
            for target in assign.targets:
                if isinstance(target, ast.Name):
                    yield self.scope(assign), target.id, assign.value
        for walrus in self.of(ast.NamedExpr):
            yield self.scope(walrus), walrus.target.id, walrus.value
        for annotated in self.of(ast.AnnAssign):
            if isinstance(annotated.target, ast.Name) and annotated.value is not None:
                yield self.scope(annotated), annotated.target.id, annotated.value
        for grown in self.of(ast.AugAssign):
            keeps = isinstance(grown.op, ast.BitOr | ast.BitAnd | ast.Sub)  # a set stays a set
            if isinstance(grown.target, ast.Name) and not keeps:
                yield self.scope(grown), grown.target.id, None

    def _definitions(self) -> Iterator[tuple[Scope, str, None]]:
        """Names whose value is not known: loop variables, parameters, functions, classes."""
        for name in self.of(ast.Name):
            if isinstance(name.ctx, ast.Store) and not isinstance(self.parents[name], _ASSIGNMENTS):
                yield self.scope(name), name.id, None
        functions: list[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]
        functions = [*self.of(ast.FunctionDef), *self.of(ast.AsyncFunctionDef), *self.of(ast.Lambda)]
        for function in functions:
            for argument in _arguments(function):
                yield function, argument.arg, None
            if not isinstance(function, ast.Lambda):
                yield self.scope(function), function.name, None
        for home in self.of(ast.ClassDef):
            yield self.scope(home), home.name, None

    def _values_of(self, scope: Scope) -> dict[str, list[ast.expr | None]]:
        return self._bindings.get(scope, {})

    def _attributes(self, home: ast.ClassDef) -> dict[str, list[ast.expr | None]]:
        found: dict[str, list[ast.expr | None]] = {}
        for node in ast.walk(home):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign | ast.AugAssign):
                targets = [node.target]
            value = getattr(node, "value", None) if not isinstance(node, ast.AugAssign) else None
            for target in targets:
                if (
                    isinstance(target, ast.Attribute)
                    and isinstance(target.value, ast.Name)
                    and target.value.id == "self"
                ):
                    found.setdefault(target.attr, []).append(value)
        return found


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.arg]:
    a = function.args
    yield from (*a.posonlyargs, *a.args, *a.kwonlyargs)
    yield from (extra for extra in (a.vararg, a.kwarg) if extra is not None)


def last_word(name: str) -> str:
    """The last word of a full name."""
    return name.rpartition(".")[2].lstrip(UNKNOWN)


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """The value of the first of these keyword arguments that a call has."""
    return next((k.value for name in names for k in call.keywords if k.arg == name), None)


def passes_more(call: ast.Call) -> bool:
    """Whether the call passes arguments that cannot be seen: `*args` or `**options`."""
    return any(k.arg is None for k in call.keywords) or any(isinstance(a, ast.Starred) for a in call.args)


def constant(node: ast.AST | None) -> object:
    """The value of a constant; None for anything else."""
    return node.value if isinstance(node, ast.Constant) else None


def is_none(node: ast.AST | None) -> bool:
    """Whether the expression is the constant None."""
    return isinstance(node, ast.Constant) and node.value is None
