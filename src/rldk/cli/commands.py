"""The commands of `rldk`, by what a reader asks: their modules and one line of help each.

They stand here as text, so that `rldk --help` loads none of them."""

from __future__ import annotations

_COMPARE = "Compare groups of runs: scores with intervals, chance of improvement, speed of learning, spread of seeds."
_REWARD = "Say whether a reward is real: drift, saturation, calibration, shortcuts, leakage, length bias, wrong labels."

# heading -> name -> (module in `rldk.cli`, one line of help)
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "What broke": {
        "doctor": ("doctor", "Say what went wrong in a run, at which step, why, and what to change."),
        "preflight": ("preflight", "Check a training before it starts, and before a GPU is spent."),
        "monitor": ("monitor", "Watch a training while it runs: alert when something breaks."),
        "run": ("run", "Start a training and watch it."),
        "mismatch": ("mismatch", "Say why sampler and trainer disagree about the probabilities of the same tokens."),
        "forensics": (
            "forensics",
            "Look deeper: anomalies of a PPO run by name, drift of the KL, checkpoints, the environment.",
        ),
        "log-scan": ("log_scan", "Scan a PPO log for anomalies, by their documented names."),
        "diff-ckpt": ("comparing.diff_ckpt", "Say what changed between two checkpoints, tensor by tensor."),
        "profile": ("repeating.profile", "Say where the time of a training goes, and whether its memory grows."),
        "explain": ("explain", "Explain a rule, a metric or a topic."),
    },
    "Does it repeat": {
        "track": (
            "recording.track",
            "Record what a run stands on: commit, packages, machine, seeds, with tags and notes.",
        ),
        "runs": ("recording.runs", "List run directories, show what one of them says of its run, and compare two."),
        "verify": ("recording.verify", "Hash data, weights and code of a run again, and name what changed."),
        "restore": ("recording.restore", "Bring back the code and the configuration of a run, in a new folder."),
        "export": (
            "recording.export",
            "Write a run to one file for other tools: a bundle, RO-Crate, in-toto, MLflow, Croissant.",
        ),
        "env-audit": (
            "repeating.env_audit",
            "Say what in a program and its environment keeps runs from being repeated.",
        ),
        "check-determinism": (
            "repeating.check_determinism",
            "Run a training several times with the same seed, and say whether the runs agree.",
        ),
        "replay": (
            "repeating.replay",
            "Run a recorded run again from its record, and say whether it gives the same numbers.",
        ),
        "bisect": (
            "repeating.bisect",
            "Find the first bad commit, or version of a package, also where the outcome is noisy.",
        ),
        "check-resume": (
            "repeating.check_resume",
            "Stop, kill and resume a training, and say whether it stays the same and what was lost.",
        ),
        "seed": ("recording.seed", "Say what a seed sets, and start a command with its hashes fixed."),
        "dataset": (
            "recording.dataset",
            "Say what a dataset is, by a digest of its content, and which rows of it changed.",
        ),
        "lineage": ("recording.lineage", "Show which transformations made the data of a run, and hash it all again."),
    },
    "Is it better, is it real": {
        "diff": (
            "comparing.diff",
            "Say from where on run B differs from run A, and whether that is more than the noise of seeds.",
        ),
        "compare": ("comparing.compare", _COMPARE),
        "compare-runs": ("comparing.compare", _COMPARE),
        "reward": (
            "rewarding.reward",
            "Look at rewards and reward models: health, drift between versions, length bias.",
        ),
        "reward-health": (
            "rewarding.reward_health",
            _REWARD,
        ),
        "reward-drift": (
            "rewarding.reward_drift",
            "Say whether two reward models, or two versions of one, agree on the same answers.",
        ),
        "evals": (
            "evaluating.evals",
            "Evaluate answers with intervals, and say whether one model is better than another.",
        ),
        "eval": ("evaluating.eval_run", "Evaluate a run with a suite: the same as `rldk evals evaluate RUN`."),
        "card": ("cards", "Make a trust card: one page on whether a run repeats, drifted, or has a sound reward."),
        "bench": (
            "bench",
            "Measure the rules on labelled logs: what they find, and how often they raise a false alarm.",
        ),
    },
    "Files, rules, settings": {
        "ingest": ("ingest", "Read any training log into one table."),
        "emit": ("emit", "Append one measured value to a log file."),
        "validate-format": ("validate_format", "Say how rldk would read a file, and what is wrong with it."),
        "format-info": ("format_info", "List the log formats that rldk reads, and what each one keeps and loses."),
        "rules": ("rules", "List the rules and presets, show one, check a rule file and try it on a log."),
        "config": ("config", "Show which settings are in force and where each one came from."),
        "completion": ("completion", "Print the script that completes rldk commands in your shell."),
        "version": ("version", "Print the versions of rldk and Python."),
    },
}
COMMANDS: dict[str, tuple[str, str]] = {name: each for some in SECTIONS.values() for name, each in some.items()}
