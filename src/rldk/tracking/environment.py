"""The machine, the settings and the packages of a run, as far as the configuration asks for them."""

from __future__ import annotations

from typing import Any

from rldk.provenance.environment import environment
from rldk.provenance.packages import installed
from rldk.tracking.config import TrackingConfig

# what is left of the environment without the facts about the system
SETTINGS = frozenset({"python", "implementation", "rldk", "variables", "conda"})


def record_environment(config: TrackingConfig) -> tuple[dict[str, Any], dict[str, str]]:
    """The environment and the versions of the packages; each is empty where it was not asked for."""
    if not config.enable_environment_tracking:
        return {}, {}
    found = environment()
    if not config.capture_system_info:
        found = {key: value for key, value in found.items() if key in SETTINGS}
    if not config.capture_conda_env:
        found = {key: value for key, value in found.items() if key != "conda"}
    return found, installed() if config.capture_pip_freeze else {}
