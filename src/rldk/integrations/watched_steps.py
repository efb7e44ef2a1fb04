"""The steps of chosen environments, seen without a wrapper: each stays the object that it is, and so do its copies."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any

from rldk.integrations.environments import EnvironmentRecording


class WatchedSteps:
    """Watches `reset`, `step` and `close` on the classes of the chosen environments, for those environments only.

    `wanted`: whether steps are to be looked at now."""

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._known: weakref.WeakKeyDictionary[Any, EnvironmentRecording] = weakref.WeakKeyDictionary()
        self._classes: set[type] = set()
        self._inside: set[int] = set()

    def watch(self, env: Any, recording: EnvironmentRecording) -> None:
        """Lets the recording see this environment."""
        self._known[env] = recording
        if type(env) not in self._classes:
            self._classes.add(type(env))
            for name, action in (("reset", _was_reset), ("step", _stepped), ("close", _closed)):
                self._follow(type(env), name, action)

    def _follow(self, owner: type, name: str, action: Callable[..., None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def followed(env: Any, *args: Any, **given: Any) -> Any:
            recording = self._known.get(env)
            if recording is None or id(env) in self._inside or not self._wanted():
                return original(env, *args, **given)
            self._inside.add(id(env))  # the class above may be watched as well
            try:
                found = original(env, *args, **given)
            finally:
                self._inside.discard(id(env))
            recording.guard.run(f"looking at {name}", action, recording, found, *args, **given)
            return found

        setattr(owner, name, followed)


def _was_reset(recording: EnvironmentRecording, found: Any, *_: Any, **__: Any) -> None:
    recording.reset(found[0])


def _stepped(recording: EnvironmentRecording, found: Any, action: Any) -> None:
    recording.step(action, *found[:4])


def _closed(recording: EnvironmentRecording, *_: Any, **__: Any) -> None:
    recording.close()
