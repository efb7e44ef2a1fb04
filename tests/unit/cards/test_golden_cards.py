"""Every card as a whole text: what a renderer draws of fixed reports, kept in tests/golden."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layout import laid_out
from msgspec.structs import replace

from rldk.cards import github, junit, markdown, page, sarif, terminal, words
from rldk.cards.chart import BLOCKS, line_chart, number, sparkline, tick
from rldk.cards.forensics import drift_view, scan_view
from rldk.cards.monitor import monitor_view
from rldk.cards.overview import overview, overview_view, summary
from rldk.cards.picture import picture
from rldk.cards.report_view import failure_view, view_of
from rldk.cards.runs import listing_view, run_document, run_view
from rldk.cards.series import Series, key_series
from rldk.core.catalogue import Catalogue, RunEntry, StoredVerdict
from rldk.core.manifest import DatasetRecord, GitState, Manifest, ModelRecord, Script, TokenizerRecord
from rldk.core.model import Check, Finding, Incident, Note, Report, Understanding
from rldk.core.rundir import RunDirectory
from rldk.core.view import Band, Limit, View
from rldk.testing import run_of

Golden = Callable[[str, str], None]
SEVERITY: Any = ("critical", "warn", "info")


def _finding(n: int, incident: int, severity: Any, metric: str = "kl", **more: Any) -> Finding:
    given: dict[str, Any] = {
        "code": f"KL{n:03}", "name": f"kl-fault-{n}", "family": "KL", "severity": severity, "tier": n % 4,
        "first_step": 10 * n, "last_step": 10 * n + 5, "metric": metric, "value": 0.1 * n, "limit": 0.05,
        "message": f"the KL is {n}", "incident": incident, "rows": n,
    }  # fmt: skip
    return Finding(**given | more)


def _incident(i: int, severity: Any, codes: tuple[str, ...], **more: Any) -> Incident:
    given: dict[str, Any] = {
        "id": i, "title": f"incident {i} began", "severity": severity, "first_step": 10 * i, "last_step": 10 * i + 5,
        "first_mover": "kl", "codes": codes, "causes": ("a cause", "another"), "fixes": ("lower `lr`",),
    }  # fmt: skip
    return Incident(**given | more)


def _skipped(count: int, status: Any, reason: str, start: int) -> tuple[Check, ...]:
    return tuple(Check(code=f"ENT{start + i:03}", name="e", status=status, reason=reason) for i in range(count))


def _busy() -> Report:
    """Seven incidents, one of which gets louder by what follows it, and more of everything than a terminal shows."""
    kl = [0.01 * (1 + i % 5) for i in range(90)]
    kl[40], kl[60] = math.nan, 3.0
    run = run_of({"kl": kl, "reward_mean": [i / 90 for i in range(90)]})
    findings = [_finding(1, 1, "warn", value=kl[9], first_step=10), _finding(2, 1, "critical", "reward_mean")]
    findings += [_finding(n, 1, "info", "entropy", first_step=None, last_step=None) for n in range(3, 9)]
    findings += [_finding(n, n - 7, SEVERITY[n % 3]) for n in range(9, 15)]
    incidents = [_incident(1, "critical", ("KL001", "KL002"))]
    incidents += [_incident(n - 7, SEVERITY[n % 3], (f"KL{n:03}",)) for n in range(9, 15)]
    meta = {
        "run": "busy run", "source": "/runs/a b/log.jsonl", "format": "jsonl", "framework": "trl", "algorithm": "grpo",
        "framework_version": "0.29", "total_steps": 400, "clock": "Episode", "names": {"kl": "objective/kl"},
        "rejected": [{"line": n, "reason": "no JSON", "excerpt": "x"} for n in range(1, 4)],
        "notes": ["a note on the file"], "files": [f"/runs/a b/part-{n}.jsonl" for n in range(8)],
        "left_out": {"/runs/a b/notes.txt": "no log", "/runs/a b/x.bin": "no log", "/runs/y": "empty"},
        "series": key_series(run.metrics, ["kl"], ["reward_mean"]),
        "outlook": {
            "metric": "reward_mean", "probability": 0.875, "convergence": "degrading", "schedule": "linear",
            "declared": "cosine",
            "numbers": {
                "gain": -0.25, "lost": 0.4, "throughput_change": -0.1, "seconds_left": 7200.0,
                "memory_full_in_steps": 1200.0,
            },
        },
    }  # fmt: skip
    return Report(
        kind="diagnosis", passed=False, verdict="Critical since step 10: the KL is 1.", findings=tuple(findings),
        incidents=tuple(incidents), checked=("KL001", "KL002"),
        skipped=(*_skipped(1, "skipped", "needs loss", 1), *_skipped(3, "skipped", "needs value_loss", 2),
                 *_skipped(2, "not_applicable", "not for grpo", 5)),
        notes=(Note(topic="t", text="The loss is 0 at the first step."),),
        understanding=Understanding(
            state="partly", known={"kl": "objective/kl"}, unknown=tuple(f"column {n}" for n in range(9)),
            looked_at=("kl",), missing={"a reward": ("reward_mean",)}, field_map={"column 1": "reward_mean"},
        ),
        numbers={"rows": 1090, "first_step": 1, "last_step": 90, "lines": 1100, "rejected": 3, "metrics": 2,
                 "health": 0.25, "stability": 0.5},
        meta=meta,
    )  # fmt: skip


def _calm() -> Report:
    """A run in which nothing was found, on one row of one metric."""
    return Report(
        kind="diagnosis", passed=True, verdict="No problem found: 1 row was looked at.", checked=("KL001",),
        skipped=_skipped(1, "not_applicable", "not for ppo", 1), meta={"run": "calm", "total_steps": 5},
        numbers={"rows": 1, "first_step": 5, "last_step": 5, "metrics": 1, "health": 0.9},
        understanding=Understanding(state="judged", goal=True),
    )  # fmt: skip


def _reports() -> dict[str, Report]:
    busy = _busy()
    only_quiet = replace(
        busy, incidents=busy.incidents[2:3], findings=busy.findings[9:10], verdict="No problem found: fine."
    )
    return {"busy": busy, "quiet": only_quiet, "calm": _calm()}


def _blocks(parts: dict[str, str]) -> str:
    return "".join(f"===== {name}\n{text}\n" for name, text in parts.items())


def _drawn(view: View) -> dict[str, str]:
    return {
        "terminal": terminal.render(view),
        "terminal, everything": terminal.render(view, everything=True, width=60, colour=True, closing="the end"),
        "markdown": markdown.render(view),
        "markdown, everything": markdown.render(view, everything=True, head=False),
    }


@pytest.mark.parametrize("name", ["busy", "quiet", "calm"])
def test_golden_reports(golden: Golden, name: str) -> None:
    view = view_of(_reports()[name])
    parts = {
        **_drawn(view), "github": github.render([view]), "junit": junit.render([view]),
        "summary": github.summary([view]), "page": page.render(_reports()[name], fragment=True).replace("><", ">\n<"),
    }  # fmt: skip
    golden(f"report-{name}.txt", _blocks({name: text.replace("\x1b", "ESC") for name, text in parts.items()}))


def test_golden_gates(golden: Golden) -> None:
    views = [view_of(report) for report in _reports().values()] + [failure_view("x.csv", "x.csv is empty", "wait")]
    golden("gates.txt", _blocks({"sarif": sarif.render(views), "junit": junit.render(views, fail_on="warn")}))


def test_golden_overview(golden: Golden) -> None:
    busy, quiet, calm = _reports().values()
    long = replace(calm, meta={"run": "a-very-long-name-of-a-run/seed_1000"})
    names = [replace(calm, meta={"run": f"seed {n}"}) for n in range(42)]
    failures = [("lost.csv", "no such file: lost.csv")]
    many, few = overview([calm, busy, quiet, long, *names], failures), overview([calm, long], failures[:0])
    beside = [f"not read: file {n} (a reason that is long enough to be wrapped at this width)" for n in range(5)]
    view = overview_view(many, beside)
    parts = {
        "many": terminal.render(view, width=70), "narrow": terminal.render(overview_view(many[:4]), width=30),
        "everything": terminal.render(view, width=100, everything=True),
        "few": terminal.render(overview_view(few), width=100),
        "html": page.render(overview_view(many[:5]), fragment=True).replace("><", ">\n<"),
        "summary": laid_out(summary(few)),
    }  # fmt: skip
    golden("overview.txt", _blocks(parts))


def _curves() -> dict[str, Series]:
    def made(values: list[Any], gaps: tuple[int, ...] = (), start: int = 1) -> Series:
        steps = [s for s in range(start, start + len(values) + len(gaps)) if s not in gaps]
        return Series(step=steps, value=values, gaps=list(gaps), rows=len(steps))

    return {
        "ramp": made([float(i) for i in range(16)]),
        "long": made([math.sin(i / 20) for i in range(0, 300, 4)]),
        "spike": made([0.1 * (i % 3) for i in range(40)] + [9.0] + [0.1] * 40),
        "flat": made([2.0] * 9),
        "zero": made([0.0] * 3),
        "one": made([5.0]),
        "two": made([5.0, -3.0], start=1000),
        "decades": made([10.0**i for i in range(-3, 5)]),
        "at the log limit": made([1.0, 1.0, 1.0, 1000.0]),
        "beyond the log limit": made([1.0, 1.0, 1.0, 1001.0]),
        "torn": made([1.0, None, 3.0, 2.0, None, 1.0], gaps=(2, 5)),
        "never finite": made([], gaps=(3, 4), start=3),
        "empty": made([]),
        "huge": made([-1.7e308, 1.7e308, 0.0]),
    }


def test_golden_curves(golden: Golden) -> None:
    bands = [Band(first=2, last=3, kind="warn", label="a <b>"), Band(first=4, last=4, kind="onset", label="here")]
    limits = [Limit(value=v, label=f"limit {v}") for v in (0.5, 1.5, 1000.0, -1.0, math.inf)]
    parts = {}
    for name, curve in _curves().items():
        text = [*sparkline(curve, (2, 4)), *sparkline(curve, width=7), *sparkline(curve, (0, 9999))]
        drawn = [
            line_chart(curve, name, bands=bands, limits=limits),
            line_chart(curve, name, size=(200, 90), span=(0, 500)),
        ]
        parts[name] = "\n".join([*text, *(x.replace("><", ">\n<") for x in drawn)])
    golden("curves.txt", _blocks(parts))


def test_a_block_of_a_sparkline_is_an_eighth_of_the_range() -> None:
    for i, block in enumerate(BLOCKS):
        values: list[Any] = [0.0, 8.0, i + 0.0, i + 0.999]
        curve = Series(step=[1, 2, 3, 4], value=values, gaps=[], rows=4)
        assert sparkline(curve)[0] == BLOCKS[0] + BLOCKS[7] + block * 2, i


def test_numbers_are_written_as_a_person_would() -> None:
    expected = {
        None: "-", math.nan: "NaN", math.inf: "inf", -math.inf: "-inf", 0.0: "0", 3.0: "3", -3.0: "-3",
        999_999.0: "999,999", 1e6: "1e+06", -1e6: "-1e+06", 1234.0: "1,234", 0.12345: "0.1235", 1e-7: "1e-07",
        1234.56: "1235",
    }  # fmt: skip
    assert {value: number(value) for value in expected} == expected
    ticks = {
        -0.0: "0",
        0.5: "0.5",
        123.4: "123",
        1234.0: "1.2e3",
        -0.00123: "-0.0012",
        0.00123: "0.00123",
        1e100: "1e100",
    }
    assert {value: tick(value) for value in ticks} == ticks


def test_words_at_their_edges() -> None:
    extents = [(None, None), (None, 1200), (7, None), (7, 7), (7, 8), (0, 0), (1000, 2000)]
    assert [words.steps(*x) for x in extents] == [
        "before the first step", "from the start to step 1,200", "step 7", "step 7", "steps 7-8", "step 0",
        "steps 1,000-2,000",
    ]  # fmt: skip
    assert [words.plural(n, "row") for n in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]
    clauses = ["the KL rose", "kl_coef is 0", "is it?", "done.", "X", "a_b rose"]
    assert [words.sentence(c) for c in clauses] == [
        "The KL rose.", "kl_coef is 0.", "Is it?", "done.", "X.", "a_b rose.",
    ]  # fmt: skip


def test_golden_outlooks(golden: Golden) -> None:
    told: list[dict[str, Any]] = [
        {"numbers": {"seconds_left": s}} for s in (0.0, 119.4, 120.0, 7199.0, 7200.0, 172_799.0, 172_800.0)
    ]
    told += [{"numbers": {"throughput_change": x}} for x in (-0.1, -0.0999, 0.0999, 0.1)]
    told += [
        {"metric": "kl", "probability": p, "convergence": c, "numbers": {"gain": 0.125, "lost": lost}}
        for p, c, lost in itertools.product(
            (None, 0.5), ("converged", "improving", "degrading", "unknown"), (0.0, 0.25, 1.5)
        )
    ]
    told += [{"metric": "kl", "numbers": {}}, {"metric": "", "numbers": {"gain": 1.0}}, {"schedule": "cosine"}]
    lines = [words.outlook_line(Report(kind="x", passed=True, meta={"outlook": x})) for x in told]
    golden("outlooks.txt", "\n".join(lines))


def test_golden_runs(golden: Golden, tmp_path: Path) -> None:
    root = Path("/runs")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "metrics.jsonl").write_text("x" * 1234)
    full = Manifest(
        run_id="first", project="sums", name="a try", status="finished", started_at="2026-01-02T03:04:05Z",
        finished_at="2026-01-02T04:04:05Z", command=("python", "train.py"), exit_code=0, error="ValueError", seed=7,
        script=Script(path="train.py", sha256="ab" * 32), config={"lr": 0.1, "empty": [], "name": "x"},
        git=GitState(sha="c" * 40, branch="main", dirty=True, remote="example.com/a"), packages={"numpy": "2.0"},
        environment={"python": "3.12", "cpus": 2}, records=10, records_lost=0, restarts=1,
    )  # fmt: skip
    problem = "it is no JSON at all, and a long reason follows that does not fit into the column"
    clean = GitState(sha="d" * 40, dirty=False)
    other = replace(full, git=clean, exit_code=1, packages={"a": "1", "b": "2"}, records_lost=3)
    places = [(root / "sums/first", full, ""), (root, None, problem), (tmp_path, other, "")]
    entries = [
        RunEntry(directory=RunDirectory(path), manifest=manifest, when="2026-01-02T03:04:05Z", problem=why)
        for path, manifest, why in places
    ]
    verdicts = [
        StoredVerdict(last_step=1200, health="critical", verdict="Critical since step 10: the KL is 1."),
        StoredVerdict(), StoredVerdict(last_step=0, health="ok", verdict="No problem found."),
    ]  # fmt: skip
    shown = list(zip(entries, verdicts, strict=True))
    found = Catalogue(runs=tuple(entries), looked=3, complete=True)
    cut = Catalogue(runs=(*entries, *entries), looked=20_000, complete=False, closed=("/a", "/b"))
    listings = {
        "all": listing_view(shown[:2], replace(found, runs=tuple(entries[:2])), root),
        "cut": listing_view(shown[:2], cut, root),
        "none": listing_view([], Catalogue(runs=(), looked=1, complete=True), root),
        "one left": listing_view(shown[:2], found, root),
    }
    parts = {name: terminal.render(view, everything=True) for name, view in listings.items()}
    parts |= {f"run {i}": _blocks(_drawn(run_view(*pair))) for i, pair in enumerate(shown)}
    parts |= {f"document {i}": laid_out(run_document(*pair)) for i, pair in enumerate(shown)}
    golden(
        "runs.txt",
        _blocks(parts).replace(str(tmp_path), "/tmp-path").replace(tmp_path.name, "NAME").replace("\x1b", "ESC"),
    )


def test_golden_tracked_run(golden: Golden) -> None:
    digest = "sha256:" + "ab" * 32
    manifest = Manifest(
        run_id="tracked", status="finished", started_at="2026-01-02T03:04:05Z", seed=42, tags=("sweep", "late"),
        notes="first line\nsecond line", metadata={"beta": 0.1, "reward": {"kind": "rule"}}, redactions=2,
        datasets={
            "train": DatasetRecord(fingerprint=digest, format="records", rows=12_000, source="/data/train.jsonl"),
            "part": DatasetRecord(fingerprint=digest, format="table", rows=10, sampled=True),
        },
        models={"policy": ModelRecord(weights=digest, architecture=digest, parameters=124_439_808)},
        tokenizers={"gpt2": TokenizerRecord(digest=digest, source="/models/gpt2")},
        seeds={"seed": 42, "generators": {"python": "as seeded", "torch": "not loaded"}, "state_file": "seeds.json"},
    )  # fmt: skip
    entry = RunEntry(directory=RunDirectory(Path("/runs/tracked")), manifest=manifest, when="2026-01-02T03:04:05Z")
    bare = Manifest(run_id="b", seeds={"seed": None, "generators": {"python": "not seeded"}})
    unseeded = RunEntry(directory=RunDirectory(Path("/runs/b")), manifest=bare, when="2026-01-02T03:04:05Z")
    nothing = StoredVerdict()
    both = Catalogue(runs=(entry, unseeded), looked=2, complete=True)
    listed = listing_view([(entry, nothing), (unseeded, nothing)], both, Path("/runs"))
    parts = {"list": terminal.render(listed, everything=True)}
    parts |= {
        name: terminal.render(run_view(one, nothing), everything=True, width=100)
        for name, one in {"tracked": entry, "not seeded": unseeded}.items()
    }
    golden("tracked.txt", _blocks(parts) + repr(run_document(entry, nothing)))


def _watched(**more: Any) -> dict[str, Any]:
    finding = {
        "code": "KL001", "name": "kl-fault", "severity": "critical", "first_step": 3, "last_step": 9, "metric": "kl",
        "value": "NaN", "limit": None, "message": "the KL is NaN", "causes": ["a cause"], "fixes": ["a fix"],
    }  # fmt: skip
    run = {
        "run": "one", "source": {"path": "one.jsonl"}, "first_step": 1, "last_step": 1, "rows": 1, "verdict": "Fine.",
        "findings": [finding, finding | {"code": "KL002", "severity": "warn", "first_step": None, "value": 0.5}],
        "checked": ["KL002", "KL001"], "skipped": [{"code": "ENT001", "reason": "needs entropy"}],
    }  # fmt: skip
    silent = run | {"run": "", "first_step": None, "last_step": None, "rows": 0, "findings": []}
    return {
        "runs": [run, silent], "health": "critical", "verdict": "Critical.", "first_step": 1, "last_step": 9,
        "actions": [{"kind": "stop", "ok": True, "why": None}, {"kind": "print", "step": 3}], "ended": "stopped",
        "seconds": 61.5, "rules": "default", "alerts": {"begin": 2, "end": 1},
        "source": {"read": 1200, "could_not_read": 1}, **more,
    }  # fmt: skip


def test_golden_monitor(golden: Golden) -> None:
    whole = _watched()
    parts = {
        "two": whole, "one": _watched(runs=whole["runs"][:1], health="warn", actions=[]), "none": _watched(runs=[]),
        "partly": _watched(health="partly"), "other": _watched(health="strange"),
    }  # fmt: skip
    views = {name: monitor_view(document) for name, document in parts.items()}
    texts = {name: _blocks(_drawn(view)) + junit.render([view]) for name, view in views.items()}
    golden("monitor.txt", _blocks(texts | {f"view {n}": laid_out(v) for n, v in views.items()}).replace("\x1b", "ESC"))


def test_golden_forensics(golden: Golden) -> None:
    def anomaly(code: str, level: str, *, ongoing: bool) -> dict[str, Any]:
        return {
            "code": code, "type": f"{level}_kl", "level": level, "first_step": 3, "last_step": 1900, "ongoing": ongoing,
            "message": f"it is {level}",
        }  # fmt: skip

    found = [anomaly("KL001", "info", ongoing=True), anomaly("KL002", "warn", ongoing=False)]
    scan: dict[str, Any] = {
        "anomalies": found, "source": "a b.jsonl", "stats": {"kl_max": 0.25, "algorithm": "ppo"}, "passed": False,
        "not_checked": [{"reason": "needs kl", "type": "spike"}, {"reason": "needs kl", "type": "drift"}],
        "first_step": 1, "last_step": 1900, "format": "jsonl", "rows": 1900, "verdict": "Two anomalies.",
    }  # fmt: skip
    scans = {
        "found": scan, "critical": scan | {"anomalies": [anomaly("KL003", "critical", ongoing=True), *found]},
        "clean": scan | {"anomalies": [], "passed": True, "stats": {}, "not_checked": []},
        "failed": scan | {"anomalies": [], "first_step": None, "last_step": None},
        "minor": scan | {"anomalies": found[:1]},
    }  # fmt: skip
    period = {
        f"{n}_{k}": x
        for n in ("reference", "current")
        for k, x in (("steps", (1, 40)), ("median", 0.1), ("mean", 0.11), ("std", 0.01))
    }
    drift: dict[str, Any] = {
        **period, "detected": True, "status": "detected", "anomalies": found, "score": 0.75, "divergence": 12.0,
        "threshold": 0.5, "trend": "increasing", "rows": 80, "decided_by": ["KL001", "KL002"], "ongoing": True,
        "drift_start_step": 1200, "drift_last_step": 1300,
    }  # fmt: skip
    drifts = {
        "on": drift, "over": drift | {"ongoing": False, "divergence": None, "trend": ""},
        "none": drift | {"detected": False, "status": "no_data", "score": None, "anomalies": []},
        "early": drift | {"detected": False, "status": "too_early", "score": None, "rows": 39},
        "at the limit": drift | {"detected": False, "status": "ok", "score": 0.5},
        "moved": drift | {"detected": False, "status": "ok", "score": 0.51},
        "no score": drift | {"detected": False, "status": "ok", "score": None},
    }  # fmt: skip
    views = {n: scan_view(x) for n, x in scans.items()} | {
        n: drift_view(x, "a.jsonl", files=["b.json"]) for n, x in drifts.items()
    }
    golden(
        "forensics.txt", _blocks({n: _blocks(_drawn(v)) + laid_out(v) for n, v in views.items()}).replace("\x1b", "ESC")
    )


def test_the_finding_that_leads_is_that_of_the_first_code_and_metric() -> None:
    findings = (
        _finding(2, 1, "warn", "entropy"),
        _finding(2, 1, "warn"),
        _finding(1, 1, "warn"),
        _finding(3, 2, "warn"),
    )
    report = Report(kind="x", passed=True, findings=findings)
    assert words.lead(report, _incident(1, "warn", ("KL001", "KL002"))) == findings[2]
    assert words.lead(report, _incident(1, "warn", ("KL009",))) == findings[0]
    assert words.lead(report, _incident(9, "warn", ("KL001",))) is None


@pytest.mark.parametrize("name", ["busy", "calm"])
def test_golden_picture(golden: Golden, name: str) -> None:
    """A shape a line, on a sheet whose letters are all as wide as each other."""

    def measure(text: str, face: str, size: float) -> float:
        return 0.6 * size * len(text)

    drawn = picture([view_of(_reports()[name])], measure).drawing
    golden(f"picture-{name}.txt", "\n".join([f"{drawn.width:g} wide, {drawn.y:g} high", *map(_shape, drawn.shapes)]))


def _shape(shape: Any) -> str:
    values = {n: getattr(shape, n) for n in shape.__struct_fields__}
    words = [f"{name}={_rounded(value)}" for name, value in values.items()]
    return f"{type(shape).__name__} {' '.join(words)}"


def _rounded(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_rounded, value)) + ")"
    return f"{round(value, 2):g}" if isinstance(value, float) else repr(value)
