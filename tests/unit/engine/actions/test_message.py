from __future__ import annotations

import json
import math
from collections.abc import Callable

from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.model import Alert
from rldk.engine.actions.message import LONGEST_TEXT, facts, fill, one_line, sentence

Make = Callable[..., Alert]
VALUES: dict[str, str | float | None] = {"name": "kl", "value": 0.4567, "step": 120, "rule": "KL001"}


@each_of(
    ("template", "text"),
    [
        ("KL spike {value:.3f} at step {step}", "KL spike 0.457 at step 120"),
        ("{name}|{rule:>8}|{step:05d}|{value:+.1e}|{value:.0%}", "kl|   KL001|00120|+4.6e-01|46%"),
        ("{{literal}} {value}", "{literal} 0.4567"),
        ("{unknown} {} {0}", "{unknown} {} {0}"),
        ("{value.__class__.__mro__}", "{value.__class__.__mro__}"),
        ("{name[0]}", "{name[0]}"),
        ("{value!r:.1f}", "0.5"),
        ("{value:999999999d}", "0.4567"),
        ("{value:.999999999f}", "0.4567"),
        ("{value:{step}}", "0.4567"),
        ("{value:d} {name:.3f}", "0.4567 kl"),
        ("{", "{"),
        ("{value", "{value"),
    ],
)
def test_only_plain_placeholders_are_filled(template: str, text: str) -> None:
    assert fill(template, VALUES) == text


@given(st.text(alphabet="{}[]():.!abcvalue0123456789,%<+-_ \n\x1b") | st.text())
def test_no_template_raises_or_grows_without_bound(template: str) -> None:
    assert len(fill(template, VALUES)) <= LONGEST_TEXT


def test_braces_in_a_name_are_not_filled_again() -> None:
    assert fill("{name}", {**VALUES, "name": "{value} {rule.x}"}) == "{value} {rule.x}"


def test_missing_and_nan_values_are_written() -> None:
    assert fill("{value:.2f}", {"value": None}) == "n/a"
    assert fill("{value:.2f}", {"value": math.nan}) == "nan"


def test_hostile_text_becomes_one_harmless_line(alert: Make) -> None:
    hostile = alert(name="kl\x1b[2J\r\n\u202e\ud800" + "x" * 5_000_000, message="a\nb\x07")
    text = sentence(hostile, "{name}: {message}")
    assert text.isprintable()
    assert len(text) < 1000


def test_a_sentence_says_when_it_worsens_or_is_over(alert: Make) -> None:
    assert sentence(alert()) == "warn kl_spike at step 120: KL is 0.457"
    assert sentence(alert(event="recovered"), "KL {step}") == "recovered: KL 120"
    assert sentence(alert(event="worse", severity="critical"), "KL {step}") == "now critical: KL 120"


def test_facts_are_strict_json_and_show_the_ratios(alert: Make) -> None:
    evidence = {"policy_over_value": 5.0, "value_over_policy": 0.2, "deep": [math.inf, object()]}
    told = facts(alert(value=math.nan, evidence=evidence))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["value"], told["time"], told["policy_over_value"], told["value_over_policy"]) == (
        "NaN",
        None,
        5.0,
        0.2,
    )
    assert told["evidence"]["deep"][0] == "Infinity"


def test_plain_text_is_kept() -> None:
    assert one_line("grad norm/é 漢") == "grad norm/é 漢"
