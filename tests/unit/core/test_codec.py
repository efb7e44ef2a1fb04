from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.codec import from_builtins, from_json, to_builtins, to_json
from rldk.core.model import Event, Finding, Incident, Note, Rejected, Report, Run, RunMeta, SampleTable
from rldk.core.schema import schema_of
from rldk.core.table import MetricTable, TableBuilder
from rldk.errors import MalformedInput

TEXT = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
FREE = st.dictionaries(TEXT, JSON, max_size=2)
NUMBERS = st.none() | st.floats()
FINDINGS = st.builds(
    Finding,
    code=TEXT,
    name=TEXT,
    family=TEXT,
    metric=TEXT,
    message=TEXT,
    severity=st.sampled_from(["info", "warn", "critical"]),
    tier=st.integers(0, 3),
    first_step=st.integers(),
    last_step=st.integers(),
    value=NUMBERS,
    limit=NUMBERS,
    score=NUMBERS,
    evidence=FREE,
    causes=st.tuples(TEXT),
    fixes=st.tuples(TEXT, TEXT),
)
REPORTS = st.builds(
    Report,
    kind=TEXT,
    passed=st.booleans(),
    findings=st.lists(FINDINGS, max_size=2).map(tuple),
    notes=st.tuples(st.builds(Note, topic=TEXT, text=TEXT)),
    numbers=st.dictionaries(TEXT, st.integers() | NUMBERS, max_size=2),
    meta=FREE,
)


@st.composite
def tables(draw: st.DrawFn) -> MetricTable:
    builder = TableBuilder()
    for _ in range(draw(st.integers(0, 6))):
        builder.add(
            draw(st.integers(-(2**62), 2**62)),
            draw(st.dictionaries(st.sampled_from(["kl", "loss", "é/x"]), st.floats(), max_size=3)),
            phase=draw(st.sampled_from(["train", "eval", "summary"])),
            segment=draw(st.integers(0, 3)),
            time=draw(st.floats()),
        )
    return builder.build()


RUNS = st.builds(
    Run,
    id=TEXT,
    source=TEXT,
    metrics=tables(),
    samples=st.none() | st.builds(SampleTable, columns=st.dictionaries(TEXT, st.lists(JSON, max_size=2), max_size=2)),
    meta=st.builds(RunMeta, config=FREE, notes=st.tuples(TEXT), seed=st.none() | st.integers()),
    rejected=st.tuples(st.builds(Rejected, line=st.integers(), offset=st.integers(), reason=TEXT)),
)
EVENTS = st.builds(Event, step=st.integers(), metrics=st.dictionaries(TEXT, NUMBERS, max_size=3), rng=FREE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "cls"), [(FINDINGS, Finding), (REPORTS, Report), (RUNS, Run), (EVENTS, Event), (tables(), MetricTable)]
)
def test_every_value_survives_json_and_fits_its_schema(values: st.SearchStrategy, cls: type) -> None:
    validator = jsonschema.Draft202012Validator(schema_of(cls))

    @given(values)
    def check(value: object) -> None:
        text = to_json(value)
        validator.validate(json.loads(text))
        assert same(from_json(text, cls), value)

    check()


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, msgspec.Struct) and type(a) is type(b):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__struct_fields__)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def test_missing_and_stated_nan_differ_on_the_wire() -> None:
    builder = TableBuilder()
    builder.add(1, {"kl": math.nan})
    builder.add(2, {"loss": -math.inf})
    columns = to_builtins(builder.build())["columns"]
    assert columns == {"kl": ["NaN", None], "loss": [None, "-Infinity"]}


def test_evidence_may_hold_numpy_and_paths() -> None:
    value = {"a": np.float64("nan"), "b": np.arange(2), 3: np.bool_(True), "p": Path("x"), "s": {"b", "a"}}
    assert to_builtins(value) == {"a": "NaN", "b": [0, 1], "3": True, "p": "x", "s": ["a", "b"]}


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_builtins({"x": object()})


def test_keys_of_a_newer_version_are_ignored() -> None:
    data = {"step": 3, "metrics": {"kl": "NaN"}, "invented_later": 1}
    assert math.isnan(from_builtins(data, Event).metrics["kl"])  # type: ignore[arg-type]


@each_of(
    "text",
    [
        "",
        "[]",
        "3",
        "{}",
        '{"step": "x"}',
        '{"step":[1],"columns":{"a":[1,2]},"phase":["train"],"segment":[0],"time":[0]}',
        '{"step":[1],"columns":{"a":["x"]},"phase":["train"],"segment":[0],"time":[0]}',
    ],
)
@each_of("cls", [MetricTable, Run, Report])
def test_a_damaged_file_is_one_clear_error(text: str, cls: type) -> None:
    with pytest.raises(MalformedInput, match="not a stored"):
        from_json(text, cls)


def test_report_methods_use_the_codec() -> None:
    incident = Incident(id=1, title="t", severity="warn", first_step=1, last_step=2, first_mover="kl", codes=("KL001",))
    report = Report(kind="doctor", passed=True, incidents=(incident,), numbers={"share": math.inf})
    assert Report.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False))) == report
