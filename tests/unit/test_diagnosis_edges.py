"""Diagnosing one run and many: what is passed on, what is left out, and when processes are used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from rldk.adapters.folder import plan_folder
from rldk.adapters.open import options_of
from rldk.core.model import Rejected
from rldk.diagnosis import diagnose, diagnose_all, diagnose_run, home_of, many, runs_in
from rldk.diagnosis.many import MANY_BYTES, MANY_RUNS, Wanted, judge_paths
from rldk.engine.reference import baseline
from rldk.errors import NotALog, UsageError
from rldk.testing import noisy_column, run_of


def _log(path: Path, rows: int = 30) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    lines = [{"step": i, "reward_mean": 0.5 + 0.01 * (i % 3), "kl": 0.02 + 0.001 * (i % 2)} for i in range(rows)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_report_carries_the_first_five_refused_lines_and_the_names() -> None:
    run = run_of({"loss": [1.0, 0.5]}, names={"loss": "train/loss"})
    refused = tuple(Rejected(line=n, offset=0, reason="no JSON", excerpt="x") for n in range(1, 8))
    report = diagnose_run(replace(run, rejected=refused))
    assert [r["line"] for r in report.meta["rejected"]] == [1, 2, 3, 4, 5]
    assert report.meta["rejected"][0] == {"line": 1, "reason": "no JSON", "excerpt": "x"}
    assert report.meta["names"] == {"loss": "train/loss"}


def test_the_curve_of_a_counter_is_not_drawn() -> None:
    columns = {"loss": [1.0, 0.5] * 9, "tokens_total": [float(i) for i in range(18)]}
    report = diagnose_run(run_of(columns, names={name: name for name in columns}))
    assert set(report.meta["series"]) == {"loss"}


def test_what_the_caller_knows_stands_beside_what_the_log_knows() -> None:
    kl = [0.0] * 35
    assert not diagnose_run(run_of({"kl": kl}), select="KL003").findings
    told = diagnose_run(run_of({"kl": kl}), select="KL003", config={"beta": 0.04})
    assert [f.code for f in told.findings] == ["KL003"]
    own = run_of({"kl": kl}, config={"beta": 0.0})
    assert not diagnose_run(own, select="KL003", config={"beta": 0.04}).findings


def test_a_reference_is_compared_with() -> None:
    approved = run_of({"kl": noisy_column(0.1, 60), "reward_mean": noisy_column(0.5, 60)})
    far = run_of({"kl": noisy_column(3.0, 60, 2), "reward_mean": noisy_column(0.5, 60, 2)})
    assert not diagnose(far, select="KL001").findings
    assert [f.code for f in diagnose(far, select="KL001", reference=approved).findings] == ["KL001"]
    assert diagnose_run(far, select="KL001", reference=baseline(approved)).findings


def test_too_many_runs_are_named_up_to_five(tmp_path: Path) -> None:
    for n in range(6):
        _log(tmp_path / f"s{n}")
    with pytest.raises(UsageError) as caught:
        diagnose(tmp_path)
    assert caught.value.message == f"{tmp_path} holds 6 runs: s0, s1, s2, s3, s4, ..."
    (tmp_path / "s5/metrics.jsonl").unlink()
    with pytest.raises(UsageError) as caught:
        diagnose(tmp_path)
    assert caught.value.message == f"{tmp_path} holds 5 runs: s0, s1, s2, s3, s4"
    assert len(diagnose_all(tmp_path)) == 5


def test_a_run_is_its_own_source_and_a_path_stays_as_it_was_given(tmp_path: Path) -> None:
    run = run_of({"loss": [1.0]})
    assert runs_in(run) == [run]
    _log(tmp_path / "a")
    assert [r.source for r in runs_in(tmp_path / "a")] == [str(tmp_path / "a")]
    _log(tmp_path / "b")
    assert [Path(r.source) for r in runs_in(tmp_path)] == [tmp_path / n / "metrics.jsonl" for n in "ab"]
    two = replace(run, meta=replace(run.meta, files=("/x/a/1.csv", "/x/a/2.csv")))
    assert (home_of(two), home_of(run)) == ("/x/a", "test")


@pytest.mark.parametrize(
    ("count", "size", "processes"),
    [(1, MANY_BYTES, False), (2, MANY_BYTES // 2, True), (2, MANY_BYTES // 2 - 1, False), (MANY_RUNS - 1, 0, False),
     (MANY_RUNS, 0, True)],
)  # fmt: skip
def test_processes_are_used_from_a_size_or_a_number_on(
    monkeypatch: pytest.MonkeyPatch, count: int, size: int, processes: bool
) -> None:
    assert (MANY_RUNS, MANY_BYTES) == (24, 32 << 20)
    monkeypatch.setattr(many, "_size", lambda task: size)
    tasks = [many._Task(path=str(n), name=str(n)) for n in range(count)]
    assert many._many(tasks) is processes


def test_the_size_of_a_task_is_that_of_its_files(tmp_path: Path) -> None:
    _log(tmp_path / "a")
    (tmp_path / "a/metrics.jsonl").write_text("x" * 77)
    assert many._size(many._Task(path=str(tmp_path / "a/metrics.jsonl"), name="a")) == 77
    assert many._size(many._Task(path=str(tmp_path / "absent"), name="a")) == 0
    assert many._size(many._Task(path="\0", name="a")) == 0


def test_tasks_are_named_by_their_run_or_their_folder(tmp_path: Path) -> None:
    planned: dict[str, dict[str, str]] = {}
    options = options_of(adapter=None, field_map=None, strict=False)
    _log(tmp_path / "one")
    (alone,) = many._tasks(str(tmp_path), options, planned)
    assert (alone.alone, alone.path) == (True, str(tmp_path))
    _log(tmp_path / "two")
    tasks = many._tasks(str(tmp_path), options, planned)
    assert [(t.name, t.alone) for t in tasks] == [(str(tmp_path / n), False) for n in ("one", "two")]
    assert planned[str(tmp_path)] == plan_folder(tmp_path, options).left_out
    (file,) = many._tasks(str(tmp_path / "one/metrics.jsonl"), options, planned)
    assert (file.group, file.alone) == (None, True)
    assert many._folder("~nobody-of-that-name/x") is None
    assert many._folder("\0") is None
    assert many._folder(str(tmp_path / "one/metrics.jsonl")) is None


def test_everything_is_counted_and_named_as_it_begins(tmp_path: Path) -> None:
    for name in "ab":
        _log(tmp_path / name)
    begun: list[str] = []
    expected: list[int] = []
    judged = judge_paths(
        [str(tmp_path), str(tmp_path / "gone")], Wanted(), 1, begin=begun.append, expect=expected.append
    )
    assert expected == [3]
    assert begun == [
        f"looking into {tmp_path}", f"looking into {tmp_path / 'gone'}", f"judging {tmp_path / 'a'}",
        f"judging {tmp_path / 'b'}", f"judging {tmp_path / 'gone'}",
    ]  # fmt: skip
    assert [r.meta["run"] for r in judged.reports] == ["a", "b"]
    assert [r.meta["source"] for r in judged.reports] == [str(tmp_path / n / "metrics.jsonl") for n in "ab"]
    assert [f.source for f in judged.failures] == [str(tmp_path / "gone")]
    assert len(judged.seconds) == 2
    assert min(judged.seconds) > 0


def test_runs_of_one_name_get_different_names(tmp_path: Path) -> None:
    paths = [str(_log(tmp_path / side / "run")) for side in "ab"]
    names = [judge_paths([path], Wanted()).reports[0].meta["run"] for path in paths]
    assert names == ["run", "run"]
    both = judge_paths([str(tmp_path)], Wanted()).reports
    assert len({r.meta["run"] for r in both}) == 2


def test_what_is_unreadable_below_a_directory_is_told_only_where_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "only").mkdir()
    (tmp_path / "only/x.csv").write_text("")
    with_none = judge_paths([str(tmp_path / "only")], Wanted())
    assert [type(f.error) for f in with_none.failures] == [NotALog]
    assert not with_none.reports
    _log(tmp_path / "only/run")
    for strict in (False, True):
        beside = judge_paths([str(tmp_path / "only")], Wanted(strict=strict))
        assert not beside.failures
        (report,) = beside.reports
        assert str(tmp_path / "only/x.csv") in report.meta["left_out"]


def test_a_process_that_died_is_an_error_of_its_run() -> None:
    (done,) = many._lost((many._Task(path="p", name="the run"),))
    (failure,) = done.failures
    assert done.lost
    assert (failure.source, failure.error.message) == ("the run", "the process that judged it died")
    assert failure.error.hint == "is there enough memory? Judge it alone to see"


def test_an_adapter_that_fits_no_file_fails_each(tmp_path: Path) -> None:
    path = _log(tmp_path / "a") / "metrics.jsonl"
    judged = judge_paths([str(path)], Wanted(adapter="tensorboard"))
    assert [f.error.exit_code for f in judged.failures] == [3]
    wanted: Any = Wanted(adapter="csv", field_map={"a": "kl"}, strict=True)
    assert wanted.reading == {"adapter": "csv", "field_map": {"a": "kl"}, "strict": True}


def test_a_noisy_column_scatters_by_a_twentieth_unless_it_is_told() -> None:
    assert noisy_column(2.0, 9) == noisy_column(2.0, 9, 1, 0.05)
    assert noisy_column(2.0, 9) != noisy_column(2.0, 9, share=0.06)
