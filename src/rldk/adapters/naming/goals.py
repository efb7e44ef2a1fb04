"""Names that state the goal of a training. A text of names and numbers without such a name is not a training log."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rldk.core.text import later

# Long words count anywhere in a name, short ones only as whole words; "packet loss" and "exit code" do not count.
_GOAL = later(
    r"reward|(?<!exit )return(?!ed| code)|ep_?ret\b|score|entropy|fitness|success|win[_ ]?rate|perplexity|advantage"
    r"|(?<!packet )(?<!data )(?:\b|_|[a-z])loss|(?:^|[^a-z])(?:rew|ret|kl|ppl|vf|pg|mse|elbo)(?:[^a-z]|$)",
    re.IGNORECASE,
)


def says_goal(names: Iterable[str]) -> bool:
    """Whether one of these names means a reward, a return, a loss, an entropy, a KL or a success rate."""
    return any(_GOAL.search(name) for name in names)
