"""The vocabulary as data: `data/metrics.yaml` is checked and compiled to the JSON that is read at run time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from rldk.core import algorithms
from rldk.core.spelling import form
from rldk.core.text import later
from rldk.errors import ConfigError

DATA = Path(__file__).parent / "data"
Direction = Literal["up", "down", "band", "monitor", "counter"]
_TRANSFORMS = {
    "": (1.0, 0.0),
    "negate": (-1.0, 0.0),
    "1-x": (-1.0, 1.0),
    "percent": (0.01, 0.0),
    "1-percent": (-0.01, 1.0),
}
PLACEHOLDER = later(r"\{[a-z]+\}|<[a-z]+>")


class Alias(Struct, frozen=True, kw_only=True, gc=False):
    """One key of one dialect. The fields are described at the top of metrics.yaml."""

    key: str
    est: str = ""
    transform: str = ""
    missing: float | None = None
    phase: Literal["train", "eval"] = "train"
    within: bool = False
    when: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    sign: Literal["", "+", "-"] = ""
    since: str = ""
    until: str = ""
    alg: str = ""
    note: str = ""


class Metric(Struct, frozen=True, kw_only=True):
    """One canonical metric. `name` is its key in metrics.yaml and is filled in when the glossary is read."""

    definition: str
    unit: str
    direction: Direction
    name: str = ""
    range: tuple[float | None, float | None] = (None, None)
    range_when: str = ""
    likely: tuple[float | None, float | None] = (None, None)
    common: bool = False
    also_known_as: tuple[str, ...] = ()
    in_company: tuple[str, ...] = ()
    eval_name: str = ""
    sum_of: tuple[str, ...] = ()
    nan_means: str = ""
    note: str = ""
    aliases: dict[str, tuple[Alias, ...]] = field(default_factory=dict)


class Estimator(Struct, frozen=True, kw_only=True):
    definition: str
    low: float | None = None


class Dialect(Struct, frozen=True, kw_only=True):
    """How one trainer spells its keys. The fields are described in metrics.yaml above `dialects`."""

    framework: str | None = None
    algorithm: str | None = None
    discrete: bool = False
    parents: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    train: dict[str, str] = field(default_factory=dict)
    eval: dict[str, str] = field(default_factory=dict)
    test: dict[str, str] = field(default_factory=dict)


class Glossary(Struct, frozen=True, kw_only=True):
    """All of metrics.yaml. `forms`: the names and keys that share one `spelling.form`."""

    version: int
    estimators: dict[str, Estimator]
    dialects: dict[str, Dialect]
    metrics: dict[str, Metric]
    forms: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_glossary() -> Glossary:
    """The compiled glossary shipped with the package."""
    return msgspec.json.decode((DATA / "metrics.json").read_bytes(), type=Glossary)


def affine(transform: str) -> tuple[float, float]:
    """The (scale, offset) of a transform: canonical value = scale * logged value + offset. Raises `ConfigError`."""
    if transform in _TRANSFORMS:
        return _TRANSFORMS[transform]
    name, _, number = transform.partition(":")
    try:
        if name == "scale":
            return float(number), 0.0
    except ValueError:
        pass
    raise ConfigError(
        f"unknown transform {transform!r}", hint=f"one of {', '.join(filter(None, _TRANSFORMS))}, scale:<x>"
    )


def compile_glossary(text: str) -> bytes:
    """metrics.yaml as JSON. An alias that is a bare text stands for its key.

    Raises `ConfigError` with the name of the metric when the data contradict themselves."""
    import yaml

    class UniqueKeys(yaml.SafeLoader):
        """Refuses a key given twice. The YAML standard forbids it, but PyYAML would silently keep the second."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value]
            if len(set(keys)) < len(keys):
                raise ConfigError(f"line {node.start_mark.line + 1}: a key is given twice among {keys}")
            return super().construct_mapping(node, deep)

    data = yaml.load(text, Loader=UniqueKeys)  # noqa: S506 - a SafeLoader
    for name, metric in data["metrics"].items():
        metric["name"] = name
        for dialect, aliases in metric.get("aliases", {}).items():
            metric["aliases"][dialect] = [{"key": a} if isinstance(a, str) else a for a in aliases]
    try:
        glossary = msgspec.convert(data, Glossary)
    except msgspec.ValidationError as error:
        raise ConfigError(f"metrics.yaml: {error}") from None
    problems = list(_problems(glossary))
    if problems:
        raise ConfigError(f"metrics.yaml: {'; '.join(problems)}")
    data["forms"] = _forms(glossary)
    return msgspec.json.format(msgspec.json.encode(data), indent=0) + b"\n"


def _forms(glossary: Glossary) -> dict[str, list[str]]:
    """The forms are computed here because that takes milliseconds, and nearly every log has a column that needs
    them."""
    found: dict[str, list[str]] = {}
    for name, metric in glossary.metrics.items():
        keys = [alias.key for aliases in metric.aliases.values() for alias in aliases]
        for key in (name, *metric.also_known_as, *metric.in_company, *keys):
            names = found.setdefault(form(key), [])
            if not PLACEHOLDER.search(key) and key not in names:
                names.append(key)
    return {spelled: names for spelled, names in found.items() if len(spelled) > 1 and names}


def _problems(glossary: Glossary) -> list[str]:
    found = []
    metrics = glossary.metrics
    spelled = {name: name for name in metrics}
    for name, metric in metrics.items():
        others = (*metric.also_known_as, *metric.in_company)
        taken = [other for other in others if spelled.setdefault(other, name) != name]
        found += [f"{name}: {other} names another metric" for other in taken]
        found += [
            f"{name}: no metric {other}" for other in (*metric.sum_of, metric.eval_name) if other not in {"", *metrics}
        ]
        found += [f"{name}: no dialect {dialect}" for dialect in metric.aliases if dialect not in glossary.dialects]
        for alias in (alias for aliases in metric.aliases.values() for alias in aliases):
            found += [f"{name}: no estimator {word}" for word in alias.est.split() if word not in glossary.estimators]
            if ("{name}" in alias.key) != ("{name}" in name):
                found.append(f"{name}: {{name}} must stand on both sides of {alias.key}")
            affine(alias.transform)
    for key, dialect in glossary.dialects.items():
        found += [f"{key}: no dialect {parent}" for parent in dialect.parents if parent not in glossary.dialects]
        if dialect.algorithm not in {None, *algorithms.ALGORITHMS}:
            found.append(f"{key}: no algorithm {dialect.algorithm}")
    return found


if __name__ == "__main__":
    (DATA / "metrics.json").write_bytes(compile_glossary((DATA / "metrics.yaml").read_text(encoding="utf-8")))
