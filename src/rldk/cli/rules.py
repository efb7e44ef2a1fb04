"""`rldk rules list` and `rldk rules show CODE`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rldk.cli.output import json_option, write

if TYPE_CHECKING:
    from rldk.rules.rule import Rule


@click.group("rules")
def command() -> None:
    """List the rules, or show one."""


@command.command("list")
@click.option("--family", help="Only these families, with commas: KL, GRAD ...")
@click.option("--tier", type=click.IntRange(0, 3), help="Only this tier.")
@json_option
def list_rules(family: str | None, tier: int | None, as_json: bool) -> None:
    """Print every rule: code, name, severity, tier."""
    from rldk.cards.manual import rules_table
    from rldk.cards.wire import dumps
    from rldk.rules.select import select_rules

    chosen = [r for r in select_rules(family.split(",") if family else None) if tier is None or r.tier == tier]
    write(dumps({"rules": [facts(r) for r in chosen]}) if as_json else rules_table(chosen))


@command.command("show")
@click.argument("code")
@json_option
def show(code: str, as_json: bool) -> None:
    """Print the page of a rule."""
    from rldk.cards.manual import rule_text
    from rldk.cards.wire import dumps
    from rldk.rules.select import select_rules

    chosen = select_rules([code])
    write(dumps({"rules": [facts(r) for r in chosen]}) if as_json else "\n".join(map(rule_text, chosen)))


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
        "needs": [*rule.needs, *rule.each],
        "algorithms": sorted(rule.algorithms) if rule.algorithms else None,
        "causes": list(rule.causes),
        "fixes": [phrase(fix, None) for fix in rule.fixes],
    }
