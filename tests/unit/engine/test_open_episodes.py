"""A rule that fires on every row of many blocks is counted block by block, with the same episodes."""

from __future__ import annotations

import random
from typing import Any

from rldk.core.model import Run
from rldk.engine.column_frame import ColumnFrame
from rldk.engine.live import Engine
from rldk.engine.scan import context_of, rows_of, rule_columns
from rldk.engine.table_blocks import table_blocks
from rldk.rules.rule import rules
from rldk.testing import run_of

ROWS = 2600


def _never_learns() -> Run:
    """The reward never rises. Its noise grows in the middle, and late in the run it does rise."""
    rng = random.Random(5)
    reward = [rng.gauss(0.5, 0.05 + 0.05 * (1100 < i < 1200)) + 0.5 * (i > 2500) for i in range(ROWS)]
    return run_of({"reward_mean": reward, "kl": [0.02 * (1 + 0.1 * rng.random()) for _ in range(ROWS)]})


def _episodes(engine: Engine) -> list[tuple[str, list[tuple[Any, ...]]]]:
    return [
        (
            bound.rule.code,
            [
                (e.onset, e.first_step, e.last_step, e.last_row, e.rows, e.severity, e.worse_step, e.ended, e.recovered)
                for e in bound.episodes.all()
            ],
        )
        for bound in engine.bound_rules()
    ]


def test_open_episodes_are_those_of_single_rows() -> None:
    run = _never_learns()
    by_row, by_block = Engine(rules, context_of(run.meta)), Engine(rules, context_of(run.meta), columns=ColumnFrame)
    for row in rows_of(run):
        by_row.feed(row)
    by_block.feed_blocks(table_blocks(rule_columns(run)))
    found = _episodes(by_block)
    assert found == _episodes(by_row)
    assert max(episode[4] for _, episodes in found for episode in episodes) > 1500
