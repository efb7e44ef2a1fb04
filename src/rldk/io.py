"""Events on disk: one JSON object a line in row, scalar or wide form.

`event_schema` and `training_metrics_schema` are JSON Schemas (draft 2020-12) as plain dictionaries.
"""

from __future__ import annotations

from rldk.core.events import read_events, validate_events, write_events
from rldk.core.model import Event
from rldk.core.schema import EVENT, TRAINING_METRICS

__all__ = ["Event", "event_schema", "read_events", "training_metrics_schema", "validate_events", "write_events"]

event_schema = EVENT
training_metrics_schema = TRAINING_METRICS
