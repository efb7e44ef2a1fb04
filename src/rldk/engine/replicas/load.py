"""A busy machine, made on purpose."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# ends by itself when the process that started it is gone
_BUSY = "import os\nown = os.getppid()\nwhile os.getppid() == own:\n    sum(range(20000))\n"


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keeps so many processes busy while the block runs."""
    started = [
        subprocess.Popen([sys.executable, "-I", "-c", _BUSY], stdin=subprocess.DEVNULL)  # noqa: S603 - our own text
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
