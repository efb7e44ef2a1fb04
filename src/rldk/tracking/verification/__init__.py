"""Whether the data, weights, code and tokenizers of a run are still what its record says."""

from __future__ import annotations

from rldk.tracking.outcome import Outcome, VerificationReport
from rldk.tracking.verification.run import verify_run

__all__ = ["Outcome", "VerificationReport", "verify_run"]
