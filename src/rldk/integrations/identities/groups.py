"""Identities of per-sample records: groups of one prompt, completions that differ, prompts that are not the last ones
again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rldk.integrations.identities.batch import advantages, array, group_sums, is_number, rollout_gap

Record = Mapping[str, Any]


class SampleMeasures:
    """Measures the records of one step after the other. It remembers the prompts of the last step."""

    def __init__(self) -> None:
        self._prompts: frozenset[str] = frozenset()
        self.prompts_digest = ""

    def take(self, records: Sequence[Record]) -> dict[str, float]:
        """The metrics of the records of one step."""
        found: dict[str, float] = {}
        if not records:
            return found
        values = [float(r["advantage"]) for r in records if is_number(r.get("advantage"))]
        ids = [_group(r) for r in records]
        if len(values) == len(records):
            found |= advantages(values)
            if all(i is not None for i in ids):
                found |= group_sums(values, [str(i) for i in ids])
        return (
            found | _assembly(records) | _duplicates(records) | _gap(records) | _valid(records) | self._again(records)
        )

    def _again(self, records: Sequence[Record]) -> dict[str, float]:
        """The share of prompts that the step before had as well."""
        prompts = [key for r in records if (key := _prompt(r)) is not None]
        now = frozenset(prompts)
        before, self._prompts = self._prompts, now
        self.prompts_digest = short_digest(sorted(now))
        return {"prompt_repeat_frac": len(now & before) / len(now)} if now and before else {}


def short_digest(texts: Iterable[str]) -> str:
    """A short checksum of texts."""
    made = hashlib.sha256()
    for text in texts:
        made.update(text.encode("utf-8", "replace"))
        made.update(b"\0")
    return made.hexdigest()[:16]


def _assembly(records: Sequence[Record]) -> dict[str, float]:
    """Whether each group holds the answers to one prompt, and as many as the others."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.get("group_id") is not None:
            groups.setdefault(str(record["group_id"]), []).append(record)
    if not groups:
        return {}
    prompts = [{_prompt(r) for r in members} for members in groups.values()]
    sizes = Counter(len(members) for members in groups.values())
    found = {"group_size_odd_frac": 1.0 - sizes.most_common(1)[0][1] / len(groups)}
    if all(None not in p for p in prompts):
        found["group_mixed_frac"] = sum(len(p) > 1 for p in prompts) / len(groups)
    return found


def _duplicates(records: Sequence[Record]) -> dict[str, float]:
    """The share of completions that another completion of the same prompt equals."""
    texts = [(_group(r) or _prompt(r), _response(r)) for r in records]
    known = [(group, text) for group, text in texts if group is not None and text is not None]
    groups = Counter(group for group, _ in known)
    several = [pair for pair in known if groups[pair[0]] > 1]
    if not several:
        return {}
    return {"duplicate_completion_frac": 1.0 - len(set(several)) / len(several)}


def _valid(records: Sequence[Record]) -> dict[str, float]:
    """The share of the response tokens that the loss sees, of records with a mask over their tokens."""
    masks = [array(r["loss_mask"]).ravel() for r in records if r.get("loss_mask") is not None]
    total = sum(mask.size for mask in masks)
    return {"valid_token_frac": float(sum(mask.sum() for mask in masks)) / total} if total else {}


def _gap(records: Sequence[Record]) -> dict[str, float]:
    train: list[float] = []
    rollout: list[float] = []
    for record in records:
        a, b = record.get("logp_train"), record.get("logp_rollout")
        if a is None or b is None:
            continue
        x, y = array(a).ravel(), array(b).ravel()
        if x.size == y.size:
            train += x.tolist()
            rollout += y.tolist()
    return rollout_gap(train, rollout) if train else {}


def _group(record: Record) -> str | None:
    value = record.get("group_id", record.get("prompt_id"))
    return None if value is None else str(value)


def _prompt(record: Record) -> str | None:
    """What tells prompts apart: the text, otherwise the given number."""
    value = record.get("prompt", record.get("prompt_id"))
    return None if value is None else str(value)


def _response(record: Record) -> str | None:
    for name in ("token_ids", "response", "completion"):
        value = record.get(name)
        if value is not None:
            return str(value.tolist() if hasattr(value, "tolist") else value)
    return None
