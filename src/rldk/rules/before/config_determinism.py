"""CFG: switches in code that contradict each other."""

from __future__ import annotations

from rldk.rules.audit import AuditView, signal_of
from rldk.rules.rule import Signal, rule


@rule(
    "CFG022",
    "determinism-contradicted",
    severity="warn",
    tier=0,
    data="C",
    subject="code",
    needs=("code",),
    causes=("one switch was copied from a recipe for speed, the other from one for repeatable runs",),
    fixes=("torch.backends.cudnn.benchmark = False wherever deterministic kernels are asked for",),
)
def determinism_contradicted(a: AuditView) -> Signal | None:
    """Fires when code asks for deterministic kernels, and for kernels that are chosen by timing.

    Why it matters: Whoever reads one of the two lines believes the wrong thing. cudnn then chooses among its
    deterministic kernels by timing, and the choice differs from run to run.
    How it is computed: One function, or the top level of one file, switches `torch.backends.cudnn.deterministic` or
    deterministic algorithms on, and `torch.backends.cudnn.benchmark` too, in no other branch of an `if`.
    When it is wrong: Conditions may keep the two from running together.
    Source: PyTorch's notes on reproducibility: benchmarking may choose another algorithm even where only deterministic
    ones are allowed.
    """
    one = "switches cudnn.benchmark on where deterministic kernels are asked for"
    return signal_of(a, a.sites("determinism-contradicted"), one, one.replace("switches", "switch"))
