"""One training of `benchmarks.trl_matrix`, in the environment of one version of TRL. Prints its outcome as JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
LEFT = tuple(
    """m_events.jsonl m_metrics.csv m_alerts.json m_final_report.json m-ComprehensivePPOMonitor_health_summary.json
    m-AdvancedPPOMonitor_analytics.json m-CheckpointMonitor_checkpoint_summary.csv
    m-CustomRLDKCallback_benchmarks.json written.jsonl""".split()
)


def callbacks(folder: Path) -> list[Any]:
    """Every callback at once."""
    from rldk.integrations.trl import (
        AdvancedPPOMonitor,
        CheckpointMonitor,
        ComprehensivePPOMonitor,
        CustomRLDKCallback,
        EventWriterCallback,
        PPOMonitor,
        RLDKCallback,
        RLDKMonitor,
    )

    where = {"output_dir": folder, "echo": False}
    return [
        RLDKCallback(**where, run_id="m", samples=4),
        RLDKMonitor(**where),
        PPOMonitor(**where),
        AdvancedPPOMonitor(**where),
        CheckpointMonitor(**where),
        ComprehensivePPOMonitor(**where),
        CustomRLDKCallback(**where),
        EventWriterCallback(folder / "written.jsonl"),
    ]


def outcome(name: str, steps: int) -> dict[str, Any]:
    """Trains and says what came of it: the steps, the files that are missing, the failures inside rldk."""
    import trl

    from benchmarks import tiny

    folder = Path(tempfile.mkdtemp(prefix="rldk-matrix-"))
    attached = callbacks(folder)
    began = time.monotonic()
    trainer = tiny.TRAINERS[name](folder / "out", steps, attached, save_strategy="steps", save_steps=steps // 2)
    trainer.train()
    report = json.loads((folder / "m_final_report.json").read_text())
    metrics = report["numbers"]
    events = (folder / "m_events.jsonl").read_text().splitlines()
    return {
        "trl": trl.__version__,
        "trainer": name,
        "steps": int(trainer.state.global_step),
        "events": len(events),
        "rows": metrics["rows"],
        "missing": [left for left in LEFT if not (folder / left).exists()],
        "failures": report["meta"]["failures"],
        "findings": [f"{f['severity']} {f['code']} {f['message']}" for f in report["findings"]],
        "measured": sorted({k for line in events for k in json.loads(line)["metrics"] if k in IDENTITIES}),
        "seconds": round(time.monotonic() - began, 1),
    }


IDENTITIES = frozenset(
    "weights_changed_frac optimizer_coverage reference_drift ratio_first_minibatch_dev advantage_group_dev"
    " duplicate_completion_frac valid_token_frac rollout_logprob_diff_mean group_mixed_frac".split()
)


def main() -> None:
    name, steps = sys.argv[1], int(sys.argv[2])
    try:
        found = outcome(name, steps)
    except Exception as error:  # noqa: BLE001 - the outcome of a version is also that it does not work
        found = {"trainer": name, "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
