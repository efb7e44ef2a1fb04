"""The rules about traced replicas: each fires for its own cause, and none where every event agrees."""

from __future__ import annotations

from typing import get_args

from examples import each_of

from rldk.engine.once import look_once
from rldk.rules.chosen import chosen_rules
from rldk.rules.operations import OperationCause, ReplicaTraceView, TracedDifference, TracedEvent, TraceOrigin
from rldk.rules.rule import Context

RULES = [rule for rule in chosen_rules() if rule.subject == "replicas"]
EVENT = TracedEvent(number=7, step=3, what="index_put_", direction="forward", where="train.py:39")
CODES = dict(zip(get_args(OperationCause), ("DET100", "DET101", "DET102", "DET103", "DET104", "DET105"), strict=True))


def _look(difference: TracedDifference | None, operations: int = 20) -> list[tuple[str, int | None, str]]:
    view = ReplicaTraceView(operations=operations, difference=difference)
    found = look_once(RULES, Context(), {}, {"replicas": view}).findings
    return [(one.code, one.first_step, one.message) for one in found]


@each_of("cause", CODES)
def test_the_rule_of_a_cause_fires_at_the_step_of_the_event(cause: OperationCause) -> None:
    ((code, step, message),) = _look(TracedDifference(process="main-1", cause=cause, first=EVENT))
    assert (code, step) == (CODES[cause], 3)
    assert "index_put_ forward at train.py:39" in message


def test_an_earlier_call_is_named() -> None:
    origin = TraceOrigin(what="torch.seed", where="train.py:12", given=False)
    ((_, _, message),) = _look(TracedDifference(process="main-1", cause="chance", first=EVENT, origin=origin))
    assert message.endswith("before it, torch.seed at train.py:12 differs")


def test_replicas_that_agree_or_were_not_traced_give_nothing() -> None:
    assert _look(None) == []
    once = look_once(RULES, Context(), {}, {"replicas": ReplicaTraceView(operations=0)})
    assert {check.status for check in once.unchecked} == {"skipped"}
