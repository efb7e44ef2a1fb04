"""What sinks are sent, and that a sink that fails does no harm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rldk.core.model import Alert, Report
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.sinks import TensorBoardSink, send


class Kept:
    name = "a list"

    def __init__(self) -> None:
        self.got: list[Any] = []

    def state(self, values: Mapping[str, float], step: int) -> None:
        self.got.append((step, tuple(int(v) for v in values.values())))

    def alert(self, alert: Alert) -> None:
        self.got.append((alert.step, alert.event))

    def end(self, report: Report) -> None:
        self.got.append(report.verdict)


class Failing(Kept):
    name = "nowhere"

    def state(self, values: Mapping[str, float], step: int) -> None:
        raise OSError("no route to host")


def _recorder(folder: Path, said: list[str] | None = None) -> Recorder:
    limits = {"clip_fraction": 0.5}
    recording = Recording(output_dir=folder, run_id="r", rules=(), thresholds=limits, echo=False)
    return Recorder(recording, say=(said if said is not None else []).append)


def test_states_are_sent_when_they_change_and_alerts_as_they_come(tmp_path: Path) -> None:
    kept, recorder = Kept(), _recorder(tmp_path)
    send(recorder, kept)
    for step, value in enumerate([0.1, 0.1, 0.9, 0.9, *[0.1] * 30]):
        recorder.log({"clip_frac": value}, step=step)
    recorder.close()
    assert kept.got[:3] == [(0, (0, 0, 0)), (2, "begin"), (2, (1, 1, 2))]
    assert kept.got[3][1] == "recovered"
    assert kept.got[4][1] == (1, 0, 0)
    assert len(kept.got) == 6
    assert isinstance(kept.got[5], str)


def test_a_sink_that_fails_is_told_once_and_the_others_are_served(tmp_path: Path) -> None:
    said: list[str] = []
    kept, recorder = Kept(), _recorder(tmp_path, said)
    send(recorder, Failing(), kept)
    for step in range(5):
        recorder.log({"clip_frac": 0.9}, step=step)
    assert [text for text in said if "nowhere" in text and "no route" in text] == said
    assert len(said) == 1
    assert kept.got


def test_a_writer_gets_scalars_and_texts(tmp_path: Path) -> None:
    class Writer:
        def __init__(self) -> None:
            self.got: list[tuple[str, Any, int]] = []

        def add_scalar(self, tag: str, value: float, step: int) -> None:
            self.got.append((tag, value, step))

        add_text = add_scalar

    writer, recorder = Writer(), _recorder(tmp_path)
    send(recorder, TensorBoardSink(writer))
    recorder.log({"clip_frac": 0.9}, step=4)
    recorder.close()
    tags = [tag for tag, _, step in writer.got if step == 4]
    assert tags == ["rldk/alerts", "rldk/alerts", "rldk/alerts_open", "rldk/severity", "rldk/verdict"]


def test_a_run_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from rldk.errors import MissingExtra
    from rldk.integrations.sinks import MLflowSink, WandbSink

    for package, sink in (("wandb", WandbSink), ("mlflow", MLflowSink)):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtra, match=package):
            sink()
