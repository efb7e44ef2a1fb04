"""From what was tried out to a report: the rules of the doctor that look before the first step."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from rldk.core.model import SEVERITIES, Finding, Note, Report
from rldk.core.table import Row
from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.engine.report.incidents import more_findings, sole_incident
from rldk.engine.session import EngineSession
from rldk.engine.views import config_view
from rldk.preflight.config_source import ConfigSource
from rldk.provenance.environment import environment
from rldk.rules.chosen import chosen_rules
from rldk.rules.known_bad import known_bad, versions_of
from rldk.rules.rule import Context, Rule
from rldk.rules.setup import DataFacts, FirstStep, ModelFacts, RewardFacts, SetupView, TokenizerFacts
from rldk.rules.subject import Subject, SubjectView

KIND = "preflight"
ROW_CODES = frozenset({"OPT003", "SYS004"})  # rules over rows whose identity one step shows
SUBJECTS: frozenset[Subject] = frozenset({"config", "env", "setup"})


class Tried(Struct, kw_only=True):
    """Everything that preflight has looked at. `memory`: GiB by part. `plan`: what the batch sizes come to."""

    source: ConfigSource
    packages: dict[str, str] = field(default_factory=dict)
    tokenizer: TokenizerFacts | None = None
    data: DataFacts | None = None
    rewards: tuple[RewardFacts, ...] | None = None
    model: ModelFacts | None = None
    first_step: FirstStep | None = None
    memory: dict[str, float] = field(default_factory=dict)
    plan: dict[str, float | int | None] = field(default_factory=dict)
    printed: str = ""


def judge(tried: Tried, select: str | Iterable[str] | None = None, ignore: str | Iterable[str] | None = None) -> Report:
    """The report of the rules over configuration, environment and setup."""
    source = tried.source
    rules = _without_rows(chosen_rules("default", select, ignore))
    context = Context(
        algorithm=source.algorithm,
        framework=source.framework,
        config=source.values,
        environment=environment(),
        packages=tried.packages,
    )
    once = look_once(rules, context, Engine(rules, context).inapplicable, _views(tried))
    by_row = _looked_at_rows(tried, context, select, ignore)
    findings = _in_order([*once.findings, *(by_row.findings if by_row else ())])
    return Report(
        kind=KIND,
        passed=all(f.severity != "critical" for f in findings),
        verdict=_verdict(findings, once),
        findings=tuple(findings),
        incidents=tuple(sole_incident(f) for f in findings),
        checked=tuple(sorted([*once.checked, *(by_row.checked if by_row else ())])),
        skipped=tuple(sorted([*once.unchecked, *(by_row.skipped if by_row else ())], key=lambda check: check.code)),
        notes=tuple(_notes(tried, config_view(context))),
        numbers={**tried.plan, **{f"memory_{k}_gib": round(v, 3) for k, v in tried.memory.items()}, **_counts(tried)},
        meta=_meta(tried),
    )


def _without_rows(chosen: Iterable[Rule]) -> list[Rule]:
    """The rules that need no rows, and what others say of the configuration alone."""
    own = [rule for rule in chosen if rule.subject in SUBJECTS]
    stated = [rule for rule in chosen if rule.before is not None]
    return own + [replace(r, subject="config", body=r.before, metric="config", needs=(), each=()) for r in stated]


def _looked_at_rows(
    tried: Tried, context: Context, select: str | Iterable[str] | None, ignore: str | Iterable[str] | None
) -> Report | None:
    """The report of the rules over rows that one step can answer, on the metrics of that step. None without any."""
    step = tried.first_step
    rules = [r for r in chosen_rules("default", select, ignore) if r.code in ROW_CODES]
    if step is None or not step.rows or not rules:
        return None
    session = EngineSession(rules, context, alerts=False)
    for _ in session.feed(Row(step=at, values=dict(values)) for at, values in enumerate(step.rows, start=1)):
        pass
    report = session.report()
    ours = {rule.code for rule in rules}
    findings = tuple(f for f in report.findings if f.code in ours)
    checked = {f.code for f in findings} | ours.intersection(report.checked)
    skipped = tuple(check for check in report.skipped if check.code in ours - checked)
    return replace(report, findings=findings, checked=tuple(checked), skipped=skipped)


def _views(tried: Tried) -> Mapping[Subject, SubjectView]:
    """The view of the setup. It may be empty: a rule then says what it would need."""
    return {
        "setup": SetupView(
            tokenizer=tried.tokenizer,
            data=tried.data,
            rewards=tried.rewards,
            model=tried.model,
            first_step=tried.first_step,
            algorithm=tried.source.algorithm,
            framework=tried.source.framework,
        )
    }


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Critical findings first, then by code. Each is an incident of its own: none of them follows from another."""
    ordered = sorted(findings, key=lambda f: (-SEVERITIES.index(f.severity), f.code))
    return [replace(finding, incident=place + 1) for place, finding in enumerate(ordered)]


def _verdict(findings: list[Finding], once: Once) -> str:
    """The sentence that opens the report."""
    if not once.checked:
        return "Not checked: no rule found what it needs."
    loud = [f for f in findings if f.severity != "info"]
    rules = f"{len(once.checked)} rule{'s' if len(once.checked) > 1 else ''}"
    if not loud:
        return f"No problem found before the first step: {rules} looked."
    first, others = loud[0], len(loud) - 1
    word = "Critical" if first.severity == "critical" else "Warning"
    return f"{word} before the first step: {first.message}.{more_findings(others)}"


def _notes(tried: Tried, view: Any) -> Iterable[Note]:
    for text in tried.source.notes:
        yield Note(topic="configuration", text=text)
    if tried.source.values and tried.source.framework is None:
        text = "no trainer was recognised by these keys, so that few rules apply (--framework says which it is)"
        yield Note(topic="configuration", text=text)
    if tried.source.framework == "trl" and tried.plan and tried.plan.get("processes") is None:
        needed = _processes_needed(view)
        more = f"; the number must be a multiple of {needed}" if needed > 1 else ""
        text = f"the number of processes is not stated, and sizes are counted for one of them (--processes){more}"
        yield Note(topic="processes", text=text)


def _processes_needed(view: Any) -> int:
    """Of what the number of processes must be a multiple, so that a generation batch divides into groups."""
    from math import gcd

    each, group = view.count("per_device_train_batch_size"), view.count("num_generations")
    if not each or not group or view.algorithm not in ("grpo", "rloo"):
        return 1
    steps = view.count("steps_per_generation") or view.count("gradient_accumulation_steps", default=1)
    return int(group // gcd(group, each * steps))


def _counts(tried: Tried) -> dict[str, float | int | None]:
    made: dict[str, float | int | None] = {}
    if tried.model is not None:
        made |= {"parameters": tried.model.parameters, "trainable_parameters": tried.model.trainable}
        made["padding_gap"] = tried.model.padding_gap
    if tried.data is not None:
        made |= {"rows_of_data": tried.data.rows, "longest_prompt_tokens": tried.data.longest}
    step = tried.first_step
    if step is not None:
        made |= {"first_loss": step.loss, "first_grad_norm": step.grad_norm, "first_lr": step.lr}
        made |= {"tensors": step.tensors, "tensors_moved": step.moved}
    return made


def _meta(tried: Tried) -> dict[str, Any]:
    source, step = tried.source, tried.first_step
    looked = {
        "tokenizer": tried.tokenizer,
        "data": tried.data,
        "rewards": tried.rewards,
        "model": tried.model,
        "first_step": step,
    }
    name = source.path or ", ".join(part for part, facts in looked.items() if facts is not None)
    return {
        "run": os.path.basename(name) or name,  # noqa: PTH119 - a name, which need not be a path
        "source": source.path,
        "framework": source.framework,
        "algorithm": source.algorithm,
        "recognised_by": source.how,
        "packages": versions_of(tried.packages),
        "known_bad_version": known_bad().version,
        "hooked": [] if step is None else list(step.hooked),
        "printed": tried.printed,
        "rewards": [
            {
                "name": r.name,
                "trials": [{"kind": t.kind, "score": t.score, "fault": t.fault, "detail": t.detail} for t in r.trials],
            }
            for r in tried.rewards or ()
        ],
    }
