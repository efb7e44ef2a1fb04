"""docs/reward.md has the table that `python -m benchmarks.reward_faults` prints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from benchmarks.reward_faults import FAULTS, HEAD, frame, lists_given_the_rest, ranks, row, scored, together
from benchmarks.tiny_reward import BagModel, Counted, Maker

from rldk.reward import health

PAGE = Path(__file__).parents[3] / "docs" / "reward.md"
CLEAN = "none"


def test_the_page_has_a_row_as_printed_for_every_fault() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(HEAD) == 1
    rows = text.split(HEAD)[1].split("\n\n")[0].strip().splitlines()
    assert len(rows) == len(FAULTS)
    for line, name in zip(rows, FAULTS, strict=True):
        counts = [int(word) for word in re.findall(r"(\d+) of", line.removeprefix(f"| {name} |"))]
        named, inside = (counts * 2)[:2]
        assert line == row(name, (named, inside, 20), line.split(" | ")[-1].removesuffix(" |"), fault=name != CLEAN)
        assert named >= 19, name


def test_the_true_sizes_are_measured_as_the_report_says_it_measures() -> None:
    """The benchmark does so without the code of the report: on the same answers both come to the same."""
    maker = Maker(0)
    model = BagModel(0)
    model.weights = maker.rng.normal(size=len(maker.place))
    columns = scored(maker, model, 60)
    bag, length = maker.bag(columns["response"]), np.array([float(len(text)) for text in columns["response"]])
    own = Counted(bag, length, length, length, length)
    report = health(frame(columns))
    lists = next(one.coupling.rho for one in report.shortcut_analysis["format"] if one.feature == "lists")
    assert lists_given_the_rest(own, model.score(bag), bag[:, maker.place["-"]]) == pytest.approx(lists)
    assert report.length_bias_metrics is not None
    assert together(ranks(length), ranks(model.score(bag))) == pytest.approx(report.length_bias_metrics.correlation)
