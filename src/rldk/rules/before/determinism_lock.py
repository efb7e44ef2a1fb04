"""DET: an environment that is no longer the one of its lock."""

from __future__ import annotations

from functools import partial

from rldk.core.audit.lock import LockDifference
from rldk.rules.audit import AuditView, code_rule, difference_words
from rldk.rules.rule import Signal

_lock_rule = partial(code_rule, needs=("lock",))
_UPDATE = "update the lock if the change is intended: `rldk env-audit --update`"


def _differs(a: AuditView, parts: tuple[str, ...], what: str) -> Signal | None:
    """The signal for differences in these parts of a lock."""
    found: list[LockDifference] = [d for d in a.lock or () if d.part in parts]
    if not found:
        return None
    message = f"{what} differ from the lock: {difference_words(found)}"
    evidence = {"differences": [{"part": d.part, "name": d.name, "locked": d.locked, "now": d.now} for d in found]}
    return Signal(value=float(len(found)), limit=0.0, metric=found[0].name, message=message, evidence=evidence)


@_lock_rule(
    "DET057",
    "packages-differ-from-lock",
    severity="warn",
    causes=("the environment was built again without its lock file", "a package was upgraded by hand"),
    fixes=("install the versions of the lock", _UPDATE),
)
def packages_differ_from_lock(a: AuditView) -> Signal | None:
    """Fires when Python, packages, their origins or lock files differ from `rldk.lock`.

    Why it matters: A new version of a sampler, a tokenizer or a numeric library changes results without any change of
    the code.
    How it is computed: The versions and origins of all packages, those of conda, the digests of the lock files of pip,
    uv, poetry and others, and Python itself are compared with the lock.
    When it is wrong: A package need not matter to the training.
    Source: OpenRLHF#1108, where two versions of vLLM gave other rewards (F95 of the rule catalogue).
    """
    return _differs(a, ("python", "packages", "origins", "conda", "lock_files"), "packages")


@_lock_rule(
    "DET058",
    "machine-differs-from-lock",
    severity="info",
    causes=("the audit runs on another machine", "the driver or a numeric library was changed"),
    fixes=("compare runs of one kind of machine, or allow for rounding", _UPDATE),
)
def machine_differs_from_lock(a: AuditView) -> Signal | None:
    """Fires when the machine, its limits, driver or numeric libraries differ from `rldk.lock`.

    Why it matters: Another processor, GPU, number of threads or BLAS adds in another order: equal seeds no longer give
    equal bits.
    How it is computed: The processor with its instruction sets, the number of processors, limits of the container,
    driver, GPUs, and the builds of PyTorch, BLAS and LAPACK are compared with the lock.
    When it is wrong: A difference need not change a number.
    Source: section 1.4 of the list of sources of nondeterminism: instruction sets, threads, hardware.
    """
    return _differs(a, ("machine", "libraries"), "machine and libraries")


@_lock_rule(
    "DET059",
    "variables-differ-from-lock",
    severity="warn",
    causes=("the launcher sets other variables",),
    fixes=("set the variables of the lock", _UPDATE),
)
def variables_differ_from_lock(a: AuditView) -> Signal | None:
    """Fires when environment variables that change results differ from `rldk.lock`.

    Why it matters: They decide about kernels, threads, hashes and number formats.
    How it is computed: The variables that rldk records are compared with the lock, except those of a single start.
    When it is wrong: The audit may run in another shell than the training.
    Source: F93 of the rule catalogue.
    """
    return _differs(a, ("variables",), "environment variables")
