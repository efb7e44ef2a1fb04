"""Trainers whose console has a line or a block for each step. Each is a few patterns for the reader of `steps`.

The keys are the names that the trainer uses for the same numbers in its other logs, if it writes any."""

from __future__ import annotations

from typing import ClassVar

from rldk.adapters.base import adapter
from rldk.adapters.consoles.steps import PrintedAdapter, PrintLayout
from rldk.adapters.live.lineformat import LineFormat
from rldk.core.text import later

_REST = "everything that is not printed: most metrics, digits beyond those shown, configuration"


@adapter
class PrimeRLConsole(PrintedAdapter):
    """Source: prime-rl, src/prime_rl/trainer/rl/train.py, `step_message`, and
    src/prime_rl/orchestrator/orchestrator.py; earlier versions print a colon after the names."""

    name: ClassVar[str] = "prime-rl-console"
    describes: ClassVar[str] = "the lines that prime-rl prints"
    keeps: ClassVar[str] = "loss, entropy, mismatch KL, gradient norm, learning rate; reward in the orchestrator's log"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"Step ",
        mark=later(r"\bStep (?P<step>\d{1,18}) +\| (?=.{0,400}(?:Mismatch KL|Async Level|Off-Policy|Peak Mem))"),
        keys={
            "Loss": "loss/mean",
            "Entropy": "entropy/all/mean",
            "Mismatch KL": "mismatch_kl/all/mean",
            "Grad. Norm": "optim/grad_norm",
            "Grad Norm": "optim/grad_norm",
            "LR": "optim/lr",
            "Throughput": "perf/throughput",
            "MFU": "mfu",
            "Reward": "reward/all/mean",
            "Val. Reward": "val_reward/all/mean",
            "Seq. Length": "seq_len/all/mean",
        },
        framework="prime_rl",
        dialect="prime_rl",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class MLAgentsConsole(PrintedAdapter):
    """Each summary of a behaviour is one line. Source: ml-agents, ml-agents/mlagents/trainers/stats.py,
    `ConsoleWriter.write_stats`."""

    name: ClassVar[str] = "mlagents-console"
    describes: ClassVar[str] = "the summaries that Unity ML-Agents prints"
    keeps: ClassVar[str] = "mean and deviation of the reward, seconds since the start"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"Step: ",
        mark=later(r"(?P<run>[^\s.:\]][^.:\]]{0,80})[.:] Step: (?P<step>\d{1,18})\. (?=Time Elapsed: |(?:Mean|No) )"),
        keys={
            "Mean Reward": "Environment/Cumulative Reward",
            "Std of Reward": "std_of_reward",
            "Mean Group Reward": "Environment/Group Cumulative Reward",
            "ELO": "Self-play/ELO",
        },
        framework="mlagents",
        dialect="mlagents",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class RslRlConsole(PrintedAdapter):
    """Each iteration is one block. Source: rsl_rl, rsl_rl/runners/on_policy_runner.py, `log`; later
    rsl_rl/utils/logger.py."""

    name: ClassVar[str] = "rsl-rl-console"
    describes: ClassVar[str] = "the blocks that rsl_rl prints (legged_gym, Isaac Lab)"
    keeps: ClassVar[str] = "losses, noise, reward, episode length and every reward term"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"Learning iteration ",
        mark=later(r"Learning iteration (?P<step>\d{1,18})/(?P<total>\d{1,18})"),
        block=True,
        keys={
            "Value function loss": "Loss/value_function",
            "Mean value_function loss": "Loss/value_function",
            "Mean value loss": "Loss/value_function",
            "Surrogate loss": "Loss/surrogate",
            "Mean surrogate loss": "Loss/surrogate",
            "Entropy": "Loss/entropy",
            "Mean entropy loss": "Loss/entropy",
            "Mean action noise std": "Policy/mean_noise_std",
            "Mean action std": "Policy/mean_noise_std",
            "Mean reward": "Train/mean_reward",
            "Mean total reward": "Train/mean_reward",
            "Mean episode length": "Train/mean_episode_length",
            "Computation": "Perf/total_fps",
            "collection": "Perf/collection time",
            "learning": "Perf/learning_time",
        },
        framework="rsl_rl",
        dialect="rsl_rl",
        algorithm="ppo",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class NemoRLConsole(PrintedAdapter):
    """Each step is one block. Source: NeMo-RL, nemo_rl/algorithms/grpo.py, "Training Results"."""

    name: ClassVar[str] = "nemo-rl-console"
    describes: ClassVar[str] = "the blocks that NeMo-RL prints"
    keeps: ClassVar[str] = "loss, reward, KL error of generation, lengths, times"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"= Step ",
        mark=later(r"={5,60} Step (?P<step>\d{1,18})/(?P<total>\d{1,18}) ={5,60}"),
        block=True,
        keys={
            "Loss": "train/loss",
            "Avg Reward": "train/reward",
            "Generation KL Error": "train/gen_kl_error",
            "Mean Generation Length": "train/mean_gen_tokens_per_sample",
            "Grad Norm": "train/grad_norm",
        },
        framework="nemo_rl",
        dialect="nemo_rl",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class MlxConsole(PrintedAdapter):
    """Each report is one line. Source: mlx-lm, mlx_lm/tuner/trainer.py; mlx-lm-lora for preference and GRPO
    training."""

    name: ClassVar[str] = "mlx-console"
    describes: ClassVar[str] = "the lines that mlx-lm and mlx-lm-lora print"
    keeps: ClassVar[str] = "loss, validation loss, learning rate, speed, memory; what mlx-lm-lora adds to them"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"Iter ",
        mark=later(r"\bIter (?P<step>\d{1,18}): (?=(?:Train|Val|loss|Total rewards|total_rewards)\b)"),
        keys={
            "Train loss": "loss",
            "Val loss": "eval_loss",
            "Val took": "eval_runtime",
            "Learning Rate": "learning_rate",
        },
        framework="mlx_lm",
        dialect="mlx_lm",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class RLGamesConsole(PrintedAdapter):
    """Each epoch is one line; another line comes when the mean return reaches a new best. Source: rl_games,
    rl_games/common/a2c_common.py, `print_statistics`, and the loops that call it."""

    name: ClassVar[str] = "rl-games-console"
    describes: ClassVar[str] = "the lines that rl_games prints (Isaac Gym, Isaac Lab)"
    keeps: ClassVar[str] = "frames per second, frames; the mean return of the epochs that reach a new best"
    loses: ClassVar[str] = f"the mean return of all other epochs; {_REST}"
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"fps step",
        mark=later(
            r"fps step: (?P<step_fps>\d{1,12}) fps step and policy inference: (?P<inference_fps>\d{1,12}) "
            r"fps total: (?P<total_fps>\d{1,12}) epoch: (?P<step>\d{1,18})(?:/(?P<total>\d{1,18}))?"
            r"(?: frames: (?P<frames>\d{1,18}))?"
        ),
        joins=True,
        aside=later(r"saving next best rewards: +\[?(?P<best>-?\d{1,12}\.?\d{0,12}(?:e[+-]?\d{1,3})?)\]"),
        keys={
            "step_fps": "performance/step_fps",
            "inference_fps": "performance/step_inference_fps",
            "total_fps": "performance/step_inference_rl_update_fps",
            "frames": "frame",
            "best": "best_mean_rewards",
        },
        framework="rl_games",
        dialect="rl_games",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class TianshouConsole(PrintedAdapter):
    """Progress bars show the count of environment steps, and each epoch has a line for its test. Source: tianshou,
    tianshou/trainer/base.py;
    later tianshou/trainer.py."""

    name: ClassVar[str] = "tianshou-console"
    describes: ClassVar[str] = "the progress bars and test lines that Tianshou prints"
    keeps: ClassVar[str] = "losses and return at each redraw, the test reward of an epoch"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"Epoch #",
        mark=later(r"Epoch #\d{1,18}: .{0,160}?\benv_step=(?P<step>\d{1,18})(?=,)"),
        aside=later(r"Epoch #\d{1,18}: (?=test_reward: )"),
        keys={"rew": "train/reward", "len": "train/length", "test_reward": "test/reward", "best_reward": "test/best"},
        framework="tianshou",
        dialect="tianshou",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class SampleFactoryConsole(PrintedAdapter):
    """A line comes every few seconds; the line after it has the return. Source: sample-factory,
    sample_factory/algo/runners/runner.py, `print_stats`."""

    name: ClassVar[str] = "sample-factory-console"
    describes: ClassVar[str] = "the lines that Sample Factory prints"
    keeps: ClassVar[str] = "the mean return of the first policy, frames per second, policy lag"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"Total num frames: ",
        mark=later(
            r"Fps is \(10 sec: (?P<fps>[\d.naif-]{1,20}),.{0,80}?Total num frames: (?P<step>\d{1,18})\."
            r"(?=.{0,400}Policy #0 lag: )"
        ),
        joins=True,
        aside=later(r"Avg episode reward: \[\(0, '(?P<reward>[\d.e+naif-]{1,24})'\)"),
        framework="sample_factory",
        dialect="sample_factory",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class DopamineConsole(PrintedAdapter):
    """Each iteration is one block. Source: dopamine, dopamine/discrete_domains/run_experiment.py."""

    name: ClassVar[str] = "dopamine-console"
    describes: ClassVar[str] = "the lines that Dopamine prints"
    keeps: ClassVar[str] = "mean return of training and evaluation episodes, steps per second"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"tarting iteration ",
        mark=later(r"\b[Ss]tarting iteration (?P<step>\d{1,18})"),
        block=True,
        keys={
            "Average undiscounted return per training episode": "Train/AverageReturns",
            "Average undiscounted return per evaluation episode": "Eval/AverageReturns",
            "Average training steps per second": "Train/AverageStepsPerSecond",
        },
        framework="dopamine",
        dialect="dopamine",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class RLlibLoop(PrintedAdapter):
    """Each iteration is one line, as the loop in RLlib's tutorials prints it: minimum, mean and maximum of the
    return."""

    name: ClassVar[str] = "rllib-loop-console"
    describes: ClassVar[str] = "the lines of the training loop in RLlib's tutorials"
    quality: ClassVar[int] = 30
    keeps: ClassVar[str] = "minimum, mean and maximum of the return, mean length"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b" reward ",
        mark=later(
            r"^ {0,6}(?P<step>\d{1,9}) reward +(?P<episode_reward_min>[\d.na-]{1,16})/ {0,12}"
            r"(?P<episode_reward_mean>[\d.na-]{1,16})/ {0,12}(?P<episode_reward_max>[\d.na-]{1,16})(?= |$)"
        ),
        keys={"len": "episode_len_mean"},
        framework="rllib",
        dialect="rllib",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()
