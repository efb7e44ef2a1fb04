"""`rldk rules validate`, `test` and `list --preset`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main
from rldk.rules.files.preset import preset_names

ROOT = Path(__file__).parents[2]
COLLAPSE = str(ROOT / "tests" / "fixtures" / "trl-grpo-collapse" / "trainer_state.json")
HEALTHY = str(ROOT / "tests" / "fixtures" / "trl-grpo" / "checkpoint-40")


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(args))
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong.yaml"
    path.write_text("rules:\n  - id: a\n    metric: kl\n    condition: vlaue > 3\n  - use: KL902\n")
    return str(path)


def test_the_presets_are_listed_and_each_one_can_be() -> None:
    out = run("rules", "list", "--preset")[1]
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(preset_names())
    listed = run("rules", "list", "--preset", "grpo_safe")[1]
    assert re.search(r"^grpo_safe_policy_grad_spike +warn +warn +Fires when value > 8\.0\.$", listed, re.M)
    data = json.loads(run("rules", "list", "--preset", "grpo_safe", "--json")[1])
    assert {"code", "actions", "what"} <= data["rules"][0].keys()


def test_a_preset_misspelt_names_the_nearest() -> None:
    code, _, err = run("rules", "list", "--preset", "grpo_saef")
    assert code == 2
    assert "grpo_safe" in err


def test_validate_names_every_problem_and_exits_2(wrong: str) -> None:
    code, out, _ = run("rules", "validate", wrong, "grpo_safe")
    assert code == 2
    assert f"{wrong}:4: rule a: `vlaue > 3`: condition: unknown name 'vlaue'\n  did you mean value" in out
    assert f"{wrong}:5: rule KL902: unknown rule" in out
    assert re.search(r"^grpo_safe: \d+ rules, \d+ with actions: fine$", out, re.M)
    problems = json.loads(run("rules", "validate", wrong, "--json")[1])["files"][0]["problems"]
    assert [(p["line"], p["rule"]) for p in problems] == [(4, "a"), (5, "KL902")]


def test_the_example_in_the_root_is_valid_and_works() -> None:
    assert run("rules", "validate", str(ROOT / "rules.yaml"))[0] == 0
    code, out, _ = run("rules", "test", str(ROOT / "rules.yaml"), COLLAPSE)
    assert code == 0
    assert re.search(r"^REW001 +critical +1 +37 +\d+ ", out, re.M)


def test_a_trial_says_what_fired_where_and_what_could_not_be_checked(tmp_path: Path) -> None:
    page = tmp_path / "trial.html"
    code, out, err = run("rules", "test", "grpo_safe", COLLAPSE, "--html", str(page))
    assert code == 0
    assert re.search(r"^grpo_safe_variance_collapse +warn +1 +51 +\d+ +warn stop +the spread of the rewards", out, re.M)
    assert "not checked:" in out
    assert "wrote" in err
    text = page.read_text()
    assert "<svg" in text
    assert "grpo_safe_variance_collapse" in text
    assert "<script" not in text


@pytest.mark.slow
def test_a_trial_on_a_healthy_run_has_nothing_loud_and_lists_all_when_asked() -> None:
    out = run("rules", "test", "grpo_strict", HEALTHY)[1]
    assert not re.search(r"^\S+ +(warn|critical) ", out, re.M)
    every = json.loads(run("rules", "test", "grpo_strict", HEALTHY, "--json")[1])["rules"]
    assert all(r["fires"] == 0 or r["severity"] == "info" for r in every)
    assert run("rules", "test", "grpo_strict", HEALTHY, "--all")[1].count("grpo_strict_") == len(
        [r for r in every if r["code"].startswith("grpo_strict_")]
    )


def test_a_trial_takes_settings_and_hostile_names(tmp_path: Path) -> None:
    rules, log = tmp_path / "r.yaml", tmp_path / "m.jsonl"
    rules.write_text('rules:\n  - id: r\n    metric: "*"\n    condition: value > 100\n')
    name = "<script>\\u001b[31m{value.__class__}"
    log.write_text("".join(f'{{"step": {i}, "{name}": 7, "loss": 0.1}}\n' for i in range(5)))
    out = run(
        "rules", "test", str(rules), str(log), "--set-rule", "r.condition=value > 5", "--html", str(tmp_path / "t.html")
    )[1]
    assert re.search(r"^r +warn +1 +0 +5 ", out, re.M)
    assert "\x1b" not in out
    assert "<script" not in (tmp_path / "t.html").read_text()


@pytest.mark.slow
def test_a_page_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    assert run("rules", "test", "default", COLLAPSE, "--html", str(tmp_path / "no" / "t.html"))[0] == 2


def test_a_rule_of_a_preset_can_be_explained() -> None:
    code, out, _ = run("explain", "grpo_safe_grad_ratio_imbalance")
    assert code == 0
    assert "value / last(grad_norm_value) > 4.5" in out
