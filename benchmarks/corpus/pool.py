"""Makes runs in child processes, each in its own folder, with its own clock and a label only when it went well."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from benchmarks.corpus.label import Run, as_row

JUNK = ("checkpoint-*", "*.zip", "*.safetensors", "*.bin", "training_args.bin", "tokenizer*", "special_tokens*")


def make(run: Run, folder: Path) -> None:
    """Makes one run in this process; its stdout becomes the file stdout.txt."""
    folder.mkdir(parents=True)
    seed = int(run.args.get("seed", 0))  # type: ignore[call-overload]
    random.seed(seed)
    row = as_row(run)
    import_module(f"benchmarks.corpus.{run.module}").train(folder, row)
    label = {**run.label(), **row["extra"]}  # type: ignore[dict-item]
    for pattern in JUNK:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "label.json").write_text(json.dumps(label, indent=1) + "\n")


def _child(run: Run, folder: Path) -> None:
    log = folder.parent / f".{folder.name}"
    with Path(f"{log}.out").open("w") as out, Path(f"{log}.err").open("w") as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        try:
            _quiet_torch()
            make(run, folder)
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it was, its trace goes to the file
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _quiet_torch() -> None:
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


def make_all(runs: Iterable[Run], out: Path, *, jobs: int, stop_s: float = 1e9, slow: float = 1.0) -> dict[str, str]:
    """Makes all `runs` under `out`, `jobs` at a time, none beyond `stop_s` seconds; name -> outcome.

    `slow`: how much longer than on a free core of its own a run may take."""
    out.mkdir(parents=True, exist_ok=True)
    context, start, outcome = mp.get_context("fork"), time.monotonic(), {}
    waiting = [run for run in runs if not (out / run.name / "label.json").exists()]
    live: dict[str, tuple[Run, mp.process.BaseProcess, float]] = {}
    while waiting or live:
        now = time.monotonic() - start
        while waiting and len(live) < jobs and now < stop_s:
            run = waiting.pop(0)
            shutil.rmtree(out / run.name, ignore_errors=True)
            (out / run.name).parent.mkdir(parents=True, exist_ok=True)
            process = context.Process(target=_child, args=(run, out / run.name))
            process.start()
            live[run.name] = run, process, now
        for name, (run, process, began) in list(live.items()):
            late = now - began > slow * run.limit_s or now > stop_s
            if process.is_alive() and not late:
                continue
            outcome[name] = _finish(out, run, process, late=process.is_alive())
            print(f"{now:6.0f} {now - began:5.1f}s {outcome[name]:8s} {name}", flush=True)
            del live[name]
        if now >= stop_s and not live:
            break
        time.sleep(0.05)
    return outcome


def _finish(out: Path, run: Run, process: mp.process.BaseProcess, *, late: bool) -> str:
    if late:
        process.kill()
    process.join()
    folder = out / run.name
    printed, said = (folder.parent / f".{folder.name}.{end}" for end in ("out", "err"))
    if process.exitcode == 0 and (folder / "label.json").exists():
        if printed.stat().st_size:
            printed.rename(folder / "stdout.txt")
        for path in (printed, said):
            path.unlink(missing_ok=True)
        return "ok"
    failed = out / "failed"
    failed.mkdir(exist_ok=True)
    said.rename(failed / f"{folder.name}.txt")
    printed.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return "too late" if late else "failed"
