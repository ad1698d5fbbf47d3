"""The record section."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import distance_azimuth
from ..records import COMPONENTS, Hypocenter, Station
from ..traveltimes import PHASES, Phase
from .picture import INK, P_COLOUR, PALE, RESULT_COLOUR, S_COLOUR, EventPicture, FloatArray


def record_section(ax: Any, picture: EventPicture, hypocenter: Hypocenter) -> None:
    """Vertical traces by epicentral distance, each divided by its largest value, under predicted P and S."""
    data = picture.conditioned
    distances = _distances(picture.stations, hypocenter)
    recorded = np.flatnonzero(data.valid.any(axis=(0, 2)))
    if recorded.size == 0:
        ax.text(0.5, 0.5, "no waveforms", ha="center", transform=ax.transAxes)
        return
    top = float(distances[recorded].max()) * 1.04 + 1.0
    curve = np.linspace(0.0, top, 200)
    predicted = {phase: _times(picture, phase, curve, hypocenter.depth_km) for phase in PHASES}
    seconds = data.starttime - hypocenter.time + np.arange(data.data.shape[-1]) / data.sampling_rate_hz
    start = max(float(seconds[0]), -6.0)
    end = min(float(seconds[-1]), float(np.nanmax(predicted["S"])) + 12.0)
    shown = (seconds >= start) & (seconds <= end)
    height = 0.030 * top
    for i in recorded[np.argsort(distances[recorded], kind="stable")]:
        component = next((c for c in range(len(COMPONENTS)) if data.valid[c, i].any()), 0)
        trace = np.where(data.valid[component, i], data.data[component, i], np.nan)[shown]
        largest = np.nanmax(np.abs(trace)) if np.isfinite(trace).any() else 0.0
        if largest > 0:
            used = picture.stations[i].id in picture.solution.used_stations
            ax.plot(
                seconds[shown],
                distances[i] + height * trace / largest,
                color=INK if used else PALE,
                linewidth=0.45 if used else 0.3,
                rasterized=True,
            )
    for phase, colour in zip(PHASES, (P_COLOUR, S_COLOUR), strict=True):
        ax.plot(predicted[phase], curve, color=colour, linewidth=1.3, alpha=0.85, label=f"predicted {phase}")
    _picks(ax, picture, hypocenter, height)
    _station_codes(ax, picture.stations, distances, recorded, top)
    ax.axvline(0.0, color=RESULT_COLOUR, linewidth=0.8, linestyle=(0, (4, 3)), label="origin time")
    ax.set(xlim=(start, end), ylim=(-0.04 * top, top), xlabel="time after the origin (s)")
    ax.set_ylabel("epicentral distance (km)")
    ax.set_title("Theoretical record section" if picture.theoretical else "Record section, vertical")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.995), ncols=3, borderaxespad=0.0, columnspacing=1.2)
    ax.spines[["top", "right"]].set_visible(False)


def _picks(ax: Any, picture: EventPicture, hypocenter: Hypocenter, height: float) -> None:
    colours = {"P": P_COLOUR, "S": S_COLOUR}
    for arrival in picture.solution.arrivals:
        colour = colours.get(arrival.phase[:1].upper(), PALE)
        when = arrival.pick.time - hypocenter.time
        ax.plot([when, when], arrival.distance_km + np.array([-height, height]), color=colour, linewidth=1.2)


def _station_codes(
    ax: Any, stations: Sequence[Station], distances: FloatArray, indices: NDArray[np.int64], top: float
) -> None:
    """Codes at the right edge, pushed apart where stations stand at the same distance."""
    order = indices[np.argsort(distances[indices], kind="stable")]
    places = spread(distances[order], 0.0155 * top)
    for i, place in zip(order, places, strict=True):
        ax.annotate(
            stations[i].code,
            (1.008, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=6,
            color=INK if i in indices else PALE,
            annotation_clip=False,
        )


def spread(values: FloatArray, gap: float) -> FloatArray:
    """Ascending ``values`` moved as little as needed (least squares) to stand at least ``gap`` apart.

    Subtracting ``gap`` times the rank turns the condition into monotony: the pool-adjacent-violators algorithm.
    """
    shifted = values - gap * np.arange(values.size)
    blocks: list[tuple[float, int]] = []
    for value in shifted:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (m1, n1), (m2, n2) = blocks[-2:]
            blocks[-2:] = [((m1 * n1 + m2 * n2) / (n1 + n2), n1 + n2)]
    level = np.concatenate([np.full(n, m) for m, n in blocks]) if blocks else shifted
    return np.asarray(level + gap * np.arange(values.size), np.float64)


def _times(picture: EventPicture, phase: Phase, distances: FloatArray, depth_km: float) -> FloatArray:
    elevation = float(np.mean([station.elevation_m for station in picture.stations]))
    return picture.travel_times.times(phase, distances, depth_km, elevation)


def _distances(stations: Sequence[Station], hypocenter: Hypocenter) -> FloatArray:
    latitudes = np.array([s.latitude for s in stations])
    longitudes = np.array([s.longitude for s in stations])
    return distance_azimuth(hypocenter.latitude, hypocenter.longitude, latitudes, longitudes)[0]
