"""Counts what the samples of one step show. Of each sample only a few numbers and digests are kept."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from msgspec import Struct

from rldk.core.samples import Sample
from rldk.core.samples.chat import doubled_start, foreign_role, last_role
from rldk.core.secrets.redact import without_secrets
from rldk.core.stats.texts import dominant_part, loop_at_end
from rldk.rules.sample_view import Tally

MOST = 8192  # samples of one batch; a step with more is looked at in pieces
EXCERPT = 120  # characters of an example
LONG = 64  # characters from which two equal responses are no chance
SPAM = 0.7  # share of one character or word; texts over two letters have about a half
BOXED = ("\\boxed{", "#### ")
NOTHING = frozenset({"", "none", "null", "nan", "[invalid]", "n/a"})


class RunningTally:
    """A tally that grows."""

    __slots__ = ("example", "hits", "of", "parts")

    def __init__(self) -> None:
        self.of = self.hits = 0
        self.example = ""
        self.parts: dict[str, float] = {}

    def add(self, hit: object, example: Callable[[], str] | str = "") -> None:
        """Counts one that could be looked at. `hit`: whether it shows what is looked for."""
        self.of += 1
        if hit:
            if not self.hits:
                self.example = excerpt(example() if callable(example) else example)
            self.hits += 1

    def tally(self) -> Tally | None:
        return Tally(of=self.of, hits=self.hits, example=self.example, parts=dict(self.parts)) if self.of else None


class SampleFacts(Struct, frozen=True):
    """What is kept of one sample. `prompt`, `answer`: digests; `long`: the response is long enough to be told apart;
    `tail`: its end."""

    prompt: bytes | None
    answer: bytes | None
    long: bool
    group: str | None
    group_size: int | None
    rank: int | None
    advantage: float
    reward: float
    ending: str
    boxed_right: bool
    double_ids: tuple[int, ...]
    tail: str


class SampleCounts:
    """The counts of one step that each sample gives by itself, and the facts for those that need several samples."""

    def __init__(self, cap: float) -> None:
        self.facts: list[SampleFacts] = []
        self._cap = cap
        self.counts: dict[str, RunningTally] = {}

    def add(self, sample: Sample) -> None:
        ending = self._ending(sample)
        self._read(sample, ending)
        self._prompt(sample)
        self._tokens(sample)
        self._reward(sample)
        text = sample.response or ""
        self.facts.append(
            SampleFacts(
                prompt=digest(sample.prompt_key),
                answer=digest(sample.response),
                long=len(text) >= LONG,
                group=sample.group_id,
                group_size=sample.group_size,
                rank=sample.rank,
                advantage=sample.advantage,
                reward=sample.reward,
                ending=ending,
                boxed_right=ending != "cut" and sample.gold is not None and is_right(text, sample.gold),
                double_ids=tuple((sample.prompt_ids or ())[:3]),
                tail=text[-EXCERPT:],
            )
        )

    def count(self, name: str) -> RunningTally:
        return self.counts.setdefault(name, RunningTally())

    def _ending(self, sample: Sample) -> str:
        """How the response ended. Without a finish reason, a response as long as the cap was cut."""
        if sample.ending or not (sample.n_tokens > 0 and self._cap > 0):
            return sample.ending
        return "cut" if sample.n_tokens >= self._cap else "ended"

    def _read(self, sample: Sample, ending: str) -> None:
        text = sample.response
        if ending:
            self.count("cut").add(ending == "cut", lambda: (text or "")[-EXCERPT:])
        if not text:
            return
        phrase = loop_at_end(text)
        part, share = dominant_part(text)
        self.count("looping").add(phrase, phrase)
        self.count("spam").add(share > SPAM, part)
        if ending == "cut":
            self.count("looped_to_cap").add(phrase, phrase)
        role = foreign_role(text)
        self.count("foreign_roles").add(role, lambda: text[max(0, text.find(role) - 40) :])

    def _prompt(self, sample: Sample) -> None:
        prompt = sample.prompt
        if not prompt:
            return
        announced = last_role(prompt)
        mark = doubled_start(prompt)
        if mark or announced is not None:
            self.count("doubled_start").add(mark, prompt)
        if announced is not None:
            self.count("unannounced").add(not announced[1], prompt[-EXCERPT:])

    def _tokens(self, sample: Sample) -> None:
        if sample.response_ids is not None and sample.train_ids is not None:
            place = first_difference(sample.response_ids, sample.train_ids)
            self.count("retokenised").add(place is not None, lambda: _at(sample.response_ids, sample.train_ids, place))
        if len(sample.turns) > 1:
            broken = next((i for i, edit in enumerate(_edits(sample)) if edit), None)
            self.count("broken_turns").add(
                broken is not None, lambda: f"turn {(broken or 0) + 2} of {len(sample.turns)}"
            )
        outside = loss_outside(sample)
        if outside is not None:
            self.count("loss_outside").add(outside > 0, lambda: f"{outside} tokens")

    def _reward(self, sample: Sample) -> None:
        if sample.stated:
            self.count("unrewarded").add(sample.stated != "number", sample.stated)
            self.count("not_numbers").add(sample.stated == "nan")
            parts = self.count("unrewarded").parts
            for name, score in sample.components.items():
                parts[name] = parts.get(name, 0.0) + (score is None or score != score)
        if sample.has_parsed:
            self.count("unparsed").add(
                (sample.parsed or "").strip().lower() in NOTHING, (sample.response or "")[-EXCERPT:]
            )


def digest(text: str | None) -> bytes | None:
    return None if text is None else blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def excerpt(text: str) -> str:
    """A piece of a text for a report: short, on one line, without secrets."""
    return " ".join(without_secrets(text[: 4 * EXCERPT])[:EXCERPT].split())


def is_right(text: str, gold: str) -> bool:
    """Whether the last answer that the response puts into a box (or behind ####) is the right one, by letters."""
    gold = _plain(gold)
    at, mark = max((text.rfind(mark), mark) for mark in BOXED)
    if at < 0 or not gold:
        return False
    inner = text[at + len(mark) :]
    return _plain(_braced(inner) if mark == BOXED[0] else inner.split("\n", 1)[0]) == gold


def first_difference(a: list[int], b: list[int]) -> int | None:
    """The first place at which two lists of tokens differ; None where they are equal."""
    if a == b:
        return None
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def loss_outside(sample: Sample) -> int | None:
    """How many tokens that the model did not write have a loss; None where the record cannot tell.

    A token is not the model's when it lies in the prompt, when its role is another, or when the sampler gave it no
    log-probability (0 or nothing) while the trainer finds it unlikely."""
    mask = sample.loss_mask
    if mask is None:
        return None
    if sample.roles is not None and len(sample.roles) == len(mask):
        return sum(bool(m) and role not in ("assistant", "model") for m, role in zip(mask, sample.roles, strict=True))
    sampled, trained = sample.logp_rollout, sample.logp_train
    if isinstance(sampled, list) and isinstance(trained, list) and len(sampled) == len(trained) == len(mask):
        rows = zip(mask, sampled, trained, strict=True)
        return sum(bool(m) and (s == 0 or s != s) and t < -1 for m, s, t in rows)
    prompt, answer = sample.prompt_ids, sample.response_ids
    if prompt is not None and answer is not None and len(mask) == len(prompt) + len(answer):
        return sum(map(bool, mask[: len(prompt)]))
    return None


def _edits(sample: Sample) -> list[bool]:
    """For each turn after the first, whether it repeats what was before with a small change.

    A turn that shares less than 90 % of the tokens is another conversation (a summary, another agent), not an edit."""
    made = []
    for (prompt, answer), (following, _) in zip(sample.turns, sample.turns[1:], strict=False):
        before = [*prompt, *answer]
        place = first_difference(before, following[: len(before)])
        made.append(place is not None and place >= 0.9 * len(before))
    return made


def _at(a: list[int] | None, b: list[int] | None, place: int | None) -> str:
    start = max(0, (place or 0) - 2)
    return f"token {place}: {(a or [])[start : start + 6]} was sampled, {(b or [])[start : start + 6]} trained on"


def _plain(text: str) -> str:
    return text.strip().strip("$").replace(",", "").replace(" ", "").rstrip(".")


def _braced(text: str) -> str:
    depth = 1
    for i, letter in enumerate(text[:400]):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[:i]
    return ""
