"""A tap on `SummaryWriter`, for scripts such as those of CleanRL: what they log is recorded, and the rules look at it.

from rldk.integrations.tensorboard import tap

tap()  # before the script logs; everything else stays as it is"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from msgspec.structs import replace

from rldk.adapters.formats.tensorboard import markdown_table, script_algorithm
from rldk.core.model import Severity
from rldk.errors import MissingExtra
from rldk.integrations.at_exit import close_at_exit
from rldk.integrations.guard import Guard
from rldk.integrations.judge import TrainingOrigin, numbers
from rldk.integrations.recorder import Recorder, Recording, config_of
from rldk.integrations.thresholds import RuleChoice

MODULES = ("torch.utils.tensorboard.writer", "tensorboardX.writer")
OWN = "rldk/"  # the scalars of our own sink
MAX_TEXT = 100_000  # characters of a table of hyper-parameters
Begin = Callable[[Mapping[str, Any]], Recorder | None]  # by the configuration; None: nothing is recorded


def script_origin(config: Mapping[str, Any]) -> TrainingOrigin:
    """What the hyper-parameters of a script say: CleanRL names an experiment after its script, `ppo`, `dqn_atari`."""
    algorithm = script_algorithm(dict(config))
    steps = config.get("total_timesteps")
    return TrainingOrigin(
        framework="cleanrl" if algorithm else None,
        algorithm=algorithm,
        dialect="cleanrl" if algorithm else None,
        total_steps=steps if isinstance(steps, int) and steps > 0 else None,
        config=config,
    )


class TappedWriter:
    """What one `SummaryWriter` logs, as rows: the scalars of one step are a row, which ends with the next step.

    A scalar whose step lies before that of the row counts on another clock (episodes, say): it joins the row."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self.config: dict[str, Any] = {}
        self.recorder: Recorder | None = None
        self._step: int | None = None
        self._row: dict[str, float] = {}

    def scalar(self, tag: str, value: Any, step: Any) -> None:
        """One scalar."""
        at = self._step_of(step)
        if self._row and self._step is not None and at > self._step:
            self.flush()
        self._step = at if self._step is None else max(at, self._step)
        self._row.update(numbers({tag: value}))

    def text(self, tag: str, text: str) -> None:
        """A text; the table of hyper-parameters that CleanRL writes becomes the configuration."""
        if tag == "hyperparameters" and self.recorder is None:
            self.settings(markdown_table(text[:MAX_TEXT]))

    def settings(self, values: Mapping[str, Any]) -> None:
        """Hyper-parameters. They count until the first row."""
        self.config |= config_of(dict(values))

    def flush(self) -> None:
        """Records the row."""
        if not self._row or self._step is None:
            return
        row, self._row = self._row, {}
        if self.recorder is None:
            self.recorder = self._begin(self.config)
            close_at_exit(self, open_is_crash=False)
        if self.recorder is not None:
            self.recorder.log(row, step=self._step)

    def close(self, status: str = "finished", error: BaseException | None = None) -> None:
        """Records the last row and writes the final report."""
        self.flush()
        if self.recorder is not None:
            self.recorder.close(status, error)

    def _step_of(self, step: Any) -> int:
        try:
            return int(step)
        except (TypeError, ValueError, OverflowError):  # None: the writer counts no steps either
            return 0 if self._step is None else self._step


class SummaryTap:
    """The tap on the writers of this process. `recorders`: those that have a row, oldest first.

    A script has no flag that ends it: look at `stop_requested`, or call `raise_if_stopped` once in its loop."""

    def __init__(self, recording: Recording) -> None:
        recording.check()
        self.guard = Guard()
        self._recording = recording
        self._pid = os.getpid()
        self._writers: weakref.WeakKeyDictionary[Any, TappedWriter] = weakref.WeakKeyDictionary()
        self._tapped: list[TappedWriter] = []
        self._undo: list[Callable[[], None]] = []

    @property
    def recorders(self) -> list[Recorder]:
        return [tapped.recorder for tapped in self._tapped if tapped.recorder is not None]

    @property
    def stop_requested(self) -> bool:
        return any(recorder.stop_requested for recorder in self.recorders)

    def begin(self, config: Mapping[str, Any], number: int) -> Recorder | None:
        """The recorder of the writer with this number, at its first row."""
        chosen = self._recording
        if chosen.run_id is not None and number > 1:
            chosen = replace(chosen, run_id=f"{chosen.run_id}-{number}")
        return Recorder(chosen, script_origin(config))

    def raise_if_stopped(self) -> None:
        """Raises `TrainingStopped` when an alert asked for a stop."""
        for recorder in self.recorders:
            recorder.raise_if_stopped()

    def attach(self, writer_class: Any) -> bool:
        """Taps a class of writers. False when it has been tapped before."""
        if getattr(writer_class.add_scalar, "rldk_tap", None) is not None:
            return False
        self._wrap(writer_class, "add_scalar", self._scalar)
        for name, action in (
            ("add_scalars", self._scalars),
            ("add_text", self._text),
            ("add_hparams", self._settings),
            ("close", self._close),
        ):
            if hasattr(writer_class, name):
                self._wrap(writer_class, name, action)
        return True

    def remove(self) -> None:
        """Takes the tap away and ends the recordings."""
        for undo in reversed(self._undo):
            undo()
        self._undo = []
        for tapped in self._tapped:
            self.guard.run("ending a recording", tapped.close)

    def _wrap(self, owner: Any, name: str, action: Callable[..., None]) -> None:
        original = getattr(owner, name)
        own = name in vars(owner)

        @wraps(original)
        def tapped(writer: Any, *args: Any, **given: Any) -> Any:
            result = original(writer, *args, **given)
            if os.getpid() == self._pid:  # a forked child must not write into the files of its parent
                self.guard.run(f"recording {name}", action, writer, *args, **given)
            return result

        tapped.rldk_tap = self  # type: ignore[attr-defined]
        setattr(owner, name, tapped)
        self._undo.append(lambda: setattr(owner, name, original) if own else delattr(owner, name))

    def _of(self, writer: Any) -> TappedWriter:
        found = self._writers.get(writer)
        if found is None:
            number = len(self._tapped) + 1
            found = self._writers[writer] = TappedWriter(lambda config: self.begin(config, number))
            self._tapped.append(found)
        return found

    def _scalar(self, writer: Any, tag: Any, scalar_value: Any, global_step: Any = None, *_: Any, **__: Any) -> None:
        if not str(tag).startswith(OWN):
            self._of(writer).scalar(str(tag), scalar_value, global_step)

    def _scalars(self, writer: Any, main_tag: Any, values: Any, global_step: Any = None, *_: Any, **__: Any) -> None:
        for name, value in dict(values).items():
            self._of(writer).scalar(f"{main_tag}/{name}", value, global_step)

    def _text(self, writer: Any, tag: Any, text_string: Any, *_: Any, **__: Any) -> None:
        self._of(writer).text(str(tag), str(text_string))

    def _settings(self, writer: Any, hparam_dict: Any, *_: Any, **__: Any) -> None:
        self._of(writer).settings(dict(hparam_dict))

    def _close(self, writer: Any, *_: Any, **__: Any) -> None:
        found = self._writers.pop(writer, None)
        if found is not None:
            found.close()


def tap(
    output_dir: str | os.PathLike[str] = "./rldk_logs",
    run_id: str | None = None,
    rules: RuleChoice = "default",
    *,
    alert_thresholds: Mapping[str, Any] | None = None,
    stop_on: Severity | None = None,
    judge_every: int | None = None,
    echo: bool = True,
) -> SummaryTap:
    """Taps every `SummaryWriter` of `torch.utils.tensorboard` and `tensorboardX` in this process.

    What the script logs goes on to TensorBoard unchanged. `rules`, `alert_thresholds`, `stop_on`, `judge_every`:
    as for the callbacks.
    Raises `MissingExtra` where neither package is there, and `UsageError` for wrong rules or thresholds."""
    recording = Recording(
        output_dir=output_dir,
        run_id=run_id,
        rules=rules,
        thresholds=alert_thresholds or {},
        stop_on=stop_on,
        judge_every=judge_every,
        echo=echo,
    )
    made = SummaryTap(recording)
    if not sum(_found(name, made) for name in MODULES):
        raise MissingExtra("tensorboard", "tensorboard")
    return made


def _found(module: str, made: SummaryTap) -> bool:
    """Taps the writers of a module where it is installed."""
    from importlib import import_module

    try:
        writer_class = import_module(module).SummaryWriter
    except (ImportError, AttributeError):
        return False
    made.attach(writer_class)
    return True
