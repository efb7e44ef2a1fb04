from __future__ import annotations

import re
from pathlib import Path

import pytest
from examples import each_of, every
from hypothesis import example, given
from hypothesis import strategies as st

from rldk.adapters.base import adapters
from rldk.adapters.counts import NUMBER, console_kinds, marked_lines, numbered_lines
from rldk.adapters.late import condense, find_late_start
from rldk.adapters.open import find_adapter, open_run
from rldk.adapters.sieve import Sieve
from rldk.adapters.source import HEAD_BYTES, File

FIXTURES = Path(__file__).parents[2] / "fixtures"
LOGS = [path for path in FIXTURES.rglob("*") if path.is_file() and b"\0" not in path.read_bytes()[:4096]]

THOUGHT = "sample {0}: we think step by step about {0} apples and 3 pears, reward 1\n"  # as if it counted steps
PROSE = "sample {0}: of all the fruit in the basket we only ever wanted 3 pears, reward 1\n"
NOISE = "".join((PROSE if i % 5 else THOUGHT).format(i) for i in range(5000))
APART = NOISE[:HEAD_BYTES]
VERL = "".join(f"(main_task pid=3) step:{i} - actor/pg_loss:0.1 - critic/rewards/mean:0.25\n" for i in range(1, 9))
LINES = "".join(f"Episode {i} | Reward: {i}.5 | Loss: 0.5\n" for i in range(9))


@pytest.mark.parametrize(("text", "name"), every(2, [(VERL, "verl-console"), (LINES, "line-console")]))
def test_metrics_after_any_amount_of_text_are_found(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "out.log").write_text(NOISE + text + APART)
    run = open_run(tmp_path / "out.log")
    assert (run.meta.format, len(run.metrics)) == (name, text.count("\n"))


@pytest.mark.slow
def test_lines_far_from_each_other_are_found(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text("".join(APART + "\n" + line for line in LINES.splitlines(True)[:5]))
    assert len(open_run(tmp_path / "out.log").metrics) == 5


DENSE = "".join(f"In step {i % 9} we think about {i} apples, so the reward is 1 for once\n" for i in range(40_000))
COUNTS = "".join(f"step {i * 7919 % 400} of 10: reward was {i % 7}\n" for i in range(80_000))


@each_of("before", [DENSE, COUNTS], ids=["prose", "counts"])
@each_of("after", [DENSE, COUNTS, ""], ids=["prose", "counts", "end"])
def test_metrics_are_found_in_text_that_counts_in_every_line(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / "out.log").write_text(before + VERL + after)
    found = find_late_start(File(tmp_path / "out.log"), list(adapters))
    assert found is not None
    assert find_adapter("verl-console").sniff(found)


@pytest.mark.parametrize("text", [LINES, VERL])
def test_rare_lines_of_metrics_are_found_in_text_that_counts_in_every_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "out.log").write_text(
        "".join(DENSE[: 600_000 + i] + "\n" + x for i, x in enumerate(text.splitlines(True)))
    )
    assert find_late_start(File(tmp_path / "out.log"), list(adapters)) is not None


@pytest.mark.slow
@pytest.mark.parametrize("text", [DENSE, COUNTS], ids=["prose", "counts"])
def test_few_lines_are_judged_of_text_that_counts_in_every_line(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    kind = find_adapter("line-console")
    marks = kind.marks

    def ask(_: object, line: bytes) -> bool:
        asked.append(line)
        return marks(line)

    monkeypatch.setattr(kind, "marks", classmethod(ask))
    (tmp_path / "out.log").write_text(text * 3)
    assert find_late_start(File(tmp_path / "out.log"), list(adapters)) is None
    assert 0 < len(asked) <= 300


def test_a_folder_is_searched_as_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text(NOISE + VERL)
    assert len(open_run(tmp_path).metrics) == 8


@each_of("text", [NOISE, "", "ep", NOISE.replace("\n", " "), "step " * 40_000])
def test_text_without_metrics_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "out.log").write_text(text)
    assert find_late_start(File(tmp_path / "out.log"), list(adapters)) is None


def test_what_is_kept_of_a_growing_text_is_bounded_and_has_the_metrics() -> None:
    kept = condense((LINES + NOISE).encode(), list(adapters))
    assert len(kept) < 50_000
    assert kept.startswith(b"Episode 0 | Reward")


WORD = st.sampled_from(
    ["step", "Step ", "episode", "Epoch #", "Iter ", "ep", "eps", "iteration ", "total_timesteps", "global_step=", "t"]
)
NEXT = st.sampled_from([" ", ": ", "=", " | ", "[", "/", "'", " - ", "  ", "\x1b[1m", "{'", "': ", ", ", "(pid=3) "])
THING = st.sampled_from(
    ["12", "3/40", "0.5", "reward", "loss", "kl", "think about", "episodic_return=", "actor/a:1", "|"]
)
LINE = st.lists(st.one_of(WORD, NEXT, THING), max_size=14).map("".join)


@given(st.lists(LINE, min_size=1, max_size=8))
@example(["stepIter  12"])
def test_no_line_that_a_format_takes_is_left_out(lines: list[str]) -> None:
    kinds = console_kinds(adapters)
    text = "\n".join(lines).encode()
    told = [line for line in text.split(b"\n") if NUMBER.search(line) and any(kind.marks(line) for kind in kinds)]
    assert marked_lines(text, kinds) == told


@given(st.lists(LINE, max_size=8), st.integers(0, 9), st.integers(0, 9))
def test_no_count_is_left_out_wherever_it_stands(lines: list[str], before: int, after: int) -> None:
    text = b"~" * before + "\n".join(lines).encode() + b"~" * after
    kept = numbered_lines(text, Sieve(NUMBER).places(text, 0, len(text)) or [], len(text)) or text
    strict = re.compile(NUMBER.pattern.replace(rb"|[Ee]p[", rb"|[Ee]p(?=[ois]|[^A-Za-z])["))
    assert [x for x in text.split(b"\n") if strict.search(x)] == [x for x in kept.split(b"\n") if strict.search(x)]


@pytest.mark.slow
def test_every_format_that_prints_its_metrics_has_its_landmark_in_them() -> None:
    lines = {line for path in LOGS for line in path.read_bytes().split(b"\n") if NUMBER.search(line)}
    taken = [(kind, line) for kind in console_kinds(adapters) for line in lines if kind.marks(line)]
    assert len({kind for kind, _ in taken}) >= 8
    assert [(kind.name, line) for kind, line in taken if kind.landmark not in line] == []
    assert [line for kind, line in taken if marked_lines(line, [kind]) != [line]] == []
