"""A rule file as plain data with the line of every entry: YAML with limits, or the JSON of a shipped preset.

Only plain YAML is read. It has no tags of other languages, no merge keys, and no key twice; aliases count towards the
limits on size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct, field

from rldk.core.text import later
from rldk.errors import ConfigError, UnknownName

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000  # counted where an alias is used, not where it is defined
MAX_DEPTH = 20
TOP = ("description", "rules")
_PLAIN = frozenset(f"tag:yaml.org,2002:{tag}" for tag in ("str", "int", "float", "bool", "null"))
_EXPONENT = later(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")  # YAML 1.1 takes 1e-3 for a text


class RuleFileProblem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a rule file. `line` is 0 where no line can be named."""

    file: str
    message: str
    hint: str = ""
    line: int = 0
    rule: str = ""
    expression: str = ""

    def __str__(self) -> str:
        parts = [f"{self.file}:{self.line}" if self.line else self.file]
        parts += [f"rule {self.rule}"] if self.rule else []
        parts += [f"`{self.expression}`"] if self.expression else []
        return ": ".join([*parts, self.message])


class RuleFileError(ConfigError):
    """A rule file cannot be used. The message is the first of `problems`."""

    def __init__(self, problems: tuple[RuleFileProblem, ...]) -> None:
        self.problems = problems
        first, more = problems[0], len(problems) - 1
        rest = f" (and {more} more: rldk rules validate {first.file})" if more else ""
        super().__init__(f"{first}{rest}", hint=first.hint)


class Entry(Struct, frozen=True, kw_only=True):
    """One item of `rules`, with its line and the lines of its keys."""

    file: str
    line: int
    data: Mapping[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)


class Document(Struct, frozen=True, kw_only=True):
    file: str
    description: str
    entries: tuple[Entry, ...]


def read_file(path: Path) -> Document:
    """The rule file at `path`. Raises `ConfigError` when it cannot be read, `RuleFileError` when it is wrong."""
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: no such file", hint="rldk rules list --preset names what is shipped")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a NUL in the path
        raise ConfigError(f"{path}: {error}", hint="a rule file is YAML in UTF-8") from None
    if len(data) > MAX_BYTES:
        raise RuleFileError((RuleFileProblem(file=str(path), message=f"the file has more than {MAX_BYTES:,} bytes"),))
    return read_yaml(text, str(path))


def read_yaml(text: str, file: str) -> Document:
    """The document in `text`; errors call it `file`. Raises `RuleFileError`."""
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        reader = _Reader(file, loader)
        return reader.document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(filter(None, (error.context, error.problem)))
        problem = RuleFileProblem(
            file=file, line=mark.line + 1 if mark else 0, message=f"this is not valid YAML: {said}"
        )
        raise RuleFileError((problem,)) from None
    except (yaml.YAMLError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise RuleFileError((RuleFileProblem(file=file, message=f"this is not valid YAML: {said}"),)) from None
    finally:
        if loader is not None:
            loader.dispose()


def to_json(document: Document) -> bytes:
    """The document as the JSON that is shipped beside a preset, so that reading one needs no YAML."""
    rules = [{"line": e.line, "data": e.data, "lines": e.lines} for e in document.entries]
    return json.dumps({"description": document.description, "rules": rules}, indent=1).encode() + b"\n"


def from_json(data: bytes, file: str) -> Document:
    """The document that `to_json` wrote."""
    found = json.loads(data)
    entries = (Entry(file=file, **entry) for entry in found["rules"])
    return Document(file=file, description=found["description"], entries=tuple(entries))


class _Reader:
    """Turns nodes into plain values and counts them."""

    def __init__(self, file: str, loader: yaml.SafeLoader) -> None:
        self._file = file
        self._loader = loader
        self._left = MAX_VALUES

    def document(self, node: yaml.Node | None) -> Document:
        import yaml

        pairs = dict(self._pairs(node, 0)) if node is not None else {}
        for key, (line, _) in pairs.items():
            if key not in TOP:
                found = UnknownName("key", key, TOP)
                self._fail(line, f"{found.message} at the top of the file", found.hint)
        line, rules = pairs.get("rules", (1, None))
        if not isinstance(rules, yaml.SequenceNode) or not rules.value:
            self._fail(line, "there is no list of rules", "start with `rules:` and one `- id: ...` for each rule")
        description = self.plain(pairs["description"][1], 1) if "description" in pairs else ""
        entries = tuple(self._entry(item) for item in rules.value)
        return Document(file=self._file, description=str(description or "").strip(), entries=entries)

    def _entry(self, node: yaml.Node) -> Entry:
        pairs = dict(self._pairs(node, 2))
        return Entry(
            file=self._file,
            line=node.start_mark.line + 1,
            data={key: self.plain(value, 3) for key, (_, value) in pairs.items()},
            lines={key: line for key, (line, _) in pairs.items()},
        )

    def _pairs(self, node: yaml.Node, depth: int) -> Iterator[tuple[str, tuple[int, yaml.Node]]]:
        """(key, (line, node)) of a mapping."""
        import yaml

        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            self._fail(line, "a mapping is expected here", "such as `- id: kl_spike`")
        seen: set[str] = set()
        for key_node, value in node.value:
            line = key_node.start_mark.line + 1
            key = self.plain(key_node, depth + 1)
            if not isinstance(key, str):
                self._fail(line, f"the key {key!r} is not a text")
            if key in seen:
                self._fail(line, f"the key {key!r} is given twice")
            seen.add(key)
            yield key, (line, value)

    def plain(self, node: yaml.Node, depth: int) -> Any:
        """The value of a node."""
        import yaml

        line = node.start_mark.line + 1
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            what = f"more than {MAX_VALUES:,} values" if self._left < 0 else f"nested more than {MAX_DEPTH} deep"
            self._fail(line, f"{what}, aliases counted")
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return {key: self.plain(value, depth + 1) for key, (_, value) in self._pairs(node, depth)}
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.plain(item, depth + 1) for item in node.value]
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN:
            self._fail(
                line, f"the tag {node.tag!r} is not allowed", "only plain YAML is read: texts, numbers, lists, mappings"
            )
        if node.tag.endswith(":str") and node.style is None and _EXPONENT.fullmatch(node.value):
            return float(node.value)
        try:
            return self._loader.construct_object(node)
        except (ValueError, OverflowError):  # a number of thousands of digits
            self._fail(line, "the number cannot be read")

    def _fail(self, line: int, message: str, hint: str = "") -> NoReturn:
        raise RuleFileError((RuleFileProblem(file=self._file, line=line, message=message, hint=hint),))
