"""Made logs of a size that real ones reach, the same bytes for the same arguments."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from rldk.core.model import Run

METRICS = 25
BAD_PER_LINE, ODD_PER_LINE = 0.0002, 0.001
_BODIES = 997  # different line bodies, repeated with their own step and time: making them is most of the work
_ODD = ("NaN", "Infinity", "null", '"NaN"', '"0.25"', '{"deep": 1.5}', "1e400")
_BAD = (b'{"step": 12, "train/met', b"\x00" * 40, b" 52%|#####     | 52/100 [00:10<00:09]", b'{"step": 1.5}', b"[]")


def wide_log(path: Path, lines: int, *, dirty: bool) -> int:
    """Writes `lines` lines of 25 metrics each, about 1 kB a line; the number of malformed ones.

    `dirty`: 0.1 % of the lines have an odd value (NaN, null, a number as text, an object, 1e400) or bad UTF-8, and
    0.02 % are malformed (cut, NUL bytes, a progress bar, a fractional step, no object)."""
    rng = random.Random(20_261_120)
    keys = [f"train/metric_{i:02d}/mean" for i in range(METRICS)]
    bodies = [[f'"{key}": {rng.gauss(0, 1)!r}' for key in keys] for _ in range(_BODIES)]
    joined = [", ".join(body) for body in bodies]
    malformed = 0
    with path.open("wb") as stream:
        for step in range(lines):
            body = joined[step % _BODIES]
            if dirty and rng.random() < ODD_PER_LINE:
                body = _odd(bodies[step % _BODIES], keys, rng)
            line = f'{{"step": {step}, "time": {1.79e9 + step * 0.25}, {body}}}'.encode("utf-8", "surrogateescape")
            if dirty and rng.random() < BAD_PER_LINE:
                line = rng.choice(_BAD)
                malformed += 1
            stream.write(line + b"\n")
    return malformed


def _odd(body: list[str], keys: list[str], rng: random.Random) -> str:
    at = rng.randrange(len(keys))
    odd = rng.choice([*(f'"{keys[at]}": {value}' for value in _ODD), f'{body[at]}, "note": "\udcff"'])
    return ", ".join([*body[:at], odd, *body[at + 1 :]])


ODD_KINDS = ("half NaN", "all NaN", "Infinity", "numbers as text", "some numbers as text", "float steps", "text steps",
             "train and eval", "bad UTF-8")  # fmt: skip


def odd_log(path: Path, kind: str, lines: int) -> None:
    """Writes `lines` lines; many or all are of a kind that strict JSON, or one type a key, would refuse."""
    rng = random.Random(11)
    keys = [f"metric_{i:02d}/mean" for i in range(METRICS)]
    bodies = [[f"{rng.gauss(0, 1)!r}" for _ in keys] for _ in range(_BODIES)]
    with path.open("wb") as stream:
        for i in range(lines):
            values, step, more, group = list(bodies[i % _BODIES]), str(i), "", "train"
            match kind:
                case "half NaN" if i % 2:
                    values[i % 7] = "NaN"
                case "all NaN":
                    values[3], values[i % 7] = "NaN", "NaN"
                case "Infinity":
                    values[3] = "-Infinity" if i % 2 else "Infinity"
                case "numbers as text":
                    values = [f'"{value}"' for value in values]
                case "some numbers as text":
                    values[i % 25] = f'"{values[i % 25]}"'
                case "float steps":
                    step = f"{i}.0"
                case "text steps":
                    step = f'"{i}"'
                case "train and eval":
                    step, group = str(i // 2), "eval" if i % 2 else "train"
                case "bad UTF-8":
                    more = ', "note": "caf\udce9 NaN"'
            body = ", ".join(f'"{group}/{key}": {value}' for key, value in zip(keys, values, strict=True))
            stream.write(f'{{"step": {step}, {body}{more}}}\n'.encode("utf-8", "surrogateescape"))


def scalar_log(path: Path, events: int) -> None:
    """Writes `events` scalar events, 25 metrics a step, about 110 bytes a line."""
    rng = random.Random(7)
    with path.open("w") as stream:
        for i in range(events):
            step, metric = divmod(i, METRICS)
            value = rng.gauss(0, 1)
            stream.write(
                f'{{"time": {1.79e9 + step}, "step": {step}, "name": "train/metric_{metric:02d}", "value": {value!r}, '
                f'"run_id": "bench", "tags": {{}}}}\n'
            )


_LEVEL = {
    "loss": 0.01, "grad_norm": 0.4, "learning_rate": 1e-6, "reward": 0.5, "reward_std": 0.3,
    "frac_reward_zero_std": 0.1, "rewards/format/mean": 0.8, "rewards/format/std": 0.2,
    "completions/mean_length": 180.0, "completions/min_length": 20.0, "completions/max_length": 400.0,
    "completions/clipped_ratio": 0.02, "completions/mean_terminated_length": 175.0,
    "completions/min_terminated_length": 18.0, "completions/max_terminated_length": 390.0, "num_tokens": 1e5,
    "kl": 0.02, "entropy": 1.4, "clip_ratio/low_mean": 0.004, "clip_ratio/low_min": 0.001,
    "clip_ratio/high_mean": 0.005, "clip_ratio/high_max": 0.02, "clip_ratio/region_mean": 0.009,
    "step_time": 2.0, "epoch": 0.1,
}  # fmt: skip

_CANONICAL = {
    "loss": 0.01, "grad_norm": 0.4, "reward_mean": 0.5, "reward_std": 0.3, "zero_std_group_frac": 0.1,
    "reward_fn/format/mean": 0.8, "reward_fn/format/std": 0.2, "response_length_mean": 180.0,
    "response_length_min": 20.0, "response_length_max": 400.0, "truncation_frac": 0.02, "kl": 0.02, "entropy": 1.4,
    "clip_frac_low": 0.004, "clip_frac_high": 0.005, "clip_frac": 0.009, "step_time": 2.0,
    **{f"own/metric_{i}": 1.0 + i for i in range(5)},
}  # fmt: skip


def training_log(path: Path, steps: int) -> None:
    """Writes a GRPO-like healthy run of `steps` steps, 25 metrics each, under names that trainers use."""
    with path.open("w") as stream:
        for step, values in _training(steps):
            body = ", ".join(f'"{key}": {value!r}' for key, value in values.items())
            stream.write(f'{{"step": {step}, {body}}}\n')


def training_run(steps: int) -> Run:
    """Such a run in memory, under canonical names."""
    import numpy as np

    from rldk.core.model import Run, RunMeta
    from rldk.core.table import MetricTable

    rng, step = np.random.default_rng(3), np.arange(1, steps + 1)
    columns = {name: level * (1 + 0.1 * rng.random(steps)) for name, level in _CANONICAL.items()}
    columns |= {"tokens_total": 1e5 * step, "epoch": step / steps, "lr": 1e-6 * (1 - step / (steps + 1))}
    table = MetricTable(
        step=step,
        columns=columns,
        phase=np.zeros(steps, dtype=np.uint8),
        segment=np.zeros(steps, dtype=np.int32),
        time=np.full(steps, np.nan),
    )
    return Run(id="made", source="made", metrics=table, meta=RunMeta(algorithm="grpo", framework="trl"))


def event_log(path: Path, events: int) -> None:
    """The same run as scalar events, about 130 bytes a line."""
    with path.open("w") as stream:
        for step, values in _training(events // len(_LEVEL)):
            head = f'{{"time": {1.79e9 + step}, "step": {step}, "name": '
            stream.writelines(
                f'{head}"{k}", "value": {v!r}, "run_id": "bench", "tags": {{}}}}\n' for k, v in values.items()
            )


def _training(steps: int) -> Iterator[tuple[int, dict[str, float]]]:
    rng = random.Random(3)
    for step in range(1, steps + 1):
        values = {key: value * (1 + 0.1 * rng.random()) for key, value in _LEVEL.items()}
        moving = {"num_tokens": 1e5 * step, "epoch": step / steps, "learning_rate": 1e-6 * (1 - step / (steps + 1))}
        yield step, values | moving


def event_file(path: Path, scalars: int) -> None:
    """Writes a TensorBoard event file with `scalars` scalars, 25 tags."""
    rng = random.Random(5)
    with path.open("wb") as stream:
        stream.write(_record(_double(1, 1.79e9) + _bytes(3, b"brain.Event:2")))
        for i in range(scalars):
            step, tag = divmod(i, METRICS)
            value = _bytes(1, b"train/metric_%02d" % tag) + b"\x15" + struct.pack("<f", rng.gauss(0, 1))
            stream.write(_record(_double(1, 1.79e9 + step) + b"\x10" + _varint(step) + _bytes(5, _bytes(1, value))))


def _record(payload: bytes) -> bytes:
    from rldk.adapters.wire.tfrecord import masked_crc32c  # loads numpy, whose memory a child process would inherit

    length = struct.pack("<Q", len(payload))
    crcs = struct.pack("<I", masked_crc32c(length)), struct.pack("<I", masked_crc32c(payload))
    return length + crcs[0] + payload + crcs[1]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _double(number: int, value: float) -> bytes:
    return bytes([number << 3 | 1]) + struct.pack("<d", value)


def _bytes(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def wandb_file(path: Path, rows: int) -> None:
    """Writes a W&B run file as wandb 0.31 does offline: after each row of history a summary with the same values. The
    items of a row stand in an order of chance, as its core shuffles them."""
    rng = random.Random(13)
    keys = [f"train/metric_{i:02d}/mean" for i in range(METRICS)]
    with path.open("wb") as stream:
        frame = _WandbFrames(stream)
        for row in range(rows):
            texts = {key: f"{rng.gauss(0, 1)!r}" for key in keys}
            texts |= {"_step": str(row), "_timestamp": f"{1.79e9 + row * 0.25!r}", "_runtime": f"{row * 0.25!r}"}
            items = [_bytes(1, _bytes(2, key.encode()) + _text(16, text)) for key, text in texts.items()]
            rng.shuffle(items)
            step = _bytes(2, b"\x08" + _varint(row)) if row else _bytes(2, b"")
            frame.write(b"\x08" + _varint(2 * row + 1) + _bytes(2, b"".join(items) + step))
            frame.write(b"\x08" + _varint(2 * row + 2) + _bytes(3, b"".join(items)))


def _text(number: int, value: str) -> bytes:
    return _varint(number << 3 | 2) + bytes([len(value)]) + value.encode()


class _WandbFrames:
    """Writes records in LevelDB's log format: in blocks of 32 KiB, a record in as many chunks as it touches blocks."""

    _BLOCK = 32 * 1024

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._at = self._put(b":W&B\xe1\xbe\x00")

    def write(self, record: bytes) -> None:
        first = True
        while first or record:
            room = self._BLOCK - self._at
            if room < 7:
                self._put(b"\0" * room)
                self._at, room = 0, self._BLOCK
            part, record = record[: room - 7], record[room - 7 :]
            kind = bytes([(1 if first else 4) if not record else 2 if first else 3])
            crc = struct.pack("<I", zlib.crc32(kind + part))
            self._at += self._put(crc + struct.pack("<H", len(part)) + kind + part)
            first = False

    def _put(self, data: bytes) -> int:
        return self._stream.write(data)
