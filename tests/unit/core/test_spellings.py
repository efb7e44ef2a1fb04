from __future__ import annotations

import json

import pytest

from rldk.adapters.naming.first_rows import Opening
from rldk.adapters.naming.guess import proposed_map
from rldk.adapters.naming.keys import Hints, Naming
from rldk.core.table import Row
from rldk.docs import NAMES, known_spellings

GROUPS = json.loads((NAMES / "spellings.json").read_text(encoding="utf-8"))
OTHERS = json.loads((NAMES / "other_fields.json").read_text(encoding="utf-8"))


def test_spellings_of_public_logs():
    found = [(g["trainer"], g["source"], key, right) for g in GROUPS for key, right in known_spellings(g).items()]
    assert [(trainer, source, key) for trainer, source, key, right in found if not right] == []


def test_enough_spellings_are_looked_at():
    assert sum(len(group["names"]) for group in GROUPS) >= 300
    assert sum(map(len, OTHERS.values())) >= 300


def test_columns_of_other_fields_are_no_metrics():
    together = [key for names in OTHERS.values() for key in Naming(Opening.of(names), Hints()).names.values()]
    alone = [key for names in OTHERS.values() for key in names if Naming(Opening.of([key]), Hints()).names]
    guessed = [key for names in OTHERS.values() for key in proposed_map(Opening.of(names), close=False)]
    limit = 0.02 * sum(map(len, OTHERS.values()))
    assert max(len(together), len(alone), len(guessed)) <= limit, (together, alone, guessed)


def rows(**columns):
    count = len(next(iter(columns.values())))
    return [
        Row(step=i, values={key: float(values[i]) for key, values in columns.items()}, phase="train", segment=0)
        for i in range(count)
    ]


@pytest.mark.parametrize(("first", "sign"), [([0.69, 0.65], ""), ([-1.41, -1.38], "negate")])
def test_the_sign_of_an_entropy_loss_is_that_of_its_values(first, sign):
    naming = Naming(Opening(rows(entropy_loss=first, ep_rew_mean=[1, 2])), Hints())
    assert [match.transform for match in naming.routes["entropy_loss"]] == [sign]


def test_a_home_made_name_whose_values_are_impossible_is_left_alone():
    assert "clip_frac" not in Naming(Opening(rows(clip_fracs=[12, 30.5], policy_loss=[0.1, 0.2])), Hints()).names
    assert "clip_frac" in Naming(Opening(rows(clip_fracs=[0.1, 0.3], policy_loss=[0.1, 0.2])), Hints()).names


def test_a_guess_needs_values_that_are_usual():
    assert proposed_map(Opening(rows(my_lr=[0.001, 0.0005]))) == {"my_lr": "lr"}
    assert proposed_map(Opening(rows(my_lr=[40, 55]))) == {}
    assert proposed_map(Opening.of(["critic_msq"])) == {}
