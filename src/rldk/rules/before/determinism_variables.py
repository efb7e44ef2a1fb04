"""DET: environment variables that come too late, have a value that is not fit, or are not set."""

from __future__ import annotations

from functools import partial

from rldk.rules.audit import AuditView, code_rule, signal_of
from rldk.rules.determinism_flags import BY_NAME, THREADS, fixes_hashes, flags_for
from rldk.rules.rule import Signal

_variable_rule = partial(code_rule, needs=("code", "variables"))


@code_rule(
    "DET034",
    "hash-seed-too-late",
    severity="warn",
    causes=("PYTHONHASHSEED was set in the program, after Python had read it",),
    fixes=(
        "set it in the launcher: PYTHONHASHSEED=0 python train.py",
        "start the program with `rldk seed exec --seed 0 -- python train.py`",
    ),
)
def hash_seed_too_late(a: AuditView) -> Signal | None:
    """Fires where a program sets PYTHONHASHSEED for itself.

    Why it matters: Python reads the variable before it runs any code. The process goes on with the hashes it has; only
    its children are changed. Sets keep their random order, and everybody believes that they do not.
    How it is computed: An assignment to `os.environ["PYTHONHASHSEED"]`, `setdefault`, `putenv` or `update`, in a file
    that does not replace its own process (`os.exec...`).
    When it is wrong: The program may set it only for its children.
    Source: the documentation of Python on PYTHONHASHSEED; measured: after the assignment, `hash("a")` of the process
    and of its child differ.
    """
    one = "sets PYTHONHASHSEED, which does not change the process itself"
    return signal_of(
        a, a.sites("hash-seed-too-late"), one, "set PYTHONHASHSEED, which does not change the process itself"
    )


@code_rule(
    "DET050",
    "variable-not-fit",
    severity="warn",
    causes=("the value is a typing error, or was chosen for speed",),
    fixes=("set the value that the message names",),
)
def variable_not_fit(a: AuditView) -> Signal | None:
    """Fires when a variable that decides about determinism has a value that is not fit for it.

    Why it matters: A library ignores a value that it does not know, or takes it as permission for fast kernels.
    How it is computed: Each variable is compared with the set of values that its library accepts for deterministic
    runs, in the environment and in what the code assigns: CUBLAS_WORKSPACE_CONFIG (`:4096:8`, `:16:8`), NCCL_ALGO
    (those of Megatron-Core), NCCL_PROTO (`Simple`), NVTE_ALLOW_NONDETERMINISTIC_ALGO (0), the switches of
    FlashAttention, Mamba, causal-conv1d, vLLM, verl, Ascend and TensorFlow (1), and NVIDIA_TF32_OVERRIDE (0).
    When it is wrong: The run need not be repeatable bit by bit.
    Source: the documentation of each library; Megatron-Core fails hard on such values in its deterministic mode.
    """
    wrong = [
        (name, value) for name, value in sorted((a.env.variables or {}).items())
        if name in BY_NAME and name != "XLA_FLAGS" and not BY_NAME[name].accepts(value)
    ]  # fmt: skip
    if wrong:
        name, value = wrong[0]
        more = f"; {', '.join(n for n, _ in wrong[1:])} also" if wrong[1:] else ""
        message = f"{name} is {value[:60]!r}, and repeatable runs need {BY_NAME[name].advice}{more}"
        evidence = {"variables": dict(wrong)}
        return Signal(value=float(len(wrong)), limit=0.0, metric=name, message=message, evidence=evidence)
    sites = []
    for site in a.sites("sets-variable"):
        name, _, value = site.detail.partition("=")
        if value and name in BY_NAME and name != "XLA_FLAGS" and not BY_NAME[name].accepts(value):
            sites.append(site)
    advice = BY_NAME[sites[0].detail.partition("=")[0]] if sites else None
    said = f"{advice.name} to a value that is not fit for repeatable runs ({advice.advice})" if advice else ""
    return signal_of(a, sites, f"sets {said}", f"set variables such as {said}")


@_variable_rule(
    "DET051",
    "variables-not-set",
    severity="info",
    causes=("the launcher does not set them",),
    fixes=('set them in the launcher, before Python starts: `eval "$(rldk seed --env)"` prints some of them',),
)
def variables_not_set(a: AuditView) -> Signal | None:
    """Fires when libraries that the code imports have a switch for deterministic runs, and it is not set.

    Why it matters: Without the switch the library may choose kernels that add in any order.
    How it is computed: For each package that the code imports, the variables of a table are looked up in the
    environment and in what the code assigns. Those that are missing are named, unless the library is deterministic
    without them. Asked only for a program.
    When it is wrong: The launcher of the real run may set them, when this audit runs elsewhere; on a CPU most of them
    do nothing.
    Source: PyTorch, Megatron-Core, Transformer Engine, Mamba, verl, vLLM, Ascend, XLA and TensorFlow, each in its own
    documentation; F93 of the rule catalogue.
    """
    if not a.code.programs:
        return None
    missing = [f for f in flags_for(a.code.imports) if not f.by_default and a.variable(f.name) is None]
    if not missing:
        return None
    first = missing[0]
    more = f" and {', '.join(f.name for f in missing[1:])}" if missing[1:] else ""
    were = "are" if missing[1:] else "is"
    message = f"{first.name}{more} {were} not set; repeatable runs on a GPU need {first.name}={first.advice}"
    evidence = {"wanted": {f.name: f.advice for f in missing}}
    return Signal(value=float(len(missing)), limit=0.0, metric=first.name, message=message, evidence=evidence)


@_variable_rule(
    "DET052",
    "hash-seed-not-set",
    severity="warn",
    causes=("Python chooses the seed of its hashes at each start, unless it is told one",),
    fixes=("PYTHONHASHSEED=0 in the launcher, before Python starts", "`rldk seed exec --seed 0 -- python train.py`"),
)
def hash_seed_not_set(a: AuditView) -> Signal | None:
    """Fires when PYTHONHASHSEED does not fix the hashes of texts, in an environment that a program is started in.

    Why it matters: The order of every set of texts differs from start to start, also in libraries that were not read.
    How it is computed: The variable is not set, or is no number. It is a warning where the code itself walks a set or
    calls `hash()`, and information otherwise. Asked only for a program.
    When it is wrong: The launcher of the real run may set it, when this audit runs elsewhere.
    Source: the documentation of Python on PYTHONHASHSEED; F93 of the rule catalogue.
    """
    value = a.env.variable("PYTHONHASHSEED")
    if fixes_hashes(value) or not a.code.programs:
        return None
    depends = a.sees("set-order", "hash-of-text")
    why = ", and the code depends on the order of hashes" if depends else ""
    said = "is not set" if value is None else f"is {value[:40]!r}, which fixes nothing"
    message = f"PYTHONHASHSEED {said}{why}"
    return Signal(value=0.0, metric="PYTHONHASHSEED", message=message, severity="warn" if depends else "info")


@_variable_rule(
    "DET053",
    "threads-not-pinned",
    severity="info",
    causes=("the number of threads follows the machine",),
    fixes=("set OMP_NUM_THREADS and MKL_NUM_THREADS to the same numbers everywhere",),
)
def threads_not_pinned(a: AuditView) -> Signal | None:
    """Fires when a program uses numeric libraries, and nothing fixes the number of CPU threads.

    Why it matters: A sum over several threads is added in as many parts. On a machine with another number of
    processors the last bits differ.
    How it is computed: The code imports `numpy`, `scipy`, `torch`, `jax` or `tensorflow`; OMP_NUM_THREADS,
    MKL_NUM_THREADS and OPENBLAS_NUM_THREADS are set neither in the environment nor in the code. Asked for a program.
    When it is wrong: All runs may have the same number of processors.
    Source: PyTorch's notes on numerical accuracy; the documentation of oneMKL on conditional numerical reproducibility.
    """
    if not a.code.programs or not a.imports("numpy", "scipy", "torch", "jax", "tensorflow"):
        return None
    if any(a.variable(name) for name in THREADS):
        return None
    cpus = f" ({a.env.cpus} here)" if a.env.cpus else ""
    message = f"nothing fixes the number of CPU threads, so it follows the machine{cpus}"
    return Signal(value=0.0, metric=THREADS[0], message=message, evidence={"cpus": a.env.cpus})


@code_rule(
    "DET054",
    "variable-too-late",
    severity="warn",
    causes=("the variable is set after the library has read it, or after workers were started",),
    fixes=(
        "set it in the launcher, or above the first import",
        "Ray: name the variables in the runtime_env of ray.init",
    ),
)
def variable_too_late(a: AuditView) -> Signal | None:
    """Fires where a variable is set after the import of the library that reads it, or after Ray was started.

    Why it matters: The number of threads is read when the library is loaded. Workers of Ray get the variables that were
    set before `ray.init`, or that `runtime_env` names.
    How it is computed: At the top level of a file, OMP_NUM_THREADS, MKL_NUM_THREADS, OPENBLAS_NUM_THREADS,
    NUMEXPR_NUM_THREADS or MKL_CBWR is assigned below an import of NumPy, PyTorch, SciPy, JAX or TensorFlow; or any
    variable is assigned below a call of `ray.init`.
    When it is wrong: A library may read the variable late, or the driver alone may need it.
    Source: the documentation of OpenMP and OpenBLAS, and of Ray on runtime environments.
    """
    one, many = "sets a variable too late for what reads it", "set a variable too late for what reads it"
    return signal_of(a, a.sites("variable-too-late"), one, many)
