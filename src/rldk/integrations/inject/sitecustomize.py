"""Loaded by Python itself at the start of a script that `rldk run --hooks` runs. It waits for the modules of trainers,
and loads the sitecustomize that would have been loaded otherwise. It imports nothing but the standard library."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would be loaded into the script
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
        self.failed: dict[str, str] = {}

    def write(self) -> None:
        found = {"program": sys.argv[0] if hasattr(sys, "argv") else "", "hooked": self.hooked, "failed": self.failed}
        path = os.path.join(self.folder, f"process-{os.getpid()}.json")  # noqa: PTH118
        with open(f"{path}.part", "w", encoding="utf-8") as stream:  # noqa: PTH123
            json.dump(found, stream)
        os.replace(f"{path}.part", path)  # noqa: PTH105


class TrainerFinder:
    """A finder that lets the others find a module, and hooks it when it has just been loaded."""

    def __init__(self, notes: HookNotes) -> None:
        self._notes = notes
        self._busy: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that another finder gives, with a loader that hooks the module."""
        if name not in MODULES or name in self._busy:
            return None
        self._busy.add(name)
        try:
            others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
            found = next((spec for finder in others if (spec := finder.find_spec(name, path, target))), None)
        finally:
            self._busy.discard(name)
        if found is not None and found.loader is not None:
            self._watch(name, found.loader)
        return found

    def _watch(self, name: str, loader: Any) -> None:
        load = getattr(loader, "exec_module", None)

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            loader.exec_module(module)
            self._attach(name, module)

        try:
            if load is not None:
                loader.exec_module = exec_module
        except AttributeError:  # a loader of the user's own that takes no attribute
            self._fail(name, "its loader cannot be watched")

    def _attach(self, name: str, module: ModuleType) -> None:
        try:
            from rldk.integrations.attach import attach

            self._notes.hooked.append(attach(name, module, self._notes.folder))
            self._notes.write()
        except ImportError as error:
            missing = "rldk is not installed for this Python" if (error.name or "").startswith("rldk") else str(error)
            self._fail(name, missing)
        except Exception as error:  # noqa: BLE001 - the script must run as it would without rldk
            self._fail(name, f"{type(error).__name__}: {error}")

    def _fail(self, name: str, why: str) -> None:
        self._notes.failed[name] = why
        try:
            self._notes.write()
        except OSError:
            return


def load_the_other() -> None:
    """Runs the sitecustomize of the environment. Without one, the import of this one fails, as it does without rldk."""
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        raise ImportError("there is no other sitecustomize", name="sitecustomize")
    module = sys.modules["sitecustomize"] = module_from_spec(spec)
    spec.loader.exec_module(module)


def start() -> None:
    """Begins to wait, where the environment says in which folder the files go."""
    folder = os.environ.get(FOLDER)
    if folder and os.path.isdir(folder):  # noqa: PTH112
        sys.meta_path.insert(0, TrainerFinder(HookNotes(folder)))


if __name__ == "sitecustomize":
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != HERE]  # noqa: PTH100
    start()
    load_the_other()
