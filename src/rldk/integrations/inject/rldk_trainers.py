"""Waits for the modules of trainers in a script that `rldk run --hooks` runs. Standard library only, until one of them
is loaded."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from types import ModuleType

FOLDER = "RLDK_HOOKS"  # where the files go
MODULES = frozenset(
    {
        "gymnasium.envs.registration",
        "openrlhf.trainer.ppo_trainer",
        "ray.rllib.algorithms.algorithm",
        "stable_baselines3.common.base_class",
        "tensorboardX.writer",
        "torch.utils.tensorboard.writer",
        "transformers.trainer_callback",
        "verl.utils.tracking",
    }
)


class HookNotes:
    """What was hooked in this process, and what was not and why; written whenever it changes."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.hooked: list[str] = []
        self.failures: dict[str, str] = {}

    def attach(self, name: str, module: ModuleType) -> None:
        """Hooks a module that has just been loaded."""
        from rldk.integrations.attach import attach

        self.hooked.append(attach(name, module, self.folder))
        self._write()

    def fail(self, name: str, why: Exception | str) -> None:
        """Notes why a module was not hooked."""
        self.failures[name] = _words(why)
        try:
            self._write()
        except OSError:
            return

    def _write(self) -> None:
        found = {"program": sys.argv[0] if hasattr(sys, "argv") else "", "hooked": self.hooked, "failed": self.failures}
        path = os.path.join(self.folder, f"process-{os.getpid()}.json")  # noqa: PTH118
        with open(f"{path}.part", "w", encoding="utf-8") as stream:  # noqa: PTH123
            json.dump(found, stream)
        os.replace(f"{path}.part", path)  # noqa: PTH105


def _words(why: Exception | str) -> str:
    if isinstance(why, ImportError):
        return "rldk is not installed for this Python" if (why.name or "").startswith("rldk") else str(why)
    return why if isinstance(why, str) else f"{type(why).__name__}: {why}"


def install() -> None:
    """Begins to wait, where the environment says in which folder the files go."""
    folder = os.environ.get(FOLDER)
    if folder and os.path.isdir(folder):  # noqa: PTH112
        from rldk_after_import import AfterImport  # type: ignore[import-not-found]  # beside sitecustomize

        notes = HookNotes(folder)
        AfterImport({name: partial(notes.attach, name) for name in MODULES}, notes.fail).install()
