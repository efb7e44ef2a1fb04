"""`rldk explain` and `rldk rules`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from examples import each_of

from rldk.cards.manual import TOPICS
from rldk.cli.main import main
from rldk.core.vocabulary import vocabulary
from rldk.rules.normal import normals
from rldk.rules.rule import rules


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(args))
    return result.exit_code, result.stdout, result.stderr


@each_of("topic", TOPICS)
def test_topics(topic: str) -> None:
    code, out, _ = run("explain", topic)
    assert code == 0
    assert out.startswith(topic)


def test_exit_codes_are_all_there() -> None:
    out = run("explain", "exit-codes")[1]
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "130",
    ]


@pytest.mark.slow
def test_every_rule_and_every_normal_pattern_has_a_page() -> None:
    for rule in (*rules, *normals):
        code, out, _ = run("explain", rule.code)
        assert code == 0
        assert all(f"\n{heading}\n" in out for heading in rule.page.sections)


def test_a_rule_is_found_by_name_and_in_lower_case() -> None:
    rule = next(iter(rules))
    assert run("explain", rule.name)[1] == run("explain", rule.code.lower())[1]
    assert run("rules", "show", rule.code)[1] == run("explain", rule.code)[1]


@pytest.mark.slow
def test_every_metric_has_a_page_with_unit_and_spellings() -> None:
    code, out, _ = run("explain", "kl")
    assert code == 0
    for part in ("unit: ", "trl_grpo: kl", "verl"):
        assert part in out
    assert all(run("explain", name)[0] == 0 for name in vocabulary().metrics)


def test_a_family_goes_by_its_letters_as_written() -> None:
    listed = json.loads(run("explain", "KL", "--json")[1])["pages"][0]["rules"]
    assert {r["family"] for r in listed} == {"KL"}


def test_a_key_of_a_trainer_leads_to_its_metric() -> None:
    assert run("explain", "actor/ppo_kl")[1].startswith("kl_policy_update\n")


def test_a_key_that_means_several_things_leads_to_all_of_them() -> None:
    pages = json.loads(run("explain", "approx_kl", "--json")[1])["pages"]
    assert pages
    assert all(p["kind"] == "metric" for p in pages)


@pytest.mark.parametrize(("wrong", "right"), [("reward_meen", "reward_mean"), ("exit-code", "exit-codes")])
def test_did_you_mean(wrong: str, right: str) -> None:
    code, _, err = run("explain", wrong)
    assert code == 2
    assert right in err


def test_the_list_of_rules_says_the_number_of_the_registry() -> None:
    out = run("rules", "list")[1]
    assert out.rstrip().endswith(f"{len(rules)} rules")
    assert len(json.loads(run("rules", "list", "--json")[1])["rules"]) == len(rules)


def test_the_list_can_be_narrowed() -> None:
    family = next(iter(rules)).family
    for rule in json.loads(run("rules", "list", "--family", family, "--tier", "0", "--json")[1])["rules"]:
        assert (rule["family"], rule["tier"]) == (family, 0)
    assert run("rules", "list", "--family", "NOPE")[0] == 2
