"""The public names, exactly."""

from __future__ import annotations

import importlib

import pytest

import rldk

PUBLIC = {
    "rldk": {
        "ComprehensivePPOForensics",
        "EventWriter",
        "__version__",
        "diagnose",
        "finish",
        "ingest_runs",
        "ingest_runs_to_events",
        "init",
        "log",
    },
    "rldk.emit": {"EventWriter", "launch_rank", "rank_path"},
    "rldk.forensics": {
        "AdvantageStatisticsMetrics",
        "AdvantageStatisticsTracker",
        "ComprehensivePPOForensics",
        "ComprehensivePPOMetrics",
        "GradientNormsAnalyzer",
        "GradientNormsMetrics",
        "KLScheduleMetrics",
        "KLScheduleTracker",
        "scan_logs",
        "scan_ppo_events",
    },
    "rldk.tracking": {"Session", "finish", "init", "log"},
    "rldk.io": {"Event", "event_schema", "read_events", "training_metrics_schema", "validate_events", "write_events"},
    "rldk.adapters": {
        "BaseAdapter",
        "CustomJSONLAdapter",
        "FlexibleAdapter",
        "GRPOAdapter",
        "OpenRLHFAdapter",
        "TRLAdapter",
        "WandBAdapter",
        "adapter",
    },
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_there_and_listed(module: str) -> None:
    found = importlib.import_module(module)
    assert set(found.__all__) >= PUBLIC[module]
    assert all(hasattr(found, name) for name in found.__all__)


def test_top_level_says_no_more_than_it_has() -> None:
    assert set(rldk.__all__) == PUBLIC["rldk"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rldk.nothing
