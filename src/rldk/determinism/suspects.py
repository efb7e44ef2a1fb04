"""What in the source code of the command can make replicas differ, ranked by the kind of difference they have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.audit.sites import CodeFacts
from rldk.core.model import SEVERITIES, Finding
from rldk.engine.compare.classes import ReplicaClass
from rldk.engine.live import Engine
from rldk.engine.once import look_once
from rldk.engine.views import env_view
from rldk.errors import InputError
from rldk.provenance.code.scan import scan_code
from rldk.provenance.environment import environment
from rldk.provenance.packages import installed
from rldk.rules.audit import AuditView
from rldk.rules.chosen import chosen_rules
from rldk.rules.rule import Context

MAX_LOCAL = 50  # modules beside the script that are read, too
LIBRARIES = {"random": "random", "numpy": "numpy", "torch": "torch"}
# rules about what differs between two starts on one machine -> how well they explain each class of differences.
# What the machine, the model hub or a later version decides is the same for all replicas.
_INPUT, _ROUNDING, _BOTH = {"input": 3, "rounding": 1}, {"input": 1, "rounding": 3}, {"input": 2, "rounding": 2}
EXPLAINS: dict[str, dict[str, int]] = {
    "DET020": _INPUT,  # order of sets
    "DET022": _INPUT,  # hash of a text
    "DET023": _INPUT,  # order by address
    "DET024": {"input": 3, "rounding": 3},  # order of completion
    "DET025": _INPUT,
    "DET026": _INPUT,
    "DET027": _INPUT,
    "DET029": _INPUT,
    "DET030": _INPUT,
    "DET031": _INPUT,
    "DET032": _INPUT,
    "DET035": _INPUT,
    "DET036": _INPUT,
    "DET037": _INPUT,
    "DET038": _BOTH,  # loaders
    "DET040": _INPUT,
    "DET042": _ROUNDING,
    "DET043": _ROUNDING,
    "DET044": _ROUNDING,
    "DET045": _ROUNDING,
    "DET046": _ROUNDING,
    "DET048": _ROUNDING,
    "DET055": _BOTH,  # the clock decides
    "DET056": _BOTH,
}
LOADERS = ("DET038", "DET039", "DET040")
_HASHES = frozenset({"DET020", "DET022"})


class Suspect(Struct, frozen=True, kw_only=True):
    """A possible culprit. `where`: the place in the code, "" without one. `text`: the line. `score`: how well it
    explains the differences; 10 and more where an experiment has shown it."""

    code: str
    name: str
    message: str
    where: str = ""
    text: str = ""
    score: float = 0.0
    fixes: tuple[str, ...] = ()


class CodeAudit(Struct, frozen=True, kw_only=True):
    """What the source of the command says. `findings`: of the rules over source code. `rng`: for each library with a
    global generator, where it is seeded and how often code draws from it. `reason`: why there is none."""

    findings: tuple[Finding, ...] = ()
    rng: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: int = 0
    reason: str = ""


def audit_script(script: Path | None) -> CodeAudit:
    """The audit of a script and of the modules beside it that it imports."""
    if script is None:
        return CodeAudit(reason="needs a Python script in the command whose source can be read")
    try:
        code = _with_local(script)
    except InputError as error:
        return CodeAudit(reason=f"needs source code that can be read: {error.message}")
    facts, packages = environment(), installed()
    context = Context(config={}, environment=facts, packages=packages)
    view = AuditView(code=code, env=env_view(facts, packages))
    rules = [rule for rule in chosen_rules() if rule.subject == "code"]
    once = look_once(rules, context, Engine(rules, context).inapplicable, {"code": view, "env": view.env})
    rng = {
        name: {
            "seeded_at": [site.place for site in view.sites(f"seeds-{kind}")][:20],
            "draws": len(view.sites(f"draws-{kind}")) + code.dropped.get(f"draws-{kind}", 0),
            "drawn_at": [site.place for site in view.sites(f"draws-{kind}")][:20],
        }
        for kind, name in LIBRARIES.items()
    }
    return CodeAudit(findings=tuple(once.findings), rng=rng, files=code.files)


def ranked_suspects(
    audit: CodeAudit, kind: ReplicaClass, vanished: Iterable[str] = (), stayed: Iterable[str] = ()
) -> list[Suspect]:
    """Each place that explains such differences, the likeliest first. Empty where the replicas agree.

    `vanished`, `stayed`: the sources of chance ("hashes", "threads") without which the differences went away, or did
    not."""
    if kind == "bitwise":
        return []
    side = "rounding" if kind in ("chaotic", "numerically close") else "input"
    gone, there = set(vanished), set(stayed)
    found: list[Suspect] = []
    for finding in audit.findings:
        score = float(EXPLAINS.get(finding.code, {}).get(side, 0))
        if score == 0.0:
            continue
        score += 0.5 * SEVERITIES.index(finding.severity)
        if finding.code in _HASHES:
            score += 10.0 if "hashes" in gone else -10.0 if "hashes" in there else 0.0
        found += _places(finding, score)
    found += _outside(gone)
    return sorted((each for each in found if each.score > 0.0), key=lambda each: -each.score)


def dataloader_notes(audit: CodeAudit) -> tuple[str, ...]:
    """What the rules about data loaders say."""
    return tuple(finding.message for finding in audit.findings if finding.code in LOADERS)


def _with_local(script: Path) -> CodeFacts:
    """The script with the modules beside it that it imports, directly or not."""
    made = scan_code(script)
    seen, waiting = {script.stem}, sorted(made.imports)
    while waiting and len(seen) <= MAX_LOCAL:
        name = waiting.pop(0)
        place = next((p for p in (script.parent / f"{name}.py", script.parent / name) if p.exists()), None)
        if name in seen or place is None or (place.is_dir() and not (place / "__init__.py").exists()):
            continue
        seen.add(name)
        try:
            more = scan_code(place)
        except InputError:
            continue
        waiting += sorted(more.imports - seen)
        named = tuple(replace(s, file=f"{name}/{s.file}") for s in more.sites) if place.is_dir() else more.sites
        made = replace(
            made, files=made.files + more.files, sites=(*made.sites, *named), imports=made.imports | more.imports
        )
    return made


def _places(finding: Finding, score: float) -> list[Suspect]:
    whole = Suspect(code=finding.code, name=finding.name, message=finding.message, score=score, fixes=finding.fixes)
    message = finding.name.replace("-", " ")
    return [
        replace(
            whole,
            message=message,
            where=f"{place['file']}:{place['line']}",
            text=str(place["text"]),
            score=score - 0.001 * number,
        )
        for number, place in enumerate(finding.evidence.get("places", ())[:20])
    ] or [whole]


def _outside(gone: set[str]) -> Sequence[Suspect]:
    """What an experiment has shown, where no line is known."""
    found = []
    if "hashes" in gone:
        found.append(
            Suspect(
                code="DET052",
                name="hash-seed-not-set",
                message="the replicas agree once PYTHONHASHSEED is fixed: an order of hashes decides",
                score=9.0,
                fixes=("start the command with PYTHONHASHSEED=0 (`rldk seed exec --seed 0 -- ...`), or sort sets",),
            )
        )
    if "threads" in gone:
        found.append(
            Suspect(
                code="DET053",
                name="threads-not-pinned",
                message="the replicas agree on one CPU thread: threads add in the order in which they finish",
                score=9.0,
                fixes=("set OMP_NUM_THREADS=1, or use kernels that add in a fixed order",),
            )
        )
    return found
