"""`rldk validate-format PATH`."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.flags import adapter_option, json_option
from rldk.cli.output import write

if TYPE_CHECKING:
    from rldk.core.model import Run

SHOWN = 30


@click.command("validate-format")
@click.argument("path")
@adapter_option("file")
@json_option
def command(path: str, adapter: str | None, as_json: bool) -> None:
    """Say how rldk would read a file, and what is wrong with it.

    PATH is a log file, a directory, a glob, a URL, or - for stdin. The output names the format, the rows, the rejected
    lines, the metrics that rldk knows and those that it does not know. The exit code is 3 when rldk cannot read PATH.

    \b
    Examples:
      rldk validate-format train.log
      rldk validate-format metrics.csv --adapter csv
    """
    from rldk.adapters.open import open_runs
    from rldk.cards.wire import dumps

    found = [_facts(run) for run in open_runs(path, adapter=adapter)]
    claims = _claims(Path(path))
    if as_json:
        write(dumps({"source": path, "recognised_by": claims, "runs": found}))
    else:
        write("\n\n".join(_text(facts, claims) for facts in found))


def _claims(path: Path) -> list[dict[str, Any]]:
    """Every adapter that recognises the file, the surest first; an empty list when the path is not a file."""
    from rldk.adapters.base import adapters
    from rldk.adapters.explore import claims
    from rldk.adapters.source import File

    if not path.is_file():
        return []
    return [{"adapter": kind.name, "confidence": sure} for sure, kind in claims(File(path), adapters)]


def _facts(run: Run) -> dict[str, Any]:
    from rldk.core.vocabulary import vocabulary

    names = run.meta.names
    unknown = [c for c in run.metrics.columns if c not in names and c not in set(names.values())]
    known = [m for m in vocabulary().metrics if "{" not in m]
    return {
        "run": run.id,
        "format": run.meta.format,
        "rows": len(run.metrics),
        "lines": run.lines,
        "rejected": run.rejected_count,
        "first_rejected": [{"line": r.line, "offset": r.offset, "reason": r.reason} for r in run.rejected],
        "metrics": dict(names),
        "unknown": {c: difflib.get_close_matches(c.split("/")[-1], known, n=3, cutoff=0.5) for c in unknown},
        "files": list(run.meta.files),
        "left_out": dict(run.meta.left_out),
    }


def _text(facts: dict[str, Any], claims: list[dict[str, Any]]) -> str:
    surest = next((c["confidence"] for c in claims if c["adapter"] == facts["format"]), None)
    others = [f"{c['adapter']} ({c['confidence']})" for c in claims if c["adapter"] != facts["format"]]
    lines = [clean(facts["run"])]
    lines.append(f"  format    {facts['format']}" + (f", confidence {surest} of 100" if surest is not None else ""))
    lines += [f"  could be  {', '.join(others)}"] if others else []
    lines.append(f"  rows      {facts['rows']:,}" + (f" from {facts['lines']:,} lines" if facts["lines"] else ""))
    lines.append(f"  rejected  {facts['rejected']:,}")
    lines += [
        f"            line {r['line']} (byte {r['offset']}): {clean(r['reason'])}" for r in facts["first_rejected"]
    ]
    lines.append(f"  metrics   {len(facts['metrics'])}")
    lines += [f"            {clean(m)} <- {clean(own)}" for m, own in facts["metrics"].items()]
    lines.append(f"  unknown   {len(facts['unknown'])}")
    lines += [f"            {clean(c)}{_nearest(near)}" for c, near in list(facts["unknown"].items())[:SHOWN]]
    guess = _guess(facts["unknown"], facts["metrics"])
    if guess:
        lines.append(f"  to map    --field-map '{clean(json.dumps(guess), 2000)}'  (if that is what they mean)")
    lines += [f"  not read  {clean(p)}: {clean(why)}" for p, why in list(facts["left_out"].items())[:SHOWN]]
    return "\n".join(lines)


def _guess(unknown: dict[str, list[str]], known: dict[str, str]) -> dict[str, str]:
    """A field map to start from: one key for each metric that the log lacks. A person has to check it."""
    guess = {near[0]: key for key, near in reversed(unknown.items()) if near and near[0] not in known}
    return {key: metric for metric, key in guess.items()}


def _nearest(near: list[str]) -> str:
    return f"  (nearest: {', '.join(near)})" if near else ""
