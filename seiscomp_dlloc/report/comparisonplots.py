"""The drawings of a comparison: all events on a map and in sections, distributions, one event close up."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..compare import Pair
from ..formats.uncertainty import ELLIPSE_FACTOR
from ..geometry import LocalFrame
from ..records import Station
from .svg import UNREAL, Panel, drawing, ellipse, padded

FloatArray = NDArray[np.float64]

OTHERS = 5
"""Conventional locators have styles t0 to t4 in turn, ours has ``o``."""


MANY = 400
"""From so many pairs on marks are small."""


def style_of(locator: str, locators: Sequence[str]) -> str:
    """CSS class of a conventional locator."""
    return f"t{locators.index(locator) % OTHERS}"


def _depths(pairs: Sequence[Pair], ours: bool) -> FloatArray:
    origins = [pair.ours if ours else pair.theirs for pair in pairs]
    return np.array([math.nan if o.depth_km is None else o.depth_km for o in origins])


def _places(pairs: Sequence[Pair], ours: bool) -> tuple[FloatArray, FloatArray]:
    """Longitudes and latitudes; across the date line longitudes go on beyond 180."""
    origins = [pair.ours if ours else pair.theirs for pair in pairs]
    longitude = np.array([o.longitude for o in origins])
    reference = pairs[0].theirs.longitude
    return (longitude - reference + 180.0) % 360.0 - 180.0 + reference, np.array([o.latitude for o in origins])


def overview(pairs: Sequence[Pair], locators: Sequence[str], stations: Sequence[Station] = ()) -> str:
    """Map and two depth sections: every pair as a line from the conventional origin to ours."""
    width, height, deep = 750.0, 520.0, 190.0
    sides = [(*_places(pairs, ours), _depths(pairs, ours)) for ours in (False, True)]
    longitude, latitude, depth = (np.concatenate([side[i] for side in sides]) for i in range(3))
    xlim, ylim = _equal(padded(longitude, least=0.02), padded(latitude, least=0.02), width, height)
    zlim = padded(depth, least=1.0)
    zlim = (min(zlim[0], 0.0), zlim[1])
    plan = Panel(60, 30, width, height, xlim, ylim)
    north = Panel(60 + width + 20, 30, deep, height, zlim, ylim)
    east = Panel(60, 30 + height + 20, width, deep, xlim, (zlim[1], zlim[0]))
    if stations:
        x = np.array([s.longitude for s in stations])
        plan.triangles(
            (x - pairs[0].theirs.longitude + 180.0) % 360.0 - 180.0 + pairs[0].theirs.longitude,
            np.array([s.latitude for s in stations]), 4.0, "station",
        )  # fmt: skip
    for locator in locators:
        mine = np.array([pair.locator == locator for pair in pairs])
        style = style_of(locator, locators)
        (x0, y0, z0), (x1, y1, z1) = ([column[mine] for column in side] for side in sides)
        for panel, a0, b0, a1, b1 in (
            (plan, x0, y0, x1, y1), (north, z0, y0, z1, y1), (east, x0, z0, x1, z1),
        ):  # fmt: skip
            panel.segments(a0, b0, a1, b1, f"{style} faint")
            panel.rings(a0, b0, 2.5 if len(pairs) < MANY else 1.6, style)
            panel.dots(a1, b1, "o" if len(pairs) < MANY else "o small")
    plan.axes("", "latitude (°)", xticks=7, title="Map")
    north.axes("depth (km)", "", xticks=3, title="Section, north up")
    east.axes("longitude (°)", "depth (km)", xticks=7, yticks=3)
    return drawing(60 + width + 20 + deep + 20, 30 + height + 20 + deep + 40, (plan, north, east), "map and sections")


def _equal(
    x: tuple[float, float], y: tuple[float, float], width: float, height: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits in degrees widened so that a kilometre is as long eastwards as northwards."""
    stretch = max(math.cos(math.radians(sum(y) / 2.0)), 0.05)
    scale = max((x[1] - x[0]) * stretch / width, (y[1] - y[0]) / height)
    half = scale * width / stretch / 2.0, scale * height / 2.0
    centre = sum(x) / 2.0, sum(y) / 2.0
    return (centre[0] - half[0], centre[0] + half[0]), (centre[1] - half[1], centre[1] + half[1])


def distributions(pairs: Sequence[Pair], locators: Sequence[str]) -> str:
    """Histograms of distances and differences; the distances in sigma against what normal errors would give."""
    columns = (
        ("epicentral distance (km)", [p.epicentral_km for p in pairs], True),
        ("depth, ours minus theirs (km)", [p.down_km for p in pairs], False),
        ("origin time, ours minus theirs (s)", [p.later_s for p in pairs], False),
    )
    panels, width, height = [], 205.0, 150.0
    for i, (label, values, positive) in enumerate(columns):
        finite = np.array(values)[np.isfinite(values)]
        low, high = padded(finite, 0.02, 0.05)
        limits = (0.0, high) if positive else (low, high)
        edges = np.linspace(*limits, 25)
        counts, _ = np.histogram(np.clip(finite, edges[0], edges[-1]), edges)
        panel = Panel(50 + i * (width + 62), 30, width, height, limits, (0.0, 1.1 * max(int(counts.max()), 1)))
        panel.bars(edges, counts.astype(float), "bar")
        panel.axes(label, "events" if i == 0 else " ", xticks=4, yticks=4)
        panels.append(panel)
    panels.append(_sigmas(pairs, locators, Panel(50 + 3 * (width + 62), 30, width, height, (0.0, 5.0), (0.0, 1.0))))
    return drawing(50 + 4 * (width + 62) - 20, 30 + height + 40, panels, "distributions of the differences")


def _sigmas(pairs: Sequence[Pair], locators: Sequence[str], panel: Panel) -> Panel:
    """Share of events within a distance in sigma, beside that of normal errors (Rayleigh's distribution)."""
    axis = np.linspace(0.0, 5.0, 101)
    panel.curve(axis, 1.0 - np.exp(-0.5 * axis**2), "expected")
    for locator in locators:
        values = np.sort([p.sigma2 for p in pairs if p.locator == locator and math.isfinite(p.sigma2)])
        if values.size:
            share = np.searchsorted(values, axis, side="right") / values.size
            panel.curve(axis, share, f"{style_of(locator, locators)} strong")
    panel.axes("epicentral distance (sigma)", " ", xticks=5, yticks=5)
    panel.note("dashed: normal errors", 0.97, 0.95, "end", "tick")
    return panel


def close_up(pair: Pair, style: str, stations: Sequence[Station] = ()) -> str:
    """One event: plan and two depth sections with 68 % ellipses, and the picks' residuals at both hypocentres."""
    size, deep = 270.0, 120.0
    frame = LocalFrame(pair.theirs.latitude, pair.theirs.longitude)
    half = _half_width(pair)
    middle = pair.east_km / 2.0, pair.north_km / 2.0
    xlim, ylim = (middle[0] - half, middle[0] + half), (middle[1] - half, middle[1] + half)
    depths = [math.nan if o.depth_km is None else o.depth_km for o in (pair.theirs, pair.ours)]
    known = np.array(depths)
    known = known[np.abs(known) < UNREAL]
    centre = float(known.mean()) if known.size else 0.0
    apart = float(np.ptp(known)) if known.size else 0.0
    sigma = math.sqrt(np.nanmax([0.0, *(o.covariance_km2[2, 2] for o in (pair.ours, pair.theirs))]))
    reach = max(half * deep / size, 1.3 * apart, 3.0)
    reach = max(reach, min(0.5 * apart + 1.8 * sigma, 3.0 * reach))
    zlim = (centre - reach, centre + reach)
    plan = Panel(55, 24, size, size, xlim, ylim)
    north = Panel(55 + size + 12, 24, deep, size, zlim, ylim)
    east = Panel(55, 24 + size + 12, size, deep, xlim, (zlim[1], zlim[0]))
    if stations:
        plan.triangles(*frame.to_local([s.latitude for s in stations], [s.longitude for s in stations]), 5.0, "station")
    points = (((0.0, 0.0, depths[0]), pair.theirs, style), ((pair.east_km, pair.north_km, depths[1]), pair.ours, "o"))
    for (x, y, z), origin, name in points:
        for panel, a, b, i, j in ((plan, x, y, 0, 1), (north, z, y, 2, 1), (east, x, z, 0, 2)):
            part = origin.covariance_km2[np.ix_((i, j), (i, j))]
            panel.curve(*ellipse((a, b), part, ELLIPSE_FACTOR), f"{name} strong", closed=True)
            panel.dots(np.array([a]), np.array([b]), f"{name} large")
    plan.axes("", "north (km)", title="Plan, from the conventional epicentre")
    north.axes("depth (km)", "", xticks=3)
    east.axes("east (km)", "depth (km)", yticks=3)
    panels, width = [plan, north, east], 55 + size + deep + 25
    residuals = _residuals(pair, style, Panel(width + 60, 24, 430.0, size + deep + 12))
    if residuals is not None:
        panels.append(residuals)
        width += 60 + 430 + 15
    return drawing(width, 24 + size + deep + 12 + 40, panels, "close-up of the event")


def _half_width(pair: Pair) -> float:
    """Half the side of the plan: both epicentres well inside, and the ellipses unless they dwarf the distance."""
    sigmas = [0.0]
    for origin in (pair.ours, pair.theirs):
        flat = origin.covariance_km2[:2, :2]
        if np.isfinite(flat).all():
            sigmas.append(math.sqrt(max(float(np.linalg.eigvalsh(flat)[-1]), 0.0)))
    near = max(0.75 * pair.epicentral_km, 2.0)
    return max(near, min(1.8 * max(sigmas) + 0.5 * pair.epicentral_km, 8.0 * near))


def _residuals(pair: Pair, style: str, panel: Panel) -> Panel | None:
    """Residuals over epicentral distance, each with the origin time that fits best; None without any."""
    rows = [r for r in pair.residuals if math.isfinite(r.theirs_shifted_s + r.ours_shifted_s)]
    if not rows:
        return None
    distance = np.array([r.distance_km for r in rows])
    theirs, ours = np.array([r.theirs_shifted_s for r in rows]), np.array([r.ours_shifted_s for r in rows])
    both = np.concatenate([theirs, ours])
    largest = max(1.15 * float(np.abs(both).max() if both.size <= 60 else np.percentile(np.abs(both), 99)), 0.5)
    panel.xlim, panel.ylim = (0.0, 1.05 * float(distance.max()) + 1.0), (-largest, largest)
    panel.segments(distance, theirs, distance, ours, "faint")
    panel.curve(np.array(panel.xlim), np.zeros(2), "zero")
    shear = np.array([r.phase == "S" for r in rows])
    for values, name in ((theirs, style), (ours, "o")):
        panel.dots(distance[~shear], values[~shear], f"{name} medium")
        panel.rings(distance[shear], values[shear], 3.5, name)
    title = "Residuals of the conventional picks (dot P, ring S)"
    panel.axes("epicentral distance (km)", "observed minus predicted (s)", title=title)
    return panel
