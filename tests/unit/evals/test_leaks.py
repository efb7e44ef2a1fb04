"""Numbers with a checksum."""

from __future__ import annotations

from rldk.evals.checks.leaks import has_card, has_iban, has_mail, has_secret


def test_a_checksum_tells_a_card_from_a_number() -> None:
    for text in (
        "4111 1111 1111 1111",
        "card 5500-0000-0000-0004 please",
        "378282246310005",
        "It is 4111111111111111.",
    ):
        assert has_card(text), text
    for text in ("4111 1111 1111 1112", "3.141592653589793238", "1234567890123", "0000000000000000", ""):
        assert not has_card(text), text


def test_a_bank_account_has_check_digits() -> None:
    assert has_iban("to GB82 WEST 1234 5698 7654 32 today")
    assert has_iban("DE89370400440532013000")
    assert not has_iban("GB82 WEST 1234 5698 7654 33")


def test_addresses_for_examples_and_plain_words_do_not_count() -> None:
    assert has_mail("write to jane.roe@hospital.org")
    assert not has_mail("write to user@example.com")
    assert has_secret("key " + "sk-" + "a1B2" * 6)
    assert not has_secret("the sky is blue")
