"""Two checkpoints that differ in one element, against a loop that loads every tensor and computes with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from benchmarks.measure import Work, race
from benchmarks.result import Result

BYTES = 1_000_000_000
TENSORS = 32
LIMIT_MB = 64.0
EVERY = 50  # pieces between two looks at the memory
IMPORTS = "numpy,rldk.forensics.checkpoints.diff,rldk.rules.before.checkpoint_weights"
TIMES = 10.0  # DESIGN 6


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    """Float32 tensors in two safetensors files; element 1234 of one tensor in the middle is another one."""
    _write(work, int(BYTES * scale))
    ours, naive = race(
        Work(f"{__name__}:compare", str(work), IMPORTS), Work(f"{__name__}:loop", str(work), "numpy"), repeats=repeats
    )
    facts = ours.facts
    note = (
        f"{facts['bytes'] / ours.cpu_s / 1e9:.1f} GB/cpu-s; {facts['anonymous_mb']:.0f} MB anonymous above imports "
        f"(at most {LIMIT_MB:.0f}); {facts['named']}"
    )
    return [
        Result(
            job="diff-ckpt, one element changed",
            ours=ours,
            baseline=naive,
            against="load each tensor, float64",
            ratio=naive.cpu_s / ours.cpu_s,
            at_least=TIMES,
            note=note,
        )
    ]


def _write(work: Path, size: int) -> None:
    import numpy as np

    from rldk.provenance.fingerprints.safetensors import write_tensors

    rng = np.random.default_rng(0)
    count = size // TENSORS // 4
    kinds = {f"layers.{i}.mlp.weight": ("float32", (count,)) for i in range(TENSORS)}
    write_tensors(
        work / "a.safetensors",
        kinds,
        ((name, rng.standard_normal(count, dtype=np.float32).view(np.uint8).data) for name in kinds),
    )
    shutil.copyfile(work / "a.safetensors", work / "b.safetensors")
    changed = np.memmap(work / "b.safetensors", np.float32, "r+")
    changed[len(changed) // 2] += 1e-3
    changed.flush()


def compare(folder: str) -> dict[str, Any]:
    from rldk.forensics.checkpoints.diff import diff_checkpoints

    before, most, looks = _anonymous_mb(), 0.0, 0

    def look(size: int) -> None:
        nonlocal most, looks
        looks += 1
        if looks % EVERY == 0:
            most = max(most, _anonymous_mb())

    paths = [Path(folder) / name for name in ("a.safetensors", "b.safetensors")]
    found = diff_checkpoints(*paths, advance=look)
    (changed,) = (t for t in found.tensors if t.changed)
    return {
        "bytes": found.numbers["bytes"],
        "anonymous_mb": max(most, _anonymous_mb()) - before,
        "named": f"{changed.name}{list(changed.at or ())}, {changed.changed} element",
    }


def loop(folder: str) -> dict[str, Any]:
    """The loop that everybody writes: both tensors in float64, the norm of the difference, the cosine, the maximum."""
    import numpy as np

    from rldk.provenance.fingerprints.safetensors import tensor_places

    paths = [Path(folder) / name for name in ("a.safetensors", "b.safetensors")]
    found = {}
    for name, _, _, first, last in tensor_places(paths[0]):
        a, b = (np.fromfile(p, np.float32, (last - first) // 4, offset=first).astype(np.float64) for p in paths)
        gap = np.abs(b - a)
        cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        found[name] = (float(np.linalg.norm(gap)), cosine, float(gap.max()), int((a != b).sum()))
    return {"tensors": len(found)}


def _anonymous_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0
