"""JSON lines to columns, against the loop over the standard library's json that one would write by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.data import ODD_KINDS, odd_log, scalar_log, wide_log
from benchmarks.measure import Work, race
from benchmarks.result import Result

WIDE_LINES, SCALAR_LINES, ODD_LINES = 400_000, 1_000_000, 100_000
SPEED_UP, ODD_SPEED_UP = 3.0, 1.5
FIXED_MB, PER_COLUMN_BYTE = 60.0, 1.5


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """Wide lines, clean and with 0.02 % malformed ones, scalar events, and lines that are mostly or all odd."""
    found = []
    for kind in ("clean", "dirty", "scalar", *ODD_KINDS):
        path = work / "log.jsonl"
        malformed = 0
        if kind in ODD_KINDS:
            odd_log(path, kind, int(ODD_LINES * scale))
        elif kind == "scalar":
            scalar_log(path, int(SCALAR_LINES * scale))
        else:
            malformed = wide_log(path, int(WIDE_LINES * scale), dirty=kind == "dirty")
        found.append(_result(kind, path, malformed, repeats))
        path.unlink()
    return found


def _result(kind: str, path: Path, malformed: int, repeats: int) -> Result:
    loop, ours = race(
        Work(f"{__name__}:json_{'events' if kind == 'scalar' else 'rows'}", str(path)),
        Work(f"{__name__}:decode_file", str(path), "rldk.core.jsonl"),
        repeats=repeats,
    )
    facts = ours.facts
    whole = facts["records"] + facts["rejected"] == facts["lines"] and facts["rejected"] == malformed
    counts = f"{facts['lines']} lines = {facts['records']} records + {facts['rejected']} rejected"
    speed = path.stat().st_size / ours.cpu_s / 1e6
    return Result(
        job=f"decode {'scalar events' if kind == 'scalar' else f'wide rows, {kind}'}",
        ours=ours,
        baseline=loop,
        against="stdlib json loop",
        ratio=loop.cpu_s / ours.cpu_s,
        at_least=ODD_SPEED_UP if kind in ODD_KINDS else SPEED_UP,
        rss_budget_mb=facts["column_bytes"] * PER_COLUMN_BYTE / 1e6 + FIXED_MB,
        note=f"{speed:.0f} MB/cpu-s; {counts}" + ("" if whole else f", BUT {malformed} were malformed"),
    )


def decode_file(path: str) -> dict[str, int]:
    from rldk.core.jsonl import decode

    found = decode(Path(path))
    table = found.table
    arrays = (table.step, table.phase, table.segment, table.time, *table.columns.values())
    return {
        "lines": found.lines,
        "records": found.records,
        "rejected": found.rejected_count,
        "column_bytes": sum(array.nbytes for array in arrays),
    }


def json_rows(path: str) -> dict[str, int]:
    import json
    from array import array

    columns: dict[str, Any] = {}
    rows = bad = 0
    with open(path, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123 - the plainest loop there is
        for line in stream:
            try:
                row = json.loads(line)
            except ValueError:
                bad += 1
                continue
            if not isinstance(row, dict):
                bad += 1
                continue
            for key, value in row.items():
                if key not in columns:
                    columns[key] = array("d", [float("nan")]) * rows
                try:
                    columns[key].append(value)
                except TypeError:
                    columns[key].append(float("nan"))
            rows += 1
    return {"rows": rows, "bad": bad}


def json_events(path: str) -> dict[str, int]:
    import json
    from array import array

    columns: dict[str, Any] = {}
    events = 0
    with open(path, "rb") as stream:  # noqa: PTH123 - the plainest loop there is
        for line in stream:
            event = json.loads(line)
            name = event["name"]
            if name not in columns:
                columns[name] = array("q"), array("d")
            columns[name][0].append(event["step"])
            columns[name][1].append(event["value"])
            events += 1
    return {"events": events}
