from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from examples import each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.servers import wandb as api
from rldk.adapters.servers.poll import Retry
from rldk.adapters.servers.wandb import WandBFollower, WandBRun
from rldk.core.table import Row
from rldk.errors import RldkError, UnreadableSource, UsageError

SOURCE = "wandb://team/proj/abc"


class StoredRun:
    """What the client shows of a run."""

    def __init__(self) -> None:
        self.logged: list[Any] = []
        self.state = "running"
        self.config: Any = {"api_key": "s3cr3t", "lr": 0.1}
        self.summary_metrics: Any = {}
        self.failures: list[Exception] = []

    def log(self, **values: Any) -> None:
        self.logged.append({"_step": len(self.logged), **values})

    @property
    def lastHistoryStep(self) -> int:
        return len(self.logged) - 1

    def load(self, force: bool = False) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def scan_history(self, *, min_step: int, max_step: int, page_size: int) -> list[Any]:
        return self.logged[min_step:max_step]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> StoredRun:
    made = StoredRun()
    monkeypatch.setattr(api, "_connect", lambda path: (made, "http://host"))
    return made


def steps(rows: list[Row]) -> list[tuple[int, int, str]]:
    return [(row.segment, row.step, key) for row in rows for key in row.values]


ROWS = st.lists(
    st.dictionaries(
        st.sampled_from(["loss", "eval/loss", "train/global_step", "global_step", "profiling/x", "_runtime", "note"]),
        st.integers(0, 5) | st.sampled_from(["NaN", "text", None, 0.5]),
        max_size=4,
    ),
    max_size=15,
)


@settings(deadline=None)
@given(ROWS, st.dictionaries(st.integers(0, 14), st.booleans()))
def test_any_split_of_polls_gives_the_same_rows(log: list[dict[str, Any]], polls: dict[int, bool]) -> None:
    """`polls`: the rows before which there is a poll, and whether another process then goes on from the cursor."""

    def followed(polls: dict[int, bool]) -> list[Row]:
        run = StoredRun()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(api, "_connect", lambda path: (run, "http://host"))
            follower, rows = WandBFollower(SOURCE), []
            for number, row in enumerate(log):
                if number in polls:
                    rows += follower.poll()
                if polls.get(number):
                    follower = WandBFollower(SOURCE, cursor=json.loads(json.dumps(follower.cursor)))
                run.log(**row)
            return rows + follower.poll()

    assert repr(followed(polls)) == repr(followed({}))


def test_the_step_is_the_trainers(run: StoredRun) -> None:
    run.log(**{"profiling/wait": 0.1})
    run.log(num_params=7)
    run.log(**{"train/loss": 1.0, "train/global_step": 100})
    run.log(**{"eval/loss": 1.0})
    run.log(**{"train/loss": 0.5, "train/global_step": 200, "_timestamp": 5.0})
    rows = WandBFollower(SOURCE).poll()
    assert steps(rows) == [
        (0, 1, "num_params"), (0, 100, "train/loss"), (0, 100, "eval/loss"), (0, 200, "train/loss"),
    ]  # fmt: skip
    assert rows[-1].time == 5.0


def test_a_restart_begins_a_segment_and_a_late_evaluation_does_not(run: StoredRun) -> None:
    for at, key in ((10, "loss"), (20, "loss"), (10, "eval/loss"), (30, "loss"), (20, "loss")):
        run.log(**{key: 1.0, "global_step": at})
    assert steps(WandBFollower(SOURCE).poll()) == [
        (0, 10, "loss"), (0, 20, "loss"), (0, 10, "eval/loss"), (0, 30, "loss"), (1, 20, "loss"),
    ]  # fmt: skip


def test_a_clock_on_evaluation_rows_only_is_not_that_of_training(run: StoredRun) -> None:
    for step in range(3):
        run.log(loss=1.0)
        run.log(**{"eval/loss": 1.0, "global_step": 1000 * step})
    assert [row.step for row in WandBFollower(SOURCE).poll() if "loss" in row.values] == [0, 2, 4]


def test_what_is_no_number_is_left_out_and_words_for_numbers_are_read(run: StoredRun) -> None:
    run.log(a="NaN", b="-Infinity", c="0.5", d={"_type": "histogram", "x": 1}, e={"f": {"g": True}}, h=None, i=10**400)
    (row,) = WandBFollower(SOURCE).poll()
    assert {key: repr(value) for key, value in row.values.items()} == {
        "a": "nan", "b": "-inf", "e.f.g": "1.0", "i": "inf",
    }  # fmt: skip


def test_config_is_redacted_and_the_summary_adds_what_history_lacks(run: StoredRun) -> None:
    run.log(loss=1.0)
    run.summary_metrics = {"loss": 9.0, "best": {"reward": 3.0}, "_runtime": 5}
    found = WandBRun(SOURCE).load_run()
    assert (found.id, found.meta.config) == ("abc", {"api_key": "[redacted]", "lr": 0.1})
    assert found.metrics.columns["best.reward"][-1] == 3.0


@pytest.mark.parametrize("state", ["finished", "crashed", "failed", "killed"])
def test_an_ended_run_is_finished_when_its_rows_were_given(run: StoredRun, state: str) -> None:
    run.log(loss=1.0)
    run.state = state
    follower = WandBFollower(SOURCE)
    assert (len(follower.poll()), follower.finished) == (1, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Could not find run <Run team/proj/abc (not found)>", "has no run team/proj/abc"),
        ("HTTP 429: slow down", "asks for fewer requests"),
        ("Failed to execute API request: the service process is busy and did not respond in time.", "be reached"),
        ("('Connection aborted.', RemoteDisconnected('Remote end closed connection'))", "be reached"),
        ("permission denied to access team/proj/abc", "does not let you read"),
        ("api_key not configured (no-tty). call wandb.login(key=[your_api_key])", "does not let you read"),
        ("something new", "no usable answer: something new"),
    ],
)
def test_what_the_clients_messages_mean(run: StoredRun, text: str, message: str) -> None:
    follower = WandBFollower(SOURCE, retry=Retry(attempts=2, sleep=lambda _: None))
    follower.poll()
    run.failures = [ValueError(text)] * 2
    with pytest.raises(UnreadableSource, match=message):
        follower.poll()


def test_trouble_that_passes_is_not_noticed(run: StoredRun) -> None:
    waits: list[float] = []
    follower = WandBFollower(SOURCE, retry=Retry(sleep=waits.append))
    follower.poll()
    run.log(loss=1.0)
    run.failures = [OSError("Connection reset by peer"), TimeoutError("timed out")]
    assert (len(follower.poll()), len(waits)) == (1, 2)


def test_a_history_that_breaks_off_is_asked_for_from_there(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE_ROWS", 2)
    monkeypatch.setattr(api, "PAGES", 1)
    for step in range(7):
        run.log(loss=float(step))
    asked, scan = [], run.scan_history

    def breaking(**page: Any) -> list[Any]:
        asked.append(page["min_step"])
        if asked.count(4) == 1 and page["min_step"] == 4:
            raise ConnectionError("connection lost")
        return scan(**page)

    monkeypatch.setattr(run, "scan_history", breaking)
    rows = WandBFollower(SOURCE, retry=Retry(sleep=lambda _: None)).poll()
    assert [row.values["loss"] for row in rows] == list(range(7))
    assert asked == [0, 2, 4, 4, 6]


KEYS = st.sampled_from(["_step", "_timestamp", "global_step", "a", "_type"])
JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(JSON, max_size=4))
def test_no_row_raises_anything_but_an_rldk_error(logged: list[Any]) -> None:
    run = StoredRun()
    run.logged, run.config, run.summary_metrics = logged, logged, {"a": logged}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "_connect", lambda path: (run, "http://host"))
        for read in (WandBFollower(SOURCE).poll, WandBRun(SOURCE).load_run):
            with contextlib.suppress(RldkError):
                read()


@each_of("source", ["wandb://", "wandb://abc", "wandb://a/b/c/d", "wandb://a//c"])
def test_what_names_no_run_is_a_usage_error(source: str) -> None:
    with pytest.raises(UsageError, match="names no run"):
        WandBFollower(source)
