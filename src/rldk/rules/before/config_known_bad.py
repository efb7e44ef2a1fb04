"""CFG: versions of packages that are known not to work together."""

from __future__ import annotations

from rldk.rules.known_bad import met_rows
from rldk.rules.rule import Signal, rule
from rldk.rules.subject import EnvView


@rule(
    "CFG002",
    "known-bad-versions",
    severity="critical",
    tier=0,
    data="C",
    subject="env",
    needs=("packages",),
    causes=("one of the packages was upgraded alone", "a lock file is older than the trainer"),
    fixes=("install the release in which the fault ended, which the message names",),
)
def known_bad_versions(e: EnvView) -> Signal | None:
    """Fires when installed versions are known to fail together, by a table with public sources.

    Why it matters: Such a fault costs a day, because it shows as a crash deep inside of another package, or as rollouts
    from old weights with every curve in order.
    How it is computed: Every row of the table names packages with ranges of versions, and for some a setting. The rule
    fires when all are met. A row that needs a setting is not met where the configuration is not known. The severity is
    that of the gravest row; the message names it, and how many others there are.
    When it is wrong: A patched build may carry the version of the release that it repairs.
    Source: The table itself: each row names the repository and the number of its thread, and the release in which the
    fault ended (docs/known-bad-versions.md).
    """
    met = met_rows(e)
    if not met:
        return None
    worst = met[0]
    have = ", ".join(f"`{name}` {e.version(name)}" for name in worst.packages)
    more = f" (and {len(met) - 1} more known faults of these versions)" if len(met) > 1 else ""
    remedy = f"; it ended in {worst.remedy}" if worst.remedy else ""
    evidence = {row.id: {"source": list(row.source), "said": row.said, "ended": dict(row.ended)} for row in met}
    return Signal(
        value=float(len(met)),
        limit=0.0,
        metric=next(iter(worst.packages)),
        message=f"{have}: {worst.said} ({worst.source[0]}){remedy}{more}",
        severity=worst.severity,
        evidence=evidence,
    )
