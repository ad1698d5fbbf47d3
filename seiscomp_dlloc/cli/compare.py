"""``dlloc compare``: our origins against conventional ones of the same events."""

import argparse
import csv
import io
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..wording import counted
from .commands import add_command
from .locate import finite, nonempty
from .stdio import printable, say

if TYPE_CHECKING:
    from ..compare import Comparison, Pair, Stations
    from ..records import Station
    from ..traveltimes import TravelTimes

DESCRIPTION = """\
Compares origins of this package with conventional origins of the same events: distances in km and in sigma,
differences of depth, origin time and magnitude, and the residuals of the conventional picks at both locations.
Prints a table, the worst events first, and writes one HTML page that needs no network.
"""

EPILOG = """\
Files are QuakeML 1.2 or SCML 0.7 to 0.14. Ours are the origins whose methodID names DLLOC (or the one given with
--ours), all others are conventional: several files, or several methodIDs in a file, are several locators. Origins
belong together where their event is the same or ours names theirs as its trigger, else by time and place.

output:
  stdout     a table of the locators and of the worst events; with --json one JSON object per line and pair, with
             --csv a table for spreadsheets (lengths km, times s, ours minus theirs; empty or null: unknown)
  -o FILE    the page: map, sections, distributions, the worst events with drawings and residuals, every event

exit status:
  0   the origins were compared
  2   a file cannot be read, nothing belongs together, or something cannot be written

examples:
  dlloc compare located.xml catalogue.xml --inventory stations.xml -o comparison.html
  dlloc compare events.scml --ours DLLOC --csv > differences.csv
  dlloc compare located.xml locsat.xml hypo71.xml --inventory stations.xml --model oklahoma-fcn-slim -o page.html
"""

_MAX_PICTURE, _MAX_PICTURES = 4 << 20, 64 << 20


def _count(text: str) -> int:
    """A whole number from 0 on, for argparse."""
    try:
        value = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number") from error
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} must not be negative")
    return value


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(subparsers, "compare", "compare our origins with conventional ones", DESCRIPTION, EPILOG)
    parser.add_argument("files", type=nonempty, nargs="+", metavar="FILE", help="origins, QuakeML or SCML")
    parser.add_argument("-o", "--output", type=nonempty, metavar="PAGE", help="write the HTML page to PAGE")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per line and pair instead of the table")
    form.add_argument("--csv", action="store_true", help="comma-separated values instead of the table")
    parser.add_argument("--ours", type=nonempty, metavar="METHOD", help="methodID of our origins (default: DLLOC)")
    parser.add_argument(
        "--inventory", type=nonempty, metavar="FILE", help="stations, for the residuals: StationXML or SeisComP's XML"
    )
    parser.add_argument(
        "--model",
        type=nonempty,
        metavar="NAME|FILE",
        help="compute travel times as this model does (default: TauP's iasp91)",
    )
    parser.add_argument(
        "--pictures", type=nonempty, metavar="DIR", help="folder of 'dlloc locate --plot' whose pictures go in"
    )
    parser.add_argument(
        "--order",
        choices=("km", "sigma", "depth", "time", "magnitude"),
        default="km",
        help="what makes an event one of the worst (default: km, the distance of the hypocentres)",
    )
    parser.add_argument(
        "--accepted", action="store_true", help="leave out origins of ours that the locator does not stand by"
    )
    parser.add_argument("--worst", type=_count, default=25, metavar="N", help="events with drawings (default: 25)")
    parser.add_argument(
        "--rows", type=_count, default=20, metavar="N", help="events in the table on stdout, 0 for all (default: 20)"
    )
    parser.add_argument(
        "--time-tolerance", type=finite, default=20.0, metavar="S", help="for pairs by time and place (default: 20)"
    )
    parser.add_argument(
        "--distance-tolerance", type=finite, default=150.0, metavar="KM", help="for the same (default: 150)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """``dlloc compare``."""
    from ..compare import compare, with_residuals, worst_first
    from ..errors import EventFileError
    from ..formats.atomic import check_writable
    from ..formats.origins import read_origins
    from . import EXIT_OK

    if arguments.output:
        check_writable(arguments.output)
    files = [read_origins(name) for name in arguments.files]
    _warn([problem.message for file in files for problem in file.problems])
    found = compare(files, arguments.ours, arguments.time_tolerance, arguments.distance_tolerance, arguments.accepted)
    if not found.pairs:
        raise EventFileError(
            f"{', '.join(arguments.files)}: no origin of ours belongs to a conventional one: neither by event nor "
            f"within {arguments.time_tolerance:g} s and {arguments.distance_tolerance:g} km"
        )
    listed: list[Station] = []
    label = ""
    if arguments.inventory:
        stations, listed = _stations(Path(arguments.inventory), [pair.theirs.time for pair in found.pairs])
        travel_times, label = _travel_times(arguments.model)
        found = type(found)(
            tuple(with_residuals(pair, stations, travel_times) for pair in found.pairs),
            found.ours_alone,
            found.theirs_alone,
            found.notes,
        )
    pairs = worst_first(found.pairs, arguments.order)
    if arguments.json:
        for pair in pairs:
            say(json.dumps(as_row(pair)))
    elif arguments.csv:
        _say_csv(pairs)
    else:
        _say_table(found, pairs[: arguments.rows or None])
    if arguments.output:
        _write_page(arguments, found, listed, label)
    return EXIT_OK


def _warn(lines: list[str]) -> None:
    for line in lines[:10]:
        print(f"dlloc: warning: {printable(line)}", file=sys.stderr)
    if len(lines) > 10:
        print(f"dlloc: warning: {len(lines) - 10} more of this kind", file=sys.stderr)


def _stations(path: Path, times: list[float]) -> tuple["Stations", list["Station"]]:
    """A look-up of stations, and those of the middle of the times for maps."""
    from ..formats.inventory import read_inventory
    from ..network import inventory_stations, station_epochs

    inventory = read_inventory(path)
    epochs = station_epochs(inventory)

    def station(station_id: str, time: float) -> "Station | None":
        fitting = [found for start, end, found in epochs.get(station_id, ()) if start <= time <= end]
        return fitting[-1] if fitting else None

    return station, list(inventory_stations(inventory, sorted(times)[len(times) // 2]))


def _travel_times(model: str | None) -> tuple["TravelTimes", str]:
    from .. import models
    from ..model import read_passport
    from ..traveltimes import from_passport

    if model is None:
        return from_passport({"kind": "taup", "name": "iasp91"}), "predicted by TauP (iasp91)"
    passport = read_passport(models.resolve(model))
    return from_passport(passport.earth_model), f"predicted as model {passport.name} {passport.version} does"


def as_row(pair: "Pair") -> dict[str, Any]:
    """A pair as a flat JSON object: ours minus theirs, km and s, null where unknown."""
    row: dict[str, Any] = {
        "event": pair.event_id,
        "locator": pair.locator,
        "joined_by": pair.how,
        "theirs": pair.theirs.public_id,
        "ours": pair.ours.public_id,
        "time_theirs": pair.theirs.time,
        "latitude_theirs": pair.theirs.latitude,
        "longitude_theirs": pair.theirs.longitude,
        "depth_km_theirs": pair.theirs.depth_km,
        "magnitude_theirs": pair.theirs.magnitude,
        "time_ours": pair.ours.time,
        "latitude_ours": pair.ours.latitude,
        "longitude_ours": pair.ours.longitude,
        "depth_km_ours": pair.ours.depth_km,
        "magnitude_ours": pair.ours.magnitude,
        "epicentral_km": pair.epicentral_km,
        "hypocentral_km": pair.hypocentral_km,
        "east_km": pair.east_km,
        "north_km": pair.north_km,
        "down_km": pair.down_km,
        "later_s": pair.later_s,
        "magnitude_difference": pair.larger,
        "sigma_2d": pair.sigma2,
        "sigma_3d": pair.sigma3,
        "sigma_of": pair.sigma_of,
        "picks": len(pair.residuals),
        "rms_theirs_s": pair.rms_s("theirs"),
        "rms_ours_s": pair.rms_s("ours"),
        "rms_theirs_best_time_s": pair.rms_s("theirs_shifted"),
        "rms_ours_best_time_s": pair.rms_s("ours_shifted"),
        "abstained": pair.abstained,
        "theoretical": pair.ours.theoretical or pair.theirs.theoretical,
    }
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _say_csv(pairs: "tuple[Pair, ...]") -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for i, pair in enumerate(pairs):
        row = as_row(pair)
        if i == 0:
            writer.writerow(row)
        writer.writerow(["" if value is None else _cell(value) for value in row.values()])
    say(buffer.getvalue().rstrip("\n"))


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _say_table(found: "Comparison", shown: "tuple[Pair, ...]") -> None:
    from ..compare import statistics

    if found.theoretical:
        say("THEORETICAL SEISMOGRAMS (synthetic): a file says that they were computed, not recorded\n")
    for note in found.notes:
        say(printable(note))
    for row in statistics(found):
        p50, p68, p95 = row.epicentral_km
        depth = f", depth {row.depth_km[0]:+.1f} +- {row.depth_km[1]:.1f} km" if math.isfinite(row.depth_km[0]) else ""
        inside = row.inside[68]
        share = f", {100 * inside[0]:.0f} % of epicentres within 68 %" if math.isfinite(inside[0]) else ""
        say(
            f"{printable(row.locator)}: {counted(row.count, 'event')}, epicentre {p50:.2f} km (median), "
            f"{p68:.2f} (68 %), {p95:.2f} (95 %){depth}, time {row.time_s[0]:+.2f} +- {row.time_s[1]:.2f} s{share}"
        )
        if math.isfinite(row.rms_theirs_s):
            say(f"  residuals of its picks: {row.rms_theirs_s:.2f} s at its location, {row.rms_ours_s:.2f} s at ours")
    alone = [(len(found.ours_alone), "of ours"), (len(found.theirs_alone), "conventional")]
    say("".join(f"without a counterpart: {number} {whose}\n" for number, whose in alone if number) or "")
    width = max([5, *(min(len(pair.event_id), 36) for pair in shown)])
    name = max([7, *(min(len(pair.locator), 20) for pair in shown)])
    say(
        f"{'event':<{width}}  {'against':<{name}} {'epi km':>8} {'depth km':>8} {'2-D':>6} {'3-D':>6} {'time s':>7} "
        f"{'mag':>5} {'rms theirs':>10} {'ours':>6}"
    )
    for pair in shown:
        event = printable(pair.event_id)
        event = event if len(event) <= width else "…" + event[-(width - 1) :]
        say(
            f"{event:<{width}}  {printable(pair.locator)[:name]:<{name}} {pair.epicentral_km:8.2f} "
            f"{_fixed(pair.down_km, 8, '+.2f')} {_fixed(pair.sigma2, 6, '.2f')} {_fixed(pair.sigma3, 6, '.2f')} "
            f"{_fixed(pair.later_s, 7, '+.2f')} {_fixed(pair.larger, 5, '+.1f')} "
            f"{_fixed(pair.rms_s('theirs_shifted'), 10, '.2f')} {_fixed(pair.rms_s('ours_shifted'), 6, '.2f')}"
        )
    if len(shown) < len(found.pairs):
        say(f"... and {len(found.pairs) - len(shown)} more (--rows 0 for all)")


def _fixed(value: float, width: int, form: str) -> str:
    return f"{value:{form}}".rjust(width) if math.isfinite(value) else "-".rjust(width)


def _write_page(arguments: argparse.Namespace, found: "Comparison", listed: "list[Station]", label: str) -> None:
    from ..formats.atomic import write_atomically
    from ..report.comparison import comparison_page

    page = comparison_page(
        found,
        [Path(name).name for name in arguments.files],
        arguments.order,
        arguments.worst,
        listed,
        label,
        _Pictures(Path(arguments.pictures)) if arguments.pictures else None,
    )
    write_atomically(arguments.output, page.encode("utf-8", "replace"))


class _Pictures:
    """Pictures of events by name in one folder, no more than a page should hold."""

    def __init__(self, folder: Path):
        from ..errors import SettingError

        if not folder.is_dir():
            raise SettingError(f"--pictures {folder}: no such folder")
        self._folder, self._left = folder, _MAX_PICTURES

    def __call__(self, pair: "Pair") -> bytes:
        """The PNG of our origin's event, empty where there is none."""
        from ..formats.identifiers import file_stem, short_stem

        for stem in (file_stem(pair.ours.public_id), file_stem(pair.event_id), short_stem(pair.event_id)):
            path = self._folder / f"{stem}.png"
            try:
                if not path.is_file() or path.stat().st_size > min(_MAX_PICTURE, self._left):
                    continue
                content = path.read_bytes()
            except OSError:
                continue  # a picture less; the drawing is there
            if content.startswith(b"\x89PNG\r\n"):
                self._left -= len(content)
                return content
        return b""
