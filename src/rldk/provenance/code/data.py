"""Data: loaders, shuffles and splits without a generator, and names that do not say which version is meant."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from rldk.core.text import later
from rldk.provenance.code.module import CodeModule, constant, is_none, keyword, last_word, passes_more
from rldk.provenance.code.order import Seen

_LOADERS = frozenset(
    "torch.utils.data.DataLoader torch.utils.data.dataloader.DataLoader "
    "torchdata.stateful_dataloader.StatefulDataLoader torch_geometric.loader.DataLoader".split()
)
_SAMPLERS = frozenset(
    f"torch.utils.data.{name}"
    for name in ("RandomSampler", "WeightedRandomSampler", "SubsetRandomSampler", "random_split")
)
_DATASETS = frozenset(
    "datasets.load_dataset datasets.load_from_disk datasets.Dataset.from_dict datasets.Dataset.from_list "
    "datasets.Dataset.from_pandas datasets.Dataset.from_generator datasets.concatenate_datasets".split()
)
_SPLITS = frozenset(
    "sklearn.model_selection.train_test_split sklearn.utils.shuffle sklearn.utils.resample "
    "sklearn.model_selection.ShuffleSplit sklearn.model_selection.StratifiedShuffleSplit".split()
)
_FOLDS = frozenset(f"sklearn.model_selection.{name}" for name in ("KFold", "StratifiedKFold"))
_GENERATORS = frozenset("numpy.random.default_rng numpy.random.RandomState random.Random torch.Generator".split())
_HUB_DOWNLOADS = frozenset({"huggingface_hub.snapshot_download", "huggingface_hub.hf_hub_download"})
_REPOSITORY = later(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
_COMMIT = later(r"[0-9a-f]{7,64}|v?\d[\w.+-]*")


def seen_in(module: CodeModule) -> Iterator[Seen]:
    """Every such place."""
    for call, name in module.calls:
        yield from _loader(call, name)
        yield from _shuffle(module, call, name)
        yield from _unpinned(call, name)
    yield from _copied(module)


def _loader(call: ast.Call, name: str) -> Iterator[Seen]:
    if name in _LOADERS and not passes_more(call):
        workers = constant(keyword(call, "num_workers"))
        shuffled = constant(keyword(call, "shuffle")) is True
        works = isinstance(workers, int) and workers > 0
        if (shuffled or works) and _is_missing(call, "generator"):
            yield "loader-without-generator", call, "shuffle=True" if shuffled else f"num_workers={workers}"
    elif name in _SAMPLERS and not passes_more(call) and _is_missing(call, "generator"):
        yield "loader-without-generator", call, last_word(name)


def _shuffle(module: CodeModule, call: ast.Call, name: str) -> Iterator[Seen]:
    last = last_word(name)
    if passes_more(call):
        return
    if last in ("shuffle", "train_test_split") and isinstance(call.func, ast.Attribute):
        fixed = constant(keyword(call, "shuffle")) is False
        seedless = _is_missing(call, "seed") and _is_missing(call, "generator")
        ordered = last == "shuffle" and call.args  # the first argument is the seed
        if seedless and not fixed and not ordered and _is_dataset(module, call.func.value):
            yield "shuffle-without-seed", call, f"Dataset.{last}"
    loose = name in _SPLITS and constant(keyword(call, "shuffle")) is not False
    loose = loose or (name in _FOLDS and constant(keyword(call, "shuffle")) is True)
    if loose and _is_missing(call, "random_state"):
        yield "shuffle-without-seed", call, last


def _is_dataset(module: CodeModule, node: ast.AST, depth: int = 0) -> bool:
    """Whether the expression is a dataset of Hugging Face for sure."""
    if depth > 6:
        return False
    match node:
        case ast.Call(func=func):
            if module.full_name(func) in _DATASETS:
                return True
            return isinstance(func, ast.Attribute) and _is_dataset(module, func.value, depth + 1)
        case ast.Subscript(value=value):
            return _is_dataset(module, value, depth + 1)
        case ast.Name():
            values = module.values(node)
            return bool(values) and any(_is_dataset(module, v, depth + 1) for v in values)
        case _:
            return False


def _unpinned(call: ast.Call, name: str) -> Iterator[Seen]:
    """Downloads by a name whose content its owner may change."""
    last = last_word(name)
    named = call.args[0] if call.args else keyword(call, "path", "pretrained_model_name_or_path", "repo_id")
    said = constant(named)
    if name == "torch.hub.load" and isinstance(said, str):
        if ":" not in said and constant(keyword(call, "source")) != "local":
            yield "revision-not-pinned", call, f'torch.hub.load("{said[:60]}")'
        return
    hub = last == "from_pretrained" or name == "datasets.load_dataset" or name in _HUB_DOWNLOADS
    if not hub or not isinstance(said, str) or not _REPOSITORY.fullmatch(said) or passes_more(call):
        return
    revision = keyword(call, "revision")
    if revision is None or is_none(revision) or constant(revision) == "main":
        yield "revision-not-pinned", call, f'{last}("{said[:80]}")'


def _copied(module: CodeModule) -> Iterator[Seen]:
    """Generators that a dataset makes when it is built and draws from for each item: every worker gets a copy."""
    if not any(name in _LOADERS for name in module.called) or "get_worker_info" in module.last_words:
        return
    loaders = [call for call, name in module.calls if name in _LOADERS]
    if not any(constant(keyword(call, "num_workers")) not in (0, None) for call in loaders):
        return
    if all(not _is_missing(call, "worker_init_fn") for call in loaders):
        return
    for node in module.of(ast.ClassDef):
        if any("Dataset" in module.full_name(base) for base in node.bases):
            yield from _own_generators(module, node)


def _own_generators(module: CodeModule, home: ast.ClassDef) -> Iterator[Seen]:
    methods = {f.name: f for f in home.body if isinstance(f, ast.FunctionDef)}
    made: dict[str, ast.AST] = {}
    for node in ast.walk(methods["__init__"]) if "__init__" in methods else ():
        match node:
            case ast.Assign(targets=[ast.Attribute(attr=attr)], value=ast.Call(func=func)):
                if module.full_name(func) in _GENERATORS:
                    made[attr] = node
    for name in ("__getitem__", "__iter__"):
        for node in ast.walk(methods[name]) if name in methods else ():
            if isinstance(node, ast.Attribute) and node.attr in made:
                yield "generator-copied", made.pop(node.attr), f"self.{node.attr}"


def _is_missing(call: ast.Call, name: str) -> bool:
    given = keyword(call, name)
    return given is None or is_none(given)
