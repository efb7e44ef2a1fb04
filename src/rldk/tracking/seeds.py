"""The seeds of a run: which one was set, and the states of the generators from which every draw follows."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rldk.core.codec import to_builtins, to_json
from rldk.tracking.config import TrackingConfig
from rldk.utils.seed import SeedState, seed_state, validate_seed_consistency
from rldk.utils.states import digest


def seeds_now(config: TrackingConfig) -> tuple[dict[str, Any], SeedState]:
    """What the manifest says of the seeds, and the states of the generators that `config` asks for.

    `rldk.utils.seed.restore_seed_state` puts such states back."""
    state = _asked(seed_state(), config)
    check = validate_seed_consistency()
    left_out = {name for name, wanted in _choices(config).items() if not wanted}
    said = {
        "seed": state.seed,
        "generators": {name: how for name, how in check.generators.items() if name not in left_out},
        "digests": {name: digest(one) for name, one in {**state.shared, **state.held}.items()},
        "settings": check.settings,
        "advice": list(check.advice),
    }
    return said, state


def state_text(state: SeedState) -> str:
    """The content of the file with the states."""
    return to_json(to_builtins(state))


def _asked(state: SeedState, config: TrackingConfig) -> SeedState:
    choices = _choices(config)
    shared = {name: one for name, one in state.shared.items() if choices.get(name, True)}
    if not config.track_cuda_seed and "torch" in shared:
        shared["torch"] = {device: one for device, one in shared["torch"].items() if device != "cuda"}
    return replace(state, shared=shared)


def _choices(config: TrackingConfig) -> dict[str, bool]:
    return {"python": config.track_python_seed, "numpy": config.track_numpy_seed, "torch": config.track_torch_seed}
