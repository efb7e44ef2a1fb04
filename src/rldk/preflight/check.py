"""Preflight as one call: everything that can be tried out before a training, judged by the rules of the doctor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rldk.core.model import Report
from rldk.errors import UsageError
from rldk.preflight.config_source import ConfigSource, read_config, source_of
from rldk.preflight.judge import Tried, judge
from rldk.preflight.packages import packages_of
from rldk.preflight.plan import load_of, per_step, plan
from rldk.preflight.rows import RowSet
from rldk.rules.knobs import CONCEPTS, keys_of
from rldk.rules.subject import ConfigView

# TRL's configuration classes: the first words of the name say the algorithm
_CLASSES = {
    "GRPOConfig": "grpo",
    "RLOOConfig": "rloo",
    "DPOConfig": "dpo",
    "KTOConfig": "kto",
    "SFTConfig": "sft",
    "RewardConfig": "reward_model",
    "PPOConfig": "ppo",
    "ORPOConfig": "orpo",
    "CPOConfig": "cpo",
}
Function = Callable[..., Any]


def preflight(  # noqa: PLR0913 - each is something else to look at
    config: Any = None,
    *,
    tokenizer: Any = None,
    reward_fn: Function | Sequence[Function] | None = None,
    dataset: Any = None,
    eval_dataset: Any = None,
    model: Any = None,
    data_collator: Function | None = None,
    prompt_column: str | None = None,
    answer_column: str | None = None,
    reward_kwargs: Mapping[str, Any] | None = None,
    processes: int | None = None,
    packages: str | os.PathLike[str] | Mapping[str, str] | None = None,
    framework: str | None = None,
    algorithm: str | None = None,
    time_limit_s: float = 10.0,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
) -> Report:
    """The report on a training that has not begun, of what is given.

    `config`: the path of a configuration, a mapping, or the trainer's own arguments (`GRPOConfig(...)`). `reward_fn`:
    one function or several, as TRL, verl or OpenRLHF call them; `reward_kwargs` are further arguments of theirs.
    `dataset`, `eval_dataset`: rows as mappings; their columns are found by the usual names unless they are given.
    `model`: a model of torch. `processes`: how many will train. `packages`: a requirements or lock file, the directory
    of a run, or versions by name; by default what is installed. `time_limit_s`: of one call of a reward function.
    `select`, `ignore`: codes, families or names of rules. Nothing that is given is changed.

    Raises `UsageError`, and the errors of reading the configuration."""
    if not any(x is not None for x in (config, tokenizer, reward_fn, dataset, model)):
        raise UsageError("nothing to look at", hint="give a config, a tokenizer, a reward_fn, a dataset or a model")
    source = _source(config, framework, algorithm)
    if processes is not None:
        source = _with(source, processes)
    view = view_of_source(source)
    rows = None if dataset is None else RowSet(dataset, prompt=prompt_column, answer=answer_column)
    others = None if eval_dataset is None else RowSet(eval_dataset, prompt=prompt_column, answer=answer_column)
    functions = [] if reward_fn is None else [reward_fn] if callable(reward_fn) else list(reward_fn)
    tried = Tried(source=source, packages=_packages(packages))
    if tokenizer is not None:
        from rldk.preflight.tokens import tokenizer_facts

        tried.tokenizer = tokenizer_facts(tokenizer, rows, model=model, collator=data_collator)
    if rows is not None:
        from rldk.preflight.rows import data_facts

        tried.data = data_facts(rows, others=others, **_lengths(tokenizer, rows, view))
    if functions:
        from rldk.preflight.reward import reward_facts

        limits = {"more": reward_kwargs, "limit_s": time_limit_s}
        tried.rewards = tuple(reward_facts(f, rows, **limits) for f in functions)  # type: ignore[arg-type]
    if model is not None:
        from rldk.preflight.network import model_facts

        pad = None if tried.tokenizer is None else tried.tokenizer.pad
        tried.model, tried.memory = model_facts(model, pad=pad, load=load_of(view) if source.values else None)
    tried.plan = plan(view, None if rows is None else rows.size) if source.values else {}
    return judge(tried, select, ignore)


def preflight_config(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    processes: int | None = None,
    packages: Path | None = None,
    framework: str | None = None,
    algorithm: str | None = None,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
) -> Report:
    """The report on a configuration file or a shell script, with overrides as hydra takes them."""
    source = read_config(path, overrides, framework=framework, algorithm=algorithm)
    if processes is not None:
        source = _with(source, processes)
    tried = Tried(source=source, packages=packages_of(packages), plan=plan(view_of_source(source)))
    return judge(tried, select, ignore)


def view_of_source(source: ConfigSource) -> ConfigView:
    """The configuration as rules see it."""
    return ConfigView(
        values=source.values,
        keys={concept: keys_of(concept) for concept in CONCEPTS},
        algorithm=source.algorithm,
        framework=source.framework,
    )


def _lengths(tokenizer: Any, rows: RowSet, view: ConfigView) -> dict[str, Any]:
    from rldk.preflight.tokens import prompt_lengths

    limit = view.count("max_prompt_length", "data.max_prompt_length")
    return {
        "lengths": [] if tokenizer is None else prompt_lengths(tokenizer, rows),
        "limit": limit,
        "needed": per_step(view)[0],
    }


def _source(config: Any, framework: str | None, algorithm: str | None) -> ConfigSource:
    if config is None:
        return ConfigSource(path="", framework=framework, algorithm=algorithm)
    if isinstance(config, str | os.PathLike):
        return read_config(Path(config), framework=framework, algorithm=algorithm)
    if isinstance(config, Mapping):
        return source_of(config, "the mapping", framework=framework, algorithm=algorithm)
    values = _values(config)
    name = type(config).__name__
    known = _CLASSES.get(name)
    source = source_of(values, name, framework=framework or ("trl" if known else None), algorithm=algorithm or known)
    if "world_size" not in values and isinstance(size := getattr(config, "world_size", None), int):
        source = _with(source, size)
    return source


def _values(config: Any) -> Mapping[str, Any]:
    """The settings of an object: by its own `to_dict`, or its attributes."""
    make = getattr(config, "to_dict", None)
    found = make() if callable(make) else {k: v for k, v in vars(config).items() if not k.startswith("_")}
    if not isinstance(found, Mapping):
        raise UsageError(f"{type(config).__name__} holds no settings", hint="give a path, a mapping or the arguments")
    return found


def _with(source: ConfigSource, processes: int) -> ConfigSource:
    """The configuration with the number of processes, under the keys that its trainer has for it."""
    from msgspec.structs import replace

    stated = {
        "verl": {"trainer.n_gpus_per_node": processes, "trainer.nnodes": 1},
        "openrlhf": {"actor.num_gpus_per_node": processes, "actor.num_nodes": 1},
    }.get(source.framework or "", {"num_processes": processes})
    return replace(source, values={**source.values, **stated})


def _packages(given: str | os.PathLike[str] | Mapping[str, str] | None) -> dict[str, str]:
    if isinstance(given, Mapping):
        return dict(given)
    return packages_of(None if given is None else Path(given))
