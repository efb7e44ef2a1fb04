"""Reads progress.csv of OpenAI baselines and Stable-Baselines 2, and progress.txt of Spinning Up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec.structs import replace

from rldk.adapters.base import BaseAdapter, adapter
from rldk.adapters.formats.tabular import CsvTable, first_rows, read_table
from rldk.adapters.live.lineformat import LineFormat, by_keys
from rldk.adapters.live.tablerows import TableRows
from rldk.adapters.log import Log
from rldk.adapters.naming.first_rows import opening_of
from rldk.adapters.source import File

_ENOUGH = 2  # columns that only the algorithms of this logger write
# Columns of ppo2, a2c, acktr, acer; trpo and ppo1; deepq; ddpg; gail; her, as of openai/baselines 2017-2019.
_MARKS: dict[str, frozenset[str]] = {
    "baselines": frozenset(
        "eprewmean eplenmean nupdates serial_timesteps misc/nupdates misc/serial_timesteps misc/total_timesteps "
        "loss/approxkl loss/clipfrac loss/policy_entropy policy_entropy approxkl clipfrac mean_episode_reward "
        "EpLenMean EpRewMean EpThisIter EpisodesSoFar TimestepsSoFar TimeElapsed ev_tdlam_before loss_kl loss_vf_loss "
        "loss_pol_surr EVBefore EVAfter rollout/return rollout/return_history rollout/Q_mean obs_rms_mean obs_rms_std "
        "train/loss_critic train/loss_actor train/param_noise_distance reference_Q_mean reference_Q_std "
        "stats_o/mean stats_o/std stats_g/mean stats_g/std test/mean_Q".split()
    )
    | {"% time spent exploring", "mean 100 episode reward", "num episodes", "max 100 episode reward"},
    "spinup": frozenset(
        "AverageEpRet StdEpRet AverageTestEpRet EpRet TestEpRet TotalEnvInteracts LossPi LossV LossQ LossQ1 LossQ2 "
        "AverageVVals AverageQ1Vals AverageQVals AverageLogPi DeltaLossPi DeltaLossV EpLen TestEpLen".split()
    ),
}
_LONE = frozenset({"% time spent exploring"})  # one is enough


def identity(keys: Iterable[str]) -> dict[str, Any]:
    """The fields of `Log` that name the logger behind these columns; empty when it is unknown."""
    names = frozenset(keys)
    framework = next((f for f, marks in _MARKS.items() if len(marks & names) >= _ENOUGH or _LONE & names & marks), None)
    return {"framework": framework} if framework else {}


@adapter
class ProgressTable(BaseAdapter):
    """The column of steps is found as in any table (`misc/total_timesteps`, `total/steps`, `TotalEnvInteracts`). Some
    algorithms write no such column; then the row number is the step."""

    name: ClassVar[str] = "progress-table"
    describes: ClassVar[str] = "progress.csv of OpenAI baselines and Stable-Baselines 2, progress.txt of Spinning Up"
    quality: ClassVar[int] = 75
    keeps: ClassVar[str] = "every digit that was written, `nan` as NaN"
    loses: ClassVar[str] = "configuration; the step where the algorithm writes none"
    lines: ClassVar[LineFormat | None] = LineFormat(
        source=lambda: TableRows(CsvTable(eager=True)), identify=by_keys(identity)
    )

    @classmethod
    def sniff(cls, file: File) -> int:
        found = first_rows(file) if file.is_text else None
        return 80 if found is not None and identity(found[0]) else 0

    def read(self) -> Log:
        log = read_table(self)
        return replace(log, **identity(opening_of(log.table).keys))
