from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from examples import each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.servers import mlflow
from rldk.adapters.servers.mlflow import MLflowFollower, MLflowRun
from rldk.adapters.servers.poll import RemoteFailure, Retry
from rldk.core.table import Row
from rldk.errors import NoData, RldkError, UnreadableSource, UsageError

SOURCE = "mlflow://127.0.0.1:5000/abc"


@dataclass
class Store:
    """Answers as a tracking server does: a history is sorted by time and step, a page token is an offset, the latest
    value is that of the highest step."""

    page: int = 3
    status: str = "RUNNING"
    params: dict[str, str] = field(default_factory=dict)
    points: dict[str, list[tuple[int, int, float]]] = field(default_factory=dict)
    read: Callable[[str], None] = lambda _: None  # is called behind the reading of a history

    def log(self, key: str, step: int, value: float, time: int) -> None:
        self.points.setdefault(key, []).append((time, step, value))

    def __call__(self, endpoint: str, asked: dict[str, Any]) -> dict[str, Any]:
        if endpoint == "runs/get":
            latest = {k: max(p, key=lambda point: (point[1], point[0])) for k, p in self.points.items()}
            metrics = [wire(key, point) for key, point in latest.items()]
            params = [{"key": key, "value": value} for key, value in self.params.items()]
            return {"run": {"info": {"status": self.status}, "data": {"metrics": metrics, "params": params}}}
        points = sorted(self.points[asked["metric_key"]], key=lambda point: point[:2])
        first = int(asked.get("page_token", 0))
        answer: dict[str, Any] = {"metrics": [wire(asked["metric_key"], p) for p in points[first : first + self.page]]}
        self.read(asked["metric_key"])
        return answer | ({"next_page_token": str(first + self.page)} if len(points) > first + self.page else {})


def wire(key: str, point: tuple[int, int, float]) -> dict[str, Any]:
    time, step, value = point
    return {"key": key, "value": value if math.isfinite(value) else str(value), "timestamp": time, "step": str(step)}


def cells(rows: list[Row]) -> list[tuple[int, int, str, str]]:
    return [(row.segment, row.step, key, repr(value)) for row in rows for key, value in row.values.items()]


def follower(store: Store, cursor: dict[str, Any] | None = None) -> MLflowFollower:
    return MLflowFollower(SOURCE, cursor=cursor, ask=store, retry=Retry(clock=lambda: 0.0))


LOGS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["a", "b", "eval/a"]), st.sampled_from([0.5, math.nan, math.inf])),
    max_size=25,
).map(lambda moves: [(1 + sum(m[0] for m in moves[: i + 1]), key, v) for i, (_, key, v) in enumerate(moves)])


@settings(deadline=None)
@given(LOGS, st.dictionaries(st.integers(0, 24), st.booleans()), st.integers(1, 4))
def test_any_split_of_polls_gives_the_same_rows(
    log: list[tuple[int, str, float]], polls: dict[int, bool], page: int
) -> None:
    """`polls`: the values before which there is a poll, and whether another process then goes on from the cursor."""

    def followed(polls: dict[int, bool]) -> list[Row]:
        store = Store(page=page)
        reader, rows = follower(store), []
        for number, (step, key, value) in enumerate(log):
            if number in polls:
                rows += reader.poll()
            if polls.get(number):
                reader = follower(store, json.loads(json.dumps(reader.cursor, allow_nan=False)))
            store.log(key, step, value, 1000 + number)
        store.status = "FINISHED"
        return rows + reader.poll()

    assert cells(followed(polls)) == cells(followed({}))


def test_what_is_logged_between_two_histories_comes_whole_in_the_next_poll() -> None:
    store = Store()

    def meanwhile(key: str) -> None:
        if key == "a":
            store.read = lambda _: None
            for time, (name, step) in enumerate([("a", 2), ("b", 2), ("a", 3), ("b", 3)], 2000):
                store.log(name, step, 0.2, time)

    for key in ("a", "b"):
        store.log(key, 1, 0.1, 1000)
    store.read = meanwhile
    reader = follower(store)
    rows = reader.poll() + reader.poll()
    assert [(row.step, sorted(row.values)) for row in rows] == [(1, ["a", "b"]), (2, ["a", "b"])]


def test_a_restart_is_seen_although_the_latest_value_stays() -> None:
    store, now = Store(page=100), [0.0]
    reader = MLflowFollower(SOURCE, ask=store, retry=Retry(clock=lambda: now[0]))
    for time, step in enumerate([*range(1, 6)], 1000):
        store.log("a", step, 0.1, time)
    rows = reader.poll()
    for time, step in enumerate([2, 3], 2000):
        store.log("a", step, 0.2, time)
    now[0] = mlflow.RECHECK_S
    rows += reader.poll() + reader.poll()
    now[0] *= 2
    rows += reader.poll()
    assert [(row.segment, row.step) for row in rows] == [*((0, step) for step in range(1, 6)), (1, 2), (1, 3)]


def test_a_step_is_given_when_its_values_stop_coming() -> None:
    store, now = Store(), [0.0]
    reader = MLflowFollower(SOURCE, ask=store, retry=Retry(clock=lambda: now[0]))
    store.log("a", 1, math.nan, 1000)
    assert reader.poll() == []
    now[0] = 4.99
    assert reader.poll() == []
    now[0] = 5.0
    assert [row.step for row in reader.poll()] == [1]


def test_values_logged_with_an_older_time_but_further_steps_are_not_lost() -> None:
    store = Store(page=100)
    reader, rows = follower(store), []
    for step in range(1, 4):
        store.log("a", step, 0.1, 1000 + step)
    rows += reader.poll()
    for step in range(4, 7):
        store.log("a", step, 0.1, 900 + step)
    store.status = "FINISHED"
    rows += reader.poll()
    assert [row.step for row in rows] == [1, 2, 3, 4, 5, 6]


def test_values_with_an_older_time_do_not_bring_others_again() -> None:
    store = Store(page=100)
    for time, step in enumerate([1, 2, 3, 4, 5, 3], 1000):
        store.log("a", step, 0.1, time)
    reader = follower(store)
    rows = reader.poll() + reader.poll()
    store.log("a", 9, 0.2, 900)
    store.status = "FINISHED"
    assert [row.step for row in rows + reader.poll()] == [1, 2, 3, 4, 5, 3, 9]


def test_only_metrics_with_news_are_asked_for() -> None:
    asked: list[str] = []
    store = Store()

    def ask(endpoint: str, parameters: dict[str, Any]) -> dict[str, Any]:
        asked.append(parameters.get("metric_key", endpoint))
        return store(endpoint, parameters)

    for key in ("a", "b"):
        store.log(key, 1, 0.1, 1000)
    reader = MLflowFollower(SOURCE, ask=ask, retry=Retry(clock=lambda: 0.0))
    reader.poll()
    asked.clear()
    store.log("b", 2, 0.1, 2000)
    reader.poll()
    reader.poll()
    assert asked == ["runs/get", "b", "runs/get"]


def test_a_failure_between_two_histories_loses_nothing() -> None:
    store, failures = Store(), [RemoteFailure("offline", "gone")]

    def ask(endpoint: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters.get("metric_key") == "b" and failures:
            raise failures.pop()
        return store(endpoint, parameters)

    for step in (1, 2):
        for key in ("a", "b"):
            store.log(key, step, 0.1, 1000 + step)
    reader = MLflowFollower(SOURCE, ask=ask, retry=Retry(attempts=1, clock=lambda: 0.0))
    with pytest.raises(UnreadableSource, match="cannot be reached"):
        reader.poll()
    store.status = "FINISHED"
    assert [(row.step, len(row.values)) for row in reader.poll()] == [(1, 2), (2, 2)]


def test_secrets_in_parameters_do_not_come_along() -> None:
    store = Store(params={"hub_token": "hf_x", "lr": "0.1"})
    store.log("a", 1, 0.1, 1000)
    assert MLflowRun(SOURCE, ask=store).load_run().meta.config == {"hub_token": "[redacted]", "lr": 0.1}


def test_a_run_without_metrics() -> None:
    with pytest.raises(NoData, match="no metrics"):
        MLflowRun(SOURCE, ask=Store()).read()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "NaN", "1e400", "9" * 400]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["run", "info", "data", "metrics", "params", "key", "value", "timestamp", "step", "status"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON, JSON)
def test_no_answer_raises_anything_but_an_rldk_error(described: Any, history: Any) -> None:
    def ask(endpoint: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if endpoint == "runs/get":
            metric = {"key": "a", "value": 1, "timestamp": 1, "step": 1}
            return {"run": {"data": {"metrics": [metric, described], "params": described}, "info": {}}}
        return {"metrics": [history], "next_page_token": history}

    for read in (MLflowRun(SOURCE, ask=ask).load_run, MLflowFollower(SOURCE, ask=ask).poll):
        with contextlib.suppress(RldkError):
            read()
    with pytest.raises(UnreadableSource):
        MLflowRun(SOURCE, ask=lambda *_: {"run": described if isinstance(described, list) else None}).read()


@each_of(
    ("status", "after", "text", "trouble", "wait"),
    [
        (401, None, "no", "auth", 0.0),
        (403, None, '{"message": "PERMISSION_DENIED"}', "auth", 0.0),
        (404, None, '{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Run not found"}', "absent", 0.0),
        (404, None, "<html>", "refused", 0.0),
        (429, "12", "{}", "busy", 12.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", "{}", "busy", 0.0),
        (503, None, "", "offline", 0.0),
        (200, None, "<html>sign in</html>", "refused", 0.0),
        (200, None, "[" * 100_000, "refused", 0.0),
    ],
)
def test_what_answers_mean(status: int, after: str | None, text: str, trouble: str, wait: float) -> None:
    with pytest.raises(RemoteFailure) as caught:
        mlflow._understood(status, after, text)
    assert (caught.value.trouble, caught.value.after_s) == (trouble, wait)


@each_of("source", ["mlflow://", "mlflow://a b", "mlflow://u:p@host/abc", "mlflow://h/../", "mlflow://x/é"])
def test_what_names_no_run_is_a_usage_error(source: str) -> None:
    with pytest.raises(UsageError):
        MLflowFollower(source, ask=Store())


@pytest.mark.parametrize("uri", ["", "sqlite:///mlflow.db", "file:///runs", "./mlruns", "databricks"])
def test_a_store_that_is_no_server_is_read_by_its_path(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UsageError, match="by its path"):
        MLflowFollower("mlflow://abc", ask=Store())


def test_a_password_in_the_address_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:s3cr3t@host/mlflow")

    def ask(endpoint: str, parameters: dict[str, Any]) -> dict[str, Any]:
        raise RemoteFailure("auth", "https://user:s3cr3t@host/mlflow says no")

    with pytest.raises(UnreadableSource, match="https://host/mlflow") as caught:
        MLflowFollower("mlflow://abc", ask=ask).poll()
    assert "s3cr3t" not in str(caught.value)
