"""The audit of a program: what in its source code and in this environment keeps its runs from being repeated."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.audit.lock import EnvironmentLock, lock_differences
from rldk.core.audit.sites import CodeFacts
from rldk.core.manifest import read_manifest
from rldk.core.model import SEVERITIES, Finding, Note, Report
from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.engine.report.incidents import more_findings, sole_incident
from rldk.engine.views import env_view
from rldk.provenance.code.scan import scan_code
from rldk.provenance.environment import VARIABLES, environment
from rldk.provenance.hashing import file_sha256
from rldk.provenance.lock import environment_lock, lock_text, read_lock
from rldk.provenance.lock_files import lock_files
from rldk.provenance.packages import installed
from rldk.rules.audit import AuditView
from rldk.rules.chosen import chosen_rules
from rldk.rules.determinism_flags import FLAGS, THREADS, fixes_hashes
from rldk.rules.known_bad import versions_of
from rldk.rules.rule import Context
from rldk.rules.subject import Subject

KIND = "env_audit"
SUBJECTS: frozenset[Subject] = frozenset({"code", "env"})
LIBRARIES = {"random": "random", "numpy": "numpy", "torch": "torch"}  # as kinds of sites name them -> as users do
MAX_PLACES = 50  # places of one library in the card
Begin = Callable[[str], None]
Expect = Callable[[int], None]


class EnvironmentAudit(Struct, frozen=True, kw_only=True):
    """The report with the lock of the environment as it is now, and the determinism card."""

    report: Report
    lock: EnvironmentLock
    card: dict[str, Any]


def audit_environment(path: str | os.PathLike[str] = ".") -> tuple[dict[str, Any], str]:
    """The determinism card of the program in `path`, and the text of a lock of its environment (`rldk.lock`).

    `path`: a Python file, a notebook, or a folder of them, together with the environment of this process; or a run
    directory, with the script and the environment that `run.json` has recorded. The code is parsed, never run.

    The card names what keeps runs from being repeated, each with file and line; which library is seeded where; and the
    environment variables that matter, with the values that are fit. Raises `UnreadableSource` and `NoData`."""
    made = audit(Path(path))
    return made.card, lock_text(made.lock)


def audit(
    path: Path,
    *,
    lock: Path | None = None,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    begin: Begin | None = None,
    expect: Expect | None = None,
) -> EnvironmentAudit:
    """The audit of a file or folder, or of a run directory. `lock`: an earlier lock to compare the environment with.

    `begin` and `expect` are told of each file and of their number. Raises `UnreadableSource`, `NoData`,
    `MalformedInput` for a lock that is none, and `UnknownName` for a rule."""
    earlier = None if lock is None else read_lock(lock)
    rules = [rule for rule in chosen_rules("default", select, ignore) if rule.subject in SUBJECTS]
    origin = _of_run(path) or _of_process(path)
    facts, packages = origin.facts, origin.packages
    code = scan_code(origin.code, begin, expect) if origin.code is not None else CodeFacts(root=str(path))
    code = replace(code, unread={**code.unread, **origin.unread})
    now = environment_lock(facts, packages)
    config = {**origin.config, **_switches(code)}
    differences = None if earlier is None else lock_differences(earlier, now)
    view = AuditView(code=code, env=env_view(facts, packages, config), lock=differences)
    started = replace(view.env, variables={**_set_in_code(code), **(view.env.variables or {})})
    context = Context(config=config, environment=facts, packages=packages)
    once = look_once(rules, context, Engine(rules, context).inapplicable, {"code": view, "env": started})
    report = _report(view, once, origin, path, lock)
    return EnvironmentAudit(report=report, lock=now, card=_card(view, report, facts))


def _switches(code: CodeFacts) -> dict[str, bool]:
    """The switches for deterministic algorithms that a program turns on, as if its configuration had them."""
    asks = [s.detail for s in code.sites if s.kind == "asks-determinism" and s.file in code.programs]
    plain = any(detail.startswith("use_deterministic_algorithms") for detail in asks)
    whole = any(detail.endswith(("Arguments", "Config", "full_determinism")) for detail in asks)
    return {
        **({"use_deterministic_algorithms": True} if plain else {}),
        **({"full_determinism": True} if whole and not plain else {}),
    }


def _set_in_code(code: CodeFacts) -> dict[str, str]:
    """The variables that the code sets to a known value; for that of the hashes it is too late then."""
    pairs = (site.detail.partition("=") for site in code.sites if site.kind == "sets-variable")
    return {name: value for name, _, value in pairs if value and name in VARIABLES and name != "PYTHONHASHSEED"}


class _Origin(Struct, frozen=True, kw_only=True):
    """Where an audit looks: the code (None where it is gone), the environment, the packages, the configuration."""

    code: Path | None
    facts: dict[str, Any]
    packages: dict[str, str]
    config: dict[str, Any] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def _of_process(path: Path) -> _Origin:
    facts = environment()
    if pins := lock_files(path if path.is_dir() else path.parent):
        facts["lock_files"] = pins
    return _Origin(code=path, facts=facts, packages=installed())


def _of_run(path: Path) -> _Origin | None:
    """What a run directory has recorded; None for any other path. The script counts only while it is unchanged."""
    manifest = read_manifest(path) if path.is_dir() else None
    if manifest is None:
        return None
    recorded: dict[str, Any] = {"facts": dict(manifest.environment), "packages": manifest.packages}
    recorded["config"] = manifest.config
    if manifest.script is None:
        return _Origin(code=None, **recorded)
    script = Path(manifest.cwd or "") / manifest.script.path
    try:
        same = script.is_file() and file_sha256(script) == manifest.script.sha256
    except OSError:
        same = False
    unread = {} if same else {manifest.script.path: "the script of the run is gone, or was changed since"}
    return _Origin(code=script if same else None, unread=unread, **recorded)


def _report(view: AuditView, once: Once, origin: _Origin, path: Path, lock: Path | None) -> Report:
    code = view.code
    ordered = sorted(once.findings, key=lambda f: (-SEVERITIES.index(f.severity), f.code))
    findings = tuple(replace(f, incident=place + 1) for place, f in enumerate(ordered))
    return Report(
        kind=KIND,
        passed=all(f.severity == "info" for f in findings),
        verdict=_verdict(findings, once, code),
        findings=findings,
        incidents=tuple(sole_incident(f) for f in findings),
        checked=tuple(sorted(once.checked)),
        skipped=tuple(sorted(once.unchecked, key=lambda check: check.code)),
        notes=tuple(_notes(code)),
        numbers={
            "files": code.files,
            "files_not_read": len(code.unread),
            "programs": len(code.programs),
            "places": sum(len(f.evidence.get("places", ())) for f in findings),
            "lock_differences": None if view.lock is None else len(view.lock),
        },
        meta={
            "run": path.resolve().name,
            "source": str(path),
            "code": code.root,
            "packages": versions_of(origin.packages),
            "imports": sorted(code.imports),
            "programs": list(code.programs),
            "unread": dict(code.unread),
            "python": origin.facts.get("python"),
            "platform": origin.facts.get("platform"),
            "lock": None if lock is None else str(lock),
        },
    )


def _verdict(findings: tuple[Finding, ...], once: Once, code: CodeFacts) -> str:
    """The sentence that opens the report."""
    if not once.checked:
        return "Not checked: no rule found what it needs."
    if not code.files and not findings:
        return "Not checked: no code could be read."
    loud = [f for f in findings if f.severity != "info"]
    files = f"{code.files:,} file{'s' if code.files > 1 else ''}" if code.files else "the environment alone"
    if not loud:
        also = f"; {len(findings)} things are worth knowing" if len(findings) > 1 else ""
        also = "; one thing is worth knowing" if len(findings) == 1 else also
        return f"Nothing found that keeps runs from being repeated: {len(once.checked)} rules looked at {files}{also}."
    word = "Critical" if loud[0].severity == "critical" else "Warning"
    return f"{word}: {loud[0].message}.{more_findings(len(findings) - 1)}"


def _notes(code: CodeFacts) -> Iterable[Note]:
    for name, reason in list(code.unread.items())[:5]:
        yield Note(topic="not read", text=f"{name}: {reason}")
    if len(code.unread) > 5:
        yield Note(topic="not read", text=f"{len(code.unread) - 5:,} more files were not read")
    if code.files and not code.programs:
        text = "no program was found, only a library, so that seeds and variables of a program were not asked for"
        yield Note(topic="program", text=text)


def _card(view: AuditView, report: Report, facts: dict[str, Any]) -> dict[str, Any]:
    """The determinism card in plain JSON types."""
    written = report.to_dict()
    return {
        "schema_version": 1,
        "kind": "determinism_card",
        "passed": report.passed,
        "verdict": report.verdict,
        "source": report.meta["source"],
        "files": view.code.files,
        "not_read": dict(view.code.unread),
        "programs": list(view.code.programs),
        "findings": written["findings"],
        "not_checked": written["skipped"],
        "flags": _flags(view),
        "rng_map": _seeds(view),
        "asks_for_determinism": view.asks(),
        "hash_randomised": facts.get("hash_randomised"),
        "environment": {key: value for key, value in facts.items() if key not in ("origins", "conda")},
        "lock_differences": [
            {"part": d.part, "name": d.name, "locked": d.locked, "now": d.now} for d in view.lock or ()
        ],
    }  # fmt: skip


def _flags(view: AuditView) -> list[dict[str, Any]]:
    """Each variable that matters for determinism: its value, whether it is fit, and what is wanted.

    `fit` is None where the variable is not set."""
    made: list[dict[str, Any]] = []
    for flag in FLAGS:
        value = view.variable(flag.name)
        made.append(
            {
                "name": flag.name,
                "value": value,
                "fit": flag.by_default or None if value is None else flag.accepts(value),
                "wanted": flag.advice,
                "matters": view.imports(*flag.packages),
                "source": flag.source,
            }
        )
    seed = view.env.variable("PYTHONHASHSEED")
    hashes = {"name": "PYTHONHASHSEED", "value": seed, "fit": fixes_hashes(seed), "wanted": "0", "matters": True}
    threads = [{"name": n, "value": view.variable(n), "fit": None, "wanted": None, "matters": True} for n in THREADS]
    return [{**hashes, "source": "Python"}, *made, *({**each, "source": "OpenMP"} for each in threads)]


def _seeds(view: AuditView) -> dict[str, dict[str, Any]]:
    """For each library with a global generator: where it is seeded, and how often code draws from it."""
    return {
        name: {
            "seeded_at": [site.place for site in view.sites(f"seeds-{kind}")][:MAX_PLACES],
            "draws": len(view.sites(f"draws-{kind}")) + view.code.dropped.get(f"draws-{kind}", 0),
        }
        for kind, name in LIBRARIES.items()
    }
