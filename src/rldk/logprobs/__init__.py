"""Compares the log-probabilities of sampler and trainer, token by token, and names what sets them apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rldk.core.model import Report, Run, SampleTable
from rldk.core.samples import Sample, to_sample
from rldk.logprobs.pairs import collect
from rldk.logprobs.verdict import mismatch_report


def mismatch(source: Any) -> Report:
    """The causes of the gap between sampler and trainer in `source`, with the evidence for each, as a `Report` of the
    kind "mismatch".

    `source`: a run or a file of samples (as `rldk.diagnose` takes it), a `Run`, or an iterable of records in any
    spelling of `core/data/samples.yaml`, with the log-probabilities of sampler and trainer. Raises the errors of the
    adapters, and `UsageError` for several runs."""
    samples, name, path = _samples(source)
    return mismatch_report(collect(samples), run=name, source=path)


def _samples(source: Any) -> tuple[Iterator[Sample], str, str]:
    if not isinstance(source, Run) and isinstance(source, Iterable) and not isinstance(source, str | bytes):
        return (one if isinstance(one, Sample) else to_sample(one) for one in source), "samples", "samples"
    run = source
    if not isinstance(source, Run):
        from rldk.adapters.open import open_run

        run = open_run(source)
    found = run.sample_reader if run.sample_reader is not None else run.samples
    each = () if found is None else _rows(found) if isinstance(found, SampleTable) else found
    return (one if isinstance(one, Sample) else to_sample(one) for one in each), run.id, run.source


def _rows(table: SampleTable) -> Iterator[Mapping[str, Any]]:
    for values in zip(*table.columns.values(), strict=True):
        yield dict(zip(table.columns, values, strict=True))
