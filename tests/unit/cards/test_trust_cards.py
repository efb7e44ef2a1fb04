"""Trust cards: what they conclude, that JSON is the truth, and that the same input gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rldk import cards, check_determinism, first_divergence
from rldk.cards import markdown, page
from rldk.cards.trust.card import Card, status_of
from rldk.cards.trust.facts import CardCheck, CardTable
from rldk.cards.trust.files import card_json
from rldk.cards.trust.kinds import card_kinds
from rldk.cards.trust.room import ROOMS
from rldk.cards.trust.schema import card_class, card_schema
from rldk.cards.trust.status import CardWord
from rldk.core.codec import from_builtins
from rldk.errors import UsageError

FIXTURES = Path(__file__).parents[2] / "fixtures"
SCHEMA = jsonschema.Draft202012Validator(card_schema())
PICTURE = ("png",) if find_spec("matplotlib") else ()  # of the extra "plot"
Rows = list[dict[str, Any]]


def rows(seed: int = 0, *, n: int = 120, shift: float = 0.0) -> Rows:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, 2))
    return [
        {"step": i, "kl": 0.01 * i + 0.05 * noise[i, 0] + shift * (i >= 80), "reward_mean": i / n + 0.1 * noise[i, 1]}
        for i in range(n)
    ]


def check(status: CardWord, **more: Any) -> CardCheck:
    return CardCheck(name="x", code="x", status=status, **more)


MAKERS: dict[str, Callable[[], Card]] = {
    "determinism": lambda: cards.generate_determinism_card([rows(), rows()]),
    "drift": lambda: cards.generate_drift_card(rows(1), rows(2, shift=3.0)),
    "reward": lambda: cards.generate_reward_card(rows()),
    "kl-drift": lambda: cards.generate_kl_drift_card(rows()),
}


@pytest.fixture(params=sorted(MAKERS))
def made(request: pytest.FixtureRequest) -> Card:
    return MAKERS[request.param]()


def test_there_is_a_maker_for_every_kind() -> None:
    assert set(card_kinds.names()) == set(MAKERS)


def test_json_has_the_documented_form_and_is_the_whole_card(made: Card) -> None:
    document = json.loads(card_json(made))
    SCHEMA.validate(document)
    again = from_builtins(document, card_class(made.kind.removesuffix("_card").replace("_", "-")))
    assert page.render(again.view()) == page.render(made.view())
    assert markdown.render(again.view()) == markdown.render(made.view())


@pytest.mark.slow
def test_the_schema_refuses_another_kind_and_a_missing_status(made: Card) -> None:
    document = json.loads(card_json(made))
    assert not SCHEMA.is_valid({**document, "kind": "other_card"})
    assert not SCHEMA.is_valid({key: value for key, value in document.items() if key != "status"})
    assert not SCHEMA.is_valid({**document, "status": "perfect"})


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(made: Card, tmp_path: Path) -> None:
    name = made.kind.removesuffix("_card").replace("_", "-")
    for folder, one in (("a", made), ("b", MAKERS[name]())):
        cards.write_card(one, tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [f"{made.kind}.{suffix}" for suffix in ("html", "json", "md", *PICTURE)]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@given(words=st.lists(st.sampled_from(["pass", "warn", "fail", "not checked"]), max_size=6))
def test_a_card_passes_only_on_an_answer(words: list[CardWord]) -> None:
    status = status_of(check(word) for word in words)
    assert (status == "fail") == ("fail" in words)
    assert (status == "not checked") == (set(words) <= {"not checked"})
    assert (status == "warn") == ("warn" in words and "fail" not in words)


@given(words=st.lists(st.sampled_from(["pass", "warn"]), max_size=4))
def test_no_card_passes_without_its_main_question(words: list[CardWord]) -> None:
    assert status_of([check("not checked", main=True), *map(check, words)]) == "not checked"


def test_replicas_that_are_equal_pass_and_say_how_little_they_prove() -> None:
    card = cards.generate_determinism_card([rows(), rows()])
    assert (card.status, card.passed) == ("pass", True)
    assert "up to 95% of runs may still differ" in card.checks[0].method


def test_a_rounding_difference_is_a_warning_and_another_value_a_failure() -> None:
    other = rows()
    other[50]["kl"] = np.nextafter(other[50]["kl"], 1.0)
    card = cards.generate_determinism_card([rows(), other])
    assert (card.status, card.to_dict()["classification"]) == ("warn", "numerically close")
    assert card.checks[0].steps == (50, 50)
    assert cards.generate_determinism_card([rows(), other], tolerance=1e-9).status == "pass"
    other[50]["kl"] = 7.0
    failed = cards.generate_determinism_card([rows(), other])
    assert (failed.status, failed.to_dict()["first_divergence"]["step"]) == ("fail", 50)


def test_one_run_never_passes_as_repeatable(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    manifest = {"schema_version": 1, "run_id": "r", "seed": 3, "git": {"sha": "0" * 40, "dirty": True}}
    (tmp_path / "run.json").write_text(json.dumps(manifest))
    card = cards.generate_determinism_card(tmp_path)
    assert (card.status, card.passed) == ("not checked", False)
    said = {one.code: one.status for one in card.checks}
    assert said["replicas-agree"] == "not checked"
    assert (said["seed-recorded"], said["code-recorded"], said["data-recorded"]) == ("pass", "warn", "not checked")


def test_runs_of_two_seeds_are_no_replicas(tmp_path: Path) -> None:
    for seed in (1, 2):
        folder = tmp_path / f"s{seed}"
        folder.mkdir()
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(seed)))
        (folder / "run.json").write_text(json.dumps({"schema_version": 1, "run_id": f"s{seed}", "seed": seed}))
    card = cards.generate_determinism_card([tmp_path / "s1", tmp_path / "s2"])
    assert card.status == "not checked"
    assert "these have 1, 2" in card.checks[0].reason


@pytest.mark.slow
def test_a_check_of_a_program_becomes_the_card_that_it_keeps(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text("for i in range(12):\n    print({'step': i, 'loss': 1 / (i + 1)})\n")
    report = check_determinism(["python", str(program)], replicas=2, output_dir=tmp_path / "kept")
    card = cards.generate_determinism_card(report)
    assert card.status == "pass"
    kept = (tmp_path / "kept" / "determinism_card.json").read_text()
    assert json.loads(kept)["checks"] == json.loads(card_json(card))["checks"]
    opened = cards.generate_determinism_card(tmp_path / "kept")
    assert card_json(opened) == card_json(card) == kept


@pytest.mark.slow
def test_a_drift_card_fails_only_where_baselines_or_one_seed_make_it_sure() -> None:
    pair = cards.generate_drift_card(rows(1), rows(2, shift=3.0), signals="kl")
    assert (pair.status, pair.to_dict()["question"]) == ("warn", "not-identifiable")
    assert "--baseline" in next(one.reason for one in pair.checks if one.code == "seed-noise")
    others = [rows(seed) for seed in range(10, 15)]
    sure = cards.generate_drift_card(rows(1), rows(2, shift=3.0), signals="kl", baseline_runs=others)
    assert (sure.status, sure.checks[0].metric, sure.to_dict()["first_mover"]) == ("fail", "kl", "kl")
    assert sure.to_dict()["first_step"] == 80
    assert cards.generate_drift_card(rows(1), rows(1)).status == "pass"


def test_a_drift_card_is_that_of_the_report() -> None:
    report = first_divergence(rows(1), rows(2, shift=3.0))
    card = cards.generate_drift_card(report)
    assert (card.verdict, card.to_dict()["first_step"]) == (report.verdict, report.first_step)
    assert [one.role for one in card.subjects] == ["A", "B"]
    with pytest.raises(UsageError, match="two runs"):
        cards.generate_drift_card(rows())


class Health:
    """What a reward check brings along."""

    def card_checks(self) -> Iterable[CardCheck]:
        yield CardCheck(name="Calibration", code="calibration", status="fail", result="AUC 0.51.", value=0.51, n=200)
        yield CardCheck(name="Extra", code="extra", status="pass", result="Fine.")


def test_a_reward_check_fills_the_gaps_of_the_log() -> None:
    alone = cards.generate_reward_card(rows())
    gap = next(one for one in alone.checks if one.code == "calibration")
    assert (gap.status, gap.value) == ("not checked", None)
    both = cards.generate_reward_card(rows(), health=Health())
    filled = [one for one in both.checks if one.code == "calibration"]
    assert [(one.status, one.value) for one in filled] == [("fail", 0.51)]
    assert both.status == "fail"
    assert "extra" in {one.code for one in both.checks}
    assert cards.generate_reward_card(Health()).status == "fail"


def test_a_log_without_a_reward_gives_no_verdict_on_one() -> None:
    card = cards.generate_reward_card([{"step": i, "loss": 1 / (i + 1)} for i in range(60)])
    assert (card.status, card.passed) == ("not checked", False)
    assert card.to_dict()["first"] is None


def test_a_log_without_kl_gives_no_verdict_on_it() -> None:
    card = cards.generate_kl_drift_card([{"step": i, "loss": 1.0} for i in range(60)])
    assert card.status == "not checked"
    assert "needs a KL" in card.checks[0].reason


@pytest.mark.slow
def test_the_collapse_of_a_genuine_run_is_on_its_card() -> None:
    card = cards.generate_reward_card(FIXTURES / "trl-grpo-collapse")
    assert card.status == "fail"
    failed = {one.code for one in card.checks if one.status == "fail"}
    assert "REW001" in failed
    assert card.to_dict()["goal"] == "reward_mean"
    assert next(one for one in card.tables).heads[0] == "Steps"


def test_a_long_card_stays_short_and_says_what_is_left_out() -> None:
    made = cards.generate_kl_drift_card(rows())
    many = tuple(CardCheck(name=f"c{i}", code=f"c{i}", status="warn", result="r " * 400) for i in range(200))
    table = CardTable(title="t", heads=("a",), rows=tuple((f"row {i}",) for i in range(99)))
    view = replace(made, checks=many, tables=(table,) * 9).view()
    text = markdown.render(view)
    shown = text.count("| WARN |")
    assert ROOMS[-1].checks <= shown <= ROOMS[0].checks
    assert f"{200 - shown} more checks, warn at worst" in text
    assert f"row {ROOMS[0].rows}" not in text
    assert len(view.problems) == 200  # for CI, nothing is left out


def test_text_of_a_log_is_harmless_on_a_card() -> None:
    evil = "<script>alert(1)</script>\x1b]0;x\x07|a|"
    data = [{"step": i, evil: float(i), "kl": 0.1 * i} for i in range(40)]
    card = cards.generate_drift_card(data, [{**row, "kl": 0.0} for row in data], signals=[evil, "kl"])
    drawn = page.render(card.view())
    assert "<script>" not in drawn
    assert "\x1b" not in markdown.render(card.view())
    assert "&lt;script&gt;" in drawn
