"""The table of an evaluation, as Markdown for people and as JSON for machines."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from .answers import ForcedAnchor, TriggerTest
from .metrics import Coverage, ErrorSummary, Interval


@dataclass(frozen=True)
class Row:
    """One line of the table; None where a column means nothing for it.

    ``accepted``: share of answers that the locator stands by. ``horizontal``, ``vertical``: coverage of the stated
    68 and 90 % regions.
    """

    name: str
    epicentre: ErrorSummary
    depth_mae: Interval | None = None
    time_mae: Interval | None = None
    accepted: float | None = None
    horizontal: tuple[Coverage, Coverage] | None = None
    vertical: tuple[Coverage, Coverage] | None = None
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """The model against a baseline, event by event: mean of model minus baseline (km), and skill."""

    baseline: str
    difference_km: Interval
    skill: float


@dataclass(frozen=True)
class Report:
    """Everything that an evaluation found. ``header``: label -> text, in order."""

    title: str
    header: dict[str, str]
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    triggers: TriggerTest | None
    forced: tuple[ForcedAnchor, ...]
    abstentions: dict[str, int]
    remarks: tuple[str, ...]


def to_json(report: Report) -> str:
    """The report as JSON; what is not known is null."""
    return json.dumps(finite(asdict(report)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """``value`` for JSON: numbers that are none become None, in whatever lists and mappings they stand."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def interval_text(interval: Interval | None, digits: int = 2) -> str:
    """``value [low, high]``; a dash where it is not known."""
    if interval is None or not math.isfinite(interval.value):
        return "-"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _plain(interval: Interval | None) -> str:
    return "-" if interval is None or not math.isfinite(interval.value) else f"{interval.value:.2f}"


def percent_text(share: float | None) -> str:
    """A share in whole per cent; a dash where it is not known."""
    return "-" if share is None or not math.isfinite(share) else f"{100 * share:.0f} %"


def _covered(pair: tuple[Coverage, Coverage] | None) -> str:
    return "-" if pair is None else " / ".join(percent_text(c.share.value) for c in pair)


_COLUMNS = (
    "", "mean [68 %] km", "median [68 %] km", "p90 km", "depth MAE km", "time MAE s", "answered", "accepted",
    "epicentre in 68 / 90 % region", "depth in 68 / 90 % interval",
)  # fmt: skip


def to_markdown(report: Report) -> str:
    """The report as Markdown."""
    lines = [f"# {report.title}", ""]
    lines += [f"- {label}: {text}" for label, text in report.header.items()]
    lines += ["", "| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    for row in report.rows:
        cells = (
            row.name, interval_text(row.epicentre.mean), interval_text(row.epicentre.median),
            _plain(row.epicentre.p90), _plain(row.depth_mae), _plain(row.time_mae),
            percent_text(row.epicentre.answered), percent_text(row.accepted),
            _covered(row.horizontal), _covered(row.vertical),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    if report.comparisons:
        lines += ["", "## Where it stands", "", "Epicentre errors event by event, the model's minus the baseline's."]
        lines += ["", "| against | mean difference [68 %] km | skill |", "|---|---|---|"]
        lines += [f"| {c.baseline} | {interval_text(c.difference_km)} | {c.skill:.2f} |" for c in report.comparisons]
        lines += ["", "Skill: 1 - mean error / baseline's mean error; below 0 the baseline is better."]
    if report.abstentions:
        lines += ["", "Abstained: " + ", ".join(f"{n} {reason}" for reason, n in report.abstentions.items()) + "."]
    lines += _trigger_lines(report)
    lines += ["", "## What the rows are", ""]
    lines += [f"- {row.name}: {row.note}." for row in report.rows if row.note]
    lines += ["", "## Remarks", ""] + [f"- {remark}" for remark in report.remarks]
    return "\n".join(lines) + "\n"


def _trigger_lines(report: Report) -> list[str]:
    lines: list[str] = []
    if report.triggers is not None:
        test = report.triggers
        lines += ["", "## What the trigger does", ""]
        lines.append(
            f"- Epicentre moved by {test.moved_km:g} km, a different azimuth for each event: "
            f"{test.moved_identical} of {test.events} answers bit-equal."
        )
        lines += [
            f"- Time moved by {shift:+g} s: the same anchor in {percent_text(share)} of {test.anchored} events."
            for shift, share in test.same_anchor.items()
        ]
    if report.forced:
        lines += [
            "",
            "| anchor forced off by | events | mean error km | change km | moved: mean / median / largest km |",
        ]
        lines.append("|---|---|---|---|---|")
        lines += [
            f"| {f.shift_s:+g} s | {f.answered} | {f.mean_km:.2f} | {f.change_km:+.2f} | "
            f"{f.moved_mean_km:.2f} / {f.moved_median_km:.2f} / {f.moved_largest_km:.2f} |"
            for f in report.forced
        ]
    return lines
