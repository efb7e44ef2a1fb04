"""What rldk puts at the loggers of verl and OpenRLHF takes the calls that these packages make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from logger_seams import OPENRLHF, VERL, signatures

from rldk.integrations.openrlhf import OpenRLHFMonitor
from rldk.integrations.openrlhf.monitor import LoggerPair
from rldk.integrations.verl import RLDKTracking
from rldk.integrations.verl.tracking import follow


class RecordedTracking:
    """With the signatures of verl's `Tracking`."""

    supported_backend: ClassVar[list[str]] = ["console"]

    def __init__(
        self, project_name: Any, experiment_name: Any, default_backend: Any = "console", config: Any = None
    ) -> None:
        self.logger: dict[str, Any] = {}

    def log(self, data: Any, step: Any, backend: Any = None) -> None:
        for logger in self.logger.values():
            logger.log(data=data, step=step)

    def finish(self, exit_code: int = 0) -> None: ...


def test_the_loggers_of_openrlhf_have_the_recorded_signatures() -> None:
    for kind in (OpenRLHFMonitor, LoggerPair):
        assert signatures(kind, OPENRLHF) == OPENRLHF


def test_a_followed_tracker_keeps_the_recorded_signatures_and_calls(tmp_path: Path) -> None:
    kind: Any = type("Tracking", (RecordedTracking,), {})
    assert signatures(kind, VERL) == VERL
    follow(
        kind, lambda wanted, given: RLDKTracking(given[0], given[1], given[2], tmp_path, echo=False) if wanted else None
    )
    assert signatures(kind, VERL) == VERL
    made = kind(project_name="p", experiment_name="e", default_backend=("console", "rldk"), config={})
    made.log(data={"actor/entropy": 0.5}, step=1)
    made.finish(exit_code=1)
    report = json.loads((tmp_path / "p" / "e_final_report.json").read_text())
    assert (report["meta"]["status"], report["numbers"]["rows"]) == ("crashed", 1)


def test_an_argument_that_a_later_verl_adds_is_passed_on(tmp_path: Path) -> None:
    class Later(RecordedTracking):
        def __init__(self, project_name: Any, experiment_name: Any, *, run: str, **more: Any) -> None:
            super().__init__(project_name, experiment_name, **more)
            self.run = run

        def finish(self, exit_code: int = 0, quiet: bool = False) -> None:
            self.quiet = quiet

    follow(Later, lambda wanted, given: RLDKTracking(given[0], given[1], given[2], tmp_path, echo=False))
    made = Later("p", "e", run="x")
    made.finish(quiet=True)
    assert (made.run, made.quiet) == ("x", True)
    report = json.loads((tmp_path / "p" / "e_final_report.json").read_text())
    assert report["meta"]["status"] == "finished"


@pytest.mark.parametrize("given", [{"data": {"kl": 0.1}, "step": 1}])
def test_verl_calls_its_backends_by_keyword(given: dict[str, Any], tmp_path: Path) -> None:
    backend = RLDKTracking(output_dir=tmp_path, run_id="r", echo=False)
    backend.log(**given)
    backend.finish(exit_code=0)
    assert (tmp_path / "r_events.jsonl").is_file()
