"""Combinations of packages that are known to fail: the table, and which of its rows an environment meets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from rldk.core.configuration.versions import within
from rldk.core.model import Severity
from rldk.rules.subject import ConfigView, EnvView


class KnownBad(Struct, frozen=True, kw_only=True):
    """One combination. `packages`: distribution -> versions that fail together. `unless`: versions that work around it.

    `setting`: what the configuration must hold as well; a row with one is not met where the configuration is not known.
    `said`: what happens. `ended`: the first release without the fault, empty where there is none. `source`: public
    threads, as owner/repository#number."""

    id: str
    packages: dict[str, str]
    said: str
    source: tuple[str, ...]
    severity: Severity = "warn"
    unless: dict[str, str] = field(default_factory=dict)
    setting: dict[str, Any] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    def is_met(self, env: EnvView) -> bool:
        """Whether all packages are there in such versions, with such a setting, and nothing works around it."""
        have, config = env.packages or {}, ConfigView(values=env.config, framework=env.framework)
        if not all(name in have and within(have[name], bounds) for name, bounds in self.packages.items()):
            return False
        if any(name in have and within(have[name], bounds) for name, bounds in self.unless.items()):
            return False
        return all(_holds(config, key, wanted) for key, wanted in self.setting.items())

    @property
    def remedy(self) -> str:
        """What to install, as a clause; "" where no release is known to be free of the fault."""
        return " or ".join(f"{name}>={version}" for name, version in self.ended.items())


class KnownBadTable(Struct, frozen=True, kw_only=True):
    """The whole table, and the month it was last brought up to date."""

    version: str
    about: str
    rows: tuple[KnownBad, ...]


@cache
def known_bad() -> KnownBadTable:
    """The table that comes with rldk."""
    return msgspec.json.decode(Path(__file__).with_suffix(".json").read_bytes(), type=KnownBadTable)


def link(source: str) -> str:
    """The address of a thread. GitHub leads from the number of an issue to a pull request of that number."""
    repository, _, number = source.partition("#")
    return f"https://github.com/{repository}/issues/{number}"


def named_packages() -> frozenset[str]:
    """The distributions that the table speaks about."""
    rows = known_bad().rows
    return frozenset(name for row in rows for name in (*row.packages, *row.unless))


def met_rows(env: EnvView) -> list[KnownBad]:
    """The rows that the environment meets, critical ones first."""
    return sorted((row for row in known_bad().rows if row.is_met(env)), key=lambda row: row.severity != "critical")


def _holds(config: ConfigView, key: str, wanted: Any) -> bool:
    """Whether the configuration holds the setting: a value, a switch (true), a bound (">1"), or anything ("set")."""
    value = config.named(key)
    if wanted is True:
        return config.is_on(key)
    if wanted == "set":
        return value not in (None, "", "null", "None", [])
    if isinstance(wanted, str) and wanted.startswith(">"):
        count = config.count(key)
        return count is not None and count > int(wanted[1:])
    return bool(value == wanted)


def versions_of(packages: Mapping[str, str]) -> dict[str, str]:
    """The packages of the table among these, with their versions."""
    wanted = named_packages()
    return {name: version for name, version in sorted(packages.items()) if name in wanted}
