"""Replicas as tasks of Ray, on whichever of its machines is free."""

from __future__ import annotations

import os
from typing import Any

from rldk.core.extras import need
from rldk.engine.replicas.elsewhere import RemoteReplica, remote_place, run_here
from rldk.engine.replicas.launch import Handle, ReplicaCommand, launcher
from rldk.errors import UsageError


@launcher("ray")
class RayLauncher:
    """Starts each replica in a task of its own, with one CPU, and one GPU where the cluster has any.

    The cluster is the one that `RAY_ADDRESS` names, or that runs on this machine, or a new one of this machine, which
    ends with this process. All machines must share the folder of the replicas and have rldk."""

    def __init__(self) -> None:
        with need("ray", "ray"):
            import ray
        self._ray: Any = ray
        if not ray.is_initialized():
            try:
                ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
            except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                hint = "RAY_ADDRESS names the cluster; without it, one is started on this machine"
                raise UsageError(f"Ray cannot be reached: {str(error).splitlines()[0]}", hint=hint) from None
        gpus = ray.cluster_resources().get("GPU", 0)
        self._run: Any = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_retries=0)(run_here)
        # without GPUs to give out, Ray hides all: then the variable of the check counts
        self._scheduled = ("CUDA_VISIBLE_DEVICES",) if gpus else ("RAY_JOB_ID",)

    def start(self, command: ReplicaCommand) -> Handle:
        """Submits a task. Raises `UsageError` when its folder cannot be written."""
        remote_place(command)
        ray, task = self._ray, self._run.remote(command, dict(os.environ), self._scheduled)

        def given_up() -> bool:
            return bool(ray.wait([task], timeout=0)[0])

        def cancel() -> None:
            if not given_up():
                ray.cancel(task, force=True)

        return RemoteReplica(command, given_up, cancel, "Ray")
