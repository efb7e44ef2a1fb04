"""Profiles a part of the program that runs: `with rldk.profile() as profile: ...`."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import TracebackType
from typing import Any

from rldk.core.files import save
from rldk.engine.processes.identity import descendants
from rldk.engine.processes.injection import INJECT
from rldk.errors import OutputError, UsageError
from rldk.profiling.profiling import FOLDER, HOOKS, REPORT
from rldk.profiling.report import ProfileReport

_TICK_S = 0.1


def profile(output_dir: str | os.PathLike[str] | None = None, *, torch_steps: int = 0) -> ProfiledPart:
    """A context manager that profiles what runs inside it. After it, `.report` says where the time went.

    Trainers that rldk knows are timed by themselves; in a loop of your own, say what belongs to which phase with
    `.phase("reward")` and call `.step()` at the end of each step. `torch_steps`: record the operations of so many steps
    with the profiler of torch. `output_dir`: where the report and what was recorded are kept; a new temporary folder
    without it. The hooks are taken away at the end."""
    return ProfiledPart(output_dir, torch_steps)


class ProfiledPart:
    """A part of a program that is profiled. `report`: None before its end, and where the whole program is profiled by
    `rldk profile`: phases and steps then count there."""

    def __init__(self, output_dir: str | os.PathLike[str] | None, torch_steps: int) -> None:
        self._home = None if output_dir is None else Path(output_dir).resolve()
        self._torch_steps = torch_steps
        self._recorder: Any = None
        self._attached = False
        self._stop = threading.Event()
        self.report: ProfileReport | None = None

    def __enter__(self) -> ProfiledPart:
        """Begins. Raises `UsageError` where the program is profiled already, `OutputError` for a folder that cannot be
        made."""
        from rldk.profiling.resources import ResourceSampler

        hooks = _hooks()
        if hooks.running is not None:
            if os.environ.get(FOLDER) is None:
                raise UsageError("this program is already profiled", hint="leave out the inner profile")
            self._recorder, self._attached = hooks.running, True
            return self
        self._folder = _folder(self._home)
        self._sampler = ResourceSampler(lambda: descendants(os.getpid()))
        self._thread = threading.Thread(target=self._sample, name="rldk-resources", daemon=True)
        self._since = time.monotonic()
        self._recorder = hooks.record(str(self._folder), self._torch_steps)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._stop.is_set():
            self._sampler.tick()
            self._stop.wait(_TICK_S)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charges what runs inside to a phase: "rollout", "reward", "train", "sync", or a name of your own."""
        clock = self._clock()
        if not clock.own:
            yield
            return
        clock.enter(name)
        try:
            yield
        finally:
            clock.leave()

    def step(self, *, tokens: int = 0, environment_steps: int = 0) -> None:
        """A step of the training has ended, in which so many tokens were generated."""
        clock = self._clock()
        clock.owner = "program"
        for name, number in (("tokens", tokens), ("environment_steps", environment_steps)):
            if number:
                clock.count(name, number)
        clock.step()

    def _clock(self) -> Any:
        if self._recorder is None:
            raise UsageError("the profile has not begun", hint="use it as `with rldk.profile() as profile:`")
        return self._recorder.clock

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends, and makes the report, also after an error, which goes on."""
        if self._attached:
            return
        from rldk.cards.wire import document, dumps
        from rldk.profiling.conclusion import conclude_profile
        from rldk.profiling.evidence import ProfileEvidence
        from rldk.profiling.recorded import recorded_processes

        self._recorder.end()
        _hooks().running = None
        self._stop.set()
        self._thread.join()
        self._sampler.take()
        self.report = conclude_profile(
            ProfileEvidence(
                processes=recorded_processes(self._folder),
                samples=self._sampler.samples,
                gpus=self._sampler.gpus.count,
                missing={"resources": self._sampler.missing, "GPU": self._sampler.gpus.missing},
                folder=self._folder,
                seconds=time.monotonic() - self._since,
                torch_steps=self._torch_steps,
            )
        )
        save((self._home or self._folder) / REPORT, dumps(document(self.report)) + "\n")


def _hooks() -> Any:
    """The one module of hooks of this process: it may have been loaded at the start, by `rldk profile`."""
    name = HOOKS.stem
    if name not in sys.modules:
        spec = spec_from_file_location(name, HOOKS)
        assert spec is not None  # noqa: S101 - the file is part of the package
        assert spec.loader is not None  # noqa: S101
        module = module_from_spec(spec)
        sys.path.append(str(INJECT))
        try:
            spec.loader.exec_module(module)
            sys.modules[name] = module
            import rldk_after_import  # type: ignore[import-not-found]  # noqa: F401 - found on the path just now
        finally:
            sys.path.remove(str(INJECT))
    return sys.modules[name]


def _folder(home: Path | None) -> Path:
    if home is None:
        return Path(tempfile.mkdtemp(prefix="rldk-profile-"))
    number = 1
    while (folder := home / f"profile-{number}").exists():
        number += 1
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError.of(folder, error) from None
    return folder
