"""`rldk forensics env-audit|log-scan|kl-drift|diff-ckpt|compare-runs|doctor`."""

from __future__ import annotations

import click

from rldk.cli import doctor, kl_drift, log_scan
from rldk.cli.comparing import compare, diff_ckpt
from rldk.cli.repeating import env_audit


@click.group("forensics")
def command() -> None:
    """Look deeper: anomalies of a PPO run by name, drift of the KL, checkpoints, the environment.

    \b
    Examples:
      rldk forensics log-scan ppo.jsonl           list the anomalies by name
      rldk forensics kl-drift ppo.jsonl           say whether the KL drifted
      rldk forensics diff-ckpt old/ new/          say what changed in the weights
      rldk forensics env-audit train.py           say what keeps its runs from being repeated
    """


command.add_command(env_audit.command)
command.add_command(log_scan.command)
command.add_command(kl_drift.command)
command.add_command(diff_ckpt.command)
command.add_command(compare.command, "compare-runs")
command.add_command(doctor.command)
