"""The analysis files. Each appears whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rldk.core.codec import to_json
from rldk.core.files import save
from rldk.core.table import MetricTable

ANALYSIS, HEALTH = "_comprehensive_analysis.json", "_health_summary.json"
METRICS_CSV, METRICS_JSON = "_comprehensive_metrics.csv", "_comprehensive_metrics.json"
AT_STEP = "_comprehensive_analysis_step_{step}.json"
PREFIX = "ppo"  # for files in a directory that was named without one


def prefix_of(path: str | os.PathLike[str]) -> Path:
    """The directory and the beginning of the names of a set of files: `runs/a` gives `runs/a_health_summary.json`."""
    target = Path(path)
    inside = target.is_dir() or os.fspath(path).endswith(("/", os.sep))
    return target / PREFIX if inside else target


def beside(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)


def write_json(path: Path, value: Any) -> Path:
    """Writes a value as JSON. Numbers that are not finite are spelled as in every report of rldk."""
    return save(path, to_json(value, indent=2) + "\n", parents=True)


def write_metrics(prefix: Path, table: MetricTable) -> list[Path]:
    """Writes one row a step as CSV and as JSON. An unknown value is an empty cell, or null."""
    rows = records(table)
    text = io.StringIO()
    writer = csv.DictWriter(text, ["step", *table.columns], lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({k: repr(v) if isinstance(v, float) else v for k, v in r.items() if v is not None} for r in rows)
    return [
        save(beside(prefix, METRICS_CSV), text.getvalue(), parents=True),
        write_json(beside(prefix, METRICS_JSON), rows),
    ]


def records(table: MetricTable) -> list[Mapping[str, Any]]:
    """The rows of a table as mappings with every column. None is missing."""
    made: list[Mapping[str, Any]] = []
    for row in table.rows():
        made.append({"step": row.step, **{name: row.values.get(name) for name in table.columns}})  # noqa: PERF401
    return made
