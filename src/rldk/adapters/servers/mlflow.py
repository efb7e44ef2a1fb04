"""Reads runs on an MLflow tracking server, `mlflow://run_id` or `mlflow://host:port/run_id`.

It uses the documented REST API (`runs/get`, `metrics/get-history`) through MLflow's own client, which knows the ways to
sign in. It was checked with 2.14 and 3.17, client and server.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

from rldk.adapters.formats.dialect import literal
from rldk.adapters.formats.mlflow_store import SYSTEM, Store, restore_infinity
from rldk.adapters.log import Log
from rldk.adapters.servers.poll import RemoteFailure, RemoteFollower, RemoteRun, Retry, Service, Trouble
from rldk.adapters.wire.points import Point, PointJoiner
from rldk.core.extras import need
from rldk.core.records import to_number
from rldk.core.text import later
from rldk.errors import UsageError

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]  # (endpoint, parameters) -> the JSON object of the answer
TIMEOUT_S = 15
PAGE_POINTS = 1000  # always part of a request: without a page size some servers answer with no points at all
MAX_METRICS = 20_000
HOLD_S = 5.0  # a step is complete when its values stop coming: one `log_metric` call takes milliseconds
RECHECK_S = 30.0  # see `MLflowFollower._due`
_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
_RUN_ID = later(r"[A-Za-z0-9_-]{1,256}")
_HTTP: dict[int, Trouble] = {401: "auth", 403: "auth", 408: "offline", 429: "busy"}


class MLflowRun(RemoteRun):
    """A run in its present state on the server, read like the server's own database."""

    name: ClassVar[str] = "mlflow"
    describes: ClassVar[str] = "run on an MLflow server"

    def __init__(self, source: str, *, retry: Retry | None = None, ask: Ask | None = None) -> None:
        self._server = _Server(source, retry or Retry(), ask)
        super().__init__(source, run=self._server.run_id)

    def read(self) -> Log:
        """The metrics, parameters and commit of the run. Raises `NoData`, `UnreadableSource`."""
        store, run = Store(), self._server.run()
        machine = 0
        for key in _latest(run):
            if key.startswith(SYSTEM):
                machine += 1
                continue
            for _, metrics in self._server.pages(key, None):
                for metric in metrics:
                    _put(store, key, metric)
        store.scalars.sort_by_time()
        store.config = {key: literal(value) for key, value in _pairs(run, "params")}
        for key, value in _pairs(run, "tags"):
            store.tag(key, value)
        stated = {"run_id": "mlflow_run", "run_name": "mlflow_name", "experiment_id": "mlflow_experiment"}
        info = run.get("info", {})
        store.meta["environment"] = {name: info[key] for key, name in stated.items() if isinstance(info.get(key), str)}
        notes = (f"rldk left out {machine} metrics about the machine ({SYSTEM}*)",) if machine else ()
        return store.log(self.source, notes)


def _put(store: Store, key: str, metric: object) -> None:
    point = _point(key, metric)
    if point is None:
        store.reject(store.lines + 1, 0, f"{key}: the server gave no value with a step and a time")
    else:
        store.point(key, point.step, point.value, point.time_ms)


class _Tail(NamedTuple):
    """The last point taken from a metric: it is number `used` on the page of `token`.

    `top`: the highest step taken."""

    token: str | None
    used: int
    time_ms: int
    step: int
    top: int

    @classmethod
    def of(cls, parts: Any) -> _Tail:
        token, used, time_ms, step, top = parts
        return cls(None if token is None else str(token), int(used), int(time_ms), int(step), int(top))

    def fits(self, key: str, metrics: list[Any]) -> bool:
        last = _point(key, metrics[self.used - 1]) if self.used <= len(metrics) else None
        return last is not None and (last.time_ms, last.step) == (self.time_ms, self.step)


class MLflowFollower(RemoteFollower):
    """Gives the rows of a run as they come. It gives the row of a step when a later value has another step, or after
    `HOLD_S` without a new value, so that values logged one by one make one row."""

    def __init__(
        self,
        source: str,
        *,
        cursor: dict[str, Any] | None = None,
        retry: Retry | None = None,
        ask: Ask | None = None,
    ) -> None:
        self._joiner = PointJoiner()
        self._tails: dict[str, _Tail] = {}
        self._latest: dict[str, Any] = {}  # for each metric, the server's answer when its history was last read
        self._read_at: dict[str, float] = {}
        self._newest_ms = 0
        super().__init__(source, cursor=cursor, retry=retry)
        self._server = _Server(source, self.retry, ask)
        self._grew_at = self.retry.clock()

    def _fetch(self) -> None:
        run, now = self._server.run(), self.retry.clock()
        ended = run.get("info", {}).get("status") in _ENDED
        latest = {key: told for key, told in _latest(run).items() if not key.startswith(SYSTEM)}
        # Values logged after this request may be in the history of one metric and missing in another's, which was read
        # earlier. Only older values are surely complete.
        horizon = max([self._newest_ms, *(point.time_ms for k, t in latest.items() if (point := _point(k, t)))])
        fresh = [p for key, told in latest.items() if ended or self._due(key, told, now) for p in self._unread(key)]
        late = set()
        for point, tail in sorted(fresh, key=lambda pair: pair[0]):
            if point.time_ms <= horizon or ended:
                self._waiting += self._joiner.take(point)
                before = self._tails.get(point.key)
                self._tails[point.key] = tail._replace(top=max(tail.top, before.top)) if before else tail
                self._grew_at = now
            else:
                late.add(point.key)
            self._newest_ms = max(self._newest_ms, point.time_ms)
        self._latest |= {key: None if key in late else told for key, told in latest.items()}
        if ended or now - self._grew_at >= HOLD_S:
            self._waiting += self._joiner.flush()
        self.finished = ended

    def _due(self, key: str, told: object, now: float) -> bool:
        """Whether to read a metric: when its latest value has changed, and now and then, because after a restart from
        an earlier step the server still reports the highest step as the latest."""
        if told == self._latest.get(key) and now - self._read_at.get(key, now) < RECHECK_S:
            return False
        self._read_at[key] = now
        return True

    def _unread(self, key: str) -> list[tuple[Point, _Tail]]:
        """The points of a metric after its tail, each with the tail that it makes."""
        tail = self._tails.get(key)
        points: list[tuple[Point, _Tail]] = []
        for token, metrics in self._server.pages(key, tail.token if tail else None):
            first = 0
            if tail is not None and token == tail.token:
                first = tail.used
                if not tail.fits(key, metrics):
                    return self._behind(key, tail)
            points += _placed(key, token, metrics, first)
        return points

    def _behind(self, key: str, tail: _Tail) -> list[tuple[Point, _Tail]]:
        """The same when values with an older time have arrived since and have moved all later points.

        It takes only points with a higher step; the server does not tell which of the others are new."""
        pages = self._server.pages(key, None)
        found = [pair for token, metrics in pages for pair in _placed(key, token, metrics, 0)]
        last = (tail.time_ms, tail.step)
        return [(point, made) for point, made in found if (point.time_ms, point.step) > last or point.step > tail.top]

    def _place(self) -> dict[str, Any]:
        return {"tails": {key: list(tail) for key, tail in self._tails.items()}, "joiner": self._joiner.state}

    def _go_to(self, cursor: dict[str, Any]) -> None:
        self._tails = {str(key): _Tail.of(parts) for key, parts in cursor["tails"].items()}
        self._joiner = PointJoiner.of(cursor["joiner"])


def _placed(key: str, token: str | None, metrics: list[Any], first: int) -> Iterator[tuple[Point, _Tail]]:
    """The points of a page from number `first`, each with the tail that it makes."""
    for number, metric in enumerate(metrics[first:], first + 1):
        point = _point(key, metric)
        if point is not None:
            yield point, _Tail(token, number, point.time_ms, point.step, point.step)


def _point(key: str, metric: object) -> Point | None:
    match metric:
        case {"value": told, "timestamp": int() | str() as time, **rest}:
            value, when, step = to_number(told), to_number(time), to_number(rest.get("step", 0))
            if value is not None and when is not None and step is not None and abs(when) < 2**62 and abs(step) < 2**62:
                return Point(int(when), int(step), key, restore_infinity(value))
    return None


def _latest(run: Mapping[str, Any]) -> dict[str, Any]:
    """The newest value of each metric according to the server, sorted by name."""
    told = run.get("data", {}).get("metrics", [])
    named = {
        metric["key"]: metric for metric in told if isinstance(metric, dict) and isinstance(metric.get("key"), str)
    }
    return {key: named[key] for key in sorted(named)[:MAX_METRICS]}


def _listed(run: Mapping[str, Any], name: str) -> list[Any]:
    found = run.get("data", {}).get(name)
    return found if isinstance(found, list) else []


def _pairs(run: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    for pair in _listed(run, name):
        match pair:
            case {"key": str() as key, "value": str() as value}:
                yield key, value


class _Server:
    """One run on a server. It repeats requests as `retry` says."""

    def __init__(self, source: str, retry: Retry, ask: Ask | None) -> None:
        address, self.run_id = _parts(source)
        host = urlsplit(address)
        self._service = Service(
            name="MLflow",
            address=f"{host.scheme}://{host.netloc.rpartition('@')[2]}{host.path}",
            sign_in="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
        self._retry = retry
        self._ask = ask or _client(address)

    def run(self) -> dict[str, Any]:
        return self._retry.call(self._described, self._service, self.run_id)

    def _described(self) -> dict[str, Any]:
        run = self._ask("runs/get", {"run_id": self.run_id}).get("run")
        if not isinstance(run, dict) or not all(isinstance(run.get(k, {}), dict) for k in ("info", "data")):
            raise RemoteFailure("refused", "the answer describes no run")
        return run

    def pages(self, key: str, token: str | None) -> Iterator[tuple[str | None, list[Any]]]:
        """The pages of a metric's history from `token` on, each as (token, points)."""
        while True:
            asked: dict[str, Any] = {"run_id": self.run_id, "metric_key": key, "max_results": PAGE_POINTS}
            asked |= {"page_token": token} if token else {}
            answer = self._retry.call(partial(self._ask, "metrics/get-history", asked), self._service, self.run_id)
            metrics, behind = answer.get("metrics"), answer.get("next_page_token")
            if not isinstance(metrics, list) or not metrics:
                return
            yield token, metrics
            if not isinstance(behind, str) or behind in ("", token):
                return
            token = behind


def _parts(source: str) -> tuple[str, str]:
    """The address of the server and the run id. Raises `UsageError`."""
    host, _, run = source.partition("://")[2].rstrip("/").rpartition("/")
    if not _RUN_ID.fullmatch(run):
        raise UsageError(f"{source} names no run", hint="write mlflow://run_id or mlflow://host:port/run_id")
    if "@" in host:
        raise UsageError(
            "mlflow:// takes no password in its address",
            hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    address = f"http://{host}" if host else os.environ.get("MLFLOW_TRACKING_URI", "").strip().rstrip("/")
    if re.match(r"https?://[^/]", address):
        return address, run
    told = (
        "MLFLOW_TRACKING_URI is not an http(s) address"
        if address
        else "rldk does not know which MLflow server has the run"
    )
    raise UsageError(
        told,
        hint="set MLFLOW_TRACKING_URI or write mlflow://host:port/run_id; give mlruns or mlflow.db by its path",
    )


def _client(address: str) -> Ask:
    """A function that asks the server at `address`. MLflow's environment variables and credentials file sign it in."""
    with need("mlflow", "mlflow-skinny"):
        from mlflow.exceptions import MlflowException
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request
    signed = get_default_host_creds(address)
    # the client would retry for two minutes in silence
    quick = {"max_retries": 0, "backoff_factor": 0, "timeout": TIMEOUT_S, "raise_on_status": False}

    def ask(endpoint: str, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            response = http_request(signed, f"/api/2.0/mlflow/{endpoint}", "GET", params=asked, **quick)
        except MlflowException as error:
            raise RemoteFailure("offline", str(error)) from None
        return _understood(response.status_code, response.headers.get("Retry-After"), response.text)

    return ask


def _understood(status: int, after: str | None, text: str) -> dict[str, Any]:
    """The JSON object in an answer. Raises `RemoteFailure` for any other answer."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    told = answer if isinstance(answer, dict) else {}
    if status == 200 and isinstance(answer, dict):
        return told
    if status == 200:
        raise RemoteFailure("refused", "the answer is not a JSON object; it may be a page to sign in")
    trouble = _HTTP.get(status, "offline" if status >= 500 else "refused")
    if told.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
        trouble = "absent"
    wait = to_number(after) or 0.0
    raise RemoteFailure(trouble, f"HTTP {status} {told.get('message', '')}", after_s=wait if wait > 0 else 0.0)
