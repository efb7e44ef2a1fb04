"""The values that pass through the pipeline: events, samples, runs, findings, reports. They are frozen and convert to
JSON and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from rldk.core.checkpoint import Checkpoint
from rldk.core.table import MetricTable

SCHEMA_VERSION = 1
Severity = Literal["info", "warn", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warn", "critical")
# --fail-on -> the severities that fail a gate
LOUD: dict[str, tuple[Severity, ...]] = {"warn": ("warn", "critical"), "critical": ("critical",), "never": ()}
AlertEvent = Literal["begin", "worse", "recovered"]
CheckStatus = Literal["skipped", "not_applicable"]
Judgement = Literal["judged", "partly", "not"]
COUNTED = "(rows)"  # stands in place of a column: the log has no step, and its rows are counted


class Event(Struct, frozen=True, kw_only=True):
    """One row of an event log. Scalar and wide forms are also read into this type."""

    step: int
    wall_time: float | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    rng: dict[str, Any] = field(default_factory=dict)
    data_slice: dict[str, Any] = field(default_factory=dict)
    model_info: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class SampleTable(Struct, frozen=True, kw_only=True):
    """Per-sample records as columns of equal length. None means missing.

    Any subset of these columns may be there: step, prompt_id, group_id, rank, prompt, response, finish_reason,
    n_tokens, reward, reward_components, logp_rollout, logp_train, logp_ref, advantage."""

    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


class SampleReader:
    """Per-sample records that are read again, in the order of their steps, whenever they are iterated over. Nothing is
    kept. `read` gives an iterator of `rldk.core.samples.Sample`."""

    def __init__(self, read: Callable[[], Iterator[Any]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[Any]:
        return self._read()


class Rejected(Struct, frozen=True, kw_only=True):
    """A line that could not be read: 1-based number, byte offset of its start, the reason, and its first 80
    characters."""

    line: int
    offset: int
    reason: str
    excerpt: str = ""


class RunMeta(Struct, frozen=True, kw_only=True):
    """What is known of a run besides its numbers. `names`: canonical metric -> the user's own key.

    `algorithm`: one of `rldk.core.algorithms.ALGORITHMS` or None. `packages`: distribution -> version. `total_steps`:
    the number of steps that the run was declared to last. `files`: every file the run was read from. `left_out`: other
    files that were seen, each with the reason why it was not read. `clock`: the column that the step was taken from by
    its name, `COUNTED` where there is none, "" where the format itself defines its step."""

    format: str = "unknown"
    framework: str | None = None
    framework_version: str | None = None
    algorithm: str | None = None
    total_steps: int | None = None
    seed: int | None = None
    git_sha: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    estimators: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    clock: str = ""


class Run(Struct, frozen=True, kw_only=True):
    """One training run. `metrics` has canonical names and, beside them, the user's own.

    `samples`: the first per-sample records, as many as fit into memory. `sample_reader` reads all of them, one by one,
    where the source can be read again; it is no part of the run as JSON.

    For line-based sources, `lines` counts the lines read and `rejected_count` the lines refused. `rejected` holds the
    first refused lines. `checkpoints`: those that lie beside the log, by rising step."""

    id: str
    source: str
    metrics: MetricTable
    samples: SampleTable | None = None
    meta: RunMeta = field(default_factory=RunMeta)
    sample_reader: SampleReader | None = None
    lines: int = 0
    rejected_count: int = 0
    rejected: tuple[Rejected, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that went wrong, over a range of steps.

    `first_step`: the step at which the rule could fire. `onset`: the estimated first bad step, at or before it.
    `last_step`: the last step at which the rule still fired. `rows`: the number of rows on which it fired. `value`,
    `limit`: the measured value at `first_step` and the limit it was compared with, in the unit of `metric`."""

    code: str
    name: str
    family: str
    severity: Severity
    tier: int
    first_step: int | None
    last_step: int | None
    metric: str
    value: float | None
    limit: float | None
    message: str
    score: float | None = None
    onset: int | None = None
    rows: int = 1
    ongoing: bool = False
    incident: int | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    causes: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()


class Alert(Struct, frozen=True, kw_only=True):
    """What the live monitor reports about a finding: that it begins, that its severity has risen, or that it is over.

    `name`: the metric as the source spells it. `step`, `value`: those of the row that caused the alert, which is the
    first row for a finding that was known before it. `time`: unix seconds of that row, NaN where the source has none.
    `evidence` carries `policy_over_value` and `value_over_policy` when both gradient norms are known."""

    finding: Finding
    event: AlertEvent
    rule: str
    severity: Severity
    step: int
    name: str
    value: float | None
    message: str
    run: str = ""
    time: float = math.nan
    evidence: dict[str, Any] = field(default_factory=dict)


class Incident(Struct, frozen=True, kw_only=True):
    """Findings that follow from one cause. `codes[0]` moved first; the rest are consequences or supporting evidence."""

    id: int
    title: str
    severity: Severity
    first_step: int | None
    last_step: int | None
    first_mover: str
    codes: tuple[str, ...]
    causes: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()


class Check(Struct, frozen=True, kw_only=True):
    """A rule that gave no verdict: it does not apply, or it was skipped because an input is missing. This is never a
    pass."""

    code: str
    name: str
    status: CheckStatus
    reason: str
    needs: tuple[str, ...] = ()


class Note(Struct, frozen=True, kw_only=True):
    """Something that looks odd but is normal by construction, or is worth knowing about the log itself."""

    topic: str
    text: str


class Understanding(Struct, frozen=True, kw_only=True):
    """How much of a log was understood, and so whether silence means anything.

    `state`: "judged" when the metrics that matter for such a run were there, "partly" when some were, "not" when none
    was. `known`: canonical metric -> the log's own column. `unknown`: the log's columns that have no canonical name.
    `looked_at`: the canonical metrics that matter and were there, or "samples" where there were only samples.
    `missing`: what else would have to be there, in a reader's words -> the metrics, one of which is enough. `goal`:
    whether the run's goal was there (reward, accuracy, or the loss where there is nothing else to gain). `field_map`:
    what unknown columns may be, by name and by values.
    The user has to confirm it."""

    state: Judgement
    goal: bool = False
    known: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    looked_at: tuple[str, ...] = ()
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    field_map: dict[str, str] = field(default_factory=dict)


class Report(Struct, frozen=True, kw_only=True):
    """The outcome of one analysis of one run. `passed`: there is no critical finding, and the run could be judged at
    least in part.

    `understanding` is None where the analysis does not cover a whole log."""

    kind: str
    passed: bool
    verdict: str = ""
    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    checked: tuple[str, ...] = ()
    skipped: tuple[Check, ...] = ()
    notes: tuple[Note, ...] = ()
    understanding: Understanding | None = None
    numbers: dict[str, float | int | None] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def worst(self) -> Severity | None:
        """The highest severity among the findings, or None."""
        return max((f.severity for f in self.findings), key=SEVERITIES.index, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types only."""
        from rldk.core.codec import to_builtins

        value: dict[str, Any] = to_builtins(self)
        return value

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        from rldk.core.codec import from_builtins

        return from_builtins(data, cls)

    def _repr_html_(self) -> str:
        from rldk.core.registry import renderers

        return str(renderers.get("html")(self, fragment=True))
