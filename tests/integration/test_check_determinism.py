"""`rldk check-determinism` on real programs: each planted fault is named by its line, and nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rldk.determinism import DeterminismReport, check, launcher
from rldk.engine.processes.marked import MARK
from rldk.engine.replicas.launch import Handle, ReplicaCommand
from rldk.errors import InputError, RldkError, UnknownName, UsageError

DEMOS = Path(__file__).parents[2] / "examples" / "nondeterminism"
# script -> the line of the fault, the rule that names it, and the classes that such a difference may have
FAULTS = {
    "unseeded_shuffle": ("shuffler = random.Random()", "DET027", {"input-level", "seed ignored"}),
    "set_order": ("for task in tasks]", "DET020", {"input-level", "seed ignored"}),
    "reseeded_sampling": ("random.seed()", "DET026", {"input-level"}),
    "completion_order": ("as_completed(asked)", "DET024", {"numerically close", "chaotic"}),
    "time_seed": ("time.time_ns()", "DET025", {"seed ignored", "input-level"}),
}
ROWS = "for s in range(8): print('step', s, 'loss', 1.0 / (s + 1))\n"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    yield
    assert _alive(str(tmp_path)) == []


def _alive(folder: str) -> list[str]:
    """The commands of processes that replicas in this folder have left behind."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment = (place / "environ").read_bytes()
            if MARK.encode() in environment and f"PWD={folder}".encode() in environment:
                found.append((place / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _script(text: str, name: str = "train.py") -> str:
    Path(name).write_text(text)
    return f"{sys.executable} {name}"


def _demo(name: str) -> str:
    return f"{sys.executable} {DEMOS / name}.py --seed {{seed}}"


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named_by_its_line(name: str, tmp_path: Path) -> None:
    text, code, kinds = FAULTS[name]
    report = check(_demo(name), replicas=4, output_dir=tmp_path)
    line = next(n for n, row in enumerate((DEMOS / f"{name}.py").read_text().splitlines(), 1) if text in row)
    assert not report.passed
    assert report.classification in kinds
    assert (report.suspects[0].where, report.suspects[0].code) == (f"{name}.py:{line}", code)
    assert report.culprit.startswith(f"{name}.py:{line} ")


@pytest.mark.slow
def test_a_reseeded_generator_differs_from_that_step_on(tmp_path: Path) -> None:
    report = check(_demo("reseeded_sampling"), replicas=3, output_dir=tmp_path)
    assert report.first_divergence is not None
    assert report.first_divergence.step == 5


@pytest.mark.slow
def test_a_clean_script_gives_no_false_alarm_in_twenty_tries(tmp_path: Path) -> None:
    reports = [check(_demo("clean"), replicas=2, output_dir=tmp_path, jobs=2) for _ in range(20)]
    assert [(one.passed, one.classification) for one in reports] == [(True, "bitwise")] * 20


@pytest.mark.slow
def test_a_counterfactual_pair_confirms_the_order_of_hashes(tmp_path: Path) -> None:
    report = check(_demo("set_order"), replicas=3, output_dir=tmp_path, counterfactual=True)
    equal = {one.source.partition(" (")[0]: one.equal for one in report.experiments}
    assert equal == {"the order of hashes": True, "CPU threads of numerical libraries": False}
    assert report.suspects[0].score > 10
    assert not check(_demo("clean"), replicas=2, output_dir=tmp_path, counterfactual=True).experiments


@pytest.mark.slow
def test_stress_finds_a_dependence_that_plain_replicas_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    report = check(_demo("set_order"), replicas=2, output_dir=tmp_path, stress=True)
    assert report.passed
    differing = [one.source for one in report.experiments if one.equal is False]
    assert differing == ["PYTHONHASHSEED=1"]


WRITERS = {
    "prints": "for s in range(9): print(f'step {s} loss {1 / (s + 1)} reward_mean {s}')\n",
    "a log that it appends to": "import json\nwith open('log.jsonl', 'a') as f:\n"
    "  for s in range(9): f.write(json.dumps({'step': s, 'loss': 1 / (s + 1), 'reward_mean': s}) + '\\n')\n",
    "a log in {out}": "import json, sys\nwith open(sys.argv[1] + '/log.jsonl', 'w') as f:\n"
    "  for s in range(9): f.write(json.dumps({'step': s, 'loss': 1 / (s + 1), 'reward_mean': s}) + '\\n')\n",
    "a table": "with open('progress.csv', 'w') as f:\n  f.write('step,loss,reward_mean\\n')\n"
    "  for s in range(9): f.write(f'{s},{1 / (s + 1)},{s}\\n')\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("jobs", [1, 3])
def test_metrics_are_read_wherever_the_command_puts_them(how: str, jobs: int, tmp_path: Path) -> None:
    cmd = _script(WRITERS[how]) + " {out}"
    report = check(cmd, "loss,reward_mean", replicas=3, jobs=jobs, output_dir=tmp_path / "kept")
    assert (report.passed, report.numbers["steps"]) == (True, 9)
    assert set(report.meta["metrics"]) == {"loss", "reward_mean"}
    assert [one.rows for one in report.replicas] == [9, 9, 9]


@pytest.mark.slow
def test_a_seed_without_effect_is_no_pass(tmp_path: Path) -> None:
    report = check(_script(ROWS) + " {seed}", replicas=2, output_dir=tmp_path)
    assert (report.passed, report.classification) == (False, "seed ignored")
    assert [(f.code, f.severity) for f in report.findings] == [("DET006", "warn")]


@pytest.mark.slow
def test_other_steps_are_structural(tmp_path: Path) -> None:
    text = "import os\nn = 5 + os.path.exists('seen')\nopen('seen', 'w').close()\n"
    report = check(
        _script(text + "for s in range(n): print('step', s, 'loss', 1.0)\n"), replicas=2, output_dir=tmp_path
    )
    assert (report.passed, report.classification) == (False, "structural")


@pytest.mark.slow
def test_a_replica_that_fails_after_one_that_did_not_is_structural(tmp_path: Path) -> None:
    text = ROWS + "import os\nif os.path.exists('seen'): raise SystemExit(3)\nopen('seen', 'w').close()\n"
    report = check(_script(text), replicas=3, output_dir=tmp_path)
    assert report.classification == "structural"
    assert "exit code 3" in report.verdict


HOSTILE: dict[str, tuple[str, type[RldkError], str]] = {
    "ends with an error": ("raise ValueError('no data')", InputError, "exit code 1"),
    "measures nothing": ("print('hello')", InputError, "ended well, but"),
    "prints nothing": ("pass", InputError, "wrote and printed nothing"),
    "hangs": ("import time, signal\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(600)", InputError, "time limit"),
    "prints without end": ("while True: print('x' * 100000)", InputError, "printed more than"),
    "writes gigabytes": (
        "import sys\nwhile True:\n  with open(sys.argv[1] + '/big', 'ab') as f: f.write(bytes(1 << 20))",
        InputError,
        r"wrote more than 0.05 GiB into \{out\} and was ended",
    ),
    "spawns children that flood": (
        "import subprocess, sys\ncode = \"while True: print('x' * 100000)\"\n"
        "for _ in range(3): subprocess.Popen([sys.executable, '-c', code], start_new_session=True)\n"
        "import time\ntime.sleep(600)",
        InputError,
        "printed more than",
    ),
    "hangs with a child in another session": (
        "import os, time, signal\nif not os.fork():\n  os.setsid()\n  signal.signal(15, signal.SIG_IGN)\n"
        "time.sleep(600)",
        InputError,
        "time limit",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_command_ends_in_one_clear_message(how: str, tmp_path: Path) -> None:
    text, kind, message = HOSTILE[how]
    limit = 1.5 if "hangs" in how else 60.0
    with pytest.raises(kind, match=message) as caught:
        check(_script(text) + " {out}", replicas=2, timeout=limit, max_output_gib=0.05, output_dir=tmp_path / "kept")
    assert caught.value.hint
    assert sum(path.stat().st_size for path in (tmp_path / "kept").rglob("*") if path.is_file()) < 4 << 20


@pytest.mark.slow
def test_orphans_in_other_sessions_are_ended_and_reported(tmp_path: Path) -> None:
    orphan = "import os, time\nif not os.fork():\n  os.setsid()\n  if not os.fork(): time.sleep(600)\n  os._exit(0)\n"
    report = check(_script(orphan + ROWS), replicas=2, output_dir=tmp_path)
    assert report.passed
    assert [one.left for one in report.replicas] == [1, 1]


def test_a_missing_program_is_a_wrong_call_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-program"):
        check("no-such-program {seed}", output_dir=tmp_path)


@pytest.mark.parametrize("wrong", [{"replicas": 1}, {"tolerance": -1.0}, {"stride": 0}, {"steps": 0}])
def test_wrong_arguments_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        check("true", **wrong)  # type: ignore[arg-type]


def test_an_unknown_launcher_is_named() -> None:
    with pytest.raises(UnknownName, match="moon"):
        check("true", launcher="moon")


def test_another_launcher_starts_every_replica(tmp_path: Path) -> None:
    from rldk.engine.replicas.launchers.local import LocalLauncher

    started: list[str] = []

    @launcher("counting")
    class Counting(LocalLauncher):
        def start(self, command: ReplicaCommand) -> Handle:
            started.append(command.label)
            return super().start(command)

    assert check(_script(ROWS) + " {seed}", replicas=2, output_dir=tmp_path, launcher="counting").replicas
    assert started == ["replica-1", "replica-2", "control"]


SB3 = """
import sys
from stable_baselines3 import PPO
model = PPO("MlpPolicy", "CartPole-v1", seed=int(sys.argv[1]), n_steps=64, device="cpu", verbose=1)
model.learn(256, log_interval=1)
"""
TFEVENTS = """
import os, random, struct, sys
from rldk.adapters.wire.tfrecord import masked_crc32c as crc
def framed(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", crc(length)) + data + struct.pack("<I", crc(data))
def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data
random.seed(int(sys.argv[1]))
os.makedirs("logs", exist_ok=True)
with open(f"logs/events.out.tfevents.{os.getpid()}", "wb") as f:
    f.write(framed(b"\\x09" + struct.pack("<d", 1.0) + b"\\x1a\\x0dbrain.Event:2"))
    for step in range(9):
        value = field(1, b"train/loss") + b"\\x15" + struct.pack("<f", random.random())
        f.write(framed(b"\\x09" + struct.pack("<d", 1.0) + bytes([0x10, step]) + field(5, field(1, value))))
"""


@pytest.mark.integration
@pytest.mark.slow
def test_a_trainer_that_prints_boxes_is_read(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    report = check(_script(SB3) + " {seed}", "reward_mean", replicas=2, output_dir=tmp_path / "kept")
    assert (report.classification, report.passed) == ("bitwise", True)


SUMMARIES = """
import sys, torch
from torch.utils.tensorboard import SummaryWriter
torch.manual_seed(int(sys.argv[1]))
with SummaryWriter() as writer:
    for step in range(9):
        writer.add_scalar("train/loss", torch.rand(()).item(), step)
        writer.add_scalar("train/reward", torch.rand(()).item(), step)
"""


@pytest.mark.integration
@pytest.mark.slow
def test_a_real_summary_writer_is_read_from_the_command_line(tmp_path: Path) -> None:
    pytest.importorskip("torch.utils.tensorboard")
    cmd = _script(SUMMARIES) + " {seed}"
    argv = [sys.executable, "-m", "rldk", "check-determinism", "--cmd", cmd, "--compare", "loss,reward_mean", "--json"]
    done = subprocess.run([*argv, "--replicas", "2", "--output-dir", "kept"], capture_output=True, check=False)
    report = msgspec.json.decode(done.stdout)
    assert (done.returncode, report["classification"], report["numbers"]["steps"]) == (0, "bitwise", 9)
    assert set(report["meta"]["metrics"]) == {"loss", "reward_mean"}


@pytest.mark.slow
def test_event_files_in_a_folder_that_runs_share_are_told_apart(tmp_path: Path) -> None:
    report = check(_script(TFEVENTS) + " {seed}", "loss", replicas=3, output_dir=tmp_path / "kept")
    assert (report.classification, report.passed, report.numbers["steps"]) == ("bitwise", True, 9)
    assert report.numbers["distance_other_seed"]


@pytest.mark.slow
def test_an_unknown_metric_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        check(_script(ROWS), "los", replicas=2, output_dir=tmp_path)
    assert "loss" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_running(number: signal.Signals, tmp_path: Path) -> None:
    cmd = _script("import os, time\nif not os.fork(): os.setsid()\nopen('begun', 'w').close()\ntime.sleep(600)")
    argv = [sys.executable, "-m", "rldk", "check-determinism", "--cmd", cmd, "--output-dir", "kept"]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, env={**os.environ, "PWD": str(tmp_path)}) as process:
        deadline = time.monotonic() + 60
        while not Path("begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(30) in (130, 143)


@pytest.mark.slow
def test_the_command_gives_codes_formats_and_files(tmp_path: Path) -> None:
    cmd = _script("import random\nfor s in range(8): print('step', s, 'loss', 1 + 1e-9 * random.random())\n")
    argv = [sys.executable, "-m", "rldk", "check-determinism", "--cmd", cmd, "--output-dir", "kept", "--replicas", "2"]
    plain = subprocess.run([*argv, "--json"], capture_output=True, text=True, check=False)
    assert plain.returncode == 1
    report = msgspec.json.decode(plain.stdout)
    assert (report["classification"], report["passed"]) == ("numerically close", False)
    gate = subprocess.run([*argv, "--gate", "--format", "junit"], capture_output=True, text=True, check=False)
    assert (gate.returncode, gate.stdout.count("<testsuite ")) == (0, 1)
    card = json.loads(Path("kept/determinism_card.json").read_text())
    assert card["kind"] == "determinism_card"
    assert sorted(p.name for p in Path("kept").iterdir()) == [
        "check-1", "check-2", "determinism_card.json", "determinism_report.json",
    ]  # fmt: skip


def test_a_report_goes_through_json_and_back(tmp_path: Path) -> None:
    report = check(_script(ROWS), replicas=2, output_dir=tmp_path)
    assert DeterminismReport.from_dict(report.to_dict()) == report
