"""Is reward paid for length? The newest responses and the engine's findings give the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rldk.core.model import Finding
from rldk.engine.sample_metrics import LEAST_POOL, Distiller
from rldk.forensics.anomalies import LENGTH_BIAS_CODE, anomaly


def length_bias(distiller: Distiller, findings: Iterable[Finding], *, threshold: float) -> dict[str, Any]:
    """The result that `get_length_bias_analysis` documents.

    `status`: "fail" once LEN001 warns; "warn" when it informs, or when the correlation is beyond the threshold but its
    interval is not; "pass"; or "not_available" with a `reason`."""
    found = [f for f in findings if f.code == LENGTH_BIAS_CODE]
    coupling = distiller.coupling
    known = coupling is not None and coupling.rho == coupling.rho
    status = "not_available"
    if known or found:
        loud = any(f.severity != "info" for f in found)
        beyond = coupling is not None and abs(coupling.rho) > threshold
        status = "fail" if loud else "warn" if found or beyond else "pass"
    rho = coupling.rho if coupling is not None and known else None
    bounded = coupling is not None and coupling.low == coupling.low
    return {
        "enabled": True,
        "detected": bool(found),
        "status": status,
        "reason": None if status != "not_available" else _reason(distiller),
        "severity": None if rho is None else abs(rho),
        "direction": None if rho is None else "longer" if rho > 0 else "shorter",
        "correlation": rho,
        "interval": [coupling.low, coupling.high] if coupling is not None and bounded else None,
        "threshold": threshold,
        "confounded": "unknown" if known and not distiller.prompts_known else None,
        "sample_count": coupling.n if coupling is not None else 0,
        "groups": coupling.groups if coupling is not None and distiller.prompts_known else None,
        "recommendations": list(dict.fromkeys(fix for f in found for fix in f.fixes)),
        "anomalies": [anomaly(f) for f in found],
    }


def _reason(distiller: Distiller) -> str:
    if distiller.coupling is not None:
        return "needs answers that differ in length and reward, two and more to a prompt"
    return f"needs response_data: reward, length and prompt of at least {LEAST_POOL} responses"
