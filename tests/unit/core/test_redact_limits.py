"""Where the search for secrets begins and ends."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rldk.core.secrets.redact import (
    _ASSIGNED,
    _OPTION,
    _SCHEMES,
    MAX_DEPTH,
    MAX_TEXT,
    REDACTED,
    _hides,
    is_secret,
    redact,
    redactions,
    without_secrets,
)
from rldk.core.secrets.shapes import (
    HOOKS,
    KEY_BLOCK,
    PASSWORD_IN_ADDRESS,
    SHAPES,
    SIGNATURE,
    USER_IN_ADDRESS,
    USER_OPTION,
    looks_random,
)
from rldk.core.secrets.shapes import MARKS as SHAPE_MARKS

MARKS = (
    *SHAPE_MARKS,
    *("xoxb-", "glpat-", "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "/webhook/", "?sig="),
    *(
        "https://",
        "hooks.slack.com/",
        "Bearer ",
        "ba\u017fic ",
        "TO\u212aEN ",
        "password",
        "api_key",
        "=",
        ": ",
        "--",
        "-u ",
    ),
)


@given(st.lists(st.sampled_from([*MARKS, "x", "A1B2C3D4E5F6G7H8", "user:pass@", " ", "."]), max_size=12).map("".join))
def test_what_is_looked_for_first_hides_no_secret(text: str) -> None:
    found = SHAPES.sub(REDACTED, KEY_BLOCK.sub(REDACTED, text))
    found = PASSWORD_IN_ADDRESS.sub(rf"\1{REDACTED}", HOOKS.sub(rf"\1{REDACTED}", found))
    found = USER_IN_ADDRESS.sub(lambda m: m[1] + REDACTED if looks_random(m[2]) else m[0], found)
    found = _SCHEMES.sub(rf"\1{REDACTED}", SIGNATURE.sub(rf"\1{REDACTED}", found))
    found = _ASSIGNED.sub(lambda m: m[1] + m[2] + REDACTED if _hides(m[1], m[3]) else m[0], found)
    found = USER_OPTION.sub(rf"\1{REDACTED}", found)
    assert without_secrets(text) == _OPTION.sub(lambda m: m[1] + REDACTED if _hides(m[1], m[2]) else m[0], found)


def test_the_name_of_a_secret_is_told_by_its_words() -> None:
    secret = ["password", "userPassword", "API_KEY", "apiKey", "access-token", "hf_token", "mytoken", "WEBHOOK", "pwd"]
    harmless = ["eos_token", "input_key", "", "123", "tokenizer", "keys_per_row", "monkey"]
    assert [name for name in secret if not is_secret(name, "x")] == []
    assert [name for name in harmless if is_secret(name, "x")] == []
    assert not is_secret("pwd", "/home/me")
    assert not is_secret("max_tokens", 5)
    assert is_secret("password", 5)
    assert not is_secret("password", None)
    assert not is_secret("password", True)
    deep: Any = "end"
    for _ in range(MAX_DEPTH):
        deep = {"a": deep}
    assert redact({"a": deep})["a"] == deep
    assert redactions(redact({"a": {"a": deep}})) == 1
    assert (MAX_DEPTH, MAX_TEXT) == (20, 1 << 16)
    assert len(without_secrets("x" * (MAX_TEXT + 1))) == MAX_TEXT
    assert redact({"argv": ["--api-key", "abc", "def", "--lr", "1"]})["argv"] == [
        "--api-key",
        REDACTED,
        "def",
        "--lr",
        "1",
    ]
    assert without_secrets("--api-key 123 lr=1 key=abc") == f"--api-key 123 lr=1 key={REDACTED}"
    assert redactions({"a": [REDACTED, f"{REDACTED} {REDACTED}", 3]}) == 3
