"""Whether padding changes a model, for models that compute with numpy behind the names of torch."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rldk.preflight.network import model_facts, padding_gap

WORDS = 32


class Array(np.ndarray[Any, Any]):
    """An array with the methods of a tensor that are asked for."""

    def clamp(self, **ends: float) -> Any:
        return np.maximum(self, ends["min"])

    def float(self) -> Array:
        return self

    def abs(self) -> Any:
        return np.abs(self)


def array(values: Any, device: str = "") -> Array:
    return np.asarray(values).view(Array)


class Generator:
    def manual_seed(self, seed: int) -> np.random.Generator:
        return np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """The draws of token ids: lowest, end and number."""
    found: list[tuple[int, int, int]] = []

    def randint(low: int, high: int, size: tuple[int], *, generator: np.random.Generator) -> Any:
        found.append((low, high, size[0]))
        return generator.integers(low, high, size)

    torch = ModuleType("torch")
    torch.__dict__.update(
        Generator=Generator, randint=randint, tensor=array, no_grad=nullcontext,
        log_softmax=lambda x, dim: x - np.log(np.exp(x).sum(axis=dim, keepdims=True)),
        cuda=SimpleNamespace(get_device_properties=lambda _: SimpleNamespace(total_memory=3 << 29)),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", torch)
    return found


class Model:
    """Its logits depend on each token and its place: the place that is given, or else the column."""

    def __init__(self, words: int = WORDS, *, size: int = 4, place: str = "cpu", weight: float = 1.0) -> None:
        self.training, self.words, self.weight = True, words, weight
        self.modes: list[bool] = []
        self.calls: list[dict[str, Any]] = []
        self.one = SimpleNamespace(
            device=SimpleNamespace(type=place), element_size=lambda: size, numel=lambda: 3, requires_grad=True,
            dtype="torch.float32",
        )  # fmt: skip

    def parameters(self) -> Any:
        return iter([self.one])

    def modules(self) -> Any:
        return iter([])

    def get_input_embeddings(self) -> Any:
        return SimpleNamespace(weight=SimpleNamespace(shape=(self.words, 2)))

    def eval(self) -> None:
        self.training = False

    def train(self, mode: bool) -> None:
        self.training = mode

    def forward(self, input_ids: Any, attention_mask: Any, position_ids: Any) -> Any:
        """Its signature is read."""

    def __call__(self, **given: Any) -> Any:
        self.calls.append(given)
        self.modes.append(self.training)
        ids = given["input_ids"]
        places = given.get("position_ids", np.arange(ids.shape[1])[None, :] + ids * 0)
        words = np.arange(4)
        return SimpleNamespace(logits=array(np.sin(ids[..., None] + self.weight * places[..., None] * words)))


class Columns(Model):
    """It is given no places, so that padding on the left moves everything."""

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:  # type: ignore[override]
        """Its signature is read."""


class Unmasked(Columns):
    """Every token sees the mean of its row, padding too."""

    def __call__(self, **given: Any) -> Any:
        ids = given["input_ids"]
        mean = ids.mean(axis=1)[:, None, None] + 0.0 * ids[..., None]
        return SimpleNamespace(logits=array(np.sin(mean * np.arange(4))))


def test_a_model_that_knows_its_places_has_no_gap(drawn: list[tuple[int, int, int]]) -> None:
    model = Model()
    gap, side = padding_gap(model, 5)
    assert (gap, side) == (pytest.approx(0.0, abs=1e-12), "left")
    assert drawn == [(10, WORDS, 7), (10, WORDS, 12)]
    assert (model.training, set(model.modes)) == (True, {False}), "it is evaluated, and left as it was"
    alone, longer, left, right = (call["attention_mask"].tolist() for call in model.calls)
    assert (alone, longer) == ([[1] * 7], [[1] * 12])
    assert left == [[0] * 5 + [1] * 7, [1] * 12]
    assert right == [[1] * 7 + [0] * 5, [1] * 12]
    assert model.calls[2]["input_ids"][0, :5].tolist() == model.calls[3]["input_ids"][0, 7:].tolist() == [5] * 5
    assert model.calls[2]["position_ids"].tolist() == [[0] * 5 + list(range(7)), list(range(12))]
    assert model.calls[3]["position_ids"].tolist() == [[*range(7), *[6] * 5], list(range(12))]


def test_a_gap_is_the_largest_and_has_its_side() -> None:
    gap, side = padding_gap(Columns(), None)
    assert side == "left"
    assert gap is not None
    assert gap > 0.3
    assert (padding_gap(Columns(weight=0.0), None)) == (0.0, "left")
    for pad in (0, 31):
        whole, where = padding_gap(Unmasked(), pad)
        assert where in ("left", "right")
        assert whole is not None
        assert whole > 0.3


def test_what_a_padding_token_may_be_and_how_many_words_a_language_has() -> None:
    for pad, fill in [(None, 0), (-1, 0), (0, 0), (1, 1), (31, 31), (32, 0)]:
        model = Model()
        padding_gap(model, pad)
        assert model.calls[2]["input_ids"][0, 0] == fill, pad
    assert padding_gap(Model(31), 0) == (None, "")
    assert padding_gap(Model(32), 0)[1] == "left"


def test_at_most_a_thousand_words_are_tried(drawn: list[tuple[int, int, int]]) -> None:
    for words in (999, 1000, 5000):
        padding_gap(Model(words), 0)
    assert [high for _, high, _ in drawn[::2]] == [999, 1000, 1000]


def test_a_model_that_cannot_be_called_so_is_left_as_it_was() -> None:
    class Refusing(Model):
        def __call__(self, **given: Any) -> Any:
            raise ValueError

    model = Refusing()
    assert padding_gap(model, 0) == (None, "")
    assert model.training


def test_the_limit_of_a_gap_goes_with_the_rounding_and_memory_with_the_device() -> None:
    for size, limit in [(4, 0.02), (2, 0.3), (8, 0.3)]:
        facts, _ = model_facts(Model(size=size))
        assert (facts.padding_limit, facts.padding_side, facts.memory_gib) == (limit, "left", None)
    assert model_facts(Model(place="cuda"))[0].memory_gib == 1.5
