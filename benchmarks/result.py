"""One line of the printed table."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measure import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measurement; `ratio` is held to `at_most` or, for a speed-up, `at_least`. None is what does not apply."""

    job: str
    ours: Cost | None = None
    baseline: Cost | None = None
    against: str = ""
    ratio: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    rss_budget_mb: float | None = None
    note: str = ""

    @property
    def budget(self) -> str:
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return f">= {self.at_least:g}" if self.at_least is not None else ""

    @property
    def within(self) -> bool | None:
        """Whether every budget of the line holds; None when it has none or was skipped."""
        held = []
        if self.ratio is not None and self.at_most is not None:
            held.append(self.ratio <= self.at_most)
        if self.ratio is not None and self.at_least is not None:
            held.append(self.ratio >= self.at_least)
        if self.ours is not None and self.rss_budget_mb is not None:
            held.append(self.ours.rss_mb <= self.rss_budget_mb)
        return all(held) if held else None


HEADINGS = ("job", "cpu s", "baseline", "cpu s", "ratio", "budget", "MB", "budget", "", "note")


def table(results: list[Result]) -> str:
    """The results as aligned text."""
    rows = [HEADINGS, *map(_cells, results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS) - 1)]
    return "\n".join(
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows
    )


def _cells(result: Result) -> tuple[str, ...]:
    verdict = {True: "ok", False: "OVER", None: ""}[result.within]
    return (
        result.job,
        f"{result.ours.cpu_s:.3f}" if result.ours else "-",
        result.against,
        f"{result.baseline.cpu_s:.3f}" if result.baseline else "",
        f"{result.ratio:.2f}" if result.ratio is not None else "",
        result.budget,
        f"{result.ours.rss_mb:.0f}" if result.ours else "",
        f"<= {result.rss_budget_mb:.0f}" if result.rss_budget_mb is not None else "",
        verdict,
        result.note,
    )
