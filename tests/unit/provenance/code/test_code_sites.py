"""Every source of nondeterminism that can be seen in code: a program that has it, and one that nearly has it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from examples import each_of

from rldk.provenance.code.scan import scan_file

# kind -> (programs in which it is seen on the last line, programs in which it is not)
CASES: dict[str, tuple[list[str], list[str]]] = {
    "set-order": (
        [
            "s = set(open('f'))\nfor x in s: print(x)",
            "list({'a', 'b'})",
            "', '.join(set(names))",
            "[f(x) for x in {n for n in names}]",
            "a = set(x) | set(y)\nb = tuple(a - {'c'})",
            "set(names).pop()",
            "d = {k: 1 for k in set(names)}",
            "for k in a.keys() - b.keys(): f(k)",
            "f(*{'a', 'b'})",
            "class A:\n  def __init__(self):\n    self.x = set()\n  def f(self):\n    return [g(y) for y in self.x]",
        ],
        [
            "for x in sorted(set(names)): print(x)",
            "list({1, 2, 3})",
            "len(set(names))",
            "'a' in set(names)",
            "{f(x) for x in set(names)}",
            "sorted(list(set(names)))",
            "s = list(set(names))\ns.sort()",
            "for x in set(range(9)): print(x)",
            "for x in set(names): other.add(x)",
            "any(x > 1 for x in set(names))",
            "def f(s):\n  for x in s: print(x)",
            "raise ValueError(', '.join(set(names)))",
            "for x in [1, 2]: print(x)",
            "s = set()\ns = [1]\nfor x in s: print(x)",
            "isinstance(x, tuple({A, B}))",
            "logger.warning('%s', list(set(names)))",
            "n = 0\nfor x in set(names): n += 1",
            "max(set(names))",
        ],
    ),
    "directory-order": (
        [
            "import os\nfor f in os.listdir('d'): print(f)",
            "from glob import glob\nfiles = glob('*.txt')\nprint(files)",
            "from pathlib import Path\nfor p in Path('d').rglob('*.py'): print(p)",
            "import os\nfor r, d, f in os.walk('d'): print(f)",
            "from pathlib import Path\ndef f(d: Path):\n  return [p.name for p in d.iterdir()]",
            "import os\nfiles = [f for f in os.listdir('d') if f.endswith('x')]",
        ],
        [
            "import os\nfor f in sorted(os.listdir('d')): print(f)",
            "import os\nfiles = os.listdir('d')\nfiles.sort()",
            "import os\n'x' in os.listdir('d')",
            "import os\nlen(os.listdir('d'))",
            "model.glob('*')",
            "import os\nfor f in os.listdir('d'): os.remove(f)",
            "from pathlib import Path\nsorted(Path('d').glob('*'))",
            "import os\nfiles = sorted(f for f in os.listdir('d') if f.endswith('x'))",
            "fs.iterdir()",
            "import os\nif not os.listdir('d'): print(1)",
            "import os\nn = os.listdir('d')\nassert len(n) == len(set(n))",
        ],
    ),
    "hash-of-text": (
        ["bucket = hash(name) % 10", "x = hash('a')"],
        [
            "hash(3)",
            "hash(a) == hash(b)",
            "class A:\n  def __hash__(self): return hash(self.x)",
            "import hashlib\nhashlib.sha256(b'x')",
            "def hash(x): return 1\nhash('a')",
        ],
    ),
    "address-order": (
        ["sorted(xs, key=id)", "xs.sort(key=lambda x: id(x))", "min(xs, key=hash)"],
        ["sorted(xs, key=len)", "{id(x): x for x in xs}", "sorted(xs)"],
    ),
    "completion-order": (
        [
            "from concurrent.futures import as_completed\nfor f in as_completed(fs): out.append(f.result())",
            "import ray\ndone, rest = ray.wait(refs)",
            "for x in pool.imap_unordered(f, xs): out.append(x)",
            "import asyncio\nasyncio.wait(ts, return_when=asyncio.FIRST_COMPLETED)",
        ],
        [
            "pool.map(f, xs)",
            "import ray\nray.get(refs)",
            "sorted(pool.imap_unordered(f, xs))",
            "import asyncio\nasyncio.wait(ts)",
        ],
    ),
    "seed-from-chance": (
        [
            "import random, time\nrandom.seed(time.time())",
            "import torch, os\ntorch.manual_seed(os.getpid())",
            "import numpy as np, uuid\nnp.random.default_rng(uuid.uuid4().int)",
            "import time\nseed = int(time.time())",
            "import time\nmake(seed=time.time_ns())",
            "import random\nrandom.seed(hash(name))",
            "import jax, time\njax.random.PRNGKey(int(time.time()))",
        ],
        [
            "import random\nrandom.seed(42)",
            "import time\nif seed is None:\n  seed = int(time.time())",
            "import time\nif not args.seed: args.seed = int(time.time())",
            "import time\nstart = time.time()",
            "import time\nseed = given if given else int(time.time())",
            "import time\nfoo.seeded = time.time()",
            "import random\nrandom.seed(args.seed)",
            "import random\nrandom.seed(hash(3))",
        ],
    ),
    "fresh-entropy": (
        [
            "import random\nrandom.seed()",
            "import numpy as np\nnp.random.seed(None)",
            "import torch\ntorch.seed()",
            "import torch\ntorch.cuda.seed_all()",
        ],
        ["import random\nrandom.seed(0)", "import numpy as np\nnp.random.seed(seed)", "random.seed()", "env.seed()"],
    ),
    "generator-without-seed": (
        [
            "import numpy as np\nrng = np.random.default_rng()",
            "from numpy.random import RandomState\nRandomState(None)",
            "import random\nr = random.Random()",
            "import numpy as np\nnp.random.Generator(np.random.PCG64())",
            "import numpy as np\nnp.random.SeedSequence()",
        ],
        [
            "import numpy as np\nnp.random.default_rng(0)",
            "import numpy as np\nnp.random.default_rng(seed)",
            "import random\nrandom.Random(*a)",
            "default_rng()",
            "import numpy as np\nnp.random.default_rng(seed=s)",
        ],
    ),
    "torch-generator-default": (
        ["import torch\ng = torch.Generator()"],
        [
            "import torch\ng = torch.Generator().manual_seed(3)",
            "import torch\ng = torch.Generator()\ng.manual_seed(3)",
            "import torch\nf(torch.Generator())",
        ],
    ),
    "unseedable-source": (
        ["import random\nr = random.SystemRandom()", "import secrets\nsecrets.choice(xs)"],
        ["import secrets\nsecrets.token_hex()", "import random\nrandom.choice(xs)"],
    ),
    "seed-plus-rank": (
        [
            "torch.manual_seed(args.seed + rank)",
            "s = seed + self.local_rank",
            "s = worker_id + base_seed",
            "s = seed + get_rank()",
        ],
        ["s = seed + 1", "s = seed * rank", "s = [seed, rank]", "n = rank + size"],
    ),
    "environment-without-seed": (
        ["import gymnasium as gym\nenv = gym.make('X')\nobs = env.reset()"],
        [
            "import gymnasium as gym\nenv = gym.make('X')\nenv.reset(seed=1)\nenv.reset()",
            "env.reset()",
            "import gymnasium as gym\nenv = gym.make('X')\nenv.reset(**kw)",
            "import gym\nenv = gym.make('X')\nenv.seed(1)\nenv.reset()",
        ],
    ),
    "samples-space": (["a = env.action_space.sample()"], ["a = policy.sample()", "rng.sample(xs)"]),
    "seeds-space": (["env.action_space.seed(3)"], ["env.action_space.sample()"]),
    "agent-without-seed": (
        [
            "from stable_baselines3 import PPO\nm = PPO('MlpPolicy', env)",
            "import stable_baselines3 as sb3\nsb3.SAC('P', env, seed=None)",
        ],
        [
            "from stable_baselines3 import PPO\nPPO('MlpPolicy', env, seed=1)",
            "from stable_baselines3 import PPO\nPPO('P', env, **kw)",
            "from mine import PPO\nPPO('P', env)",
            "from stable_baselines3 import PPO\nPPO.load('x')",
            "from stable_baselines3 import PPO\nset_random_seed(1)\nPPO('P', env)",
        ],
    ),
    "loader-without-generator": (
        [
            "from torch.utils.data import DataLoader\nDataLoader(ds, shuffle=True)",
            "import torch\ntorch.utils.data.DataLoader(ds, num_workers=4)",
            "from torch.utils.data import random_split\nrandom_split(ds, [1, 2])",
        ],
        [
            "from torch.utils.data import DataLoader\nDataLoader(ds, shuffle=True, generator=g)",
            "from torch.utils.data import DataLoader\nDataLoader(ds)",
            "from torch.utils.data import DataLoader\nDataLoader(ds, num_workers=0)",
            "from x import DataLoader\nDataLoader(ds, shuffle=True)",
        ],
    ),
    "shuffle-without-seed": (
        [
            "from datasets import load_dataset\nd = load_dataset('x')\nd = d['train'].shuffle()",
            "from datasets import load_dataset\nload_dataset('x').map(f).train_test_split(0.1)",
            "from sklearn.model_selection import train_test_split\ntrain_test_split(x)",
        ],
        [
            "from datasets import load_dataset\nload_dataset('x').shuffle(seed=1)",
            "from datasets import load_dataset\nload_dataset('x').shuffle(42)",
            "from sklearn.model_selection import train_test_split\ntrain_test_split(x, random_state=0)",
            "deck.shuffle()",
            "from sklearn.model_selection import KFold\nKFold(5)",
            "from sklearn.model_selection import train_test_split\ntrain_test_split(x, shuffle=False)",
        ],
    ),
    "revision-not-pinned": (
        [
            "from transformers import AutoModel\nAutoModel.from_pretrained('org/name')",
            "from datasets import load_dataset\nload_dataset('org/name', revision='main')",
            "import torch\ntorch.hub.load('org/name', 'm')",
            "from huggingface_hub import snapshot_download\nsnapshot_download(repo_id='org/name')",
        ],
        [
            "from transformers import AutoModel\nAutoModel.from_pretrained('org/name', revision='abc1234')",
            "AutoModel.from_pretrained('./local')",
            "AutoModel.from_pretrained(path)",
            "import torch\ntorch.hub.load('org/name:v1.0', 'm')",
            "from datasets import load_dataset\nload_dataset('json')",
        ],
    ),
    "cudnn-benchmark": (
        [
            "import torch\ntorch.backends.cudnn.benchmark = True",
            "from torch.backends import cudnn\ncudnn.benchmark = True",
        ],
        [
            "import torch\ntorch.backends.cudnn.benchmark = False",
            "cfg.benchmark = True",
            "import torch\ntorch.backends.cudnn.benchmark = flag",
        ],
    ),
    "determinism-contradicted": (
        ["import torch\ntorch.backends.cudnn.deterministic = True\ntorch.backends.cudnn.benchmark = True"],
        [
            "from torch.backends import cudnn\nif x: cudnn.deterministic = True\nelse: cudnn.benchmark = True",
            "import torch\ntorch.backends.cudnn.deterministic = True\ntorch.backends.cudnn.benchmark = False",
            "import torch\ntorch.backends.cudnn.benchmark = True",
        ],
    ),
    "uses-torch": (["import torch.nn as nn", "from torch import nn"], ["import torchvision", "from .torch import x"]),
    "kernels-by-timing": (
        [
            "import torch\ntorch.compile(m, mode='max-autotune')",
            "import torch\ntorch._inductor.config.max_autotune = True",
            "import triton\n@triton.autotune(configs=[a, b], key=[])\ndef f(): pass",
        ],
        [
            "import torch\ntorch.compile(m)",
            "import triton\n@triton.autotune(configs=[a], key=[])\ndef f(): pass",
            "import triton\n@triton.jit\ndef f(): pass",
        ],
    ),
    "determinism-off": (
        [
            "import torch\ntorch.use_deterministic_algorithms(False)",
            "import torch\ntorch.use_deterministic_algorithms(True, warn_only=True)",
            "import torch\ntorch.backends.cudnn.deterministic = False",
            "import torch\ntorch.set_deterministic_debug_mode('warn')",
        ],
        [
            "import torch\ntorch.use_deterministic_algorithms(True)",
            "import torch\ntorch.use_deterministic_algorithms(flag)",
        ],
    ),
    "asks-determinism": (
        [
            "import torch\ntorch.use_deterministic_algorithms(True)",
            "from transformers import TrainingArguments\nTrainingArguments(full_determinism=True)",
            "from rldk.utils.seed import set_global_seed\nset_global_seed(3)",
        ],
        [
            "import torch\ntorch.use_deterministic_algorithms(False)",
            "from transformers import TrainingArguments\nTrainingArguments()",
            "from rldk.utils.seed import set_global_seed\nset_global_seed(3, deterministic=False)",
        ],
    ),
    "atomic-operation": (
        [
            "import torch\nx.scatter_add_(0, i, y)",
            "import torch\nx.index_put_((i,), y, accumulate=True)",
            "import torch\ntorch.bincount(i, weights=w)",
            "import torch\ntorch.bincount(i, w)",
            "import torch.nn.functional as F\nF.grid_sample(x, g)",
        ],
        [
            "x.scatter_add_(0, i, y)",
            "import torch\nx.index_put_((i,), y)",
            "import torch\ntorch.bincount(i)",
            "import torch\nx.scatter_reduce_(0, i, y, reduce='amax')",
            "import torch\nx.gather(0, i)",
        ],
    ),
    "reduced-precision": (
        [
            "import torch\ntorch.backends.cuda.matmul.allow_tf32 = True",
            "import torch\ntorch.set_float32_matmul_precision('high')",
            "from trl import GRPOConfig\nGRPOConfig(tf32=True)",
        ],
        [
            "import torch\ntorch.set_float32_matmul_precision('highest')",
            "import torch\ntorch.backends.cuda.matmul.allow_tf32 = False",
            "from trl import GRPOConfig\nGRPOConfig(tf32=False)",
        ],
    ),
    "flash-attention": (
        [
            "M.from_pretrained(p, attn_implementation='flash_attention_2')",
            "from flash_attn import flash_attn_func\nflash_attn_func(q, k, v)",
        ],
        [
            "M.from_pretrained(p, attn_implementation='sdpa')",
            "from flash_attn import flash_attn_func\nflash_attn_func(q, k, v, deterministic=True)",
        ],
    ),
    "engine-vllm": (
        ["from vllm import LLM\nLLM('m')", "from trl import GRPOConfig\nGRPOConfig(use_vllm=True)"],
        ["from x import LLM\nLLM('m')", "from trl import GRPOConfig\nGRPOConfig(use_vllm=False)"],
    ),
    "engine-sglang": (
        ["import sglang\nsglang.Engine(model_path='m')"],
        ["import sglang\nsglang.Engine(model_path='m', enable_deterministic_inference=True)", "Engine()"],
    ),
    "hash-seed-too-late": (
        [
            "import os\nos.environ['PYTHONHASHSEED'] = '0'",
            "import os\nos.environ.setdefault('PYTHONHASHSEED', '0')",
            "import os\nos.environ.update({'PYTHONHASHSEED': '0'})",
        ],
        [
            "import os\nos.environ['OTHER'] = '0'",
            "import os, sys\nos.environ['PYTHONHASHSEED'] = '0'\nos.execv(sys.executable, sys.argv)",
            "env = {**os.environ, 'PYTHONHASHSEED': '0'}",
        ],
    ),
    "variable-too-late": (
        [
            "import os\nimport numpy\nos.environ['OMP_NUM_THREADS'] = '1'",
            "import os, ray\nray.init()\nos.environ['NCCL_ALGO'] = 'Ring'",
        ],
        [
            "import os\nos.environ['OMP_NUM_THREADS'] = '1'\nimport numpy",
            "import os\nimport numpy\nos.environ['NCCL_ALGO'] = 'Ring'",
            "import os, ray\nos.environ['NCCL_ALGO'] = 'Ring'\nray.init()",
        ],
    ),
    "clock-controls-training": (
        [
            "import time\nwhile time.time() - t0 < 60: trainer.step()",
            "import time\nif time.monotonic() > due: model.save('x')",
        ],
        [
            "import time\nwhile time.time() - t0 < 60: time.sleep(1)",
            "while n < 60: trainer.step()",
            "import time\nif time.time() > due: print(1)",
        ],
    ),
    "remote-reward": (
        [
            "import requests\ndef reward_fn(x):\n  return requests.post(url, json=x)",
            "def judge(x):\n  return client.chat.completions.create(model='m')",
        ],
        ["import requests\ndef load(x):\n  return requests.get(url)", "def reward_fn(x): return len(x)"],
    ),
    "draws-random": (
        ["import random\nrandom.shuffle(x)"],
        ["random.shuffle(x)", "import random\nr = random.Random(1)\nr.shuffle(x)"],
    ),
    "draws-numpy": (
        ["import numpy as np\nnp.random.rand(3)"],
        ["import numpy as np\nr = np.random.default_rng(1)\nr.random(3)"],
    ),
    "draws-torch": (
        ["import torch\ntorch.randn(3)", "from torch import nn\nnn.Linear(1, 2)"],
        ["import torch\ntorch.randn(3, generator=g)", "import torch\ntorch.zeros(3)"],
    ),
    "seeds-random": (
        ["import random\nrandom.seed(0)", "from transformers import set_seed\nset_seed(3)"],
        ["import random\nrandom.seed()", "seeds = 3"],
    ),
    "seeds-numpy": (["import numpy as np\nnp.random.seed(0)"], ["import numpy as np\nnp.random.rand()"]),
    "seeds-torch": (
        ["import torch\ntorch.manual_seed(0)", "from trl import GRPOTrainer\nGRPOTrainer(m)"],
        ["import torch\ntorch.initial_seed()"],
    ),
}


def kinds(folder: Path, text: str) -> dict[str, list[int]]:
    path = folder / "program.py"
    path.write_text(dedent(text) + "\n")
    found = scan_file(path, "program.py")
    assert not isinstance(found, str), found
    lines: dict[str, list[int]] = {}
    for site in found.sites:
        lines.setdefault(site.kind, []).append(site.line)
    return lines


@each_of("kind", CASES)
def test_the_source_is_seen_at_its_line(kind: str, tmp_path: Path) -> None:
    for text in CASES[kind][0]:
        lines = kinds(tmp_path, text).get(kind, [])
        assert any(line in lines for line in (_last(text), _last(text) - 1)), f"{kind} is not seen in: {text}"


@each_of("kind", CASES)
def test_what_is_nearly_the_source_is_not_seen(kind: str, tmp_path: Path) -> None:
    for text in CASES[kind][1]:
        assert kind not in kinds(tmp_path, text), f"{kind} is seen in: {text}"


def test_generators_that_workers_copy(tmp_path: Path) -> None:
    text = """
        import numpy as np
        from torch.utils.data import DataLoader, Dataset
        class Rows(Dataset):
            def __init__(self):
                self.rng = np.random.default_rng(0)
            def __getitem__(self, i):
                return self.rng.normal()
        DataLoader(Rows(), num_workers=4, batch_size=1{more})
    """
    assert kinds(tmp_path, text.format(more=""))["generator-copied"] == [6]
    for more, old in ((", worker_init_fn=f", ""), ("", "num_workers=4"), ("", "self.rng.normal()")):
        changed = (
            text.format(more=more).replace(old, "num_workers=0" if "num" in old else "1")
            if old
            else text.format(more=more)
        )
        assert "generator-copied" not in kinds(tmp_path, changed)


def _last(text: str) -> int:
    return dedent(text).count("\n") + 1
