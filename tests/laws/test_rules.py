"""Every rule is documented, sourced, and asks for its features before it branches."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rldk.core.algorithms import ALGORITHMS
from rldk.core.vocabulary import vocabulary
from rldk.rules.catalogue.metrics import DERIVED
from rldk.rules.knobs import CONCEPTS, phrase
from rldk.rules.normal import normals
from rldk.rules.page import HEADINGS
from rldk.rules.rule import Rule, rules
from rldk.rules.sample_view import TALLY_WORDS, SampleView
from rldk.rules.subject import BY_ROW, SUBJECTS

ALL: tuple[Rule, ...] = (*rules, *normals)


def _wrong_with(rule: Rule) -> Iterator[str]:
    if set(rule.page.sections) != set(HEADINGS):
        yield f"its page has the headings {', '.join(rule.page.sections)}"
    if rule.severity == "critical" and rule.tier == 2:
        yield "a statistical condition alone is a warning at most"
    if rule.algorithms is not None and not rule.algorithms <= ALGORITHMS:
        yield f"unknown algorithms: {rule.algorithms - ALGORITHMS}"
    if any("{" in phrase(fix, None) for fix in rule.fixes):
        yield "a fix has a placeholder that is left empty"
    if not rule.note and not re.fullmatch(r"[A-Z]+\d{3}", rule.code):
        yield "its code is not letters and three digits"
    if not rule.note and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name):
        yield f"its name is {rule.name}"
    if not rule.note and not (rule.causes and rule.fixes):
        yield "it has no cause or no fix"


def test_pages_and_metadata_are_complete() -> None:
    assert not [f"{rule.code}: {wrong}" for rule in ALL for wrong in _wrong_with(rule)]


def test_needed_metrics_are_canonical() -> None:
    known = {*vocabulary().names(), *DERIVED, "step", "segment", "row_interval_s"}
    named = {
        n.removeprefix("eval_").removeprefix("train_"): r.code for r in ALL if r.subject in BY_ROW for n in r.needs
    }
    assert not {name: code for name, code in named.items() if name not in known}


def test_a_rule_over_a_configuration_needs_concepts_and_one_of_a_subject_its_view() -> None:
    assert {r.subject for r in ALL} <= set(SUBJECTS)
    assert not [r.code for r in ALL if r.subject == "config" and not set(r.needs) <= set(CONCEPTS)]
    assert len([r for r in ALL if r.subject == "config"]) >= 6
    once = [r for r in ALL if r.subject not in BY_ROW]
    assert not [r.code for r in once if r.each or r.also or (r.rows != 1 and r.subject != "records")]
    assert not [r.code for r in once if r.subject == "records" and not {*r.needs} <= TALLY_WORDS.keys()]
    assert TALLY_WORDS.keys() <= {*SampleView.__struct_fields__}


def test_names_are_unique() -> None:
    names = [r.name for r in rules]
    assert len(names) == len(set(names))


FAMILIES = {
    "ADV": "advantage", "CFG": "config", "CKPT": "checkpoint", "CLIP": "clip", "DATA": "data", "DET": "determinism",
    "ENT": "entropy", "ENV": "environment", "EVAL": "evaluation", "GRAD": "gradient", "KL": "kl", "LEN": "length",
    "MET": "metrics", "OFF": "offpolicy", "OPT": "optimiser", "PREF": "preference", "REW": "reward", "RM": "reward",
    "SYS": "system", "VAL": "value",
}  # fmt: skip
BY_SUBJECT = ".catalogue.samples."  # the one folder whose rules share a subject, not a family


def test_the_family_of_a_code_is_the_first_word_of_its_file() -> None:
    modules = {rule.code: rule.body.__module__ for rule in rules if BY_SUBJECT not in rule.body.__module__}
    homes = {code: module.rpartition(".")[2] for code, module in modules.items()}
    assert not {c: home for c, home in homes.items() if home.split("_")[0] != FAMILIES[c.rstrip("0123456789")]}
