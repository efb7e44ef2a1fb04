"""The fingerprint of a tokenizer: one digest for each part that decides what it makes of a text, and one of all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rldk.core.manifest import TokenizerRecord
from rldk.errors import MalformedInput, NotALog, UnreadableSource
from rldk.provenance.fingerprints.canonical import canonical
from rldk.provenance.fingerprints.digest import ENCODING, Hash, combined, hash_maker

MAX_BYTES = 512 << 20  # of a file of a tokenizer; the largest known vocabularies take a tenth of it
FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
TEMPLATE, TEMPLATES = "chat_template.jinja", "chat_template.json"
# parts of tokenizer.json that have parts of their own here, and those that a call sets for its own batch
_APART = frozenset({"version", "truncation", "padding", "added_tokens", "model"})
_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_MORE = ("additional_special_tokens", "extra_special_tokens")
# texts that tokenizers treat differently: spaces, case, digits, code, other scripts, combining marks, emoji, controls
PROBES = (
    "Hello, world!",
    "  two  spaces\tand a tab\n\nand lines ",
    "MiXeD CaSe 1234567890 3.14159 1e-05",
    "def f(x):\n    return x ** 2  # code",
    "na\u00efve cafe\u0301 \u1e9e \ufb01",
    "\u4f60\u597d\u4e16\u754c \u043f\u0440\u0438\u0432\u0435\u0442 \u0645\u0631\u062d\u0628\u0627 \u0928\u092e",
    "\U0001f469\u200d\U0001f4bb \U0001f1eb\U0001f1f7 \u200b\ufffd",
    "<s> </s> <|endoftext|> [MASK] <|im_start|>user",
)


def fingerprint_tokenizer(tokenizer: Any, *, algorithm: str = "sha256") -> TokenizerRecord:
    """The fingerprint of a tokenizer.

    `tokenizer`: one of Hugging Face, fast or slow, a `tokenizers.Tokenizer`, or a path to its tokenizer.json or to the
    folder with it. A folder has the digest of the tokenizer that was saved to it. `parts`: vocabulary, merges, added
    tokens, special tokens, chat template, pipeline (normalizer, pre-tokenizer, decoder and settings of the model) and
    probes (what it makes of `PROBES`), as far as they are known. The probes follow from the other parts; they count in
    the digest only where there is no pipeline to read. Truncation and padding do not count: each call sets them.
    Raises `MalformedInput` for anything else, `NotALog` for files that are no tokenizer, `UnreadableSource` when a
    path cannot be read."""
    make = hash_maker(algorithm)
    known: dict[str, Any]
    if isinstance(tokenizer, str | os.PathLike):
        source = Path(tokenizer)
        known, about = _of_folder(source)
    else:
        source = None
        known, about = _of_object(tokenizer)
    found = {name: f"{algorithm}:{_digest(make, name, part)}" for name, part in known.items() if part is not None}
    deciding = [name for name in sorted(found) if name != "probes" or "pipeline" not in found]
    whole = combined(make, (ENCODING, "tokenizer", *(word for name in deciding for word in (name, found[name]))))
    return TokenizerRecord(
        digest=f"{algorithm}:{whole.hex()}",
        parts=found,
        source=None if source is None else str(source),
        metadata=about,
    )


def _digest(make: Callable[[], Hash], name: str, part: Any) -> str:
    return combined(make, (ENCODING, name, canonical(part, name))).hex()


def _of_folder(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    home = path if path.is_dir() else path.parent
    file = home / FILE if path.is_dir() else path
    text = _text(file)
    settings = _object(home / SETTINGS) if (home / SETTINGS).is_file() and path.is_dir() else {}
    known = _of_json(text, str(file))
    known["special_tokens"] = _special({name: settings.get(name) for name in _names()})
    known["chat_template"] = _folder_template(home, settings) if path.is_dir() else None
    known["probes"] = _probed_text(text)
    return known, {"class": str(settings.get("tokenizer_class") or "tokenizers"), "tokens": len(known["vocabulary"])}


def _of_object(tokenizer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    kind = type(tokenizer)
    about: dict[str, Any] = {"class": kind.__qualname__}
    backend = tokenizer if hasattr(tokenizer, "to_str") else getattr(tokenizer, "backend_tokenizer", None)
    known: dict[str, Any]
    if backend is not None and hasattr(backend, "to_str"):
        known = _of_json(backend.to_str(), kind.__qualname__)
        known["probes"] = _probed(backend)
    elif hasattr(tokenizer, "get_vocab"):
        known = _of_slow(tokenizer)
    else:
        raise MalformedInput(
            f"a {kind.__module__}.{kind.__qualname__} is no tokenizer",
            hint="give a tokenizer of transformers or tokenizers, or the folder that it was saved to",
        )
    if backend is not tokenizer:
        known["special_tokens"] = _special({name: getattr(tokenizer, name, None) for name in _names()})
        known["chat_template"] = _template(getattr(tokenizer, "chat_template", None))
        about |= {"padding_side": str(getattr(tokenizer, "padding_side", ""))}
    return known, {**about, "tokens": len(known["vocabulary"])}


def _of_json(text: str, where: str) -> dict[str, Any]:
    """The parts of a tokenizer.json: names and numbers of tokens, whatever the order they are written in."""
    try:
        data = json.loads(text)
        model = data["model"]
        vocabulary, merges = _vocabulary(model.get("vocab") or {}), model.get("merges")
        rest = {key: value for key, value in model.items() if key not in ("vocab", "merges")}
        added = data.get("added_tokens") or []
        return {
            "vocabulary": vocabulary,
            # an older form joins the two halves by a space
            "merges": None if not merges else [one if isinstance(one, str) else " ".join(one) for one in merges],
            "added_tokens": sorted((dict(token) for token in added), key=lambda token: token["id"]) or None,
            "pipeline": {"model": rest, **{k: v for k, v in sorted(data.items()) if k not in _APART}},
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotALog(f"{where} is no tokenizer.json ({type(error).__name__}: {error})") from None


def _vocabulary(vocabulary: Any) -> Any:
    """Numbers by token; for a unigram model the list of tokens and their scores."""
    if isinstance(vocabulary, Mapping):
        return {str(token): int(number) for token, number in vocabulary.items()}
    return [[str(token), float(score)] for token, score in vocabulary]


def _of_slow(tokenizer: Any) -> dict[str, Any]:
    """The parts of a tokenizer that is written in Python: it has no pipeline that could be read, so it is probed."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    names = {str(number): str(getattr(token, "content", token)) for number, token in added.items()}
    merges = getattr(tokenizer, "bpe_ranks", None)
    ordered = sorted(merges, key=merges.__getitem__) if isinstance(merges, Mapping) else ()
    return {
        "vocabulary": {str(token): int(number) for token, number in tokenizer.get_vocab().items()},
        "merges": [" ".join(map(str, pair)) for pair in ordered] or None,
        "added_tokens": names or None,
        "probes": _encoded(lambda text: tokenizer.encode(text, add_special_tokens=True)),
    }


def _probed_text(text: str) -> list[list[int]] | None:
    """What the tokenizer makes of the probes; None where the package that could say it is not installed."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    try:
        return _probed(Tokenizer.from_str(text))
    except Exception as error:  # noqa: BLE001 - the package raises plain Exception for a file that it cannot use
        raise NotALog(f"tokenizers does not read this tokenizer.json: {str(error).splitlines()[0]}") from None


def _probed(backend: Any) -> list[list[int]] | None:
    """Encodes without the truncation and the padding that some batch has left set, and leaves the tokenizer as it
    is."""
    plain = type(backend).from_str(backend.to_str())
    plain.no_truncation()
    plain.no_padding()
    return _encoded(lambda text: plain.encode(text).ids)


def _encoded(encode: Callable[[str], Iterable[int]]) -> list[list[int]] | None:
    try:
        return [[int(number) for number in encode(text)] for text in PROBES]
    except Exception:  # noqa: BLE001 - a vocabulary without an unknown token fails on a probe, each class in its way
        return None


def _names() -> tuple[str, ...]:
    return (*(f"{role}_token" for role in _ROLES), *_MORE)


def _special(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The special tokens by their role, as text."""
    found = {name: _content(value) for name, value in given.items() if value}
    more = sorted({str(one) for name in _MORE for one in _several(found.pop(name, None))})
    return ({**found, **({"additional": more} if more else {})}) or None


def _several(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()


def _content(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_content(one) for one in value]
    if isinstance(value, Mapping):
        return value["content"] if "content" in value else {str(k): _content(v) for k, v in value.items()}
    return str(getattr(value, "content", value))


def _template(value: Any) -> Any:
    """A template as text, or several by name."""
    if isinstance(value, list):
        value = {str(one.get("name")): one.get("template") for one in value if isinstance(one, Mapping)}
    if isinstance(value, Mapping):
        return {str(name): str(text) for name, text in value.items()} or None
    return None if value is None else str(value)


def _folder_template(home: Path, settings: Mapping[str, Any]) -> Any:
    if (home / TEMPLATE).is_file():
        return _text(home / TEMPLATE)
    if (home / TEMPLATES).is_file():
        return _template(_object(home / TEMPLATES).get("chat_template"))
    return _template(settings.get("chat_template"))


def _object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise NotALog(f"{path} is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise NotALog(f"{path} is no JSON object")
    return data


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise NotALog(f"{path} is no regular file")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableSource(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise NotALog(f"{path} is larger than {MAX_BYTES >> 20} MiB: no tokenizer has such a file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise NotALog(f"{path} is no UTF-8 text") from None
