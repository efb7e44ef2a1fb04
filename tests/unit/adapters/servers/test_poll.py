from __future__ import annotations

import random
import sys
from typing import Any

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.open import open_run
from rldk.adapters.remote import follow_store, is_store
from rldk.adapters.servers.poll import RemoteFailure, RemoteFollower, Retry, Service, brief
from rldk.core.table import Row
from rldk.errors import MissingExtra, UnreadableSource, UsageError

SERVICE = Service(name="Store", address="http://host", sign_in="sign in")


class Failing:
    """Fails as told, one trouble a call, then answers."""

    def __init__(self, *troubles: Any, after_s: float = 0.0) -> None:
        self.left = list(troubles)
        self.after_s = after_s

    def __call__(self) -> str:
        if self.left:
            raise RemoteFailure(self.left.pop(0), "detail", after_s=self.after_s)
        return "answer"


def waits_of(ask: Failing, attempts: int = 5, seed: int = 0) -> list[float]:
    waits: list[float] = []
    retry = Retry(attempts=attempts, rng=random.Random(seed), sleep=waits.append)
    assert retry.call(ask, SERVICE, "run") == "answer"
    return waits


@given(st.integers(0, 2**32), st.integers(0, 7))
def test_waits_double_up_to_a_limit_and_are_spread(seed: int, failures: int) -> None:
    waits = waits_of(Failing(*["offline"] * failures), attempts=8, seed=seed)
    most = [min(15.0, 2.0**n) for n in range(failures)]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, most, strict=True))


def test_followers_do_not_come_back_at_once() -> None:
    assert len({waits_of(Failing("busy"), seed=seed)[0] for seed in range(20)}) == 20


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (3600.0, 60.0)])
def test_a_server_may_say_how_long_to_wait(asked: float, waited: float) -> None:
    assert waits_of(Failing("busy", after_s=asked)) == [waited]


@each_of(
    ("trouble", "calls", "message"),
    [
        ("auth", 1, "does not let you read run7"),
        ("absent", 1, "has no run run7"),
        ("refused", 1, "no usable answer"),
        ("offline", 3, r"cannot be reached \(3 attempts\)"),
        ("busy", 3, r"asks for fewer requests \(3 attempts\)"),
    ],
)
def test_only_trouble_that_can_pass_is_waited_for(trouble: Any, calls: int, message: str) -> None:
    ask = Failing(*[trouble] * 9)
    with pytest.raises(UnreadableSource, match=message) as caught:
        Retry(attempts=3, sleep=lambda _: None).call(ask, SERVICE, "run7")
    assert (9 - len(ask.left), bool(caught.value.hint)) == (calls, True)


@given(st.text())
def test_a_foreign_message_becomes_one_short_line_without_a_password(text: str) -> None:
    line = brief(text + "\nGET http://user:s3cr3t@host/x failed")
    assert len(line) <= 200
    assert "\n" not in line
    assert "s3cr3t" not in brief("GET http://user:s3cr3t@host/x failed " + text)


class Counting(RemoteFollower):
    """Gives one row a fetch; fails behind a row it already has when `broken`."""

    broken = False

    def _fetch(self) -> None:
        self.at = getattr(self, "at", 0) + 1
        self._waiting.append(Row(step=self.at, values={"kl": 0.0}))
        if self.broken:
            raise UnreadableSource("gone")

    def _place(self) -> dict[str, Any]:
        return {"at": getattr(self, "at", 0)}

    def _go_to(self, cursor: dict[str, Any]) -> None:
        self.at = int(cursor["at"])


def test_a_poll_that_raises_loses_nothing_and_does_not_move_the_cursor() -> None:
    follower = Counting("x://run", cursor=None, retry=None)
    assert [row.step for row in follower.poll()] == [1]
    follower.broken = True
    with pytest.raises(UnreadableSource):
        follower.poll()
    assert follower.cursor == {"source": "x://run", "at": 1}
    follower.broken = False
    assert [row.step for row in follower.poll()] == [2, 3]


@each_of("cursor", [{}, {"source": "x://other", "at": 1}, {"source": "x://run"}, {"source": "x://run", "at": "y"}])
def test_a_position_that_is_not_of_this_run_is_refused(cursor: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="saved position"):
        Counting("x://run", cursor=cursor, retry=None)


@pytest.mark.parametrize(
    ("source", "package"), [("wandb://team/proj/abc", "wandb"), ("mlflow://127.0.0.1:5000/abc", "mlflow")]
)
def test_a_client_that_is_not_installed(source: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf'pip install "rldk\[{package}\]"'):
        open_run(source)
    with pytest.raises(MissingExtra):
        follow_store(source).poll()


def test_which_sources_are_stores() -> None:
    assert all(is_store(source) for source in ("wandb://a/b/c", "mlflow://abc"))
    assert not any(is_store(other) for other in ("s3://wandb/x", "wandb", "./mlflow:/x", "-", "file:///x"))
    with pytest.raises(UsageError, match="not the address of a run on a tracking server"):
        follow_store("run.jsonl")
