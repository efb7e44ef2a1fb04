"""The monitor for OpenRLHF: `from rldk.integrations.openrlhf import OpenRLHFMonitor`."""

from __future__ import annotations

from rldk.integrations.openrlhf.counters import MachineCounters
from rldk.integrations.openrlhf.monitor import OpenRLHFMonitor, attach_to_trainers
from rldk.integrations.openrlhf.nodes import NodeRows

__all__ = ["MachineCounters", "NodeRows", "OpenRLHFMonitor", "attach_to_trainers"]
