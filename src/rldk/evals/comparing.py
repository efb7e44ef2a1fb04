"""`rldk.evals.compare`: is B better than A, or is it noise?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from rldk.core.model import Note
from rldk.core.stats.paired import false_discovery, holm
from rldk.core.stats.shingles import normalised
from rldk.core.text import first_few
from rldk.errors import NoData, UnknownName, UsageError
from rldk.evals.checks.integrity import missing_numbers
from rldk.evals.compared_facts import EvalContrast, Outcome
from rldk.evals.comparison import EvalComparison
from rldk.evals.comparison_view import compared_verdict, is_task
from rldk.evals.contrast import Contrasted, paired_contrast, unpaired_contrast
from rldk.evals.facts import known
from rldk.evals.reading import read_table
from rldk.evals.table import Array, EvalTable

KIND = "eval_comparison"
ALPHA = 0.05
METRICS = ("correct", "reward", "toxicity", "refused", "complied", "loss", "n_tokens", "seconds")
GOALS = ("correct", "reward", "toxicity", "complied", "loss")  # compared without being asked for
FLAGS = frozenset({"correct", "refused", "complied"})
DOWN = frozenset({"toxicity", "complied", "loss", "seconds"})
NEITHER = frozenset({"refused", "n_tokens"})
PARTS = ("task", "category")
MOST_PARTS = 50
LEAST = 10
MANY = 1_000_000  # prompts beyond which the number is of no use


def compare(
    a: Any,
    b: Any,
    *,
    metrics: Sequence[str] | str | None = None,
    paired: bool | None = None,
    margin: float = 0.0,
    seed: int = 42,
    columns: Mapping[str, str] | None = None,
) -> EvalComparison:
    """The comparison of two evaluations, B against A: differences with intervals, tests, effect sizes, and the smallest
    difference that the data would have shown.

    `a`, `b`: as for `rldk.evals.run`. `metrics`: fields such as correct, reward, toxicity, n_tokens; by default those
    of a goal that both have. `paired`: compare the answers to each prompt, and prompts count equally; by default where
    both have ten prompts in common. `margin`: B is "no worse" where the whole interval is above -margin
    (non-inferiority).

    P-values are adjusted over the metrics (Holm), those of parts of the data over the parts (Benjamini and Hochberg).
    Parts are looked at for the first metric. A task in which B is worse counts like a score: many tasks that are as
    before do not make up for one that was forgotten. A category is an exploration.
    Raises `UsageError`, `UnknownName`, `NoData` and the errors of `read_table`."""
    if not (math.isfinite(margin) and margin >= 0):
        raise UsageError(f"margin is {margin}", hint="give 0 or more, in the unit of the score")
    tables = read_table(a, columns), read_table(b, columns)
    names = _metrics(tables, metrics)
    pairing = _pairing(tables, paired)
    options = _Options(pairing=pairing, margin=margin, seed=seed)
    whole = [_contrast(name, tables, options) for name in names]
    adjusted = holm([math.nan if one.p is None else one.p for one in whole])
    contrasts = tuple(_decided(one, p, margin) for one, p in zip(whole, adjusted, strict=True))
    parts = _parts(names[0], tables, options)
    made = EvalComparison(
        kind=KIND,
        passed=not any(one.outcome == "worse" for one in (*contrasts, *filter(is_task, parts))),
        contrasts=contrasts,
        parts=parts,
        paired=pairing is not None,
        margin=margin,
        seed=seed,
        checked=names,
        notes=tuple(_notes(tables, pairing, names)),
        numbers={
            "rows_a": tables[0].rows, "rows_b": tables[1].rows,
            "pairs": None if pairing is None else len(pairing.codes), "rejected": sum(t.rejected for t in tables),
        },
        meta={
            "run": f"{_name(tables[1])} against {_name(tables[0])}", "source": tables[1].source,
            "baseline": tables[0].source,
        },
    )  # fmt: skip
    return replace(made, verdict=compared_verdict(made))


class _Pairing(Struct, frozen=True, kw_only=True):
    """The prompts that both have. `rows`: for each side the code of the prompt of each row, -1 for another prompt.
    `lone`: for each side how many prompts the other lacks. `unlike`: ids under which the prompts of both differ.
    `by_text`: the ids have too few in common, and the texts of the prompts tell them."""

    codes: tuple[str, ...]
    rows: tuple[NDArray[np.int64], NDArray[np.int64]]
    lone: tuple[int, int]
    unlike: tuple[str, ...] = ()
    by_text: bool = False


class _Options(Struct, frozen=True, kw_only=True):
    pairing: _Pairing | None
    margin: float
    seed: int


def _name(table: EvalTable) -> str:
    return table.source.rstrip("/").rpartition("/")[2] or "data"


def _metrics(tables: tuple[EvalTable, EvalTable], wanted: Sequence[str] | str | None) -> tuple[str, ...]:
    if wanted is None:
        found = tuple(name for name in GOALS if all(name in table.cells for table in tables))
        if found[:2] == ("correct", "reward") and all(_same(table) for table in tables):
            found = ("correct", *found[2:])  # the reward is the verifier's verdict itself
        if not found:
            hollow = [
                f"{_name(t)} holds nothing but {t.hollow[n]} in {n}" for t in tables for n in GOALS if n in t.hollow
            ]
            why = f": {'; '.join(hollow)}" if hollow else ""
            hint = f"one of {', '.join(METRICS)}; or --column-mapping"
            raise NoData(f"the evaluations have no score in common{why}", hint=hint)
        return found
    names = [part.strip() for part in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in METRICS:
            raise UnknownName("score", name, METRICS)
        for table in tables:
            if name not in table.cells:
                raise NoData(f"{_name(table)} has no {name}", hint="name its column with --column-mapping")
    if not names:
        raise UsageError("no score is named", hint=f"one of {', '.join(METRICS)}")
    return tuple(dict.fromkeys(names))


def _same(table: EvalTable) -> bool:
    return bool(np.array_equal(table.number("correct"), table.number("reward"), equal_nan=True))


def _pairing(tables: tuple[EvalTable, EvalTable], wanted: bool | None) -> _Pairing | None:
    first, second, by_text = _prompt_keys(tables)
    if wanted is False or first is None or second is None:
        if wanted:
            raise UsageError("pairs need prompt ids or prompts on both sides", hint="map them with --column-mapping")
        return None
    own = [set(each) - {""} for each in (first, second)]
    shared = own[0] & own[1]
    if len(shared) < LEAST:
        if wanted:
            hint = "are the ids those of the same questions?"
            raise UsageError(f"the evaluations have {len(shared)} prompts in common, {LEAST} are needed", hint=hint)
        return None
    codes = tuple(sorted(shared))
    place = {key: i for i, key in enumerate(codes)}
    rows = tuple(np.array([place.get(key, -1) for key in each], dtype=np.int64) for each in (first, second))
    lone = (len(own[0] - shared), len(own[1] - shared))
    return _Pairing(codes=codes, rows=(rows[0], rows[1]), lone=lone, unlike=_unlike(tables, shared), by_text=by_text)


def _prompt_keys(tables: tuple[EvalTable, EvalTable]) -> tuple[list[str] | None, list[str] | None, bool]:
    """What tells the prompts of each side: their ids, else their texts; and whether it is texts instead of ids that
    have too few in common."""
    first, second = (table.keys() for table in tables)
    alike = first is not None and second is not None and len((set(first) & set(second)) - {""}) >= LEAST
    if alike or not all("prompt" in table.cells for table in tables):
        return first, second, False
    plain = [
        replace(table, cells={name: cells for name, cells in table.cells.items() if name != "prompt_id"})
        for table in tables
    ]
    return plain[0].keys(), plain[1].keys(), any("prompt_id" in table.cells for table in tables)


def _unlike(tables: tuple[EvalTable, EvalTable], shared: set[str]) -> tuple[str, ...]:
    """The shared ids for which both sides have prompts as text, and none in common."""
    if not all({"prompt_id", "prompt"} <= table.cells.keys() for table in tables):
        return ()
    sides: list[dict[str, set[int]]] = []
    for table in tables:
        seen: dict[str, set[int]] = {}
        for key, text in zip(table.keys() or [], table.texts("prompt"), strict=True):
            if key in shared and text and text.strip():
                seen.setdefault(key, set()).add(hash(normalised(text)))
        sides.append(seen)
    return tuple(sorted(key for key in sides[0].keys() & sides[1].keys() if not sides[0][key] & sides[1][key]))


def _contrast(name: str, tables: tuple[EvalTable, EvalTable], options: _Options, part: str = "") -> EvalContrast:
    chosen = [np.ones(table.rows, dtype=bool) if not part else _in_part(table, part) for table in tables]
    values = [table.flag(name) if name in FLAGS else table.number(name) for table in tables]
    there = [np.isfinite(v) & c for v, c in zip(values, chosen, strict=True)]
    pairing = options.pairing
    if pairing is not None:
        sides = [(v[t & (r >= 0)], r[t & (r >= 0)]) for v, t, r in zip(values, there, pairing.rows, strict=True)]
        found = paired_contrast(sides[0], sides[1], share=_is_share(values), seed=options.seed)
    else:
        clusters = [table.clusters() for table in tables]
        sides_ = [(v[t], None if c is None else c[t]) for v, t, c in zip(values, there, clusters, strict=True)]
        found = unpaired_contrast(sides_[0], sides_[1], share=_is_share(values))
    return _told(name, found, paired=pairing is not None, part=part)


def _finite(values: Array) -> Array:
    """The finite values; two different ones where there are none."""
    there = values[np.isfinite(values)]
    return there if len(there) else np.arange(2.0)


def _is_share(values: Sequence[Array]) -> bool:
    every = np.concatenate([v[np.isfinite(v)] for v in values])
    return bool(len(every)) and bool(np.isin(every, (0.0, 1.0)).all())


def _told(name: str, found: Contrasted, *, paired: bool, part: str) -> EvalContrast:
    gap = found.difference
    needed = None
    if found.n and gap.value and gap.value == gap.value and found.detectable == found.detectable:
        with np.errstate(over="ignore"):
            times = float(np.square(np.float64(found.detectable) / gap.value))
        needed = math.ceil(min(MANY, found.n * times))
    return EvalContrast(
        metric=name, outcome="no difference shown" if gap.bounded else "not enough data", a=known(found.a),
        b=known(found.b), difference=known(gap.value), low=known(gap.low), high=known(gap.high), p=known(found.p),
        n=found.n, paired=paired, method=gap.method, effects=found.effects, detectable=known(found.detectable),
        needed=needed, part=part,
    )  # fmt: skip


def _decided(one: EvalContrast, adjusted: float, margin: float) -> EvalContrast:
    """The contrast with its outcome: a difference counts where its adjusted p-value is at most 0.05 and the interval
    leaves out 0."""
    if one.low is None or one.high is None or adjusted != adjusted:
        return one
    outcome: Outcome = "no difference shown"
    sign = -1.0 if one.metric in DOWN else 1.0
    if adjusted <= ALPHA and not one.low <= 0 <= one.high:
        gain = sign * (one.difference or 0.0)
        outcome = "different" if one.metric in NEITHER else "better" if gain > 0 else "worse"
    if margin and one.metric not in NEITHER and outcome != "better":
        least = one.low if sign > 0 else -one.high
        outcome = "no worse" if least > -margin else outcome
    shown = outcome in ("better", "worse", "different")
    return replace(one, outcome=outcome, p_adjusted=adjusted, needed=None if shown else one.needed)


def _in_part(table: EvalTable, part: str) -> NDArray[np.bool_]:
    field, _, name = part.partition("=")
    names = table.names_of(field)
    chosen: NDArray[np.bool_] = table.labels(field) == (names.index(name) if name in names else -2)
    return chosen


def _parts(name: str, tables: tuple[EvalTable, EvalTable], options: _Options) -> tuple[EvalContrast, ...]:
    """The contrasts of the parts that both have, adjusted for their number, the smallest p-value first."""
    made = []
    for field in PARTS:
        shared = [n for n in tables[0].names_of(field) if n in set(tables[1].names_of(field))]
        if len(shared) > 1:
            made += [_contrast(name, tables, options, f"{field}={part}") for part in shared[:MOST_PARTS]]
    adjusted = false_discovery([math.nan if one.p is None else one.p for one in made])
    decided = [_decided(one, p, options.margin) for one, p in zip(made, adjusted, strict=True)]
    return tuple(sorted(decided, key=lambda one: 2.0 if one.p is None else one.p))


def _notes(tables: tuple[EvalTable, EvalTable], pairing: _Pairing | None, names: Sequence[str]) -> list[Note]:
    made = [f"{t.rejected:,} records of {_name(t)} could not be read" for t in tables if t.rejected]
    for table in tables:
        if "reward" in names and float(np.ptp(_finite(table.number("reward")))) == 0:
            made.append(f"every reward of {_name(table)} is the same: is the reward function broken, or at its bound?")
        for name, count in missing_numbers(table).items():
            if name in names:
                left = f"{count:,} of {table.rows:,} rows of {_name(table)} lack a number in {name} and were left out"
                made.append(f"{left}: if these are the bad answers, the comparison flatters it")
    told: dict[str, list[str]] = {}
    for label, table in zip("AB", tables, strict=True):
        for note in table.notes:
            told.setdefault(note, []).append(label)
    made += [f"{' and '.join(labels)}: {note}" for note, labels in told.items()]
    if pairing is None:
        made.append(
            "the answers were not compared prompt by prompt, which shows much less: both need the same prompt ids"
        )
    else:
        if pairing.by_text:
            made.append("the ids of A and B have too few in common: prompts were matched by their texts")
        if pairing.unlike:
            shown = first_few([repr(key) for key in pairing.unlike], 3)
            made.append(
                f"under {len(pairing.unlike):,} of {len(pairing.codes):,} shared ids the prompts of A and B differ "
                f"({shown}): are these the same questions?"
            )
        for side, lone in enumerate(pairing.lone):
            if lone:
                made.append(f"{lone:,} prompts of {_name(tables[side])} are not in the other and were left out")
    return [Note(topic="data", text=text) for text in made]
