from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from examples import each_of, few
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.core.model import Report
from rldk.engine.scan import scan
from rldk.errors import ConfigError, UnknownName
from rldk.rules.files.action import Action
from rldk.rules.files.document import MAX_BYTES, RuleFileError, read_yaml
from rldk.rules.files.expression import compile_condition
from rldk.rules.files.load import RuleFile, load_rules, override, rules_in
from rldk.rules.files.syntax import BadExpression
from rldk.rules.files.where import select_where
from rldk.rules.rule import rules
from rldk.testing import run_of

USED = "KL001" if "KL001" in rules else "KL009"
SPEC = """
rules:
  - id: kl_spike
    where: name in ("kl", "kl_mean")         # or  metric: kl   ; tags.phase == "train" allowed
    condition: value > 0.30                   # or mean(value) / max / min / std / count / slope / any / all
    window: {size: 2, kind: consecutive}      # consecutive | rolling
    grace_steps: 12
    cooldown_steps: 12
    severity: warn                            # info | warn | critical
    actions:
      - warn: {msg: "KL spike {value:.3f} at step {step}"}
      - stop: {msg: "..."}                    # needs --pid, or the callback
      - sentinel: {path: artifacts/STOP}
      - shell: {command: ["notify", "{name}"]}   # argv list; only with --allow-actions shell
      - http: {url: "https://example.org/hook", payload: {text: "{name}"}}
  - use: KL001                                # [+] a catalogue rule, with overrides
    warn: 5
""".replace("KL001", USED)


def _file(text: str) -> RuleFile:
    return rules_in(read_yaml(text, "my.yaml"))


def _one(lines: str) -> RuleFile:
    """A file of one rule on kl with these further keys."""
    body = "".join(f"\n    {line}" for line in lines.strip().splitlines())
    return _file(f"rules:\n  - id: my_rule\n    metric: kl{body}")


def _judge(file: RuleFile, columns: dict[str, Any], **options: Any) -> Report:
    return scan(run_of(columns, **options), file.rules)


def _fired(file: RuleFile, kl: list[float], **options: Any) -> list[tuple[int, int]]:
    return [(f.first_step, f.last_step) for f in _judge(file, {"kl": list(kl)}, **options).findings]  # type: ignore[misc]


def test_the_documented_example_compiles() -> None:
    file = _file(SPEC)
    spike, used = file.rules
    assert (spike.code, spike.needs, spike.phase, spike.rows, spike.cooldown_steps, spike.family) == (
        "kl_spike", ("kl",), "train", 2, 12, "KL",
    )  # fmt: skip
    assert used.code == USED
    assert [a.kind for a in file.actions["kl_spike"]] == ["warn", "stop", "sentinel", "shell", "http"]
    assert file.actions["kl_spike"][0] == Action("warn", {"msg": "KL spike {value:.3f} at step {step}"})
    assert file.notes == ()


def test_the_documented_example_waits_twelve_steps_for_two_rows_and_is_one_finding() -> None:
    kl = [0.4] * 8 + [0.1] * 4 + [0.1, 0.4, 0.1, 0.35, 0.4, 0.4] + [0.1] * 5 + [0.4, 0.4]
    (finding,) = [f for f in _judge(_file(SPEC), {"kl": [*kl]}).findings if f.code == "kl_spike"]
    assert (finding.onset, finding.first_step, finding.last_step) == (16, 17, 25)
    assert (finding.value, finding.limit, finding.severity) == (0.4, 0.3, "warn")
    assert finding.message == "kl is 0.4 (limit 0.3) (value > 0.30)"


@each_of(
    ("lines", "kl", "expected"),
    [
        ("condition: value > 1", [0, 2, 0], [(2, 2)]),
        ("condition: value > 1\nwindow: {size: 3}", [2, 2, 0, 2, 2, 2, 2], [(6, 7)]),
        ("condition: mean(value) > 1\nwindow: {size: 3, kind: rolling}", [2, 2, 2, 0, 0], [(3, 4)]),
        ("condition: mean(value) > 1\nwindow: {size: 3, kind: consecutive}", [2, 2, 2, 0, 0], [(3, 4)]),
        ("condition: all(value > 1)\nwindow: {size: 3, kind: rolling}", [2, 2, 2, 2, 0], [(3, 4)]),
        ("condition: any(value > 1)\nwindow: {size: 3, kind: rolling}", [0, 2, 0, 0, 0], [(3, 4)]),
        ("condition: count(value > 1) >= 2\nwindow: {size: 3, kind: rolling}", [2, 0, 2, 0, 0], [(3, 3)]),
        ("condition: slope(value) > 0.9\nwindow: {size: 3, kind: rolling}", [0, 0, 1, 2, 2], [(4, 4)]),
        ("condition: 1 < value < 3", [0, 1, 2, 3, 5], [(3, 3)]),
        ("condition: 3 > value >= 1 < step", [5, 5, 2, 0, 0], [(3, 3)]),
        ("condition: value > 1\ncooldown_steps: 2", [2, 0, 0, 2], [(1, 1), (4, 4)]),
        ("condition: value > 1\ncooldown_steps: 3", [2, 0, 0, 2], [(1, 4)]),
        ("condition: value > 1\ngrace_steps: 2", [2, 2, 2], [(3, 3)]),
        ("condition: value > 1\nenabled: false", [2, 2, 2], []),
        ("condition: step >= 2 and value > 1", [2, 2, 2], [(2, 3)]),
    ],
)
def test_windows_grace_and_cooldown(lines: str, kl: list[float], expected: list[tuple[int, int]]) -> None:
    found = _fired(_one(lines), [float(x) for x in kl])
    assert [(a, b) for a, b in found] == [(a, b if b >= a else a) for a, b in expected]


def test_a_rule_watches_each_metric_of_its_where_in_its_phase() -> None:
    where = 'name in ("reward_fn/*/mean", "kl") and tags.phase == "train"'
    text = f"rules:\n  - id: r\n    where: {where}\n    condition: value > 1"
    found = _judge(_file(text), {"reward_fn/a/mean": [2.0], "reward_fn/b/std": [2.0], "kl": [0.0]}).findings
    assert [f.metric for f in found] == ["reward_fn/a/mean"]
    (rule,) = _file('rules: [{id: r, where: name == "reward" and tags.phase == "eval", condition: value > 1}]').rules
    assert (rule.needs, rule.phase) == (("eval_reward_mean",), "eval")


def test_another_metric_must_be_there_or_the_rule_is_skipped() -> None:
    bare, last = _one("condition: value > entropy"), _one("condition: value > last(entropy)")
    (check,) = _judge(bare, {"kl": [1.0]}).skipped
    assert check.reason == "needs entropy"
    assert _judge(last, {"kl": [1.0]}).checked == ()
    assert len(_judge(last, {"kl": [None, 1.0], "entropy": [0.5, None]}).findings) == 1


def test_a_critical_of_the_users_own_stays_critical_and_an_info_quiet() -> None:
    loud, quiet = (_judge(_one(f"condition: value > 1\nseverity: {s}"), {"kl": [2.0]}) for s in ("critical", "info"))
    assert (loud.worst(), loud.passed, quiet.worst()) == ("critical", False, "info")


@each_of(
    ("lines", "values", "expected"),
    [
        ("warn: 5", [0.0, 3.0, 4.0], "info"),
        ("warn: 5", [0.0, 3.0, 9.0], "warn"),
        ("severity: info", [0.0, 3.0, 9.0], "info"),
        ("rows: 60", [0.0, 3.0, 9.0], None),
        ("grace_steps: 1000", [0.0, 3.0, 9.0], None),
    ],
)
def test_a_rule_of_the_catalogue_takes_overrides(lines: str, values: list[float], expected: str | None) -> None:
    body = "\n    ".join(lines.splitlines())
    file = _file(f"rules:\n  - use: CLIP005\n    {body}")
    level = [x for x in values for _ in range(15)]
    assert _judge(file, {"kl_policy_update": [*level]}, algorithm="ppo").worst() == expected


def test_a_family_is_taken_apart_and_one_of_it_may_be_said_again() -> None:
    file = _file("rules:\n  - use: KL\n  - use: KL002\n    severity: warn\n  - use: KL003\n    enabled: false")
    assert {r.code for r in file.rules} == {r.code for r in rules if r.family == "KL"} - {"KL003"}
    assert {r.code: r.severity for r in file.rules}["KL002"] == "warn"


RULE = "rules:\n  - id: my_rule\n    metric: kl\n    "
WHERE, THEN = "rules:\n  - id: r\n    where: ", "\n    condition: value > 1"
ERRORS: dict[str, tuple[str, str, str]] = {  # file -> what the message and the hint must say
    "": ("my.yaml:1", "no list of rules", "rules:"),
    "rules: []": ("my.yaml:1", "no list of rules", ""),
    "rules: 3": ("my.yaml:1", "no list of rules", ""),
    "- id: x": ("my.yaml:1", "a mapping is expected", ""),
    "rulse: []": ("my.yaml:1", "unknown key 'rulse'", "rules"),
    "rules:\n  - 3": ("my.yaml:2", "a mapping is expected", ""),
    "rules:\n  - condition: value > 1": ("my.yaml:2", "or `use` and a code", "id:"),
    "rules:\n  - id: 3\n    metric: kl": ("my.yaml:2", "id is 3", "letters"),
    "rules:\n  - id: a b\n    metric: kl": ("my.yaml:2", "id is 'a b'", "letters"),
    "rules:\n  - id: KL002\n    metric: kl" + THEN: ("my.yaml:2", "rule of the catalogue", "use: KL002"),
    RULE + "condition: value > 1\n  - id: my_rule\n    metric: kl": ("my.yaml:5", "line 2 already", ""),
    "rules:\n  - id: r" + THEN: ("my.yaml:2: rule r", "either `metric` or `where`", "metric: kl"),
    RULE + 'where: name == "kl"\n    condition: value > 1': ("my.yaml:4", "either `metric` or `where`", ""),
    RULE + "severity: warn": ("my.yaml:2: rule my_rule", "no condition", "value > 0.3"),
    RULE + "conditoin: value > 1": ("my.yaml:4: rule my_rule", "unknown key 'conditoin'", "condition"),
    RULE + "condition: vlaue > 0.3": ("my.yaml:4: rule my_rule: `vlaue > 0.3`", "unknown name 'vlaue'", "value"),
    RULE + "condition: maen(value) > 0.3": ("my.yaml:4: rule my_rule", "unknown function 'maen'", "mean"),
    RULE + "condition: value >": ("my.yaml:4: rule my_rule: `value >`", "this is not an expression", ""),
    RULE + "condition: std(value) > 1": ("my.yaml:4", "window of 2", "size"),
    RULE + "condition: true": ("my.yaml:4", "condition is True", "expression"),
    RULE + "condition: value > 1\n    severity: wran": ("my.yaml:5: rule my_rule", "severity is 'wran'", "warn"),
    RULE + "condition: value > 1\n    window: 3": ("my.yaml:5", "window is 3", "size"),
    RULE + "condition: value > 1\n    window: {sise: 3}": ("my.yaml:5", "unknown key 'window.sise'", "size"),
    RULE + "condition: value > 1\n    window: {size: 0}": ("my.yaml:5", "window.size is 0", "1 to"),
    RULE + "condition: value > 1\n    window: {size: 2, kind: roling}": ("my.yaml:5", "window.kind is", "rolling"),
    RULE + "condition: value > 1\n    grace_steps: -1": ("my.yaml:5", "grace_steps is -1", "whole"),
    RULE + "condition: value > 1\n    grace_steps: yes": ("my.yaml:5", "grace_steps is True", "whole"),
    RULE + "condition: value > 1\n    family: KLX": ("my.yaml:5", "family is 'KLX'", "KL"),
    RULE + "condition: value > 1\n    algorithms: [pppo]": ("my.yaml:5", "algorithms is", "ppo"),
    RULE + "condition: value > 1\n    message: '{vlaue}'": ("my.yaml:5", "no placeholder {vlaue}", "value"),
    RULE + "condition: value > 1\n    message: '{value:999999}'": ("my.yaml:5", "not allowed", ".3g"),
    RULE + "condition: value > 1\n    message: '{value.real}'": ("my.yaml:5", "no placeholder", ""),
    RULE + "condition: value > 1\n    message: '{'": ("my.yaml:5", "Single '{'", "twice"),
    RULE + "condition: value > 1\n    fixes: ['lower {lrr}']": ("my.yaml:5", "no configuration key {lrr}", "lr"),
    RULE + "condition: value > 1\n    fixes: ['{lr:>999999999}']": ("my.yaml:5", "no configuration key", ""),
    RULE + "condition: value > 1\n    actions: stop": ("my.yaml:5", "actions is 'stop'", "list"),
    RULE + "condition: value > 1\n    actions: [wran]": ("my.yaml:5: rule my_rule", "unknown action 'wran'", "warn"),
    RULE + "condition: value > 1\n    actions: [{warn: {}, stop: {}}]": ("my.yaml:5", "is not an action", "item"),
    RULE + "condition: value > 1\n    actions: [{warn: hello}]": ("my.yaml:5", "warn is 'hello'", "mapping"),
    RULE + "condition: value > 1\n    actions: [{shell: {command: rm x}}]": ("my.yaml:5", "not a shell line", ""),
    WHERE + "value > 1" + THEN: ("my.yaml:3: rule r: `value > 1`", "'value'", "name"),
    WHERE + "tags.phase == 'train'" + THEN: ("my.yaml:3", "no metric is named", "name =="),
    WHERE + "name == 'kl' and tags.pahse == 'x'" + THEN: ("my.yaml:3", "one name", ""),
    WHERE + "tags.pahse == 'train'" + THEN: ("my.yaml:3", "tags.pahse", "tags.phase"),
    WHERE + "name == 'kl' and tags.phase == 'tarin'" + THEN: ("my.yaml:3", "'tarin'", "train"),
    WHERE + "name == kl" + THEN: ("my.yaml:3", "in quotes", ""),
    "rules:\n  - use: KL902": ("my.yaml:2: rule KL902", "unknown rule 'KL902'", "KL002"),
    "rules:\n  - use: KL002" + THEN: ("my.yaml:3: rule KL002", "unknown key 'condition'", ""),
    "rules:\n  - use: CLIP005\n    warn: lots": ("my.yaml:3", "warn is 'lots'", "a number"),
    "rules:\n  - use: KL003\n    warn: 5": ("my.yaml:3: rule KL003", "no limit to move", "severity"),
    "rules:\n  - use: CLIP005\n    rows: 5\n    within: 3": ("my.yaml:4", "can never fire", ""),
    "rules:\n  - id: a\n    id: b": ("my.yaml:3", "given twice", ""),
    "rules:\n  - id: a: b": ("my.yaml:2", "this is not valid YAML", ""),
    "rules:\n  - id: !!python/object/apply:os.system [true]": ("my.yaml:2", "tag", "plain YAML"),
    "rules:\n  - id: !!binary aGk=": ("my.yaml:2", "tag", ""),
    "rules:\n  - id: 2020-01-01": ("my.yaml:2", "tag", ""),
    "rules:\n  - <<: {id: a}": ("my.yaml:2", "tag", ""),
    "rules:\n  - ? [a]\n    : b": ("my.yaml:2", "is not a text", ""),
    "rules:\n  - id: r\n--- \nrules: []": ("my.yaml", "this is not valid YAML", ""),
    "rules:\n  - id: r\n    grace_steps: " + "9" * 5000: ("my.yaml:3", "", ""),
    "rules: &a\n  - id: r\n    causes: *a": ("my.yaml:2", "nested", ""),
    "rules: " + "[" * 500: ("my.yaml", "this is not valid YAML", ""),
    "rules:\n  - id: \x01": ("my.yaml", "this is not valid YAML", ""),
}  # fmt: skip


@each_of("text", ERRORS, ids=lambda t: ERRORS[t][1][:30] or "digits")
def test_every_error_names_file_line_rule_and_the_nearest_name(text: str) -> None:
    place, words, hint = ERRORS[text]
    with pytest.raises(RuleFileError) as caught:
        _file(text)
    assert caught.value.message.startswith(place)
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    levels = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    text = (
        "rules:\n  - id: r\n    causes: {a0: &a0 [x]\n"
        + "".join(f"      ,{line}" for line in levels.splitlines(True))
        + "    }\n"
    )
    with pytest.raises(RuleFileError, match="aliases counted"):
        _file(text)


def test_all_problems_are_told_at_once() -> None:
    text = RULE + "condition: vlaue > 1\n  - use: KL902\n  - id: c\n    metric: kl\n    condition: 1"
    with pytest.raises(RuleFileError) as caught:
        _file(text)
    assert {(p.line, p.rule) for p in caught.value.problems} == {(4, "my_rule"), (5, "KL902"), (8, "c")}
    assert "and 2 more: rldk rules validate my.yaml" in caught.value.message


def test_a_name_that_may_be_a_slip_is_noted_and_works() -> None:
    file = _file("rules:\n  - id: r\n    metric: reward_maen\n    condition: value > metric('my/own')")
    assert [n.partition(": rule r: ")[2] for n in file.notes] == [
        "rldk does not know the metric 'reward_maen' and takes it for your own (did you mean reward_mean, reward_min, "
        "reward_max?)",
        "rldk does not know the metric 'my/own' and takes it for your own",
    ]
    assert len(_judge(file, {"reward_maen": [2.0], "my/own": [1.0]}).findings) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"rules:\n  - id: \xff", "utf-8"),
        (b"#" * (MAX_BYTES + 1), "more than"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_error(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load_rules(path)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        load_rules("grpo_saef")
    assert "grpo_safe" in caught.value.hint
    with pytest.raises(UnknownName, match="unknown"):
        load_rules("x" * 5000)


def test_of_several_files_the_later_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "rules:\n  - use: KL002\n    severity: info\n  - id: mine\n    metric: kl\n    condition: value > 1"
    )
    file = load_rules(["ppo_safe", str(path)])
    severity = {r.code: r.severity for r in file.rules}
    assert (severity["KL002"], severity["mine"], severity["KL003"]) == ("info", "warn", "warn")
    assert len(severity) == len(file.rules) == len(load_rules("ppo_safe").rules) + 1


def test_set_rule_changes_one_field_and_leaves_the_file_alone() -> None:
    before = _file(SPEC)
    changes = [
        "kl_spike.severity=critical",
        "kl_spike.condition=value > 2",
        "kl_spike.window.size=3",
        f"{USED}.enabled=false",
    ]
    after = override(before, changes)
    (rule,) = after.rules
    assert (rule.severity, rule.rows) == ("critical", 3)
    assert _fired(after, [3.0] * 20) == [(15, 20)]
    assert _file(SPEC).rules[0].severity == before.rules[0].severity == "warn"
    assert load_rules("grpo_safe", overrides=["grpo_safe_policy_grad_spike.condition=value > 9"]).rules


@each_of(
    ("setting", "words"),
    [
        ("kl_spike", "ID.field=VALUE"),
        ("kl_spike=3", "ID.field=VALUE"),
        ("kl_spike.=3", "ID.field=VALUE"),
        ("kl_spkie.severity=warn", "kl_spike"),
        ("kl_spike.sevrity=warn", "severity"),
        ("kl_spike.severity=loud", "one of info"),
        ("kl_spike.window.siez=3", "size"),
        ("kl_spike.condition=vlaue > 3", "value"),
        ("kl_spike.metric=kl", "either `metric` or `where`"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(_file(SPEC), [setting])
    assert caught.value.message.startswith(f"--set-rule {setting}:")
    assert words in f"{caught.value.message} {caught.value.hint}"


_PLAIN = "rules: - id: kl metric: where: condition: value > 1 window: {size: 2} actions: [ ] stop use: KL002".split()
_ODD = [
    "&a",
    "*a",
    "!",
    "!!int",
    "|",
    ">",
    "'",
    '"',
    ",",
    "\n",
    "\n  ",
    "\n    ",
    "\n  - ",
    "\x00",
    "\t",
    "1e999",
    "<<:",
]
_WORDS = st.sampled_from([*_PLAIN, *_ODD, "9" * 30, "{value}"])


@settings(max_examples=few(100), deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=200), st.lists(_WORDS, max_size=40).map(" ".join), st.lists(_WORDS, max_size=40).map("".join)
    )
)
def test_whatever_the_text_it_is_a_rule_file_or_one_kind_of_error(text: str) -> None:
    with suppress(RuleFileError):
        assert _file(text).rules is not None
    with suppress(BadExpression):
        assert compile_condition(text, window=3).text
    with suppress(BadExpression):
        assert select_where(text).names
    with suppress(ConfigError):
        override(_file(SPEC), [text])


def test_the_tier_says_what_a_written_rule_rests_on() -> None:
    tiers = [_one(c).rules[0].tier for c in ("condition: value > 1", "condition: value > past(value)")]
    assert (tiers, _one("condition: value > 1\nseverity: critical").rules[0].tier) == ([1, 2], 0)


@each_of(("grace", "first"), [(0, 18), (30, 31), (31, 32), (45, None)])
def test_a_rule_of_the_catalogue_waits_for_its_grace_and_not_longer(grace: int, first: int | None) -> None:
    file = _file(f"rules:\n  - use: CLIP005\n    grace_steps: {grace}\n    rows: 1\n    within: 1")
    report = _judge(file, {"kl_policy_update": [0.0] * 15 + [9.0] * 30}, algorithm="ppo")
    assert [f.first_step for f in report.findings] == ([] if first is None else [first])


@pytest.mark.parametrize(("levels", "refused"), [(18, False), (19, True)])
def test_a_file_is_read_twenty_levels_deep_its_own_two_among_them(levels: int, refused: bool) -> None:
    text = f"rules:\n  - id: r\n    metric: kl\n    condition: value > 1\n    causes: {'[' * levels}{']' * levels}"
    with pytest.raises(RuleFileError) as caught:
        _file(text)
    assert ("nested more than 20 deep" in caught.value.message) == refused
