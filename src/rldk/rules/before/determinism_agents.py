"""DET: environments, spaces and agents that have no seed; inference that depends on the batch."""

from __future__ import annotations

from rldk.core.audit.sites import Site
from rldk.rules.audit import AuditView, code_rule, signal_of
from rldk.rules.determinism_flags import BY_NAME
from rldk.rules.rule import Signal


@code_rule(
    "DET035",
    "environment-without-seed",
    severity="warn",
    causes=("reset() was called as in the older interface, where the seed was set apart",),
    fixes=("env.reset(seed=seed) once, at the first reset; later resets without a seed go on from there",),
)
def environment_without_seed(a: AuditView) -> Signal | None:
    """Fires where an environment is made and reset, and no reset in that file has a seed.

    Why it matters: Its generator takes fresh entropy: starts and noise differ in every run.
    How it is computed: `reset()` is called on a name that stands for `gymnasium.make(...)` or a vector of these, and
    the file calls neither `reset(seed=...)` nor `env.seed(...)`.
    When it is wrong: A wrapper may set the seed in another file.
    Source: the documentation of Gymnasium on `Env.reset`.
    """
    one, many = (
        "resets an environment that gets no seed in its file",
        "reset an environment that gets no seed in its file",
    )
    return signal_of(a, a.sites("environment-without-seed"), one, many)


@code_rule(
    "DET036",
    "space-without-seed",
    severity="info",
    causes=("a space has a generator of its own, which env.reset(seed=...) does not reach",),
    fixes=("env.action_space.seed(seed) once",),
)
def space_without_seed(a: AuditView) -> Signal | None:
    """Fires where actions or observations are sampled from a space, and no file seeds a space.

    Why it matters: Random actions differ in every run, even when the environment is seeded.
    How it is computed: `action_space.sample` or `observation_space.sample` is called, and `action_space.seed` is not.
    When it is wrong: A library may seed the space, or one sample may only serve to learn its shape.
    Source: the documentation of Gymnasium on `Space.seed`.
    """
    if a.sees("seeds-space"):
        return None
    one, many = "samples a space, and no file seeds one", "sample a space, and no file seeds one"
    return signal_of(a, a.sites("samples-space"), one, many)


@code_rule(
    "DET037",
    "agent-without-seed",
    severity="warn",
    causes=("the seed of an agent of Stable-Baselines3 is None by default",),
    fixes=("pass seed=... to the agent: it seeds Python, NumPy, PyTorch and the environment",),
)
def agent_without_seed(a: AuditView) -> Signal | None:
    """Fires where an agent of Stable-Baselines3 is made without a seed.

    Why it matters: Weights, exploration and the environment differ in every run.
    How it is computed: An algorithm of `stable_baselines3` or `sb3_contrib` is called without `seed`, or with None, and
    the file does not call `set_random_seed`.
    When it is wrong: The seed may be in options that are passed on from elsewhere; `**options` is not counted.
    Source: Stable-Baselines3, the default of `seed` in `BaseAlgorithm`.
    """
    one, many = "makes an agent without a seed", "make an agent without a seed"
    return signal_of(a, a.sites("agent-without-seed"), one, many)


@code_rule(
    "DET049",
    "sampler-depends-on-batch",
    severity="info",
    causes=("an engine puts requests into batches as they come, and the sum of a row depends on its batch",),
    fixes=(
        "vLLM: VLLM_BATCH_INVARIANT=1 (a beta feature of some GPUs), or max_num_seqs=1",
        "SGLang: enable_deterministic_inference=True, with the FlashInfer, FA3 or Triton backend",
    ),
)
def sampler_depends_on_batch(a: AuditView) -> Signal | None:
    """Fires where completions come from vLLM or SGLang without batch-invariant kernels.

    Why it matters: The same prompt with the same seed may give other tokens when it shares its batch with others.
    How it is computed: The code makes an engine of vLLM or SGLang, or sets `use_vllm=True`; VLLM_BATCH_INVARIANT is not
    1 in the environment or in the code, and `enable_deterministic_inference` is not True.
    When it is wrong: Tokens may be equal all the same, on one machine with one load.
    Source: the documentation of vLLM on batch invariance and of SGLang on deterministic inference; F92 and F94 of the
    rule catalogue.
    """
    invariant = BY_NAME["VLLM_BATCH_INVARIANT"].accepts(a.variable("VLLM_BATCH_INVARIANT") or "")
    kinds = ("engine-sglang",) if invariant else ("engine-sglang", "engine-vllm")
    one, many = "samples with kernels that depend on the batch", "sample with kernels that depend on the batch"
    return signal_of(a, a.sites(*kinds), one, many)


@code_rule(
    "DET055",
    "clock-controls-training",
    severity="info",
    causes=("the clock decides when to evaluate, save or stop",),
    fixes=("count steps instead of seconds",),
)
def clock_controls_training(a: AuditView) -> Signal | None:
    """Fires where a comparison with the clock decides whether to train, evaluate or save.

    Why it matters: A faster machine takes another path: it saves other steps, evaluates at other times, or stops later.
    Evaluations that draw random numbers move everything after them.
    How it is computed: The test of an `if` or a `while` compares the time, and its body calls a method named `save`,
    `evaluate`, `step`, `backward`, `learn`, `update`, `rollout` or the like.
    When it is wrong: The time limit may only serve as an emergency brake.
    Source: section 1.4 of the list of sources of nondeterminism: wall-clock control flow.
    """
    one, many = "lets the clock decide what is done", "let the clock decide what is done"
    return signal_of(a, a.sites("clock-controls-training"), one, many)


@code_rule(
    "DET056",
    "remote-reward",
    severity="info",
    causes=("the reward comes from a service that may change",),
    fixes=("record every answer with its prompt, and replay the record", "pin the model of the service"),
)
def remote_reward(a: AuditView) -> Signal | None:
    """Fires where a function that computes a reward asks a service.

    Why it matters: The answer may differ tomorrow, so that the run cannot be repeated from its own files.
    How it is computed: A request of `requests`, `httpx` or `urllib`, or a completion of a model's API, stands in a
    function whose name contains `reward`, `judge` or `grader`.
    When it is wrong: The service may be local and pinned.
    Source: section 1.4 of the list of sources of nondeterminism: network.
    """
    found: tuple[Site, ...] = a.sites("remote-reward")
    return signal_of(a, found, "asks a service for a reward", "ask a service for a reward")
