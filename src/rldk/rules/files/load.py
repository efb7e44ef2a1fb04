"""Rule files and presets: `load_rules("grpo_safe")`, `load_rules("rules.yaml", overrides=["kl_spike.severity=warn"])`.

Either every entry compiles or nothing runs. `RuleFileError` lists all problems.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from rldk.errors import ConfigError, UnknownName
from rldk.rules.files.action import Action
from rldk.rules.files.document import Document, Entry, RuleFileError, RuleFileProblem, read_file
from rldk.rules.files.entry import chosen_rule, unfamiliar_names, written_rule
from rldk.rules.files.fields import EXPRESSION, USE, FieldError, check, nearest, read_actions
from rldk.rules.files.preset import preset_names, read_preset
from rldk.rules.rule import Rule, rules
from rldk.rules.select import select_rules

EVERY = "*"
SUFFIXES = (".yaml", ".yml", ".json")


class RuleFile(Struct, frozen=True, kw_only=True):
    """The compiled rules in the order of the file, and what to do when one of them speaks.

    `actions`: code -> actions, only for rules that have actions. `notes`: what is allowed but may be a mistake.
    `entries`: the entries that the rules were compiled from, one for each rule."""

    name: str
    rules: tuple[Rule, ...]
    actions: Mapping[str, tuple[Action, ...]]
    description: str = ""
    notes: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


def load_rules(source: str | os.PathLike[str] | Sequence[str], *, overrides: Iterable[str] = ()) -> RuleFile:
    """The rules of a preset or of a file. With several sources, a later one replaces rules of the same id.

    `overrides` are settings for `override`. Raises `RuleFileError`, `ConfigError`, `UnknownName`."""
    sources = [source] if isinstance(source, str | os.PathLike) else list(source)
    if not sources:
        raise ConfigError("no rule file was named", hint=f"the presets are {', '.join(preset_names())}")
    documents = [_read(os.fspath(s)) for s in sources]
    entries: dict[str, Entry] = {}
    for document in documents:
        entries |= _by_id(document)
    merged = Document(
        file=", ".join(d.file for d in documents),
        description="\n".join(d.description for d in documents if d.description),
        entries=tuple(entries.values()),
    )
    return override(_compile_all(merged), overrides)


def override(file: RuleFile, settings: Iterable[str]) -> RuleFile:
    """The file with `ID.field=VALUE` settings applied. VALUE is read as JSON if possible, else as text.

    The fields are those of the entry, and `window.size` and `window.kind`. Raises `ConfigError` naming the setting."""
    entries = {_id(e): e for e in file.entries}
    changed = False
    for setting in settings:
        name, keys, value = _setting(setting, entries)
        entry = entries[name]
        data = _with(dict(entry.data), keys, value)
        try:
            _compile(replace(entry, data=data))
        except FieldError as fault:
            text = f" `{fault.expression}`" if fault.expression else ""
            raise ConfigError(f"--set-rule {setting}:{text} {fault.message}", hint=fault.hint) from None
        entries[name] = replace(entry, data=data)
        changed = True
    if not changed:
        return file
    return _compile_all(Document(file=file.name, description=file.description, entries=tuple(entries.values())))


def preset_rule(code: str) -> Rule | None:
    """The rule of that id in the shipped presets, or None. Rules of presets are named after their preset."""
    home = next((name for name in preset_names() if code.startswith(f"{name}_")), None)
    return next((r for r in load_rules(home).rules if r.code == code), None) if home else None


def rules_in(document: Document) -> RuleFile:
    """The compiled document. Raises `RuleFileError` with all of its problems."""
    return _compile_all(replace(document, entries=tuple(_by_id(document).values())))


def _read(source: str) -> Document:
    if source in preset_names():
        return read_preset(source)
    if source.endswith(SUFFIXES) or os.sep in source or _is_file(source):
        return read_file(Path(source))
    error = UnknownName("rule preset", source, preset_names())
    error.hint = f"{error.hint if error.nearest else 'there are ' + ', '.join(preset_names())}; a file ends in .yaml"
    raise error


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except OSError:  # too long a name
        return False


def _by_id(document: Document) -> dict[str, Entry]:
    """The entries by id. Families and lists become one entry for each rule, which a later entry may replace."""
    found: dict[str, Entry] = {}
    grouped: set[str] = set()
    problems: list[RuleFileProblem] = []
    for entry in document.entries:
        try:
            for code, own in _expand(entry):
                if code in found and code not in grouped:
                    raise FieldError("id", f"line {found[code].line} already has a rule of this id")
                (grouped.discard if own is entry else grouped.add)(code)
                found[code] = own
        except FieldError as fault:
            problems.append(_problem(entry, fault))
    if problems:
        raise RuleFileError(tuple(sorted((*problems, *_problems(found.values())), key=lambda p: p.line)))
    return found


def _expand(entry: Entry) -> Iterator[tuple[str, Entry]]:
    if "use" not in entry.data:
        if "id" not in entry.data:
            raise FieldError("id", "an entry needs an `id`, or `use` and a code", hint="such as `- id: kl_spike`")
        check({"id": entry.data["id"]}, EXPRESSION)
        yield entry.data["id"], entry
        return
    check({"use": entry.data["use"]}, USE)
    use = entry.data["use"]
    words = [use] if isinstance(use, str) else use
    try:
        chosen = select_rules(None if EVERY in words else words)
    except UnknownName as error:
        raise FieldError("use", error.message, hint=error.hint) from None
    for rule in chosen:
        yield rule.code, entry if use == rule.code else replace(entry, data={**entry.data, "use": rule.code})


def _compile_all(document: Document) -> RuleFile:
    made: list[tuple[Rule, tuple[Action, ...]]] = []
    problems = _problems(document.entries, made)
    if problems:
        raise RuleFileError(tuple(sorted(problems, key=lambda p: p.line)))
    return RuleFile(
        name=document.file,
        rules=tuple(rule for rule, _ in made),
        actions={rule.code: actions for rule, actions in made if actions},
        description=document.description,
        notes=tuple(
            f"{e.file}:{e.line}: rule {_id(e)}: {note}" for e in document.entries for note in unfamiliar_names(e)
        ),
        entries=document.entries,
    )


def _problems(
    entries: Iterable[Entry], made: list[tuple[Rule, tuple[Action, ...]]] | None = None
) -> list[RuleFileProblem]:
    """The problems of the entries. Rules that compile go to `made`, unless they are switched off."""
    problems = []
    for entry in entries:
        try:
            compiled = _compile(entry)
        except FieldError as fault:
            problems.append(_problem(entry, fault))
        else:
            if made is not None and entry.data.get("enabled", True):
                made.append(compiled)
    return problems


def _compile(entry: Entry) -> tuple[Rule, tuple[Action, ...]]:
    data = entry.data
    check(data, USE if "use" in data else EXPRESSION)
    actions = read_actions(data.get("actions", ()))
    if "use" in data:
        return chosen_rule(rules.get(data["use"]), data), actions
    if data["id"] in rules:
        raise FieldError("id", f"{data['id']} is a rule of the catalogue", hint=f"take it with `use: {data['id']}`")
    return written_rule(data, file=entry.file), actions


def _problem(entry: Entry, fault: FieldError) -> RuleFileProblem:
    return RuleFileProblem(
        file=entry.file,
        line=entry.lines.get(fault.key, entry.line),
        rule=_id(entry),
        expression=fault.expression,
        message=fault.message,
        hint=fault.hint,
    )


def _id(entry: Entry) -> str:
    name = entry.data.get("id", entry.data.get("use", ""))
    return name if isinstance(name, str) else repr(name)[:40]


def _setting(text: str, entries: Mapping[str, Entry]) -> tuple[str, list[str], Any]:
    """(id, keys, value) of `ID.field=VALUE`."""
    target, equals, value = text.partition("=")
    name, *keys = target.strip().split(".")
    if not equals or not keys or not all(keys):
        raise ConfigError(f"--set-rule {text}: the form must be ID.field=VALUE", hint="such as kl_spike.severity=warn")
    if name not in entries:
        raise ConfigError(f"--set-rule {text}: there is no rule {name!r}", hint=nearest(name, entries))
    try:
        return name, keys, json.loads(value)
    except (ValueError, RecursionError):
        return name, keys, value.strip()


def _with(data: dict[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    key, *deeper = keys
    if not deeper:
        return {**data, key: value}
    inner = data.get(key)
    return {**data, key: _with(dict(inner) if isinstance(inner, dict) else {}, deeper, value)}
