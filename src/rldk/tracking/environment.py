"""The machine, the settings and the packages of a run, as far as the configuration asks for them."""

from __future__ import annotations

from typing import Any

from rldk.core.manifest import Script
from rldk.provenance.capture import environment_of
from rldk.provenance.packages import installed
from rldk.tracking.config import TrackingConfig

# the facts about the machine, and those about the packages beside their versions
SYSTEM = frozenset(
    {"platform", "machine", "cpus", "cuda_devices", "processor", "memory_gib", "container", "limits", "devices"}
)
PACKAGES = frozenset({"origins", "lock_files"})
CONDA = frozenset({"conda"})


def record_environment(config: TrackingConfig, script: Script | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    """The environment, with the lock files beside the script, and the versions of the packages, without what was not
    asked for."""
    if not config.enable_environment_tracking:
        return {}, {}
    choices = ((config.capture_system_info, SYSTEM), (config.capture_pip_freeze, PACKAGES))
    left_out = {key for wanted, keys in (*choices, (config.capture_conda_env, CONDA)) if not wanted for key in keys}
    found = {key: value for key, value in environment_of(script).items() if key not in left_out}
    return found, installed() if config.capture_pip_freeze else {}
