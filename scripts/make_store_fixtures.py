"""Makes the W&B and MLflow test files under tests/fixtures with the real packages, from one small genuine training.

Run once by hand: `python scripts/make_store_fixtures.py`. It builds a virtual environment of its own, needs a package
index for that, and logs nothing anywhere else. The files hold no name of a user, host or path of this machine.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
PACKAGES = ("wandb==0.31.0", "mlflow==3.17.2")
STEPS, EVAL_EVERY, KILLED_AT, RESUME_AT = 40, 10, 35, 25
ARMS = (0.2, 0.5, 0.8)
CONFIG = {"seed": 7, "learning_rate": 0.3, "batch_size": 16, "max_steps": STEPS}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def training(seed: int) -> Iterator[tuple[int, dict[str, float]]]:
    """REINFORCE on a three-armed bandit: (step, metrics). One gradient norm is logged as NaN, one ratio as infinite."""
    rng, logits = random.Random(seed), [0.0] * len(ARMS)
    for step in range(1, STEPS + 1):
        weights = [math.exp(x) for x in logits]
        policy = [w / sum(weights) for w in weights]
        arms = rng.choices(range(len(ARMS)), policy, k=int(CONFIG["batch_size"]))
        rewards = [float(rng.random() < ARMS[arm]) for arm in arms]
        mean = sum(rewards) / len(rewards)
        gradient = [
            sum((r - mean) * ((arm == i) - policy[i]) for arm, r in zip(arms, rewards, strict=True)) / len(arms)
            for i in range(len(ARMS))
        ]
        loss = -sum((r - mean) * math.log(policy[arm]) for arm, r in zip(arms, rewards, strict=True)) / len(arms)
        logits = [x + CONFIG["learning_rate"] * g for x, g in zip(logits, gradient, strict=True)]
        metrics = {
            "train/loss": loss,
            "train/reward": mean,
            "train/entropy": -sum(p * math.log(p) for p in policy),
            "train/grad_norm": math.nan if step == 5 else math.hypot(*gradient),
            "train/ratio": math.inf if step == 6 else policy[2] / policy[0],
        }
        if step % EVAL_EVERY == 0:
            metrics["eval/reward"] = sum(p * arm for p, arm in zip(policy, ARMS, strict=True))
        yield step, metrics


def make_wandb(out: Path) -> None:
    """An offline run whose own step (`train/global_step`) is not the call counter, with all that is no number, too."""
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    import wandb

    with tempfile.TemporaryDirectory() as scratch:
        settings = wandb.Settings(
            root_dir=scratch,
            host="host",
            console="off",
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            x_disable_stats=True,
            x_disable_meta=True,
        )
        config = CONFIG | {"optimizer": {"name": "sgd", "momentum": 0.0}, "prompt": "A long prompt. " * 3000}
        with wandb.init(project="bandit", name="reinforce", id="abc123", config=config, settings=settings) as run:
            for step, metrics in training(7):
                row = {k: v for k, v in metrics.items() if k.startswith("train/")} | {"train/global_step": step * 10}
                run.log({"profiling/Time taken: rollout": step / 1000})
                run.log(row | {"nested": {"flag": step % 2 == 0, "note": "text"}})
                if "eval/reward" in metrics:
                    run.log({"eval/reward": metrics["eval/reward"], "train/global_step": step * 10})
            run.log({"weights": wandb.Histogram([1.0, 2.0, 3.0]), "train/global_step": STEPS * 10})
            run.summary["total_flos"] = 1.5e9
        wandb.teardown()  # the file is complete only when its writer has ended
        found = next(Path(scratch).rglob("run-*.wandb"))
        shutil.copyfile(found, out / found.name)


def log_mlflow(uri: str) -> None:
    """Three runs: one with restarted steps, one that logs without steps, one that logged nothing."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("bandit", artifact_location="file:///artifacts")
    tags = {"mlflow.source.git.commit": COMMIT, "mlflow.user": "user"}
    restarted = client.create_run(experiment, start_time=1_000_000, run_name="restarted", tags=tags).info.run_id
    for key, value in CONFIG.items():
        client.log_param(restarted, key, value)
    at = 1_000_000
    for first, seed in ((1, 7), (RESUME_AT, 8)):
        for step, metrics in training(seed):
            at += 500
            if step < first:
                continue
            for key, value in metrics.items():
                client.log_metric(restarted, key, value, timestamp=at, step=step)
            if step % EVAL_EVERY == 0:
                client.log_metric(restarted, "system/cpu_utilization_percentage", 50.0, timestamp=at, step=step // 10)
            if step == KILLED_AT and first == 1:
                break
    client.set_terminated(restarted, end_time=at)
    stepless = client.create_run(experiment, start_time=2_000_000, run_name="stepless").info.run_id
    for step, metrics in training(9):
        client.log_metric(stepless, "loss", metrics["train/loss"], timestamp=2_000_000 + step)
    client.set_terminated(stepless, end_time=2_001_000)
    client.set_terminated(client.create_run(experiment, start_time=3_000_000, run_name="empty").info.run_id)


def make_mlflow(files: Path, database: Path) -> None:
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ALLOW_FILE_STORE": "true"}
    with tempfile.TemporaryDirectory() as scratch:
        log_mlflow(f"file://{scratch}/mlruns")
        shutil.copytree(Path(scratch, "mlruns"), files / "mlruns")
        for meta in files.rglob("meta.yaml"):
            meta.write_text(meta.read_text().replace(scratch, ""))
        log_mlflow(f"sqlite:///{scratch}/mlflow.db")
        with contextlib.closing(sqlite3.connect(Path(scratch, "mlflow.db"))) as db:
            db.execute("UPDATE experiments SET artifact_location = replace(artifact_location, ?, '')", (scratch,))
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:  # the 50 empty ones of other features take 800 kB
                if db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,):
                    db.execute(f"DROP TABLE {table}")
            db.commit()
            db.execute("PRAGMA page_size = 1024")
            db.execute("VACUUM")
        shutil.copyfile(Path(scratch, "mlflow.db"), database / "mlflow.db")


def main() -> None:
    if "--inside" not in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            venv.create(folder, with_pip=True)
            python = str(Path(folder, "bin", "python"))
            subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
            subprocess.run([python, __file__, "--inside"], check=True)
        return
    os.environ["TZ"] = "UTC"
    time.tzset()
    outs = [FIXTURES / name for name in ("wandb-offline", "mlflow-file", "mlflow-sqlite")]
    for out in outs:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
    make_wandb(outs[0])
    make_mlflow(outs[1], outs[2])


if __name__ == "__main__":
    main()
