"""What credentials look like, whatever stands before them.

The shapes are those that their issuers document, or that GitHub and GitLab publish for secret scanning. Every pattern
is bounded, so that a search takes time in proportion to the text."""

from __future__ import annotations

import math
import re
from collections import Counter

from rldk.core.text import later

# issuer: (what a text must hold before the pattern can match, separated by spaces; the pattern)
_ISSUERS = {
    "OpenAI, Anthropic, DeepSeek, OpenRouter": ("sk-", r"\bsk-[\w-]{16,200}"),
    "Stripe": ("k_live_ k_test_", r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,200}"),
    "Stripe webhooks": ("whsec_", r"\bwhsec_[A-Za-z0-9+/=]{16,200}"),
    "Hugging Face": ("hf_ api_org_", r"\b(?:hf|api_org)_[A-Za-z0-9]{16,80}"),
    "Weights & Biases": ("wandb_v", r"\bwandb_v\d_\w{20,200}"),
    "GitHub": ("gho_ ghp_ ghr_ ghs_ ghu_", r"\bgh[oprsu]_\w{16,255}"),
    "GitHub, fine-grained": ("github_pat_", r"\bgithub_pat_\w{16,255}"),
    "GitLab": ("gl", r"\bgl(?:pat|ptt|dt|rt|cbt|soat|agent|imt|oas|ffct|ft)-[\w.-]{16,320}"),
    "Slack": ("xox xapp-", r"\b(?:xox[abceoprs]|xapp)-[\w-]{10,255}"),
    "AWS": ("AKIA ASIA", r"\bA[KS]IA[A-Z0-9]{12,16}"),
    "Google, keys": ("AIza", r"\bAIza[\w-]{30,40}"),
    "Google, clients": ("GOCSPX-", r"\bGOCSPX-[\w-]{20,60}"),
    "Google, sessions": ("ya29.", r"\bya29\.[\w-]{20,1000}"),
    "Azure applications": ("Q~", r"\b[\w.~-]{3}\dQ~[\w.~-]{31,34}"),
    "npm": ("npm_", r"\bnpm_[A-Za-z0-9]{30,50}"),
    "PyPI": ("pypi-", r"\bpypi-[\w-]{16,255}"),
    "Docker": ("dckr_", r"\bdckr_(?:pat|oat)_[\w-]{20,60}"),
    "SendGrid": ("SG.", r"\bSG\.[\w-]{10,40}\.[\w-]{10,64}"),
    "Telegram": (":AA", r"\b(?:bot)?\d{6,12}:AA[\w-]{30,40}"),
    "Groq": ("gsk_", r"\bgsk_[A-Za-z0-9]{20,100}"),
    "xAI": ("xai-", r"\bxai-[A-Za-z0-9]{20,200}"),
    "Nvidia": ("nvapi-", r"\bnvapi-[\w-]{20,100}"),
    "Perplexity": ("pplx-", r"\bpplx-[A-Za-z0-9]{20,100}"),
    "Replicate": ("r8_", r"\br8_[A-Za-z0-9]{30,60}"),
    "Fireworks": ("fw_", r"\bfw_[A-Za-z0-9]{20,60}"),
    "LangSmith": ("lsv2_", r"\blsv2_(?:pt|sk)_\w{20,100}"),
    "Databricks": ("dapi", r"\bdapi[a-f0-9]{32}(?:-\d)?\b"),
    "DigitalOcean": ("_v1_", r"\bdo[opr]_v1_[a-f0-9]{40,80}"),
    "HashiCorp Vault": ("hvs. hvb.", r"\bhv[sb]\.[\w-]{20,300}"),
    "Terraform": (".atlasv1.", r"\b\w{14}\.atlasv1\.[\w-]{40,100}"),
    "Doppler": ("dp.", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{30,100}"),
    "Grafana": ("glsa_ glc_", r"\b(?:glsa|glc)_[\w+/=]{20,400}"),
    "Sentry": ("sntrys_ sntryu_", r"\bsntry[su]_[\w+/=]{20,400}"),
    "Tailscale": ("tskey-", r"\btskey-[\w-]{16,100}"),
    "Notion": ("ntn_", r"\bntn_[A-Za-z0-9]{30,60}"),
    "Linear": ("lin_api_", r"\blin_api_[A-Za-z0-9]{30,60}"),
    "Supabase": ("sbp_", r"\bsbp_[a-f0-9]{30,60}"),
    "Atlassian": ("ATATT3", r"\bATATT3[\w=-]{30,300}"),
    "1Password": ("ops_eyJ", r"\bops_eyJ[A-Za-z0-9+/=]{20,2000}"),
    "age": ("AGE-SECRET-KEY-1", r"\bAGE-SECRET-KEY-1[0-9A-Z]{40,70}"),
    "JSON web tokens": ("eyJ", r"\beyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{8,1000}"),
    "Neptune": ("eyJhcGlf", r"\beyJhcGlf[A-Za-z0-9+/=]{20,1000}"),
    "private keys": ("-----BEGIN", r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
}
# Most texts hold none of these marks, and a search for them is far quicker than the pattern.
MARKS = tuple(dict.fromkeys(mark for marks, _ in _ISSUERS.values() for mark in marks.split()))
SHAPES = later("|".join(pattern for _, pattern in _ISSUERS.values()))
# from the first line of a private key to its last, or to the end of what was kept of it
KEY_BLOCK = later(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){0,65536}"
    r"(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)
# Addresses to which whoever knows them can post. What follows the service's own part is the secret.
HOOKS = later(
    r"(https?://(?:hooks\.slack\.com|(?:\w{1,40}\.)?discord(?:app)?\.com/api/webhooks|outlook\.office(?:365)?\.com/webhook"
    r"|[\w.-]{1,80}\.webhook\.office\.com|[\w.-]{1,80}\.logic\.azure\.com|hooks\.zapier\.com/hooks"
    r"|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot(?:/v2)?/hook|events\.pagerduty\.com/integration"
    r"|maker\.ifttt\.com/trigger|[\w.:-]{1,80}(?:/[\w.-]{1,40}){0,6}/(?:in_?)?(?:web)?hooks?)/)[^\s'\"<>]+"
)
# up to the last @ of the host's part: people forget to escape one that belongs to the password
PASSWORD_IN_ADDRESS = later(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,200}:)[^\s/]{1,400}(?=@)", re.IGNORECASE)
# name:password after the option of curl; numbers are a user and a group of Docker, // begins an address
USER_OPTION = later(
    r"((?<![\w-])(?:-u|--user|--proxy-user)(?:\s{1,9}|=)['\"]?[^\s:'\"]{1,200}:)(?!//|\d+\b)[^\s'\"]{1,400}"
)
# https://token@host, as in a DSN; a name stays, so the text between must look random
USER_IN_ADDRESS = later(r"(\bhttps?://)([\w.~%+-]{16,400})(?=@)", re.IGNORECASE)
# the signature of a pre-signed address (S3, Google Cloud Storage, Azure) is all that is needed to use it
SIGNATURE = later(r"([?&](?:x-amz-|x-goog-)?sig(?:nature)?=)[^\s&'\"<>]{4,2000}", re.IGNORECASE)


def looks_random(text: str) -> bool:
    """Whether the text is long and mixed enough for a key: 16 characters, letters and digits, 3 bits a character."""
    if len(text) < 16 or not any(c.isdigit() for c in text) or not any(c.isalpha() for c in text):
        return False
    n = len(text)
    return -sum(k / n * math.log2(k / n) for k in Counter(text).values()) >= 3.0
