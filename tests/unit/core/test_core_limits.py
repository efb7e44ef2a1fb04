"""What is kept, read or shown at a limit, and beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import each_of
from scipy import stats

from rldk.core.clocks import MAX_NAME, clock_rank
from rldk.core.configuration.nested import MAX_DEPTH, MAX_KEYS, dotted
from rldk.core.jsonl import KEPT_REJECTS, decode
from rldk.core.lines import EXCERPT
from rldk.core.samples import text_of
from rldk.core.stats.moments import bowley_skewness, excess_kurtosis, skewness
from rldk.core.stats.texts import LEAST_CHARACTERS, LEAST_WORDS, dominant_part
from rldk.core.vocabulary import MAX_KEY, vocabulary


@pytest.mark.parametrize(("count", "kept"), [(KEPT_REJECTS - 1, 19), (KEPT_REJECTS, 20), (KEPT_REJECTS + 1, 20)])
def test_twenty_bad_lines_are_kept_and_all_are_counted(tmp_path: Path, count: int, kept: int) -> None:
    (tmp_path / "m.jsonl").write_text('{"step": 1, "kl": 1}\n' + "no line\n" * count)
    found = decode(tmp_path / "m.jsonl")
    assert (found.rejected_count, len(found.rejected)) == (count, kept)


@each_of(("length", "shown"), [(79, 79), (80, 80), (81, 80), (400, 80)])
def test_eighty_letters_of_a_bad_line_are_shown(tmp_path: Path, length: int, shown: int) -> None:
    (tmp_path / "m.jsonl").write_text('{"step": 1, "kl": 1}\n' + "é" * length + "\n")
    (bad,) = decode(tmp_path / "m.jsonl").rejected
    assert (len(bad.excerpt), EXCERPT) == (shown, 80)


def test_a_configuration_has_at_most_its_number_of_keys_and_levels() -> None:
    for there, kept in ((MAX_KEYS - 1, 19_999), (MAX_KEYS, 20_000), (MAX_KEYS + 1, 20_000)):
        assert len(dotted({"a": {f"k{i}": i for i in range(there)}})) == kept
    for levels, plain in ((19, True), (20, True), (21, False)):
        nested: Any = 7
        for _ in range(levels):
            nested = {"k": nested}
        ((path, value),) = dotted(nested).items()
        assert (value == 7, path.count("k")) == (plain, min(levels, MAX_DEPTH)), levels


def test_a_name_that_is_too_long_is_no_clock() -> None:
    for length, known in ((MAX_NAME, True), (MAX_NAME + 1, False)):
        name = "x/" * 200
        name = (name + "/step")[-length:].rjust(length, "x")
        assert (clock_rank(name) is not None) is known, length


def test_a_key_that_is_too_long_is_nobodys_alias() -> None:
    def key(length: int) -> str:
        return "reward_fn/" + "x" * (length - len("reward_fn//mean")) + "/mean"

    assert len(key(MAX_KEY)) == MAX_KEY == 512
    assert vocabulary().canonical(key(MAX_KEY)) == key(MAX_KEY)
    assert vocabulary().canonical(key(MAX_KEY + 1)) is None


def test_moments_need_as_many_values_as_they_say() -> None:
    values = np.array([0.5, 2.0, -1.0, 7.0])
    for function, oracle, least in ((skewness, stats.skew, 3), (excess_kurtosis, stats.kurtosis, 4)):
        for n in range(1, 5):
            expected = float(oracle(values[:n])) if n >= least else math.nan
            assert function(values[:n]) == pytest.approx(expected, nan_ok=True), (function.__name__, n)
    assert math.isnan(bowley_skewness(values[:3]))
    assert bowley_skewness(np.array([0.0, 1.0, 2.0, 11.0])) == pytest.approx((4.25 + 0.75 - 3.0) / 3.5)
    assert math.isnan(bowley_skewness(np.array([0.0, 1.0, 1.0, 1.0, 1.0, 2.0])))


def test_a_text_is_long_enough_from_its_limits_on() -> None:
    letters = "ab" * (LEAST_CHARACTERS // 2)
    assert dominant_part(letters[:-1]) == ("", 0.0)
    assert dominant_part(letters) in (("a", 0.5), ("b", 0.5))
    words = ["the"] * 20 + [f"{i:04}" for i in range(LEAST_WORDS - 20)]
    assert dominant_part(" ".join(words)) == ("the", 20 / 32)
    assert dominant_part(" ".join(words[1:]))[0] != "the"


def test_nested_messages_are_read_so_many_levels_deep() -> None:
    def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
        value: Any = "deep"
        for _ in range(levels):
            value = wrap(value)
        return value

    for wrap in (lambda x: {"content": x}, lambda x: [x]):
        assert text_of(nested(8, wrap)) == "deep"
        assert text_of(nested(9, wrap)) == str(wrap("deep"))
