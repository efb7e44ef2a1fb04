"""The figures on the labelled corpus do not fall: `tests/corpus/bars.json` holds what was reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rldk.bench.cases import find_cases
from rldk.bench.gates import failed_gates, read_gates
from rldk.bench.judge import RuleChoice, judge_all
from rldk.bench.score import Score, score
from rldk.bench.tables import listings, view_of
from rldk.cards import terminal

CORPUS = Path(__file__).parents[1] / "corpus"
BARS = json.loads((CORPUS / "bars.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("part", sorted(BARS))
def test_the_bars_hold(part: str) -> None:
    bars = BARS[part]
    scored = score(judge_all(find_cases(CORPUS / part), RuleChoice()), part)
    gates = [*read_gates(bars["at_least"], least=True), *read_gates(bars["at_most"], least=False)]
    assert not failed_gates(gates, scored.summary), _shown(scored)
    loud = {c.code: c.false for c in scored.codes if c.false > bars["false_alarms"].get(c.code, 0)}
    assert not loud, _shown(scored)


def _shown(scored: Score) -> str:
    return terminal.render(view_of(scored, [t for t in listings(scored) if t.rows]))
