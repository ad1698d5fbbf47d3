"""What was measured, as a document for people and as JSON for machines."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..experiments.report.document import Block, Cell, Document, Section, Table
from ..scoreboard import percent_text
from .measuring import ACCEPTED, ALL, Figures, Measured, Result

REMARKS = (
    "Errors are against the catalogue, whose own errors are in every figure; means and medians are over the events "
    "that were answered, the share near the truth is of all events, answered or not.",
    "trace:R: Gaussian noise of each channel's own spectrum added, so that at every station the RMS of what follows P "
    "on the vertical, unfiltered, is R times that of the noise; network:R: the same noise everywhere, R at the median "
    "station; peak:R: the same noise until the largest value of each channel from P on, unfiltered, is R times the RMS "
    "of all its noise; stations:N: the waveforms of N random stations alone; removed:N: without those of N random "
    "stations; shifted:S: the clocks of one station in five wrong by S seconds, early or late; velocity:P: the "
    "locators' earth P per cent too fast. The draws are the same for all.",
)


def _columns(near_km: float) -> tuple[str, ...]:
    return (
        "", "events", "accepted", "abstained", "failed", "epicentre mean [68 %] km", "median [68 %] km", "p90 km",
        f"within {near_km:g} km", "depth MAE [68 %] km", "time median s", "epicentre in 68 / 90 % region",
        "median s per event",
    )  # fmt: skip


def document(measured: Measured) -> Document:
    """The report for people: a table for each condition."""
    trivial = [item for item in measured.results if not item.condition]
    names = dict.fromkeys(item.condition for item in measured.results if item.condition)
    sections = [
        _section(name, measured.near_km, [*trivial, *(each for each in measured.results if each.condition == name)])
        for name in names
    ]
    notes = [f"{item.name}: {item.answers.row.note}." for item in trivial]
    sections.append(Section("Remarks", (*notes, *REMARKS, *measured.remarks)))
    return Document(measured.title, "", measured.header, tuple(sections))


def _section(name: str, near_km: float, results: Sequence[Result]) -> Section:
    rows = [line for item in results for line in _lines(item)]
    blocks: list[Block] = [Table(name, _columns(near_km), tuple(rows))]
    for item in results:
        for what, reasons in (("abstained", item.abstained), ("failed", item.failed)):
            if reasons:
                said = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
                blocks.append(f"{item.name} {what}: {said}.")
    return Section(name, tuple(blocks))


def _lines(item: Result) -> list[tuple[Cell, ...]]:
    """The table's lines of one subject; who does not judge its answers has one, and a baseline no counts."""
    lost, refused = sum(item.failed.values()), sum(item.abstained.values())
    if item.accepted is None:
        counts = (item.count, None, None, lost if item.condition else None)
        return [(item.name, *counts, *_cells(item.answers), item.seconds)]
    judged = (item.count, item.count - lost - refused, refused, lost)
    return [
        (f"{item.name}, {ALL}", *judged, *_cells(item.answers), item.seconds),
        (f"{item.name}, {ACCEPTED}", *judged, *_cells(item.accepted), None),
    ]


def _cells(found: Figures) -> tuple[Cell, ...]:
    row = found.row
    inside = [percent_text(item.share.value) for item in row.horizontal or ()]
    time_s = None if found.time_s is None else found.time_s.value
    share = " / ".join(inside) if set(inside) != {"-"} else "-"
    place = (row.epicentre.mean, row.epicentre.median, row.epicentre.p90.value)
    return *place, percent_text(found.near), row.depth_mae, time_s, share


def record(measured: Measured) -> dict[str, Any]:
    """The report for machines, every event's answers with it."""
    return asdict(measured)
