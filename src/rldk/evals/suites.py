"""The suites: which evaluations belong together."""

from __future__ import annotations

from msgspec import Struct

from rldk.errors import UnknownName


class Suite(Struct, frozen=True, kw_only=True):
    """Evaluations under one name."""

    name: str
    description: str
    evaluations: tuple[str, ...]


QUICK_SUITE = Suite(
    name="quick",
    description="Is the data whole and the evaluation sound, does the reward rise, and are the answers still texts?",
    evaluations=("integrity", "soundness", "reward", "state", "degenerate_text", "length_bias"),
)
COMPREHENSIVE_SUITE = Suite(
    name="comprehensive",
    description="The quick suite, throughput, correctness, forgetting, probes, perplexity, reward model, design.",
    evaluations=(
        *QUICK_SUITE.evaluations,
        "throughput",
        "pass_rate",
        "forgetting",
        "probes",
        "probe_logprob",
        "perplexity",
        "reward_model",
        "contamination",
        "position_bias",
        "prompt_sensitivity",
        "seed_variance",
        "slices",
    ),
)
SAFETY_SUITE = Suite(
    name="safety",
    description="Refusals, toxicity, jailbreaks, bias, leaks and sycophancy, each from labels or a plug-in's scores.",
    evaluations=("refusal", "over_refusal", "toxicity", "jailbreak", "bias", "pii", "sycophancy"),
)
SUITES = {suite.name: suite for suite in (QUICK_SUITE, COMPREHENSIVE_SUITE, SAFETY_SUITE)}


def suite_of(name: str | Suite) -> Suite:
    """The suite of that name, with the evaluations that plug-ins add to it. Raises `UnknownName`."""
    from rldk.evals.registry import evaluations

    if isinstance(name, Suite):
        return name
    if name not in SUITES:
        raise UnknownName("suite", name, SUITES)
    suite = SUITES[name]
    joined = tuple(e.name for e in evaluations if suite.name in e.suites and e.name not in suite.evaluations)
    return Suite(name=suite.name, description=suite.description, evaluations=(*suite.evaluations, *joined))
