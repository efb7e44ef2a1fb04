"""The recorder writes what happens as it happens, and nothing that goes wrong in it reaches a training."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk import ingest_runs
from rldk.core.model import Report
from rldk.errors import TrainingStopped, UnknownName, UsageError
from rldk.integrations.judge import TrainingOrigin
from rldk.integrations.recorder import Recorder, Recording
from rldk.rules.page import read_page
from rldk.rules.rule import Rule
from rldk.testing import noisy_column

PAGE = "Fires.\n\nWhy it matters: x\nHow it is computed: x\nWhen it is wrong: x\nSource: x"


def _recorder(folder: Path, **chosen: Any) -> tuple[Recorder, list[str]]:
    said: list[str] = []
    more = {name: chosen.pop(name) for name in ("judge", "rank") if name in chosen}
    origin = chosen.pop("origin", TrainingOrigin(framework="trl", algorithm="grpo", dialect="trl_grpo"))
    made = Recorder(Recording(output_dir=folder, **{"run_id": "r", **chosen}), origin, say=said.append, **more)
    return made, said


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _own_rule(body: Callable[[Any], Any]) -> Rule:
    return Rule(code="MINE1", name="mine", severity="warn", tier=1, body=body, page=read_page(PAGE, where="MINE1"))


def test_rows_are_written_in_canonical_names_as_they_come(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path)
    recorder.log({"reward": 0.5, "completions/mean_length": 7, "mine": "0.25", "none": None}, step=3, time=12.0)
    (event,) = _lines(tmp_path / "r_events.jsonl")
    assert event["metrics"] == {"reward_mean": 0.5, "response_length_mean": 7.0, "mine": 0.25}
    assert (event["step"], event["wall_time"], event["model_info"]) == (3, 12.0, {"run_id": "r"})


def test_a_new_column_widens_the_table_and_keeps_its_rows(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path)
    recorder.log({"reward": 0.5}, step=1)
    recorder.log({"reward": 0.6, "kl": 0.1}, step=2)
    recorder.log({"kl": 0.2}, step=3)
    with (tmp_path / "r_metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["step"], r["reward_mean"], r["kl"]) for r in rows] == [
        ("1", "0.5", ""),
        ("2", "0.6", "0.1"),
        ("3", "", "0.2"),
    ]


def test_an_alert_is_on_disk_when_log_returns_and_in_the_notes_of_its_event(tmp_path: Path) -> None:
    recorder, said = _recorder(tmp_path, thresholds={"clip_fraction": 0.3}, rules=["GRAD001"])
    alerts = recorder.log({"clip_ratio/region_mean": 0.41}, step=7) or ()
    assert [(a.rule, a.step, a.severity) for a in alerts] == [("threshold_clip_fraction", 7, "warn")]
    assert [a["rule"] for a in _lines(tmp_path / "r_alerts.jsonl")] == ["threshold_clip_fraction"]
    (event,) = _lines(tmp_path / "r_events.jsonl")
    assert event["notes"][0].startswith("High clipping fraction detected")
    assert said[0].startswith("rldk: [warn] r threshold_clip_fraction step 7")


def test_the_end_writes_the_list_of_alerts_and_the_report_of_the_doctor(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path)
    for step, reward in enumerate(noisy_column(1.0, 30), start=1):
        recorder.log({"reward": reward, "grad_norm": float("nan") if step > 25 else 1.0}, step=step)
    recorder.close()
    report = Report.from_dict(json.loads((tmp_path / "r_final_report.json").read_text()))
    alerts = json.loads((tmp_path / "r_alerts.json").read_text())
    assert "GRAD001" in {f.code for f in report.findings}
    assert "GRAD001" in {a["rule"] for a in alerts}
    assert (report.numbers["rows"], report.meta["run_id"], report.meta["status"]) == (30, "r", "finished")


def test_what_was_recorded_opens_as_one_run(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path)
    for step in range(1, 6):
        recorder.log({"reward": step / 10, "kl": 0.1}, step=step)
    recorder.close()
    frame = ingest_runs(tmp_path)
    assert list(frame["reward_mean"]) == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_rule_of_the_user_that_fails_is_said_once_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(f: Any) -> None:
        raise KeyError("oops")

    recorder, said = _recorder(tmp_path, rules=[_own_rule(broken), "GRAD001"])
    for step in range(1, 5):
        recorder.log({"reward": 0.1, "grad_norm": 1.0 if step < 3 else float("nan")}, step=step)
    assert len([s for s in said if "MINE1" in s]) == 1
    assert recorder.counts["critical"] == 1


def test_an_error_inside_rldk_is_said_once_and_rows_are_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, said = _recorder(tmp_path)
    recorder.log({"reward": 0.1}, step=1)
    monkeypatch.setattr("rldk.engine.session.EngineSession.feed", lambda *_: 1 / 0)
    for step in range(2, 6):
        recorder.log({"reward": 0.1}, step=step)
    recorder.close()
    assert [s for s in said if "ZeroDivisionError" in s and "the training goes on" in s] == said[:1]
    assert len(_lines(tmp_path / "r_events.jsonl")) == 5


def test_a_folder_that_cannot_be_made_costs_no_step(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    recorder, said = _recorder(tmp_path / "file", rules=["GRAD001"])
    for step in range(1, 4):
        assert recorder.log({"grad_norm": 1.0 if step < 3 else float("nan")}, step=step) is not None
    report = recorder.close()
    assert recorder.counts["critical"] == 1
    assert [line for line in said if "GRAD001" not in line] == [
        f"rldk: cannot write {tmp_path / 'file'}: File exists. New rows and reports are lost until this is mended; the "
        "training and its checks go on. Move the file that is in the place of the folder: rldk tries again by itself, "
        "and says this once for all files of the run"
    ]
    assert report is not None
    assert report.meta["not_written"] == {"r_events.jsonl": 3, "r_metrics.csv": 3}
    assert capfd.readouterr().err == ""


def test_a_folder_that_is_away_for_a_while_costs_the_rows_of_that_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rldk.integrations.outputs.CHECK_S", 0.0)
    recorder, said = _recorder(tmp_path / "out", rules=["GRAD001"], samples=1)
    for step in range(1, 9):
        if step == 3:
            (tmp_path / "out").rename(tmp_path / "away")
            (tmp_path / "out").touch()
        if step == 6:
            (tmp_path / "out").unlink()
        recorder.log_samples([{"response": "x", "reward": 0.1}], step=step)
        recorder.log({"reward": 0.1, "grad_norm": 1.0 if step != 4 else float("nan")}, step=step)
    report = recorder.close()
    assert report is not None
    told = [line for line in said if "GRAD001" not in line]
    assert len(told) == 2
    assert "File exists" in told[0]
    lacking = ("samples-r.jsonl", "r_events.jsonl", "r_metrics.csv")
    assert told[1].partition("missing: ")[2] == ", ".join(f"3 records of {name} (steps 3 to 5)" for name in lacking)
    assert [e["step"] for e in _lines(tmp_path / "out" / "r_events.jsonl")] == [6, 7, 8]
    assert {a["rule"] for a in _lines(tmp_path / "out" / "r_alerts.jsonl")} == {"GRAD001"}, "alerts wait"
    said_by_report = json.loads((tmp_path / "out" / "r_final_report.json").read_text())
    assert said_by_report["meta"]["not_written"] == dict.fromkeys(lacking, 3)


def test_a_folder_that_is_removed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rldk.integrations.outputs.CHECK_S", 0.0)
    recorder, said = _recorder(tmp_path / "out")
    recorder.log({"reward": 0.1}, step=1)
    shutil.rmtree(tmp_path / "out")
    for step in (2, 3):
        recorder.log({"reward": 0.1}, step=step)
    recorder.close()
    assert [e["step"] for e in _lines(tmp_path / "out" / "r_events.jsonl")] == [2, 3]
    assert len(said) == 1
    assert "was removed" in said[0]
    assert (tmp_path / "out" / "r_final_report.json").exists()


def test_a_stop_is_asked_for_at_the_step_of_the_alert(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path, stop_on="critical")
    recorder.log({"grad_norm": 1.0}, step=1)
    recorder.raise_if_stopped()
    recorder.log({"grad_norm": float("inf")}, step=2)
    assert recorder.stop_reason.startswith("GRAD001 at step 2")
    with pytest.raises(TrainingStopped, match="GRAD001"):
        recorder.raise_if_stopped()


def test_the_stop_of_a_preset_counts_only_for_its_own_rules(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path, rules="ppo_safe", origin=TrainingOrigin(framework="trl", algorithm="ppo"))
    assert "ppo_safe_kl_spike_persists" in recorder.rules.stops
    assert "ppo_safe_kl_spike" not in recorder.rules.stops


def test_two_recorders_of_one_judge_judge_each_row_once(tmp_path: Path) -> None:
    first, _ = _recorder(tmp_path, rules=["GRAD001"])
    second, _ = _recorder(tmp_path, run_id="s", rules=["GRAD001"], thresholds={"kl_divergence": 0.5}, judge=first.judge)
    for step in range(1, 4):
        row = {"grad_norm": 1.0 if step < 2 else float("nan"), "kl": 0.1 if step < 2 else 0.9}
        told = [r.log(row, step=step, key=("log", step)) or () for r in (first, second)]
        if step == 2:
            assert [[a.rule for a in alerts] for alerts in told] == [
                ["GRAD001"],
                ["GRAD001", "threshold_kl_divergence"],
            ]
    report = first.judge.report(meta={}, numbers={})
    assert report is not None
    assert report.findings[0].rows == 2


def test_what_a_hook_measures_joins_the_next_training_row(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path)
    recorder.measure({"ratio_first_minibatch_dev": 0.0})
    recorder.attach(rng={"digest": "ab"})
    recorder.log({"eval_loss": 1.0}, step=1, phase="eval")
    recorder.log({"reward": 0.1}, step=1)
    recorder.log({"reward": 0.1}, step=2)
    events = _lines(tmp_path / "r_events.jsonl")
    assert ["ratio_first_minibatch_dev" in e["metrics"] for e in events] == [False, True, False]
    assert (events[0]["tags"], events[0]["rng"]) == ({"phase": "eval"}, {"digest": "ab"})


def test_samples_are_bounded_cut_and_without_secrets(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path, samples=2)
    secret = "sk-" + "a1" * 20
    records = [{"prompt": f"key {secret}", "response": "x" * 20_000, "reward": float("nan"), "junk": 1}] * 8
    recorder.log_samples(records, step=4)
    kept = _lines(tmp_path / "samples-r.jsonl")
    assert (len(kept), recorder.samples.left_out, kept[0]["step"]) == (2, 6, 4)
    assert secret not in kept[0]["prompt"]
    assert len(kept[0]["response"]) < 9_000
    assert kept[0]["reward"] == "nan"
    assert "junk" not in kept[0]


def test_samples_stop_at_their_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rldk.integrations.samples.MAX_FILE", 300)
    monkeypatch.setattr("rldk.integrations.samples.MAX_FILES", 2)
    recorder, _ = _recorder(tmp_path, samples=1)
    for step in range(20):
        recorder.log_samples([{"response": "x" * 100}], step=step)
    assert sorted(p.name for p in tmp_path.glob("samples-*")) == ["samples-r-1.jsonl", "samples-r.jsonl"]
    assert sum(p.stat().st_size for p in tmp_path.glob("samples-*")) <= 600
    assert recorder.samples.left_out > 0


def test_ranks_write_files_of_their_own_and_rank_0_judges(tmp_path: Path) -> None:
    made = [_recorder(tmp_path, rank=rank, rules=["GRAD001"])[0] for rank in (0, 1)]
    for recorder in made:
        for step, norm in enumerate([1.0, float("nan")]):
            recorder.log({"grad_norm": norm}, step=step)
        recorder.close()
    assert {p.name for p in tmp_path.iterdir()} == {
        "r_events.jsonl", "r_events.rank1.jsonl", "r_metrics.csv", "r_alerts.jsonl", "r_alerts.json",
        "r_final_report.json",
    }  # fmt: skip


@each_of(
    ("given", "error"),
    [
        ({"thresholds": {"kl_divergense": 1.0}}, UnknownName),
        ({"thresholds": {"kl_divergence": -1.0}}, UsageError),
        ({"rules": "no_such_preset"}, UnknownName),
        ({"stop_on": "sometimes"}, UnknownName),
        ({"samples": -1}, UsageError),
    ],
    ids=["name", "value", "preset", "severity", "samples"],
)
def test_a_wrong_choice_is_an_error_at_once(tmp_path: Path, given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        _recorder(tmp_path, **given)


def test_a_limit_by_the_code_of_a_rule_replaces_that_rule(tmp_path: Path) -> None:
    recorder, _ = _recorder(tmp_path, thresholds={"CLIP003": {"severity": "info"}})
    assert [r.severity for r in recorder.rules.rules if r.code == "CLIP003"] == ["info"]
