"""Runs the user's own script up to its first optimizer step, and stops it there."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from rldk.core.model import Report
from rldk.engine.processes.child import Wrapped
from rldk.engine.processes.identity import identify, stop
from rldk.engine.processes.injection import injected
from rldk.errors import UsageError
from rldk.preflight.config_source import ConfigSource
from rldk.preflight.judge import Tried, judge
from rldk.preflight.packages import packages_of
from rldk.preflight.shell import read_shell
from rldk.rules.setup import FirstStep

LIMIT_S = 600.0
POLL_S = 0.05
GRACE_S = 5.0  # from SIGTERM to SIGKILL
KEPT = 4000  # characters of what the script printed last
HOOKS = Path(__file__).parent / "inject" / "rldk_first_step.py"
RESULT = "RLDK_PREFLIGHT_RESULT"
MOST_BYTES = 1 << 20


def preflight_command(
    words: Sequence[str],
    *,
    time_limit_s: float = LIMIT_S,
    packages: Path | None = None,
    framework: str | None = None,
    algorithm: str | None = None,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    passed_on: Callable[[bytes], None] | None = None,
) -> Report:
    """The report on the first optimizer step of a script. It is started as it is, with hooks, and stopped after that
    step with all of its children.

    `time_limit_s`: until the first step. `passed_on`: takes what the script prints on stdout. Raises `UsageError` when
    the command cannot be started."""
    if not words:
        raise UsageError("no command after --", hint="rldk preflight -- python train.py")
    step, printed = first_step(words, time_limit_s=time_limit_s, passed_on=passed_on)
    source = _source(words, step, framework, algorithm)
    tried = Tried(source=source, packages=packages_of(packages), first_step=step, printed=printed)
    return judge(tried, select, ignore)


def first_step(
    words: Sequence[str], *, time_limit_s: float, passed_on: Callable[[bytes], None] | None = None
) -> tuple[FirstStep, str]:
    """What the hooks saw, and the last lines that the script printed."""
    with tempfile.TemporaryDirectory(prefix="rldk-preflight-") as folder:
        result = Path(folder) / "first_step.json"
        child = Wrapped(words, variables=_variables(result))
        tail = _Tail(child.stdout, passed_on)
        began = time.monotonic()
        target = identify(child.pid)
        try:
            how = _wait(child, result, time_limit_s)
            seconds = time.monotonic() - began  # without the time that the script takes to end
        finally:
            said = "" if target is None else stop(target, kill_timeout_s=GRACE_S).how
            code = child.exit_code()
            tail.join()
        return _facts(_read(result), how, code, seconds, said), tail.text()


def _variables(result: Path) -> dict[str, str]:
    """What the script's environment gets besides its own: the hooks, and no bytecode beside the user's modules."""
    return {
        **injected(HOOKS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "WANDB_MODE": os.environ.get("WANDB_MODE", "disabled"),
        RESULT: str(result),
    }


def _wait(child: Wrapped, result: Path, limit_s: float) -> str:
    """Waits for the facts, the end of the script or the time limit; returns which it was."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        ended = child.has_ended()
        if result.exists():
            return "seen"
        if ended:
            return "ended"
        time.sleep(POLL_S)
    return "late"


class _Tail:
    """Reads what the script prints, passes it on and keeps the end of it."""

    def __init__(self, descriptor: int, passed_on: Callable[[bytes], None] | None) -> None:
        self._kept = bytearray()
        self._descriptor, self._passed_on = descriptor, passed_on
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._descriptor, 65536)
            except OSError:
                return
            if not chunk:
                return
            self._kept += chunk
            del self._kept[:-KEPT]
            if self._passed_on is not None:
                self._passed_on(chunk)

    def join(self) -> None:
        self._thread.join(GRACE_S)

    def text(self) -> str:
        return bytes(self._kept).decode("utf-8", "replace")


def _read(result: Path) -> dict[str, Any]:
    """The facts that the hooks wrote; empty without any. The script could have written anything there."""
    try:
        if result.stat().st_size > MOST_BYTES:
            return {}
        found = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _facts(found: dict[str, Any], how: str, code: int, seconds: float, said: str) -> FirstStep:
    reached = found.get("reached") is True
    match how:
        case "late":
            outcome = f"the time limit was reached after {seconds:.0f} s"
        case "ended":
            outcome = f"the script ended with exit code {code}"
        case _:
            outcome = "stopped after the step"
    if found.get("error"):
        outcome = f"the script ended with {found['error']}"
    hooked = tuple(str(name) for name in found.get("hooked") or ())
    if not reached and how == "ended" and not found:
        outcome += ", and no step of a torch optimizer was seen"
    whole = {name: _count(found.get(name)) for name in _COUNTS}
    return FirstStep(
        reached=reached,
        outcome=outcome,
        hooked=hooked,
        loss=_number(found.get("loss")),
        lr=_number(found.get("lr")),
        grad_norm=_number(found.get("grad_norm")),
        ratio_gap=_number(found.get("ratio_gap")),
        rows=_rows(found) if reached else (),
        numbers={
            "seconds": round(seconds, 2),
            "ended": said,
            "optimizer": str(found.get("optimizer") or ""),
            "steps": _count(found.get("steps")),
        },
        **whole,
    )


def _rows(found: dict[str, Any]) -> tuple[dict[str, float], ...]:
    """The metrics of the step: the learning rate, and how the ranks compare before and after it."""
    lr = _number(found.get("lr_least"))
    rate = {"lr": lr} if lr else {}
    ranks = found.get("ranks")
    states = ranks.get("random") if isinstance(ranks, dict) else None
    prompts = _number(ranks.get("prompts")) if isinstance(ranks, dict) else None
    same = [_number(x) for x in states[:2]] if isinstance(states, list) else []
    if prompts is None or None in same or len(same) < 2:
        return (rate,) if rate else ()
    return tuple(
        {**rate, "ranks_with_same_random_state": x, "ranks_with_same_prompts": prompts} for x in same if x is not None
    )


_COUNTS = ("tensors", "trainable", "held", "stray", "without_gradient", "zero", "broken", "moved")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _source(words: Sequence[str], step: FirstStep, framework: str | None, algorithm: str | None) -> ConfigSource:
    """The settings in the command itself, and the trainer by what was hooked."""
    import shlex

    from rldk.preflight.config_source import source_of

    line = shlex.join(words)
    shell = read_shell(line)
    found = source_of(shell.values, line[:200], command=shell.command, framework=framework, algorithm=algorithm)
    if found.framework is None and any(name.startswith("GRPOTrainer") for name in step.hooked):
        return replace(found, framework="trl", algorithm=algorithm or "grpo", how="its trainer, which was hooked")
    return found
