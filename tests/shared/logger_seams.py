"""The seams for loggers, as the packages of trainers declare them. Recorded from verl 0.9.1 and OpenRLHF 0.11.2."""

from __future__ import annotations

import inspect
from typing import Any

VERL = {
    "__init__": "(self, project_name, experiment_name, default_backend='console', config=None)",
    "log": "(self, data, step, backend=None)",
    "finish": "(self, exit_code=0)",
}
OPENRLHF = {
    "log_train": "(self, global_step, logs_dict)",
    "log_eval": "(self, global_step, logs_dict)",
    "close": "(self)",
}


def signatures(kind: Any, names: Any) -> dict[str, str]:
    """The parameters of methods with their defaults, without types."""
    found = {}
    for name in names:
        plain = [p.replace(annotation=p.empty) for p in inspect.signature(getattr(kind, name)).parameters.values()]
        found[name] = str(inspect.Signature(plain))
    return found
