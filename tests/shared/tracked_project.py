"""A repository with a small training, and a tracked run of it: with changes that no commit has, and with data."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from msgspec import Struct
from recorded_runs import git

from rldk.core.manifest import DatasetRecord, Manifest, write_manifest
from rldk.provenance.capture import code_of
from rldk.provenance.fingerprints.dataset import fingerprint

TRAIN = """import random, sys
from scale import SCALE
random.seed(int(sys.argv[1]))
rows = [float(line) for line in open("data.csv").readlines()[1:]]
with open(sys.argv[2] + "/log.jsonl", "w") as log:
    for step in range(int(sys.argv[3]) if len(sys.argv) > 3 else 12):
        loss, reward = SCALE * random.random(), random.choice(rows)
        log.write('{"step": %d, "loss": %r, "reward_mean": %r}\\n' % (step, loss, reward))
"""
COMMAND = f"{sys.executable} -S train.py {{seed}} {{out}}"


class TrackedProject(Struct, frozen=True, kw_only=True):
    """`root`: the work tree. `run`: the run directory, inside of it, and ignored by git."""

    root: Path
    run: Path


def tracked_project(place: Path, *, seed: int = 7, packages: dict[str, str] | None = None) -> TrackedProject:
    """The project, with a run whose code had the scale 2 although the commit has 1."""
    root = place / "project"
    root.mkdir()
    (root / "train.py").write_text(TRAIN)
    (root / "scale.py").write_text("SCALE = 1.0\n")
    (root / ".gitignore").write_text("runs\ndata.csv\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    (root / "scale.py").write_text("from factor import FACTOR\nSCALE = 2.0 * FACTOR\n")
    (root / "factor.py").write_text("FACTOR = 1.5\n")
    (root / "data.csv").write_text("x\n" + "".join(f"{n / 7}\n" for n in range(20)))
    run = root / "runs" / "one"
    run.mkdir(parents=True)
    subprocess.run([sys.executable, "-S", "train.py", str(seed), str(run)], cwd=root, check=True)
    (run / "log.jsonl").rename(run / "metrics.jsonl")
    found = fingerprint(root / "data.csv")
    record = DatasetRecord(
        fingerprint=f"{found.algorithm}:{found.digest}", format=found.kind, rows=found.rows, source="data.csv"
    )
    manifest = Manifest(
        run_id="one",
        status="finished",
        command=(sys.executable, "train.py", str(seed), "runs/one"),
        cwd=str(root),
        seed=seed,
        packages=packages or {},
        environment={"python": "3.11.0"} if packages else {},
        git=code_of(root, run),
        datasets={"train": record},
    )
    write_manifest(run, manifest)
    return TrackedProject(root=root, run=run)


def digest_of_tree(root: Path) -> dict[str, str]:
    """Everything below a folder, `.git` included: path -> a digest of kind, mode and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        stat = path.lstat()
        data = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = f"{stat.st_mode:o} {hashlib.sha256(data).hexdigest()}"
    return found
