"""What a rule file would have done on a finished log."""

from __future__ import annotations

from pathlib import Path

from rldk.cards.rulebook import trials
from rldk.engine.scan import scan
from rldk.rules.files.load import load_rules
from rldk.testing import run_of

RULES = """
rules:
  - {id: quiet, metric: kl, condition: value > 9}
  - {id: late, metric: kl, condition: value > 2}
  - {id: early, metric: kl, condition: value > 1, severity: critical}
  - {id: blind, metric: entropy, condition: value > 1}
"""


def test_what_fired_comes_first_by_its_step_then_the_others_as_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(RULES)
    file = load_rules(str(tmp_path / "my.yaml"))
    report = scan(run_of({"kl": [0.5, 1.5, 0.5, 2.5, 2.5]}), file.rules)
    found = trials(file, report)
    assert [(t.code, t.first_step, t.rows) for t in found] == [
        ("early", 2, 3), ("late", 4, 2), ("quiet", None, 0), ("blind", None, 0),
    ]  # fmt: skip
    assert [t.severity for t in found[:2]] == ["critical", "warn"]
    assert (found[2].what, found[2].checked) == ("quiet", True)
    assert (found[3].what, found[3].checked) == ("needs entropy", False)
