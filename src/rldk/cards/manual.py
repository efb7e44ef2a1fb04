"""The pages of `rldk explain` as text: a rule, a metric, a topic."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rldk.cards.words import SEVERITY_WORDS, plural

if TYPE_CHECKING:
    from rldk.core.glossary import Metric
    from rldk.rules.rule import Rule

WIDTH = 96
TIERS = {
    0: "identity: must hold exactly",
    1: "published threshold",
    2: "self-calibrating: against the run's own past",
    3: "joint verdict of independent signals",
}
TOPICS = {
    "exit-codes": (
        "The meaning of every exit code. With several inputs, the worst one counts.",
        (
            "0  fine",
            "1  findings at or above --fail-on (default critical), or a check that did not pass",
            "2  usage: the command, an option or a setting is wrong",
            "3  the input cannot be read, is no log, or nothing that matters in it was understood",
            "4  an optional package is missing; the hint has the install command",
            "5  internal error: a bug in rldk",
            "130  interrupted",
        ),
    ),
    "health": (
        "The probability that a run is healthy, given what its log shows.",
        (
            "It comes from a logistic model on three pieces of evidence: the rule families that warned, the families "
            "that found the impossible (each counts half after 500 rows of silence), and the largest departure of a "
            "metric from its own line, below the limit of the rules.",
            "The model is fitted on labelled runs, with equal chances of healthy and faulty beforehand. `rldk bench` "
            "measures how well it orders them. It is not known before 20 rows, unless something was found.",
            "Stability is the share of the newest 100 training rows outside of any warning.",
            "Neither decides a severity, a status or an exit code.",
        ),
    ),
    "verdicts": (
        "The verdicts of a report without findings. They depend on how much of the log was understood.",
        (
            "No problem found  the metrics that matter for such a run were checked: a reward or return and one of "
            "loss, KL, entropy or gradients for a policy; accuracy or margin and the loss for preferences; the loss "
            "and one of gradients, evaluation loss or learning rate for supervised training",
            "Too early to say  the same metrics were checked, but on fewer than 20 rows",
            "Partly judged  some of those metrics were there; the verdict names the others",
            "Not judged  none of those metrics was there; the exit code is 3",
            "A metric was there when it had 5 values, or values on half of the rows of a shorter log. Every report "
            "lists the columns that rldk does not know. With --field-map you say what they are. The report proposes "
            "a field map where the names and the values of unknown columns fit a metric.",
        ),
    ),
    "severities": (
        "How loud a finding is.",
        (
            "critical  the run is broken or its numbers are wrong; needs an identity (tier 0), a joint verdict "
            "(tier 3), or two independent warnings close together",
            "warn  something is going wrong, and a person should look",
            "info  this is worth knowing, but no reason to worry by itself",
        ),
    ),
    "tiers": ("The kinds of evidence of a rule, strongest first.", tuple(f"{t}  {text}" for t, text in TIERS.items())),
}


def rule_text(rule: Rule) -> str:
    """The page of a rule or of a normal pattern."""
    from rldk.rules.knobs import phrase
    from rldk.rules.measured import measurement

    head = f"{rule.code} {rule.name}" if rule.code != rule.name else rule.code
    kind = (
        "normal by construction"
        if rule.note
        else f"{SEVERITY_WORDS[rule.severity].lower()}, tier {rule.tier} ({TIERS[rule.tier]})"
    )
    blocks = [f"{head}\n{kind}", _wrap(rule.page.what)]
    blocks += [f"{title}\n{_wrap(text, 2)}" for title, text in rule.page.sections.items() if title != "Source"]
    blocks += _listed("Likely causes", rule.causes, numbered=True)
    blocks += _listed("What to try", [phrase(fix, None) for fix in rule.fixes])
    blocks += _listed("Inputs", [f"{what} {said}" for what, said in rule_inputs(rule).items()])
    blocks.append(f"Source\n{_wrap(rule.page.sections['Source'], 2)}")
    blocks += [] if rule.note else [f"Measured\n{_wrap(measurement(rule.code), 2)}"]
    return "\n\n".join(blocks) + "\n"


def rule_inputs(rule: Rule) -> dict[str, str]:
    """What a rule needs, what it looks at and for which algorithms it is defined, by these words."""
    from rldk.rules.knobs import CONCEPTS
    from rldk.rules.subject import BY_ROW, MISSING, SEEN

    if rule.subject in BY_ROW:
        needs = [*rule.needs, *rule.also, *(f"every metric like `{p}`" for p in rule.each)]
        needed, seen = ", ".join(needs) or "every row", f"{rule.phase} rows{_streak(rule)}"
    else:
        words = CONCEPTS if rule.subject == "config" else MISSING[rule.subject]
        needed = ", ".join(words.get(need, need) for need in rule.needs)
        seen = SEEN[rule.subject] + _streak(rule)
    return {
        "needs": needed,
        "looks at": seen,
        "defined for": ", ".join(sorted(rule.algorithms)) if rule.algorithms else "every algorithm",
    }


def _streak(rule: Rule) -> str:
    return f", {rule.rows} of {max(rule.rows, rule.within)}" if rule.rows > 1 else ""


def metric_text(metric: Metric, estimators: Iterable[str] = ()) -> str:
    """The page of a canonical metric: its meaning, and how each trainer spells it."""
    low, high = metric.range
    facts = [f"unit: {metric.unit}", f"direction: {metric.direction}"]
    if low is not None or high is not None:
        when = f" (for {metric.range_when})" if metric.range_when else ""
        facts.append(
            f"range: {'-inf' if low is None else f'{low:g}'} to {'inf' if high is None else f'{high:g}'}{when}"
        )
    facts += [f"also called {', '.join(metric.also_known_as)}"] if metric.also_known_as else []
    facts += [f"NaN means {metric.nan_means}"] if metric.nan_means else []
    blocks = [metric.name, _wrap(metric.definition), *_listed("Facts", facts)]
    blocks += [_wrap(metric.note)] if metric.note else []
    blocks += _listed("Estimators", estimators)
    blocks += _listed("Spelled", [_spelling(d, alias) for d, aliases in metric.aliases.items() for alias in aliases])
    return "\n\n".join(blocks) + "\n"


def _spelling(dialect: str, alias: Any) -> str:
    said = [f"transform {alias.transform}"] if alias.transform else []
    said += [f"estimator {alias.est}"] if alias.est else []
    said += [f"since {alias.since}"] if alias.since else []
    said += [f"until {alias.until}"] if alias.until else []
    said += [alias.note] if alias.note else []
    return f"{dialect}: {alias.key}" + (f" ({'; '.join(said)})" if said else "")


def topic_text(name: str) -> str:
    """The page of a topic of `TOPICS`."""
    what, items = TOPICS[name]
    return "\n\n".join([name, _wrap(what), "\n".join(_wrap(item, 2, hang=4) for item in items)]) + "\n"


def rules_table(rules: Sequence[Rule]) -> str:
    """A table of rules with one line each, their numbers by family, tier and data need, and the total."""
    width = max((len(r.name) for r in rules), default=0)
    lines = [f"{r.code:<8} {r.name:<{width}}  {SEVERITY_WORDS[r.severity].lower():<8}  tier {r.tier}" for r in rules]
    counts = [
        _wrap(f"by {word}: " + ", ".join(f"{key} {n}" for key, n in sorted(Counter(keys).items())), hang=2)
        for word, keys in (
            ("family", [r.family for r in rules]),
            ("tier", [str(r.tier) for r in rules]),
            ("data need", [r.data for r in rules]),
        )
    ]
    return "\n".join([*lines, "", *counts, plural(len(rules), "rule")]) + "\n"


def _listed(title: str, items: Iterable[str], *, numbered: bool = False) -> list[str]:
    lines = [_wrap(f"{i}. {t}" if numbered else f"- {t}", 2, hang=3 if numbered else 2) for i, t in enumerate(items, 1)]
    return ["\n".join([title, *lines])] if lines else []


def _wrap(text: str, indent: int = 0, *, hang: int = 0) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )
