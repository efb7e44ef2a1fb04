"""What a model says of itself, for a model that has only the names which are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from examples import each_of

from rldk.preflight.network import model_facts


def parameter(size: int, *, trained: bool = True, kind: str = "float32", place: str = "cpu", at: int = 0) -> Any:
    return SimpleNamespace(
        numel=lambda: size, requires_grad=trained, dtype=f"torch.{kind}", shape=(size,),
        element_size=lambda: {"float32": 4, "bfloat16": 2}[kind], device=SimpleNamespace(type=place),
        data_ptr=lambda: at,
    )  # fmt: skip


def network(*parameters: Any, layers: Sequence[Any] = (), **more: Any) -> Any:
    return SimpleNamespace(parameters=lambda: iter(parameters), modules=lambda: iter(layers), **more)


class Dropout:
    def __init__(self, p: float) -> None:
        self.p = p


def test_parameters_are_counted_by_their_format() -> None:
    made = [parameter(10), parameter(5, kind="bfloat16"), parameter(7, trained=False), parameter(1)]
    facts, parts = model_facts(network(*made, layers=[Dropout(0.1), Dropout(0.3), SimpleNamespace(p=0.9)]))
    assert (facts.parameters, facts.trainable, facts.dtypes) == (23, 16, {"float32": 11, "bfloat16": 5})
    assert (facts.dropout, facts.memory_gib, facts.padding_gap, facts.padding_limit, parts) == (
        0.3,
        None,
        None,
        None,
        {},
    )


def test_a_model_without_anything_is_described_as_such() -> None:
    facts, _ = model_facts(network())
    assert (facts.parameters, facts.dtypes, facts.dropout, facts.memory_gib) == (0, {}, 0.0, None)
    assert (facts.tied, facts.says_tied, facts.embeddings) == (None, None, None)


@each_of("same", [True, False])
@each_of("said", [True, False, "no"])
def test_ties_are_what_is_there_and_what_is_said(same: bool, said: Any) -> None:
    first, last = parameter(31, at=1), parameter(31, at=1 if same else 2)
    facts, _ = model_facts(
        network(
            get_input_embeddings=lambda: SimpleNamespace(weight=first),
            get_output_embeddings=lambda: SimpleNamespace(weight=last),
            config=SimpleNamespace(tie_word_embeddings=said),
        )
    )
    assert (facts.tied, facts.says_tied, facts.embeddings) == (same, said if isinstance(said, bool) else None, 31)
    assert facts.padding_gap is None, "fewer than 32 tokens are no language"
