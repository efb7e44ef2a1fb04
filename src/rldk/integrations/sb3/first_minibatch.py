"""Looks at the first mini-batch of an update of PPO, where old and new policy are the same and the ratio must be 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

Seen = Callable[[Any, Any], None]  # the mini-batch, the log-probabilities of its actions


class FirstMinibatch:
    """Waits for the first mini-batch that an update takes from the rollout buffer, and for the log-probabilities that
    the policy gives it. Nothing is computed twice: both are taken on their way to the trainer.

    The two methods that are watched are replaced on the objects only, and only until the first call."""

    def __init__(self, buffer: Any, policy: Any, seen: Seen) -> None:
        self._seen = seen
        self._batch: Any = None
        self._taps = [_Tap(buffer, "get", self._batches), _Tap(policy, "evaluate_actions", self._evaluated)]
        for tap in self._taps:
            tap.install()

    def remove(self) -> None:
        """Puts back what was there."""
        for tap in self._taps:
            tap.remove()

    def _batches(self, original: Callable[..., Iterator[Any]], *args: Any, **given: Any) -> Iterator[Any]:
        for number, batch in enumerate(original(*args, **given)):
            if number == 0:
                self._batch = batch
            yield batch

    def _evaluated(self, original: Callable[..., Any], *args: Any, **given: Any) -> Any:
        result = original(*args, **given)
        batch, self._batch = self._batch, None
        if batch is not None and isinstance(result, tuple) and len(result) > 1:
            self._seen(batch, result[1])
        return result


class _Tap:
    """A method of one object that is watched for one call."""

    def __init__(self, owner: Any, name: str, watched: Callable[..., Any]) -> None:
        self._owner, self._name, self._watched = owner, name, watched
        self._original: Any = None

    def install(self) -> None:
        if self._name not in vars(self._owner):  # what somebody else has put there stays
            self._original = getattr(self._owner, self._name)
            setattr(self._owner, self._name, self)

    def remove(self) -> None:
        if vars(self._owner).get(self._name) is self:
            delattr(self._owner, self._name)

    def __call__(self, *args: Any, **given: Any) -> Any:
        self.remove()
        return self._watched(self._original, *args, **given)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of the object gets its own method, not that of the original."""
        copied = memo.get(id(self._owner))
        return getattr(type(self._owner), self._name) if copied is None else MethodType(self._method(), copied)

    def _method(self) -> Any:
        return getattr(type(self._owner), self._name)
