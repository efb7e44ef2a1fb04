"""DET: random generators that have no seed, one by chance, or the same one twice."""

from __future__ import annotations

from functools import partial

from rldk.rules.audit import AuditView, code_rule, signal_of
from rldk.rules.rule import Signal

_program_rule = partial(code_rule, needs=("code", "program"))
_SEED_ALL = "rldk.utils.seed.set_global_seed(seed) seeds Python, NumPy and PyTorch together"


@code_rule(
    "DET025",
    "seed-from-chance",
    severity="warn",
    causes=("the seed was taken from the clock or the process to get a different run each time",),
    fixes=("take the seed from the command line or the configuration, and record it",),
)
def seed_from_chance(a: AuditView) -> Signal | None:
    """Fires where a seed is taken from the clock, the process number, an address, the hash of a text, or entropy.

    Why it matters: The run cannot be repeated unless the number was recorded.
    How it is computed: Such a call stands in what is passed to `seed`, `manual_seed`, `default_rng`, `PRNGKey`,
    `set_seed` or a keyword `seed`, or in what is assigned to a name that ends in `seed`. Not counted: a choice
    (`a if b else c`, `if seed is None:`), because it is the default of a seed that was not given.
    When it is wrong: The number may be recorded, so that a repetition can set it.
    Source: DET003 of the rule catalogue; the documentation of each library.
    """
    found = a.sites("seed-from-chance")
    source = found[0].detail if found else ""
    return signal_of(a, found, f"takes a seed from {source}", "take a seed from the clock, the process or entropy")


@code_rule(
    "DET026",
    "fresh-entropy",
    severity="warn",
    causes=("a reset of the generator was wanted, and no number was passed",),
    fixes=("pass the seed of the run", _SEED_ALL),
)
def fresh_entropy(a: AuditView) -> Signal | None:
    """Fires where a global generator is seeded without a number: `random.seed()`, `np.random.seed()`, `torch.seed()`.

    Why it matters: The generator takes new entropy from the system, and forgets the seed that was set before.
    How it is computed: `random.seed` and `numpy.random.seed` without an argument or with None; `torch.seed`,
    `torch.cuda.seed` and `torch.cuda.seed_all`, which take none.
    When it is wrong: Never, as to the effect; the program may want it.
    Source: the documentation of `random.seed`, `numpy.random.seed` and `torch.seed`.
    """
    one, many = "seeds a global generator with fresh entropy", "seed a global generator with fresh entropy"
    return signal_of(a, a.sites("fresh-entropy"), one, many)


@code_rule(
    "DET027",
    "generator-without-seed",
    severity="warn",
    causes=("the generator was made without a number, and global seeds do not reach it",),
    fixes=("pass a seed: np.random.default_rng(seed)", "derive one for each part with SeedSequence(seed).spawn(n)"),
)
def generator_without_seed(a: AuditView) -> Signal | None:
    """Fires where a generator of its own is made without a seed: `default_rng()`, `RandomState()`, `random.Random()`.

    Why it matters: It takes fresh entropy from the system. `np.random.seed` and `random.seed` do not reach it.
    How it is computed: `default_rng`, `RandomState`, `SeedSequence`, a bit generator of NumPy or `random.Random` is
    called without an argument, or with None.
    When it is wrong: The generator may be seeded later, or its draws may not matter.
    Source: the documentation of NumPy (`default_rng`: "If None, then fresh, unpredictable entropy will be pulled from
    the OS") and of Python.
    """
    one, many = "makes a generator without a seed", "make a generator without a seed"
    return signal_of(a, a.sites("generator-without-seed"), one, many)


@code_rule(
    "DET028",
    "torch-generator-default",
    severity="info",
    causes=("manual_seed was not called on the generator",),
    fixes=("torch.Generator().manual_seed(seed)",),
)
def torch_generator_default(a: AuditView) -> Signal | None:
    """Fires where a `torch.Generator()` is kept in a file that never calls `manual_seed`.

    Why it matters: On a CPU it always starts from the same number, whatever the seed of the run is: runs with other
    seeds draw the same, and their spread is too small.
    How it is computed: The call is assigned to a name, and the file calls neither `manual_seed` nor `set_state`.
    When it is wrong: The generator may be seeded in another file.
    Source: PyTorch, `c10::default_rng_seed_val` (67280421310721), the seed of a generator that was given none.
    """
    one = "makes a torch.Generator whose seed is always the same"
    return signal_of(a, a.sites("torch-generator-default"), one, "make a torch.Generator whose seed is always the same")


@code_rule(
    "DET029",
    "unseedable-source",
    severity="info",
    causes=("the system's own source of randomness was used, which is made for secrets",),
    fixes=("draw from a generator with a seed, unless the value is a secret",),
)
def unseedable_source(a: AuditView) -> Signal | None:
    """Fires where code draws from a source that no seed reaches: `random.SystemRandom`, `secrets.choice` and the like.

    Why it matters: These draws differ in every run.
    How it is computed: A call of `random.SystemRandom`, `secrets.choice`, `secrets.randbelow` or `secrets.randbits`.
    When it is wrong: The value may be a secret, a port or a name that results do not depend on.
    Source: the documentation of `secrets` and `random.SystemRandom`.
    """
    one, many = "draws from a source that has no seed", "draw from a source that has no seed"
    return signal_of(a, a.sites("unseedable-source"), one, many)


def _unseeded(a: AuditView, library: str, shown: str) -> Signal | None:
    """The signal for a global generator that is drawn from and never seeded in any file that was read."""
    if a.sees(f"seeds-{library}"):
        return None
    one = f"draws from the global generator of {shown}, which no file seeds"
    return signal_of(a, a.sites(f"draws-{library}"), one, one.replace("draws", "draw", 1))


@_program_rule(
    "DET030",
    "python-random-without-seed",
    severity="warn",
    causes=("random.seed is never called",),
    fixes=("random.seed(seed) at the start of the program", _SEED_ALL),
)
def python_random_without_seed(a: AuditView) -> Signal | None:
    """Fires when a program draws from the `random` module, and nothing that was read seeds it.

    Why it matters: The draws differ in every run.
    How it is computed: A function of `random` that draws is called; no file calls `random.seed`, a function that seeds
    everything (`set_seed`, `seed_everything`, `set_global_seed` and others by name), or a trainer of Hugging Face,
    which seeds when it is made. Asked only where the audit saw a program, not only a library.
    When it is wrong: The seed may be set by code outside of what was read, or the draws may come before the seed.
    Source: the documentation of `random`; DET003 of the rule catalogue.
    """
    return _unseeded(a, "random", "Python")


@_program_rule(
    "DET031",
    "numpy-random-without-seed",
    severity="warn",
    causes=("np.random.seed is never called",),
    fixes=("np.random.seed(seed) at the start, or better a generator that is passed on", _SEED_ALL),
)
def numpy_random_without_seed(a: AuditView) -> Signal | None:
    """Fires when a program draws from NumPy's global generator, and nothing that was read seeds it.

    Why it matters: The draws differ in every run.
    How it is computed: As for `python-random-without-seed`, with the functions of `numpy.random` and `np.random.seed`.
    When it is wrong: The seed may be set by code outside of what was read.
    Source: the documentation of `numpy.random.seed`; DET003 of the rule catalogue.
    """
    return _unseeded(a, "numpy", "NumPy")


@_program_rule(
    "DET032",
    "torch-without-seed",
    severity="warn",
    causes=("torch.manual_seed is never called",),
    fixes=("torch.manual_seed(seed) before the model is built", _SEED_ALL),
)
def torch_without_seed(a: AuditView) -> Signal | None:
    """Fires when a program draws from PyTorch's global generator or builds layers, and nothing that was read seeds it.

    Why it matters: The weights at the start, dropout and samples differ in every run.
    How it is computed: As for `python-random-without-seed`, with the functions of `torch` that draw and take no
    generator, `torch.nn.init`, and common layers; and `torch.manual_seed`.
    When it is wrong: The seed may be set by code outside of what was read.
    Source: PyTorch's notes on reproducibility; DET003 of the rule catalogue.
    """
    return _unseeded(a, "torch", "PyTorch")


@code_rule(
    "DET033",
    "seed-plus-rank",
    severity="info",
    causes=("each process got the seed plus its number",),
    fixes=(
        "derive the seed of a process: rldk.utils.seed.derive_seed(seed, rank), or SeedSequence([seed, rank])",
        "let the seeds of two runs differ by more than the number of processes",
    ),
)
def seed_plus_rank(a: AuditView) -> Signal | None:
    """Fires where a seed and the number of a process are added.

    Why it matters: Process 1 of the run with seed 1 draws exactly what process 0 of the run with seed 2 draws. Runs
    with neighbouring seeds are then not independent, and the spread over seeds is too small.
    How it is computed: A sum of a name that ends in `seed` and one that ends in `rank`, `worker_id`, `worker_index` or
    `process_index`.
    When it is wrong: The seeds of runs may be far apart, as with 0, 1000, 2000.
    Source: NumPy's documentation on parallel random number generation, which names `seed + worker_id` as unsafe.
    """
    one, many = "adds the number of a process to a seed", "add the number of a process to a seed"
    return signal_of(a, a.sites("seed-plus-rank"), one, many)
