"""The view of a preflight: findings, what was tried, what the batch sizes come to, and what was not looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rldk.cards import words
from rldk.cards.chart import number
from rldk.cards.parts import finding_section, problem_of, unchecked_sections
from rldk.core.model import Report
from rldk.core.view import Bullets, Commands, Facts, Section, Table, Tone, View

BADGES: Mapping[Tone, str] = {
    "critical": "CRITICAL",
    "warn": "WARNING",
    "info": "NOT CHECKED",
    "ok": "NO PROBLEM FOUND",
}
# numbers of the report, in a reader's words
PLAN = {
    "processes": "training processes",
    "prompts_per_step": "prompts a step",
    "completions_per_step": "completions a step",
    "steps": "optimizer steps",
    "epochs": "passes over the data",
    "rows_of_data": "rows of data",
    "longest_prompt_tokens": "tokens of the longest prompt",
    "parameters": "parameters",
    "trainable_parameters": "of them trained",
    "padding_gap": "largest change by padding (log-probability)",
    "first_loss": "loss of the first step",
    "first_grad_norm": "gradient norm of the first step, as the optimizer gets it",
    "first_lr": "learning rate of the first step",
    "tensors": "tensors in the optimizer",
    "tensors_moved": "of them changed by the step",
}
_MEMORY = "memory_"


def view_of_preflight(report: Report) -> View:
    """Everything that a renderer may show of the report."""
    worst = report.worst()
    tone: Tone = "info" if not report.checked else "ok" if worst in (None, "info") else worst
    return View(
        kind=report.kind,
        title=str(report.meta.get("run") or "preflight"),
        tone=tone,
        badge=BADGES[tone],
        banner=report.verdict,
        source=str(report.meta.get("source") or ""),
        sections=tuple(_sections(report)),
        problems=tuple(problem_of(f, str(report.meta.get("source") or "")) for f in report.findings),
        checked=report.checked,
        unchecked={check.code: check.reason for check in report.skipped if check.status == "skipped"},
        figures=dict(report.numbers),
    )


def _sections(report: Report) -> Iterable[Section]:
    yield from (finding_section(f) for f in report.findings)
    if pairs := tuple(_pairs(report, PLAN)):
        yield Section(title="Plan and measurements", parts=(Facts(pairs=pairs),))
    memory = {k: v for k, v in report.numbers.items() if k.startswith(_MEMORY) and v}
    if memory:
        names = {key: key.removeprefix(_MEMORY).removesuffix("_gib").replace("_", " ") for key in memory}
        facts = Facts(pairs=tuple((names[key], f"{value:.2f} GiB") for key, value in memory.items() if value))
        yield Section(title="Memory of one device, estimated", parts=(facts,))
    yield from _rewards(report)
    if report.notes:
        items = tuple(note.text for note in report.notes)
        yield Section(title="Worth knowing", parts=(Bullets(items=items),))
    yield from unchecked_sections(report, "data")
    yield Section(title="Looked at", parts=(Bullets(items=tuple(_looked(report)), plain=True),))
    if lines := tuple(_next(report)):
        yield Section(title="Next", parts=(Commands(lines=lines),))


def _pairs(report: Report, names: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for key, name in names.items():
        value = report.numbers.get(key)
        if value is not None:
            yield name, f"{value:,}" if isinstance(value, int) else number(value)


def _rewards(report: Report) -> Iterable[Section]:
    """A table of what each reward function gave for each kind of completion."""
    for reward in report.meta.get("rewards") or ():
        rows = tuple((kind, score) for kind, score in _scores(reward["trials"]))
        table = Table(heads=("completion", "reward"), rows=rows, lines=tuple(f"{a}: {b}" for a, b in rows))
        yield Section(title=f"Reward function {reward['name']}", parts=(table,))


def _scores(trials: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    by_kind: dict[str, list[str]] = {}
    for trial in trials:
        score = trial["score"]
        said = trial["detail"] if trial["fault"] else number(score) if score is not None else "as many as completions"
        by_kind.setdefault(trial["kind"], []).append(said)
    for kind, said in by_kind.items():
        yield kind, ", ".join(dict.fromkeys(said))


def _looked(report: Report) -> Iterable[str]:
    meta = report.meta
    if meta.get("source") or meta.get("framework"):
        how = f" (by {meta['recognised_by']})" if meta.get("recognised_by") else ""
        who = meta.get("framework") or "trainer not recognised"
        yield f"configuration: {who}, algorithm {meta.get('algorithm') or 'not known'}{how}"
    packages = meta.get("packages") or {}
    shown = ", ".join(f"{name} {version}" for name, version in packages.items()) or "none of those in the table"
    yield f"packages: {shown}; table of known faults of {meta.get('known_bad_version')}"
    if meta.get("hooked"):
        yield f"hooked: {', '.join(meta['hooked'])}"
    yield f"{words.plural(len(report.checked), 'rule')} looked"


def _next(report: Report) -> Iterable[str]:
    loud = [f for f in report.findings if f.severity != "info"]
    if loud:
        yield f"rldk explain {loud[0].code}"
