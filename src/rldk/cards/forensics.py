"""What PPO forensics says, as text: the scan of a log, and the drift of its KL."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from rldk.cards.chart import number
from rldk.cards.safe import clean
from rldk.cards.words import steps

STYLES = {"critical": "1;31", "warn": "1;33", "info": "36", "head": "1", "ok": "1;32"}
WORDS = {"critical": "critical", "warn": "warning", "info": "minor"}


class _Text:
    def __init__(self, *, colour: bool, width: int) -> None:
        self.lines: list[str] = []
        self._colour = colour
        self._width = max(40, width)

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self._colour and style else text

    def add(self, text: str, *, indent: int = 0, hang: int = 0, style: str = "") -> None:
        pad = " " * indent
        wrapped = textwrap.wrap(
            clean(text, 2000),
            self._width,
            initial_indent=pad,
            subsequent_indent=pad + " " * hang,
            break_long_words=False,
            break_on_hyphens=False,
        )
        self.lines += [self.styled(line, style) for line in wrapped]

    def head(self, text: str) -> None:
        self.lines += ["", self.styled(clean(text), "head")]

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values in two columns."""
        told = list(pairs)
        wide = max((len(name) for name, _ in told), default=0)
        for name, value in told:
            self.add(f"{name.ljust(wide)}  {value}", indent=2, hang=wide + 2)

    def done(self) -> str:
        return "\n".join(self.lines) + "\n"


def scan_text(scan: Mapping[str, Any], *, colour: bool = False, width: int = 100) -> str:
    """A scan (`scan_logs`): verdict, anomalies under their names, numbers, and what was not looked for."""
    text = _Text(colour=colour, width=width)
    found = scan["anomalies"]
    text.add(scan["verdict"], style=_worst(found) or ("ok" if scan["passed"] else "critical"))
    if found:
        text.head(f"Anomalies ({len(found)})")
        for anomaly in found:
            _anomaly(text, anomaly)
    if scan["stats"]:
        text.head("Numbers")
        text.facts((name.replace("_", " "), _shown(value)) for name, value in scan["stats"].items())
    if scan["not_checked"]:
        text.head("Documented anomalies that were not looked for")
        for reason, names in _by_reason(scan["not_checked"]).items():
            text.add(f"{reason}: {', '.join(names)}", indent=2, hang=2)
    text.head("Source")
    extent = steps(scan["first_step"], scan["last_step"]) if scan["first_step"] is not None else "no step"
    text.add(f"{scan['source']}: format {scan['format']}, {scan['rows']:,} rows, {extent}", indent=2, hang=2)
    text.head("Next")
    code = [f"rldk explain {found[0]['code']}"] if found else []
    for command in [*code, f"rldk doctor {shlex.quote(clean(scan['source'], 1000))}"]:
        text.lines.append(f"  {command}")
    return text.done()


def drift_text(
    drift: Mapping[str, Any], source: str, *, files: Iterable[str] = (), colour: bool = False, width: int = 100
) -> str:
    """A KL drift analysis: the sentence, the two periods side by side, and where the files are."""
    text = _Text(colour=colour, width=width)
    text.add(drift_verdict(drift), style="warn" if drift["detected"] else "ok" if drift["status"] == "ok" else "info")
    for anomaly in drift["anomalies"]:
        _anomaly(text, anomaly)
    if drift["score"] is not None:
        text.head("Reference period and newest rows")
        apart = "" if drift["divergence"] is None else f", {number(drift['divergence'])} robust standard deviations"
        text.facts(
            [
                *((name, _period(drift, name)) for name in ("reference", "current")),
                ("distance", f"{drift['score']:.2f} of 1 (Jensen-Shannon){apart}"),
                ("trend", drift["trend"] or "not known"),
            ]
        )
    text.head("Source")
    text.add(f"{source}: KL on {drift['rows']:,} rows; decided by {', '.join(drift['decided_by'])}", indent=2, hang=2)
    for name in files:
        text.add(f"wrote {name}", indent=2, hang=2)
    text.head("Next")
    text.lines.append(f"  rldk doctor {shlex.quote(clean(source, 1000))}")
    return text.done()


def drift_verdict(drift: Mapping[str, Any]) -> str:
    """The sentence that opens the page."""
    match drift["status"]:
        case "detected":
            still = "and goes on" if drift["ongoing"] else f"until step {drift['drift_last_step']:,}"
            return f"The KL drifts from step {drift['drift_start_step']:,} on, {still}."
        case "no_data":
            return "No KL in this log, so nothing can be said of its drift."
        case "too_early":
            return f"Too early to say: {drift['rows']} rows have a KL; 40 make a reference and a window."
    moved = drift["score"] > drift["threshold"] if drift["score"] is not None else False
    return "No drift: the KL did not leave its course." + (
        " It is not where it began, as in any policy that learns." if moved else ""
    )


def _anomaly(text: _Text, anomaly: Mapping[str, Any]) -> None:
    level = anomaly["level"]
    word = text.styled(WORDS[level].ljust(8), level)
    over = "" if anomaly["ongoing"] else ", over"
    extent = steps(anomaly["first_step"], anomaly["last_step"])
    text.lines.append(f"  {word}  {clean(anomaly['type'])} ({clean(anomaly['code'])})  {extent}{over}")
    text.add(anomaly["message"], indent=12)


def _period(drift: Mapping[str, Any], name: str) -> str:
    first, last = drift[f"{name}_steps"]
    spread = f"median {number(drift[f'{name}_median'])}, mean {number(drift[f'{name}_mean'])}"
    return f"{steps(first, last)}: {spread}, sd {number(drift[f'{name}_std'])}"


def _worst(found: Iterable[Mapping[str, Any]]) -> str:
    levels = {a["level"] for a in found}
    return next((level for level in ("critical", "warn") if level in levels), "")


def _by_reason(checks: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for check in checks:
        reasons.setdefault(check["reason"], []).append(check["type"])
    return reasons


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else number(value)
