"""The views that rules have of what a run has once: made from its context, its files, and an approved run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rldk.core.model import Run, RunMeta
from rldk.rules.knobs import CONCEPTS, keys_of
from rldk.rules.rule import Context, Rule
from rldk.rules.subject import CheckpointsView, ConfigView, EnvView, PairView, RunFacts, Subject, SubjectView


def context_views(context: Context) -> dict[Subject, SubjectView]:
    """The views of the configuration and of the environment, where the run states them."""
    views: dict[Subject, SubjectView] = {}
    if context.config:
        views["config"] = config_view(context)
    if context.environment or context.packages:
        views["env"] = env_view(context.environment, context.packages, context.config, context.framework)
    return views


def config_view(context: Context) -> ConfigView:
    """The configuration as rules see it, by concept and by key."""
    return ConfigView(
        values=context.config,
        keys={concept: keys_of(concept) for concept in CONCEPTS},
        algorithm=context.algorithm,
        framework=context.framework,
        total_steps=context.total_steps,
    )


def env_view(
    environment: Mapping[str, Any],
    packages: Mapping[str, str],
    config: Mapping[str, Any] | None = None,
    framework: str | None = None,
) -> EnvView:
    """The environment as rules see it. Whatever has an unexpected type counts as not recorded."""
    variables, devices, cpus = (environment.get(key) for key in ("variables", "cuda_devices", "cpus"))
    return EnvView(
        variables={str(k): str(v) for k, v in variables.items()} if isinstance(variables, Mapping) else None,
        packages=dict(packages) or None,
        python=_text(environment.get("python")),
        platform=_text(environment.get("platform")),
        machine=_text(environment.get("machine")),
        cpus=cpus if type(cpus) is int else None,
        cuda_devices=tuple(map(str, devices)) if isinstance(devices, list | tuple) else None,
        config=config or {},
        framework=framework,
    )


def run_views(rules: Iterable[Rule], run: Run, approved: Run | None) -> dict[Subject, SubjectView]:
    """The views of a finished run's checkpoints, and of it beside an approved run, as far as any rule asks for them."""
    asked = {rule.subject for rule in rules}
    views: dict[Subject, SubjectView] = {}
    if run.checkpoints and "checkpoints" in asked:
        views["checkpoints"] = CheckpointsView(checkpoints=run.checkpoints, config=run.meta.config)
    if approved is not None and "pair" in asked:
        views["pair"] = pair_view(approved, run)
    return views


def pair_view(first: Run, second: Run) -> PairView:
    """Two runs as rules see them; `second` is the one that is judged."""
    from rldk.engine.compare import compare  # loads numpy

    found = compare((first.metrics, second.metrics), sorted({*first.metrics.columns} & {*second.metrics.columns}))
    ordered = sorted(found.differences, key=lambda d: (d.diverges_at is None, d.diverges_at or 0, d.metric))
    return PairView(first=_facts(first), second=_facts(second), differences=tuple(ordered))


def _facts(run: Run) -> RunFacts:
    meta: RunMeta = run.meta
    steps = run.metrics.step
    return RunFacts(
        name=run.id,
        seed=meta.seed,
        git_sha=meta.git_sha,
        config=meta.config,
        env=env_view(meta.environment, meta.packages, meta.config, meta.framework),
        steps=(int(steps.min()), int(steps.max())) if len(steps) else None,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
