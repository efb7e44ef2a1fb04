"""Takes secrets out of source code, changes of it, and other text files, where names stand for values.

`core.secrets` is for configurations: there, whatever follows `token=` is a token. In code it may be `token=tokens[0]`.
So a value counts here when it is a quoted text, or looks random, or ends a line as in an `.ini` file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rldk.core.secrets.redact import REDACTED, is_secret, without_credentials
from rldk.core.secrets.shapes import MARKS, looks_random
from rldk.core.text import later

PIECE = 1 << 12  # characters that are searched at once; a longer line is searched in pieces that overlap by half
SECRET_FILES = later(
    r"(?:^|/)(?:\.env(?!\.(?:example|sample|template)$)[^/]*|\.netrc|_netrc|\.pgpass|\.pypirc|\.npmrc|\.htpasswd"
    r"|credentials(?:\.\w+)?|secrets?\.\w+|[^/]*\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg|ovpn)"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)[^/]*|(?:\.ssh|\.aws|\.gnupg|\.kube)/.*|kubeconfig|service[-_]account[^/]*\.json)$",
    re.IGNORECASE,
)
# http://token@host: a user alone is a credential, too; "git" is none
_USER_ALONE = later(r"(\b(?:https?|ftp)://)(?!git@)[^\s/@:'\"]{1,400}(?=@)", re.IGNORECASE)
# nothing else is looked at: searching a line costs a hundred times as much as this
_HINT = later(
    "|".join(["pass|secret|token|key|auth|cred|cookie|webhook|bearer|pwd|://", *map(re.escape, MARKS)]), re.IGNORECASE
)
_SCHEME = later(r"\b((?:Bearer|Basic|Token)\s+)([\w.~+/=-]{6,4000})", re.IGNORECASE)
_QUOTED = later(
    r"""(?<![\w.-])([\w.-]{2,80}['"]?\]?\s{0,8}(?:(?::\s{0,4}[\w.\[\] |]{1,60})?=>?|(:|,))\s{0,8}[rbfuRBFU]{0,2})"""
    r"""(["'`])((?:(?!\3)[^\\]|\\.){1,4000})\3"""
)
_BARE = later(r"""(?<![\w.-])([\w.-]{2,80}\s{0,8}[=:]\s{0,8})([^\s'"`,;(){}\[\]<>$|&]{4,4000})(?=\s*(?:[,;#].*)?$)""")
_RANDOM = later(r"""(?<![\w.-])([\w.-]{2,80}['"]?\s{0,8}[=:]\s{0,8})([A-Za-z0-9+/=_~.-]{16,4000})""")
_NAME = later(r"[\w.-]+")
_BEGIN, _END = "PRIVATE KEY-----", "-----END "
_PLACEHOLDER = later(
    r"(?i)(?:your|my|some|the|xxx|changeme|example|dummy|test|todo|none|null|true|false|\W*$|<|\{|\$|%)"
)
_IDENTIFIER = later(r"[A-Za-z_][A-Za-z_]*(?:\.[A-Za-z_]\w*)*")
_WEAK = frozenset({"key", "keys", "token", "tokens"})  # as the last word of a name: needs a value that looks random


def is_secret_file(path: str) -> bool:
    """Whether a file of that name is kept for secrets, as `.env` and private keys are."""
    return SECRET_FILES.search(path) is not None


def redact_lines(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each line with `REDACTED` for every secret in it, and how many were taken out of it. A private key may go on over
    many lines: of each of them only the mark of a change at its beginning is left."""
    inside = False
    for line in lines:
        mark = line[:1] if line[:1] in "+- " else ""
        inside = inside and not line.startswith("@@")
        if inside:
            inside = _END not in line
            yield mark + REDACTED, 0
        elif _BEGIN in line and "-----BEGIN" in line:
            inside = _END not in line
            yield mark + REDACTED, 1
        else:
            clean = redact_line(line)
            clean = mark + clean if clean == REDACTED else clean
            yield clean, max(0, clean.count(REDACTED) - line.count(REDACTED))


def redact_line(line: str) -> str:
    """The line with `REDACTED` for every secret in it. A very long line with a secret is left out whole."""
    if len(line) > PIECE:
        pieces = (line[at : at + PIECE] for at in range(0, len(line), PIECE // 2))
        return line if all(redact_line(piece) == piece for piece in pieces) else REDACTED
    if _HINT.search(line) is None:
        return line
    line = _USER_ALONE.sub(rf"\1{REDACTED}", without_credentials(line))
    line = _SCHEME.sub(lambda m: m[1] + REDACTED if looks_random(m[2]) else m[0], line)
    line = _without_quoted(line)
    line = _RANDOM.sub(lambda m: m[1] + REDACTED if _hides(m[1], m[2], bare=True) else m[0], line)
    return _BARE.sub(lambda m: m[1] + REDACTED if _hides_bare(m[1], m[2]) else m[0], line)


def _without_quoted(line: str) -> str:
    """The line without quoted secrets. What is quoted after a harmless name may itself be the name of the next one:
    `"tool", "--api-key", "..."`."""
    made: list[str] = []
    at = 0
    while found := _QUOTED.search(line, at):
        name = found[1]
        hides = _hides(name, found[4], bare=found[2] == "," and not name.startswith("--"))
        end = found.end() if hides else found.end(1)
        made.append(line[at : found.start()] + (f"{name}{found[3]}{REDACTED}{found[3]}" if hides else name))
        at = end
    return "".join(made) + line[at:]


def secrets_in(data: bytes) -> int:
    """How many secrets a file holds. Text in UTF-16 and text within a binary file are seen, compressed text is not."""
    texts = [data.decode("latin-1")]
    if b"\0" in data:
        texts.append(data.replace(b"\0", b"").decode("latin-1"))
    return max(sum(count for _, count in redact_lines(re.split(r"[\r\n\0]", text))) for text in texts)


def _hides(before: str, value: str, *, bare: bool = False) -> bool:
    found = _NAME.match(before)
    name = found[0] if found else ""
    if not is_secret(name, value) or REDACTED in value:
        return False
    if name.lower().rpartition("_")[2].rpartition(".")[2] in _WEAK and not _is_pair(name):
        return looks_random(value)
    if bare:
        return looks_random(value)
    return len(value) >= 4 and not _PLACEHOLDER.match(value) and (" " not in value or looks_random(value))


def _hides_bare(before: str, value: str) -> bool:
    found = _NAME.match(before)
    name = found[0] if found else ""
    if not is_secret(name, value) or REDACTED in value or _PLACEHOLDER.match(value):
        return False
    weak = name.lower().rpartition("_")[2].rpartition(".")[2] in _WEAK and not _is_pair(name)
    return looks_random(value) if weak else _IDENTIFIER.fullmatch(value) is None


def _is_pair(name: str) -> bool:
    """Whether the name is one like `api_key`: a secret whatever its value looks like."""
    return is_secret(f"{name}_x", "x")
