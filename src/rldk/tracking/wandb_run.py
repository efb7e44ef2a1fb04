"""A copy of a tracked run in Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rldk.core.extras import need
from rldk.core.manifest import Manifest, plain
from rldk.outage import to_stderr

# what W&B has fields of its own for, or records itself
_ELSEWHERE = frozenset({"schema_version", "tags", "notes", "packages", "status", "finished_at", "process"})


def import_wandb() -> Any:
    """The package. Raises `MissingExtra` where it is not installed."""
    with need("wandb", "wandb"):
        import wandb
    return wandb


class WandbRun:
    """The active run of W&B, or a new one, which then also ends with the tracked run and gets its metrics.

    `name`: the name of the run in W&B that is continued, None for a new one; it must be the only one of its project, on
    any machine. What fails in W&B is reported once, and the training goes on: `run.json` is complete without it. Raises
    `MissingExtra` where W&B is not installed."""

    def __init__(self, project: str, manifest: Manifest, folder: Path, *, name: str | None = None) -> None:
        wandb = import_wandb()
        self._failed = False
        self._run: Any = wandb.run
        self._ours = self._run is None
        if self._ours:
            self._guarded(lambda: self._start(wandb, project, manifest.name, folder, name))
        self.send(manifest)

    def send(self, manifest: Manifest) -> None:
        """Sends the manifest, from which secrets are already taken out."""
        said = {key: value for key, value in plain(manifest).items() if key not in _ELSEWHERE}
        self._guarded(lambda: self._run.config.update({"rldk": said}, allow_val_change=True))
        self._guarded(self._tag, manifest)

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Sends the metrics of a step, unless the user's own run of W&B gets them from the trainer."""
        if self._ours:
            self._guarded(lambda: self._run.log(dict(metrics), step=step))

    def end(self, status: str) -> None:
        """Ends the run that was started here."""
        if self._ours:
            self._guarded(lambda: self._run.finish(exit_code=int(status == "crashed")))

    def _start(self, wandb: Any, project: str, title: str | None, folder: Path, name: str | None) -> None:
        self._run = wandb.init(
            project=project,
            name=title,
            id=name,
            resume=None if name is None else "allow",
            dir=str(folder),
            settings=wandb.Settings(disable_code=True, disable_git=True, save_code=False),
        )

    def _tag(self, manifest: Manifest) -> None:
        self._run.tags = tuple(dict.fromkeys((*(self._run.tags or ()), *(tag[:64] for tag in manifest.tags))))
        if manifest.notes:
            self._run.notes = manifest.notes

    def _guarded(self, action: Any, *given: Any) -> None:
        if self._failed:
            return
        try:
            action(*given)
        except Exception as error:  # noqa: BLE001 - a service that fails in its own way must not end a training
            self._failed = True
            to_stderr(f"rldk: W&B gets no more of this run: {type(error).__name__}: {str(error)[:200]}")
