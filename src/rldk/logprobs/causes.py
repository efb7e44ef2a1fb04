"""What may set sampler and trainer apart, with the rule about it, where it comes from, and what to change."""

from __future__ import annotations

from msgspec import Struct


class Cause(Struct, frozen=True, kw_only=True):
    """`code`: the rule whose page says more. `sign`: how it shows."""

    code: str
    sign: str
    causes: tuple[str, ...]
    fixes: tuple[str, ...]


CAUSES: dict[str, Cause] = {
    "tokenisation": Cause(
        code="DATA008",
        sign="the token ids differ; or a few tokens fall by many nats, and the next ones jump, too",
        causes=("the response is decoded and tokenised again", "a template changes earlier turns"),
        fixes=("train on the token ids that the sampler returns",),
    ),
    "temperature": Cause(
        code="OFF005",
        sign="the trainer's log-probabilities are T times the sampler's within one context",
        causes=("the sampler reports log-probabilities after the temperature, the trainer computes them at 1",),
        fixes=(
            "divide the trainer's logits by the sampling temperature, or let the sampler report raw log-probabilities",
        ),
    ),
    "truncated sampling": Cause(
        code="OFF004",
        sign="no ratio is above 1, and the ratios average to the mass that top-p, top-k or min-p keeps",
        causes=("the sampler renormalises over the tokens that top-p, top-k or min-p keep",),
        fixes=("set top-p to 1 and top-k to off", "or renormalise the trainer's over the same tokens"),
    ),
    "stale weights": Cause(
        code="OFF003",
        sign="the gap is small at the first step and grows afterwards, or grows with the age of the weights",
        causes=("the weight sync is broken or comes late", "asynchronous rollouts lag behind"),
        fixes=("compare a checksum of the weights on both sides after a sync", "bound the lag of rollouts"),
    ),
    "expert routing": Cause(
        code="OFF001",
        sign="a few tokens jump by themselves, in both directions, and all others agree",
        causes=("the two sides send a token to different experts",),
        fixes=("replay the sampler's routing in the trainer", "compute the router in float32 on both sides"),
    ),
    "precision": Cause(
        code="OFF001",
        sign="a scatter that is the same in both directions, at all steps and positions",
        causes=("8-bit weights or cache in the sampler", "a head in low precision", "other kernels"),
        fixes=(
            "compute the head in float32",
            "use the same precision on both sides",
            "correct with importance weights",
        ),
    ),
}
