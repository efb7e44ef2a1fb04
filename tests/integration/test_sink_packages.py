"""Sinks with the real packages, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from rldk import ingest_runs
from rldk.errors import UsageError
from rldk.integrations.recorder import Recorder, Recording
from rldk.integrations.sinks import LiveSink, MLflowSink, WandbSink, send

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]


def _training(folder: Path, sink: LiveSink, log: object = None) -> list[str]:
    said: list[str] = []
    recording = Recording(output_dir=folder, run_id="r", rules=(), thresholds={"clip_fraction": 0.5}, echo=False)
    recorder = Recorder(recording, say=said.append)
    send(recorder, sink)
    for step in range(6):
        recorder.log({"clip_frac": 0.1 if step < 3 else 0.9}, step=step)
        if callable(log):
            log({"loss": 1.0 / (1 + step)})
    recorder.close()
    return said


def test_an_offline_run_of_wandb_has_the_state_the_alert_and_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with pytest.raises(UsageError, match="no active run"):
        WandbSink()
    run = wandb.init(mode="offline", dir=tmp_path, project="p")
    assert _training(tmp_path, WandbSink(), run.log) == []
    assert run.summary["rldk/verdict"]
    run.finish()
    wandb.teardown()  # waits for the process that writes the file
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    content = file.read_bytes()
    assert b"rldk threshold_clip_fraction" in content
    table = ingest_runs(file)
    assert list(table["rldk/severity"].dropna()) == [0.0, 2.0]
    assert table["loss"].notna().sum() == 6  # the clock of the run was not moved


def test_a_run_of_mlflow_has_the_state_the_alert_and_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    with pytest.raises(UsageError, match="no active run"):
        MLflowSink()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    with mlflow.start_run() as run:
        assert _training(tmp_path, MLflowSink()) == []
    found = mlflow.MlflowClient().get_run(run.info.run_id).data
    assert found.metrics["rldk/severity"] == 2.0
    assert "High clipping" in found.tags["rldk.threshold_clip_fraction"]
    assert found.tags["rldk.verdict"]


def test_a_tapped_writer_that_is_also_a_sink_does_not_feed_itself(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from rldk.integrations.sinks import TensorBoardSink
    from rldk.integrations.tensorboard import tap

    tapped = tap(tmp_path / "logs", "r", rules=(), alert_thresholds={"clip_fraction": 0.5}, echo=False)
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        from tensorboardX import SummaryWriter
    writer = SummaryWriter(tmp_path / "runs")
    for step in range(8):
        writer.add_scalar("losses/clipfrac", 0.9, step)
        if step == 1:
            send(tapped.recorders[0], TensorBoardSink(writer))
    writer.close()
    tapped.remove()
    table = ingest_runs(tmp_path / "runs")
    assert len(table) == 8
    events = (tmp_path / "logs" / "r_events.jsonl").read_text()
    assert "rldk/" not in events
