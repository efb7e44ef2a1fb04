"""Whatever lies at the path, `rldk doctor` gives one clear error or an honest report: no traceback, no hang."""

from __future__ import annotations

import ctypes
import gzip
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from examples import each_of, every

from rldk.cli.main import main
from rldk.core.lines import MAX_LINE

GENUINE = Path(__file__).parents[1]
ROWS = '{"step": 1, "loss": 0.5, "reward": 1.0}\n{"step": 2, "loss": 0.25, "reward": 1.5}\n'
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Runs the command, then says on the last line of stderr how much memory it ever held.
MEASURED = """
import atexit, re, sys
peak = lambda: re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]
atexit.register(lambda: print("peak", peak(), file=sys.stderr))
from rldk.cli.main import main
main(sys.argv[1:])
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")


class Answer(NamedTuple):
    code: int
    out: str
    err: str
    peak_mb: float = 0.0


def checked(answer: Answer) -> Answer:
    assert answer.code in (0, 1, 2, 3)
    assert "Traceback" not in answer.out + answer.err
    assert "internal error" not in answer.err
    assert CONTROL.search(answer.out + answer.err) is None
    assert answer.out.startswith("Not judged") or (answer.code != 3) == bool(answer.out), "either an error or a report"
    return answer


def doctor(*words: str | Path) -> Answer:
    done = CliRunner().invoke(main, ["doctor", *map(str, words)])
    return checked(Answer(done.exit_code, done.stdout, done.stderr))


def process(*words: str | Path, before: Callable[[], None] | None = None) -> Answer:
    command = [sys.executable, "-c", MEASURED, "doctor", *map(str, words)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL, preexec_fn=before
    )
    err, _, peak = done.stderr.rpartition("peak ")
    return checked(Answer(done.returncode, done.stdout, err, int(peak) / 1024))


def file(tmp_path: Path, content: str | bytes, name: str = "log") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def directory(tmp_path: Path, *names: str) -> Path:
    for name in names:
        file(tmp_path, "print('hello')\n", name)
    return tmp_path


def linked(tmp_path: Path, target: str) -> Path:
    (tmp_path / "a").symlink_to(tmp_path / target)
    if target == "b":
        (tmp_path / "b").symlink_to(tmp_path / "a")
    return tmp_path / "a"


def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def noise(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def same(value: str, rows: int = 30) -> str:
    return "".join(f'{{"step": {i}, "loss": {value}, "reward": {value}}}\n' for i in range(rows))


def varied(rows: int) -> str:
    return "".join(f'{{"step": {i}, "reward": {i * 37 % 101}}}\n' for i in range(rows))


def packed(content: str, keep: float = 1.0) -> bytes:
    data = gzip.compress(content.encode())
    return data[: int(keep * len(data))]


def damaged(name: str, share: float) -> bytes:
    data = next(GENUINE.glob(name)).read_bytes()
    return data[: int(share * len(data))]


def wide(columns: int) -> str:
    header = ",".join(["step", *(f"reward_{i}" for i in range(columns))])
    return "\n".join([header, *(",".join([str(i)] + ["1"] * columns) for i in range(3)), ""])


MAGIC = {
    "zip": b"PK\x03\x04",
    "sqlite": b"SQLite format 3\x00",
    "npy": b"\x93NUMPY\x01\x00",
    "wandb": b":W&B\xbc\xa0\x00",
    "zstandard": b"\x28\xb5\x2f\xfd",
    "gzip": b"\x1f\x8b\x08\x00",
    "pickle": b"\x80\x04\x95",
    "event file": b"\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7f\x4b\x22",
}
ERRORS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "random bytes": (lambda t: file(t, noise(100_000)), "in no log format"),
    "nothing": (lambda t: file(t, ""), "is empty"),
    "an empty directory": (directory, "no file in"),
    "one file": (lambda t: directory(t, "a.txt"), "the only file in"),
    "no logs": (lambda t: directory(t, "a.txt", "b.py"), "no log among the 2 files"),
    "every value null": (lambda t: file(t, same("null")), "no line with a metric"),
    "absent": (lambda t: t / "absent", "no such file"),
    "a link to nowhere": (lambda t: linked(t, "absent"), "no such file"),
    "a loop of links": (lambda t: linked(t, "b"), "symbolic links"),
    "an impossible name": (lambda t: t / ("x" * 300), "too long"),
    "the home of nobody": (lambda t: Path("~no-such-user/log"), "no such file"),
    "a pipe": (pipe, "a pipe or a device"),
    "an endless device": (lambda t: Path("/dev/zero"), "a pipe or a device"),
    "UTF-32": (lambda t: file(t, ROWS.encode("utf-32")), "in no log format"),
    "brackets without end": (lambda t: file(t, "[" * 100_000), "in no log format"),
    "objects without end": (lambda t: file(t, '{"a":' * 100_000 + "1" + "}" * 100_000), "in no log format"),
    "100,000 columns": (lambda t: file(t, wide(100_000)), "more than can be held"),
    "a metric of its own on each row": (
        lambda t: file(t, "".join(f'{{"step": {i}, "loss_{i}": 1}}\n' for i in range(10_000))),
        "log per-item values as samples",
    ),
    "damaged parquet": (lambda t: file(t, b"PAR1" + noise(20_000) + b"PAR1"), "is not a complete Parquet file"),
    "an archive in an archive": (lambda t: file(t, gzip.compress(packed(ROWS))), "in no log format"),
    **{f"{name} garbage": (lambda t, m=magic: file(t, m + noise(20_000)), "") for name, magic in MAGIC.items()},  # type: ignore[misc]
}
STATE = '{"log_history": [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25, "x": '
REPORTS: dict[str, tuple[Callable[[Path], Path], int, str]] = {
    "one row": (lambda t: file(t, ROWS.splitlines()[0]), 0, "1 row"),
    "every value NaN": (lambda t: file(t, same("NaN")), 1, "loss is NaN"),
    "every value infinite": (lambda t: file(t, same("1e999")), 1, "the reward is inf"),
    "steps beyond counting": (lambda t: file(t, ROWS + '{"step": 1e300, "loss": 1}\n'), 0, "1 line"),
    "a CSV of NaN": (lambda t: file(t, "step,loss,reward\n" + "1,nan,nan\n" * 9), 1, "loss is NaN"),
    "half an archive": (lambda t: file(t, packed(varied(9000), 0.5)), 0, "breaks off"),
    "a deep row": (lambda t: file(t, ROWS + '{"a":' * 100_000 + "1" + "}" * 100_000 + "\n"), 0, "1 line"),
    "a deep trainer_state.json": (lambda t: file(t, STATE + "[" * 100_000 + "]" * 100_000 + "}]}"), 0, "1 row"),
    "a key of 1 MB": (
        lambda t: file(t, "".join(f'{{"step": {i}, "{"k" * 10**6}": 1}}\n' for i in (1, 2))),
        3,
        "2 rows",
    ),
    "half an event file": (lambda t: file(t, damaged("folders/trl-sft/runs/run1/events*", 0.5)), 0, "tensorboard"),
    "half a W&B file": (lambda t: file(t, damaged("fixtures/wandb-offline/*.wandb", 0.7)), 0, "wandb"),
    "no newline at all": (lambda t: file(t, "step,loss\n1,2"), 0, "1 row"),
    "NULs a crash left behind": (lambda t: file(t, ROWS.encode() + bytes(20_000)), 0, "2 rows"),
    "bad UTF-8": (lambda t: file(t, ROWS.encode() + b'{"step": 3, "\xff\xfe": 1}\n'), 0, "3 rows"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", ERRORS)
def test_what_is_no_log_is_one_clear_error(what: str, tmp_path: Path) -> None:
    make, message = ERRORS[what]
    answer = doctor(make(tmp_path))
    assert answer.code == 3
    assert message in " ".join(answer.err.split())
    assert [line.split(":")[0] for line in answer.err.splitlines()] == ["error", "hint"]


@pytest.mark.parametrize("what", every(2, REPORTS))
def test_what_can_be_read_of_a_bad_log_is_reported(what: str, tmp_path: Path) -> None:
    make, code, message = REPORTS[what]
    answer = doctor(make(tmp_path), "--all")
    assert answer.code == code
    assert message in " ".join(answer.out.split())


def test_an_error_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["doctor", "--json", str(file(tmp_path, noise(1000)))])
    assert json.loads(done.stdout)["error"]["exit_code"] == done.exit_code == 3


HOSTILE_KEYS = [
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil\x07link",
    "<script>alert(1)</script>",
    "two\nlines",
    "\u202eabc",
]


@each_of("key", HOSTILE_KEYS)
def test_a_hostile_key_is_only_a_name(key: str, tmp_path: Path) -> None:
    rows = "".join(json.dumps({"step": i, "reward": float(i % 3), key: float("nan")}) + "\n" for i in range(20))
    doctor(file(tmp_path, rows), "--all", "--html", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert CONTROL.search(page.replace("\n", "").replace("\t", "")) is None


@each_of("name", ["\x1b[31mred\x1b]0;title\x07\nline", os.fsdecode(b"\xff\xfe"), "-rf", "[a-z]*"])
def test_a_hostile_file_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    assert doctor(file(tmp_path, ROWS, f"{name}.jsonl")).code == 0
    assert doctor(file(tmp_path, noise(500), f"{name}.bin")).code == 3


def test_a_bad_file_does_not_hide_the_good_ones_beside_it(tmp_path: Path) -> None:
    file(tmp_path, ROWS, "run.jsonl")
    pipe(tmp_path)
    linked(tmp_path, "b")
    file(tmp_path, noise(50_000), "core")
    answer = doctor(tmp_path)
    assert (answer.code, "2 rows" in answer.out) == (0, True)


@pytest.mark.parametrize("pattern", ["*", "?*"])
def test_a_pattern_passes_over_what_cannot_be_read(pattern: str, tmp_path: Path) -> None:
    file(tmp_path, ROWS, "run.jsonl")
    pipe(tmp_path)
    linked(tmp_path, "b")
    assert doctor(tmp_path / pattern).code == 0


def _without_privileges() -> None:
    """Takes from root the capabilities to read what it may not; nothing to take from anybody else."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                os._exit(77)


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(
    "what",
    ["file", "file in a directory", "directory"],
)
def test_what_may_not_be_read_is_said_so(what: str, tmp_path: Path) -> None:
    closed = file(tmp_path, ROWS) if what != "directory" else tmp_path / "closed"
    closed.mkdir(exist_ok=True) if what == "directory" else None
    closed.chmod(0)
    try:
        answer = process(tmp_path if what == "file in a directory" else closed, before=_without_privileges)
    finally:
        closed.chmod(0o700)
    assert answer.code == 3
    assert "Permission denied" in answer.err


@needs_proc
@pytest.mark.slow
def test_two_gigabytes_of_nothing_are_no_log_at_once(tmp_path: Path) -> None:
    os.truncate(file(tmp_path, ""), 2 * 10**9)
    answer = process(tmp_path / "log")
    assert (answer.code, "in no log format" in answer.err) == (3, True)
    assert answer.peak_mb < 300


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("name", ["jsonl", "trl-sft/trainer_state.json", "trl-sft/stdout.txt", "trl-sft/runs/run1/ev*"])
def test_a_log_that_a_crash_made_two_gigabytes_long_keeps_its_rows(name: str, tmp_path: Path) -> None:
    path = file(tmp_path, ROWS if name == "jsonl" else damaged(f"folders/{name}", 0.9))
    os.truncate(path, 2 * 10**9)
    answer = process(path)
    assert (answer.code, answer.out.split(":")[0] in ("No problem found", "Too early to say")) == (0, True)
    assert answer.peak_mb < 300


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("unit", [b"\0", b"x", b"[", b"1,"])
def test_a_bomb_is_cut_before_it_fills_memory(unit: bytes, tmp_path: Path) -> None:
    member = gzip.compress(unit * (32 << 20), compresslevel=6)
    answer = process(file(tmp_path, gzip.compress(ROWS.encode()) + member * 64))
    assert answer.code in (0, 3)
    assert answer.peak_mb < 300


@needs_proc
@pytest.mark.slow
def test_an_endless_line_costs_that_line_only(tmp_path: Path) -> None:
    answer = process(file(tmp_path, ROWS + '{"step": 3, "x": "' + "x" * 5 * MAX_LINE + '"}\n' + ROWS))
    assert (answer.code, "4 rows" in answer.out, "1 line" in answer.out) == (0, True, True)
    assert answer.peak_mb < 300


@pytest.mark.slow
def test_a_directory_of_twenty_thousand_files_is_looked_through(tmp_path: Path) -> None:
    for i in range(20_000):
        (tmp_path / f"{i}.txt").write_bytes(b"hello\n")
    answer = doctor(tmp_path)
    assert (answer.code, "no log among the 20000 files" in answer.err) == (3, True)


@pytest.mark.parametrize("form", ["lines", "state"])
def test_a_row_of_too_many_metrics_is_refused_and_the_others_are_read(form: str, tmp_path: Path) -> None:
    keys = ", ".join(f'"m{i}": 1' for i in range(20_000))
    rows = [f'{{"step": {i}, "loss": 0.{i + 1}{f", {keys}" if i == 3 else ""}}}' for i in range(9)]
    whole = "\n".join(rows) + "\n" if form == "lines" else f'{{"log_history": [{", ".join(rows)}], "max_steps": 9}}'
    answer = doctor(file(tmp_path, whole))
    assert (answer.code, "8 rows" in answer.out, "1 line of 9" in answer.out) == (0, True, True)
    assert "20,001 metrics, more than can be held (20,000)" in answer.out


WIDE = {"step": 1, "reward": 0.5, **dict.fromkeys((f"m{i}" for i in range(900)), 1.5)}
WIDE_ROWS = {
    "lines": "\n".join([json.dumps(WIDE)] * 2) + "\n",
    "list": json.dumps([WIDE] * 2),
    "table": "\n".join([",".join(WIDE), *[",".join(map(str, WIDE.values()))] * 2]) + "\n",
}


HOLDS = [
    f"adapters.{name}" for name in "reading naming.keys live.rowsource formats.flexible formats.json_document".split()
]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of 900 metrics are the most that can be held; to read twenty thousand takes half a second."""
    for module in ("core.jsonl", "core.table", *HOLDS):
        monkeypatch.setattr(f"rldk.{module}.MAX_METRICS", 900)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("form", WIDE_ROWS)
def test_a_log_of_rows_that_are_too_wide_is_refused_in_one_sentence(form: str, tmp_path: Path) -> None:
    answer = doctor(file(tmp_path, WIDE_ROWS[form]))
    assert (answer.code, answer.err.count("901 metrics, more than can be held (900)")) == (3, 1)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("form", ["lines", "table"])
def test_a_monitor_says_why_it_could_read_no_row(form: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["monitor", "--once", str(file(tmp_path, WIDE_ROWS[form]))])
    assert "no row was read; 2 lines were refused, line 1: the " in answer.stdout
    assert "901 metrics, more than can be held (900)" in answer.stdout
