"""The backend for verl, in a stand-in for `verl.utils.tracking` with the interface of 0.9.1."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from rldk.errors import TrainingStopped
from rldk.integrations.verl import RLDKTracking, register
from rldk.integrations.verl.tracking import origin_of

CONFIG = {"algorithm": {"adv_estimator": "grpo"}, "trainer": {"total_training_steps": 40, "token": "hf_abcdefgh"}}


@pytest.fixture
def tracking() -> ModuleType:
    class Tracking:
        supported_backend: ClassVar[list[str]] = ["console"]

        def __init__(
            self, project_name: str, experiment_name: str, default_backend: Any = "console", config: Any = None
        ) -> None:
            for backend in default_backend:
                assert backend in self.supported_backend, f"{backend} is not supported"
            self.logger: dict[str, Any] = {}

        def log(self, data: Any, step: int, backend: Any = None) -> None:
            for logger in self.logger.values():
                logger.log(data=data, step=step)

        def finish(self, exit_code: int = 0) -> None: ...

    module = ModuleType("tracking")
    module.Tracking = Tracking  # type: ignore[attr-defined]
    return module


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_backend_is_chosen_by_name_and_takes_its_options_from_the_configuration(
    tracking: ModuleType, tmp_path: Path
) -> None:
    register(tracking)
    register(tracking)
    config = {**CONFIG, "trainer": {"rldk": {"output_dir": str(tmp_path), "echo": False}}}
    made = tracking.Tracking("math", "first", ["console", "rldk"], config)
    made.log({"actor/entropy": 0.5, "critic/score/mean": 0.2, "note": "text"}, 3)
    made.log({"val-core/gsm8k/reward/mean@1": 0.3}, 3)
    made.finish()
    first, second = _rows(tmp_path / "math" / "first_events.jsonl")
    assert (first["step"], first["metrics"]["entropy"], first["metrics"]["reward_mean"]) == (3, 0.5, 0.2)
    assert second["tags"] == {"phase": "eval"}
    assert (tmp_path / "math" / "first_final_report.json").is_file()


def test_a_tracker_that_did_not_ask_for_it_has_none(tracking: ModuleType) -> None:
    register(tracking)
    assert tracking.Tracking("p", "e", ["console"]).logger == {}


def test_wrong_options_do_not_end_the_training(
    tracking: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(tracking)
    config = {"trainer": {"rldk": {"no_such_option": 1}}}
    tracking.Tracking("p", "e", ["rldk"], config).log({"actor/loss": 1.0}, 1)
    assert "no_such_option" in capsys.readouterr().err


def test_a_stop_is_raised_after_the_row_is_written(tmp_path: Path) -> None:
    made = RLDKTracking(
        output_dir=tmp_path, run_id="r", stop_on="warn", alert_thresholds={"kl_divergence": 1}, echo=False
    )
    with pytest.raises(TrainingStopped, match="rldk stopped the training"):
        made.log({"kl": 5.0}, 0)
    assert _rows(tmp_path / "r_events.jsonl")


def test_the_configuration_says_what_trains() -> None:
    origin = origin_of(CONFIG)
    assert (origin.framework, origin.algorithm, origin.total_steps) == ("verl", "grpo", 40)
    assert "hf_abcdefgh" not in str(origin.config)
