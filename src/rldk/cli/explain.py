"""`rldk explain CODE|METRIC|TOPIC`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from msgspec.structs import asdict

from rldk.cli.flags import json_option
from rldk.cli.output import write
from rldk.errors import UnknownName


@click.command("explain")
@click.argument("name")
@json_option
def command(name: str, as_json: bool) -> None:
    """Explain a rule, a metric or a topic.

    NAME is the code or the name of a rule, the letters of a family of rules (KL), a metric in the spelling of any
    trainer, or a topic: exit-codes, severities, tiers, verdicts. It may also name a pattern that looks odd but is
    normal.

    \b
    Examples:
      rldk explain KL001
      rldk explain objective/kl
      rldk explain exit-codes
    """
    from rldk.cards.wire import dumps

    pages = _pages(name)
    if as_json:
        write(dumps({"name": name, "pages": [facts for _, facts in pages]}))
    else:
        write("\n".join(text for text, _ in pages))


def _pages(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Every page that the name stands for, as (text, JSON). Raises `UnknownName` with the nearest known name."""
    from rldk.cards.manual import TOPICS, rule_text, rules_table, topic_text
    from rldk.cli.rules import facts
    from rldk.rules.files.load import preset_rule
    from rldk.rules.normal import normals
    from rldk.rules.rule import rules

    key = name.strip()
    if key in TOPICS:
        return [(topic_text(key), {"topic": key, "text": topic_text(key)})]
    hits = [r for r in (*rules, *normals) if key.upper() == r.code.upper() or key.lower() == r.name.lower()]
    shipped = preset_rule(key)
    hits += [shipped] if shipped else []
    if hits:
        return [(rule_text(r), facts(r)) for r in hits]
    family = [r for r in rules if r.family == key]  # as written: `kl` is the metric, `KL` the family
    if family:
        return [(rules_table(family), {"family": key, "rules": [facts(r) for r in family]})]
    found = list(_metrics(key))
    if found:
        return found
    raise UnknownName("rule, metric or topic", key, _known())


def _metrics(key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The page of the metric with that name, or of every metric that some trainer spells like that."""
    from rldk.cards.manual import metric_text
    from rldk.core.vocabulary import vocabulary

    known = vocabulary()
    name = known.canonical(key)
    names = (
        [name]
        if name
        else [m for m, spec in known.metrics.items() if any(a.key == key for s in spec.aliases.values() for a in s)]
    )
    if not names:
        match = known.resolve(key)
        names = [match.canonical] if match else []
    for metric in map(known.metric, names):
        words = {w for s in metric.aliases.values() for a in s for w in a.est.split()} & known.estimators.keys()
        estimators = [f"{w}: {known.estimators[w].definition}" for w in sorted(words)]
        yield metric_text(metric, estimators), {"kind": "metric", **asdict(metric)}


def _known() -> set[str]:
    from rldk.cards.manual import TOPICS
    from rldk.core.vocabulary import vocabulary
    from rldk.rules.normal import normals
    from rldk.rules.rule import rules

    metrics = vocabulary().metrics
    spelled = {a for m in metrics.values() for a in m.also_known_as}
    return {
        *TOPICS,
        *rules.names(),
        *(r.family for r in rules),
        *(r.name for r in rules),
        *normals.names(),
        *metrics,
        *spelled,
    }
