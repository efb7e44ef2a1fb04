"""Everything that forensics says about a PPO run, row by row: a facade on the live engine."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from rldk.core.codec import to_builtins
from rldk.core.model import Event, Report, Run
from rldk.core.table import MetricTable, Row, TableBuilder
from rldk.engine.sample_metrics import Distiller
from rldk.engine.scan import context_of, rows_of
from rldk.errors import UsageError
from rldk.forensics import files
from rldk.forensics.advantage_statistics import AdvantageStatisticsTracker
from rldk.forensics.anomalies import DRIFT_CODES, LENGTH_BIAS_CODE, anomalies, list_unchecked
from rldk.forensics.gradient_norms import GradientNormsAnalyzer
from rldk.forensics.kl_drift import THRESHOLD, WINDOW, KLDrift
from rldk.forensics.kl_schedule import KLScheduleTracker
from rldk.forensics.length_bias import length_bias
from rldk.forensics.metrics import OWN, ComprehensivePPOMetrics, flat, history_of, read_own
from rldk.forensics.observer import Observer, context, rules_without
from rldk.forensics.row import row
from rldk.forensics.scan import RESPONSES, SAMPLES, EventRows, summary
from rldk.forensics.scores import Scorer
from rldk.forensics.tracker import Tracker
from rldk.rules.knobs import keys_of, number
from rldk.rules.rule import Context, rules

VERSION = "2"
Expected = tuple[ComprehensivePPOMetrics, dict[str, float] | None]  # of a row: its coming metrics, and its percentiles
FEW_ROWS = 20


class Switches(Struct, frozen=True, kw_only=True):
    """What a `ComprehensivePPOForensics` measures: the checked arguments of its constructor."""

    kl_schedule: bool
    gradient_norms: bool
    advantage_statistics: bool
    kl_drift: bool
    length_bias: bool

    def silences(self, code: str) -> bool:
        """Whether the findings of a rule are not wanted."""
        if code == LENGTH_BIAS_CODE:
            return not self.length_bias
        if code.startswith("KL"):
            return not (self.kl_schedule or (self.kl_drift and code in DRIFT_CODES))
        off = {"GRAD": self.gradient_norms, "ADV": self.advantage_statistics}
        return not off.get(code.rstrip("0123456789"), True)


class ComprehensivePPOForensics:
    """Feeds every update to the live engine with the whole rule catalogue, and shows what it found and measured.

    The rules get `kl_target` as the run's own target; None where there is none. A part that is switched off is neither
    measured nor reported. Everything returned is a copy. An update costs the same at any length of the run."""

    def __init__(
        self,
        kl_target: float | None = 0.1,
        kl_target_tolerance: float = 0.05,
        window_size: int = 100,
        *,
        enable_kl_schedule_tracking: bool = True,
        enable_gradient_norms_analysis: bool = True,
        enable_advantage_statistics: bool = True,
        enable_kl_drift_tracking: bool = True,
        kl_drift_threshold: float = THRESHOLD,
        kl_drift_window_size: int = WINDOW,
        enable_length_bias_detection: bool = False,
        length_bias_threshold: float = 0.35,
    ) -> None:
        if min(window_size, kl_drift_window_size) < 2:
            raise UsageError("a window needs at least 2 rows", hint="the default is 100")
        self.kl_target = kl_target
        self.kl_target_tolerance = kl_target_tolerance
        self.window_size = window_size
        self.length_bias_threshold = length_bias_threshold
        self.switches = Switches(
            kl_schedule=enable_kl_schedule_tracking,
            gradient_norms=enable_gradient_norms_analysis,
            advantage_statistics=enable_advantage_statistics,
            kl_drift=enable_kl_drift_tracking,
            length_bias=enable_length_bias_detection,
        )
        self._drift_options = (kl_drift_threshold, kl_drift_window_size)
        self._begin(context({"kl_target": kl_target, "length_bias_threshold": length_bias_threshold}))

    @classmethod
    def of_run(cls, run: Run, *, reference_period: int | None = None, **options: Any) -> ComprehensivePPOForensics:
        """The forensics of a run that was read before, judged by what its log says about it.

        The log gives algorithm, configuration and, unless it is given here, the KL target. `reference_period`: that of
        the KL drift. `options`: those of the constructor."""
        told = [number(run.meta.config.get(key)) for key in keys_of("kl_target")]
        made = cls(**{"kl_target": next((x for x in told if x > 0), None), **options})
        own = {"kl_target": made.kl_target, "length_bias_threshold": made.length_bias_threshold}
        config = {**{k: x for k, x in own.items() if x is not None}, **run.meta.config}
        made._begin(replace(context_of(run.meta), config=config), reference_period)
        for one in rows_of(run):
            made._hold(one)
        return made

    def _begin(self, known: Context, reference_period: int | None = None) -> None:
        """Prepares for the first row: makes the engine and the trackers that watch its rows."""
        on = self.switches
        self._observer = look = Observer(rules_without(rules, without=on.silences), known, each=self._observed)
        self._expected: deque[Expected] = deque()  # for the held train rows: their coming metrics
        self._distiller = Distiller()
        self._scorer = Scorer()
        self._newest: tuple[Any, ...] = ()  # of the newest metrics, the fields named `OWN`
        target, tolerance, window = self.kl_target, self.kl_target_tolerance, self.window_size
        kl = KLScheduleTracker(target, tolerance, window, observer=look) if on.kl_schedule else None
        gradients = GradientNormsAnalyzer(window, observer=look) if on.gradient_norms else None
        advantages = AdvantageStatisticsTracker(window, observer=look) if on.advantage_statistics else None
        self.kl_schedule_tracker, self.gradient_norms_analyzer = kl, gradients
        self.advantage_statistics_tracker = advantages
        every: tuple[Tracker[Any] | None, ...] = (kl, gradients, advantages)
        self._trackers = tuple(tracker for tracker in every if tracker is not None)
        self._history = history_of([tracker.name for tracker in self._trackers])
        self._drift = KLDrift(*self._drift_options, reference_period) if on.kl_drift else None

    @property
    def current_metrics(self) -> ComprehensivePPOMetrics | None:
        """The metrics of the newest update, None before the first."""
        self._observer.settle()
        if not self._newest:
            return None
        parts: dict[str, Any] = {f"{tracker.name}_metrics": tracker.current_metrics for tracker in self._trackers}
        return ComprehensivePPOMetrics(**dict(zip(OWN, self._newest, strict=True)), **parts)

    def update(  # noqa: PLR0913 - documented, one argument a metric
        self,
        step: int,
        kl: float | None = None,
        kl_coef: float | None = None,
        entropy: float | None = None,
        reward_mean: float | None = None,
        *,
        reward_std: float | None = None,
        policy_grad_norm: float | None = None,
        value_grad_norm: float | None = None,
        total_grad_norm: float | None = None,
        advantage_mean: float | None = None,
        advantage_std: float | None = None,
        advantage_min: float | None = None,
        advantage_max: float | None = None,
        advantage_median: float | None = None,
        advantage_samples: Iterable[float] | None = None,
        response_data: Iterable[Mapping[str, Any]] | None = None,
        **metrics: float | None,
    ) -> ComprehensivePPOMetrics:
        """The metrics after one more training step. None is missing. NaN is a value, and is reported.

        Rows are judged up to two hundred at once, or as soon as anything is asked about them, for example when the
        metrics are read.

        `advantage_samples`: the advantages of the batch. `response_data`: mappings with `reward`, `n_tokens` (or
        `length`, or the text as `response`), `prompt_id` (or `prompt`), and `advantage` if there is one. `metrics`: any
        further ones, under canonical names, a trainer's names or your own. Raises `UsageError` for a value that is no
        number."""
        norms = (policy_grad_norm, value_grad_norm, total_grad_norm)
        advantages = (advantage_mean, advantage_std, advantage_min, advantage_max, advantage_median)
        told = (kl, kl_coef, entropy, reward_mean, reward_std, *norms, *advantages)
        whole = _whole(step)
        values = row(told, metrics, self._sampled(advantage_samples, response_data))
        made = ComprehensivePPOMetrics.pending(self._observer.settle)
        self._hold(self._observer.following(whole, values), made)
        return made

    def _sampled(
        self, samples: Iterable[float] | None, responses: Iterable[Mapping[str, Any]] | None
    ) -> dict[str, float]:
        """The metrics that follow from the samples of the coming row."""
        made: dict[str, float] = {}
        tracker = self.advantage_statistics_tracker
        if samples is not None and tracker is not None:
            made |= tracker.take_samples(samples)
        if responses is not None:
            made |= self._distiller.responses(responses, couple=self.switches.length_bias)
        return made

    def _hold(self, one: Row, made: ComprehensivePPOMetrics | None = None) -> None:
        tracker = self.advantage_statistics_tracker
        percentiles = None
        if tracker is not None:
            percentiles, tracker.percentiles = tracker.percentiles, None
        if one.phase == "train":
            self._expected.append((made or ComprehensivePPOMetrics.pending(self._observer.settle), percentiles))
        self._observer.hold(one)

    def _observed(self) -> None:
        """Measures the train row that the observer judges."""
        look = self._observer
        made, percentiles = self._expected.popleft()
        values, step = look.values, look.step or 0
        kl, gradients, advantages = (
            self.kl_schedule_tracker,
            self.gradient_norms_analyzer,
            self.advantage_statistics_tracker,
        )
        if self._drift is not None and "kl" in values:
            self._drift.update(step, values["kl"])
        if advantages is not None:
            advantages.percentiles = percentiles
        said = self._scorer.look(look.engine, look.rows, ahead=look.ahead)
        get = values.get
        made.fill(
            step=step,
            kl=get("kl"),
            kl_coef=get("kl_coef"),
            entropy=get("entropy"),
            reward_mean=get("reward_mean"),
            reward_std=get("reward_std"),
            kl_schedule_metrics=kl.observe() if kl else None,
            gradient_norms_metrics=gradients.observe() if gradients else None,
            advantage_statistics_metrics=advantages.observe() if advantages else None,
            overall_health_score=said.overall,
            training_stability_score=said.stability,
            convergence_quality_score=said.convergence,
        )
        self._newest = read_own(made)
        self._history.add(step, flat(self._newest, self._trackers))

    def get_anomalies(self) -> list[dict[str, Any]]:
        """Every anomaly so far, in order, including those that are over.

        Keys: `type, severity, level, message, step, first_step, last_step, onset, ongoing, rows, metric, value,
        threshold, tracker, code, incident, evidence, causes, fixes`. They are the findings of the engine: warnings and
        worse, and the documented names at any level. A KL drift is listed under its own name beside the finding that
        decides it."""
        found = anomalies(self.report())
        if not self.switches.kl_schedule:  # its rules ran for the drift alone
            found = [a for a in found if a["tracker"] != "kl_schedule"]
        return deepcopy([*found, *self.get_kl_drift_analysis().get("anomalies", [])])

    def get_kl_drift_analysis(self) -> dict[str, Any]:
        """Whether the KL drifted (`detected, score, threshold, divergence, trend, drift_start_step, ongoing, ...`).

        The rules decide (`decided_by`). `score` is the Jensen-Shannon divergence, 0 to 1, between the reference period
        and the newest window. `divergence` is their Wasserstein distance in robust standard deviations. A learning
        policy moves away from its reference period, too: a high score alone is no drift."""
        if self._drift is None:
            return {"enabled": False, "detected": False, "score": None, "status": "disabled"}
        return deepcopy(self._drift.analysis(self.report().findings))

    def get_length_bias_analysis(self) -> dict[str, Any]:
        """Whether reward is paid for length: `detected, status, severity, correlation, interval, threshold, ...`."""
        if not self.switches.length_bias:
            return {"enabled": False, "detected": False, "severity": None, "status": "disabled"}
        found = self.report().findings
        return deepcopy(length_bias(self._distiller, found, threshold=self.length_bias_threshold))

    def get_health_summary(self) -> dict[str, Any]:
        """A short summary. `status` follows from the findings, never from a score: no_data, too_early (below 20 rows),
        healthy, warning or critical."""
        found = self.get_anomalies()
        metrics = self.current_metrics or ComprehensivePPOMetrics(step=0)
        distinct = {(a["code"], a["metric"], a["step"]): a for a in found}.values()
        return {
            "status": self._status(),
            "verdict": self.report().verdict,
            "step": metrics.step if self._newest else None,
            "rows": self._observer.rows,
            "overall_health_score": metrics.overall_health_score,
            "training_stability_score": metrics.training_stability_score,
            "convergence_quality_score": metrics.convergence_quality_score,
            "total_anomalies": len(distinct),
            "critical_anomalies": sum(a["severity"] == "critical" for a in distinct),
            "warning_anomalies": sum(a["severity"] == "warning" for a in distinct),
            "minor_anomalies": sum(a["level"] == "info" for a in distinct),
            "ongoing_anomalies": sum(a["ongoing"] for a in distinct),
            **{f"current_{name}": getattr(metrics, name) for name in ("kl", "kl_coef", "reward_mean", "entropy")},
            "kl_drift": self.get_kl_drift_analysis(),
            "length_bias": self.get_length_bias_analysis(),
        }

    def get_comprehensive_analysis(self) -> dict[str, Any]:
        """Everything: scores, anomalies, incidents with causes and fixes, each tracker's summary, and what was not
        checked.

        It has plain JSON types. The same rows give the same analysis."""
        report, metrics = self.report(), self.current_metrics
        plain: dict[str, Any] = to_builtins(
            {
                "version": VERSION,
                "total_steps": self._observer.rows,
                "first_step": report.numbers["first_step"],
                "last_step": report.numbers["last_step"],
                **self.get_health_summary(),
                "anomalies": self.get_anomalies(),
                "incidents": report.incidents,
                "trackers": {
                    **{t.name: t.get_summary() for t in self._trackers},
                    "kl_drift": self.get_kl_drift_analysis(),
                    "length_bias": self.get_length_bias_analysis(),
                },
                "current_metrics": metrics.to_dict() if metrics is not None else {},
                "checked": report.checked,
                "not_checked": list_unchecked(report.skipped),
                "skipped": {check.code: check.reason for check in report.skipped},
            }
        )
        return plain

    def report(self) -> Report:
        """The engine's report of the rows so far, as `rldk doctor` gives it."""
        return self._observer.report()

    def history(self) -> MetricTable:
        """The flat metrics of every update, one row each. NaN where there was no evidence."""
        self._observer.settle()
        return self._history.table()

    def save_analysis(self, path: str | os.PathLike[str], *, at_step: bool = False) -> list[Path]:
        """Writes the analysis and returns the files. A path that ends in `.json` is one file.

        Any other path is the beginning of the names of a set: `<path>_comprehensive_analysis.json`,
        `<path>_health_summary.json`, `<path>_comprehensive_metrics.csv` and `.json` (`ppo_...` in a directory). With
        `at_step` only `<path>_comprehensive_analysis_step_N.json` is written. Raises `UsageError` when it cannot be
        written."""
        analysis = self.get_comprehensive_analysis()
        if os.fspath(path).endswith(".json"):
            return [files.write_json(Path(path), analysis)]
        prefix = files.prefix_of(path)
        if at_step:
            step = self._observer.step
            return [files.write_json(files.beside(prefix, files.AT_STEP.format(step=step)), analysis)]
        return [
            files.write_json(files.beside(prefix, files.ANALYSIS), analysis),
            files.write_json(files.beside(prefix, files.HEALTH), self.get_health_summary()),
            *files.write_metrics(prefix, self.history()),
        ]

    def scan_ppo_events_comprehensive(self, events: Iterable[Event | Mapping[str, Any]]) -> dict[str, Any]:
        """Feeds a whole run given as events, which are consumed once. An event may carry `advantage_samples` and
        `response_data`.

        The result has the keys of `scan_ppo_events`, over all rows, and `comprehensive_analysis` and
        `enhanced_version`."""
        source = EventRows()
        seen = TableBuilder()
        for one in source.of(events):
            held = source.held.pop(one.step, {})
            sampled = self._sampled(held.get(SAMPLES), held.get(RESPONSES))
            whole = replace(one, values={**sampled, **one.values}) if sampled else one
            seen.add(whole.step, whole.values, phase=whole.phase, segment=whole.segment, time=whole.time)
            self._hold(whole)
        return {
            **summary(self.report(), seen.build()),
            "comprehensive_analysis": self.get_comprehensive_analysis(),
            "enhanced_version": VERSION,
        }

    def _status(self) -> str:
        worst = self.report().worst()
        if worst in ("critical", "warn"):
            return "critical" if worst == "critical" else "warning"
        rows = self._observer.rows
        return "no_data" if not rows else "too_early" if rows < FEW_ROWS else "healthy"


def _whole(step: Any) -> int:
    if isinstance(step, int):
        return step
    try:
        if float(step) == int(step):
            return int(step)
    except (TypeError, ValueError, OverflowError):
        pass
    raise UsageError(f"step is {step!r}, not a whole number", hint="pass the number of the update") from None
