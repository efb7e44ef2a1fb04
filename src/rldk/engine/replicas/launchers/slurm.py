"""Replicas as jobs of Slurm, by submitit. Without Slurm, submitit runs them on this machine."""

from __future__ import annotations

import os
from typing import Any

from rldk.core.extras import need
from rldk.engine.replicas.elsewhere import RemoteReplica, remote_place, run_here
from rldk.engine.replicas.launch import Handle, ReplicaCommand, launcher
from rldk.errors import UsageError

CLUSTER = "RLDK_SLURM_EXECUTOR"  # "local" or "slurm"; found out without it
DAY_MIN = 24 * 60


@launcher("slurm")
class SlurmLauncher:
    """Submits each replica as a job of one task, with the time limit of a day.

    Partition, account, GPUs and time are those of Slurm's own variables (`SBATCH_PARTITION`, `SBATCH_ACCOUNT`,
    `SBATCH_GPUS`, `SBATCH_TIMELIMIT`). All machines must share the folder of the replicas and have rldk."""

    def __init__(self) -> None:
        with need("slurm", "submitit"):
            import submitit
        self._submitit: Any = submitit

    def start(self, command: ReplicaCommand) -> Handle:
        """Submits a job. Raises `UsageError` when Slurm refuses it."""
        place = remote_place(command)
        submitit = self._submitit
        try:
            executor = submitit.AutoExecutor(folder=place, cluster=os.environ.get(CLUSTER) or None)
            executor.update_parameters(name=f"rldk-{command.label}", timeout_min=DAY_MIN, tasks_per_node=1)
            job = executor.submit(run_here, command, dict(os.environ))
        except (submitit.core.utils.FailedSubmissionError, RuntimeError, ValueError, OSError) as error:
            hint = "partition, account and time are read from SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT"
            raise UsageError(f"Slurm took no job: {str(error).splitlines()[0]}", hint=hint) from None

        def cancel() -> None:
            if not job.done():
                job.cancel(check=False)

        return RemoteReplica(command, job.done, cancel, "Slurm")
