"""The flags of the commands about rewards, and what a configuration file may set instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from rldk.cli.flags import FILE
from rldk.errors import ConfigError, UnknownName, UnreadableSource, UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

TABLES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".gz", ".zst")
THRESHOLDS = ("drift", "saturation", "calibration", "shortcut", "leakage", "length_bias")
# parameters of `rldk.reward.health` that a configuration file may have
SETTINGS = (
    "reward_col", "step_col", "response_col", "length_col", "prompt_col", "gold", "columns", "reward_range", "seed",
    "select", "ignore", *(f"threshold_{name}" for name in THRESHOLDS),
)  # fmt: skip
_SPEC: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--reward-col", {"metavar": "NAME", "help": "Column with the rewards.  [default: found by the usual names]"}),
    ("--step-col", {"metavar": "NAME", "help": "Column with the steps.  [default: found by the usual names]"}),
    ("--response-col", {"metavar": "NAME", "help": "Column with the answers.  [default: found by the usual names]"}),
    (
        "--length-col",
        {"metavar": "NAME", "help": "Column with the lengths in tokens.  [default: characters of answers]"},
    ),
    ("--prompt-col", {"metavar": "NAME", "help": "Column with prompts or their ids.  [default: found by usual names]"}),
    ("--label-col", {"metavar": "NAME", "help": "Column with labels of 0 and 1.  [default: found by the usual names]"}),
    ("--split-col", {"metavar": "NAME", "help": "Column that says train or validation.  [default: split]"}),
    (
        "--scorer-cols",
        {"metavar": "A,B,...", "help": "Columns with the scores of an ensemble.  [default: score_0, score_1, ...]"},
    ),
    ("--reward-range", {"metavar": "LOW,HIGH", "help": "Lowest and highest reward that there can be."}),
    ("--threshold-drift", {"type": float, "help": "Distance in standard deviations that warns.  [default: 0.1]"}),
    ("--threshold-saturation", {"type": float, "help": "Share of rewards at one bound that fails.  [default: 0.8]"}),
    ("--threshold-calibration", {"type": float, "help": "Calibration score below which it fails.  [default: 0.7]"}),
    ("--threshold-shortcut", {"type": float, "help": "Correlation with a form that fails.  [default: 0.6]"}),
    ("--threshold-leakage", {"type": float, "help": "Gap of accuracy that fails.  [default: 0.3]"}),
    ("--threshold-length-bias", {"type": float, "help": "Correlation with length that warns.  [default: 0.35]"}),
)


def data_options(command: Command) -> Command:
    """The flags for columns and thresholds."""
    for name, options in reversed(_SPEC):
        command = click.option(name, **options)(command)
    gold = "File of gold scores, joined by id; or the column of them in the data."
    command = click.option("--gold-scores", metavar="FILE|NAME", help=gold)(command)
    return click.option("--config", type=FILE, help="Read columns and thresholds from this YAML or JSON file.")(command)


def health_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `rldk.reward.health` from the flags, which are taken out of `given`. A flag wins over the file.

    Raises `ConfigError`, `UnknownName` and `UsageError`."""
    config = given.pop("config")
    made = {} if config is None else read_config(config)
    columns = dict(made.pop("columns", None) or {})
    for field in ("label", "split"):
        name = given.pop(f"{field}_col")
        if name is not None:
            columns[field] = name
    scorers = given.pop("scorer_cols")
    if scorers is not None:
        columns["scorers"] = scorers
    if columns:
        made["columns"] = columns
    span = given.pop("reward_range")
    if span is not None:
        made["reward_range"] = span
    if "reward_range" in made:
        made["reward_range"] = _range(made["reward_range"])
    gold = given.pop("gold_scores")
    if gold is not None:
        made["gold"] = gold_of(gold)
    elif isinstance(made.get("gold"), str):
        made["gold"] = gold_of(made["gold"])
    for name in (*(f"threshold_{word}" for word in THRESHOLDS), *(n for n in SETTINGS if n.endswith("_col"))):
        value = given.pop(name, None)
        if value is not None:
            made[name] = value
    return made


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a YAML or JSON file. Raises `ConfigError` and `UnknownName`."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"cannot read {path}: {str(error).splitlines()[0]}", hint="YAML or JSON") from None
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigError(
            f"{path} holds no settings", hint=f"lines such as threshold_drift: 0.2; {', '.join(SETTINGS)}"
        )
    for name, value in found.items():
        if name not in SETTINGS:
            raise UnknownName("setting", str(name), SETTINGS)
        if name.startswith("threshold_") and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ConfigError(f"{path}: {name} is no number", hint="as in threshold_drift: 0.2")
    return {str(name): value for name, value in found.items()}


def gold_of(name: str) -> Any:
    """The gold scores of a file by id, or the name of a column."""
    path = Path(name)
    if not path.is_file():
        if len(path.parts) > 1 or path.suffix.lower() in TABLES:
            raise UnreadableSource(f"there is no file {name} with gold scores", hint="check the path")
        return name
    from rldk.reward.scorers.files import read_scores

    return read_scores(path, field="gold").scores


def _range(value: Any) -> tuple[float, float]:
    parts = value.split(",") if isinstance(value, str) else value
    try:
        low, high = (float(part) for part in parts)
    except (TypeError, ValueError):
        low = high = 0.0
    if not low < high:
        raise UsageError(f"--reward-range {value!r} is no range", hint="as in --reward-range 0,1")
    return low, high
