"""What a rule may look at besides rows: each subject with a typed view of its own.

A view answers `has` for the inputs that a rule of its subject may need, so that a rule without them is skipped with the
reason in a reader's words (`MISSING`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

from msgspec import Struct, field

from rldk.core.checkpoint import PARTS, Checkpoint, Part
from rldk.core.difference import MetricDifference
from rldk.rules.answers_view import ANSWER_WORDS
from rldk.rules.sample_view import TALLY_WORDS
from rldk.rules.score_words import PAIR_WORDS, SCORE_WORDS

Subject = Literal[
    "rows",
    "samples",
    "records",
    "config",
    "env",
    "pair",
    "checkpoints",
    "tensors",
    "setup",
    "code",
    "weights",
    "replay",
    "resume",
    "profile",
    "scores",
    "rescored",
    "replicas",
    "answers",
]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
BY_ROW: frozenset[Subject] = frozenset(
    {"rows", "samples"}
)  # these get a frame for every row; "records" get a `SampleView` of every step; the others are looked at once

# what a run must have for rules over a subject, in a reader's words
WANTS: Mapping[Subject, str] = {
    "samples": "per-sample records (completions with their rewards or advantages)",
    "records": "per-sample records (completions, with what the trainer knows of each)",
    "config": "the run's configuration, which this log does not carry",
    "env": "facts about the machine and its packages, which this log does not carry",
    "pair": "a second run to compare the finished one with (--reference)",
    "checkpoints": "checkpoints in the directory of the run, which must be opened whole",
    "tensors": "measurements of a hook in the trainer",
    "setup": "the tokenizer, the data, the reward function or the model, which `rldk preflight` tries out",
    "code": "the source code, which `rldk env-audit` reads",
    "weights": "two checkpoints, which `rldk diff-ckpt` compares",
    "replay": "a replay of the run, which `rldk replay` makes",
    "resume": "runs that were stopped and resumed, which `rldk check-resume` makes",
    "profile": "a profile of the training, which `rldk profile` makes",
    "scores": "rewards with their answers, which `rldk reward-health` looks at",
    "rescored": "two scores of the same answers, which `rldk reward-drift` compares",
    "replicas": "traced replicas, which `rldk check-determinism --trace` runs",
    "answers": "the answers of an evaluation, which `rldk evals evaluate` looks at",
}
# what a rule over a subject looks at, in a reader's words
SEEN: Mapping[Subject, str] = {
    "records": "the samples of each step",
    "config": "the run's configuration",
    "env": "the environment that the run was started with",
    "pair": "the run beside an approved one",
    "checkpoints": "the files of the run's checkpoints",
    "tensors": "what a hook in the trainer measured",
    "setup": "what is tried out before a training, by `rldk preflight`",
    "code": "source code and environment, by `rldk env-audit`",
    "weights": "the tensors of two checkpoints, by `rldk diff-ckpt`",
    "replay": "a run and its replay, by `rldk replay`",
    "resume": "runs that were stopped and resumed, by `rldk check-resume`",
    "profile": "a training while it runs, by `rldk profile`",
    "scores": "rewards with their answers, by `rldk reward-health`",
    "rescored": "two scores of the same answers, by `rldk reward-drift`",
    "replicas": "the operations of two replicas, by `rldk check-determinism --trace`",
    "answers": "the answers of an evaluation, by `rldk evals evaluate`",
}
# what a rule over a subject may need of its view, in a reader's words; for "config" these are the concepts of `knobs`
MISSING: Mapping[Subject, Mapping[str, str]] = {
    "records": TALLY_WORDS,
    "scores": SCORE_WORDS,
    "rescored": PAIR_WORDS,
    "answers": ANSWER_WORDS,
    "env": {
        "variables": "the environment variables that the run was started with",
        "packages": "the packages that the run was started with",
    },
    "pair": {
        "seed": "the seed of both runs",
        "git_sha": "the commit of both runs",
        "config": "the configuration of both runs",
        "packages": "the packages of both runs",
        "differences": "metrics that both runs log",
    },
    "checkpoints": {
        "weights": "a checkpoint with weights",
        "optimizer": "a checkpoint with the optimiser's state",
        "scheduler": "a checkpoint with the state of the schedule",
        "random": "a checkpoint with the random state",
    },
    "tensors": {
        "checksum": "checksums of weights",
        "before": "checksums of weights from before the optimiser step",
        "trainable": "which parameters are trained",
        "norm": "norms of weights",
        "grad_norm": "norms of gradients by group",
        "update_norm": "norms of updates by group",
        "zero_share": "shares of exact zeros",
        "nonfinite": "counts of values that are not finite",
    },
    "code": {
        "code": "Python source code",
        "program": "a program: a file with a `__main__` guard, a notebook, or one file named by itself",
        "lock": "a lock of an earlier environment (rldk.lock)",
        "variables": "the environment variables",
    },
    "weights": {
        "weights": "weights that both checkpoints have, with the same shapes",
        "names": "weights",
        "ties": "weights that stand for one tensor, and are there in both",
        "layers": "six numbered layers of one kind",
        "adapters": "a LoRA adapter",
    },
    "replay": {
        "compared": "metrics that both the run and its replay log",
        "drift": "a record of the packages of the run",
        "inputs": "data, weights or a tokenizer with a recorded digest, in a known place",
        "lacking": "a record of the code of the run",
    },
    "resume": {
        "repeatable": "two uninterrupted runs that agree: a program that does not repeat itself cannot be judged",
        "resumed": "a run that was stopped and resumed",
        "killed": "a run that was killed while it ran, and resumed",
        "saving": "two runs, only one of them saving (put {save} into the command)",
        "states": "a record of the state at each optimizer step, which needs torch in the training",
        "inventory": "a checkpoint in a format that rldk reads",
        "writing": "a checkpoint file that was written twice",
    },
    "replicas": {"operations": "operations of torch, or steps of an environment"},
    "profile": {
        "memory": "samples of memory over more than a few seconds, which need /proc",
        "device": "a training that uses a GPU through torch, for more than a few seconds",
    },
    "setup": {
        "tokenizer": "a tokenizer",
        "data": "the data set",
        "rewards": "a reward function",
        "model": "a model",
        "first_step": "a command to run up to its first optimizer step",
        "tokenizer.prompt_added": "a tokenizer with a chat template, and prompts that are messages",
        "tokenizer.answer_extends_prompt": "a tokenizer with a chat template, and prompts that are messages",
        "tokenizer.turn_ends": "a tokenizer with a chat template, and prompts that are messages",
        "tokenizer.doubled": "a tokenizer with a BOS token, and prompts that are text",
        "model.embeddings": "a language model of transformers",
        "model.padding_gap": "a language model of transformers",
        "model.tied": "a language model of transformers",
        "model.needed_gib": "a model and a configuration",
        "model.memory_gib": "a model on a GPU",
        "data.over_limit": "prompts, a tokenizer, and a configured limit of their length",
        "data.no_answer": "a data set with a column of answers",
        "data.no_prompt": "a data set with a column of prompts",
        "data.repeated": "a data set with a column of prompts",
        "data.split": "a data set with prompts and answers",
        "data.needed": "a data set, and a configuration with the batch sizes",
        "data.overlap": "a data set and one for evaluation, both with prompts",
        "data.eval_form": "a data set and one for evaluation, both with prompts",
        "first_step.moved": "an optimizer step",
        "first_step.stray": "an optimizer step",
        "first_step.zero": "an optimizer step",
        "first_step.broken": "an optimizer step",
        "first_step.loss": "a loss that backward() is called on",
        "first_step.ratio_gap": "a trainer that shows the ratio (TRL's GRPO with old log-probabilities)",
    },
}


class SubjectView(Protocol):
    """What a rule that looks at something once is given."""

    def has(self, need: str) -> bool:
        """Whether the view has the input that a rule needs."""


class ConfigView(Struct, frozen=True, kw_only=True):
    """The configuration of a run, by concept (`rules.knobs.CONCEPTS`) or by the trainer's own keys."""

    values: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    algorithm: str | None = None
    framework: str | None = None
    total_steps: int | None = None

    def has(self, need: str) -> bool:
        return bool(self.key(need))

    def key(self, concept: str) -> str:
        """The trainer's own key for the concept, as this configuration spells it; "" where it has none."""
        return next((key for key in self.keys.get(concept, ()) if self.values.get(key) is not None), "")

    def get(self, concept: str) -> Any:
        """The value that the configuration has for the concept, unchanged; None where it has none."""
        return self.values.get(self.key(concept))

    def number(self, concept: str) -> float:
        """The same value as a number; NaN where it is not a number. A boolean is not a number."""
        found = self.get(concept)
        if isinstance(found, bool):
            return math.nan
        try:
            return float(found) if isinstance(found, int | float | str) else math.nan
        except ValueError:
            return math.nan

    def named(self, name: str) -> Any:
        """The value under the trainer's own key `name`; None where there is none."""
        return self.values.get(name)

    def count(self, *names: str, default: int | None = None) -> int | None:
        """The first of these keys whose value is a whole number above 0; `default` where none is."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, str) and value.strip().isdecimal():
                value = int(value)
            if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and value == int(value):
                return int(value)
        return default

    def is_on(self, *names: str) -> bool:
        """Whether one of these keys is a switch that is on, as a boolean or as text."""
        return any(str(self.values.get(name)).strip().lower() in ("true", "1", "yes", "on") for name in names)


class EnvView(Struct, frozen=True, kw_only=True):
    """The machine, the settings and the packages that a run was started with.

    `variables`: the recorded environment variables; a variable that is not among them was not set. None where none were
    recorded. `packages`: distribution -> version, by normalised name; None where they were not recorded. `config`: the
    run's configuration, because a trainer sets some of this itself."""

    variables: Mapping[str, str] | None = None
    packages: Mapping[str, str] | None = None
    python: str = ""
    platform: str = ""
    machine: str = ""
    cpus: int | None = None
    cuda_devices: tuple[str, ...] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    framework: str | None = None

    def has(self, need: str) -> bool:
        return getattr(self, need, None) is not None

    def variable(self, name: str) -> str | None:
        """The value of a recorded variable; None where it was not set."""
        return (self.variables or {}).get(name)

    def version(self, package: str) -> str | None:
        """The version of a package; None where it was not installed."""
        return (self.packages or {}).get(package)

    def asks(self, *keys: str) -> str:
        """The first of these configuration keys that is switched on (true, 1, "yes"), at any depth; "" where none is.

        A nested key matches by its last word: `trainer.full_determinism` is found as `full_determinism`."""
        for key, value in self.config.items():
            if key.rpartition(".")[2] in keys and str(value).strip().lower() in {"true", "1", "yes", "on"}:
                return key
        return ""


class RunFacts(Struct, frozen=True, kw_only=True):
    """One of two runs, without its rows. `steps`: the first and the last step of its log."""

    name: str
    seed: int | None = None
    git_sha: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    env: EnvView = field(default_factory=EnvView)
    steps: tuple[int, int] | None = None

    def has(self, need: str) -> bool:
        if need == "config":
            return bool(self.config)
        return getattr(self, need, None) is not None if hasattr(self, need) else self.env.has(need)


class PairView(Struct, frozen=True, kw_only=True):
    """Two runs: `first` is the earlier or approved one, `second` the one that is judged.

    `differences`: for each metric that both log, how they differ at their common steps, in the order of first
    divergence; metrics that never diverge come last. None where nothing was compared."""

    first: RunFacts
    second: RunFacts
    differences: tuple[MetricDifference, ...] | None = None

    def has(self, need: str) -> bool:
        if need == "differences":
            return bool(self.differences)
        return self.first.has(need) and self.second.has(need)

    def changed(self, *, ignore: frozenset[str] = frozenset()) -> dict[str, tuple[Any, Any]]:
        """The configuration keys whose values differ: key -> (first, second); None stands for a key that is missing.

        `ignore`: last words of keys that say nothing about the training, such as an output folder."""
        ours, theirs = self.first.config, self.second.config
        keys = [k for k in dict.fromkeys([*ours, *theirs]) if k.rpartition(".")[2] not in ignore]
        return {k: (ours.get(k), theirs.get(k)) for k in keys if ours.get(k) != theirs.get(k)}


class CheckpointsView(Struct, frozen=True, kw_only=True):
    """The checkpoints of a run by rising step; there is at least one. `config`: the run's configuration."""

    checkpoints: tuple[Checkpoint, ...]
    config: Mapping[str, Any] = field(default_factory=dict)

    def has(self, need: str) -> bool:
        return any(need in checkpoint.sizes for checkpoint in self.checkpoints)

    @property
    def newest(self) -> Checkpoint:
        return self.checkpoints[-1]

    def lost(self) -> dict[Part, Checkpoint]:
        """The parts that the newest checkpoint lacks, each with the last checkpoint that has it."""
        missing = [part for part in PARTS if part not in self.newest.sizes]
        held = {part: [c for c in self.checkpoints if part in c.sizes] for part in missing}
        return {part: found[-1] for part, found in held.items() if found}


Role = Literal["policy", "reference", "critic", "reward", "sampler"]


class TensorRecord(Struct, frozen=True, kw_only=True):
    """What a hook measured of one parameter, or of one group of parameters, at one step. NaN, None and "" stand for
    what was not measured.

    `name`: the parameter or the group ("layers.3", "lora", "value_head"). `role`: the model that it is part of. `size`:
    its number of elements. `checksum`: of a fixed sample of its elements; `before`: the same before the optimiser step.
    `zero_share`: the share of gradient elements that are exactly 0. `nonfinite`: elements that are NaN or infinite."""

    step: int
    name: str
    role: Role = "policy"
    trainable: bool | None = None
    size: int = 0
    checksum: str = ""
    before: str = ""
    norm: float = math.nan
    grad_norm: float = math.nan
    update_norm: float = math.nan
    zero_share: float = math.nan
    nonfinite: int | None = None

    def measured(self, what: str) -> bool:
        """Whether the hook measured this attribute."""
        value = getattr(self, what, None)
        return value is not None and value != "" and value == value


class TensorsView(Struct, frozen=True, kw_only=True):
    """What a hook in the trainer measured, by rising step."""

    records: tuple[TensorRecord, ...]

    def has(self, need: str) -> bool:
        return any(record.measured(need) for record in self.records)

    def of(self, role: Role, *, name: str | None = None) -> tuple[TensorRecord, ...]:
        """The records of one model, or of one parameter or group of it."""
        return tuple(r for r in self.records if r.role == role and name in {None, r.name})

    def names(self, role: Role) -> tuple[str, ...]:
        """The parameters and groups of one model, in the order in which they were first measured."""
        return tuple(dict.fromkeys(r.name for r in self.records if r.role == role))

    def steps(self) -> tuple[int, ...]:
        """The steps at which anything was measured."""
        return tuple(dict.fromkeys(r.step for r in self.records))
