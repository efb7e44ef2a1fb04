from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from examples import each_of

from rldk.adapters.formats.completions import TrlCompletions
from rldk.adapters.source import File
from rldk.errors import NoData

FIXTURES = Path(__file__).parents[3] / "fixtures"
FOLDER = FIXTURES / "trl-grpo" / "completions"
FIRST = FOLDER / "completions_00001.parquet"
pq = pytest.importorskip("pyarrow.parquet")
pa = pytest.importorskip("pyarrow")


def write(path: Path, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_every_step_of_a_folder_in_order():
    log = TrlCompletions(FOLDER).read()
    assert log.samples is not None
    assert log.samples.columns["step"] == [1] * 16 + [2] * 16 + [80] * 16
    assert set(log.samples.columns) == {"step", "prompt", "response", "reward_components", "advantage"}
    assert len(log.table) == 0


def test_a_reward_function_that_gave_none_is_missing():
    samples = TrlCompletions(FIRST).read().samples
    assert samples is not None
    first = samples.columns["reward_components"][0]
    assert first == {"in_pool": pytest.approx(0.3043478), "brevity": 0.0625, "sometimes_none": None}


def test_the_reward_is_known_of_a_single_function(tmp_path):
    path = write(tmp_path / "c", step=[3, 3], prompt=["a", "b"], completion=["x", "y"], score=[1.0, None])
    samples = TrlCompletions(path).read().samples
    assert samples is not None
    assert samples.columns["reward"] == [1.0, None]


def test_columns_of_text_are_no_rewards_and_conversations_become_text(tmp_path):
    talk = [[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]]
    path = write(tmp_path / "c", step=[1], prompt=talk, completion=["x"], answer=["42"], score=[0.5])
    samples = TrlCompletions(path).read().samples
    assert samples is not None
    assert samples.columns["prompt"] == ["hi\nho"]
    assert samples.columns["reward_components"] == [{"score": 0.5}]


def test_a_large_file_is_recognised_by_its_footer(tmp_path):
    noise = [f"{i * 2654435761 % 2**32:x}" * 4 for i in range(20_000)]
    path = write(tmp_path / "c", step=[1] * 20_000, prompt=noise, completion=noise)
    assert path.stat().st_size > 200_000
    assert TrlCompletions.sniff(File(path)) == 90


def test_other_parquet_files_are_not_claimed(tmp_path):
    assert TrlCompletions.sniff(File(write(tmp_path / "m", step=[1], loss=[0.5]))) == 0


def test_a_damaged_file_costs_only_itself(tmp_path):
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(FIRST.read_bytes()[:-500])
    log = TrlCompletions([FIRST, torn]).read()
    assert log.samples is not None
    assert (len(log.samples), log.rejected_count) == (16, 1)
    assert str(torn) in log.rejected[0].reason


@each_of("at", range(0, 6400, 400))
def test_any_damage_is_an_error_of_ours(tmp_path, at):
    data = bytearray(FIRST.read_bytes())
    data[at : at + 60] = bytes(range(60))
    path = tmp_path / "c.parquet"
    path.write_bytes(data)
    TrlCompletions.sniff(File(path))
    with contextlib.suppress(NoData):
        assert TrlCompletions(path).read().samples is not None


def test_without_pyarrow_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from rldk.adapters.formats.completions import TrlCompletions\n"
        "from rldk.errors import MissingExtra\n"
        f"adapter = TrlCompletions({str(FIRST)!r})\n"
        "assert adapter.can_handle()\n"
        "try: adapter.read()\n"
        "except MissingExtra as error: print(error.hint)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == 'pip install "rldk[parquet]"'
