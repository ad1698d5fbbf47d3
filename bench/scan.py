"""Events found by ``dlloc scan`` in recorded continuous data, against the catalogues that come with them, and its time.

    python bench/scan.py FOLDER [--model NAME|FILE] [--threads N] [--write NAME]

FOLDER holds ridgecrest/ and hengill/, such as ../shared/data. The first scan of a network makes its travel-time tables;
the time is that of a second one. No time can be had without the model's evidence, so that alone is the floor.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from locate import Stopwatch
from obspy import UTCDateTime
from tables import add_write_option, machine, markdown, publish

from seiscomp_dlloc.cli import scanning
from seiscomp_dlloc.formats.origins import CatalogueOrigin, read_origins
from seiscomp_dlloc.geometry import distance_azimuth
from seiscomp_dlloc.models import resolve
from seiscomp_dlloc.records import Solution

TIME_S, DISTANCE_KM = 2.0, 10.0
"""How far from a catalogue's event one of ours may be and still be it; times of a catalogue may lack the fraction."""


@dataclass(frozen=True)
class Case:
    """A record: when it is, and an earth of its own as CSV rows of its file (depth, vp, _, vs)."""

    name: str
    start: str
    end: str
    earth: str = ""


CASES = (
    Case("ridgecrest", "2019-07-04T16:46:00", "2019-07-04T17:11:00"),
    Case("hengill", "2018-12-30T03:00:00", "2018-12-30T03:05:00", "velocity_model_local.txt"),
)


def earth_csv(source: Path, target: Path) -> Path:
    """``source``'s layers as the CSV that ``--earth-model`` takes."""
    rows = [line.split() for line in source.read_text().splitlines() if line.strip() and not line.startswith("#")]
    layers = "".join(f"{row[0]},{row[1]},{row[3]}\n" for row in rows)
    target.write_text(f"depth_km,vp_km_s,vs_km_s\n{layers}")
    return target


def apart(ours: Solution, theirs: CatalogueOrigin) -> tuple[float, float]:
    """Seconds and km between an answer and a catalogue's origin."""
    h = ours.hypocenter
    if h is None:
        return float("inf"), float("inf")
    away, _ = distance_azimuth(theirs.latitude, theirs.longitude, h.latitude, h.longitude)
    # A time truncated to the second may be up to a second later
    late = h.time - theirs.time
    truncated = theirs.time == round(theirs.time)
    return (max(0.0, -late, late - 1.0) if truncated else abs(late)), float(away)


def events_of(origins: Sequence[CatalogueOrigin]) -> list[list[CatalogueOrigin]]:
    """The catalogue's events: rows of several agencies that are TIME_S and DISTANCE_KM from one another are one."""
    events: list[list[CatalogueOrigin]] = []
    for origin in sorted(origins, key=lambda one: one.time):
        last = events[-1][0] if events else None
        if (
            last is not None
            and origin.time - last.time <= TIME_S
            and (distance_azimuth(last.latitude, last.longitude, origin.latitude, origin.longitude)[0] <= DISTANCE_KM)
        ):
            events[-1].append(origin)
        else:
            events.append([origin])
    return events


def matches(event: list[CatalogueOrigin], ours: Sequence[Solution]) -> list[float]:
    """Distances (km) of our answers that are this event, each from the row that it is nearest to."""
    found = []
    for one in ours:
        near = [away for late, away in (apart(one, row) for row in event) if late <= TIME_S and away <= DISTANCE_KM]
        found += [min(near)] if near else []
    return found


def scan(case: Case, folder: Path, arguments: argparse.Namespace, scratch: Path) -> list[str]:
    """A row of the table."""
    earth = str(earth_csv(folder / case.earth, scratch / f"{case.name}.csv")) if case.earth else None
    inputs = scanning.Inputs(
        str(folder / "waveforms"), folder / "stations.xml", resolve(arguments.model), earth, abstained=True,
        provider="cpu", threads=arguments.threads,
    )  # fmt: skip
    start, end = (UTCDateTime(text).timestamp for text in (case.start, case.end))
    seconds, floor, watch = 0.0, 0.0, Stopwatch()
    for number in range(2):
        settings = scanning.Settings(inputs, start, end, scratch / f"{case.name}{number}", progress=False)
        run = scanning.Scan(settings)
        model = scanning.open_searcher(inputs).locator.model
        if number:
            model.run = watch.wrap("model", model.run)  # type: ignore[method-assign]
        began = time.perf_counter()
        run.go()
        seconds = time.perf_counter() - began
    floor = watch.seconds["model"]
    answers = run.events
    accepted = [one for one in answers if one.accepted]
    events = events_of(read_origins(folder / "catalog.xml").origins)
    for event in events:
        sizes = "/".join(f"{row.magnitude:g}" for row in event if row.magnitude is not None)
        near = [one for one in answers if matches(event, [one])]
        state = [f"{'accepted' if one.accepted else one.abstention.reason} peak {one.peak:.2f}" for one in near]
        print(f"  {UTCDateTime(event[0].time)} M {sizes}: {state or 'no answer there'} {matches(event, near)}")
    found = [away for event in events for away in matches(event, accepted)[:1]]
    seen = sum(bool(matches(event, answers)) for event in events)
    extra = [one for one in accepted if not any(matches(event, [one]) for event in events)]
    for one in extra:
        print(f"  not in the catalogue: {UTCDateTime(one.hypocenter.time)} peak {one.peak:.2f}")
    hours = (end - start) / 3600.0
    median = f"{statistics.median(found):.2f}" if found else "-"
    return [
        case.name, f"{(end - start) / 60.0:.0f}", str(len(events)), str(len(found)), str(seen), str(len(events) - seen),
        str(len(extra)), median, f"{seconds / hours:.0f}", f"{floor / hours:.0f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", metavar="NAME|FILE", default="anynet")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the model (default 1)")
    add_write_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = [scan(case, arguments.folder / case.name, arguments, Path(scratch)) for case in CASES]
    header = [
        "record", "minutes", "events of the catalogue", "found (accepted)", "located (abstained too)", "missed",
        "accepted, not in the catalogue", "median epicentre distance, km", "s per hour of data",
        "the model alone (floor), s per hour",
    ]  # fmt: skip
    note = (
        f"{machine()}; {arguments.model}, {arguments.threads} CPU threads, travel-time tables there. An event is "
        f"found within {TIME_S:g} s and {DISTANCE_KM:g} km; distances are from the nearest of its catalogue rows. "
        "hengill's first event begins 3 s after its record does. What is not in the catalogues nobody has looked at."
    )
    publish(f"{note}\n\n{markdown(header, rows)}", arguments.write)


if __name__ == "__main__":
    main()
