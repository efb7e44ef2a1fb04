"""Every subject that is looked at once goes one way: checked, fired, skipped or not applicable."""

from __future__ import annotations

from typing import Any

from examples import each_of

from rldk.core.checkpoint import Checkpoint
from rldk.engine.once import BEFORE, look_once
from rldk.rules.page import Page
from rldk.rules.rule import Context, Rule, Signal
from rldk.rules.subject import (
    BY_ROW,
    MISSING,
    SEEN,
    SUBJECTS,
    WANTS,
    CheckpointsView,
    ConfigView,
    EnvView,
    PairView,
    RunFacts,
    Subject,
    SubjectView,
    TensorRecord,
    TensorsView,
)

RECORDS = (
    TensorRecord(step=1, name="layers.0", checksum="a", trainable=True, norm=1.0),
    TensorRecord(step=2, name="layers.0", checksum="a", before="a", update_norm=0.0),
    TensorRecord(step=2, name="layers.0", role="reference", checksum="b"),
)
VIEWS: dict[Subject, tuple[SubjectView, str, str]] = {  # subject -> a view, what it has, what it lacks
    "config": (ConfigView(values={"lr": 1}, keys={"lr": ("lr",)}), "lr", "gamma"),
    "env": (EnvView(variables={}), "variables", "packages"),
    "pair": (
        PairView(first=RunFacts(name="a", seed=1), second=RunFacts(name="b", seed=1, git_sha="c")),
        "seed",
        "git_sha",
    ),
    "checkpoints": (
        CheckpointsView(checkpoints=(Checkpoint(step=1, path="x", sizes={"weights": 1}),)),
        "weights",
        "random",
    ),
    "tensors": (TensorsView(records=RECORDS), "update_norm", "zero_share"),
}


def _rule(subject: Subject, need: str, **options: Any) -> Rule:
    return Rule(
        code="ZZZ001",
        name="odd",
        severity="warn",
        tier=0,
        body=lambda view: Signal(value=1.0, message="odd", step=7, severity="critical"),
        page=Page(what="Odd.", sections={}),
        subject=subject,
        needs=(need,),
        **options,
    )


def test_every_subject_has_its_words_and_its_view() -> None:
    viewed = set(SUBJECTS) - BY_ROW
    assert set(SEEN) == viewed <= set(WANTS)
    assert set(VIEWS) == viewed - {"records", *BEFORE}  # a view for every step, and those of other commands
    assert set(MISSING) == viewed - {"config"}


@each_of("subject", VIEWS)
def test_a_subject_is_skipped_not_applicable_or_judged(subject: Subject) -> None:
    view, has, lacks = VIEWS[subject]
    given = {subject: view}
    (found,) = look_once([_rule(subject, has)], Context(), {}, given).findings
    assert (found.first_step, found.severity) == (7, "warn")  # a signal may lower the severity, not raise it
    (missing,) = look_once([_rule(subject, lacks)], Context(), {}, given).unchecked
    assert (missing.status, missing.needs) == ("skipped", (lacks,))
    assert missing.reason.startswith(f"needs {MISSING[subject][lacks] if subject in MISSING else 'the discount'}")
    (absent,) = look_once([_rule(subject, has)], Context(), {}).unchecked
    assert (absent.status, absent.reason) == ("skipped", f"needs {WANTS[subject]}")
    for unless in ({"unless_view": lambda view: "defined for others"}, {}):
        once = look_once([_rule(subject, has, **unless)], Context(), {} if unless else {"ZZZ001": "no"}, given)
        assert [c.status for c in once.unchecked] == ["not_applicable"]


def test_tensors_are_found_by_model_name_and_step() -> None:
    view = TensorsView(records=RECORDS)
    assert view.names("policy") == ("layers.0",)
    assert [r.step for r in view.of("policy")] == [1, 2]
    assert view.of("reference", name="layers.1") == ()
    assert view.steps() == (1, 2)
    unchanged = [r for r in view.of("policy") if r.measured("before") and r.checksum == r.before]
    assert [r.step for r in unchanged] == [2]


def test_a_pair_names_what_was_changed() -> None:
    pair = PairView(
        first=RunFacts(name="a", config={"lr": 1, "out.output_dir": "x", "gone": 1}),
        second=RunFacts(name="b", config={"lr": 2, "out.output_dir": "y"}),
    )
    assert pair.changed(ignore=frozenset({"output_dir"})) == {"lr": (1, 2), "gone": (1, None)}
