"""A small project with data, weights and a tokenizer, and a run of it as a tracker records one."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from rldk.core.manifest import DatasetRecord, GitFile, GitState, Manifest, ModelRecord, write_manifest
from rldk.provenance.fingerprints.dataset import DatasetFingerprint, fingerprint
from rldk.provenance.fingerprints.model import model_fingerprint
from rldk.provenance.fingerprints.tokenizer import fingerprint_tokenizer

TRAIN = b"import model\n\nLR = 0.01\n\n\ndef main():\n    model.fit(LR)\n"
CHANGED = TRAIN.replace(b"0.01", b"0.03")
BINARY = bytes(range(256)) * 3
TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1, "b": 2}, "unk_token": "<unk>"},
}


class Project(Struct, frozen=True, kw_only=True):
    """Where everything is. `root`: the work tree; `run`: the run directory, outside of it."""

    root: Path
    run: Path
    data: Path
    weights: Path
    tokenizer: Path

    @property
    def files(self) -> dict[str, Path]:
        """Every file whose bytes the record covers."""
        below = [p for p in self.root.rglob("*") if ".git" not in p.relative_to(self.root).parts]
        inside = [p for p in below if p.is_file() and not p.is_symlink()]
        return {str(p.relative_to(self.root.parent)): p for p in [*inside, self.data, self.weights]}


def git(folder: Path, *words: str) -> bytes:
    names = {f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, env=plain | names | dates
    ).stdout


def safetensors(tensors: dict[str, list[float]]) -> bytes:
    header, data = {}, b""
    for name, values in tensors.items():
        part = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def make_project(place: Path, *, rows: int = 40) -> Project:
    """The project and a finished run of it."""
    root = place / "project"
    (root / "pkg").mkdir(parents=True)
    (root / "train.py").write_bytes(TRAIN)
    (root / "pkg" / "model.py").write_bytes(b"def fit(lr):\n    return lr\n")
    (root / "logo.bin").write_bytes(BINARY)
    (root / "run.sh").write_bytes(b"#!/bin/sh\nexec python train.py\n")
    (root / "run.sh").chmod(0o755)
    (root / "latest").symlink_to("train.py")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    (root / "train.py").write_bytes(CHANGED)
    (root / "logo.bin").write_bytes(BINARY[::-1])
    (root / "notes with space.txt").write_bytes(b"kept\n")
    data = place / "train.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"p{i}", "n": i}) + "\n" for i in range(rows)))
    weights = place / "model.safetensors"
    weights.write_bytes(safetensors({"emb": [0.5] * 32, "head": [float(i) for i in range(16)]}))
    tokenizer = place / "tok"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    project = Project(root=root, run=place / "run", data=data, weights=weights, tokenizer=tokenizer)
    record_run(project)
    return project


def record_run(project: Project, *, seed: int = 3) -> None:
    """Writes the run directory."""
    run = project.run
    for name in ("datasets", "models", "untracked"):
        (run / name).mkdir(parents=True, exist_ok=True)
    diff = git(project.root, "diff", "--binary", "--full-index", "HEAD")
    (run / "changes.diff").write_bytes(diff)
    note = (project.root / "notes with space.txt").read_bytes()
    (run / "untracked" / "notes with space.txt").write_bytes(note)
    found = fingerprint(project.data, row_digests=True)
    (run / "datasets" / "train.rows").write_bytes(found.row_digests or b"")
    (run / "datasets" / "train.leaves.json").write_bytes(leaves(found))
    model = model_fingerprint(project.weights)
    said = msgspec.to_builtins(model, builtin_types=(bytes,))
    for tensor in said["tensors"].values():
        tensor["leaves"] = [leaf.hex() for leaf in tensor["leaves"]]
    (run / "models" / "policy.tensors.json").write_bytes(msgspec.json.encode(said))
    (run / "metrics.jsonl").write_text('{"step": 1, "reward": 0.5}\n{"step": 2, "reward": 0.75}\n')
    sha = git(project.root, "rev-parse", "HEAD").decode().strip()
    manifest = Manifest(
        run_id="run",
        project="sums",
        status="finished",
        started_at="2026-01-01T00:00:00Z",
        finished_at="2026-01-01T01:00:00Z",
        command=("python", "train.py"),
        seed=seed,
        config={"lr": 0.03, "model": {"layers": 2}},
        packages={"numpy": "2.0.0"},
        environment={"python": "3.11.7"},
        git=GitState(
            sha=sha,
            branch="main",
            dirty=True,
            remote="https://example.org/sums.git",
            diff="changes.diff",
            diff_digest=f"sha256:{hashlib.sha256(diff).hexdigest()}",
            untracked=(
                GitFile(
                    path="notes with space.txt",
                    bytes=len(note),
                    digest=f"sha256:{hashlib.sha256(note).hexdigest()}",
                    kept=True,
                ),
            ),
        ),
        datasets={
            "train": DatasetRecord(
                fingerprint=f"sha256:{found.digest}",
                format=found.kind,
                rows=found.rows,
                source=str(project.data),
                rows_file="datasets/train.rows",
                leaves_file="datasets/train.leaves.json",
            )
        },
        models={
            "policy": ModelRecord(
                weights=f"sha256:{model.weights}",
                architecture=f"sha256:{model.architecture}",
                parameters=model.parameters,
                source=str(project.weights),
                tensors_file="models/policy.tensors.json",
            )
        },
        tokenizers={"tok": fingerprint_tokenizer(project.tokenizer)},
    )
    write_manifest(run, manifest)


def leaves(found: DatasetFingerprint) -> bytes:
    said = {name: getattr(found, name) for name in found.__struct_fields__ if name != "row_digests"}
    return msgspec.json.encode({**said, "leaves": [leaf.hex() for leaf in found.leaves]})
