"""DET: data that comes in another order, or is another version."""

from __future__ import annotations

from rldk.rules.audit import AuditView, code_rule, signal_of
from rldk.rules.rule import Signal


@code_rule(
    "DET038",
    "loader-without-generator",
    severity="info",
    causes=("the loader draws its order from PyTorch's global generator",),
    fixes=("DataLoader(..., generator=torch.Generator().manual_seed(seed))",),
)
def loader_without_generator(a: AuditView) -> Signal | None:
    """Fires where a loader shuffles, or has workers, without a generator of its own.

    Why it matters: Its order depends on every draw that came before, from PyTorch's global generator. One more layer or
    one more evaluation changes the order of the data, and a resumed run cannot restore it.
    How it is computed: `DataLoader` with `shuffle=True` or a number of workers above 0, or a random sampler or
    `random_split`, without `generator`.
    When it is wrong: With a global seed, and the same draws before, the order is the same.
    Source: PyTorch's notes on reproducibility, "DataLoader".
    """
    one = "takes the order of the data from the global generator"
    return signal_of(a, a.sites("loader-without-generator"), one, one.replace("takes", "take"))


@code_rule(
    "DET039",
    "generator-copied-to-workers",
    severity="warn",
    causes=("the data set makes its generator once, and each worker gets a copy of it",),
    fixes=(
        "make the generator in the worker: seed it with torch.utils.data.get_worker_info().seed",
        "pass worker_init_fn to the loader",
    ),
)
def generator_copied_to_workers(a: AuditView) -> Signal | None:
    """Fires where a data set holds a generator, and a loader with workers reads it.

    Why it matters: Every worker starts from a copy of the same generator. They all draw the same augmentations, and
    another number of workers gives other data.
    How it is computed: A class derived from a `Dataset` makes a generator in `__init__` and uses it in `__getitem__`
    or `__iter__`; the same file makes a `DataLoader` with workers and without `worker_init_fn`, and does not call
    `get_worker_info`.
    When it is wrong: The loader of the file may read another data set.
    Source: PyTorch's documentation of `torch.utils.data`, "Randomness in multi-process data loading".
    """
    one = "keeps a generator that every worker gets a copy of"
    return signal_of(a, a.sites("generator-copied"), one, one.replace("keeps", "keep"))


@code_rule(
    "DET040",
    "shuffle-without-seed",
    severity="info",
    causes=("the shuffle or split takes its numbers from NumPy's global generator",),
    fixes=("datasets: shuffle(seed=...), train_test_split(seed=...)", "scikit-learn: random_state=..."),
)
def shuffle_without_seed(a: AuditView) -> Signal | None:
    """Fires where a data set is shuffled or split without a seed.

    Why it matters: The order depends on NumPy's global generator. Without a global seed it differs in every run, and
    with one it depends on every draw that came before. Rows may move from the test set into the training set.
    How it is computed: `shuffle` or `train_test_split` of what was made by `datasets.load_dataset`, `Dataset.from_...`
    and the like, without `seed` or `generator`; and `train_test_split`, `ShuffleSplit`, `shuffle`, `resample` and
    shuffled folds of scikit-learn without `random_state`.
    When it is wrong: A global seed and the same draws before give the same order.
    Source: the documentation of `datasets.Dataset.shuffle` and of scikit-learn, "Controlling randomness".
    """
    one, many = "shuffles or splits data without a seed", "shuffle or split data without a seed"
    return signal_of(a, a.sites("shuffle-without-seed"), one, many)


@code_rule(
    "DET041",
    "revision-not-pinned",
    severity="info",
    causes=("a name without a revision means whatever its owner has put there last",),
    fixes=("pass revision= with the commit",),
)
def revision_not_pinned(a: AuditView) -> Signal | None:
    """Fires where a model, a tokenizer or a data set is loaded by the name of a repository without a revision.

    Why it matters: The owner may change weights, rows, chat template or tokenizer, and the same code trains another
    model.
    How it is computed: `from_pretrained`, `load_dataset`, `snapshot_download`, `hf_hub_download` or `torch.hub.load`
    with a constant of the form `owner/name`, and without `revision` or with `main`.
    When it is wrong: The name may be a local folder, or the repository may never change.
    Source: the documentation of Hugging Face on revisions; section 1.4 of the list of sources of nondeterminism.
    """
    one, many = "loads a repository without a revision", "load a repository without a revision"
    return signal_of(a, a.sites("revision-not-pinned"), one, many)
