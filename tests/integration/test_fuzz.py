"""Damaged copies of genuine logs are read, or refused with an error of rldk's own."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import fuzz

INPUTS = 1_500  # about half a minute; `make fuzz` tries 200,000


@pytest.mark.slow
@pytest.mark.timeout(1800)  # twenty seconds of work, on a machine with other work to do
def test_damaged_logs_are_read_or_refused(tmp_path: Path) -> None:
    tally = fuzz.campaign(7, INPUTS, keep=tmp_path / "faults")
    assert tally.faults == []
    assert tally.inputs == INPUTS
    assert tally.opened > INPUTS / 4  # most damage leaves something to read: else nothing is tried
    assert set(tally.refused) <= {"NoData", "NotALog", "MalformedInput", "UnreadableSource"}


def test_an_input_is_made_again_from_its_seed() -> None:
    first, again = list(fuzz.inputs(3, 12)), list(fuzz.inputs(3, 12))
    assert first == again
    assert first != list(fuzz.inputs(4, 12))
    assert len({content for _, _, content in first}) == 12


@pytest.mark.slow
def test_a_campaign_goes_on_where_it_was(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    fuzz.campaign(3, 4, only="trl-dpo", state=state)
    went_on, whole = fuzz.campaign(3, 9, only="trl-dpo", state=state), fuzz.campaign(3, 9, only="trl-dpo")
    assert replace(went_on, slowest_s=0.0) == replace(whole, slowest_s=0.0)
    with pytest.raises(SystemExit, match="another campaign: seed 3"):
        fuzz.campaign(4, 9, only="trl-dpo", state=state)


def test_a_fault_is_told_and_its_input_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: str) -> None:
        raise KeyError(source)

    monkeypatch.setattr("rldk.diagnosis.runs_in", broken)
    tally = fuzz.campaign(1, 2, keep=tmp_path)
    assert len(tally.faults) == len(list(tmp_path.iterdir())) == tally.inputs == 2
    assert "KeyError" in tally.faults[0]
