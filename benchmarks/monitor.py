"""`rldk monitor`: a million events with shipped presets, the first alert, and from line to alert beside a writer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data import event_log
from benchmarks.measure import ROOT, Cost, Work, command_cost, environment, race
from benchmarks.result import Result

EVENTS = 1_000_000
# 400,000 events a CPU second where the plain loop over json.loads reads a million of them in 2.8 s
AGAINST_JSON = 1.1
RSS_MB = 80.0
FIRST_CPU_S = 0.3
POLL_S = 0.1
RATE, SECONDS = 2000, 6
PRESETS = ("kl_drift", "ppo_safe", "grpo_safe", "default")  # the first is held to the budget, the rest are shown
RULES = "rules: [{id: high, metric: kl, condition: value > 5, cooldown_steps: 0}]\n"


def results(work: Path, scale: float, repeats: int) -> list[Result]:
    events = int(EVENTS * scale)
    log, half = work / "events.jsonl", work / "half.jsonl"
    event_log(log, events)
    event_log(half, events // 2)
    return [*_presets(log, events, repeats), _flat(log, half), _first(work, repeats), _latency(work)]


def _presets(log: Path, events: int, repeats: int) -> list[Result]:
    loop = Work("benchmarks.decode:json_events", str(log))
    works = [Work(f"{__name__}:once", f"{preset},{log}") for preset in PRESETS]
    costs = race(loop, *works, repeats=repeats)
    found = []
    for preset, ours in zip(PRESETS, costs[1:], strict=True):
        facts = ours.facts
        found.append(
            Result(
                job=f"monitor --once, {events} events, {preset}",
                ours=ours,
                baseline=costs[0],
                against="stdlib json loop",
                ratio=costs[0].cpu_s / ours.cpu_s,
                at_least=AGAINST_JSON if preset == PRESETS[0] else None,
                rss_budget_mb=RSS_MB,
                note=f"{events / ours.cpu_s / 1000:.0f} k events/cpu-s; {facts['rules']} rules, {facts['lines']} lines",
            )
        )
    return found


def _flat(log: Path, half: Path) -> Result:
    whole, part = (Work(f"{__name__}:once", f"{PRESETS[0]},{path}").cost() for path in (log, half))
    return Result(
        job="monitor, memory of twice the events",
        ours=Cost(whole.cpu_s, whole.rss_mb),
        baseline=part,
        against="half of them",
        ratio=whole.rss_mb / part.rss_mb,
        at_most=1.05,
        note=f"{part.rss_mb:.0f} MB and {whole.rss_mb:.0f} MB",
    )


def _first(work: Path, repeats: int) -> Result:
    log = work / "broken.jsonl"
    log.write_text("".join(f'{{"step": {i}, "loss": {"1.0" if i < 9 else "NaN"}, "kl": 0.1}}\n' for i in range(10)))
    argv = [sys.executable, "-m", "rldk", "monitor", "--once", str(log), "--rules", "ppo_safe"]
    ours = command_cost(argv, repeats=3 * repeats)
    return Result(
        job="monitor, from the start to the first alert",
        ours=ours,
        against=f"{FIRST_CPU_S:g} cpu-s",
        ratio=ours.cpu_s / FIRST_CPU_S,
        at_most=1.0,
        note="the whole process, its report too",
    )


def once(argument: str) -> dict[str, int]:
    """The command itself; what its report says of the source."""
    from rldk.cli.main import main

    preset, _, log = argument.partition(",")
    report = Path(log).with_suffix(".report.json")
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        main(["monitor", "--once", log, "--rules", preset, "--report", str(report)])
    except SystemExit as ended:
        if ended.code:
            raise
    finally:
        sys.stdout = stdout
    (run,) = json.loads(report.read_text())["runs"]
    return {"rules": len(run["checked"]), "lines": run["source"]["lines"]}


def _latency(work: Path) -> Result:
    """Rows are written 2,000 events a second; every 8th step is bad, and says when it was written."""
    log, alerts, rules = work / "live.jsonl", work / "alerts.jsonl", work / "rules.yaml"
    rules.write_text(RULES)
    words = ["--stream", str(log), "--rules", str(rules), "--alerts", str(alerts), "--idle-timeout", "2"]
    argv = [sys.executable, "-m", "rldk", "monitor", *words]
    with subprocess.Popen(argv, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL) as process:
        _write(log)
        process.wait()
    said = [json.loads(line) for line in alerts.read_text().splitlines()]
    waits = sorted(a["written"] - a["time"] for a in said if a["event"] == "begin" and a["step"] > 2 * RATE // 25)
    if not waits:
        raise SystemExit("the monitor said nothing while the log was written")
    late = waits[int(0.95 * len(waits))]
    return Result(
        job=f"monitor, line to alert at {RATE} events/s",
        against=f"one poll, {1000 * POLL_S:.0f} ms",
        ratio=late / POLL_S,
        at_most=1.0,
        note=f"{len(waits)} alerts: median {1000 * waits[len(waits) // 2]:.0f} ms, 95 % within {1000 * late:.0f} ms, "
        f"slowest {1000 * waits[-1]:.0f} ms",
    )


def _write(log: Path) -> None:
    steps, began = RATE * SECONDS // 25, time.monotonic()
    with log.open("w", buffering=1) as stream:
        for step in range(steps):
            time.sleep(max(0.0, began + step * 25 / RATE - time.monotonic()))
            now = time.time()
            names: Sequence[str] = ("kl", *(f"metric_{i}" for i in range(24)))
            for name in names:
                value = 9.0 if name == "kl" and step % 8 == 0 else 0.1
                stream.write(json.dumps({"time": now, "step": step, "name": name, "value": value}) + "\n")
