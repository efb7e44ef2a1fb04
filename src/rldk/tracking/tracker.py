"""The tracker: what a run was, from its first line to its end, in one directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, SupportsIndex

from msgspec.structs import replace

from rldk.core.manifest import DatasetRecord, Manifest, ModelRecord, TokenizerRecord
from rldk.core.rundir import SEEDS, RunDirectory
from rldk.core.secrets.redact import without_secrets
from rldk.emit import EventWriter, launch_rank, rank_path
from rldk.errors import UnreadableSource, UsageError
from rldk.outage import to_stderr
from rldk.tracking.config import TrackingConfig, plain_value
from rldk.tracking.folders import Claim, remove_torn
from rldk.tracking.record import Copies, RunRecord
from rldk.tracking.session import Session, make_current, mode
from rldk.tracking.start import check_config, clean_tags, first_manifest, joined_notes, run_folder

if TYPE_CHECKING:
    from rldk.tracking.snapshot import Snapshot


class ExperimentTracker:
    """Records what a run was: its datasets, models, tokenizers, seeds, code, packages and machine.

    Each call saves the run at once, so that a crash, or `kill -9`, loses nothing that was recorded; a run without an
    end is shown as crashed. Calls from several threads are safe. In a distributed run each rank has a file of its own
    (`run.rank1.json`), which needs an `experiment_id` that the ranks share. Secrets are taken out of all that is
    written. `rldk.log` writes to the run, too."""

    def __init__(self, config: TrackingConfig) -> None:
        check_config(config)
        self.config = config
        self._session: Session | None = None
        self._wandb: Any = None

    @property
    def dir(self) -> Path | None:
        """The directory of the run; None before its start, and where nothing is written."""
        return None if self._session is None else self._session.dir

    @property
    def experiment_id(self) -> str | None:
        """The name of the run; None before its start."""
        return self.config.experiment_id if self._session is None else self._session.id or self.config.experiment_id

    @property
    def manifest(self) -> Manifest:
        """What is recorded so far; empty before the start, and where nothing is written."""
        record = self._session and self._session.record
        return Manifest() if not record else record.manifest

    def start_experiment(self) -> Path | None:
        """Begins the run, or continues that of `experiment_id`, and returns its directory.

        None where nothing is written: with `RLDK_MODE=disabled`, and in ranks that share no `experiment_id`. Raises
        `UsageError` when another process writes this run, and `UnreadableSource` when the place cannot be written."""
        if self._session is not None and self._session.is_open:
            return self._session.dir
        rank = launch_rank()
        alone = bool(rank) and self.config.experiment_id is None
        if self.config.save_to_wandb:
            from rldk.tracking.wandb_run import import_wandb

            import_wandb()  # that it is missing is said before anything is written
        if alone:
            to_stderr(f"rldk: rank {rank} writes nothing: the ranks of a run share it only through experiment_id")
        if alone or mode() == "disabled":
            self._session = Session(None, None, None, by_init=False)
        else:
            self._session = self._begin(rank)
        make_current(self._session)
        if self.config.enable_seed_tracking:
            self._save_seeds()
        return self._session.dir

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> None:
        """Writes the metrics of one step to `metrics.jsonl`. Without `step` it is one after the last."""
        at = self._started().log(metrics, step=step)
        if self._wandb is not None and isinstance(at, SupportsIndex):
            self._wandb.log(metrics, int(at))

    def track_dataset(
        self,
        data: Any,
        name: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        rows: bool | None = None,
        max_rows: int | None = None,
    ) -> DatasetRecord | None:
        """Records a dataset by the exact content of all its rows; None where datasets are not tracked.

        `data`: what `rldk dataset fingerprint` takes, and lists, arrays, tensors, frames and datasets of Hugging Face
        and torch. `rows`: keeps a digest of each row, which tells later exactly which have changed; by default of at
        most 10,000 rows. `max_rows`: looks at the first rows only, and the record says so. Raises `UsageError` for an
        iterator, which could be read only once, and `MalformedInput` that names the first value without content."""
        record = self._recording()
        if record is None or not self.config.enable_dataset_tracking:
            return None
        from rldk.tracking.dataset import RowChoice, record_dataset

        made = record_dataset(
            data,
            _name(name),
            record,
            metadata=metadata,
            algorithm=self.config.dataset_checksum_algorithm,
            choice=RowChoice(rows=rows, most=max_rows),
        )
        before = record.manifest.datasets.get(_name(name))
        if before is not None and before.fingerprint != made.fingerprint:
            to_stderr(f"rldk: the dataset {_name(name)} is not what it was when this run recorded it before")
        self._change(lambda m: replace(m, datasets={**m.datasets, _name(name): made}))
        return made

    def track_model(self, model: Any, name: str, metadata: Mapping[str, Any] | None = None) -> ModelRecord | None:
        """Records a model by a digest of each tensor, and one of its architecture; None where models are not tracked.

        `model`: a module of torch, a mapping from names to tensors or arrays, a checkpoint file or directory. Raises
        `MalformedInput` for anything else."""
        record = self._recording()
        if record is None or not self.config.enable_model_tracking:
            return None
        from rldk.tracking.model import record_model

        made = record_model(model, _name(name), record, config=self.config, metadata=metadata)
        self._change(lambda m: replace(m, models={**m.models, _name(name): made}))
        return made

    def track_tokenizer(
        self, tokenizer: Any, name: str, metadata: Mapping[str, Any] | None = None
    ) -> TokenizerRecord | None:
        """Records a tokenizer by everything that decides its output; None where models are not tracked."""
        if self._recording() is None or not self.config.enable_model_tracking:
            return None
        from rldk.tracking.tokenizer import record_tokenizer

        made = record_tokenizer(tokenizer, metadata)
        self._change(lambda m: replace(m, tokenizers={**m.tokenizers, _name(name): made}))
        return made

    def set_seeds(self, seed: int | None = None, deterministic: bool = True) -> int:
        """Seeds every generator of the process as `rldk.utils.seed.set_global_seed` does, records the seed and the
        states, and returns the seed."""
        from rldk.utils.seed import set_global_seed

        self._started()
        chosen = set_global_seed(seed, deterministic)
        if self.config.enable_seed_tracking:
            self._save_seeds()
        return chosen

    def add_metadata(self, key: str, value: Any) -> None:
        """Records a value of your own. What has no JSON form becomes text."""
        self._started()
        clean, plain = without_secrets(str(key)), plain_value(str(key), value)
        self._change(lambda m: replace(m, metadata={**m.metadata, clean: plain}))

    def add_tag(self, tag: str) -> None:
        """Adds a tag; one that is there is not added again."""
        self._started()
        self._change(lambda m: replace(m, tags=clean_tags(m.tags, (tag,))))

    def add_note(self, text: str) -> None:
        """Adds a line to the notes."""
        self._started()
        self._change(lambda m: replace(m, notes=joined_notes(m.notes, without_secrets(str(text)))))

    def snapshot(self) -> Snapshot | None:
        """Looks at code, packages and machine again, keeps that in `snapshots/`, and says what has changed since the
        start; None where nothing is written."""
        from rldk.tracking.snapshot import take_snapshot

        record = self._recording()
        return None if record is None else take_snapshot(self.config, record)

    def finish_experiment(self) -> Path | None:
        """Marks the run finished and returns its directory. Later calls do nothing."""
        if self._session is None:
            raise UsageError("the experiment has not begun", hint="call start_experiment() first")
        self._session.finish()
        return self._session.dir

    def __enter__(self) -> ExperimentTracker:
        self.start_experiment()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.__exit__(kind, error, trace)

    def _begin(self, rank: int) -> Session:
        folder = Path(self.config.output_dir)
        claim = None
        try:
            folder = run_folder(self.config)
            claim = Claim(folder, rank)
            remove_torn(folder)
            copies = Copies(json=self.config.save_to_json, yaml=self.config.save_to_yaml)
            record = RunRecord(folder, first_manifest(self.config, folder, rank), copies=copies)
            writer = EventWriter(
                rank_path(RunDirectory(folder).metrics, rank), run_id=record.manifest.run_id, outage=record.outage
            )
            session = Session(folder, record, writer, by_init=False)
        except BaseException as error:
            if claim is not None:
                claim.release()
            if isinstance(error, OSError):
                raise UnreadableSource(
                    f"cannot write the run to {error.filename or folder}: {error.strerror}",
                    hint="name another place with output_dir",
                ) from None
            raise
        session.at_end.append(lambda _: claim.release())
        self._follow(session, record, folder)
        return session

    def _follow(self, session: Session, record: RunRecord, folder: Path) -> None:
        if not self.config.save_to_wandb or record.manifest.rank:
            return
        from rldk.tracking.wandb_run import WandbRun

        self._wandb = WandbRun(self.config.wandb_project, record.manifest, folder, name=self.config.experiment_id)
        session.at_end.append(self._wandb.end)

    def _save_seeds(self) -> None:
        record = self._recording()
        if record is None:
            return
        from rldk.tracking.seeds import seeds_now, state_text

        said, state = seeds_now(self.config)
        file = record.keep(rank_path(SEEDS, record.manifest.rank or 0).name, state_text(state))
        self._change(lambda m: replace(m, seed=said["seed"], seeds={**said, "state_file": file}))

    def _change(self, make: Callable[[Manifest], Manifest]) -> None:
        record = self._recording()
        if record is not None:
            record.change(make)
            if self._wandb is not None:
                self._wandb.send(record.manifest)

    def _recording(self) -> RunRecord | None:
        """The record to change; None where nothing is written, and in a forked child, whose parent writes the run."""
        record = self._started().record
        return record if record is not None and record.is_ours else None

    def _started(self) -> Session:
        if self._session is None:
            raise UsageError("the experiment has not begun", hint="call start_experiment(), or use `with`")
        if not self._session.is_open:
            raise UsageError(f"the run {self._session.id} is finished", hint="make a new ExperimentTracker")
        return self._session


def _name(name: str) -> str:
    return without_secrets(str(name))
