"""Rules over code and environment: each fires on a program that has its fault, and not on one that nearly has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from examples import each_of

from rldk.core.audit.lock import LockDifference
from rldk.engine.once import look_once
from rldk.engine.views import env_view
from rldk.provenance.code.scan import scan_code
from rldk.rules.audit import AuditView
from rldk.rules.determinism_flags import FLAGS, fixes_hashes
from rldk.rules.rule import Context, Rule, rules

MAIN = "if __name__ == '__main__': pass\n"
TORCH = f"import torch\n{MAIN}"
ON = "import torch\ntorch.use_deterministic_algorithms(True)\n"
Variables = dict[str, str]
# code -> (program, variables, severity) in which it fires; and (program, variables) in which it does not
FIRES: dict[str, list[tuple[str, Variables, str]]] = {
    "DET020": [("for x in set(y): f(x)", {}, "info"), ("for x in set(y): f(x)", {"PYTHONHASHSEED": "0"}, "info")],
    "DET021": [("import os\nfor f in os.listdir('d'): g(f)", {}, "info")],
    "DET022": [("x = hash(name)", {}, "info")],
    "DET023": [("sorted(x, key=id)", {}, "warn")],
    "DET024": [("import ray\na, b = ray.wait(refs)", {}, "info")],
    "DET025": [("import random, time\nrandom.seed(time.time())", {}, "warn")],
    "DET026": [("import torch\ntorch.seed()", {}, "warn")],
    "DET027": [("import numpy as np\nr = np.random.default_rng()", {}, "warn")],
    "DET028": [("import torch\ng = torch.Generator()", {}, "info")],
    "DET029": [("import secrets\nsecrets.choice(x)", {}, "info")],
    "DET030": [(f"import random\nrandom.random()\n{MAIN}", {}, "warn")],
    "DET031": [(f"import numpy\nnumpy.random.rand()\n{MAIN}", {}, "warn")],
    "DET032": [(f"import torch\ntorch.randn(3)\n{MAIN}", {}, "warn")],
    "DET033": [("s = seed + rank", {}, "info")],
    "DET034": [("import os\nos.environ['PYTHONHASHSEED'] = '0'", {}, "warn")],
    "DET035": [("import gymnasium as gym\ne = gym.make('X')\ne.reset()", {}, "warn")],
    "DET036": [("env.action_space.sample()", {}, "info")],
    "DET037": [("from stable_baselines3 import PPO\nPPO('P', env)", {}, "warn")],
    "DET038": [("from torch.utils.data import DataLoader\nDataLoader(d, shuffle=True)", {}, "info")],
    "DET039": [
        (
            "import random\nfrom torch.utils.data import DataLoader, Dataset\nclass D(Dataset):\n"
            "  def __init__(self): self.r = random.Random(1)\n  def __getitem__(self, i): return self.r.random()\n"
            "DataLoader(D(), num_workers=2)",
            {},
            "warn",
        )
    ],
    "DET040": [("from datasets import load_dataset\nload_dataset('x').shuffle()", {}, "info")],
    "DET041": [("M.from_pretrained('org/name')", {}, "info")],
    "DET042": [("import torch\ntorch.backends.cudnn.benchmark = True", {}, "warn")],
    "DET043": [("import torch\ntorch.compile(m, mode='max-autotune')", {}, "info")],
    "DET044": [("import torch\ntorch.use_deterministic_algorithms(True, warn_only=True)", {}, "warn")],
    "DET045": [("import torch\nx.index_add_(0, i, y)", {}, "info")],
    "DET046": [(TORCH, {}, "info")],
    "DET047": [("import torch\ntorch.set_float32_matmul_precision('high')", {}, "info")],
    "DET048": [("M.from_pretrained(p, attn_implementation='flash_attention_2')", {}, "info")],
    "DET049": [
        ("from vllm import LLM\nLLM('m')", {}, "info"),
        ("import sglang\nsglang.Engine('m')", {"VLLM_BATCH_INVARIANT": "1"}, "info"),
    ],
    "DET050": [
        ("x = 1", {"CUBLAS_WORKSPACE_CONFIG": ":4096:2"}, "warn"),
        ("x = 1", {"NVTE_ALLOW_NONDETERMINISTIC_ALGO": "1"}, "warn"),
        ("import os\nos.environ['NCCL_ALGO'] = 'Tree'", {}, "warn"),
    ],
    "DET051": [(TORCH, {}, "info"), (f"import vllm, verl\n{MAIN}", {"NCCL_ALGO": "Ring"}, "info")],
    "DET052": [(MAIN, {}, "info"), (f"x = hash(n)\n{MAIN}", {"PYTHONHASHSEED": "random"}, "warn")],
    "DET053": [(f"import numpy\n{MAIN}", {}, "info")],
    "DET054": [("import os, numpy\nos.environ['OMP_NUM_THREADS'] = '1'", {}, "warn")],
    "DET055": [("import time\nif time.time() > due: t.evaluate()", {}, "info")],
    "DET056": [("import requests\ndef reward(x): return requests.post(u)", {}, "info")],
    "CFG022": [(f"{ON}torch.backends.cudnn.benchmark = True", {}, "warn")],
}
QUIET: dict[str, list[tuple[str, Variables]]] = {
    "DET020": [("for x in sorted(set(y)): f(x)", {})],
    "DET021": [("import os\nfor f in sorted(os.listdir('d')): g(f)", {})],
    "DET022": [("x = hash(3)", {})],
    "DET023": [("sorted(x, key=len)", {})],
    "DET024": [("import ray\nray.get(refs)", {})],
    "DET025": [("import random\nrandom.seed(7)", {})],
    "DET026": [("import torch\ntorch.manual_seed(7)", {})],
    "DET027": [("import numpy as np\nr = np.random.default_rng(7)", {})],
    "DET028": [("import torch\ng = torch.Generator().manual_seed(1)", {})],
    "DET029": [("import secrets\nsecrets.token_hex()", {})],
    "DET030": [(f"import random\nrandom.seed(1)\nrandom.random()\n{MAIN}", {}), (f"import random\n{MAIN}", {})],
    "DET031": [(f"from transformers import set_seed\nimport numpy\nset_seed(1)\nnumpy.random.rand()\n{MAIN}", {})],
    "DET032": [(f"import torch\ntorch.manual_seed(1)\ntorch.randn(3)\n{MAIN}", {})],
    "DET033": [("s = [seed, rank]", {})],
    "DET034": [("import os\nos.environ['X'] = '0'", {})],
    "DET035": [("import gymnasium as gym\ne = gym.make('X')\ne.reset(seed=1)", {})],
    "DET036": [("env.action_space.seed(1)\nenv.action_space.sample()", {})],
    "DET037": [("from stable_baselines3 import PPO\nPPO('P', env, seed=1)", {})],
    "DET038": [("from torch.utils.data import DataLoader\nDataLoader(d, shuffle=True, generator=g)", {})],
    "DET039": [("class D(Dataset):\n  def __init__(self): self.r = random.Random(1)", {})],
    "DET040": [("from datasets import load_dataset\nload_dataset('x').shuffle(seed=1)", {})],
    "DET041": [("M.from_pretrained('org/name', revision='abc')", {})],
    "DET042": [("import torch\ntorch.backends.cudnn.benchmark = False", {})],
    "DET043": [("import torch\ntorch.compile(m)", {})],
    "DET044": [(ON, {})],
    "DET045": [(f"{ON}x.index_add_(0, i, y)", {})],
    "DET046": [(f"{ON}{MAIN}", {}), (MAIN, {}), ("import torch\ntorch.use_deterministic_algorithms(False)", {})],
    "DET047": [("import torch\ntorch.set_float32_matmul_precision('highest')", {})],
    "DET048": [
        ("M.from_pretrained(p, attn_implementation='flash_attention_2')", {"FLASH_ATTENTION_DETERMINISTIC": "1"}),
        (
            "import os\nos.environ['FLASH_ATTENTION_DETERMINISTIC'] = '1'\n"
            "M.from_pretrained(p, attn_implementation='flash_attention_2')",
            {},
        ),
    ],
    "DET049": [("from vllm import LLM\nLLM('m')", {"VLLM_BATCH_INVARIANT": "1"})],
    "DET050": [
        ("x = 1", {"CUBLAS_WORKSPACE_CONFIG": ":16:8", "NCCL_ALGO": "Ring,^NVLS", "XLA_FLAGS": "--xla_dump"}),
        ("import os\nos.environ['NCCL_ALGO'] = name", {}),
    ],
    "DET051": [(TORCH, {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}), (MAIN, {}), ("import torch", {})],
    "DET052": [(MAIN, {"PYTHONHASHSEED": "0"}), ("x = hash(n)", {})],
    "DET053": [(f"import numpy\n{MAIN}", {"OMP_NUM_THREADS": "4"}), (MAIN, {})],
    "DET054": [("import os\nos.environ['OMP_NUM_THREADS'] = '1'\nimport numpy", {})],
    "DET055": [("import time\nif time.time() > due: print(1)", {})],
    "DET056": [("import requests\ndef load(x): return requests.get(u)", {})],
    "CFG022": [("import torch\ntorch.backends.cudnn.benchmark = True", {})],
}
CODE_RULES = {rule.code: rule for rule in rules if rule.subject == "code"}
LOCK_RULES = {"DET057": "packages", "DET058": "machine", "DET059": "variables"}


def view(folder: Path, text: str, variables: Variables, *, library: bool = True) -> AuditView:
    """The view of a folder with one file, or of the file by itself, which counts as a program."""
    (folder / "code.py").write_text(f"{text}\n")
    code = scan_code(folder if library else folder / "code.py")
    return AuditView(code=code, env=env_view({"variables": variables, "cpus": 4}, {}))


def outcome(rule: Rule, seen: AuditView) -> tuple[list[str], list[str]]:
    once = look_once([rule], Context(), {}, {"code": seen})
    return [f.severity for f in once.findings], [check.reason for check in once.unchecked]


def test_every_rule_over_code_has_its_cases() -> None:
    assert FIRES.keys() == QUIET.keys() == CODE_RULES.keys() - LOCK_RULES.keys()


@each_of("code", FIRES)
def test_the_rule_fires(code: str, tmp_path: Path) -> None:
    for text, variables, severity in FIRES[code]:
        assert outcome(CODE_RULES[code], view(tmp_path, text, variables)) == ([severity], []), text


@each_of("code", QUIET)
def test_the_rule_is_quiet(code: str, tmp_path: Path) -> None:
    for text, variables in QUIET[code]:
        assert outcome(CODE_RULES[code], view(tmp_path, text, variables))[0] == [], text


@pytest.mark.parametrize("code", ["DET030", "DET031", "DET032"])
def test_a_library_needs_no_seed_and_a_file_by_itself_is_a_program(code: str, tmp_path: Path) -> None:
    text = FIRES[code][0][0].replace(MAIN, "")
    findings, reasons = outcome(CODE_RULES[code], view(tmp_path, text, {}))
    assert (findings, reasons[0][:15]) == ([], "needs a program")
    assert outcome(CODE_RULES[code], view(tmp_path, text, {}, library=False))[0] == ["warn"]


@pytest.mark.parametrize("code", LOCK_RULES)
def test_a_difference_from_the_lock_is_named_by_its_rule(code: str, tmp_path: Path) -> None:
    seen = view(tmp_path, "x = 1", {})
    assert outcome(CODE_RULES[code], seen)[1] == ["needs a lock of an earlier environment (rldk.lock)"]
    for part in LOCK_RULES.values():
        different = LockDifference(part=part, name="a", locked="1", now=None)
        looked = AuditView(code=seen.code, lock=(different,))
        assert bool(outcome(CODE_RULES[code], looked)[0]) == (part == LOCK_RULES[code])
    assert outcome(CODE_RULES[code], AuditView(code=seen.code, lock=())) == ([], [])


def test_many_differences_are_named_and_counted(tmp_path: Path) -> None:
    found = [LockDifference(part="packages", name=f"p{i}", locked=None, now="1") for i in range(7)]
    found[0] = LockDifference(part="packages", name="p0", locked="1", now="2")
    found[1] = LockDifference(part="packages", name="p1", locked="1", now=None)
    signal = CODE_RULES["DET057"].body(AuditView(code=view(tmp_path, "x = 1", {}).code, lock=tuple(found)))
    assert signal is not None
    assert signal.message == (
        "packages differ from the lock: p0 1 -> 2, p1 1 is gone, p2 1 is new, p3 1 is new, p4 1 is new and 2 more"
    )
    assert (signal.value, len(signal.evidence["differences"])) == (7.0, 7)


def test_a_finding_names_the_first_place_and_has_them_all(tmp_path: Path) -> None:
    seen = view(tmp_path, "x = hash(a)\ny = hash(b)\nz = hash(c)", {})
    signal = CODE_RULES["DET022"].body(seen)
    assert signal is not None
    assert signal.message == "code.py:1 and 2 more places call hash(), which is salted for texts"
    assert [(p["file"], p["line"]) for p in signal.evidence["places"]] == [("code.py", n) for n in (1, 2, 3)]


@each_of("flag", FLAGS, ids=lambda flag: flag.name)
def test_the_value_that_is_advised_is_accepted(flag: object) -> None:
    known = next(f for f in FLAGS if f is flag)
    assert known.accepts(known.advice)
    assert not known.accepts("nonsense")
    assert known.source


@each_of(
    ("value", "fixed"),
    [("0", True), ("4294967295", True), ("4294967296", False), ("random", False), ("", False), (None, False)],
)
def test_a_hash_seed_is_a_number_of_32_bits(value: str | None, fixed: bool) -> None:
    assert fixes_hashes(value) is fixed


def test_a_rule_over_code_says_in_the_report_of_a_run_where_it_is_looked_at() -> None:
    once = look_once([CODE_RULES["DET020"]], Context(), {})
    assert [(c.status, c.reason) for c in once.unchecked] == [
        ("not_applicable", "looked at in source code, by `rldk env-audit`")
    ]
