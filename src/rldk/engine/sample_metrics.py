"""Turns per-sample records into metrics of their row: the shape of its advantages, and how length relates to reward.

Besides `features` this is the only memory. It keeps a bounded number of the newest samples."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.core.model import SampleTable
from rldk.core.stats.coupling import overall, within_groups
from rldk.core.stats.distance import wasserstein
from rldk.core.stats.estimates import Coupling
from rldk.core.stats.moments import bowley_skewness, excess_kurtosis, robust_sd, skewness
from rldk.core.table import Row

REFERENCE = 2048  # newest advantages of earlier rows that a row is compared with
LEAST_REFERENCE = 64
POOL = 2048  # newest responses over which length and reward are correlated
LEAST_POOL = 30  # fewer pairs give no useful correlation
BATCH = 8  # with this many responses a row, ranks are taken within the row
NEAR_BOUND, NEXT_TO_NOTHING = 0.98, 1e-3  # see ADV012
LENGTHS = ("n_tokens", "length", "response_length", "completion_length", "tokens")
TEXTS = ("response", "completion", "response_text", "text")
PROMPTS = ("group_id", "prompt_id", "prompt")


class Responses(NamedTuple):
    """Responses of one row as arrays of shape (n,): NaN where an advantage is missing, prompt -1 where unknown.

    `counted`: the records state the lengths. Otherwise they are those of the texts, in characters."""

    length: NDArray[np.float64]
    reward: NDArray[np.float64]
    advantage: NDArray[np.float64]
    prompt: NDArray[np.int64]
    counted: bool


class Distiller:
    """Takes the samples of one row after the other and returns canonical metrics. Cost and memory are bounded."""

    def __init__(self) -> None:
        self._advantages: deque[NDArray[np.float64]] = deque()
        self._responses: deque[Responses] = deque()
        self.coupling: Coupling | None = None
        self.prompts_known = False

    def advantages(self, samples: Iterable[float]) -> dict[str, float]:
        """Location and shape of the advantages of a row. An advantage that is not finite becomes the mean."""
        every = np.asarray(samples if isinstance(samples, Sequence | np.ndarray) else list(samples), dtype=np.float64)
        x = every.ravel()
        finite = np.isfinite(x)
        if not finite.all():
            bad = float(x[~finite][0])
            x = x[finite]
            return {**self._shape(x), "advantage_mean": bad}
        return self._shape(x)

    def responses(
        self, records: Iterable[Mapping[str, Any]] | Mapping[str, Any], *, couple: bool = True
    ) -> dict[str, float]:
        """Mean length of the row's responses and (with `couple`) how length relates to reward in the newest ones.

        A record has a reward, a length in tokens (or the text), and should have its prompt. Other records are
        ignored."""
        row = arrays([records] if isinstance(records, Mapping) else records)
        if not len(row.length):
            return {}
        counted = {"response_length_mean": float(row.length.mean())} if row.counted else {}
        if not couple:
            return {**counted, **_bound(row)}
        self._keep(row)
        return {**counted, **_bound(row), **self._couple()}

    def _shape(self, x: NDArray[np.float64]) -> dict[str, float]:
        if not len(x):
            return {}
        made = {
            "advantage_mean": float(x.mean()),
            "advantage_std": float(x.std()),
            "advantage_min": float(x.min()),
            "advantage_max": float(x.max()),
            "advantage_median": float(np.median(x)),
            "advantage_count": float(len(x)),
            "advantage_skewness": skewness(x),
            "advantage_skewness_bowley": bowley_skewness(x),
            "advantage_kurtosis": excess_kurtosis(x),
            "advantage_shift": self._shift(x),
        }
        return {name: value for name, value in made.items() if value == value}

    def _shift(self, x: NDArray[np.float64]) -> float:
        """Compares the row with the rows before, and then adds it to them."""
        before = self._advantages
        held = np.concatenate(before) if before else x[:0]
        before.append(x[-REFERENCE:])
        while sum(map(len, before)) - len(before[0]) >= REFERENCE:
            before.popleft()
        if len(held) < LEAST_REFERENCE:
            return math.nan
        spread = max(robust_sd(held), float(held.std()))  # for a reward with two levels the robust spread is almost 0
        return wasserstein(x, held) / spread if spread > 0 else math.nan

    def _keep(self, row: Responses) -> None:
        rows = self._responses
        newest = slice(-POOL, None)
        rows.append(
            Responses(row.length[newest], row.reward[newest], row.advantage[newest], row.prompt[newest], row.counted)
        )
        while sum(len(r.length) for r in rows) - len(rows[0].length) >= POOL:
            rows.popleft()

    def _couple(self) -> dict[str, float]:
        rows = self._responses
        length, reward = (np.concatenate([row[i] for row in rows]) for i in (0, 1))
        if len(length) < LEAST_POOL:
            return {}
        prompt = np.concatenate([row.prompt for row in rows])
        sizes = [len(row.length) for row in rows]
        block = np.repeat(np.arange(len(sizes)), sizes)
        self.prompts_known = bool((prompt >= 0).mean() > 0.5)
        if self.prompts_known:
            known = prompt >= 0
            group = block[known] * (int(prompt.max()) + 1) + prompt[known]  # one prompt in two rows met two policies
            found = within_groups(length[known], reward[known], group)
            name = "length_reward_rho"
        else:
            found = overall(length, reward, block if min(sizes) >= BATCH else None)
            name = "length_reward_rho_overall"
        self.coupling = found
        made = {name: found.rho, f"{name}_low": found.least}
        return {n: value for n, value in made.items() if value == value}


def arrays(records: Iterable[Mapping[str, Any]]) -> Responses:
    """The usable records as arrays."""
    seen: dict[Any, int] = {}
    every = list(records)
    counted = any(_told(record) >= 0 for record in every)
    rows = [row for record in every if (row := _one(record, seen, counted=counted)) is not None]
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    length, reward, advantage = (np.array(column, dtype=np.float64) for column in columns[:3])
    return Responses(length, reward, advantage, np.array(columns[3], dtype=np.int64), counted)


def _one(record: Mapping[str, Any], seen: dict[Any, int], *, counted: bool) -> tuple[float, float, float, int] | None:
    reward, length = _number(record.get("reward")), _told(record) if counted else _characters(record)
    if not (math.isfinite(reward) and length >= 0):
        return None
    key = next((str(record[name]) for name in PROMPTS if record.get(name) is not None), None)
    return length, reward, _number(record.get("advantage")), -1 if key is None else seen.setdefault(key, len(seen))


def _told(record: Mapping[str, Any]) -> float:
    return next((x for name in LENGTHS if math.isfinite(x := _number(record.get(name)))), math.nan)


def _characters(record: Mapping[str, Any]) -> float:
    if "characters" in record:  # the text itself was not kept
        return _number(record["characters"])
    text = next((record[name] for name in TEXTS if isinstance(record.get(name), str)), None)
    return math.nan if text is None else float(len(text))


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # whatever a user's record holds
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _bound(row: Responses) -> dict[str, float]:
    """The share of groups that ADV012 looks at. Empty without groups of at least two samples with advantages."""
    use = (row.prompt >= 0) & np.isfinite(row.advantage)
    if not use.any():
        return {}
    reward, advantage, prompt = row.reward[use], row.advantage[use], row.prompt[use]
    overall_sd = float(reward.std())
    hits = groups = 0
    for key in np.unique(prompt):
        own = prompt == key
        n = int(own.sum())
        if n < 3:  # two advantages are always at the bound
            continue
        groups += 1
        spread = float(reward[own].std())
        near = float(np.abs(advantage[own]).max()) > NEAR_BOUND * math.sqrt(n - 1)
        hits += near and 0 < spread < NEXT_TO_NOTHING * overall_sd
    return {"advantage_bound_frac": hits / groups} if groups else {}


def add_sample_metrics(rows: Iterable[Row], samples: SampleTable) -> Iterator[Row]:
    """The rows with the metrics of the samples of their steps. A metric that a row already has is kept."""
    columns = samples.columns
    if "step" not in columns:
        yield from rows
        return
    at: dict[int, list[int]] = {}
    for place, step in enumerate(columns["step"]):
        at.setdefault(step, []).append(place)
    distiller = Distiller()
    for row in rows:
        places = at.pop(row.step, None) if row.phase == "train" else None
        if places is None:
            yield row
            continue
        records = [{name: column[i] for name, column in columns.items() if column[i] is not None} for i in places]
        advantages = [record["advantage"] for record in records if "advantage" in record]
        said = {**distiller.advantages(advantages), **distiller.responses(records)}
        yield replace(row, values={**said, **row.values})
