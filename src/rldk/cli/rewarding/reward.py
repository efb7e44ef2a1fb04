"""`rldk reward reward-drift|reward-health|length-bias`."""

from __future__ import annotations

import click

from rldk.cli.rewarding import length_bias, reward_drift, reward_health


@click.group("reward")
def command() -> None:
    """Look at rewards and reward models: health, drift between versions, length bias.

    \b
    Examples:
      rldk reward reward-health run --scores scores.jsonl --out health/
      rldk reward reward-drift rm-v1/ rm-v2/ --prompts answers.jsonl
      rldk reward length-bias --run-path completions.parquet
    """


command.add_command(reward_drift.command)
command.add_command(reward_health.group)
command.add_command(length_bias.command)
