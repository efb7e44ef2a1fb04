"""The public names, exactly."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from examples import each_of
from sources import nodes

import rldk

# the documented callback of each framework, which users import from the package of that framework
ONE_A_FRAMEWORK = {"RLDKCallback"}
SRC = Path(__file__).parents[2] / "src" / "rldk"
PUBLIC = {
    "rldk": {
        "ComprehensivePPOForensics",
        "DeterminismReport",
        "DivergenceReport",
        "EvalResult",
        "EventWriter",
        "ExperimentTracker",
        "ReplayReport",
        "RewardHealthReport",
        "TrackingConfig",
        "__version__",
        "bisect_commits",
        "check",
        "check_determinism",
        "compare_models",
        "compare_runs",
        "diagnose",
        "finish",
        "first_divergence",
        "health",
        "ingest_runs",
        "ingest_runs_to_events",
        "init",
        "log",
        "mismatch",
        "preflight",
        "profile",
        "reward_health",
        "set_global_seed",
        "watch",
    },
    "rldk.cards": {
        "generate_determinism_card",
        "generate_drift_card",
        "generate_kl_drift_card",
        "generate_reward_card",
        "write_card",
    },
    "rldk.determinism": {"DeterminismReport", "check", "launcher"},
    "rldk.profiling": {"ProfileReport", "profile", "profile_command"},
    "rldk.replay": {"ReplayReport", "replay"},
    "rldk.resume": {"ResumeReport", "check_resume"},
    "rldk.bisect": {"BisectResult", "bisect_commits", "bisect_versions"},
    "rldk.comparison": {"ComparisonReport", "compare_runs"},
    "rldk.reward": {
        "RewardHealth",
        "RewardHealthReport",
        "RewardModelReport",
        "compare_models",
        "health",
        "reward_health",
    },
    "rldk.diff": {"DivergenceReport", "first_divergence"},
    "rldk.evals": {
        "EffectSize",
        "EvalComparison",
        "EvalOptions",
        "EvalResult",
        "EvalTable",
        "JudgeServer",
        "Measurement",
        "classify",
        "compare",
        "evaluation",
        "judge_pairs",
        "run",
    },
    "rldk.preflight": {"preflight", "preflight_command", "preflight_config"},
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
        "audit_environment",
        "diff_checkpoints",
        "scan_logs",
        "scan_ppo_events",
    },
    "rldk.tracking": {
        "ExperimentTracker",
        "Session",
        "TrackingConfig",
        "diff_runs",
        "export_run",
        "finish",
        "init",
        "log",
        "restore_run",
        "verify_run",
    },
    "rldk.tracking.lineage": {"read_lineage", "record", "record_calls", "transformation", "verify_lineage"},
    "rldk.integrations.loop": {"WatchedLoop", "watch"},
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


@each_of("module", PUBLIC)
def test_public_names_are_there_and_listed(module: str) -> None:
    found = importlib.import_module(module)
    assert set(found.__all__) >= PUBLIC[module]
    assert all(hasattr(found, name) for name in found.__all__)


def test_top_level_says_no_more_than_it_has() -> None:
    assert set(rldk.__all__) == PUBLIC["rldk"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rldk.nothing


def test_a_class_name_stands_for_one_thing_in_the_whole_package() -> None:
    """A reader who looks up a name that two classes have may find the wrong one."""
    homes: dict[str, list[str]] = {}
    for path in sorted(SRC.rglob("*.py")):
        for node in nodes(path, ast.ClassDef):
            if not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(SRC)))
    several = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert not {
        name: paths
        for name, paths in several.items()
        if name not in ONE_A_FRAMEWORK or len({Path(p).parts[:2] for p in paths}) < len(paths)
    }
