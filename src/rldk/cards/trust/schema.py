"""JSON Schema (draft 2020-12) of the files of cards, one form for each kind."""

from __future__ import annotations

from typing import Any, get_type_hints

from rldk.cards.trust.card import Card
from rldk.cards.trust.kinds import card_kinds
from rldk.core.schema import DRAFT, Schema, schema_of


def card_schema() -> Schema:
    """The schema of KIND_card.json for every registered kind: `kind` says which form it has."""
    definitions: dict[str, Any] = {}
    forms = []
    for name in card_kinds.names():
        kind = card_class(name)
        schema = schema_of(kind)
        definitions.update(schema["$defs"])
        form = definitions[kind.__name__]
        form["properties"]["kind"] = {"const": f"{name.replace('-', '_')}_card"}
        form["required"] = sorted(form["properties"])
        forms.append({"$ref": schema["$ref"]})
    return {"$schema": DRAFT, "title": "rldk card", "oneOf": forms, "$defs": definitions}


def card_class(name: str) -> type[Card]:
    """The type of the cards of that kind."""
    found: type[Card] = get_type_hints(card_kinds.get(name))["return"]
    return found
