"""Where the search for secrets begins and ends."""

from __future__ import annotations

from typing import Any

from rldk.core.redact import MAX_DEPTH, MAX_TEXT, REDACTED, is_secret, redact, redactions, without_secrets


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
