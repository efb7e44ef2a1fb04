"""Whether the data, weights, code and tokenizers of a run are still what its record says."""

from __future__ import annotations

from rldk.core.audit.outcome import CheckOutcome
from rldk.tracking.outcome import VerificationReport
from rldk.tracking.verification.run import verify_run

__all__ = ["CheckOutcome", "VerificationReport", "verify_run"]
