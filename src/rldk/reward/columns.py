"""Which columns of reward data mean what, by the names that trainers and people give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rldk.core.samples import sample_words
from rldk.core.samples.column_names import ColumnNames
from rldk.errors import UnknownName, UsageError

# beside the names of `core/data/samples.yaml`
NAMES: Mapping[str, tuple[str, ...]] = {
    "reward": ("reward_mean", "proxy_reward", "mean_reward", "avg_reward"),
    "step": (),
    "prompt_id": (),
    "prompt": (),
    "response": (),
    "n_tokens": ("response_length_mean", "response_len", "num_generated_tokens"),
    "label": ("label", "labels", "is_correct", "correct", "is_chosen", "human_label", "target"),
    "gold": ("gold_score", "gold_reward", "gold", "true_reward", "human_score", "gold_reward_mean"),
    "split": ("split", "subset", "partition"),
    "position": ("position", "slot", "candidate_index", "answer_position", "shown_at"),
    "id": ("id", "sample_id", "uid", "example_id", "pair_id"),
    "kl": ("kl", "kl_mean", "objective/kl"),
    "chosen": ("chosen", "chosen_response", "response_chosen", "text_chosen", "preferred"),
    "rejected": ("rejected", "rejected_response", "response_rejected", "text_rejected", "dispreferred"),
    "chosen_score": (),
    "rejected_score": (),
    "chosen_length": ("chosen_length", "length_chosen", "chosen_tokens"),
    "rejected_length": ("rejected_length", "length_rejected", "rejected_tokens"),
    "chosen_position": ("chosen_position", "position_chosen", "chosen_slot"),
}  # fmt: skip
INSIDE = frozenset(
    {"reward", "prompt", "response", "prompt_id", "chosen_score", "rejected_score", "chosen", "rejected"}
)
SCORERS = "scorers"  # several columns, with commas between them
NUMBERS = frozenset(
    "reward step n_tokens label gold position kl chosen_score rejected_score chosen_length rejected_length "
    "chosen_position".split()
)
REWARDS = frozenset({"reward", "chosen_score", "rejected_score"})
TRAINING = frozenset({"train", "training", "fit"})
VALIDATION = frozenset({"val", "valid", "validation", "eval", "evaluation", "test", "dev", "heldout", "held-out"})


def find_columns(there: Iterable[str], given: Mapping[str, str | None]) -> dict[str, str]:
    """Field -> column, for the columns that are there. `given`: what the user named, which must be there.

    The first name that exists wins, whatever its case; `result.score` is `score` in an object. Raises `UnknownName` for
    a column that the user named, where the name is not just the default of a parameter."""
    columns = ColumnNames(there, INSIDE)
    known = columns.known
    words = sample_words().fields
    found: dict[str, str] = {}
    for field, names in NAMES.items():
        wanted = given.get(field)
        if wanted is not None:
            if wanted not in known:
                raise UnknownName("column", wanted, known)
            found[field] = wanted
            continue
        known_words = () if field in ("label", "gold") else words.get(field, ())
        every = (*names, *known_words) if field in ("id", "label", "gold") else (*known_words, *names)
        column = columns.find(field, every, found.values())
        if column is not None:
            found[field] = column
    return found


def only_known(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """The columns that the user named, by field. Raises `UsageError` for an unknown field."""
    unknown = [field for field in given if field not in NAMES and field != SCORERS]
    if unknown:
        raise UsageError(f"no field is called {unknown[0]}", hint=f"one of {', '.join(NAMES)}, {SCORERS}")
    return dict(given)
