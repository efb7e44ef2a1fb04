"""Reads the settings out of a shell script that starts a training. Nothing of it is run.

Only plain lines count: assignments, arrays, and the command itself. What is set under a condition, in a loop or in a
function is left out and named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from rldk.core.text import first_few
from rldk.preflight.yaml_text import scalar

MAX_WORDS = 5000
MOST_NAMED = 8  # variables that a note names
_ASSIGNMENT = re.compile(r"(?:export\s+|declare\s+|local\s+|readonly\s+)*([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(?::?[-=])([^{}$]*|\$\{?\w+\}?))?\}|(\w+))")
_ARRAY = re.compile(r"\"?\$\{(\w+)\[[@*]\](?:[^}]*)\}\"?")
_SUM = re.compile(r"\$\(\(((?:[^()]|\([^()]*\))*)\)\)")  # with brackets one level deep
_OPEN, _CLOSE = re.compile(r"\s*(?:if|for|while|until|case|select)\b"), re.compile(r"\s*(?:fi|done|esac)\b")
_FUNCTION = re.compile(r"\s*(?:function\s+\w+|\w+\s*\(\))\s*\{\s*$")
_NUMBERS = re.compile(r"[\d\s+*/()-]+")
UNKNOWN = "\0"  # stands for what only a shell can know


class ShellCommand(Struct, frozen=True, kw_only=True):
    """The last training command of a script. `values`: the settings in it. `command`: its words before them."""

    values: dict[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_shell(text: str) -> ShellCommand:
    """The settings of the training command with the most of them; empty where there is none."""
    variables: dict[str, str] = {}
    arrays: dict[str, list[str]] = {}
    doubtful: set[str] = set()
    best, words = 0, []
    for line, sure in _statements(text):
        found = _ASSIGNMENT.fullmatch(line)
        if found is not None and not _is_command_prefix(line):
            name, more, value = found.groups()
            if sure:
                _assign(name, value, bool(more), variables, arrays)
            else:
                doubtful.add(name)
            continue
        here = _command(_words(line, variables, arrays))
        settings = sum(map(_is_setting, here))
        if settings > best:
            best, words = settings, here
    values, unknown = _settings(words)
    notes = []
    if unknown:
        notes.append(f"not known without running the script: {first_few(unknown, MOST_NAMED)}")
    if doubtful:
        notes.append(f"set under a condition, and not read: {first_few(sorted(doubtful), MOST_NAMED)}")
    command = tuple(word for word in words if not _is_setting(word))[:40]
    return ShellCommand(values=values, command=command, notes=tuple(notes))


def _command(words: list[str]) -> list[str]:
    """The words from the command on: what stands before it, as `CUDA_VISIBLE_DEVICES=0`, sets its environment."""
    return words[next((i for i, word in enumerate(words) if not _ASSIGNMENT.fullmatch(word)), 0) :]


def _statements(text: str) -> Iterator[tuple[str, bool]]:
    """The statements, each with whether it is always reached."""
    depth, pending = 0, ""
    for raw in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        line = raw if pending else raw.strip()
        if not pending and (not line or line.startswith("#")):
            continue
        pending = f"{pending}\n{line}" if pending else line
        if _is_open(pending):
            continue
        statement, pending = pending.strip(), ""
        if _FUNCTION.match(statement) or (
            _OPEN.match(statement) and not re.search(r"\b(?:fi|done|esac)\s*$", statement)
        ):
            depth += 1
            continue
        if _CLOSE.match(statement) or (depth and statement == "}"):
            depth = max(0, depth - 1)
            continue
        yield statement, depth == 0
    if pending:
        yield pending.strip(), depth == 0


def _is_open(text: str) -> bool:
    """Whether a bracket of an array or a quote is still open."""
    if re.match(r"\s*[A-Za-z_]\w*\+?=\(", text) and not re.search(r"\)\s*(?:#.*)?$", _without_comments(text)):
        return True
    return text.count('"') % 2 == 1 and len(text) < 20_000


def _without_comments(text: str) -> str:
    return "\n".join(re.sub(r"(^|\s)#.*$", r"\1", line) for line in text.splitlines())


def _is_command_prefix(line: str) -> bool:
    """Whether the assignment stands before a command, as in `CUDA_VISIBLE_DEVICES=0 python train.py`."""
    line = re.sub(r"\$\(\(.*?\)\)|\$\([^()]*(?:\([^()]*\)[^()]*)*\)|`[^`]*`", "x", line)
    try:
        return len(shlex.split(line, comments=True)) > 1 and "=(" not in line.split(maxsplit=1)[0]
    except ValueError:
        return False


def _assign(name: str, value: str, more: bool, variables: dict[str, str], arrays: dict[str, list[str]]) -> None:
    if value.startswith("("):
        inner = _without_comments(value).strip().removeprefix("(").removesuffix(")")
        items = _words(inner, variables, arrays)
        arrays[name] = [*arrays.get(name, []), *items] if more else items
        return
    words = _words(value, variables, arrays)
    text = words[0] if len(words) == 1 else " ".join(words)
    variables[name] = variables.get(name, "") + text if more else text


def _words(line: str, variables: dict[str, str], arrays: dict[str, list[str]]) -> list[str]:
    line = _ARRAY.sub(lambda m: " ".join(map(shlex.quote, arrays.get(m[1], []))), _without_comments(line))
    line = _expand(line, variables)
    try:
        words = shlex.split(line, comments=False)
    except ValueError:
        words = line.split()
    return words[:MAX_WORDS]


def _expand(text: str, variables: dict[str, str]) -> str:
    """The text with variables, and with sums of whole numbers. A command substitution is unknown."""
    for _ in range(5):
        new = _SUM.sub(lambda m: _sum(m[1], variables), text)
        new = _VARIABLE.sub(lambda m: _value(m, variables), new)
        if new == text:
            break
        text = new
    return re.sub(r"\$\([^()]*(?:\([^()]*\)[^()]*)*\)|`[^`]*`", UNKNOWN, text)


def _value(found: re.Match[str], variables: dict[str, str]) -> str:
    name, default = found[1] or found[3], found[2]
    if variables.get(name):
        return variables[name]
    if default is not None:
        return default
    return "" if name in variables else UNKNOWN


def _sum(text: str, variables: dict[str, str]) -> str:
    spelled = re.sub(r"\$?\{?([A-Za-z_]\w*)\}?", lambda m: variables.get(m[1], UNKNOWN), text)
    if len(spelled) > 100 or not _NUMBERS.fullmatch(spelled):
        return UNKNOWN
    return str(_calculate(spelled))


def _calculate(text: str) -> int | str:
    """The value of a sum of whole numbers: + - * / and brackets."""
    import ast

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)) if not isinstance(number, bool):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -value(inner)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return value(left) + value(right)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return value(left) - value(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return value(left) * value(right)
            case ast.BinOp(left=left, op=ast.Div() | ast.FloorDiv(), right=right):
                return int(value(left) / value(right))
            case _:
                raise ValueError

    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, SyntaxError, ZeroDivisionError, RecursionError, OverflowError):
        return UNKNOWN


def _is_setting(word: str) -> bool:
    return bool(re.match(r"(?:\+{0,2}[A-Za-z_][\w.@/]*=|--[A-Za-z])", word))


def _settings(words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The settings `key=value`, `--key value`, `--key=value` and `--flag`, and the keys whose value is not known."""
    values: dict[str, Any] = {}
    unknown: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if not _is_setting(word):
            continue
        key, equals, text = word.lstrip("-+").partition("=")
        if word.startswith("--") and not equals:
            taken = []
            while place < len(words) and not words[place].startswith("--") and not _is_end(words[place]):
                taken.append(words[place])
                place += 1
            text = " ".join(taken)
            value: Any = True if not taken else [scalar(t) for t in taken] if len(taken) > 1 else scalar(text)
        else:
            value = scalar(text)
        if UNKNOWN in word or UNKNOWN in text:
            unknown.append(key.replace(UNKNOWN, "?"))
        elif text or word.startswith("--"):
            values[key] = value
    return values, unknown


def _is_end(word: str) -> bool:
    return word in ("&", "&&", "||", "|", ";", ">", "2>&1") or word.startswith((">", "2>")) or word.endswith(".log")
