"""How the loop's numbers are called and written by each framework."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

# canonical -> the framework's name; what a framework does not log has no entry here
NAMES: dict[str, dict[str, str]] = {
    "verl": {
        "reward_mean": "critic/score/mean", "kl": "actor/reward_kl_penalty", "kl_coef": "actor/reward_kl_penalty_coeff",
        "entropy": "actor/entropy", "clip_frac": "actor/pg_clipfrac", "approx_kl": "actor/ppo_kl",
        "policy_loss": "actor/pg_loss", "grad_norm": "actor/grad_norm", "learning_rate": "actor/lr",
        "advantage_mean": "critic/advantages/mean", "advantage_max": "critic/advantages/max",
        "advantage_min": "critic/advantages/min", "response_length_mean": "response_length/mean",
        "truncated_frac": "response_length/clip_ratio", "tokens_step": "perf/total_num_tokens",
        "time_step_s": "perf/time_per_step", "value_loss": "critic/vf_loss", "grad_norm_value": "critic/grad_norm",
        "value_explained_variance": "critic/vf_explained_var", "value_mean": "critic/values/mean",
        "memory_cpu_gb": "perf/cpu_memory_used_gb", "return_mean": "critic/returns/mean",
        "rollout_logprob_diff_mean": "training/rollout_probs_diff_mean", "response_length_max": "response_length/max",
        "reward_max": "critic/score/max", "reward_min": "critic/score/min", "tokens_per_s": "perf/throughput",
        "eval_reward_mean": "val-core/toy/reward/mean@1",
    },
    "openrlhf": {
        "reward_mean": "reward", "kl": "kl", "entropy": "entropy_loss", "clip_frac": "ppo_clip_ratio",
        "approx_kl": "ppo_kl", "policy_loss": "policy_loss", "grad_norm": "actor_grad_norm",
        "learning_rate": "actor_lr",
        "response_length_mean": "response_length", "truncated_frac": "truncated", "value_loss": "critic_loss",
        "value_mean": "values", "grad_norm_value": "critic_grad_norm", "return_mean": "return",
        "reward_std": "rollout/reward_std", "group_reward_std": "group_reward_std",
        "rollout_logprob_diff_mean": "logprobs_diff", "time_step_s": "timing/step_total",
        "eval_reward_mean": "eval_toy_pass1",
    },
    "trl_grpo": {
        "reward_mean": "reward", "reward_std": "reward_std", "kl": "kl", "entropy": "entropy",
        "clip_frac": "clip_ratio/region_mean", "policy_loss": "policy_loss", "loss": "loss", "grad_norm": "grad_norm",
        "learning_rate": "learning_rate", "response_length_mean": "completions/mean_length",
        "truncated_frac": "completions/clipped_ratio", "tokens_seen": "num_tokens", "time_step_s": "step_time",
        "rollout_logprob_diff_mean": "sampling/sampling_logp_difference/mean",
        "zero_std_group_frac": "frac_reward_zero_std", "response_length_max": "completions/max_length",
        "eval_reward_mean": "eval_reward",
    },
    "trl_ppo": {
        "reward_mean": "objective/scores", "kl_sum": "objective/kl", "entropy": "policy/entropy_avg",
        "clip_frac": "policy/clipfrac_avg", "approx_kl_k2": "policy/approxkl_avg", "policy_loss": "loss/policy_avg",
        "value_loss": "loss/value_avg", "ratio_mean": "val/ratio", "learning_rate": "lr", "episodes": "episode",
    },
    "open_instruct": {
        "reward_mean": "scores", "kl": "objective/kl2_avg", "policy_loss": "loss/policy_avg", "loss": "loss/total_avg",
        "clip_frac": "policy/clipfrac_avg", "entropy": "policy/entropy_avg", "ratio_mean": "val/ratio",
        "response_length_mean": "val/sequence_lengths", "stop_rate": "val/stop_rate", "grad_norm": "optim/grad_norm",
        "advantage_mean": "val/advantages_mean", "advantage_max": "val/advantages_max",
        "advantage_min": "val/advantages_min", "learning_rate": "lr", "episodes": "episode",
        "rollout_logprob_diff_mean": "debug/vllm_vs_local_logprob_diff_mean", "eval_reward_mean": "eval/scores",
    },
    "skyrl": {
        "policy_loss": "policy/policy_loss", "loss": "policy/final_loss", "entropy": "policy/policy_entropy",
        "kl": "policy/policy_kl", "learning_rate": "policy/policy_lr", "grad_norm": "policy/grad_norm",
        "clip_frac": "policy/loss_metrics/clip_ratio", "ratio_mean": "policy/loss_metrics/is_ratio_mean",
        "rollout_logprob_diff_mean": "policy/rollout_train_logprobs_abs_diff_mean",
        "value_loss": "critic/critic_loss", "value_mean": "critic/values_mean", "reward_mean": "reward/avg_raw_reward",
        "advantage_mean": "loss/avg_raw_advantages", "response_length_mean": "generate/avg_num_tokens",
        "time_step_s": "timing/step", "eval_reward_mean": "eval/all/avg_score",
    },
    "slime": {
        "loss": "train/loss", "policy_loss": "train/pg_loss", "entropy": "train/entropy_loss",
        "clip_frac": "train/pg_clipfrac", "approx_kl": "train/ppo_kl", "kl": "train/kl_loss",
        "rollout_logprob_diff_mean": "train/train_rollout_logprob_abs_diff", "grad_norm": "train/grad_norm",
        "learning_rate": "train/lr-pg_0", "reward_mean": "rollout/raw_reward", "advantage_mean": "rollout/advantages",
        "response_length_mean": "rollout/response_lengths", "truncated_frac": "rollout/truncated_ratio",
        "time_step_s": "perf/step_time", "eval_reward_mean": "eval/toy",
    },
}  # fmt: skip
NAMES["canonical"] = {}
STEP = {"openrlhf": "global_step", "open_instruct": "training_step", "slime": "train/step"}


def written(row: dict[str, float], dialect: str, *, all_keys: bool) -> dict[str, float]:
    """The row under the framework's names; with `all_keys` the others keep their canonical ones."""
    names = NAMES[dialect]
    keep = all_keys or dialect == "canonical"
    step: dict[str, float] = {STEP.get(dialect, "step"): int(row["step"])}
    rest = {names.get(k, k): v for k, v in row.items() if k != "step" and (k in names or (keep and k not in _DERIVED))}
    return step | {k: float(f"{v:.6g}") for k, v in rest.items()}


_DERIVED = {
    "kl_sum",
    "approx_kl_k2",
    "tokens_seen",
    "episodes",
    "stop_rate",
    "advantage_max",
    "advantage_min",
    "reward_max",
    "reward_min",
    "return_mean",
    "tokens_per_s",
    "group_reward_std",
    "response_length_max",
}


class Log:
    """The file, in the layout `sink`."""

    def __init__(self, folder: Path, dialect: str, sink: str, *, all_keys: bool) -> None:
        self.folder, self.dialect, self.sink, self.all_keys = folder, dialect, sink, all_keys
        self.rows: list[dict[str, float]] = []

    def add(self, row: dict[str, float]) -> None:
        """One row."""
        self.rows.append(written(row, self.dialect, all_keys=self.all_keys))

    def close(self) -> None:
        """Writes the file."""
        key = STEP.get(self.dialect, "step")
        match self.sink:
            case "jsonl":
                self._lines("metrics.jsonl", [json.dumps(row) for row in self.rows])
            case "verl_file":
                self._lines(
                    "toy.jsonl", [_null(json.dumps({"step": r["step"], "data": _rest(r, key)})) for r in self.rows]
                )
            case "verl_console":
                self._lines("stdout.txt", [_console(row) for row in self.rows])
            case "openrlhf_console":
                self._lines("stdout.txt", [f"✨ Global step {int(r[key])}: {_rest(r, key)}" for r in self.rows])
            case "csv":
                self._csv()
            case "tensorboard":
                self._board(key)

    def _lines(self, name: str, lines: list[str]) -> None:
        (self.folder / name).write_text("".join(line + "\n" for line in lines))

    def _csv(self) -> None:
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        with (self.folder / "metrics.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, keys)
            writer.writeheader()
            writer.writerows(self.rows)

    def _board(self, key: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        board = SummaryWriter(str(self.folder / "runs" / "toy"))
        for row in self.rows:
            for name, value in _rest(row, key).items():
                board.add_scalar(name if "/" in name else f"train/{name}", value, int(row[key]))
        board.close()


def _rest(row: dict[str, float], key: str) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k != key}


def _null(line: str) -> str:
    return line.replace("NaN", "null").replace("-Infinity", "null").replace("Infinity", "null")


def _console(row: dict[str, float]) -> str:
    body = " - ".join(f"{k}:np.float64({v!r})" for k, v in row.items() if k != "step")
    return f"\x1b[36m(TaskRunner pid=38606)\x1b[0m step:{int(row['step'])} - {body}"
