"""Kills rldk's own processes with SIGKILL at random moments and looks at what is left.

python scripts/kills.py [--seed 1] [--writer 200] [--monitor 100] [--files 50] [--runs 50]

What must hold: of a writer's log every row up to the last is whole and in order, and at most one line is torn; a
monitor with `--state` that is started again tells every alert exactly once; `ingest -o` and `doctor --html` leave the
file that was there before, or the whole new one; `rldk run` leaves a directory that says it crashed, with every whole
line that the command printed, no alert twice, and no process behind."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

RLDK = [sys.executable, "-c", "from rldk.cli.main import main; main(prog_name='rldk')"]
WRITER = """
import sys
from rldk.emit import EventWriter
writer = EventWriter(sys.argv[1])
row = {f"metric_{i}": i / 7 for i in range(40)}
print("ready", flush=True)
for step in range(1 << 40):
    writer.log(row, step=step)
"""
TRAINING = """
import json, os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
for step in range(4000):
    kl, reward = (0.02, 0.5) if step < 60 else (4.0, 0.0)
    row = {"step": step, "kl": kl + 0.001 * (step % 3), "reward_mean": reward + 0.01 * (step % 5)}
    print(json.dumps(row), flush=True)
    time.sleep(0.002)
"""
GONE_S = 20.0  # within which the command of a killed `rldk run` has ended
BEFORE = "what was there before\n"


def kill_writer(folder: Path, rng: random.Random) -> str:
    """What is wrong with the log of a writer that was killed; "" where nothing is."""
    path = folder / "metrics.jsonl"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    if child.stdout is None or not child.stdout.readline():
        return "the writer did not start"
    time.sleep(rng.uniform(0.0, 0.08))
    _kill(child)
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    torn, whole = lines[-1], lines[:-1]
    steps = [json.loads(line)["step"] for line in whole]
    if steps != list(range(len(steps))):
        return f"rows are missing or doubled: {steps[:3]} ... {steps[-3:]}"
    return "a torn line is longer than a row" if whole and len(torn) > len(whole[-1]) + 20 else ""


def kill_monitor(folder: Path, rng: random.Random) -> str:
    """What a monitor that was killed again and again told of a log, against one that was not."""
    log, rows = folder / "run.jsonl", []
    for step in range(400):
        kl, reward = (0.02, 0.5) if step < 150 else (4.0, 0.0)
        rows.append({"step": step, "kl": kl + 0.001 * (step % 3), "reward_mean": reward + 0.01 * (step % 5)})
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    alone, often = folder / "alone.jsonl", folder / "often.jsonl"
    subprocess.run([*RLDK, "monitor", "--once", str(log), "--alerts", str(alone)], capture_output=True, check=False)
    command = [*RLDK, "monitor", "--once", str(log), "--alerts", str(often), "--state", str(folder / "state.json")]
    for _ in range(3):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.2, 0.9))
        _kill(child)
    subprocess.run(command, capture_output=True, check=False)
    said, expected = _alerts(often), _alerts(alone)
    if not expected:
        return "the log has no alert, so nothing is tried"
    return "" if said == expected else f"alerts {said - expected} too many, {expected - said} too few"


def _alerts(path: Path, *, torn: bool = False) -> Counter[tuple[str, str, int]]:
    """The alerts in a file. `torn`: its last line may lack its end."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    lines = [line for line in lines if line.endswith("\n") or not torn]
    found = (json.loads(line) for line in lines)
    return Counter((a["rule"], a["event"], a["step"]) for a in found)


def kill_file(folder: Path, rng: random.Random, which: int) -> str:
    """What is left of a file that a command was about to write."""
    log = folder / "run.jsonl"
    row = json.dumps({f"metric_{i}": 0.123456789 for i in range(30)})[1:]
    log.write_text("".join(f'{{"step": {step}, "reward_mean": {step % 7}, {row}\n' for step in range(3000)))
    target = folder / ("out.jsonl", "out.csv", "report.html")[which % 3]
    target.write_text(BEFORE)
    made = ["doctor", str(log), "--html", str(target)] if which % 3 == 2 else ["ingest", str(log), "-o", str(target)]
    child = subprocess.Popen([*RLDK, *made], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(rng.uniform(0.1, 2.5))
    _kill(child)
    text = target.read_text()
    whole = {".html": text.endswith("</html>\n"), ".csv": text.count("\n") == 3001, ".jsonl": text.count("\n") == 3000}
    return "" if text == BEFORE or whole[target.suffix] else f"{target.name} is neither the old nor a whole new file"


def kill_run(folder: Path, rng: random.Random) -> str:
    """What is wrong with the directory of an `rldk run` that was killed."""
    script, number, left = folder / "train.py", folder / "pid", folder / "left"
    script.write_text(TRAINING)
    command = [*RLDK, "run", "--run-dir", str(left), "--", sys.executable, str(script), str(number)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(rng.uniform(0.2, 4.0))
    _kill(child)
    if number.exists() and number.read_text() and not _ended(int(number.read_text())):
        return "the command still runs"
    from rldk.core.manifest import read_manifest, status_of

    printed = left / "stdout.txt"
    if printed.exists():
        steps = [json.loads(line)["step"] for line in printed.read_bytes().split(b"\n")[:-1]]
        if steps != list(range(len(steps))):
            return f"lines that were printed are missing: {steps[:3]} ... {steps[-3:]}"
        manifest = read_manifest(left)
        if manifest is None or status_of(manifest) != "crashed":
            return "the directory does not say that the run crashed"
    if any(count > 1 for count in _alerts(left / "alerts.jsonl", torn=True).values()):
        return "an alert was told twice"
    pages = [path for path in left.glob("report.*") if not path.read_text().endswith(("}\n", "}", "</html>\n"))]
    return f"{pages[0].name} is not whole" if pages else ""


def _ended(pid: int) -> bool:
    until = time.monotonic() + GONE_S
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def _kill(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def campaign(seed: int, *, writer: int, monitor: int, files: int, runs: int = 0) -> tuple[Counter[str], list[str]]:
    """(how many kills of each kind, what was wrong)."""
    kinds = [*["writer"] * writer, *["monitor"] * monitor, *["file"] * files, *["run"] * runs]
    done: Counter[str] = Counter()
    faults: list[str] = []
    for i, kind in enumerate(kinds):
        rng = random.Random(seed * 1_000_003 + i)
        with tempfile.TemporaryDirectory(prefix="rldk-kills-") as scratch:
            folder = Path(scratch)
            match kind:
                case "writer":
                    fault = kill_writer(folder, rng)
                case "monitor":
                    fault = kill_monitor(folder, rng)
                case "run":
                    fault = kill_run(folder, rng)
                case _:
                    fault = kill_file(folder, rng, i)
            left = [path.name for path in folder.iterdir() if path.name.startswith(".") or path.suffix == ".tmp"]
        done[kind] += 1
        if fault:
            faults.append(f"{kind} {i} of seed {seed}: {fault}")
        elif len(left) > 1:
            faults.append(f"{kind} {i} of seed {seed}: left {left}")
    return done, faults


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("writer", 200), ("monitor", 100), ("files", 50), ("runs", 50), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=count)
    options = vars(parser.parse_args(arguments))
    done, faults = campaign(options.pop("seed"), **options)
    print(f"killed: {dict(done)}; {len(faults)} faults")
    print("\n".join(faults))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
