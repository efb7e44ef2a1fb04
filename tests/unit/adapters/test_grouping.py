from __future__ import annotations

from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.base import adapters
from rldk.adapters.explore import Source
from rldk.adapters.grouping import group
from rldk.adapters.layout import home, run_name

ROOT = Path("/exp")


def source(kind, *files, run=None):
    paths = tuple(ROOT / f for f in files)
    return Source(adapter=adapters.get(kind), files=paths, confidence=80, home=max(home(paths[0]), ROOT), run=run)


def layout(*sources):
    runs, spare = group(sources, ROOT)
    return [[str(s.files[0].relative_to(ROOT)) for s in r.sources] for r in runs], len(spare)


@pytest.mark.parametrize(
    ("sources", "runs", "spare"),
    [
        pytest.param(
            [
                source("hf-trainer-state", "trainer_state.json", "checkpoint-4/trainer_state.json"),
                source("tensorboard", "runs/Nov20_host/events.1"),
                source("tensorboard", "runs/Nov21_host/events.2"),
                source("trl-stdout", "stdout.txt"),
            ],
            [["trainer_state.json", "runs/Nov20_host/events.1", "runs/Nov21_host/events.2", "stdout.txt"]],
            0,
            id="a resumed trainer writes two event files",
        ),
        pytest.param(
            [
                source("tensorboard", "runs/a__1/events.1"),
                source("tensorboard", "runs/b__2/events.1"),
                source("cleanrl-stdout", "stdout.txt"),
            ],
            [["runs/a__1/events.1"], ["runs/b__2/events.1"]],
            1,
            id="two CleanRL runs and one console",
        ),
        pytest.param(
            [source("tensorboard", "runs/a__1/events.1"), source("cleanrl-stdout", "stdout.txt")],
            [["runs/a__1/events.1", "stdout.txt"]],
            0,
            id="one CleanRL run and its console",
        ),
        pytest.param(
            [
                source("verl-jsonl", "proj/a.jsonl"),
                source("tensorboard", "tensorboard_log/proj/a/events.1"),
                source("verl-console", "stdout.txt"),
            ],
            [["proj/a.jsonl", "tensorboard_log/proj/a/events.1", "stdout.txt"]],
            0,
            id="verl with three loggers",
        ),
        pytest.param(
            [
                source("verl-jsonl", "proj/a.jsonl"),
                source("verl-jsonl", "proj/b.jsonl"),
                source("tensorboard", "tensorboard_log/proj/a/events.1"),
            ],
            [["proj/a.jsonl", "tensorboard_log/proj/a/events.1"], ["proj/b.jsonl"]],
            0,
            id="two verl experiments, one of them twice",
        ),
        pytest.param(
            [source("rllib-json", f"exp/t{i}/result.json") for i in range(3)] + [source("rllib-stdout", "stdout.txt")],
            [["exp/t0/result.json"], ["exp/t1/result.json"], ["exp/t2/result.json"]],
            1,
            id="Tune trials",
        ),
        pytest.param(
            [source("jsonl", "a/metrics.jsonl"), source("jsonl", "b/metrics.jsonl")],
            [["a/metrics.jsonl"], ["b/metrics.jsonl"]],
            0,
            id="a directory a run",
        ),
        pytest.param(
            [source("jsonl", "a.jsonl"), source("csv", "b.csv"), source("csv", "a.csv")],
            [["a.csv", "a.jsonl"], ["b.csv"]],
            0,
            id="a file a run",
        ),
        pytest.param(
            [source("verl-console", "v.log"), source("openrlhf-console", "o.log"), source("trl-stdout", "t.log")],
            [["o.log"], ["t.log"], ["v.log"]],
            0,
            id="consoles of three frameworks",
        ),
        pytest.param(
            [
                source("hf-trainer-state", "trainer_state.json"),
                source("hf-trainer-state", "ablation/trainer_state.json"),
            ],
            [["trainer_state.json"], ["ablation/trainer_state.json"]],
            0,
            id="a run inside another's directory",
        ),
        pytest.param(
            [
                source("sb3-json", "log/progress.json"),
                source("sb3-csv", "log/progress.csv"),
                source("sb3-monitor", "0.monitor.csv"),
                source("sb3-monitor", "1.monitor.csv"),
            ],
            [["log/progress.json", "log/progress.csv", "0.monitor.csv", "1.monitor.csv"]],
            0,
            id="Stable-Baselines3 with two environments",
        ),
        pytest.param(
            [source("trackio", "p.db", run="r1"), source("trackio", "p.db", run="r2")],
            [["p.db"], ["p.db"]],
            0,
            id="a database of two runs",
        ),
        pytest.param(
            [
                source("jsonl", "metrics.jsonl"),
                source("trl-completions", "completions/c_1.parquet", "completions/c_2.parquet"),
            ],
            [["metrics.jsonl", "completions/c_1.parquet"]],
            0,
            id="metrics and samples",
        ),
    ],
)
def test_layouts(sources, runs, spare):
    assert layout(*sources) == (runs, spare)
    assert layout(*reversed(sources)) == (runs, spare)


@each_of(
    ("path", "name"),
    [
        ("/x/out/trainer_state.json", "out"),
        ("/x/out/checkpoint-40/trainer_state.json", "out"),
        ("/x/out/runs/run1/events.out.tfevents.1.host.2.0", "out"),
        ("/x/runs/Cart__ppo__1__0/events.out.tfevents.1.host.2.0", "Cart__ppo__1__0"),
        ("/x/exp7.jsonl", "exp7"),
        ("/x/exp7/metrics.jsonl.gz", "exp7"),
        ("/x/exp7/log/progress.csv", "exp7"),
    ],
)
def test_a_run_is_named_after_what_tells_it_apart(path, name):
    assert run_name(path) == name
