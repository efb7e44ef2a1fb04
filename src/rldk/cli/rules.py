"""`rldk rules list|show|test|validate`: the catalogue, presets and rule files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rldk.cards.safe import clean
from rldk.cli.flags import FILE, json_option
from rldk.cli.output import say, write
from rldk.core.files import save
from rldk.errors import UsageError

if TYPE_CHECKING:
    from rldk.rules.rule import Rule


@click.group("rules")
def command() -> None:
    """List the rules and presets, show one, check a rule file and try it on a log.

    \b
    Examples:
      rldk rules list --family KL
      rldk rules validate rules.yaml
      rldk rules test rules.yaml metrics.jsonl
    """


@command.command("list")
@click.option("--family", help="List only these families, with commas: KL,GRAD.")
@click.option(
    "--tier",
    type=click.IntRange(0, 3),
    help="List only the rules of this tier; `rldk explain tiers` says what a tier is.",
)
@click.option(
    "--preset",
    metavar="NAME",
    is_flag=False,
    flag_value="",
    help="List the rules of this preset or rule file; without a NAME, list the presets.",
)
@json_option
def list_rules(family: str | None, tier: int | None, preset: str | None, as_json: bool) -> None:
    """List the rules with code, name, severity and tier, or what a preset holds.

    \b
    Examples:
      rldk rules list --family KL,GRAD
      rldk rules list --preset                    list the presets
      rldk rules list --preset ppo_safe           list the rules of one preset
    """
    if preset is not None:
        write(_presets(as_json) if not preset else _listed(preset, as_json))
        return
    from rldk.cards.manual import rules_table
    from rldk.cards.wire import dumps
    from rldk.rules.select import select_rules

    chosen = [r for r in select_rules(family.split(",") if family else None) if tier is None or r.tier == tier]
    write(dumps({"rules": [facts(r) for r in chosen]}) if as_json else rules_table(chosen))


@command.command("show")
@click.argument("code")
@json_option
def show(code: str, as_json: bool) -> None:
    """Print the page of a rule: what it does, why it matters, what to try.

    CODE is a code, a name or a family of rules.

    \b
    Example:
      rldk rules show KL001
    """
    from rldk.cards.manual import rule_text
    from rldk.cards.wire import dumps
    from rldk.rules.select import select_rules

    chosen = select_rules([code])
    write(dumps({"rules": [facts(r) for r in chosen]}) if as_json else "\n".join(map(rule_text, chosen)))


@command.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
def validate(files: tuple[str, ...], as_json: bool) -> int:
    """Check rule files and print every problem in them.

    FILE is a rule file; you may give several. The exit code is 2 when one of them has a problem.

    \b
    Example:
      rldk rules validate rules.yaml
    """
    from rldk.cards.wire import dumps
    from rldk.rules.files.document import RuleFileError
    from rldk.rules.files.load import load_rules

    results: list[dict[str, Any]] = []
    lines: list[str] = []
    for name in files:
        try:
            file = load_rules(name)
        except RuleFileError as error:
            results.append({"file": name, "valid": False, "problems": error.problems})
            lines += [f"{p}" + (f"\n  {p.hint}" if p.hint else "") for p in error.problems]
        else:
            acting = f", {len(file.actions)} with actions" if file.actions else ""
            results.append({"file": name, "valid": True, "rules": len(file.rules), "notes": file.notes})
            lines += [f"{name}: {len(file.rules)} rules{acting}: fine", *(f"note: {note}" for note in file.notes)]
    write(
        dumps({"files": results}) if as_json else "\n".join(clean(line, 2000) for t in lines for line in t.split("\n"))
    )
    return 0 if all(r["valid"] for r in results) else 2


@command.command("test")
@click.argument("file")
@click.argument("log")
@click.option(
    "--set-rule",
    "settings",
    multiple=True,
    metavar="ID.field=VALUE",
    help="Change one field of a rule; you may repeat the option.",
)
@click.option(
    "--html",
    type=FILE,
    help="Also write a page with the curves to this file.",
)
@click.option("--all", "everything", is_flag=True, help="Print every rule, also the rules that stayed quiet.")
@json_option
def try_out(
    file: str, log: str, *, settings: tuple[str, ...], html: Path | None, everything: bool, as_json: bool
) -> None:
    """Show what the rules of FILE would have done on a finished LOG.

    FILE is a rule file or the name of a preset, LOG is a file or a directory. No action is carried out.

    \b
    Examples:
      rldk rules test rules.yaml metrics.jsonl
      rldk rules test ppo_safe metrics.jsonl --set-rule KL002.rows=5 --html trial.html
    """
    from rldk.cards.rulebook import trial_page, trial_text, trials
    from rldk.cards.wire import dumps
    from rldk.diagnosis import diagnose_run, runs_in
    from rldk.rules.files.load import load_rules

    rules = load_rules(file, overrides=settings)
    runs = runs_in(log)
    if len(runs) > 1 and (html or as_json):
        raise UsageError(f"{log} holds {len(runs)} runs", hint="name one of them")
    reports = [diagnose_run(run, rules) for run in runs]
    if html is not None:
        save(html, trial_page(rules, reports[0]))
        say(f"wrote {html}")
    if as_json:
        write(dumps({"file": rules.name, "log": log, "rules": trials(rules, reports[0])}))
    else:
        write("\n".join(trial_text(rules, report, everything=everything) for report in reports))


def _presets(as_json: bool) -> str:
    from rldk.cards.rulebook import presets_text
    from rldk.cards.wire import dumps
    from rldk.rules.files.load import load_rules
    from rldk.rules.files.preset import preset_names

    files = [load_rules(name) for name in preset_names()]
    if as_json:
        return dumps({"presets": [{"name": f.name, "what": f.description, "rules": len(f.rules)} for f in files]})
    return presets_text(files)


def _listed(preset: str, as_json: bool) -> str:
    from rldk.cards.rulebook import file_text
    from rldk.cards.wire import dumps
    from rldk.rules.files.load import load_rules

    file = load_rules(preset)
    if not as_json:
        return file_text(file)
    listed = [{**facts(r), "actions": [a.kind for a in file.actions.get(r.code, ())]} for r in file.rules]
    return dumps({"preset": file.name, "what": file.description, "rules": listed})


def facts(rule: Rule) -> dict[str, Any]:
    """A rule as JSON."""
    from rldk.rules.knobs import phrase

    return {
        "code": rule.code,
        "name": rule.name,
        "family": rule.family,
        "severity": rule.severity,
        "tier": rule.tier,
        "what": rule.page.what,
        "page": dict(rule.page.sections),
        "needs": [*rule.needs, *rule.also, *rule.each],
        "algorithms": sorted(rule.algorithms) if rule.algorithms else None,
        "causes": list(rule.causes),
        "fixes": [phrase(fix, None) for fix in rule.fixes],
    }
