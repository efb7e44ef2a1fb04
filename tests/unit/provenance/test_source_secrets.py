"""Secrets in source code: what is taken out, and code that must stay as it is."""

from __future__ import annotations

from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.core.secrets.redact import REDACTED
from rldk.provenance.source_secrets import PIECE, is_secret_file, redact_line, redact_lines, secrets_in

HIDDEN = "S3cretV4lue/0123456789+x"


@each_of(
    "line",
    [
        'api_key = "{}"', "password='{}'", "API_KEY={}", "token: {}", "export HF_TOKEN={}", "secret : str = '{}'",
        'd = {{"client_secret": "{}", "n": 1}}', 'f("r", config={{"lr": 1, "api_key": "{}"}})',
        'run(["tool", "--api-key", "{}"])',
        '{{"a": "b", "c": "d", "password": "{}"}}', 'x: int = 3; secret: str = "{}"',
        'os.environ["WANDB_API_KEY"] = "{}"', 'setenv("API_KEY", "{}")',
        "Authorization: Bearer {}", "https://user:{}@host/x", 'x = f(a=1, auth_token="{}")', 'key = "{}"',
    ],
)  # fmt: skip
def test_a_secret_is_taken_out(line: str) -> None:
    hidden = HIDDEN.replace("/", "_") if "://" in line else HIDDEN
    clean = redact_line(line.format(hidden))
    assert hidden not in clean
    assert clean.count(REDACTED) == 1


@each_of(
    "line",
    [
        "sorted(x, key=len)", "loss = f(token=tokens[0], key=key)", "eos_token = '<|endoftext|>'",
        "api_key = get_key()",
        'password = os.environ["DB_PASSWORD"]', "secret = getpass.getpass()", "from tokens import Text, Keyword",
        "password: ${PASSWORD}", 'api_key = "YOUR_API_KEY"', "tokenizer.pad_token = tokenizer.eos_token",
        "git@github.com:a/b.git", "https://example.com/a@b", "every token is masked", "api_key=api_key",
        'sha = "0123456789abcdef0123456789abcdef01234567"',
        'parser.add_argument("--api-key", help="the key of the API")',
    ],
)  # fmt: skip
def test_code_without_a_secret_stays(line: str) -> None:
    assert redact_line(line) == line


def test_a_private_key_goes_with_all_its_lines() -> None:
    lines = ["+-----BEGIN PRIVATE KEY-----", "+AAAA", "+-----END PRIVATE KEY-----", "+x = 1"]
    assert [line for line, _ in redact_lines(lines)] == [f"+{REDACTED}"] * 3 + ["+x = 1"]
    assert sum(count for _, count in redact_lines(lines)) == 1
    torn = ["+-----BEGIN PRIVATE KEY-----", "@@ -1 +1 @@", "+x"]
    assert [line for line, _ in redact_lines(torn)][1:] == torn[1:]


@each_of("at", [0, PIECE // 2 - 20, PIECE - 20, 3 * PIECE])
def test_a_long_line_is_searched_everywhere(at: int) -> None:
    line = f"{'x, ' * (at // 3)}api_key='{HIDDEN}' {'y, ' * PIECE}"
    assert redact_line(line) == REDACTED
    assert redact_line(line.replace("api_key", "digest_")) != REDACTED


def test_files_for_secrets_are_known_by_name() -> None:
    secret = (
        ".env", "a/.env.local", "id_rsa", "x.pem", "a/credentials.json", "secrets.yaml", ".aws/config", "b/.netrc",
        "service-account-1.json",
    )  # fmt: skip
    plain = (".env.example", "env.py", "tokens.py", "monkey.py", "secretary/x.py", "keys.py", "environment.yml")
    assert [name for name in secret if not is_secret_file(name)] == []
    assert [name for name in plain if is_secret_file(name)] == []


def test_secrets_in_a_file_are_counted() -> None:
    assert secrets_in(b"a\nb\r\nc\0") == 0
    assert secrets_in(f"x\r\napi_key={HIDDEN}\0token='{HIDDEN}'".encode()) == 2


LINES = st.lists(
    st.sampled_from(
        ["api_key", "token", "password", "=", ": ", "'", '"', " ", HIDDEN, "hf_abcdefghij0123456789", "x", "//u:p@h"]
    ),
    max_size=12,
).map("".join)


@given(LINES)
def test_a_clean_line_stays_clean(line: str) -> None:
    clean = redact_line(line)
    assert redact_line(clean) == clean


def test_a_short_secret_under_its_name_is_taken_out() -> None:
    lines = (
        '{"lr": 1, "api_key": "S3CRET"}',
        "password = 'S3CRET'",
        '["--api-key", "S3CRET"]',
        "password: S3CRET-1",
        "PASSWORD=S3CRET1",
    )
    assert [line for line in lines if "S3CRET" in redact_line(line)] == []
