"""Makes the backend "rldk" known to verl when it is imported:

    VERL_USE_EXTERNAL_MODULES=rldk.integrations.verl.plugin python -m verl.trainer.main_ppo \\
        "trainer.logger=[console,rldk]" ...

verl imports the module in each of its processes; the one that trains makes the backend."""

from __future__ import annotations

from verl.utils import tracking

from rldk.integrations.verl.tracking import register

register(tracking)
