"""What holds for every format of these trainers alike: who claims which file, and what damage does."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from examples import at_most, each_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rldk.adapters.base import BaseAdapter
from rldk.adapters.consoles.cleanrl import CleanRLStdout
from rldk.adapters.consoles.rllib import RLlibStdout
from rldk.adapters.consoles.sb3 import SB3Stdout
from rldk.adapters.formats.openrlhf import OpenRLHFConsole
from rldk.adapters.formats.parquet import Parquet
from rldk.adapters.formats.rllib import RLlibCsv, RLlibJson
from rldk.adapters.formats.sb3 import SB3Csv, SB3Json
from rldk.adapters.formats.sb3_evaluations import SB3Evaluations
from rldk.adapters.formats.sb3_monitor import SB3Monitor
from rldk.adapters.formats.tabular import Csv
from rldk.adapters.formats.verl import VerlConsole, VerlJsonl
from rldk.adapters.source import File
from rldk.errors import RldkError

FIXTURES = Path(__file__).parents[3] / "fixtures"
OWNERS: dict[str, type[BaseAdapter]] = {
    "sb3-ppo/log/progress.csv": SB3Csv,
    "sb3-ppo/log/progress.json": SB3Json,
    "sb3-ppo/log/log.txt": SB3Stdout,
    "sb3-a2c/log/progress.csv": SB3Csv,
    "sb3-a2c/log/progress.json": SB3Json,
    "sb3-a2c/stdout.txt": SB3Stdout,
    "sb3-a2c/train.monitor.csv": SB3Monitor,
    "sb3-a2c/eval/evaluations.npz": SB3Evaluations,
    "sb3-dqn/log/progress.csv": SB3Csv,
    "rllib-ppo/trial/result.json": RLlibJson,
    "rllib-ppo/trial/progress.csv": RLlibCsv,
    "rllib-ppo/stdout.txt": RLlibStdout,
    "cleanrl-ppo-hot/stdout.txt": CleanRLStdout,
    "openrlhf-ppo-format/stdout.txt": OpenRLHFConsole,
    "verl-grpo-format/stdout.txt": VerlConsole,
    "verl-grpo-format/proj/toy_grpo.jsonl": VerlJsonl,
}
SEEDS = re.compile(r"seeds/.*\.jsonl")  # what Stable-Baselines3 wrote into the run directories of a tracker
KINDS = sorted({*OWNERS.values(), Csv, Parquet}, key=lambda kind: kind.name)  # type: ignore[attr-defined]
SAMPLES = {kind: next(FIXTURES / name for name, owner in OWNERS.items() if owner is kind) for kind in OWNERS.values()}


def every_file() -> list[str]:
    return sorted(str(p.relative_to(FIXTURES)) for p in FIXTURES.rglob("*") if p.is_file())


@pytest.mark.slow
def test_a_file_is_claimed_by_its_own_format_alone() -> None:
    for name in every_file():
        owner = SB3Json if SEEDS.match(name) else OWNERS.get(name)
        assert [kind for kind in KINDS if kind.sniff(File(FIXTURES / name))] == ([owner] if owner else []), name  # type: ignore[attr-defined]


@each_of("name", OWNERS)
def test_records_and_refusals_are_all_lines(name: str) -> None:
    log = OWNERS[name](FIXTURES / name).read()
    assert log.lines >= len(log.table) > 0
    assert log.rejected_count == 0
    assert log.framework in ("stable_baselines3", "rllib", "cleanrl", "openrlhf", "verl")


@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.name)
@settings(max_examples=at_most(60))
@given(data=st.data())
def test_damage_leaves_rows_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, kind: type[BaseAdapter], data: st.DataObject
) -> None:
    whole = SAMPLES[kind].read_bytes()[:6000]
    position = data.draw(st.integers(0, len(whole)))
    noise = data.draw(
        st.one_of(st.binary(max_size=40), st.sampled_from([b'"', b"\n", b"\r", b"\x1b[", b"{", b"1e999"]))
    )
    path = tmp_path_factory.mktemp("damage") / SAMPLES[kind].name
    path.write_bytes(whole[:position] + noise + whole[position + data.draw(st.integers(0, 40)) :])
    kind.sniff(File(path))
    with contextlib.suppress(RldkError):
        log = kind(path).read()
        assert len(log.table) > 0
        assert log.lines >= log.rejected_count + len(log.table) - (log.lines if kind in (SB3Csv, SB3Json) else 0)


@settings(max_examples=at_most(200))
@given(st.binary(max_size=300), st.sampled_from(KINDS))
def test_random_bytes_raise_no_foreign_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: type[BaseAdapter]
) -> None:
    path = tmp_path_factory.mktemp("random") / "file"
    path.write_bytes(data)
    with contextlib.suppress(RldkError):
        kind.sniff(File(path))
        kind(path).read()
