"""rldk's own row events: whole through writing, reading, ingesting and the adapter of TRL."""

from __future__ import annotations

from pathlib import Path

from examples import each_of

from rldk import ingest_runs_to_events
from rldk.adapters import GRPOAdapter, TRLAdapter
from rldk.adapters.open import open_run
from rldk.io import Event, read_events, write_events


def made(step: int, **metrics: float | None) -> Event:
    return Event(
        step=step,
        wall_time=1.7e9 + step,
        metrics=metrics,
        rng={"seed": 7, "state": "abc"},
        data_slice={"tokens_in": 10 * step, "tokens_out": 3, "shard": "a"},
        model_info={"run_id": "ppo-1", "git_sha": "f00"},
        notes=[f"row {step}"],
    )


EVENTS = [made(i, kl=i / 10, reward_mean=None if i == 3 else 0.5) for i in range(9)]


def test_row_events_go_round_whole(tmp_path: Path) -> None:
    path = tmp_path / "my_run_events.jsonl"
    write_events(EVENTS, path)
    assert ingest_runs_to_events(path) == read_events(path) == EVENTS


def test_two_events_of_a_step_stay_two(tmp_path: Path) -> None:
    events = [made(i // 2, **({"kl": 0.5} if i % 2 else {"reward_mean": 0.25})) for i in range(8)]
    write_events(events, tmp_path / "e.jsonl")
    assert ingest_runs_to_events(tmp_path / "e.jsonl") == events


def test_metrics_of_an_event_get_their_canonical_names(tmp_path: Path) -> None:
    write_events([made(i, **{"objective/kl": 0.5, "own": 1.0}) for i in range(3)], tmp_path / "e.jsonl")
    assert ingest_runs_to_events(tmp_path / "e.jsonl")[0].metrics == {"kl": 0.5, "own": 1.0}


@each_of("bad", [b"", b"not json\n", b'{"step": "x", "metrics": {}}\n[1]\n', b'{"step": 9, "metr'])
@each_of("kind", [TRLAdapter, GRPOAdapter])
def test_the_adapter_of_trl_reads_them_clean_or_not(tmp_path: Path, kind: type[TRLAdapter], bad: bytes) -> None:
    path = tmp_path / "my_run_events.jsonl"
    write_events(EVENTS, path)
    path.write_bytes(path.read_bytes() + bad)
    assert kind(str(path)).load()["kl"].tolist() == [event.metrics["kl"] for event in EVENTS]
    assert ingest_runs_to_events(path) == EVENTS


def test_the_id_that_a_log_gives_itself_names_the_run_in_a_folder_too(tmp_path: Path) -> None:
    write_events(EVENTS, tmp_path / "my_run_events.jsonl")
    assert (open_run(tmp_path / "my_run_events.jsonl").id, open_run(tmp_path).id) == ("ppo-1", "ppo-1")


def test_files_of_several_processes_are_one_run(tmp_path: Path) -> None:
    for rank in range(3):
        write_events(EVENTS, tmp_path / f"metrics_rank{rank}.jsonl")
    run = open_run(tmp_path)
    assert (run.meta.files[0].endswith("rank0.jsonl"), len(run.meta.left_out)) == (True, 2)
