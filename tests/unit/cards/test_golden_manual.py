"""The pages of `rldk explain`, of rule files and of their trials as whole texts, kept in tests/golden."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from layout import laid_out
from msgspec.structs import replace

from rldk.cards.manual import TOPICS, metric_text, rule_text, rules_table, topic_text
from rldk.cards.rulebook import file_text, presets_text, trial_page, trial_text, trials
from rldk.core.glossary import Alias, Metric
from rldk.core.model import Check, Report
from rldk.diagnosis import diagnose_run
from rldk.rules.files.load import RuleFile, load_rules
from rldk.rules.page import HEADINGS, read_page
from rldk.rules.rule import Rule
from rldk.testing import run_of

Golden = Callable[[str, str], None]
PAGE = read_page(
    "Fires when it is asked, and says so in a sentence that is too long for a line of a terminal with 96 columns.\n\n"
    + "\n".join(f"{heading}: About {heading.lower()}." for heading in HEADINGS),
    where="Q001",
)
RULES = """
description: three limits
rules:
  - {id: kl_high, metric: kl, condition: value > 0.5, actions: [warn, {sentinel: {path: STOP}}], cooldown_steps: 2}
  - {id: kl_higher, metric: kl, condition: value > 0.8, severity: critical}
  - {id: no_entropy, metric: entropy, condition: value < 1}
  - {id: reward_low, metric: reward_mean, condition: value < -5, severity: info}
"""


def _rule(code: str, **more: object) -> Rule:
    given: dict[str, object] = {
        "code": code,
        "name": f"rule-{code.lower()}",
        "severity": "warn",
        "tier": 2,
        "page": PAGE,
    }
    return Rule(body=lambda f: None, **{**given, **more})  # type: ignore[arg-type]


def _rules() -> list[Rule]:
    return [
        _rule("QA001", causes=("a", "b"), fixes=("lower {lr}", "see {kl_coef}"), needs=("kl",), also=("loss",), rows=3),
        _rule("QB002", severity="critical", tier=0, algorithms=frozenset({"ppo", "grpo"}), each=("grad_*",), data="P"),
        _rule("QB003", severity="info", tier=1, rows=2, within=9, phase="eval"),
        _rule("a-topic", name="a-topic", note=True, tier=3),
    ]


def test_golden_manual(golden: Golden) -> None:
    alias = Alias(key="a/b", transform="1 - x", est="k1", since="1.0", until="2.0", note="once")
    full = Metric(
        name="kl", definition="The divergence.", unit="nats", direction="down", range=(0.0, None), range_when="k3",
        also_known_as=("div", "d"), nan_means="not computed", note="A note.", aliases={"trl": (alias, Alias(key="c"))},
    )  # fmt: skip
    bare = Metric(name="x", definition="Nothing.", unit="1", direction="monitor", range=(None, None))
    high = replace(bare, range=(None, 1.5))
    parts = [rule_text(rule) for rule in _rules()] + [
        rules_table(_rules()[:3]),
        rules_table(_rules()[:1]),
        rules_table([]),
    ]
    parts += [metric_text(full, ["k1 seq_sum"]), metric_text(bare), metric_text(high), *map(topic_text, TOPICS)]
    golden("manual.txt", "\n=====\n".join(parts))


def _trial(tmp_path: Path) -> tuple[RuleFile, Report]:
    (tmp_path / "mine.yaml").write_text(RULES)
    file = load_rules(tmp_path / "mine.yaml")
    kl = [0.9 if i in (3, 4, 12) else 0.1 for i in range(1500)]
    report = diagnose_run(run_of({"kl": kl, "reward_mean": [0.5] * 1500}), file)
    return replace(file, name="mine"), report


def test_golden_trial(golden: Golden, tmp_path: Path) -> None:
    file, report = _trial(tmp_path)
    reasons = tuple(Check(code=f"X{n}", name="x", status="skipped", reason=f"needs {n}") for n in range(7))
    many = replace(report, skipped=(*report.skipped, *reasons))
    parts = [
        trial_text(file, report), trial_text(file, report, everything=True), trial_text(file, many),
        trial_page(file, report).partition("</style>")[2].replace("><", ">\n<"), laid_out(trials(file, report)),
        file_text(file), file_text(replace(file, description="", rules=file.rules[:1])), presets_text([file, file]),
    ]  # fmt: skip
    golden("trial.txt", "\n=====\n".join(parts).replace(str(tmp_path), "TMP"))
