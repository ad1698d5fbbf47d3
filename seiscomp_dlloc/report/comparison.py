"""The page of a comparison: one HTML file that loads nothing, runs nothing, and escapes whatever came from a file."""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from .. import __version__
from ..compare import EXPECTED, Comparison, Pair, Statistics, statistics, worst_first
from ..records import Station
from .comparisonplots import close_up, distributions, overview, style_of
from .comparisonstyle import CSS
from .svg import escape

Pictures = Callable[[Pair], bytes]
"""PNG of an event, empty where there is none."""

MOST_RESIDUALS = 200


def comparison_page(
    comparison: Comparison,
    files: Sequence[str],
    order: str = "km",
    detailed: int = 25,
    stations: Sequence[Station] = (),
    travel_times: str = "",
    pictures: Pictures | None = None,
) -> str:
    """The page.

    ``files``: names of what was compared. The events stand by ``order`` (:data:`~seiscomp_dlloc.compare.ORDERS`), the
    worst first, the first ``detailed`` of them with drawings. ``travel_times``: what the residuals were computed with.
    """
    pairs, locators = worst_first(comparison.pairs, order), comparison.locators
    body = [
        _head(comparison, files),
        "<section><h2>Summary</h2>",
        _legend(locators),
        _summary(statistics(comparison)),
        _sources(travel_times),
        "</section>",
    ]
    if pairs:
        body += [
            "<section><h2>All events</h2><div class=wide>",
            overview(pairs, locators, stations),
            distributions(pairs, locators),
            "</div></section>",
            f"<section><h2>The worst first <small>by {escape(_ORDER_NAMES.get(order, order))}</small></h2>",
            *(
                _card(i, pair, style_of(pair.locator, locators), stations, pictures(pair) if pictures else b"")
                for i, pair in enumerate(pairs[:detailed], 1)
            ),
            "</section>",
            _table(pairs, min(detailed, len(pairs))),
        ]
    body.append(_alone(comparison))
    title = "Comparison of locations"
    return (
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{CSS}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


_ORDER_NAMES = {
    "km": "distance of the hypocentres",
    "sigma": "distance in sigma",
    "depth": "difference of depth",
    "time": "difference of origin time",
    "magnitude": "difference of magnitude",
}


def number(value: float | None, digits: int, sign: bool = False) -> str:
    """A number for a reader, an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return text.replace("-", "\u2212")


def when(time: float) -> str:
    """POSIX seconds as ``2016-01-06 01:17:05.48``; a dash where no calendar has the time."""
    try:
        return datetime.fromtimestamp(round(time, 2), UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-4]
    except (OverflowError, ValueError, OSError):
        return "\u2013"


def _head(comparison: Comparison, files: Sequence[str]) -> str:
    count = len(comparison.pairs)
    events = f"{count} pair{'' if count == 1 else 's'} of origins"
    rows = [f"<h1>Comparison of locations</h1><p class=lead>{events} from {escape(', '.join(files))}</p>"]
    if comparison.theoretical:
        rows.append(
            "<p class=banner><b>Theoretical seismograms (synthetic).</b> A file says that its seismograms were "
            "computed, not recorded: what stands here is no measure of skill on real earthquakes.</p>"
        )
    rows += [f"<p class=note>{escape(note)}</p>" for note in comparison.notes]
    return f"<header>{''.join(rows)}</header>"


def _legend(locators: Sequence[str]) -> str:
    items = ["<span><i class='key o'></i>ours</span>"]
    items += [f"<span><i class='key {style_of(name, locators)}'></i>{escape(name)}</span>" for name in locators]
    return f"<p class=legend>{''.join(items)}<span><i class='key tri'></i>station</span></p>"


def _summary(rows: Sequence[Statistics]) -> str:
    """One column per locator."""

    def spread(values: tuple[float, float], unit: str) -> str:
        if not math.isfinite(values[0]):
            return number(None, 0)
        return f"{number(values[0], 2, True)} \u00b1 {number(values[1], 2)}{unit}"

    def measured(value: float, unit: str, factor: float = 1.0, digits: int = 2) -> str:
        return f"{number(factor * value, digits)}{unit if math.isfinite(value) else ''}"

    lines: list[tuple[str, list[str]]] = [
        ("events", [str(row.count) for row in rows]),
        ("distance of the epicentres, median", [measured(row.epicentral_km[0], " km") for row in rows]),
        ("\u2026 68 % and 95 % of the events are within", [
            f"{measured(row.epicentral_km[1], ' km')}, {measured(row.epicentral_km[2], ' km')}" for row in rows]),
        ("depth, median \u00b1 spread", [spread(row.depth_km, " km") for row in rows]),
        ("origin time, median \u00b1 spread", [spread(row.time_s, " s") for row in rows]),
        ("magnitude, median \u00b1 spread", [spread(row.magnitude, "") for row in rows]),
        ("distance in sigma, median (2-D, 3-D)", [
            f"{number(row.sigma2, 2)}, {number(row.sigma3, 2)}" for row in rows]),
    ]  # fmt: skip
    for percent in EXPECTED:
        shares = [", ".join(measured(share, " %", 100.0, 0) for share in row.inside[percent]) for row in rows]
        lines.append((f"events within the {percent} % of normal errors (2-D, 3-D)", shares))
    lines.append(("residuals at their location, median rms", [measured(row.rms_theirs_s, " s") for row in rows]))
    lines.append(("residuals at ours, median rms", [measured(row.rms_ours_s, " s") for row in rows]))
    head = "".join(f"<th>{escape(row.locator)}" for row in rows)
    body = "".join(f"<tr><th>{name}<td>{'<td>'.join(cells)}</tr>" for name, cells in lines)
    return f"<div class=wide><table class=summary><tr><th>ours against{head}</tr>{body}</table></div>"


def _sources(travel_times: str) -> str:
    residuals = (
        "Residuals: observed minus predicted times of the conventional origin's P and S picks, "
        f"{escape(travel_times)}; in the summary the median over events of their root mean square, each event with the "
        "origin time that fits best. "
        if travel_times
        else "Residuals need the stations' coordinates: give --inventory. "
    )
    limits = "; ".join(
        f"{percent} % at {flat:.2f} (2-D) and {full:.2f} (3-D)" for percent, (flat, full) in EXPECTED.items()
    )
    return (
        "<details><summary>How the figures are made</summary><p>Differences are ours minus theirs; depth is positive "
        "down from sea level. Spread is 1.4826 times the median absolute deviation. Distance in sigma: d\u00b2 = "
        "\u0394\u1d40 (A + B)\u207b\u00b9 \u0394 with \u0394 the difference and A, B the covariances of both origins "
        "(Mahalanobis 1936, Proc. Natl. Inst. Sci. India 2, 49\u201355), their errors taken as independent and normal; "
        "where only one file gives uncertainties, its alone, and the column says whose. d\u00b2 then follows "
        f"\u03c7\u00b2 with 2 or 3 degrees of freedom: {limits}. Covariances are built from the standard errors of "
        "latitude, longitude and depth and the azimuth of the "
        "horizontal ellipse; depth is taken as independent of the epicentre. Ellipses "
        f"enclose 68 %. {residuals}</p></details>"
    )


def _facts(pair: Pair) -> str:
    """Both origins side by side and their differences."""
    ours, theirs = pair.ours, pair.theirs

    def depth(value: float | None, sign: bool = False) -> str:
        return f"{number(value, 2, sign)} km" if value is not None and math.isfinite(value) else number(None, 0)

    def magnitude(value: float | None, kind: str) -> str:
        return f"{escape(kind)} {number(value, 2)}" if value is not None else "\u2013"

    rows = [
        ("origin time", when(theirs.time), when(ours.time), f"{number(pair.later_s, 2, True)} s"),
        (
            "epicentre",
            f"{number(theirs.latitude, 4)}, {number(theirs.longitude, 4)}",
            f"{number(ours.latitude, 4)}, {number(ours.longitude, 4)}",
            f"{number(pair.epicentral_km, 2)} km",
        ),
        ("depth", depth(theirs.depth_km), depth(ours.depth_km), depth(pair.down_km, True)),
        (
            "magnitude",
            magnitude(theirs.magnitude, theirs.magnitude_type),
            magnitude(ours.magnitude, ours.magnitude_type),
            number(pair.larger, 2, True),
        ),
        (
            "in sigma",
            "",
            "",
            f"{number(pair.sigma2, 2)} (2-D), {number(pair.sigma3, 2)} (3-D)"
            + (f", uncertainty of {pair.sigma_of} only" if pair.sigma_of in ("ours", "theirs") else ""),
        ),
        ("method", escape(_method(theirs)), escape(_method(ours)), escape(f"joined by {pair.how}")),
    ]
    for name, side in (("residuals, rms", ""), ("\u2026 best origin time", "_shifted")):
        rms = pair.rms_s(f"theirs{side}"), pair.rms_s(f"ours{side}")
        if math.isfinite(rms[0] + rms[1]):
            before, after = (f"{number(value, 2)} s" for value in rms)
            rows.append((name, before, after, f"{number(rms[1] - rms[0], 2, True)} s"))
    for key in ("dlloc/peak", "dlloc/abstention", "dlloc/notes"):
        if key in ours.comments:
            rows.append((key.partition("/")[2], "", escape(ours.comments[key][:400]), ""))
    body = "".join(f"<tr><th>{a}<td>{b}<td>{c}<td>{d}</tr>" for a, b, c, d in rows)
    return f"<table class=facts><tr><th><th>{escape(pair.locator)}<th>ours<th>ours minus theirs</tr>{body}</table>"


def _method(origin: object) -> str:
    parts = (getattr(origin, name) for name in ("method", "earth_model", "agency", "status"))
    return ", ".join(part for part in parts if part)[:200] or "\u2013"


def _card(rank: int, pair: Pair, style: str, stations: Sequence[Station], picture: bytes) -> str:
    theoretical = " <em>theoretical seismograms</em>" if pair.ours.theoretical or pair.theirs.theoretical else ""
    abstained = " <em>abstained</em>" if pair.abstained else ""
    parts = [
        f"<article id=e{rank}><h3><b>{rank}</b> {escape(pair.event_id)}{theoretical}{abstained}"
        f"<small>{number(pair.hypocentral_km, 2)} km, {number(pair.sigma3, 1)} sigma</small></h3>",
        f"<div class=wide>{close_up(pair, style, stations)}</div>",
        _facts(pair),
    ]
    if pair.residuals:
        parts.append(_residuals(pair))
    if picture:
        data = base64.b64encode(picture).decode("ascii")
        parts.append(f"<img alt='picture of the event' src='data:image/png;base64,{data}'>")
    return "".join(parts) + "</article>"


def _residuals(pair: Pair) -> str:
    rows = [
        f"<tr><td class=text>{escape(r.station_id)}<td class=text>{r.phase}{'' if r.used else ' (not used)'}"
        f"<td>{number(r.distance_km, 1)}<td>{number(r.theirs_s, 2, True)}<td>{number(r.ours_s, 2, True)}"
        f"<td>{number(r.theirs_shifted_s, 2, True)}<td>{number(r.ours_shifted_s, 2, True)}</tr>"
        for r in sorted(pair.residuals, key=lambda r: (r.distance_km, r.phase))[:MOST_RESIDUALS]
    ]
    head = (
        "<tr><th>station<th>phase<th>distance (km)<th>theirs (s)<th>ours (s)<th>theirs, best time (s)"
        "<th>ours, best time (s)</tr>"
    )
    return f"<details><summary>{len(pair.residuals)} residuals</summary><table>{head}{''.join(rows)}</table></details>"


def _table(pairs: Sequence[Pair], detailed: int) -> str:
    head = (
        "<thead><tr><th><th>event<th>origin time, theirs<th>against<th>epicentre (km)<th>depth (km)<th>2-D (\u03c3)"
        "<th>3-D (\u03c3)<th>of<th>time (s)<th>mag<th>rms theirs (s)<th>rms ours (s)</tr></thead>"
    )
    rows = []
    for rank, pair in enumerate(pairs, 1):
        name = escape(pair.event_id) + (" (abstained)" if pair.abstained else "")
        link = f"<a href=#e{rank}>{name}</a>" if rank <= detailed else name
        rows.append(
            f"<tr><td>{rank}<td class=text>{link}<td class=text>{when(pair.theirs.time)}"
            f"<td class=text>{escape(pair.locator)}<td>{number(pair.epicentral_km, 2)}"
            f"<td>{number(pair.down_km, 2, True)}<td>{number(pair.sigma2, 2)}<td>{number(pair.sigma3, 2)}"
            f"<td class=text>{escape(pair.sigma_of)}<td>{number(pair.later_s, 2, True)}"
            f"<td>{number(pair.larger, 2, True)}<td>{number(pair.rms_s('theirs_shifted'), 2)}"
            f"<td>{number(pair.rms_s('ours_shifted'), 2)}</tr>"
        )
    return (
        f"<section><h2>Every event</h2><div class=wide><table class=all>{head}{''.join(rows)}</table></div></section>"
    )


def _alone(comparison: Comparison) -> str:
    groups: Mapping[str, list[str]] = {
        "Ours without a counterpart": [_line(o) for o in comparison.ours_alone],
        "Conventional origins without one of ours": [
            f"{escape(name)}: {_line(o)}" for name, o in comparison.theirs_alone
        ],
    }
    parts = []
    for title, lines in groups.items():
        if lines:
            shown = "".join(f"<li>{line}</li>" for line in lines[:500])
            more = f"<li>and {len(lines) - 500} more</li>" if len(lines) > 500 else ""
            parts.append(f"<details><summary>{title}: {len(lines)}</summary><ul>{shown}{more}</ul></details>")
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    return f"<footer>{''.join(parts)}<p>seiscomp_dlloc {escape(__version__)}, {made} UTC</p></footer>"


def _line(origin: object) -> str:
    public_id = getattr(origin, "event_id", "") or getattr(origin, "public_id", "")
    return f"{escape(public_id)}, {when(getattr(origin, 'time', math.nan))}"
