"""`rldk forensics log-scan|kl-drift|doctor`."""

from __future__ import annotations

import click

from rldk.cli import doctor, kl_drift, log_scan


@click.group("forensics")
def command() -> None:
    """Look deeper into a PPO run: anomalies by name, drift of the KL.

    \b
    Examples:
      rldk forensics log-scan ppo.jsonl           list the anomalies by name
      rldk forensics kl-drift ppo.jsonl           say whether the KL drifted
    """


command.add_command(log_scan.command)
command.add_command(kl_drift.command)
command.add_command(doctor.command)
