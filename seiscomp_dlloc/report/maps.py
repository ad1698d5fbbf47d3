"""The maps: the network, and the location image around the solution in plan and in two depth sections."""

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from ..formats.uncertainty import ELLIPSE_FACTOR
from ..geometry import LocalFrame
from ..records import Hypocenter, LocationImage
from .picture import INK, PALE, RESULT_COLOUR, RESULT_MARK, TRIGGER_MARK, TRUTH_MARK, EventPicture, FloatArray

_IMAGE = LinearSegmentedColormap.from_list("dlloc", ["#FFFFFF", "#CFE0F0", "#8FB8DA", "#3F7FB5", "#0B3C6F"])


def network_map(ax: Any, picture: EventPicture, hypocenter: Hypocenter) -> None:
    """Stations, trigger and solution in degrees, over the image summed along depth."""
    image = picture.image
    if image is not None:
        plan, _ = _project(image, 0)
        latitudes, longitudes = _corners(image)
        norm = Normalize(0.0, float(plan.max()) or 1.0)
        ax.pcolormesh(longitudes, latitudes, plan, cmap=_IMAGE, norm=norm, rasterized=True)
    used = np.array([s.id in picture.solution.used_stations for s in picture.stations])
    latitude = np.array([s.latitude for s in picture.stations])
    longitude = np.array([s.longitude for s in picture.stations])
    marker = {"marker": "^", "s": 26, "linewidths": 0.7, "zorder": 3}
    ax.scatter(longitude[used], latitude[used], color=INK, label="station, used", **marker)
    if not used.all():
        ax.scatter(
            longitude[~used], latitude[~used], facecolors="white", edgecolors=PALE, label="station, not used", **marker
        )
    x_y = [(hypocenter.longitude, hypocenter.latitude)]
    trigger = picture.solution.trigger
    if trigger.latitude is not None and trigger.longitude is not None:
        x_y.append((trigger.longitude, trigger.latitude))
        ax.plot(*x_y[-1], **TRIGGER_MARK, label="trigger (not used)")
    if picture.truth is not None:
        ax.plot(picture.truth.longitude, picture.truth.latitude, **TRUTH_MARK, label="true epicentre")
    ax.plot(hypocenter.longitude, hypocenter.latitude, **RESULT_MARK, label="solution")
    lat, lon = np.append(latitude, [p[1] for p in x_y]), np.append(longitude, [p[0] for p in x_y])
    margin = 0.06 * max(np.ptp(lat), np.ptp(lon), 0.05)
    ax.set(xlim=(lon.min() - margin, lon.max() + margin), ylim=(lat.min() - margin, lat.max() + margin))
    ax.set_aspect(1.0 / np.cos(np.radians(hypocenter.latitude)), adjustable="box", anchor="W")
    ax.set(xlabel="longitude (°)", ylabel="latitude (°)")
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.set_title("Network" + (" and location image" if image is not None else ""))
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, handletextpad=0.6)


def _project(image: LocationImage, axis: int) -> tuple[FloatArray, str]:
    """The volume seen along an axis: probabilities add up, labels keep their largest value."""
    values = image.values.astype(np.float64)
    if image.measure == "density":
        return values.sum(axis=axis), "probability per cell"
    return values.max(axis=axis), "location image"


def _edges(nodes: FloatArray, step: float) -> FloatArray:
    return np.append(nodes - step / 2, nodes[-1] + step / 2)


def _corners(image: LocationImage) -> tuple[FloatArray, FloatArray]:
    grid = image.grid
    x, y = np.meshgrid(_edges(grid.x_km, grid.dx_km), _edges(grid.y_km, grid.dy_km))
    return grid.frame.to_geographic(x, y)


def close_up(figure: Figure, cell: Any, picture: EventPicture, hypocenter: Hypocenter) -> None:
    """Plan view and two depth sections around the solution, km from the epicentre, with 68 % ellipses."""
    image = picture.image
    frame = LocalFrame(hypocenter.latitude, hypocenter.longitude)
    half = _half_width(picture, hypocenter, frame)
    depths = _depth_range(picture, hypocenter)
    grid = cell.subgridspec(2, 2, width_ratios=(1.0, 0.5), height_ratios=(1.0, 0.5), wspace=0.05, hspace=0.06)
    plan = figure.add_subplot(grid[0, 0])
    north = figure.add_subplot(grid[0, 1], sharey=plan)
    east = figure.add_subplot(grid[1, 0], sharex=plan)
    centre = (0.0, 0.0, hypocenter.depth_km)
    # (axes, horizontal coordinate, vertical coordinate, axis of the image that is summed)
    panels: tuple[tuple[Any, int, int, int], ...] = ((plan, 0, 1, 0), (north, 2, 1, 2), (east, 0, 2, 1))
    for ax, horizontal, vertical, axis in panels:
        if image is not None:
            _draw_image(ax, image, frame, axis, transpose=ax is north)
        _draw_ellipse(ax, hypocenter.covariance_km2, horizontal, vertical, centre)
        for point, mark in _points(picture, frame):
            if mark is TRIGGER_MARK and ax is not plan:
                continue  # usually far outside the section's plane
            ax.plot(point[horizontal], point[vertical], **mark)
        ax.plot(centre[horizontal], centre[vertical], **RESULT_MARK)
    # One kilometre is as long eastwards as northwards
    box = plan.get_position()
    stretch = box.width * figure.get_figwidth() / (box.height * figure.get_figheight())
    plan.set(xlim=(-half * stretch, half * stretch), ylim=(-half, half), ylabel="north of the solution (km)")
    east_km, north_km = frame.to_local(
        np.array([s.latitude for s in picture.stations]), np.array([s.longitude for s in picture.stations])
    )
    plan.scatter(east_km, north_km, marker="^", s=26, color=INK, zorder=3)
    plan.set_title("Around the solution, with 68 % ellipses")
    north.set(xlim=depths, xlabel="depth (km)")
    east.set(ylim=depths[::-1], xlabel="east of the solution (km)", ylabel="depth (km)")
    plan.tick_params(labelbottom=False)
    north.tick_params(labelleft=False)
    if image is not None:
        _colour_bar(figure, figure.add_subplot(grid[1, 1]), image)


def _points(picture: EventPicture, frame: LocalFrame) -> list[tuple[tuple[float, float, float], dict[str, Any]]]:
    """Trigger and truth as (east, north, depth) with their marks; NaN, which draws nothing, where unknown."""
    trigger, truth = picture.solution.trigger, picture.truth
    points: list[tuple[tuple[float, float, float], dict[str, Any]]] = []
    if trigger.latitude is not None and trigger.longitude is not None:
        x, y = frame.to_local(trigger.latitude, trigger.longitude)
        depth = float("nan") if trigger.depth_km is None else trigger.depth_km
        points.append(((float(x), float(y), depth), TRIGGER_MARK))
    if truth is not None:
        x, y = frame.to_local(truth.latitude, truth.longitude)
        points.append(((float(x), float(y), truth.depth_km), TRUTH_MARK))
    return points


def _half_width(picture: EventPicture, hypocenter: Hypocenter, frame: LocalFrame) -> float:
    """Half the side of the close-up: four standard deviations, the truth inside, at least eight cells."""
    sizes = [5.0]
    horizontal = hypocenter.covariance_km2[:2, :2]
    if np.all(np.isfinite(horizontal)):
        sizes.append(4.0 * float(np.sqrt(max(np.linalg.eigvalsh(horizontal)[-1], 0.0))))
    if picture.image is not None:
        sizes.append(4.0 * max(picture.image.grid.dx_km, picture.image.grid.dy_km))
    if picture.truth is not None:
        sizes.append(1.25 * float(np.abs(frame.to_local(picture.truth.latitude, picture.truth.longitude)).max()))
    return max(sizes)


def _depth_range(picture: EventPicture, hypocenter: Hypocenter) -> tuple[float, float]:
    """Depths of the sections: the image's, and the whole ellipse."""
    low, high = min(0.0, hypocenter.depth_km - 5.0), hypocenter.depth_km + 15.0
    if picture.image is not None:
        edges = _edges(picture.image.grid.z_km, picture.image.grid.dz_km)
        low, high = float(edges[0]), float(edges[-1])
    variance = float(hypocenter.covariance_km2[2, 2])
    reach = 1.1 * ELLIPSE_FACTOR * float(np.sqrt(max(variance, 0.0))) if np.isfinite(variance) else 0.0
    return min(low, hypocenter.depth_km - reach), max(high, hypocenter.depth_km + reach)


def _draw_image(ax: Any, image: LocationImage, frame: LocalFrame, axis: int, transpose: bool) -> None:
    grid = image.grid
    dx, dy = (float(v) for v in frame.to_local(grid.latitude, grid.longitude))
    # Both frames are azimuthal equidistant; within the close-up they differ by a shift
    edges = (
        _edges(grid.z_km, grid.dz_km),
        _edges(grid.y_km, grid.dy_km) + dy,
        _edges(grid.x_km, grid.dx_km) + dx,
    )
    values, _ = _project(image, axis)
    vertical, horizontal = (e for i, e in enumerate(edges) if i != axis)
    if transpose:
        values, vertical, horizontal = values.T, horizontal, vertical
    norm = Normalize(0.0, float(values.max()) or 1.0)
    ax.pcolormesh(horizontal, vertical, values, cmap=_IMAGE, norm=norm, rasterized=True)


def _draw_ellipse(
    ax: Any, covariance: FloatArray, horizontal: int, vertical: int, centre: tuple[float, float, float]
) -> None:
    part = covariance[np.ix_((horizontal, vertical), (horizontal, vertical))]
    if not np.all(np.isfinite(part)):
        return
    values, vectors = np.linalg.eigh(part)
    axes = 2.0 * ELLIPSE_FACTOR * np.sqrt(np.clip(values, 0.0, None))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    ellipse = Ellipse(
        (centre[horizontal], centre[vertical]),
        axes[1],
        axes[0],
        angle=angle,
        fill=False,
        color=RESULT_COLOUR,
        linewidth=1.2,
    )
    ax.add_patch(ellipse)


def _colour_bar(figure: Figure, corner: Any, image: LocationImage) -> None:
    """In the corner that the two sections leave free."""
    corner.axis("off")
    values, label = _project(image, 0)
    scale = ScalarMappable(Normalize(0.0, float(values.max()) or 1.0), _IMAGE)
    bar = figure.colorbar(scale, cax=corner.inset_axes((0.06, 0.18, 0.88, 0.09)), orientation="horizontal")
    bar.set_label(label)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
