"""The hooks of `rldk check-resume` in real trainings of one process: each state that is lost is named, no other is."""

from __future__ import annotations

import random
import runpy
import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from rldk.resume.runs import HOOKS
from rldk.resume.states import StepState, lost_states, read_states
from rldk.rules.resumes import LostState

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.integration, pytest.mark.slow]
TRAINING = (Path(__file__).parents[1] / "shared" / "resumable_training.txt").read_text(encoding="utf-8")
Record = Callable[[Callable[[], object]], tuple[StepState, ...]]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    """Runs something with the hooks, and gives the states at its optimizer steps."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    spec = spec_from_file_location("rldk_states", HOOKS)
    assert spec is not None
    assert spec.loader is not None
    hooks = module_from_spec(spec)
    spec.loader.exec_module(hooks)
    current: list[Any] = [None]
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: hooks.before_step(current[0], optimizer))

    def recorded(work: Callable[[], object]) -> tuple[StepState, ...]:
        watch = current[0] = hooks.StateWatch(str(tmp_path / "states.jsonl"))
        Path(watch.path).unlink(missing_ok=True)
        with monkeypatch.context() as patched:
            hook_all(hooks, watch, patched)
            work()
        return read_states(Path(watch.path))

    yield recorded
    handle.remove()


def hook_all(hooks: Any, watch: Any, patched: pytest.MonkeyPatch) -> None:
    """Installs the hooks of environments and running means, to be taken back by `patched`."""
    import gymnasium.wrappers.common as common
    import stable_baselines3.common.monitor as monitor
    import stable_baselines3.common.running_mean_std as running
    import torch.utils.data.dataloader as loaders

    for kind, names in (
        (common.OrderEnforcing, ("step", "reset")),
        (monitor.Monitor, ("step", "reset")),
        (running.RunningMeanStd, ("update_from_moments",)),
        (loaders._BaseDataLoaderIter, ("__next__",)),
    ):
        for name in names:
            patched.setattr(kind, name, vars(kind)[name])  # put back what was there
    hooks.hook_environment(watch, common, name="OrderEnforcing")
    hooks.hook_environment(watch, monitor, name="Monitor")
    hooks.hook_running_mean(watch, running)
    hooks.hook_loader(watch, loaders)


def _lost(record: Record, whole: Callable[[], object], resumed: Callable[[], object], at: int) -> list[LostState]:
    states = record(whole)
    random.seed(77)  # a new process knows nothing of the one before
    torch.manual_seed(77)
    return list(lost_states(states, record(resumed), at))


LOSES = {
    "none": {},
    "rng": {"random": "generator of torch differs"},
    "scheduler": {"schedule": "learning rate is 0.00125 instead of 0.005"},
    "data": {"data": "it has seen other data"},
    "optimizer": {"optimizer": "AdamW is empty"},
    "kl": {"KL controller": "kl_ctl, is 0.2 instead of 0.2178"},
    "normaliser": {"normaliser": "scale has seen 4 values instead of 16"},
    "reference": {"reference": "reference has other weights"},
}


@pytest.mark.parametrize("lose", LOSES)
def test_a_lost_state_is_named_and_no_other(
    lose: str, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAINING)

    def run(out: str, steps: int, *more: str) -> Callable[[], object]:
        (tmp_path / out).mkdir(exist_ok=True)
        words = [str(script), "--out", str(tmp_path / out), "--steps", str(steps), "--lose", lose, *more]

        def work() -> None:
            monkeypatch.setattr(sys, "argv", words)
            runpy.run_path(str(script), run_name="__main__")

        return work

    record(run("first", 3))
    found = _lost(record, run("whole", 6), run("first", 6, "--resume", str(tmp_path / "first" / "checkpoint.pt")), 3)
    assert {one.kind for one in found} == set(LOSES[lose])
    for one in found:
        assert LOSES[lose][one.kind] in one.message


@pytest.mark.parametrize("saved", [True, False])
def test_a_lost_vec_normalize_is_named_beside_the_environment(saved: bool, record: Record, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    def environment() -> Any:
        return make_vec_env("CartPole-v1", n_envs=1, seed=0)

    def whole() -> None:
        settings: dict[str, Any] = {"n_steps": 32, "n_epochs": 1, "batch_size": 16, "seed": 0, "device": "cpu"}
        model = PPO("MlpPolicy", VecNormalize(environment()), policy_kwargs={"net_arch": [8]}, **settings)
        model.learn(64)
        model.save(tmp_path / "model")
        model.get_env().save(str(tmp_path / "normaliser.pkl"))
        model.learn(64, reset_num_timesteps=False)

    def resumed() -> None:
        path = str(tmp_path / "normaliser.pkl")
        env = VecNormalize.load(path, environment()) if saved else VecNormalize(environment())
        PPO.load(tmp_path / "model", env=env, device="cpu").learn(64, reset_num_timesteps=False)

    found = _lost(record, whole, resumed, 4)
    kinds = [one.kind for one in found if one.kind != "random"]  # loading seeds the generators again
    assert kinds[:1] == ["environment"]
    assert "began a new episode" in next(one.message for one in found if one.kind == "environment")
    assert ("normaliser" in kinds) == (not saved)
    assert set(kinds) <= {"environment", "normaliser"}, "the data of an environment is no lost order of data"


@pytest.mark.parametrize(
    ("keeps", "kinds"), [(("rng", "place"), set()), (("place",), {"random"}), (("rng",), {"data"})]
)
def test_a_loader_that_reads_ahead_has_lost_no_order(keeps: tuple[str, ...], kinds: set[str], record: Record) -> None:
    """The uninterrupted run has read the next batch before a step; the resumed one reads two before its first."""
    saved: dict[str, Any] = {}

    def train(begin: int, steps: int) -> None:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        batches = iter(torch.utils.data.DataLoader(torch.randn(40, 4), batch_size=4))
        if begin:
            model.load_state_dict(saved["model"])
            for _ in range(begin if "place" in keeps else 0):
                next(batches)
            torch.manual_seed(1)
            if "rng" in keeps:
                torch.set_rng_state(saved["rng"])
        ahead = next(batches)
        for step in range(begin, steps):
            batch, ahead = ahead, next(batches)
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()
            if step == 2:
                saved["model"] = {name: value.clone() for name, value in model.state_dict().items()}
                saved["rng"] = torch.get_rng_state()

    found = _lost(record, lambda: train(0, 6), lambda: train(3, 6), 3)
    assert {one.kind for one in found} == kinds
