"""Per-sample records in, episodes out: closes the step that samples belong to, and asks the rules over it.

The samples of a step are those that follow each other with the same step. A step is closed by the first sample of
another one, or by a row of metrics of that step or a later one. So the pieces in which samples come change nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from rldk.core.model import Check
from rldk.core.samples import Sample, to_sample
from rldk.engine.episodes import Episode, Episodes
from rldk.engine.evaluate import BoundRule
from rldk.engine.sample_batch import MOST, RunningTally, SampleCounts, digest
from rldk.engine.sample_groups import count_same_prompts, count_together, prompts_of
from rldk.rules.knobs import keys_of, number
from rldk.rules.rule import Context, Rule, Signal
from rldk.rules.sample_view import SampleView, Tally, wanted
from rldk.rules.subject import WANTS

OPENING = 64  # first responses of a run that say whether any ends by itself
LEAST_CAP = 256  # tokens; under a shorter limit even a good response may be cut
NO_STEP = 256  # samples of a batch where the records have no step

Begun = list[tuple[BoundRule, Episode]]


class Closed(Struct, frozen=True, kw_only=True):
    """A step that is over: the samples for the metrics of its row, and the episodes that began."""

    step: int
    records: list[dict[str, Any]]
    begun: Begun


class SampleWatch:
    """The rules over per-sample records of one run. Memory is that of one step, without its texts."""

    def __init__(self, rules: Iterable[Rule], context: Context) -> None:
        self.bound = [BoundRule(rule, rule.metric, frozenset(), Episodes(rule), rule.body) for rule in rules]
        self.samples = self.steps = 0
        self.last_step = self._last = 0
        self._context = context
        self._cap = _setting(context, "max_new_tokens")
        self._group_size = _setting(context, "group_size")
        self._counts: SampleCounts | None = None
        self._records: list[dict[str, Any]] = []
        self._step = 0
        self._stated: int | None = None
        self._seen: dict[str, bool] = {}
        self._before: frozenset[bytes] = frozenset()
        self._opening = RunningTally()
        self._whole = True

    def take(self, samples: Iterable[Sample | Mapping[str, Any]]) -> Iterator[Closed]:
        """Takes samples, and yields the steps that they close."""
        for given in samples:
            sample = given if isinstance(given, Sample) else to_sample(given)
            step = sample.step if sample.step is not None else self.samples // NO_STEP * NO_STEP
            full = self._counts is not None and len(self._counts.facts) >= MOST
            if self._counts is not None and (step != self._step or full):
                yield self._close(self._counts, whole=not full)
                self._whole = not (full and step == self._step)
            if self._counts is None:
                self._counts, self._step, self._stated = SampleCounts(self._cap), step, sample.step
            self._counts.add(sample)
            self._records.append(_for_metrics(sample))
            self.samples += 1

    def close_until(self, step: int) -> Iterator[Closed]:
        """Yields the open step when a row of metrics of `step` says that it is over."""
        if self._counts is not None and self._stated is not None and self._stated <= step:
            yield self._close(self._counts, whole=True)

    def finish(self) -> Iterator[Closed]:
        """Yields the open step: no more samples will come."""
        if self._counts is not None:
            yield self._close(self._counts, whole=True)

    def unchecked(self, rules: Iterable[Rule], inapplicable: Mapping[str, str]) -> list[Check]:
        """Why each rule over samples that gave no verdict gave none."""
        made = []
        looked = {bound.rule.code for bound in self.bound if bound.ready and not bound.failure}
        for rule in rules:
            if rule.subject != "records" or rule.code in looked:
                continue
            reason = inapplicable.get(rule.code, "")
            plain = not reason or reason.startswith("needs ")
            own = next((b for b in self.bound if b.rule is rule), None)
            if own is not None and own.failure:
                reason = f"the rule itself failed: {own.failure}; please report it"
            elif not reason:
                lacking = wanted(rule.needs, self._seen) if self.samples else ""
                reason = f"needs {lacking or WANTS['records']}"
            made.append(
                Check(code=rule.code, name=rule.name, status="skipped" if plain else "not_applicable", reason=reason)
            )
        return made

    def _close(self, counts: SampleCounts, *, whole: bool) -> Closed:
        step = self._step
        view = self._view(counts, step, whole=whole and self._whole)
        closed = Closed(step=step, records=self._records, begun=self._ask(view))
        self._counts, self._records, self._whole = None, [], True
        self.last_step = max(self.last_step, step)
        return closed

    def _view(self, counts: SampleCounts, step: int, *, whole: bool) -> SampleView:
        self.steps += 1
        whole = whole and self._stated is not None and (self.steps == 1 or step > self._last)
        self._last = step
        count_together(counts.facts, counts.count, whole=whole, group_size=self._group_size)
        now = prompts_of(counts.facts)
        count_same_prompts(now, self._before, counts.count)
        self._before = now
        tallies = {name: tally for name, count in counts.counts.items() if (tally := count.tally()) is not None}
        opening = self._open(tallies.get("cut"))
        if opening is not None:
            tallies["opening"] = opening
        self._seen |= dict.fromkeys(tallies, True)
        return SampleView(
            step=step,
            count=len(counts.facts),
            whole=whole,
            algorithm=self._context.algorithm,
            framework=self._context.framework,
            cap=self._cap,
            **tallies,
        )

    def _open(self, cut: Tally | None) -> Tally | None:
        """How the first responses ended, once there are enough. Later ones do not change it."""
        if cut is not None and self._opening.of < OPENING:
            self._opening.of += cut.of
            self._opening.hits += cut.hits
            self._opening.example = self._opening.example or cut.example
        return self._opening.tally() if self._opening.of >= OPENING else None

    def _ask(self, view: SampleView) -> Begun:
        begun: Begun = []
        for bound in self.bound:
            if bound.failure or any(getattr(view, need) is None for need in bound.rule.needs):
                continue
            try:
                signal: Signal | None = bound.rule.body(view)
            except (ArithmeticError, ValueError, TypeError) as error:  # one rule must not cost the whole report
                bound.failure = f"{type(error).__name__} on the samples of step {view.step}"
                continue
            bound.looks += 1
            bound.ready = True
            if bound.episodes.look(view.step, self.steps, signal) and bound.episodes.open is not None:
                begun.append((bound, bound.episodes.open))
        return begun


def _setting(context: Context, concept: str) -> float:
    found = (number(context.config.get(key)) for key in keys_of(concept))
    return next((x for x in found if x == x), math.nan)


def _for_metrics(sample: Sample) -> dict[str, Any]:
    """What the metrics of the row are made of: numbers, and the length of the text instead of the text."""
    numbers = {"reward": sample.reward, "advantage": sample.advantage, "n_tokens": sample.n_tokens}
    made: dict[str, Any] = {name: x for name, x in numbers.items() if x == x}
    made |= {} if sample.group_id is None else {"group_id": sample.group_id}
    made |= {} if sample.prompt_id is None else {"prompt_id": sample.prompt_id}
    if "prompt_id" not in made and sample.prompt is not None:
        made["prompt_id"] = (digest(sample.prompt) or b"").hex()
    if sample.response is not None:
        made["characters"] = len(sample.response)
    return made
