"""`rldk.lock`: it survives writing and reading, names every difference, and is read with mistrust."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.audit.lock import PARTS, EnvironmentLock, LockDifference, lock_differences
from rldk.errors import MalformedInput, UnreadableSource
from rldk.provenance import lock as module
from rldk.provenance.environment import environment
from rldk.provenance.lock import environment_lock, lock_text, read_lock
from rldk.provenance.packages import installed

TEXTS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"))
LOCKS = st.builds(EnvironmentLock, python=TEXTS, packages=TEXTS, machine=TEXTS)


def test_this_environment_is_locked_and_read_again(tmp_path: Path) -> None:
    made = environment_lock(environment(), installed())
    (tmp_path / "rldk.lock").write_text(lock_text(made))
    assert read_lock(tmp_path / "rldk.lock") == made
    assert made.packages["numpy"] == installed()["numpy"]
    assert {"architecture", "processors"} <= made.machine.keys()
    assert "rldk" not in made.packages


@given(LOCKS, LOCKS)
def test_differences_are_all_and_only_what_differs(a: EnvironmentLock, b: EnvironmentLock) -> None:
    assert lock_differences(a, a) == ()
    found = lock_differences(a, b)
    assert [LockDifference(part=d.part, name=d.name, locked=d.now, now=d.locked) for d in found] == [
        *lock_differences(b, a)
    ]
    mended = {part: dict(getattr(a, part)) for part in PARTS}
    for d in found:
        mended[d.part].pop(d.name, None)
        if d.now is not None:
            mended[d.part][d.name] = d.now
    assert all(mended[part] == getattr(b, part) for part in PARTS)


def test_what_belongs_to_one_start_is_not_locked() -> None:
    variables = {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0", "NCCL_ALGO": "Ring"}
    assert environment_lock({"variables": variables}, {}).variables == {"NCCL_ALGO": "Ring"}


@pytest.mark.parametrize("odd", [{}, {"processor": 3, "devices": [1], "variables": "x", "blas": {"blas": 1}}])
def test_an_odd_environment_is_no_error(odd: dict[str, object]) -> None:
    assert environment_lock(odd, {}) == EnvironmentLock()


@each_of(
    ("text", "said"),
    [
        ("", "is no lock of rldk"), ("[1]", "has no schema_version"), ("{}", "has no schema_version"),
        ('{"schema_version": 99}', "this rldk knows 1"),
        ('{"schema_version": 1, "packages": [1]}', "Expected `object`"),
        ("[" * 100_000, "is no lock of rldk"), ("\udcff", "is no lock of rldk"),
    ],
)  # fmt: skip
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rldk.lock"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(MalformedInput, match=said) as caught:
        read_lock(path)
    assert caught.value.hint


def test_a_lock_that_is_missing_or_huge_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableSource):
        read_lock(tmp_path / "absent")
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    (tmp_path / "l").write_text(json.dumps({"schema_version": 1}))
    with pytest.raises(MalformedInput, match="larger than"):
        read_lock(tmp_path / "l")
