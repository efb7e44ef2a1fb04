"""The name of a training that the user has not named, the same for all of its processes."""

from __future__ import annotations

import hashlib
import os
import secrets
import time

from rldk.core.manifest import process_birth

# what a launcher gives every process of a job alike
_JOB = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "TORCHELASTIC_RESTART_COUNT")


def world_size() -> int:
    """How many processes the launcher started; 1 without a launcher."""
    said = os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or "1"
    return int(said) if said.isdecimal() and said != "0" else 1


def new_run_id() -> str:
    """The date and time with a random end. In a distributed training it is made from what the launcher gave to all
    processes, because they do not talk to each other before they need the name."""
    if world_size() == 1:
        return f"run-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    facts = [f"{name}={os.environ.get(name, '')}" for name in _JOB]
    if os.environ.get("GROUP_WORLD_SIZE", "1") == "1":  # one machine: the launcher is the parent of every process
        facts.append(f"launcher={os.getppid()} {process_birth(os.getppid()) or ''}")
    return f"run-{hashlib.sha256(' '.join(facts).encode()).hexdigest()[:10]}"
