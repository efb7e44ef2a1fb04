"""DET: what keeps a run from being repeated: flags that contradict each other, other packages, replicas that part."""

from __future__ import annotations

from rldk.core.text import first_few
from rldk.rules.rule import Signal, rule
from rldk.rules.subject import EnvView, PairView

# switches of trainers by which a user asks for bitwise repeatable runs
_ASKS = ("use_deterministic_algorithms", "deterministic_algorithms", "deterministic_mode", "full_determinism")
_SETS_CUBLAS = "full_determinism"  # Transformers then sets the cuBLAS workspace itself, after the run was recorded
_CUBLAS = frozenset({":4096:8", ":16:8"})
# what a learner, a sampler or a reward is made of; other packages do not change numbers
_MATTER = frozenset(
    "accelerate bitsandbytes datasets deepspeed flash-attn gymnasium jax jaxlib liger-kernel math-verify megatron-core "
    "mujoco numpy openrlhf peft ray sglang stable-baselines3 tokenizers torch transformer-engine transformers triton "
    "trl unsloth verl vllm xformers".split()
)
_SHOWN = 3
# last words of configuration keys in which replicas may differ: where they write to and what they are called
_PLACES = frozenset(
    "output_dir logging_dir log_dir run_name exp_name experiment_name name default_local_dir tensorboard_dir report_to "
    "local_rank save_path timestamp hub_model_id".split()
)
# what the learner computes; times and memory differ between any two runs
_COMPUTED = frozenset(
    "loss policy_loss value_loss reward_mean kl kl_policy_update entropy grad_norm response_length_mean advantage_mean "
    "advantage_std clip_frac value_explained_variance".split()
)


def _drift(pair: PairView) -> dict[str, tuple[str | None, str | None]]:
    """The packages that matter and differ: name -> the version in the first and in the second run."""
    first, second = pair.first.env, pair.second.env
    if first.packages is None or second.packages is None:
        return {}
    both = {name: (first.version(name), second.version(name)) for name in sorted(_MATTER)}
    if first.python and second.python:
        both["python"] = (first.python, second.python)
    return {name: versions for name, versions in both.items() if versions[0] != versions[1]}


def _no_replicas(pair: PairView) -> str | None:
    first, second = pair.first, pair.second
    if first.seed != second.seed:
        return f"defined for runs with the same seed; these have {first.seed} and {second.seed}"
    if first.git_sha and second.git_sha and first.git_sha != second.git_sha:
        return "defined for runs of the same commit"
    changed = pair.changed(ignore=_PLACES)
    if changed:
        return f"defined for runs with the same configuration; `{next(iter(changed))}` differs"
    return "defined for runs with the same packages" if _drift(pair) else None


@rule(
    "DET001",
    "replicas-part",
    severity="info",
    tier=0,
    data="2",
    subject="pair",
    needs=("seed", "config", "differences"),
    unless_view=_no_replicas,
    causes=(
        "kernels that add in any order (atomics, batch-dependent inference)",
        "a source of randomness that the seed does not reach: workers, environments, the sampler's engine",
        "data that arrives in another order: asynchronous rollouts, directory listings",
    ),
    fixes=(
        "switch deterministic kernels on, and set PYTHONHASHSEED and CUBLAS_WORKSPACE_CONFIG where the run is started",
        "compare the first batch of both runs, then the first loss: if the batches differ, look at {dataloader}",
    ),
)
def replicas_part(pair: PairView) -> Signal | None:
    """Fires when two runs with the same seed and the same configuration do not log the same numbers.

    Why it matters: What cannot be repeated cannot be bisected, and a difference between two runs may be this noise.
    How it is computed: Both runs state the same seed and the same configuration apart from names and places (and the
    same commit and packages, where both are known). The rule compares losses, reward, KL, entropy, gradient norm,
    lengths, advantages and explained variance bit by bit at common steps and names the first step with another value.
    When it is wrong: Many trainers do not promise bitwise equal runs, so this is only information. A console that
    rounds hides the first differences.
    Source: verl `docs/advance/determinism.md`, verl#626, #3126 (F92 of the rule catalogue). An identity: the same
    program on the same input.
    """
    parted = [d for d in pair.differences or () if d.metric in _COMPUTED and d.diverges_at is not None]
    if not parted:
        return None
    first = parted[0]
    more = f" (so do {len(parted) - 1} more metrics then or later)" if len(parted) > 1 else ""
    message = f"this run has the seed and configuration of {pair.first.name}, but {first.metric} differs{more}"
    evidence = {"parted": {d.metric: d.diverges_at for d in parted}, "common_steps": first.n}
    return Signal(
        value=first.median, limit=0.0, metric=first.metric, message=message, step=first.diverges_at, evidence=evidence
    )


@rule(
    "DET002",
    "determinism-half-asked",
    severity="warn",
    tier=0,
    data="C",
    subject="env",
    needs=("variables",),
    unless_view=lambda env: None if env.asks(*_ASKS) else "defined for runs that ask for deterministic algorithms",
    causes=(
        "the variables were set inside the program, which is too late for them",
        "the launcher did not pass them on",
    ),
    fixes=(
        "set CUBLAS_WORKSPACE_CONFIG=:4096:8 and PYTHONHASHSEED=0 in the launcher, before Python starts",
        "set NVTE_ALLOW_NONDETERMINISTIC_ALGO=0",
    ),
)
def determinism_half_asked(env: EnvView) -> Signal | None:
    """Fires when the configuration asks for deterministic algorithms and the environment does not allow them.

    Why it matters: The run looks repeatable and is not: the order of sets changes from start to start, or matrix
    products add in any order.
    How it is computed: The configuration switches `use_deterministic_algorithms`, `deterministic_algorithms`,
    `deterministic_mode` or `full_determinism` on, and in the recorded environment at least one of these is wrong:
    PYTHONHASHSEED is not a number; CUBLAS_WORKSPACE_CONFIG is not `:4096:8` or `:16:8` (not asked for with
    `full_determinism`, which sets it itself, and not where no CUDA device is visible); NVTE_ALLOW_NONDETERMINISTIC_ALGO
    is 1.
    When it is wrong: A program may never iterate over a set of strings, or may start its workers with variables of
    their own.
    Source: PyTorch's notes on reproducibility (cuBLAS), the documentation of Python on PYTHONHASHSEED, Transformer
    Engine and Megatron on NVTE_ALLOW_NONDETERMINISTIC_ALGO (F93 of the rule catalogue).
    """
    key, wrong = env.asks(*_ASKS), []
    if not (env.variable("PYTHONHASHSEED") or "").isdecimal():
        wrong.append("PYTHONHASHSEED")
    cublas = env.variable("CUBLAS_WORKSPACE_CONFIG")
    own = cublas is None and (key.endswith(_SETS_CUBLAS) or env.cuda_devices == ())
    if cublas not in _CUBLAS and not own:
        wrong.append("CUBLAS_WORKSPACE_CONFIG")
    if env.variable("NVTE_ALLOW_NONDETERMINISTIC_ALGO") == "1":
        wrong.append("NVTE_ALLOW_NONDETERMINISTIC_ALGO")
    if not wrong:
        return None
    were = "is not set for it" if len(wrong) == 1 else "are not set for it"
    message = f"`{key}` is on, and {', '.join(wrong)} {were}"
    evidence = {name: env.variable(name) for name in wrong}
    return Signal(value=float(len(wrong)), limit=0.0, metric=wrong[0], message=message, evidence=evidence)


@rule(
    "DET005",
    "other-packages",
    severity="info",
    tier=0,
    data="2",
    subject="pair",
    needs=("packages",),
    causes=("the environment was built again without a lock file", "the runs come from different machines or images"),
    fixes=("install the versions of the approved run, or approve a run of the new ones",),
)
def other_packages(pair: PairView) -> Signal | None:
    """Fires when two runs were started with other versions of packages that training depends on.

    Why it matters: A new version of a sampler, a tokenizer or a trainer moves rewards without any change of the
    training.
    How it is computed: The rule compares the recorded versions of the packages that a learner, a sampler or a reward is
    made of (torch, transformers, trl, vllm, numpy and some twenty more), and that of Python.
    When it is wrong: A difference need not matter, so this is only information.
    Source: OpenRLHF#1108, where vLLM 0.8.1 and 0.8.3 gave other rewards (F95 of the rule catalogue).
    """
    drift = _drift(pair)
    if not drift:
        return None
    said = [f"{name} {old or 'none'} -> {new or 'none'}" for name, (old, new) in drift.items()]
    message = f"this run has other packages than {pair.first.name}: {first_few(said, _SHOWN)}"
    evidence = {name: [old, new] for name, (old, new) in drift.items()}
    return Signal(value=float(len(drift)), limit=0.0, metric=next(iter(drift)), message=message, evidence=evidence)


def _no_seed_control(pair: PairView) -> str | None:
    first, second = pair.first, pair.second
    if first.seed == second.seed:
        return f"defined for runs with two seeds; both of these have {first.seed}"
    if first.git_sha and second.git_sha and first.git_sha != second.git_sha:
        return "defined for runs of the same commit"
    return None


@rule(
    "DET006",
    "seed-without-effect",
    severity="warn",
    tier=0,
    data="2",
    subject="pair",
    needs=("seed", "differences"),
    unless_view=_no_seed_control,
    causes=(
        "the seed is read and never given to a generator",
        "the configuration names the seed in a place that the trainer does not read",
        "the program draws no random number at all",
    ),
    fixes=(
        "set every generator from the seed, as `rldk.utils.seed.set_global_seed(seed)` does",
        "let the program print the seed that it uses, and look at the configuration that the trainer has read",
    ),
)
def seed_without_effect(pair: PairView) -> Signal | None:
    """Fires when two runs with different seeds log the very same numbers.

    Why it matters: Several seeds of such a program are one run that was repeated. Their spread is zero, and every
    comparison of two methods over seeds is wrong.
    How it is computed: Both runs state a seed, and the seeds differ. The rule compares losses, reward, KL, entropy,
    gradient norm, lengths, advantages and explained variance bit by bit: all of them are equal at all common steps, of
    which there are at least two.
    When it is wrong: A program without any chance in it needs no seed. Two rounded logs of a few steps may agree.
    Source: section 1.5 of the notes on replicas: "seed has no effect" needs a run with another seed. An identity.
    """
    compared = [d for d in pair.differences or () if d.metric in _COMPUTED and d.n > 1]
    if not compared or any(d.diverges_at is not None for d in compared):
        return None
    names = ", ".join(d.metric for d in compared[:_SHOWN])
    message = f"this run has another seed than {pair.first.name} and the same numbers ({names})"
    evidence = {"seeds": [pair.first.seed, pair.second.seed], "equal": [d.metric for d in compared]}
    return Signal(value=0.0, limit=0.0, metric=compared[0].metric, message=message, evidence=evidence)
