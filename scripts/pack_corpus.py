"""Packs a labelled corpus for the tests: logs compressed, directories under names that say nothing.

python scripts/pack_corpus.py CORPUS tests/corpus/NAME
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import sys
from pathlib import Path


def pack(corpus: Path, target: Path) -> int:
    """Writes every run of `corpus`; how many there are. The same corpus gives the same bytes."""
    runs = sorted(folder for folder in corpus.iterdir() if (folder / "label.json").exists())
    for run in runs:
        packed = target / hashlib.sha256(run.name.encode()).hexdigest()[:8]
        packed.mkdir(parents=True)
        shutil.copyfile(run / "label.json", packed / "label.json")
        log = (run / "metrics.jsonl").read_bytes()
        (packed / "metrics.jsonl.gz").write_bytes(gzip.compress(log, compresslevel=9, mtime=0))
    return len(runs)


if __name__ == "__main__":
    print(f"{pack(Path(sys.argv[1]), Path(sys.argv[2]))} runs")
