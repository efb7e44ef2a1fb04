"""Real trainings of one configuration with several seeds, and the same with one knob changed, for `rldk diff`.

`python -m benchmarks.seed_groups train FOLDER` trains five families (PPO, A2C and DQN of Stable-Baselines3, GRPO and
RLOO of TRL): six seeds of each, and two further seeds with three times the learning rate, and with another weight of a
part of the reward. Every run is tracked with `ExperimentTracker`. `... judge FOLDER` compares every changed run with
the six, and every seed with the five others, and prints the tables of docs/diff.md.

`... train FOLDER --versions`, with the Python of another environment, trains the same configurations with the versions
of the libraries that are installed there: three runs of a family, one of them with the first seed.
`... versions FOLDER` compares them with the six, and the one with the run of its seed."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from rldk.core.catalogue import last_step
from rldk.core.manifest import read_manifest
from rldk.tracking import ExperimentTracker, TrackingConfig

SEEDS, CHANGED_SEEDS = 6, 2
ALONE = 4  # of the six seeds, those that are compared with the five others
OTHER_SEEDS = (0, 30, 31)  # beyond the first seed: those that are trained with other versions of the libraries
VERSIONS = "versions"  # stands in the names of these runs, in place of a knob
Settings = Mapping[str, Any]


class Family(Struct, frozen=True, kw_only=True):
    """A configuration, and the values of the knobs that are changed one at a time."""

    train: Callable[[ExperimentTracker, Path, Settings], None]
    base: Settings
    knobs: Settings


def _sb3(tracker: ExperimentTracker, _: Path, config: Settings) -> None:
    """A training of Stable-Baselines3; every dump of its logger goes to the tracker."""
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.logger import KVWriter, Logger

    class Writer(KVWriter):  # type: ignore[misc]
        def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
            tracker.log({key: value for key, value in key_values.items() if isinstance(value, int | float)}, step=step)

        def close(self) -> None:
            pass

    own = {"algorithm", "env", "n_envs", "timesteps", "cost_weight", "log_interval", "seed"}
    env = make_vec_env(lambda: _weighted(config["env"], config["cost_weight"]), config["n_envs"], seed=config["seed"])
    kind = getattr(sb3, config["algorithm"])
    model = kind("MlpPolicy", env, seed=config["seed"], **{k: v for k, v in config.items() if k not in own})
    model.set_logger(Logger(None, [Writer()]))
    model.learn(config["timesteps"], log_interval=config["log_interval"])


def _weighted(name: str, weight: float) -> Any:
    """The task with a cost taken from its reward: of the cart's distance from the middle, or of the torque."""
    import gymnasium
    import numpy as np
    from stable_baselines3.common.monitor import Monitor

    class Weighted(gymnasium.Wrapper):  # type: ignore[type-arg]
        def step(self, action: Any) -> Any:
            seen, reward, ended, cut, info = self.env.step(action)
            part = abs(float(seen[0])) if name.startswith("CartPole") else float(np.square(action).sum())
            return seen, float(reward) - weight * part, ended, cut, info

    return Monitor(Weighted(gymnasium.make(name)))


def _trl(tracker: ExperimentTracker, folder: Path, config: Settings) -> None:
    """A training of TRL with a tiny model; what it logs goes to the tracker."""
    from benchmarks import tiny

    class Log(tiny.callback_class()):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            tracker.log(dict(logs or {}), step=state.global_step)

    weight = config["length_weight"]

    def reward(completions: Any, **_: Any) -> list[float]:
        return [sum(letter in "aeiou" for letter in str(c)) - weight * len(str(c)) for c in completions]

    names = ("learning_rate", "beta", "temperature", "seed")
    more = {name: config[name] for name in names} | {"model": tiny.taught_model(), "per_device_train_batch_size": 16}
    if config["algorithm"] == "GRPO":
        trainer = tiny.grpo(folder / "out", config["max_steps"], [Log()], reward_funcs=reward, **more)
    else:
        trainer = _rloo(folder / "out", config["max_steps"], [Log()], reward, more)
    trainer.train()


def _rloo(folder: Path, steps: int, callbacks: list[Any], reward: Any, more: dict[str, Any]) -> Any:
    from trl import RLOOConfig, RLOOTrainer

    from benchmarks import tiny

    model = more.pop("model")
    args = tiny.settings(RLOOConfig, folder, steps, num_generations=4, max_completion_length=10, **more)
    return RLOOTrainer(
        model=model, reward_funcs=reward, args=args, train_dataset=tiny.prompts(),
        processing_class=tiny.tokenizer(), callbacks=callbacks,
    )  # fmt: skip


FAMILIES = {
    "sb3-ppo": Family(
        train=_sb3,
        base={
            "algorithm": "PPO", "env": "Pendulum-v1", "n_envs": 4, "n_steps": 128, "batch_size": 128, "n_epochs": 5,
            "learning_rate": 1e-3, "gamma": 0.95, "timesteps": 30720, "log_interval": 1, "cost_weight": 0.01,
        },
        knobs={"learning_rate": 3e-3, "cost_weight": 0.5},
    ),
    "sb3-a2c": Family(
        train=_sb3,
        base={
            "algorithm": "A2C", "env": "CartPole-v1", "n_envs": 8, "n_steps": 8, "learning_rate": 7e-4,
            "timesteps": 25600, "log_interval": 5, "cost_weight": 0.1,
        },
        knobs={"learning_rate": 2.1e-3, "cost_weight": 2.0},
    ),
    "sb3-dqn": Family(
        train=_sb3,
        base={
            "algorithm": "DQN", "env": "CartPole-v1", "n_envs": 1, "learning_rate": 1e-3, "learning_starts": 500,
            "buffer_size": 20000, "train_freq": 8, "gradient_steps": 4, "timesteps": 12000, "log_interval": 4,
            "cost_weight": 0.1,
        },
        knobs={"learning_rate": 3e-3, "cost_weight": 2.0},
    ),
    "sb3-dqn-defaults": Family(  # the default of learning_starts changed in Stable-Baselines3 2.3
        train=_sb3,
        base={
            "algorithm": "DQN", "env": "CartPole-v1", "n_envs": 1, "learning_rate": 1e-3, "buffer_size": 20000,
            "train_freq": 8, "gradient_steps": 4, "timesteps": 12000, "log_interval": 4, "cost_weight": 0.1,
        },
        knobs={},
    ),
    "trl-grpo": Family(
        train=_trl,
        base={
            "algorithm": "GRPO", "learning_rate": 4e-4, "beta": 0.04, "temperature": 1.0, "max_steps": 60,
            "length_weight": 0.05,
        },
        knobs={"learning_rate": 1.2e-3, "length_weight": 0.5},
    ),
    "trl-rloo": Family(
        train=_trl,
        base={
            "algorithm": "RLOO", "learning_rate": 4e-4, "beta": 0.04, "temperature": 1.0, "max_steps": 60,
            "length_weight": 0.05,
        },
        knobs={"learning_rate": 1.2e-3, "length_weight": 0.5},
    ),
}  # fmt: skip


def planned(name: str, first_seed: int) -> Iterator[tuple[str, Settings]]:
    """The directory and the configuration of every run of a family."""
    family = FAMILIES[name]
    for seed in range(first_seed, first_seed + SEEDS):
        yield f"{name}-base-{seed}", {**family.base, "seed": seed}
    for place, (knob, value) in enumerate(family.knobs.items(), 1):
        for extra in range(CHANGED_SEEDS):
            seed = first_seed + 10 * place + extra
            yield f"{name}-{knob}-{seed}", {**family.base, knob: value, "seed": seed}


def with_versions(name: str, first_seed: int) -> Iterator[tuple[str, Settings]]:
    """The same for the runs with other versions of the libraries: nothing of the configuration is changed."""
    for seed in (first_seed + more for more in OTHER_SEEDS):
        yield f"{name}-{VERSIONS}-{seed}", {**FAMILIES[name].base, "seed": seed}


def train(folder: Path, names: list[str], first_seed: int, *, versions: bool = False) -> None:
    """Trains what is not there yet, and prints the CPU time of each run."""
    for name in names:
        for run, config in (with_versions if versions else planned)(name, first_seed):
            if _finished(folder / run):
                continue
            began = time.process_time()
            given = TrackingConfig(
                experiment_name=run, experiment_id=run, output_dir=folder, metadata=dict(config),
                capture_conda_env=False, save_to_yaml=False,
            )  # fmt: skip
            with ExperimentTracker(given) as tracker:
                tracker.set_seeds(config["seed"], deterministic=False)
                FAMILIES[name].train(tracker, folder / run, config)
            print(f"{run}: {time.process_time() - began:.1f} s, last step {last_step(folder / run / 'metrics.jsonl')}",
                  flush=True)  # fmt: skip


class Outcome(Struct, frozen=True, kw_only=True):
    """One comparison. `knob`: what was changed, "seed" where nothing else was. `measured`: something other than the
    logged learning rate was called different, which is no measurement but an echo of the configuration."""

    family: str
    knob: str
    run: str
    diverged: bool
    measured: bool = False
    first_step: int | None
    first_mover: str | None
    cause: str
    question: str
    packages: tuple[str, ...] = ()


def judge(folder: Path, names: list[str], signals: str | None = None) -> Iterator[Outcome]:
    """Compares every changed run with the six seeds of its family, and the first seeds with the five others each."""
    from rldk.diff import first_divergence

    for name in names:
        bases = _by_seed(folder, f"{name}-base-*")
        pairs = [(one, "seed", [b for b in bases if b != one]) for one in bases[:ALONE]]
        for knob in FAMILIES[name].knobs:
            pairs += [(one, knob, bases) for one in sorted(folder.glob(f"{name}-{knob}-*"))]
        for run, knob, others in pairs:
            got = first_divergence(str(others[0]), str(run), signals, baseline_runs=[str(o) for o in others[1:]])
            cause = next(iter(got.suspected_causes), "")
            yield Outcome(
                family=name, knob=knob, run=run.name, diverged=got.diverged,
                measured=any(signal != "lr" for signal in got.tripped_signals), first_step=got.first_step,
                first_mover=got.first_mover, cause=cause, question=got.question,
            )  # fmt: skip


def judge_versions(folder: Path, names: list[str]) -> Iterator[Outcome]:
    """Compares every run with other versions with the six seeds; the one with the first seed with its like alone."""
    from rldk.diff import first_divergence

    for name in names:
        bases = _by_seed(folder, f"{name}-base-*")
        for run in _by_seed(folder, f"{name}-{VERSIONS}-*"):
            like = folder / f"{name}-base-{run.name.rpartition('-')[2]}"
            for others in ([like],) if like in bases else (bases,):
                got = first_divergence(str(others[0]), str(run), baseline_runs=[str(o) for o in others[1:]] or None)
                packages = [cause for cause in got.suspected_causes if cause.startswith("packages ")]
                yield Outcome(
                    family=name, knob=VERSIONS, run=run.name, diverged=got.diverged,
                    measured=any(signal != "lr" for signal in got.tripped_signals), first_step=got.first_step,
                    first_mover=got.first_mover, cause=next(iter(got.suspected_causes), ""), question=got.question,
                    packages=tuple(packages),
                )  # fmt: skip


def _by_seed(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), key=lambda path: int(path.name.rpartition("-")[2]))


def table(found: list[Outcome]) -> Iterator[str]:
    """One row a family and knob, and one for all."""
    yield "| family | changed | called different | in more than the logged rate | the key is the first cause |"
    yield "|---|---|---|---|---|"
    kinds = dict.fromkeys((one.family, one.knob) for one in found)
    groups = [(*kind, [one for one in found if (one.family, one.knob) == kind]) for kind in kinds]
    groups += [("all", "the seed only", [one for one in found if one.knob == "seed"])]
    groups += [("all", "a knob", [one for one in found if one.knob != "seed"])]
    for family, knob, each in groups:
        tripped = [one for one in each if one.diverged]
        named = sum(one.cause.startswith(f"config {one.knob}:") for one in tripped)
        first = "" if each and each[0].knob == "seed" else f"{named} of {len(tripped)}"
        more = sum(one.measured for one in tripped)
        yield f"| {family} | {knob} | {len(tripped)} of {len(each)} | {more} | {first} |"


def _finished(folder: Path) -> bool:
    record = read_manifest(folder) if folder.is_dir() else None
    return record is not None and record.status == "finished"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "judge", "versions"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", action="append", choices=FAMILIES)
    parser.add_argument("--signals", help="compare these instead of all")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--versions", action="store_true", help="train with the libraries of this environment instead")
    given = parser.parse_args()
    names = given.family or [name for name, family in FAMILIES.items() if family.knobs or given.versions]
    if given.what == "train":
        train(given.folder, names, given.first_seed, versions=given.versions)
        return
    if given.what == "versions":
        for one in judge_versions(given.folder, names):
            print(
                f"{one.run}: {one.question}, {one.first_step} {one.first_mover}, {'; '.join(one.packages) or one.cause}"
            )
        return
    found = list(judge(given.folder, names, given.signals))
    for one in found:
        print(f"{one.run}: {one.question}, {one.first_step} {one.first_mover}, {one.cause}")
    print(*table(found), sep="\n")


if __name__ == "__main__":
    main()
