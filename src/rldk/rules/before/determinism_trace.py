"""DET: what the first operation that differs between two traced replicas says, by `rldk check-determinism --trace`."""

from __future__ import annotations

from rldk.rules.operations import OperationCause, ReplicaTraceView
from rldk.rules.rule import Signal, rule


def _signal(view: ReplicaTraceView, cause: OperationCause, how: str) -> Signal | None:
    """The signal of the first difference, where it has this cause. `how`: what differs, as a clause."""
    found = view.first(cause)
    if found is None:
        return None
    origin = found.origin
    earlier = f"; before it, {origin.what} at {origin.where} differs" if origin is not None else ""
    evidence = {
        "process": found.process,
        "event": found.first.number,
        "operation": found.first.what,
        "where": found.first.where,
        "module": found.first.module,
        "origin": "" if origin is None else origin.where,
    }
    return Signal(
        value=float(found.first.number),
        limit=float(view.operations),
        metric="first_event",
        message=f"the first event that differs is {found.first.words()}: {how}{earlier}",
        step=found.first.step,
        evidence=evidence,
    )


@rule(
    "DET100",
    "traced-input-differs",
    severity="critical",
    tier=0,
    data="2",
    subject="replicas",
    needs=("operations",),
    causes=(
        "data in another order: an unseeded shuffle, a set, a directory listing, workers that race",
        "numbers of NumPy or Python that no seed reaches",
        "an operation of another thread, of another process or of a compiled region, which the trace cannot see",
    ),
    fixes=(
        "seed the generator that makes the numbers, or sort what is iterated over",
        "run again with --counterfactual, to see whether the order of hashes decides",
    ),
)
def traced_input_differs(view: ReplicaTraceView) -> Signal | None:
    """Fires when the first event that differs between two replicas gets other numbers from outside the trace.

    Why it matters: Every kernel and every draw before it was the same, so the program reads other data. No
    deterministic kernel helps against that.
    How it is computed: Both replicas record for every operation that torch dispatches a digest of its tensors, of its
    other arguments, of the state of chance and of its result, in order. At the first event that differs, what goes in
    differs already, although no earlier event gave anything else: it comes from Python, NumPy, C, another thread or
    another process.
    When it is wrong: What a compiled region or another thread computes is not traced, so a kernel of theirs looks like
    this. The report names them where there are any.
    Source: section 1.3 of the notes on replicas, where an unseeded NumPy shuffle and the order of a set were named by
    their line. An identity: digests of equal bits are equal.
    """
    return _signal(view, "input", "what goes into it from outside differs")


@rule(
    "DET101",
    "traced-chance-differs",
    severity="critical",
    tier=0,
    data="2",
    subject="replicas",
    needs=("operations",),
    causes=(
        "a generator is seeded from the clock or from the system, or again in the middle of the training",
        "an earlier part of the program draws more or fewer numbers",
    ),
    fixes=(
        "give every generator a seed that follows from that of the run, once, at the start",
        "give evaluation and logging a generator of their own",
    ),
)
def traced_chance_differs(view: ReplicaTraceView) -> Signal | None:
    """Fires when the first event that differs between two replicas draws from a generator in another state.

    Why it matters: The data and the weights were still the same, so the seed is what is missing.
    How it is computed: Before every operation that draws random numbers the state of its generator is digested. At the
    first event that differs, this digest differs and everything else that goes in is equal. The report also names the
    last call before it that seeds or makes a generator and left another state, and the first draw from `random` or
    NumPy that gave something else.
    When it is wrong: The operation is the first that uses the state. The line that changed it is named only if it goes
    through `random`, `numpy.random` or `torch.manual_seed` and `torch.seed`.
    Source: section 1.3 of the notes on replicas (a `torch.seed()` before a dropout). An identity.
    """
    return _signal(view, "chance", "it draws from a generator in another state")


@rule(
    "DET102",
    "traced-kernel-differs",
    severity="critical",
    tier=0,
    data="2",
    subject="replicas",
    needs=("operations",),
    causes=(
        "a kernel that adds in the order in which threads finish: index_put_ with accumulate, scatter_add, atomics",
        "a library that chooses its algorithm again at each start (autotuning, cudnn.benchmark)",
    ),
    fixes=(
        "call torch.use_deterministic_algorithms(True), and set CUBLAS_WORKSPACE_CONFIG=:4096:8 in the launcher",
        "replace the operation by one that adds in a fixed order, or run it on one thread",
    ),
)
def traced_kernel_differs(view: ReplicaTraceView) -> Signal | None:
    """Fires when the first event that differs between two replicas gets the same bits and gives others.

    Why it matters: The program is repeatable up to this operation, and no seed helps: the kernel itself is not
    deterministic. Printed metrics may agree to six decimals while the weights already differ.
    How it is computed: At the first event that differs, the digests of its tensors, of its other arguments and of the
    state of chance are equal, and the digest of its result is not.
    When it is wrong: An operation that reads memory which another thread changes at the same time looks like this, too.
    Of tensors with more than 16,384 elements, results of elementwise operations are not read, and neither is what comes
    out of the forward pass into the backward pass where its origin is not remembered; a difference that arises there,
    as on a faulty device, is blamed on the next operation that reads it.
    Source: section 1.3 of the notes on replicas (`index_put_` with accumulate on two threads of a CPU); the list of
    operations in PyTorch's `torch.use_deterministic_algorithms`. An identity.
    """
    return _signal(view, "kernel", "the same bits go in, and others come out")


@rule(
    "DET103",
    "traced-order-differs",
    severity="critical",
    tier=0,
    data="2",
    subject="replicas",
    needs=("operations",),
    causes=(
        "results are taken in the order in which they are ready: as_completed, queues, ray.wait, threads",
        "the order of a set, of a directory listing, or of objects by their address",
        "a branch that depends on the clock or on what an earlier run has left behind",
    ),
    fixes=(
        "take results in the order in which they were asked for",
        "sort before iterating; let steps decide, not seconds",
    ),
)
def traced_order_differs(view: ReplicaTraceView) -> Signal | None:
    """Fires when two replicas do the same things in another order, or other things.

    Why it matters: Sums in another order differ in their last digits, and batches in another order give another
    training. Every number can be right and the run still cannot be repeated.
    How it is computed: The first event that differs is another operation, or one at another line; or it and the
    following events of its line have the same digests in both replicas, in another order.
    When it is wrong: A program that branches on a number that differed outside the trace also does other things.
    Source: section 1.4 of the notes on replicas (collection in the order of completion). An identity.
    """
    found = view.first("order")
    moved = found is not None and found.moved
    return _signal(view, "order", "the same values come in another order" if moved else "the replicas do other things")


@rule(
    "DET104",
    "traced-memory-differs",
    severity="critical",
    tier=0,
    data="2",
    subject="replicas",
    needs=("operations",),
    causes=("torch.empty, new_empty or resize_ gives memory with whatever was there, and not all of it is filled",),
    fixes=(
        "use torch.zeros, or fill the tensor before it is read",
        "torch.use_deterministic_algorithms(True) fills such memory with NaN, which shows where it is read",
    ),
)
def traced_memory_differs(view: ReplicaTraceView) -> Signal | None:
    """Fires when the first event that differs between two replicas reads memory that no operation had written to.

    Why it matters: The numbers are what another tensor has left there. They may be right for weeks.
    How it is computed: The trace knows which memory comes from `empty` and its relatives, and which of it an operation
    has written to. What such memory holds is not digested when it is read; its result is, and it differs.
    When it is wrong: NumPy or C may have filled the memory without an operation of torch; then their numbers differ.
    Source: PyTorch's `torch.utils.deterministic.fill_uninitialized_memory`. An identity.
    """
    return _signal(view, "memory", "it reads memory that no operation has written to")


@rule(
    "DET105",
    "traced-environment-differs",
    severity="critical",
    tier=0,
    data="2",
    subject="replicas",
    needs=("operations",),
    causes=(
        "the environment is reset without a seed",
        "the environment draws from a generator of its own, or reads the clock",
        "a simulator that runs on several threads",
    ),
    fixes=(
        "call env.reset(seed=...) once at the start, and env.action_space.seed(...)",
        "let the environment draw from self.np_random only",
    ),
)
def traced_environment_differs(view: ReplicaTraceView) -> Signal | None:
    """Fires when the first event that differs between two replicas is an environment's answer to the same action.

    Why it matters: The learner did nothing else until then: the environment is what cannot be repeated.
    How it is computed: Every call of `reset` and `step` of a Gymnasium environment is recorded with a digest of the
    action and of the answer. At the first event that differs, the action is the same and the answer is not.
    When it is wrong: An environment may keep state from before the trace. Environments in worker processes are not
    traced; their observations count as input from outside.
    Source: section 1.4 of the notes on replicas; the documentation of Gymnasium on `reset(seed=)`. An identity.
    """
    return _signal(view, "environment", "the same action goes in, and another answer comes out")
