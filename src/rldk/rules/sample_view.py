"""What a rule over per-sample records may look at: the counts of one step, each with an example."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class Tally(Struct, frozen=True, kw_only=True):
    """How many of those that could be looked at show something. `example`: the first that does, cut and redacted."""

    of: int
    hits: int
    example: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else math.nan


class SampleView(Struct, frozen=True, kw_only=True):
    """The samples of one step. A tally is None where the records lack what it needs.

    `whole`: these are all samples of the step, in one piece. `cap`: the configured or observed limit of tokens.

    Responses: `looping` end in a loop; `looped_to_cap`: of those that were cut, those that end in a loop; `spam`: one
    character or word makes most of it; `cut`: not ended by themselves; `opening`: the same over the first responses of
    the run, only once there are enough; `foreign_roles`: speak as the user.
    Groups: `twins`: long responses with an identical one in their group; `strangers`: groups with two prompts;
    `odd_groups`: groups of another size than stated; `off_centre`: groups whose advantages do not sum to 0.
    Batch: `same_answer`: long responses that answer different prompts word for word alike; `same_ranks`: ranks that
    hold the same samples; `same_prompts`: prompts of this step that were also in the step before.
    Tokens: `doubled_start`, `unannounced` (no generation prompt): prompts; `retokenised`, `broken_turns`,
    `loss_outside`: samples.
    Rewards: `unrewarded`; `not_numbers`: NaN among them; `unparsed`: no answer found; `misjudged`: of responses whose
    last boxed answer is the right one, those with the lowest reward."""

    step: int
    count: int
    whole: bool = True
    algorithm: str | None = None
    framework: str | None = None
    cap: float = math.nan
    looping: Tally | None = None
    looped_to_cap: Tally | None = None
    spam: Tally | None = None
    cut: Tally | None = None
    opening: Tally | None = None
    foreign_roles: Tally | None = None
    twins: Tally | None = None
    strangers: Tally | None = None
    odd_groups: Tally | None = None
    off_centre: Tally | None = None
    same_answer: Tally | None = None
    same_ranks: Tally | None = None
    same_prompts: Tally | None = None
    doubled_start: Tally | None = None
    unannounced: Tally | None = None
    retokenised: Tally | None = None
    broken_turns: Tally | None = None
    loss_outside: Tally | None = None
    unrewarded: Tally | None = None
    not_numbers: Tally | None = None
    unparsed: Tally | None = None
    misjudged: Tally | None = None


# what the records must have for each tally, in a reader's words
TALLY_WORDS: Mapping[str, str] = {
    "looping": "responses as text",
    "looped_to_cap": "responses as text and how each one ended",
    "spam": "responses as text",
    "cut": "how each response ended (a finish reason, or its tokens and the cap)",
    "opening": "how the first 64 responses of the run ended, with a cap of 256 tokens or more",
    "foreign_roles": "responses with their special tokens",
    "twins": "several long responses to a prompt",
    "strangers": "group ids and prompts",
    "odd_groups": "group ids and the size of a group",
    "off_centre": "advantages of whole groups, and the size of a group",
    "same_answer": "long responses to several prompts",
    "same_ranks": "the rank of each sample",
    "same_prompts": "prompts of two steps in a row, eight or more",
    "doubled_start": "prompts with their special tokens, or their token ids",
    "unannounced": "prompts with their special tokens",
    "retokenised": "the sampled token ids and those that were trained on",
    "broken_turns": "the token ids of each turn",
    "loss_outside": "a loss mask, with prompt ids, roles or log-probabilities of the sampler",
    "unrewarded": "rewards",
    "not_numbers": "rewards",
    "unparsed": "the answer that the reward function found",
    "misjudged": "right answers beside responses that end in a boxed answer",
}


def wanted(needs: tuple[str, ...], seen: Mapping[str, Any]) -> str:
    """What the records lacked of what a rule needs, in a reader's words."""
    return " and ".join(dict.fromkeys(TALLY_WORDS[need] for need in needs if not seen.get(need)))
