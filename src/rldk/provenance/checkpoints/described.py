"""What a pickle of torch may name, and the description that each name gives. Nothing is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}  # fmt: skip
_TYPES = (
    "float64 double float32 float float16 half bfloat16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz "
    "float8_e8m0fnu int64 long int32 int int16 short int8 uint8 uint16 uint32 uint64 bool complex64 complex128"
).split()
_SHORT = {"double": "float64", "float": "float32", "half": "float16", "long": "int64", "int": "int32", "short": "int16"}
# known, harmless, and not compared element by element
_OPAQUE = {
    "torch._utils": "_rebuild_sparse_tensor _rebuild_qtensor _rebuild_meta_tensor_no_storage _rebuild_nested_tensor",
    "torch.serialization": "_get_layout",
    "numpy": "dtype ndarray",
    "numpy._core.multiarray": "scalar _reconstruct",
    "numpy.core.multiarray": "scalar _reconstruct",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
    "argparse": "Namespace",
    "pathlib": "Path PosixPath PurePath PurePosixPath",
    "pathlib._local": "Path PosixPath PurePath PurePosixPath",
    "deepspeed.runtime.fp16.loss_scaler": "LossScaler DynamicLossScaler",
    "deepspeed.utils.tensor_fragment": "fragment_address",
    "deepspeed.runtime.zero.config": "ZeroStageEnum",
    "torch.distributed.checkpoint.metadata": (
        "Metadata TensorStorageMetadata BytesStorageMetadata TensorProperties ChunkStorageMetadata MetadataIndex "
        "StorageMeta _MEM_FORMAT_ENCODING"
    ),
    "torch.distributed.checkpoint.filesystem": "_StorageInfo _StoragePrefix",
}


class Global(Struct, frozen=True, kw_only=True):
    """A name in a module, as a pickle spells it."""

    module: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"


class Made(Struct, kw_only=True, eq=False):
    """An object that is known and not looked into: what it was made by, and of what. Its state is added once it is
    known, and two of them are equal only when they are one."""

    of: Global
    args: tuple[Any, ...]


class StorageRef(Struct, frozen=True, kw_only=True):
    """The memory of a tensor in the same archive. `dtype`: "" where the tensor says it."""

    dtype: str
    key: str

    @classmethod
    def of(cls, pid: Any) -> StorageRef:
        """Of what torch writes for it. Raises `ValueError`."""
        match pid:
            case ("storage", Global() as kind, str(key), *_):
                return cls(dtype=_STORAGES.get(kind.name, ""), key=key)
        raise ValueError("it refers to something outside that is no storage")


class DescribedTensor(Struct, frozen=True, kw_only=True):
    """A tensor: `offset` and `stride` are in elements of the storage."""

    storage: StorageRef
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def is_plain(value: Any) -> bool:
    """Whether it is a number, a text, bytes, a boolean or None."""
    return value is None or isinstance(value, bool | int | float | str | bytes)


def build(what: Global, args: tuple[Any, ...]) -> Any:
    """The description that a call of a name in `ALLOWED` gives. Raises `ValueError` for arguments that do not fit."""
    return ALLOWED[what.module, what.name](what, args)


def _tensor(what: Global, args: tuple[Any, ...]) -> Any:
    storage, offset, shape, stride = args[:4]
    dtype = _SHORT.get(args[6].name, args[6].name) if what.name == "_rebuild_tensor_v3" else storage.dtype
    sizes, steps = tuple(map(int, shape)), tuple(map(int, stride))
    if not isinstance(storage, StorageRef) or len(sizes) != len(steps) or min((int(offset), *sizes, *steps)) < 0:
        raise ValueError("a tensor does not fit its storage")
    return DescribedTensor(storage=storage, dtype=dtype, offset=int(offset), shape=sizes, stride=steps)


def _typed(what: Global, args: tuple[Any, ...]) -> Any:  # noqa: ARG001 - as of every builder
    function, _, inner = args[:3]
    if (function.module, function.name) not in ALLOWED:
        raise ValueError("a tensor is built by an unknown function")
    return build(function, tuple(inner))


def _opaque(what: Global, args: tuple[Any, ...]) -> Any:
    return Made(of=what, args=args)


def _bytes(what: Global, args: tuple[Any, ...]) -> Any:  # noqa: ARG001
    return str(args[0]).encode("latin1")


def _first(what: Global, args: tuple[Any, ...]) -> Any:  # noqa: ARG001
    return args[0]


def _size(what: Global, args: tuple[Any, ...]) -> Any:  # noqa: ARG001
    return tuple(args[0]) if args else ()


def _dictionary(what: Global, args: tuple[Any, ...]) -> Any:  # noqa: ARG001
    found = args[0] if args else ()
    if isinstance(found, Global):  # the factory of a defaultdict
        return {}
    return dict(found)


def _list(what: Global, args: tuple[Any, ...]) -> Any:  # noqa: ARG001
    return list(args[0]) if args else []


Build = Callable[[Global, tuple[Any, ...]], Any]
ALLOWED: dict[tuple[str, str], Build] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _typed,
    ("torch", "Size"): _size,
    ("torch", "device"): _opaque,
    ("torch", "Tensor"): _opaque,
    ("torch", "strided"): _opaque,
    ("torch.nn.parameter", "Parameter"): _first,
    ("torch.storage", "UntypedStorage"): _opaque,
    ("torch.storage", "TypedStorage"): _opaque,
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "defaultdict"): _dictionary,
    ("collections", "Counter"): _dictionary,
    ("_codecs", "encode"): _bytes,
    ("builtins", "dict"): _dictionary,
    ("builtins", "list"): _list,
    ("builtins", "set"): _list,
    ("builtins", "int"): _opaque,
    ("builtins", "float"): _opaque,
    ("builtins", "bytearray"): _opaque,
    **{(module, name): _opaque for module in ("torch", "torch.cuda") for name in _STORAGES},
    **{("torch", name): _opaque for name in _TYPES},
    **{(module, name): _opaque for module, names in _OPAQUE.items() for name in names.split()},
}
