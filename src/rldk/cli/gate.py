"""`--gate` and `--gate-codes`: how the outcome of a check becomes the exit code that a build sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import click
from msgspec import Struct

from rldk.core.model import Severity
from rldk.errors import UsageError

Grade = Literal["pass", "warn", "fail", "not checked"]
NOTHING = 3  # what could not be analysed passes no gate
DEFAULT = (0, 0, 1)

gate_option = click.option(
    "--gate", is_flag=True, help="Fail a build: exit with 0 on a pass or a warning, with 1 on a failure."
)
gate_codes_option = click.option(
    "--gate-codes",
    metavar="PASS,WARN,FAIL",
    help="Exit with these codes instead: 0,1,1 fails a build on a warning, too. It implies --gate.",
)


class GateCodes(Struct, frozen=True, kw_only=True):
    """The exit codes for a pass, a warning and a failure. `asked`: whether the user asked for a gate."""

    codes: tuple[int, int, int] = DEFAULT
    asked: bool = False

    def exit_code(self, grade: Grade) -> int:
        """The exit code. A check that found nothing to look at gives 3, whatever the codes are."""
        if grade == "not checked":
            return NOTHING
        return self.codes[("pass", "warn", "fail").index(grade)]


def gate_of(*, gate: bool, codes: str | None) -> GateCodes:
    """The gate that the flags ask for. Raises `UsageError` for codes that are not three numbers from 0 to 255."""
    if codes is None:
        return GateCodes(asked=gate)
    try:
        numbers = [int(part) for part in codes.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(DEFAULT) or not all(0 <= number <= 255 for number in numbers):
        hint = "give three numbers from 0 to 255 for pass, warning and failure: --gate-codes 0,0,1"
        raise UsageError(f"--gate-codes {codes!r} is not PASS,WARN,FAIL", hint=hint)
    return GateCodes(codes=(numbers[0], numbers[1], numbers[2]), asked=True)


def grade_of(severities: Iterable[Severity | None]) -> Grade:
    """The grade of what was found: critical findings fail, warnings warn, and information passes."""
    worst = set(severities)
    return "fail" if "critical" in worst else "warn" if "warn" in worst else "pass"
