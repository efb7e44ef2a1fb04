"""Reads damaged copies of genuine logs: whatever is in a file, reading it ends in a run or in one error of rldk's own.

python scripts/fuzz.py [--inputs 200000] [--seed 1] [--only TEXT] [--state FILE]

Every input is a fixture of some format, changed at random (bytes flipped, cut, doubled, swapped with another file's,
numbers made huge, keys made hostile), opened and judged in this process. What counts as a fault: an exception outside
the error tree, an input that takes longer than two seconds of CPU or more than 300 MB, JSON lines whose rows and
rejected lines do not add up. Each fault's input is kept, and the seed that makes it again is printed. With --state an
interrupted campaign goes on where it was."""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
SAVED_EVERY = 200  # inputs
MOST_BYTES = 40_000  # of an input: a longer file is cut before it is damaged
SLOW_S, MOST_MB = 2.0, 300.0
NUMBERS = (
    b"NaN Infinity -1e400 1e308 9999999999999999999999999999999999999999 18446744073709551616 -0.0 0x10 1_0".split()
)
PIECES = (
    *(b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\x1b]0;x\x07", b"\r", b"\n\n", b"\t", b'"', b"{", b"}"),
    *(b"[", b"]", b"," * 50, b"'", b"\\", b"[" * 300, b'{"a":' * 120, b"|" * 80, b"1" * 500, b": " * 40, b"=" * 200),
    *(b"__class__", b"../../etc/passwd", b"%n%s", b"<script>", b"@", b"=cmd()", b'{"step": 1}', b"step: 3 loss: 0.5"),
    b"\xf0\x9f\x92\xa9",
)


@dataclass
class Tally:
    """What came of the inputs."""

    opened: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    @property
    def inputs(self) -> int:
        return self.opened + sum(self.refused.values()) + len(self.faults)


def seeds(only: str = "") -> list[Path]:
    """The files that are damaged: those of the fixtures, by path."""
    files = (path for path in sorted(FIXTURES.rglob("*")) if path.is_file() and path.suffix not in {".md", ".py"})
    return [path for path in files if only in str(path.relative_to(FIXTURES)) and "schemas" not in path.parts]


def damaged(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """The content changed in one to eight places."""
    data = bytearray(content[:MOST_BYTES])
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 4, 40, 400))
        match rng.randrange(8):
            case 0:
                del data[at : at + length]
            case 1:
                data[at:at] = rng.choice(PIECES)
            case 2:
                data[at:at] = data[max(0, at - length) : at]
            case 3:
                del data[at:]
            case 4 if data:
                data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
            case 5:
                data[at : at + length] = rng.randbytes(length)
            case 6:
                start = rng.randrange(len(other) + 1)
                data[at:at] = other[start : start + length]
            case _:
                _number(data, at, rng)
    return bytes(data)


def _number(data: bytearray, at: int, rng: random.Random) -> None:
    """Makes the next number another one."""
    while at < len(data) and not chr(data[at]).isdigit():
        at += 1
    end = at
    while end < len(data) and chr(data[end]) in "0123456789.eE+-":
        end += 1
    data[at:end] = rng.choice(NUMBERS)


def inputs(seed: int, count: int, only: str = "", first: int = 0) -> Iterator[tuple[int, str, bytes]]:
    """(its own number, a file name, content) from number `first` to `count`, the same for the same arguments."""
    paths = seeds(only)
    contents = [path.read_bytes() for path in paths]
    for i in range(first, count):
        rng = random.Random(seed * 1_000_003 + i)
        place = rng.randrange(len(paths))
        yield i, paths[place].name, damaged(contents[place], rng.choice(contents), rng)


def campaign(
    seed: int,
    count: int,
    *,
    only: str = "",
    seconds: float = float("inf"),
    keep: Path | None = None,
    state: Path | None = None,
) -> Tally:
    """Opens and judges the inputs, at most for so many seconds; faults are kept below `keep`.

    `state`: a file that holds how far the campaign is, so that the same call continues it."""
    tally, begun = _resumed(state, seed, only), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rldk-fuzz-") as scratch:
        for i, name, content in inputs(seed, count, only, tally.inputs):
            if time.monotonic() - begun > seconds:
                break
            path = Path(scratch) / name
            path.write_bytes(content)
            fault = _fault(path, tally)
            path.unlink()
            if fault:
                tally.faults.append(f"input {i} of seed {seed} ({name}): {fault}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{i}-{name}").write_bytes(content)
            if state is not None and tally.inputs % SAVED_EVERY == 0:
                _save(state, tally, seed, only)
    if state is not None:
        _save(state, tally, seed, only)
    return tally


def _save(state: Path, tally: Tally, seed: int, only: str) -> None:
    fresh = state.with_name(f"{state.name}.tmp")
    fresh.write_text(json.dumps({"seed": seed, "only": only, "tally": vars(tally)}))
    fresh.replace(state)


def _resumed(state: Path | None, seed: int, only: str) -> Tally:
    """The tally so far; an empty one where there is no state. Exits where the state is of another campaign."""
    if state is None or not state.exists():
        return Tally()
    found = json.loads(state.read_text())
    if (found["seed"], found["only"]) != (seed, only):
        sys.exit(f"{state} is of another campaign: seed {found['seed']}, only {found['only']!r}")
    return Tally(**{**found["tally"], "refused": Counter(found["tally"]["refused"])})


def _fault(path: Path, tally: Tally) -> str:
    """What is wrong with how the file was read; "" where nothing is."""
    from rldk.diagnosis import diagnose_run, runs_in
    from rldk.errors import RldkError

    before, begun = _megabytes(), time.process_time()
    try:
        runs = runs_in(str(path))
        for run in runs:
            report = diagnose_run(run)
            report.to_dict()
            if run.meta.format == "jsonl" and len(run.metrics) > run.lines - run.rejected_count:
                return f"{len(run.metrics)} rows and {run.rejected_count} rejected lines of {run.lines}"
    except RldkError as error:
        tally.refused[type(error).__name__] += 1
    except Exception:  # noqa: BLE001 - whatever it is: that is what is looked for
        return traceback.format_exc(limit=-3)
    else:
        tally.opened += 1
    took = time.process_time() - begun
    tally.slowest_s = max(tally.slowest_s, took)
    if took > SLOW_S:
        return f"took {took:.1f} s of CPU"
    grown = _megabytes() - before
    return f"took {grown:.0f} MB" if grown > MOST_MB else ""


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of a fixture's path")
    parser.add_argument(
        "--keep", type=Path, default=ROOT / "artifacts" / "fuzz", help="where inputs of faults are kept"
    )
    parser.add_argument("--state", type=Path, help="the file that holds how far the campaign is, to continue it")
    options = parser.parse_args(arguments)
    tally = campaign(options.seed, options.inputs, only=options.only, keep=options.keep, state=options.state)
    print(f"{tally.inputs} inputs: {tally.opened} read, refused {dict(tally.refused)}, {len(tally.faults)} faults;")
    print(f"the slowest took {tally.slowest_s:.2f} s")
    print("\n".join(tally.faults))
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
