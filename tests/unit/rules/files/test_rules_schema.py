"""The JSON Schema that editors check rule files by, held against what the loader takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from examples import each_of

from rldk.core.algorithms import ALGORITHMS
from rldk.rules.files.action import KINDS, Action, problem
from rldk.rules.files.fields import EXPRESSION, FAMILIES, USE, WINDOW

ROOT = Path(__file__).parents[4]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "rules.schema.json").read_text())
CHECK = jsonschema.Draft202012Validator(SCHEMA)
PRESETS = sorted((ROOT / "src" / "rldk" / "rules" / "presets").glob("*.yaml"))
KL = {"id": "r", "metric": "kl", "condition": "value > 1"}


@each_of("path", [*PRESETS, ROOT / "rules.yaml"], ids=lambda p: p.stem)
def test_every_shipped_file_is_valid(path: Path) -> None:
    CHECK.validate(yaml.safe_load(path.read_text()))


@each_of(
    "entry",
    [
        {**KL, "severity": "loud"},
        {**KL, "where": 'name == "kl"'},
        {**KL, "id": "a b"},
        {**KL, "window": {"sise": 3}},
        {**KL, "window": {"size": 0}},
        {**KL, "grace_steps": -1},
        {**KL, "actions": ["wran"]},
        {**KL, "actions": [{"shell": {"command": "rm -rf x"}}]},
        {**KL, "actions": [{"sentinel": {}}]},
        {**KL, "actions": [{"http": {"url": "file:///etc/passwd"}}]},
        {**KL, "warn": 5},
        {"id": "r", "metric": "kl"},
        {"use": "KL002", "condition": "value > 1"},
        {"use": []},
        {},
        3,
    ],
)
def test_bad_entries_are_refused(entry: object) -> None:
    assert not CHECK.is_valid({"rules": [entry]})
    assert not CHECK.is_valid({"rulse": [KL]})


def test_the_schema_names_exactly_the_keys_of_the_loader() -> None:
    defs = SCHEMA["$defs"]
    assert set(defs["expression"]["properties"]) == set(EXPRESSION)
    assert set(defs["use"]["properties"]) == set(USE)
    assert set(defs["expression"]["properties"]["window"]["properties"]) == set(WINDOW)
    assert set(defs["expression"]["properties"]["family"]["enum"]) == set(FAMILIES)
    assert set(defs["expression"]["properties"]["algorithms"]["items"]["enum"]) == ALGORITHMS


def test_the_schema_names_exactly_the_actions_and_their_options() -> None:
    forms = {form["required"][0]: form for form in SCHEMA["$defs"]["action"]["oneOf"] if "required" in form}
    assert set(forms) == set(KINDS)
    least = {"sentinel": {"path": "x"}, "shell": {"command": ["x"]}, "http": {"url": "http://h"}}
    for kind, form in forms.items():
        for option in form["properties"][kind]["properties"]:
            assert "has no option" not in problem(Action(kind, {**least.get(kind, {}), option: None}))  # type: ignore[dict-item]
