"""The search for texts in training data: what it finds does not depend on how much of it stays in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.records import read_records, rows_at_a_time
from rldk.core.external.scratch import Held
from rldk.core.stats.minhash import band_keys, signatures
from rldk.core.stats.shingles import WordHashes, exact_keys, pieces, runs
from rldk.evals import run
from rldk.evals.overlap.search import Overlap, find_overlap
from rldk.evals.suites import Suite

ONLY = Suite(name="x", description="", evaluations=("contamination",))
WORDS = [f"w{i}" for i in range(12)]
LINE = st.integers(0, 11)


@st.composite
def both_sides(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Evaluation and training made of shared pieces: whole copies, near copies, long quotations, repeats, empty."""
    seeds = draw(st.lists(st.integers(0, 5), min_size=1, max_size=25))
    other = draw(st.lists(st.integers(0, 8), min_size=1, max_size=25))
    return [_text(seed) for seed in seeds], [_text(seed, cut=seed % 3) for seed in other]


def _text(seed: int, cut: int = 0) -> str:
    rng = np.random.default_rng(seed)
    words = [WORDS[i] for i in rng.integers(0, 12, [0, 3, 15, 30, 40, 50, 60, 70, 80][seed])]
    if cut == 1 and words:
        words[len(words) // 2] = "other"
    return " ".join(words if cut < 2 else words[: len(words) * 2 // 3])


def by_hand(train: list[str], texts: list[str]) -> tuple[list[bool], list[bool], list[bool]]:
    """The same three answers from sets and all pairs of signatures."""
    known = set(exact_keys(train)[exact_keys(train) > 0].tolist())
    exact = [int(key) in known for key in exact_keys(texts)]
    held = set(runs(*WordHashes().of(train), 13)[0].tolist())
    found, owner = runs(*WordHashes().of(texts), 13)
    covered = []
    for row in range(len(texts)):
        own = found[owner == row].tolist()
        covered.append(bool(own) and sum(one in held for one in own) >= 0.5 * len(own))
    signs = [signatures(*runs(*WordHashes().of(side), 5, short=True), len(side)) for side in (texts, train)]
    bands = [band_keys(side) for side in signs]
    near = [
        any(
            texts[a].split() and train[b].split() and (bands[0][a] == bands[1][b]).any()
            and (signs[0][a] == signs[1][b]).mean() >= 0.7
            for b in range(len(train))
        )
        for a in range(len(texts))
    ]  # fmt: skip
    return exact, covered, near


def told(found: Overlap) -> tuple[list[bool], list[bool], list[bool]]:
    return found.exact.tolist(), found.covered.tolist(), found.near.tolist()


@given(sides=both_sides(), entries=st.sampled_from((1, 7, 64, 5000)))
def test_what_is_found_is_what_sets_and_all_pairs_give(sides: tuple[list[str], list[str]], entries: int) -> None:
    texts, train = sides
    found = find_overlap(train, texts, held=Held(entries=entries, spool=100))
    assert told(found) == by_hand(train, texts)


def test_an_index_on_disk_gives_what_an_index_in_memory_gives() -> None:
    rng = np.random.default_rng(3)
    words = np.array([f"v{i}" for i in range(3000)])
    texts = [" ".join(words[rng.integers(0, 3000, 40)]) for _ in range(600)]
    template = " ".join(words[:60])
    texts += [f"{template} {i}" for i in range(100)] + texts[:50]
    train = texts[::7] + [" ".join(text.split()[:33]) for text in texts[::5]] + [f"{template} x{i}" for i in range(50)]
    whole, parted = find_overlap(train, texts), find_overlap(train, texts, held=Held(entries=2000, spool=2000))
    assert told(whole) == told(parted)
    assert np.array_equal(whole.share, parted.share, equal_nan=True)
    assert (whole.left_out, whole.on_disk) == (parted.left_out, 0)
    assert whole.left_out > 0
    assert parted.on_disk > 100_000


def test_a_prompt_that_is_asked_many_times_is_no_template() -> None:
    rng = np.random.default_rng(1)
    words = np.array([f"v{i}" for i in range(3000)])
    prompts = [" ".join(words[rng.integers(0, 3000, 40)]) for _ in range(30)]
    found = find_overlap([f"quoted: {prompts[4]} and more"], prompts * 64)
    assert np.flatnonzero(found.covered).tolist() == list(range(4, 30 * 64, 30))


def test_all_rows_of_a_text_are_found_by_a_near_copy() -> None:
    text = " ".join(f"v{i}" for i in range(60))
    found = find_overlap([text.replace("v30", "other")], [text] * 100)
    assert found.near.all()
    assert found.left_out == 0


def test_a_long_training_text_is_read_to_its_end() -> None:
    rng = np.random.default_rng(2)
    text = " ".join(f"v{i}" for i in rng.integers(0, 3000, 60))
    book = " ".join(f"b{i}" for i in range(200_000))
    found = find_overlap([f"{book} {text} {book}", book], [text, book.upper(), "  "])
    assert (found.covered.tolist(), found.exact.tolist()) == ([True, True, False], [False, True, False])


@given(text=st.lists(st.sampled_from(("a", "bb", " ", "\n", "c" * 9000, "Σ")), max_size=40).map("".join))
def test_pieces_lose_no_run_of_words(text: str) -> None:
    some = list(pieces(text, overlap=2))
    whole = runs(*WordHashes().of([text], longest=None), 3)[0]
    assert set(runs(*WordHashes().of(some, longest=None), 3)[0].tolist()) == set(whole.tolist())


def test_values_that_are_no_texts_are_no_texts() -> None:
    found = find_overlap([{"a": 1, "b": None, "c": ["x y"], "d": b"z"}], [None, 3, float("nan"), "x y", ""])  # type: ignore[list-item]
    assert found.exact.tolist() == [False, False, False, True, False]


FULL = """
import resource, sys, numpy as np
from rldk.adapters.records import rows_at_a_time, read_records
from rldk.core.external.scratch import Held
from rldk.errors import OutputError
from rldk.evals.overlap.search import find_overlap
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
texts = [f"a{i} b{i} c{i} d{i} e{i} f{i}" for i in range(2000)]
try:
    find_overlap(texts, texts, held=Held(entries=1000, spool=1000))
except OutputError as error:
    print(error.message, "|", error.hint)
"""


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.stdout.startswith(f"cannot put temporary data aside in {tmp_path} after ")
    assert done.stdout.endswith("set TMPDIR to a folder that has more\n")
    assert (done.stderr, list(tmp_path.iterdir())) == ("", [])


def test_a_number_in_a_record_is_no_text() -> None:
    found = find_overlap([{"n": "7", "score": "1e3", "text": "seven"}, "8"], ["7", "1e3", "seven", "8"])
    assert found.exact.tolist() == [False, False, True, True]


def test_what_is_done_is_told() -> None:
    told: list[str] = []
    find_overlap(["a"] * 3000, ["b"] * 10, tell=told.append)
    assert told == [
        "10 texts of the evaluation",
        "2,000 texts of the training data",
        "3,000 texts of the training data",
        "joining whole texts",
        "joining runs of words",
        "joining signatures",
    ]


def test_comparisons_that_are_left_out_are_told() -> None:
    template = " ".join(f"v{i}" for i in range(60))
    rows = [{"prompt": f"{template} {i}"} for i in range(100)]
    found = run(rows, ONLY, train=[f"{template} of training"]).raw_results["contamination.near"]
    assert found.reason.endswith("comparisons with texts of a common template were left out, so that there may be more")


def test_long_rows_of_parquet_are_read_few_at_a_time(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    sizes = []
    for name, length in (("long", 1 << 20), ("short", 10)):
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(pa.table({"text": [f"{i}" * length for i in range(5)]}), path, use_dictionary=False)
        sizes.append(rows_at_a_time(parquet.ParquetFile(path).metadata))
        assert [row["text"] for row in read_records(path) if isinstance(row, dict)] == [
            f"{i}" * length for i in range(5)
        ]
    assert sizes == [31, 1 << 12]
