from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rldk.errors import UsageError
from rldk.forensics import ComprehensivePPOForensics

Rows = list[dict[str, Any]]


@pytest.fixture(name="forensics")
def _forensics(ppo_rows: Callable[..., Rows]) -> ComprehensivePPOForensics:
    made = ComprehensivePPOForensics()
    for row in ppo_rows(40, policy_grad_norm=lambda i, x: x * 30 if i >= 30 else x):
        made.update(**row, advantage_samples=[0.1, -0.2, 0.3] if row["step"] >= 38 else None)
    return made


def test_a_json_path_is_one_file(forensics: ComprehensivePPOForensics, tmp_path: Path) -> None:
    (path,) = forensics.save_analysis(tmp_path / "deep" / "run.json")
    assert json.loads(path.read_text()) == forensics.get_comprehensive_analysis()
    assert [p.name for p in path.parent.iterdir()] == ["run.json"]


@pytest.mark.slow
def test_another_path_begins_the_names_of_the_documented_set(
    forensics: ComprehensivePPOForensics, tmp_path: Path
) -> None:
    names = [p.name for p in forensics.save_analysis(tmp_path / "run7")]
    assert names == [
        "run7_comprehensive_analysis.json",
        "run7_health_summary.json",
        "run7_comprehensive_metrics.csv",
        "run7_comprehensive_metrics.json",
    ]
    assert [p.name for p in forensics.save_analysis(tmp_path)] == [n.replace("run7", "ppo") for n in names]
    (at_step,) = forensics.save_analysis(tmp_path / "run7", at_step=True)
    assert at_step.name == "run7_comprehensive_analysis_step_39.json"
    health = json.loads((tmp_path / "run7_health_summary.json").read_text())
    assert health == forensics.get_health_summary()


def test_the_metrics_come_back_as_they_were(forensics: ComprehensivePPOForensics, tmp_path: Path) -> None:
    *_, table, rows = forensics.save_analysis(tmp_path / "run")
    frame, listed, kept = pd.read_csv(table), json.loads(rows.read_text()), forensics.history()
    assert list(frame.columns) == ["step", *kept.columns] == list(listed[0])
    for name, column in kept.columns.items():
        np.testing.assert_array_equal(frame[name].to_numpy(float), column)
        np.testing.assert_array_equal(np.array([r[name] for r in listed], dtype=float), column)
    flat = forensics.current_metrics.to_dict()  # type: ignore[union-attr]
    percentiles = flat.pop("advantage_statistics_advantage_percentiles")
    assert {n: x for n, x in flat.items() if x is not None}.items() <= listed[-1].items()
    assert listed[-1]["advantage_statistics_advantage_percentiles_p50"] == percentiles["p50"] == 0.1
    assert listed[0]["advantage_statistics_advantage_percentiles_p50"] is None


def test_the_same_rows_write_the_same_bytes(ppo_rows: Callable[..., Rows], tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        made = ComprehensivePPOForensics()
        for row in ppo_rows(25):
            made.update(**row)
        written.append([p.read_bytes() for p in made.save_analysis(tmp_path / name)])
    assert written[0] == written[1]


def test_no_update_at_all_still_writes_a_set_that_opens(tmp_path: Path) -> None:
    analysis, _, table, rows = ComprehensivePPOForensics().save_analysis(tmp_path / "empty")
    assert json.loads(analysis.read_text())["status"] == "no_data"
    assert (len(pd.read_csv(table)), json.loads(rows.read_text())) == (0, [])


def test_a_place_that_cannot_be_written_is_said(forensics: ComprehensivePPOForensics, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        forensics.save_analysis(tmp_path / "file" / "run.json")
