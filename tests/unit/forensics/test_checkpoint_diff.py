"""What `diff_checkpoints` says of two checkpoints, against torch's own figures and against numpy's."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.checkpoint import TensorChange
from rldk.forensics import diff_checkpoints
from rldk.forensics.checkpoints import numbers
from rldk.forensics.checkpoints.decoding import native, ordered
from rldk.forensics.checkpoints.parts import layer_of, part_of
from rldk.provenance.fingerprints.safetensors import write_tensors

FIXTURES = Path(__file__).parents[2] / "fixtures" / "checkpoints"
Arrays = dict[str, np.ndarray[Any, Any]]


def save(path: Path, tensors: Arrays) -> Path:
    write_tensors(
        path,
        {name: (a.dtype.name, a.shape) for name, a in tensors.items()},
        ((name, np.ascontiguousarray(a).reshape(-1).view(np.uint8).data) for name, a in tensors.items()),
    )
    return path


def compare(folder: Path, a: Arrays, b: Arrays) -> dict[str, TensorChange]:
    found = diff_checkpoints(save(folder / "a.safetensors", a), save(folder / "b.safetensors", b))
    return {t.name: t for t in found.tensors}


def test_every_type_has_the_numbers_of_torch() -> None:
    expected = json.loads((FIXTURES / "expected.json").read_text())
    found = {t.name: t for t in diff_checkpoints(FIXTURES / "types-a.pt", FIXTURES / "types-b.pt").tensors}
    for name, own in expected.items():
        t = found[name]
        got = (t.l2, t.max_abs, t.cosine, *t.norm)
        assert got == pytest.approx((own["l2"], own["max_abs"], own["cosine"], *own["norm"]), rel=1e-12), name
        assert t.changed == own["changed"], name
        assert sum(t.ulps.values()) == (0 if "int" in name or name == "bool" else own["changed"]), name
    assert (found["transposed"].changed, found["complex64"].at) == (28, (1, 1))
    assert (found["scalar"].fate, found["empty"].fate) == ("same", "same")


def test_the_one_element_that_differs_is_named(tmp_path: Path) -> None:
    a = np.random.default_rng(0).standard_normal((700, 900), dtype=np.float32)
    b = a.copy()
    b[612, 45] += 0.25
    t = compare(tmp_path, {"w": a, "x": a}, {"w": b, "x": a})["w"]
    assert (t.changed, t.at, t.before, t.after) == (1, (612, 45), a[612, 45], b[612, 45])
    assert t.l2 == pytest.approx(float(b[612, 45]) - float(a[612, 45]))
    assert t.norm[0] == pytest.approx(float(np.linalg.norm(a.astype(np.float64))), rel=1e-5)
    assert t.relative_l2 == pytest.approx(t.l2 / t.norm[0])
    assert 0.99999 < t.cosine <= 1


@given(st.data())
def test_numbers_do_not_depend_on_how_a_tensor_is_cut(data: st.DataObject) -> None:
    values = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, 3e38, 1e-40])
    n = data.draw(st.integers(1, 40))
    a = np.array(data.draw(st.lists(values, min_size=n, max_size=n)), np.float32)
    b = np.where(np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n))), a, a[::-1])
    whole, pieces = numbers.Difference(), numbers.Difference()
    whole.add((a.view(np.uint32), b.view(np.uint32)), ("float32", "float32"), 0)
    size = data.draw(st.integers(1, n))
    for i in range(0, n, size):
        x, y = a[i : i + size].view(np.uint32), b[i : i + size].view(np.uint32)
        if numbers.same_bits(x, y):
            pieces.add_equal(y, "float32")
        else:
            pieces.add((x, y), ("float32", "float32"), i)
    assert (pieces.nan, pieces.inf, pieces.changed) == (whole.nan, whole.inf, whole.changed)
    assert pieces.histogram() == whole.histogram()
    assert pieces.distance2 == pytest.approx(whole.distance2)
    assert pieces.squares == pytest.approx(whole.squares, rel=1e-5)
    both = np.isfinite(a) & np.isfinite(b)
    gap = b[both].astype(np.float64) - a[both].astype(np.float64)
    assert whole.distance2 == pytest.approx(float(gap @ gap))
    assert whole.changed == int((a.view(np.uint32) != b.view(np.uint32)).sum())


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(1, 1000))
def test_neighbours_differ_by_one_in_order(value: float, steps: int) -> None:
    start = np.float32(value)
    end = start
    with np.errstate(over="ignore"):  # beyond the largest float stands infinity
        for _ in range(min(steps, 20)):
            end = np.nextafter(end, np.float32(math.inf))
    a, b = ordered(np.array([start, end], np.float32).view(np.uint32))
    assert b - a == (min(steps, 20) if np.isfinite(end) else b - a)


def test_bits_of_sixteen_and_eight_bits_are_the_numbers_of_the_standard() -> None:
    brain = np.array([0x3F80, 0xC000, 0x7F80, 0x0001], np.uint16)
    assert native(brain, "bfloat16").tolist() == [1.0, -2.0, math.inf, struct.unpack("<f", b"\0\0\1\0")[0]]
    e4m3 = native(np.array([0x00, 0x38, 0x7E, 0x01, 0xB8], np.uint8), "float8_e4m3fn")
    assert e4m3.tolist() == [0.0, 1.0, 448.0, 2**-9, -1.0]
    e5m2 = native(np.array([0x3C, 0x7B, 0x7C, 0xFC, 0x01], np.uint8), "float8_e5m2")
    assert e5m2.tolist() == [1.0, 57344.0, math.inf, -math.inf, 2**-16]
    assert np.isnan(native(np.array([0x7F, 0xFF], np.uint8), "float8_e4m3fn")).all()


def test_nan_and_infinity_are_counted_before_and_after(tmp_path: Path) -> None:
    a = np.array([1, math.nan, math.inf, 4], np.float32)
    b = np.array([math.nan, math.nan, math.inf, 5], np.float32)
    t = compare(tmp_path, {"w": a, "same": a}, {"w": b, "same": a})
    assert (t["w"].nan, t["w"].inf, t["w"].changed) == ((1, 2), (1, 1), 2)
    assert (t["w"].l2, t["w"].max_abs, t["w"].at) == (1.0, 1.0, (3,))
    assert (t["same"].nan, t["same"].inf, t["same"].fate) == ((1, 1), (1, 1), "same")
    assert t["same"].norm == (math.sqrt(17), math.sqrt(17))


def test_nan_of_every_pattern_is_counted_without_a_warning(tmp_path: Path) -> None:
    """A signalling NaN raises the processor's flag of an invalid operation."""
    for kind, bits, bad in ((np.float32, np.uint32, 0x7F800001), (np.float64, np.uint64, 0xFFF0000000000001)):
        a = np.ones(64, kind)
        b = a.copy()
        b.view(bits)[5] = bad
        t = compare(tmp_path, {"w": a, "x": b}, {"w": b, "x": b})
        assert (t["w"].nan, t["w"].changed, t["w"].at, t["x"].nan) == ((0, 1), 1, (5,), (1, 1))


def test_zeros_of_both_signs_differ_in_their_bits_only(tmp_path: Path) -> None:
    t = compare(tmp_path, {"w": np.zeros(3, np.float32)}, {"w": np.array([0, -0.0, 0], np.float32)})["w"]
    assert (t.changed, t.l2, t.relative_l2, t.at, t.ulps) == (1, 0.0, 0.0, (1,), {"0": 1})


def test_values_near_the_ends_of_a_type_keep_their_norm(tmp_path: Path) -> None:
    for scale in (1e-30, 1e30):
        a = np.full(1000, scale, np.float32)
        t = compare(tmp_path, {"w": a}, {"w": a})["w"]
        assert t.norm[0] == pytest.approx(float(a[0]) * math.sqrt(1000), rel=1e-5)


def test_a_norm_that_no_number_holds_leaves_the_cosine_open(tmp_path: Path) -> None:
    t = compare(tmp_path, {"w": np.full(4, 1e200)}, {"w": np.full(4, 2e200)})["w"]
    assert (t.norm[0], t.max_abs, t.changed) == (math.inf, 1e200, 4)
    assert math.isnan(t.cosine)


def test_what_has_no_partner_says_why(tmp_path: Path) -> None:
    one = np.ones((2, 3), np.float32)
    t = compare(
        tmp_path,
        {"gone": one, "bent": one, "cast": one, "module.wrapped": one},
        {"new": one, "bent": one.T, "cast": one.astype(np.float16) * 2, "wrapped": one},
    )
    assert {name: c.fate for name, c in t.items()} == {
        "gone": "removed", "new": "added", "bent": "reshaped", "cast": "retyped", "wrapped": "same",
    }  # fmt: skip
    assert (t["bent"].was, t["bent"].shape, t["bent"].changed) == ("float32 [2, 3]", (3, 2), None)
    assert (t["cast"].was, t["cast"].changed, t["cast"].max_abs) == ("float32", 6, 1.0)
    assert math.isnan(t["gone"].l2)


def test_sections_and_values_of_a_training_are_compared() -> None:
    found = diff_checkpoints(FIXTURES / "checkpoint-1", FIXTURES / "checkpoint-2")
    changed = {(v.section, v.name): (v.before, v.after) for v in found.values}
    assert changed["scheduler", "last_epoch"] == ("1", "2")
    assert changed["other", "global_step"] == ("1", "2")
    assert changed["random", "numpy.2"] == ("623", "1")
    assert {t.section for t in found.tensors} == {"model", "optimizer", "random"}
    assert found.meta["steps"] == [1, 2]
    (tie,) = found.ties
    assert (tie.name, tie.other, tie.how, tie.kept) == (
        "embed_tokens.weight", "lm_head.weight", "shares memory", True,
    )  # fmt: skip
    assert [(p.part, p.changed) for p in found.parts] == [("mlp", 144), ("embedding", 128), ("head", 128)]


def test_the_same_checkpoint_is_the_same_however_it_is_stored() -> None:
    assert diff_checkpoints(FIXTURES / "distributed-1", FIXTURES / "distributed-2").same
    again = diff_checkpoints(FIXTURES / "checkpoint-1", FIXTURES / "training-1.pt")
    assert not again.same  # the folder has random states, too
    assert not [t for t in again.tensors if t.fate == "changed"]


def test_the_product_of_an_adapter_is_compared_not_its_factors(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((4, 30)), rng.standard_normal((20, 4))
    a2, b2 = a * 3, b / 3  # other factors of the same product
    names = ("q_proj.lora_A.weight", "q_proj.lora_B.weight")
    old, new = save(tmp_path / "a.safetensors", dict(zip(names, (a, b), strict=True))), tmp_path / "b.safetensors"
    save(new, dict(zip(names, (a2, b2), strict=True)))
    (same,) = diff_checkpoints(old, new).adapters
    assert (same.name, same.norm[0]) == ("q_proj", pytest.approx(float(np.linalg.norm(b @ a))))
    assert same.l2 < 1e-12 * same.norm[0]
    save(new, dict(zip(names, (a, b + 1), strict=True)))
    (other,) = diff_checkpoints(old, new).adapters
    assert other.l2 == pytest.approx(float(np.linalg.norm((b + 1) @ a - b @ a)))


def test_callbacks_are_told_of_every_byte(tmp_path: Path) -> None:
    a: Arrays = {"w": np.zeros((300, 1000), np.float32), "b": np.zeros(7, np.float16)}
    told: list[int] = []
    total: list[int] = []
    names: list[str] = []
    path = save(tmp_path / "a.safetensors", a)
    diff_checkpoints(path, path, advance=told.append, expect=total.append, begin=names.append)
    assert [sum(told)] == total == [1_200_014]
    assert max(told) <= numbers.CHUNK_BYTES
    assert names[-2:] == ["b", "w"]


def test_names_say_part_and_layer() -> None:
    cases = {
        "model.layers.12.self_attn.q_proj.weight": ("attention", 12),
        "transformer.h.3.mlp.c_fc.bias": ("mlp", 3),
        "model.layers.0.input_layernorm.weight": ("norm", 0),
        "v_head.summary.weight": ("value head", None),
        "score.weight": ("value head", None),
        "model.embed_tokens.weight": ("embedding", None),
        "lm_head.weight": ("head", None),
        "base_model.model.model.layers.5.self_attn.q_proj.lora_A.weight": ("adapter", 5),
        "mlp_extractor.value_net.0.weight": ("value head", None),
        "action_net.bias": ("head", None),
        "strange": ("other", None),
    }
    assert {name: (part_of(name), layer_of(name)) for name in cases} == cases
