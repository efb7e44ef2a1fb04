"""`rldk preflight`, as a user calls it."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main
from rldk.engine.processes.identity import identify

GRPO = "num_generations: 8\nper_device_train_batch_size: 8\nlearning_rate: 1e-6\ntemperature: 1.0\nseed: 1\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "grpo.yaml"
    path.write_text(GRPO)
    return path


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("numpy==2.0.0\n")
    return path


def _run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["preflight", *map(str, words)])
    return result.exit_code, result.output


def test_a_healthy_configuration(config: Path, versions: Path) -> None:
    code, out = _run(config, "--processes", 2, "--packages", versions)
    assert code == 0
    assert out.startswith("No problem found before the first step: ")
    assert "configuration: trl, algorithm grpo (by key num_generations)" in out
    assert "completions a step  16" in out


@pytest.mark.slow
def test_a_fault_gives_exit_code_1_and_an_override_mends_it(config: Path, versions: Path) -> None:
    code, out = _run(config, "per_device_train_batch_size=6", "--processes", 1, "--packages", versions)
    assert code == 1
    assert "CRITICAL  SYS006 batch-arithmetic-impossible" in out
    assert _run(config, "--processes", 1, "--packages", versions)[0] == 0
    assert _run(config, "temperature=0", "--packages", versions)[0] == 0  # a warning
    assert _run(config, "temperature=0", "--fail-on", "warn", "--packages", versions)[0] == 1
    assert _run(config, "temperature=0", "--ignore", "CFG004", "--fail-on", "warn", "--packages", versions)[0] == 0


def test_every_output(config: Path, versions: Path, tmp_path: Path) -> None:
    words = (config, "temperature=0", "--packages", versions)
    document = json.loads(_run(*words, "--json")[1])
    assert (document["kind"], [f["code"] for f in document["findings"]]) == ("preflight", ["CFG004"])
    assert document["meta"]["framework"] == "trl"
    for form in ("md", "github", "junit", "sarif"):
        assert "CFG004" in _run(*words, "--format", form)[1], form
    assert _run(*words, "--output", tmp_path / "report.xml")[0] == 0
    assert "<testsuite" in (tmp_path / "report.xml").read_text()
    page = tmp_path / "report.html"
    assert _run(*words, "--html", page)[0] == 0
    assert "greedy-sampling" in page.read_text()


def test_known_bad_versions_of_a_lock_file(config: Path, tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text('[[package]]\nname = "trl"\nversion = "0.26.2"\n[[package]]\nname = "vllm"\nversion = "0.12.0"\n')
    code, out = _run(config, "--packages", lock)
    assert code == 1
    assert "huggingface/trl#4117" in out


def test_errors_name_the_next_action(config: Path, tmp_path: Path) -> None:
    cases = [
        ((), 2, "give a configuration, or a command after --"),
        ((config, "--", "true"), 2, "give a configuration, or a command after --"),
        ((tmp_path / "gone.yaml",), 3, "cannot read"),
        ((config, "--packages", tmp_path / "gone"), 3, "cannot read"),
        ((config, "--algorithm", "grop"), 2, "unknown algorithm"),
        (("--", str(tmp_path / "gone")), 2, "cannot start"),
        ((config, "--select", "NOPE"), 2, "unknown rule"),
    ]
    for words, code, said in cases:
        got, out = _run(*words)
        assert (got, said in out) == (code, True), (words, out)


FAKE_TORCH = {
    "torch/__init__.py": """
        class Number(float):
            def all(self): return bool(self)
            def any(self): return self != 0
        class Tensor:
            def __init__(self, value): self.value = value; self.grad = None; self.requires_grad = True
            def numel(self): return 1
            def detach(self): return self
            def float(self): return self
            def __float__(self): return float(self.value)
            def backward(self): pass
            def reshape(self, *_): return self
            def __getitem__(self, _): return self
            def to(self, _): return self
            def clone(self): return Tensor(self.value)
            def pow(self, n): return Tensor(self.value ** n)
            def sum(self): return self
            def isfinite(self): return Number(self.value - self.value == 0)
            def all(self): return bool(self.value)
            def any(self): return bool(self.value)
            def __eq__(self, other): return Tensor(self.value == other.value)
            __hash__ = object.__hash__
        class nn:
            class Parameter(Tensor): pass
        from torch import optim
    """,
    "torch/optim/__init__.py": "from torch.optim.optimizer import Optimizer",
    "torch/optim/optimizer.py": """
        before, after = [], []
        register_optimizer_step_pre_hook, register_optimizer_step_post_hook = before.append, after.append
        class Optimizer:
            def __init__(self, params, lr): self.param_groups = [{"params": list(params), "lr": lr}]
            def step(self):
                for hook in before: hook(self, (), {})
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None: p.value -= group["lr"] * p.grad.value
                for hook in after: hook(self, (), {})
    """,
    "train.py": """
        import os, sys
        import torch
        fault = sys.argv[1]
        if fault == "raises": raise RuntimeError("no data")
        if fault == "ends": sys.exit(3)
        weights = [torch.nn.Parameter(1.0), torch.nn.Parameter(2.0)]
        optimizer = torch.optim.Optimizer(weights, 0.0 if fault == "rate" else 0.1)
        for step in range(100):
            print("step", step, flush=True)
            for p in weights: p.grad = torch.Tensor(0.0 if fault == "zero" else float("nan") if fault == "nan" else 0.5)
            torch.Tensor(0.25).backward()
            optimizer.step()
        open("finished", "w").write("x")
    """,
}


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training script with a torch of its own that has what the hooks need, so that no torch is loaded."""
    for name, text in FAKE_TORCH.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "train.py"


def test_a_script_is_run_to_its_first_step_and_stopped(script: Path, versions: Path, tmp_path: Path) -> None:
    before = sorted(p.name for p in tmp_path.rglob("*"))
    code, out = _run("--packages", versions, "--json", "--", sys.executable, script, "healthy")
    document = json.loads(out[out.index("{") :])
    assert code == 0
    assert document["meta"]["hooked"] == ["torch.optim.Optimizer.step", "torch.Tensor.backward"]
    numbers = {k: document["numbers"][k] for k in ("first_loss", "first_lr", "tensors", "tensors_moved")}
    assert numbers == {"first_loss": 0.25, "first_lr": 0.1, "tensors": 2, "tensors_moved": 2}
    assert sorted(p.name for p in tmp_path.rglob("*")) == before  # no checkpoint, no bytecode, nothing finished


@pytest.mark.slow
def test_faults_of_the_first_step(script: Path, versions: Path) -> None:
    cases = [("nan", "GRAD030"), ("zero", "GRAD031"), ("rate", "OPT034"), ("raises", "OPT033"), ("ends", "OPT033")]
    for fault, expected in cases:
        code, out = _run("--packages", versions, "--", sys.executable, script, fault)
        assert (code, expected in out) == (1, True), (fault, out)
    assert "the script ended with RuntimeError: no data" in _run("--", sys.executable, script, "raises")[1]


RANKED = {
    "trl/__init__.py": "",
    "trl/trainer/__init__.py": "",
    "trl/trainer/grpo_trainer.py": """
        class GRPOTrainer:
            def _get_per_token_logps(self): return None
            def _compute_loss(self, model, inputs): self._get_per_token_logps()
    """,
    "ranked.py": """
        import os, sys
        import torch
        from trl.trainer.grpo_trainer import GRPOTrainer
        class Bytes:
            def __init__(self, text): self.text = text
            def cpu(self): return self
            numpy = cpu
            def tobytes(self): return self.text.encode()
        rank, fault = os.environ["RANK"], sys.argv[1]
        torch.get_rng_state = lambda: Bytes("seed" if fault != "sound" else rank)
        GRPOTrainer()._compute_loss(None, {"prompt_ids": Bytes("same" if fault == "same" else rank)})
        weights = [torch.nn.Parameter(1.0)]
        optimizer = torch.optim.Optimizer(weights, 0.1)
        for step in range(100):
            weights[0].grad = torch.Tensor(0.5)
            torch.Tensor(0.25).backward()
            optimizer.step()
    """,
    "launch.py": """
        import os, subprocess, sys
        def start(rank):
            env = {**os.environ, "RANK": rank, "WORLD_SIZE": "2"}
            return subprocess.Popen([sys.executable, *sys.argv[1:]], env=env)
        for one in [start("0"), start("1")]: one.wait()
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "codes"), [("same", ["SYS004"]), ("seeds", []), ("sound", [])])
def test_ranks_that_sample_the_same_are_named_before_a_training(
    script: Path, versions: Path, fault: str, codes: list[str]
) -> None:
    for name, text in RANKED.items():
        path = script.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    words = ("--packages", versions, "--json", "--", sys.executable, "launch.py", "ranked.py", fault)
    out = _run(*words)[1]
    document = json.loads(out[out.index("{") :])
    assert [f["code"] for f in document["findings"]] == codes
    assert "SYS004" in document["checked"]


@pytest.mark.slow
@pytest.mark.parametrize(("declared", "codes"), [("0.1", []), ("0.01", ["OPT003"])])
def test_a_rate_above_the_declared_one_is_named(script: Path, versions: Path, declared: str, codes: list[str]) -> None:
    words = ("--json", "--", sys.executable, script, "healthy", "--learning_rate", declared)
    out = _run("--packages", versions, *words)[1]
    document = json.loads(out[out.index("{") :])
    assert [f["code"] for f in document["findings"] if f["severity"] != "info"] == codes


@pytest.mark.slow
def test_the_time_limit_ends_the_script_and_its_children(script: Path, versions: Path, tmp_path: Path) -> None:
    text = (
        "import subprocess, time\nchild = subprocess.Popen(['sleep', '600'])\nopen('pid', 'w').write(str(child.pid))\n"
    )
    (tmp_path / "hangs.py").write_text(text + "time.sleep(600)\n")
    code, out = _run("--time-limit", 3, "--packages", versions, "--", sys.executable, tmp_path / "hangs.py")
    assert (code, "the time limit was reached after 3 s" in out) == (1, True)
    assert identify(int((tmp_path / "pid").read_text())) is None


@pytest.mark.slow
def test_the_sitecustomize_of_the_environment_still_runs(
    script: Path, versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import os\nos.environ['OWN'] = 'here'\n")
    monkeypatch.setenv("PYTHONPATH", str(own))
    (tmp_path / "asks.py").write_text("import os\nopen('own.txt', 'w').write(os.environ.get('OWN', 'gone'))\n")
    _run("--packages", versions, "--", sys.executable, tmp_path / "asks.py")
    assert (tmp_path / "own.txt").read_text() == "here"


@pytest.mark.parametrize(("each", "group", "multiple"), [(8, 8, 0), (4, 8, 2), (2, 8, 4), (3, 8, 8), (16, 8, 0)])
def test_a_number_of_processes_that_is_not_stated_is_told_of(
    tmp_path: Path, versions: Path, each: int, group: int, multiple: int
) -> None:
    text = f"num_generations: {group}\nper_device_train_batch_size: {each}\nlearning_rate: 1e-6\n"
    (tmp_path / "c.yaml").write_text(text)
    report = json.loads(_run(tmp_path / "c.yaml", "--packages", versions, "--json")[1])
    (note,) = [note["text"] for note in report["notes"] if note["topic"] == "processes"]
    end = f"; the number must be a multiple of {multiple}" if multiple else "(--processes)"
    assert note.endswith(end)
    stated = json.loads(_run(tmp_path / "c.yaml", "--packages", versions, "--json", "--processes", 8)[1])
    assert not [note for note in stated["notes"] if note["topic"] == "processes"]
