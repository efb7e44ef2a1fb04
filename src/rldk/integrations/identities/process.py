"""What the process itself says: memory, and the state of its random generators."""

from __future__ import annotations

import hashlib
import random
import sys
from contextlib import suppress
from pathlib import Path

GB = 1e9


def memory() -> dict[str, float]:
    """The memory of this process in GB, and the share of the machine's or the device's memory that is in use.

    A figure that the system does not give is left out."""
    found: dict[str, float] = {}
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found["memory_cpu_gb"] = pages * 4096 / GB
    with suppress(OSError, ValueError, KeyError, ZeroDivisionError):
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line)
        total, free = (int(facts[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
        found["memory_share"] = 1.0 - free / total
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        found["memory_peak_gb"] = torch.cuda.max_memory_allocated() / GB
        free_bytes, total_bytes = torch.cuda.mem_get_info()
        found["memory_share"] = 1.0 - free_bytes / total_bytes
    return found


def rng_digest() -> str:
    """A checksum of the state of the generator that samples: torch's where torch is loaded, otherwise numpy's,
    otherwise Python's. The others may well differ between ranks that sample alike."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None:
        state = torch.get_rng_state().numpy().tobytes()
    elif numpy is not None:
        state = numpy.random.get_state()[1].tobytes()
    else:
        state = repr(random.getstate()).encode()
    return hashlib.sha256(state).hexdigest()[:16]
