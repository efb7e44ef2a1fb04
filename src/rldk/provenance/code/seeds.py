"""Seeds and random generators: which are never seeded, seeded by chance, or seeded alike."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from rldk.core.text import later
from rldk.provenance.code.module import CodeModule, constant, is_none, keyword, last_word, passes_more
from rldk.provenance.code.order import Seen

# calls that set the seed of a global generator: name -> library
_SEEDERS = {
    "random.seed": "random",
    "numpy.random.seed": "numpy",
    "numpy.random.set_state": "numpy",
    "random.setstate": "random",
    "torch.manual_seed": "torch",
    "torch.random.manual_seed": "torch",
    "torch.set_rng_state": "torch",
    "torch.cuda.manual_seed_all": "torch",
}
# functions that seed all of them, by the last word of their names; trainers of Hugging Face do so when they are made
_ALL_SEEDERS = later(
    r"(?:set_(?:all_)?(?:global_|random_)?seeds?|seed_(?:everything|all)|set_seed_everywhere|seed_context|fix_seeds?"
    r"|setup_seed|set_random_seeds?|enable_full_determinism|\w*Trainer|seed_all_rng|init_seeds?|make_deterministic"
    r"|set_determinism|isolate_rng|restore_seed_state|fork_rng|set_rng_state)"
)
_ALL = ("random", "numpy", "torch")
_PYTHON_DRAWS = frozenset(
    "random randint randrange choice choices sample shuffle uniform gauss normalvariate betavariate expovariate "
    "getrandbits triangular randbytes lognormvariate".split()
)
_NUMPY_DRAWS = frozenset(
    "rand randn randint random random_sample choice shuffle permutation uniform normal standard_normal binomial "
    "poisson beta gamma exponential multinomial dirichlet multivariate_normal bytes random_integers laplace "
    "gumbel".split()
)
_TORCH_DRAWS = frozenset(
    "rand randn randint randperm rand_like randn_like randint_like bernoulli multinomial normal poisson".split()
)
_FRESH = frozenset(
    "numpy.random.default_rng numpy.random.RandomState numpy.random.SeedSequence numpy.random.PCG64 "
    "numpy.random.MT19937 numpy.random.Philox numpy.random.SFC64 numpy.random.PCG64DXSM random.Random".split()
)
_CHANCE = frozenset(
    "time.time time.time_ns time.perf_counter time.perf_counter_ns time.monotonic time.monotonic_ns os.getpid "
    "os.urandom uuid.uuid1 uuid.uuid4 datetime.datetime.now datetime.datetime.utcnow secrets.randbits "
    "secrets.randbelow secrets.token_bytes random.SystemRandom builtins.id".split()
)
_SEED_NAME = later(r"(?:.*_)?(?:seed|SEED|rng_seed|random_state)")
_RANK = later(r"(?:.*_)?(?:rank|worker_id|worker_index|process_index|proc_id|local_process_index)")
_UNSEEDABLE = frozenset(
    "random.SystemRandom secrets.choice secrets.randbelow secrets.randbits secrets.SystemRandom".split()
)
_AGENTS = frozenset(
    "A2C DDPG DQN PPO SAC TD3 ARS CrossQ MaskablePPO QRDQN RecurrentPPO TQC TRPO HerReplayBuffer".split()
)
_AGENT_HOMES = ("stable_baselines3", "sb3_contrib")
_MADE = frozenset("gymnasium.make gym.make gymnasium.make_vec gym.vector.make gymnasium.vector.make".split())


def seen_in(module: CodeModule) -> Iterator[Seen]:
    """Every place that seeds, draws, or makes something that draws."""
    for call, name in module.calls:
        yield from _seeding(call, name)
        yield from _drawing(call, name)
        yield from _generators(module, call, name)
    yield from _chance(module)
    yield from _rank(module)
    yield from _environments(module)
    yield from _agents(module)


def _seeding(call: ast.Call, name: str) -> Iterator[Seen]:
    """Which libraries a call seeds ("seeds-..."), and whether it takes fresh entropy for it."""
    given = [*call.args, *(k.value for k in call.keywords)]
    bare = name in ("random.seed", "numpy.random.seed") and (not given or is_none(given[0]))
    if bare or name in ("torch.seed", "torch.random.seed", "torch.cuda.seed", "torch.cuda.seed_all"):
        yield "fresh-entropy", call, name
    elif name in _SEEDERS:
        yield f"seeds-{_SEEDERS[name]}", call, name
    elif _ALL_SEEDERS.fullmatch(last_word(name)):
        for library in _ALL:
            yield f"seeds-{library}", call, name


def _drawing(call: ast.Call, name: str) -> Iterator[Seen]:
    home, _, last = name.rpartition(".")
    if home == "random" and last in _PYTHON_DRAWS:
        yield "draws-random", call, name
    elif home == "numpy.random" and last in _NUMPY_DRAWS:
        yield "draws-numpy", call, name
    elif home in ("torch", "torch.nn.init") and (last in _TORCH_DRAWS or home == "torch.nn.init"):
        if keyword(call, "generator") is None and not passes_more(call):
            yield "draws-torch", call, name
    elif home == "torch.nn" and last in ("Linear", "Conv2d", "Embedding", "LSTM", "GRU", "Dropout", "Conv1d"):
        yield "draws-torch", call, name
    if name in _UNSEEDABLE:
        yield "unseedable-source", call, name


def _generators(module: CodeModule, call: ast.Call, name: str) -> Iterator[Seen]:
    if name in _FRESH and not passes_more(call):
        given = [*call.args, *(k.value for k in call.keywords)]
        if not given or is_none(given[0]):
            yield "generator-without-seed", call, f"{name}()"
    elif name == "torch.Generator" and not _is_seeded_later(module, call):
        yield "torch-generator-default", call, name


def _is_seeded_later(module: CodeModule, call: ast.Call) -> bool:
    """Whether a `torch.Generator` is seeded at once, or handed on, or seeded where it is known by its name."""
    home = module.parents.get(call)
    if not isinstance(home, ast.Assign | ast.AnnAssign):
        return True  # `.manual_seed(...)` at once, or passed on: what happens then is not seen
    return any(word in module.last_words for word in ("manual_seed", "set_state", "seed"))


def _chance(module: CodeModule) -> Iterator[Seen]:
    """Seeds that are taken from the clock, the process, or the system's entropy."""
    for call, name in module.calls:
        given = [keyword(call, "seed", "random_state", "random_seed")]
        if name in _SEEDERS or name in _FRESH or last_word(name) in ("manual_seed", "PRNGKey", "set_seed"):
            given += call.args[:1]
        for value in given:
            if value is not None and (source := _source(module, value)):
                yield "seed-from-chance", call, source
    for node in module.of(ast.Assign):
        if isinstance(node.targets[0], ast.Name | ast.Attribute):
            target = node.targets[0]
            word = target.id if isinstance(target, ast.Name) else target.attr
            seeds = _SEED_NAME.fullmatch(word) and not _is_default(module, node)
            if seeds and (source := _source(module, node.value)):
                yield "seed-from-chance", node, source


def _is_default(module: CodeModule, node: ast.AST) -> bool:
    """Whether the statement stands below a question about a seed (`if seed is None:`): what nobody gave is chosen."""
    tests = (outer.test for outer in module.above(node) if isinstance(outer, ast.If))
    words = (_final_name(inner) for test in tests for inner in ast.walk(test))
    return any(_SEED_NAME.fullmatch(word) for word in words if word)


def _source(module: CodeModule, value: ast.AST) -> str:
    """The name of what makes the value different at each start; empty where nothing does."""
    for node in ast.walk(value):
        if isinstance(node, ast.Lambda | ast.IfExp):  # a choice that the program makes
            return ""
        if isinstance(node, ast.Call):
            name = module.full_name(node.func)
            texts = name == "builtins.hash" and node.args and not isinstance(constant(node.args[0]), int | float)
            if name in _CHANCE or texts:
                return f"{name.removeprefix('builtins.')}()"
    return ""


def _rank(module: CodeModule) -> Iterator[Seen]:
    """`seed + rank`: rank 1 of one run draws what rank 0 of the run with the next seed draws."""
    for node in module.of(ast.BinOp):
        if not isinstance(node.op, ast.Add):
            continue
        words = [_final_name(side) for side in (node.left, node.right)]
        seeds = [word for word in words if _SEED_NAME.fullmatch(word)]
        ranks = [word for word in words if _RANK.fullmatch(word)]
        if seeds and ranks:
            yield "seed-plus-rank", node, ast.unparse(node)[:60]


def _final_name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word):
            return word
        case ast.Call(func=func):
            return _final_name(func)
        case _:
            return ""


def _environments(module: CodeModule) -> Iterator[Seen]:
    """Environments that are reset, and never with a seed; spaces that are sampled ("samples-space") or seeded."""
    resets = [call for call, name in module.calls if name.endswith(".reset")]
    seeded = any(keyword(call, "seed") is not None or passes_more(call) for call in resets)
    made = [call for call in resets if isinstance(call.func, ast.Attribute)]
    if not seeded and not any(name.endswith(("env.seed", "envs.seed")) for name in module.called):
        for call in made:
            receiver = call.func.value if isinstance(call.func, ast.Attribute) else call
            if module.stands_for(receiver) & _MADE and not call.args:
                yield "environment-without-seed", call, ast.unparse(call)[:60]
    for call, name in module.calls:
        if name.endswith(("action_space.sample", "observation_space.sample")):
            yield "samples-space", call, name.rpartition("?")[2]
        elif name.endswith(("_space.seed", "_space().seed")):
            yield "seeds-space", call, name.rpartition("?")[2]


def _agents(module: CodeModule) -> Iterator[Seen]:
    """Agents of Stable-Baselines3 that get no seed: by default they have none."""
    for call, name in module.calls:
        home, _, last = name.rpartition(".")
        if last not in _AGENTS or not home.startswith(_AGENT_HOMES) or passes_more(call):
            continue
        seed = keyword(call, "seed")
        if (seed is None or is_none(seed)) and not {"set_random_seed", "seed_everything"} & module.last_words:
            yield "agent-without-seed", call, last
