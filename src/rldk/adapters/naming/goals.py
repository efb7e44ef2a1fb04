"""Names that say what a training is for: without one of them a text of names and numbers is no training log."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Long words anywhere in a name, short ones as words of their own; "packet loss" and "exit code" are other fields'.
_GOAL = re.compile(
    r"reward|(?<!exit )return(?!ed| code)|ep_?ret\b|score|entropy|fitness|success|win[_ ]?rate|perplexity|advantage"
    r"|(?<!packet )(?<!data )(?:\b|_|[a-z])loss|(?:^|[^a-z])(?:rew|ret|kl|ppl|vf|pg|mse|elbo)(?:[^a-z]|$)",
    re.IGNORECASE,
)


def says_goal(names: Iterable[str]) -> bool:
    """Whether one of these names is a reward, a return, a loss, an entropy, a KL or a success rate."""
    return any(_GOAL.search(name) for name in names)
