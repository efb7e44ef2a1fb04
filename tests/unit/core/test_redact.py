from __future__ import annotations

import json

import pytest
from examples import each_of, every
from hypothesis import given
from hypothesis import strategies as st

from rldk.adapters.frame import from_frame
from rldk.adapters.manifest import with_manifest
from rldk.core.secrets.redact import REDACTED, is_secret, redact, redactions, without_secrets


@each_of(
    "name",
    ["hub_token", "WANDB_API_KEY", "apiKey", "DB_PASSWORD", "aws.credentials", "clientSecret", "hftoken", "token"],
)
def test_names_of_secrets(name: str) -> None:
    assert redact({name: "hf_x"}) == {name: REDACTED}


@each_of(
    ("name", "value"),
    [
        ("max_new_tokens", 512), ("num_tokens", 3.5), ("eos_token", "</s>"), ("eos_token_id", 2), ("prompt_key", "q"),
        ("keyboard", "x"), ("monkey", "x"), ("hub_token", None), ("use_token", False), ("learning_rate", 1e-5),
    ],
)  # fmt: skip
def test_what_trainers_call_alike_stays(name: str, value: object) -> None:
    assert redact({name: value}) == {name: value}


def test_secrets_inside_are_found_and_the_original_stays() -> None:
    config = {"a": [{"password": 123}, ({"secret": "x"},)], "credentials": {"user": "u"}, "n": {"lr": 1}}
    kept = json.dumps(config)
    assert redact(config) == {
        "a": [{"password": REDACTED}, [{"secret": REDACTED}]], "credentials": REDACTED, "n": {"lr": 1},
    }  # fmt: skip
    assert json.dumps(config) == kept


SCALARS = st.none() | st.booleans() | st.integers() | st.just("s3cr3t")
NAMES = st.sampled_from(["api_key", "Password", "lr", "model", "authToken", "x"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))


@given(st.dictionaries(NAMES, VALUES))
def test_no_text_under_a_secret_name_survives_at_any_depth(config: dict[str, object]) -> None:
    def leaks(value: object, hidden: bool) -> bool:
        if isinstance(value, dict):
            return any(leaks(v, hidden or is_secret(k, v)) for k, v in value.items())
        return any(leaks(v, hidden) for v in value) if isinstance(value, list) else hidden and value == "s3cr3t"

    assert not leaks(redact(config), hidden=False)
    assert redact(redact(config)) == redact(config)


def test_nesting_without_end_is_cut_off() -> None:
    deep: dict[str, object] = {"api_key": "s3cr3t"}
    for _ in range(500):
        deep = {"x": deep}
    assert "s3cr3t" not in json.dumps(redact(deep))


def test_the_manifest_of_a_run_is_redacted(tmp_path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"config": {"hub_token": "hf_x"}, "environment": {"API_KEY": "k"}}))
    run = with_manifest(from_frame([{"step": 1, "kl": 0.1}], {}), tmp_path)
    assert (run.meta.config, run.meta.environment) == ({"hub_token": REDACTED}, {"API_KEY": REDACTED})


@each_of(
    "config",
    [
        {"auth": "SEKRIT"}, {"authorization": "Bearer SEKRIT"}, {"headers": {"X-Auth": "SEKRIT"}}, {"cookie": "SEKRIT"},
        {"AWS_ACCESS_KEY_ID": "SEKRIT"}, {"auth_token_v2": "SEKRIT"}, {"pwd": "SEKRIT"}, {"slack_webhook": "SEKRIT"},
        {"url": "postgres://u:SEKRIT@h/db"}, {"to": "https://hooks.slack.com/services/T/B/SEKRIT"},
        {"argv": ["train.py", "--api-key=SEKRIT"]}, {"argv": ["--api-key", "SEKRIT", "--lr", "1"]},
        {"command": "train.py --hub-token SEKRIT --lr 1"}, {"env": ["WANDB_API_KEY=SEKRIT"]},
        {"note": "sk-proj-SEKRITaaaaaaaaaaaaaaaa"}, {"note": "use hf_SEKRITaaaaaaaaaaaaaaaa here"},
        {"code": "connect(password='SEKRIT')"}, {"body": '{"api_key": "SEKRIT"}'}, {"say": "DB_PASSWORD=\"SEKRIT\""},
        {"pem": "-----BEGIN PRIVATE KEY-----\nSEKRIT\nSEKRIT+/=\n-----END PRIVATE KEY-----"},
        {"pem": "-----BEGIN OPENSSH PRIVATE KEY-----\nSEKRIT"},
        {"to": "https://api.telegram.org/bot123456789:AASEKRITbadcq6ad9rQXMENQjcrGbqCr4Kbc/sendMessage"},
        {"to": "https://open.feishu.cn/open-apis/bot/v2/hook/SEKRIT"}, {"to": "https://chat.lab.org/hooks/SEKRIT"},
        {"to": "https://x.eu.webhook.office.com/webhookb2/SEKRIT"}, {"dsn": "https://SEKRITa1b2c3d4e5@sentry.lab.org/1"},
        {"data": "https://b.s3.amazonaws.com/x?X-Amz-Signature=SEKRIT&n=1"}, {"data": "https://a.net/x?sv=1&sig=SEKRIT"},
        {"wandb": "SEKRIT0f1e2d3c4b5a69788796a5b4c3d2e1f0"}, {"smtp_pass": "SEKRIT"},
        {"note": "gsk_SEKRITaaaaaaaaaaaaaaaa"},
        {"source": "https://h/x.csv?token=SEKRIT&n=1"}, {"h": "Authorization: Basic SEKRITaaaa"},
        {"url": "postgres://u:p@SEKRIT@h/db"}, {"do": "curl -u me:SEKRIT https://h"}, {"argv": ["-u", "me:SEKRIT"]},
        {"argv": ["curl", "--proxy-user=me:SEKRIT"]}, {"do": "curl --user 'me:SEKRIT' https://h"},
    ],
)  # fmt: skip
def test_no_secret_stays_whatever_its_place(config: dict[str, object]) -> None:
    made = redact(config)
    assert "SEKRIT" not in json.dumps(made)
    assert redactions(made) >= 1


@each_of(
    "text",
    [
        "python train.py --eos-token </s> --lr=1e-5", "Qwen/Qwen2.5-0.5B", "https://host:8080/path", "/home/u/run",
        "s3://bucket/a=b/c", "tokens=512", "sk-learn", "monkey=1", "12:30:05", "reward: 0.5",
        "https://git@github.com/a/b", "https://host/signature=x", "https://host/hooks.py", "forward_pass=bf16",
        "eos_token='</s>'", '{"tokens": "512"}', "docker run -u 1000:1000 image", "python -u train.py --at a:b",
        "db -u sqlite:///runs.db", "http://host:8080/a@b",
    ],
)  # fmt: skip
def test_what_only_resembles_a_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_a_random_text_under_the_name_of_a_service_is_a_key_unless_it_is_said_what_it_is() -> None:
    text = "0123456789abcdef0123456789abcdef01234567"
    kept = {"wandb_run_id": text, "git_commit": text, "hf_revision": text, "github_sha": text, "wandb": "my-project"}
    assert redact(kept) == kept
    assert redact({"WANDB": text, "env": {"openai": text}}) == {"WANDB": REDACTED, "env": {"openai": REDACTED}}


def test_the_working_directory_is_no_password() -> None:
    assert redact({"pwd": "/home/u"}) == {"pwd": "/home/u"}


@pytest.mark.parametrize("atom", every(3, ["a", "a:", "sk-", "--a ", "eyJ.", "a=", "x://", "Bearer ", "a.b-"]))
def test_searching_takes_time_in_proportion(atom: str) -> None:
    without_secrets(atom * (60_000 // len(atom)))
