"""Checkpoints are read without torch and without running anything of them; damage is an error, never a crash."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.errors import InputError, MalformedInput, NoData, NotALog, UnreadableSource, UnsafePickle
from rldk.provenance.checkpoints.contents import open_checkpoint
from rldk.provenance.checkpoints.opcodes import read_pickle
from rldk.provenance.checkpoints.stored import Contents, Elements, Maps
from rldk.provenance.fingerprints.safetensors import write_tensors

FIXTURES = Path(__file__).parents[2] / "fixtures" / "checkpoints"


def _names(contents: Contents, section: str) -> set[str]:
    return {name for s, name in contents.tensors if s == section}


def _bits(contents: Contents, name: str) -> list[int]:
    elements = Elements(contents.tensors["model", name], Maps())
    return list(map(int, elements.read(0, elements.count)))


def _archive(path: Path, value: Any, **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", value if isinstance(value, bytes) else pickle.dumps(value, protocol=2))
        for name, data in more.items():
            archive.writestr(f"archive/{name}", data)
    return path


class _Call:
    def __init__(self, function: Any, *args: Any) -> None:
        self.how = (function, args)

    def __reduce__(self) -> Any:
        return self.how


def test_a_file_of_several_things_has_a_section_for_each() -> None:
    found = open_checkpoint(FIXTURES / "training-1.pt")
    assert _names(found, "model") >= {"embed_tokens.weight", "lm_head.weight", "layers.1.mlp.bias"}
    assert "state.0.exp_avg" in _names(found, "optimizer")
    assert found.values["scheduler", "last_epoch"] == "1"
    assert found.values["other", "epoch"] == "1"


def test_a_folder_of_a_trainer_is_the_same_model_as_its_file() -> None:
    folder, file = open_checkpoint(FIXTURES / "checkpoint-1"), open_checkpoint(FIXTURES / "training-1.pt")
    assert _names(folder, "model") == _names(file, "model")
    assert _names(folder, "optimizer") == _names(file, "optimizer")
    assert folder.values["random", "numpy.0"] == "MT19937"
    assert folder.values["other", "global_step"] == "1"


def test_names_of_one_tensor_share_memory() -> None:
    found = open_checkpoint(FIXTURES / "training-1.pt").tensors
    assert found["model", "lm_head.weight"].memory == found["model", "embed_tokens.weight"].memory
    assert found["model", "layers.0.mlp.weight"].memory != found["model", "layers.1.mlp.weight"].memory


def test_elements_that_do_not_follow_one_another_are_read_in_the_order_of_their_shape() -> None:
    found = open_checkpoint(FIXTURES / "types-a.pt")
    tensor = found.tensors["model", "transposed"]
    assert (tensor.shape, tensor.stride) == ((7, 4), (1, 7))
    piece = tensor.pieces[0]
    raw = (FIXTURES / "types-a.pt").read_bytes()[piece.offset : piece.offset + piece.size]
    expected = np.frombuffer(raw, "<u4").reshape(4, 7).T.reshape(-1)
    assert _bits(found, "transposed") == list(map(int, expected))
    elements = Elements(tensor, Maps())
    assert list(elements.read(5, 9)) == list(expected[5:9])


def test_shards_of_two_ranks_are_the_tensors_of_one() -> None:
    one, two = (open_checkpoint(FIXTURES / f"distributed-{n}") for n in (1, 2))
    assert one.tensors.keys() == two.tensors.keys() == {("model", "layers.0.mlp.weight"), ("model", "norm.weight")}
    assert len(two.tensors["model", "norm.weight"].pieces) == 2
    assert _bits(one, "layers.0.mlp.weight") == _bits(two, "layers.0.mlp.weight")
    assert Elements(two.tensors["model", "norm.weight"], Maps()).read(1, 3).tolist() == _bits(one, "norm.weight")[1:3]


@pytest.mark.parametrize("name", ["hostile.pt", "hostile.bin"])
def test_a_pickle_that_would_run_a_command_is_refused_and_says_which(name: str) -> None:
    with pytest.raises(UnsafePickle, match=r"posix\.system\('echo stolen > /tmp/stolen'\)") as caught:
        open_checkpoint(FIXTURES / name)
    assert caught.value.exit_code == 3
    assert "do not load" in caught.value.hint
    assert not Path("/tmp/stolen").exists()


def test_everything_that_a_pickle_names_is_listed(tmp_path: Path) -> None:
    value = {"a": _Call(eval, "1 + 1"), "b": [_Call(getattr, _Call(__import__, "os"), "system")], "c": print}
    with pytest.raises(UnsafePickle) as caught:
        open_checkpoint(_archive(tmp_path / "x.pt", value))
    assert caught.value.named == (
        "__builtin__.eval('1 + 1')",
        "__builtin__.getattr(<Made>, 'system')",
        "__builtin__.__import__('os')",
        "__builtin__.print",
    )


@each_of("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_values_are_read_in_every_protocol(protocol: int) -> None:
    value = {"a": [1, 2.5, "text", None, True, (1, 2), b"bytes"], "b": {"c": -(2**40)}, 3: "x"}
    assert read_pickle(pickle.dumps(value, protocol=protocol), "x") == value


@given(st.binary(max_size=60))
def test_bytes_that_are_no_pickle_are_an_error_of_the_input(data: bytes) -> None:
    for whole in (data, pickle.dumps({"a": [1, 2]}, protocol=2)[:-1] + data):
        with suppress(InputError):
            read_pickle(whole, "x")


@pytest.mark.parametrize("name", ["types-a.pt", "training-1.pt", "distributed-2/.metadata"])
def test_a_file_that_is_cut_or_changed_anywhere_is_read_or_refused(name: str, tmp_path: Path) -> None:
    raw, rng = (FIXTURES / name).read_bytes(), np.random.default_rng(0)
    folder = tmp_path / "x"
    shutil.copytree(FIXTURES / "distributed-2", folder)
    path = folder / ".metadata" if name.endswith("metadata") else tmp_path / "x.pt"
    for place in rng.integers(0, len(raw), 60):
        for changed in (raw[:place], raw[:place] + bytes([raw[place] ^ int(rng.integers(1, 256))]) + raw[place + 1 :]):
            path.write_bytes(changed)
            with suppress(InputError):
                found = open_checkpoint(folder if path.parent == folder else path)
                for tensor in found.tensors.values():
                    elements = Elements(tensor, Maps())
                    assert len(elements.read(0, elements.count)) == elements.count


def test_values_that_would_cost_more_than_they_are_worth(tmp_path: Path) -> None:
    path = _archive(tmp_path / "x.pt", {"epoch": 1 << 20_000})
    assert "sha256" in open_checkpoint(path).values["model", "epoch"]
    value: dict[str, Any] = {}
    for _ in range(60):
        value = {"x": value, "y": value}  # two to the power of sixty leaves
    for odd in (value, {(("a", "b"), "c"): 1}, {"n" * 2000: 1}):
        with pytest.raises(MalformedInput, match=r"deep|entries|plain value|characters"):
            open_checkpoint(_archive(path, {"epoch": odd}))


@pytest.mark.slow
def test_copies_that_a_pickle_asks_for_again_and_again_are_counted() -> None:
    many = b"(" + b"K\x01" * 300_000 + b"lq\x00"  # a list of 300,000 numbers, kept as number 0
    again = b"cbuiltins\nlist\nh\x00\x85R0" * 100
    with pytest.raises(MalformedInput, match="copies more than"):
        read_pickle(b"\x80\x02" + many + again + b".", "x")


def test_what_is_no_archive_of_torch_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotALog, match=r"before 1\.6") as caught:
        open_checkpoint(FIXTURES / "legacy.pt")
    assert "torch.save" in caught.value.hint
    for name, content, words in (
        ("a.pt", b"", "no checkpoint"),
        ("b.bin", b"\x7fELF", "no checkpoint"),
        ("c.pt", pickle.dumps({"a": 1}, protocol=4), "plain pickle"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NotALog, match=words):
            open_checkpoint(tmp_path / name)
    with pytest.raises(NotALog, match="TorchScript"):
        open_checkpoint(_archive(tmp_path / "d.pt", {}, **{"constants.pkl": b"x"}))
    with pytest.raises(NotALog, match="big-endian"):
        open_checkpoint(_archive(tmp_path / "e.pt", {}, byteorder=b"big"))
    with zipfile.ZipFile(tmp_path / "f.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
    with pytest.raises(MalformedInput, match="compressed"):
        open_checkpoint(tmp_path / "f.pt")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NoData, match="no checkpoint"):
        open_checkpoint(empty)
    with pytest.raises(UnreadableSource):
        open_checkpoint(tmp_path / "nothing")


def _safetensors(path: Path, **tensors: np.ndarray[Any, Any]) -> Path:
    write_tensors(
        path,
        {name: (a.dtype.name, a.shape) for name, a in tensors.items()},
        ((name, np.ascontiguousarray(a).reshape(-1).view(np.uint8).data) for name, a in tensors.items()),
    )
    return path


def test_a_sharded_checkpoint_needs_all_of_its_files(tmp_path: Path) -> None:
    one = np.ones(3, np.float32)
    _safetensors(tmp_path / "model-1.safetensors", **{"module.a": one})
    _safetensors(tmp_path / "model-2.safetensors", b=one)
    names = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert _names(open_checkpoint(index), "model") == _names(open_checkpoint(tmp_path), "model") == {"a", "b"}
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(UnreadableSource, match=r"lacks model-2\.safetensors"):
        open_checkpoint(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "../../etc/passwd"}}))
    with pytest.raises(MalformedInput, match="no path inside"):
        open_checkpoint(tmp_path)


def test_the_files_of_ranks_and_settings_stay_apart(tmp_path: Path) -> None:
    for rank in (0, 1):
        shutil.copy(FIXTURES / "checkpoint-1" / "rng_state.pth", tmp_path / f"rng_state_{rank}.pth")
    shutil.copy(FIXTURES / "hostile.pt", tmp_path / "training_args.bin")  # it is not opened
    found = open_checkpoint(tmp_path)
    assert _names(found, "random") == {"rank 0.cpu", "rank 1.cpu"}
    assert "settings" in found.left_out["training_args.bin"]


def test_a_part_of_a_distributed_tensor_is_read_as_what_its_rank_holds() -> None:
    found = open_checkpoint(FIXTURES / "sharded").tensors["model", "rank 0.model.layers.0.mlp.weight"]
    assert (found.dtype, found.shape) == ("float32", (3, 2))
    assert set(Elements(found, Maps()).read(0, 6)) == {0x3F800000}


def test_the_shards_of_deepspeed_are_told_apart_by_both_ranks(tmp_path: Path) -> None:
    folder = tmp_path / "global_step2"
    folder.mkdir()
    for rank in (0, 1):
        shutil.copy(FIXTURES / "types-a.pt", folder / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    shutil.copy(FIXTURES / "training-1.pt", folder / "mp_rank_00_model_states.pt")
    found = open_checkpoint(tmp_path)
    assert {"rank 0-00.int8", "rank 1-00.int8", "rank 00.state.0.exp_avg"} <= _names(found, "optimizer")
    assert "rank 00.embed_tokens.weight" in _names(found, "model")


def test_a_tensor_that_two_files_have_is_read_once_and_said(tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "model.pt"):
        shutil.copy(FIXTURES / "types-a.pt", tmp_path / name)
    assert list(open_checkpoint(tmp_path).left_out) == ["pytorch_model.bin"]


def test_a_folder_of_checkpoints_asks_for_one(tmp_path: Path) -> None:
    for step in (1, 2):
        shutil.copytree(FIXTURES / "checkpoint-1", tmp_path / f"checkpoint-{step}")
    with pytest.raises(NotALog, match="several") as caught:
        open_checkpoint(tmp_path)
    assert "checkpoint-2" in caught.value.hint


def test_a_tensor_outside_of_its_storage_is_refused(tmp_path: Path) -> None:
    raw = (FIXTURES / "types-a.pt").read_bytes()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}
    head = members.pop("data.pkl")
    members["data/0"] = members["data/0"][:-8]
    with pytest.raises(MalformedInput, match="does not lie within its storage"):
        open_checkpoint(_archive(tmp_path / "x.pt", head, **members))
