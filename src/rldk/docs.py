"""The generated documentation: `python -m rldk.docs` writes it, `--check` exits 1 when a page is stale."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click

from rldk.cards.manual import rule_inputs
from rldk.cards.trust.schema import card_schema
from rldk.core.manifest import manifest_schema
from rldk.core.schema import schema_of
from rldk.engine.report.incidents import DRIVES, TOGETHER_ROWS
from rldk.evals import EvalComparison, EvalResult
from rldk.monitor.schema import alert_schema, report_schema
from rldk.rules.knobs import KEYS, phrase
from rldk.rules.known_bad import KnownBad, known_bad, link
from rldk.rules.measured import measurement
from rldk.rules.normal import normals
from rldk.rules.rule import Rule, rules

DOCS = Path(__file__).parents[2] / "docs"
NAMES = Path(__file__).parents[2] / "tests" / "names"
TIERS = {
    0: "identity: must hold exactly",
    1: "published threshold",
    2: "self-calibrating",
    3: "joint verdict of independent signals",
}


def pages() -> dict[str, str]:
    """Every generated page: path below docs/ -> Markdown or JSON."""
    made = {f"rules/{r.code}.md": rule_page(r) for r in rules}
    made["rules/index.md"] = rule_index()
    made["normal.md"] = normal_page()
    made["known-bad-versions.md"] = known_bad_page()
    made["incidents.md"] = incidents_page()
    made["formats.md"] = formats_page()
    made["metrics.md"] = metrics_page()
    made["cli.md"] = cli_page()
    made["monitor.alert.schema.json"] = _schema_text(alert_schema()) + "\n"
    made["monitor.report.schema.json"] = _schema_text(report_schema()) + "\n"
    made["card.schema.json"] = _schema_text(card_schema()) + "\n"
    made["evaluation.schema.json"] = _schema_text(schema_of(EvalResult)) + "\n"
    made["evaluation-comparison.schema.json"] = _schema_text(schema_of(EvalComparison)) + "\n"
    made["run.schema.json"] = _schema_text(manifest_schema()) + "\n"
    return made


def rule_page(rule: Rule) -> str:
    """One rule's page, from its docstring and metadata."""
    lines = [
        f"# {rule.code} {rule.name}",
        "",
        f"**{rule.severity}** · tier {rule.tier} ({TIERS[rule.tier]}) · data {rule.data}",
        "",
    ]
    lines += ["## What it does", "", rule.page.what, ""]
    for heading in ("Why it matters", "How it is computed", "When it is wrong"):
        lines += [f"## {heading}", "", rule.page.sections[heading], ""]
    lines += ["## Likely causes", "", *(f"{i}. {c}" for i, c in enumerate(rule.causes, 1)), ""]
    lines += ["## What to try", "", *_fixes(rule), ""]
    lines += ["## Source", "", rule.page.sections["Source"], ""]
    lines += ["## Measured", "", measurement(rule.code), "", "## Inputs", ""]
    lines += [f"- {what}: {said}" for what, said in rule_inputs(rule).items()]
    return "\n".join(lines) + "\n"


def _fixes(rule: Rule) -> Iterator[str]:
    for fix in rule.fixes:
        yield f"- {phrase(fix, None)}"
        for framework in sorted(KEYS):
            said = phrase(fix, framework)
            if said != phrase(fix, None):
                yield f"  - {framework}: {said}"


def rule_index() -> str:
    """The table of all rules."""
    rows = [f"| [{r.code}]({r.code}.md) | {r.name} | {r.severity} | {r.tier} | {r.page.what} |" for r in rules]
    head = ["# Rules", "", f"{len(rules)} rules. Tiers: " + "; ".join(f"{t} {w}" for t, w in TIERS.items()) + ".", ""]
    head += [
        "Pages that name *faultbench* mean our labelled corpus of real small trainings: a GRU language model under PPO",
        "or GRPO, with one thing broken from a known step on, or nothing; 44 healthy and 64 faulty runs. Limits were",
        "set with these runs in sight, so figures on them are no forecast for other trainers.",
        "",
    ]
    return "\n".join([*head, "| code | name | severity | tier | what it does |", "|---|---|---|---|---|", *rows]) + "\n"


def normal_page() -> str:
    """The page of patterns that look odd and are normal by construction."""
    lines = [
        "# Normal by construction",
        "",
        "These patterns in a log look like faults and are none. `rldk doctor` notes them when it finds them.",
        "",
    ]
    for topic in normals:
        lines += [f"## {topic.code}", "", topic.page.what, "", topic.page.sections["Why it matters"], ""]
        lines += [f"How it is recognised: {topic.page.sections['How it is computed']}", ""]
    return "\n".join(lines)


def known_bad_page() -> str:
    """The page of versions that are known to fail together, with the public thread of each."""
    table = known_bad()
    lines = [
        "# Versions that fail together",
        "",
        f"The table of {table.version}: {len(table.rows)} combinations. `rldk preflight` looks at what is installed,",
        "or at a lock file or a run (`--packages`). `rldk doctor` looks at the packages that a run has recorded. Both",
        "do so by the rule [CFG002](rules/CFG002.md).",
        "",
        "Each row was written from its first thread and from the change that repaired it; further numbers are what",
        "that thread refers to. The release in which a fault ended is the first one that contains the repair. A row",
        "with a setting counts only where the configuration has it.",
        "",
        "| packages | only with | what happens | severity | ended in | source |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_known_bad_line, table.rows)]) + "\n"


def _known_bad_line(row: KnownBad) -> str:
    packages = ", ".join(f"{name} {bounds}" for name, bounds in row.packages.items())
    settings = [f"`{key}` {'is on' if value is True else value}" for key, value in row.setting.items()]
    settings += [f"not {name} {bounds}" for name, bounds in row.unless.items()]
    ended = ", ".join(f"{name} {version}" for name, version in row.ended.items()) or "not yet"
    sources = ", ".join(f"[{source}]({link(source)})" for source in row.source)
    cells = (packages, "; ".join(settings), row.said, row.severity, ended, sources)
    return f"| {' | '.join(cells)} |"


def incidents_page() -> str:
    """The page that says how findings become incidents, and which family of metrics drives which."""
    lines = [
        "# Incidents",
        "",
        "Findings that follow from one cause are one incident. The first mover is the earliest finding that matters.",
        "It is named first, and the other findings came with it. The incident shows the causes and fixes of its first",
        "mover; the JSON report has those of each finding. If a later finding is louder, the incident says which one.",
        "",
        f"A finding joins an incident that still goes on, or that ended at most {TOGETHER_ROWS} rows before. For this,",
        "the incident must have a finding of the same family, or of a family that drives it by the table below. An",
        "info finding never brings a louder finding into an incident. A critical finding of tier 1 or 2 stays critical",
        f"only with a warning of another family within the same {TOGETHER_ROWS} rows. One rule that fires on several",
        "metrics at the same moment is one finding.",
        "",
        "The table is the order in which a failure travels: a broken optimiser moves the policy, which moves all else.",
        "It is a judgement about training loops, not a causal claim about your run: check the first mover first.",
        "",
        "| what moves | moves with it |",
        "|---|---|",
    ]
    lines += [f"| {family} | {', '.join(sorted(driven)) or 'nothing'} |" for family, driven in sorted(DRIVES.items())]
    return "\n".join(lines) + "\n"


def _schema_text(schema: Any) -> str:
    """The schema as text. Docstrings in it lose their indentation, which some releases of msgspec keep."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {k: cleandoc(v) if k == "description" and isinstance(v, str) else plain(v) for k, v in value.items()}

    return json.dumps(plain(schema), indent=2)


def formats_page() -> str:
    """The page of formats: what is read, and what each format loses."""
    from rldk.adapters.base import adapters

    lines = [
        "# Formats",
        "",
        "Chosen by content, never by name. Where a run left several logs, the highest rank is read.",
        "",
    ]
    lines += ["| adapter | reads | rank |", "|---|---|---|"]
    ranked = sorted(adapters, key=lambda a: (-a.quality, a.name))
    lines += [f"| {a.name} | {a.describes} | {a.quality} |" for a in ranked]
    lines += [
        "",
        "## What each format loses",
        "",
        "Measured on one run kept in every format its trainer writes: where two formats carry the same metric at the",
        "same step, the values are equal, or differ by no more than the digits named here.",
        "",
    ]
    lines += ["| format | keeps | loses |", "|---|---|---|"]
    lines += [f"| {a.name} | {a.keeps} | {a.loses} |" for a in ranked]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """The page of the vocabulary."""
    from rldk.core.vocabulary import vocabulary

    lines = ["# Metrics", "", "The canonical names, and the keys of each trainer that mean them.", ""]
    lines += _spellings_known()
    for name in vocabulary().names():
        metric = vocabulary().metric(name)
        lines += [f"## {name}", "", f"{metric.definition} ({metric.unit})", ""]
        lines += [
            f"- {dialect}: {', '.join(f'`{a.key}`' for a in aliases)}" for dialect, aliases in metric.aliases.items()
        ]
        lines.append("")
    return "\n".join(lines)


def known_spellings(group: Mapping[str, Any]) -> dict[str, bool]:
    """Whether each column of a public log is read as the right metric, or as none where it is no metric.

    `group`: one entry of tests/names/spellings.json. Its columns stand together, as they do in the log."""
    from rldk.adapters.naming.first_rows import Opening
    from rldk.adapters.naming.keys import Hints, Naming

    read: dict[str, set[str]] = {}
    for metric, key in Naming(Opening.of(group["names"]), Hints()).names.items():
        read.setdefault(key, set()).add(metric)
    return {key: metric in read.get(key, ()) if metric else key not in read for key, metric in group["names"].items()}


def _spellings_known() -> list[str]:
    """How many spellings from public logs and code are known, by trainer."""
    counts: dict[str, list[int]] = {}
    for group in json.loads((NAMES / "spellings.json").read_text(encoding="utf-8")):
        right = known_spellings(group)
        metrics = [key for key, metric in group["names"].items() if metric]
        row = counts.setdefault(group["trainer"], [0, 0, 0, 0])
        figures = (len(metrics), sum(right[k] for k in metrics), len(right) - len(metrics))
        row[:] = [a + b for a, b in zip(row, (*figures, len(right) - sum(right.values())), strict=True)]
    total = [sum(row[i] for row in counts.values()) for i in range(4)]
    lines = ["## How many spellings are known", ""]
    lines += [
        f"Of {total[0]} spellings of metrics found in public logs and code, {total[1]} are known. Another",
        f"{total[2]} columns there are no metrics, and rldk must not read them as metrics. The names were collected",
        "from these logs, so the figures are no forecast for other trainers.",
        "",
    ]
    lines += ["| trainer | spellings of metrics | known | other columns | read wrongly |", "|---|---|---|---|---|"]
    lines += [f"| {trainer} | {' | '.join(map(str, row))} |" for trainer, row in sorted(counts.items())]
    return [*lines, ""]


def cli_page() -> str:
    """The help of every command."""
    from rldk.cli.main import main

    lines = ["# Commands", ""]
    shape: dict[str, Any] = {
        "max_content_width": 100,
        "terminal_width": 100,
        "help_option_names": ["-h", "--help"],
    }  # as in a real call
    root = click.Context(main, info_name="rldk", **shape)
    lines += ["```", main.get_help(root), "```", ""]
    for path, command in _commands(main, root):
        context = click.Context(command, info_name=path, **shape)
        lines += [f"## {path}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(lines)


def _commands(group: click.Group, context: click.Context, prefix: str = "rldk") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, click.Context(command), f"{prefix} {name}")


def stale(made: dict[str, str]) -> list[str]:
    """Pages that differ from those on disk, and rule pages on disk without a rule."""
    differ = [name for name, text in made.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != text]
    left = [f"rules/{p.name}" for p in (DOCS / "rules").glob("*.md") if f"rules/{p.name}" not in made]
    return sorted(differ + left)


def write(made: dict[str, str]) -> None:
    for name in stale(made):
        target = DOCS / name
        if name in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(made[name])
        else:
            target.unlink()


def run(argv: list[str]) -> int:
    """The exit code of `python -m rldk.docs`."""
    parser = argparse.ArgumentParser(prog="python -m rldk.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a page is stale")
    made = pages()
    if not parser.parse_args(argv).check:
        write(made)
        return 0
    old = stale(made)
    for name in old:
        sys.stderr.write(f"docs/{name} is stale: run make docs\n")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
