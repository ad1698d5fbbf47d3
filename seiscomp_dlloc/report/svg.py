"""Small drawings as SVG text: panels with axes, for pages with hundreds of them. Colours come from the page's CSS."""

import html
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Limits = tuple[float, float]

UNREAL = 1e9
"""Beyond it nothing is drawn: no length, time or angle of an earthquake is so large."""


def escape(text: str) -> str:
    """``text`` from anywhere as HTML or SVG text or attribute: no markup, no control characters."""
    printable = text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
    return html.escape(printable, quote=True)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two limits, at most ``most`` + 1, ascending."""
    low, high = min(low, high), max(low, high)
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return []
    rough = (high - low) / max(most, 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _label(value: float, step: float) -> str:
    digits = max(0, min(6, -math.floor(math.log10(step) + 1e-9))) if step > 0 else 0
    if round(step * 10**digits, 6) % 1:
        digits += 1
    text = f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if float(text) else f"{0:.{digits}f}"


def padded(values: FloatArray, share: float = 0.08, least: float = 1e-6) -> Limits:
    """Limits about finite values with a margin; of many values, without the outermost hundredth on either side."""
    values = values[np.abs(values) < UNREAL]
    if not values.size:
        return 0.0, 1.0
    ends = np.percentile(values, [1, 99]) if values.size > 60 else np.array([values.min(), values.max()])
    margin = max(share * float(ends[1] - ends[0]), least)
    return float(ends[0]) - margin, float(ends[1]) + margin


class Panel:
    """Axes at (``x``, ``y``) of ``width`` times ``height`` pixels; limits may fall (depth)."""

    def __init__(
        self, x: float, y: float, width: float, height: float, xlim: Limits = (0.0, 1.0), ylim: Limits = (0.0, 1.0)
    ):
        self.x, self.y, self.width, self.height, self.xlim, self.ylim = x, y, width, height, xlim, ylim
        self._inside: list[str] = []
        self._outside: list[str] = []

    def px(self, values: float | FloatArray) -> FloatArray:
        """Horizontal pixels of data."""
        share = (np.asarray(values, float) - self.xlim[0]) / (self.xlim[1] - self.xlim[0])
        return np.asarray(self.x + share * self.width)

    def py(self, values: float | FloatArray) -> FloatArray:
        """Vertical pixels of data."""
        share = (np.asarray(values, float) - self.ylim[0]) / (self.ylim[1] - self.ylim[0])
        return np.asarray(self.y + (1.0 - share) * self.height)

    def _points(self, x: FloatArray, y: FloatArray) -> list[tuple[float, float]]:
        """Pixels, held within a few panels' width: no number a renderer chokes on."""
        px = np.clip(self.px(x), self.x - 4 * self.width, self.x + 5 * self.width)
        py = np.clip(self.py(y), self.y - 4 * self.height, self.y + 5 * self.height)
        return [(float(a), float(b)) for a, b in zip(np.atleast_1d(px), np.atleast_1d(py), strict=True)]

    def dots(self, x: FloatArray, y: FloatArray, style: str) -> None:
        """Round dots, one path for all; their size is the style's stroke width."""
        path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in self._points(x, y) if math.isfinite(a + b))
        self._add(path, f"dot {style}")

    def rings(self, x: FloatArray, y: FloatArray, radius: float, style: str) -> None:
        """Hollow circles, one path for all."""
        r = f"{radius:g}"
        path = "".join(
            f"M{a - radius:.1f} {b:.1f}a{r} {r} 0 1 0 {2 * radius:g} 0a{r} {r} 0 1 0 {-2 * radius:g} 0"
            for a, b in self._points(x, y)
            if math.isfinite(a + b)
        )
        self._add(path, f"ring {style}")

    def triangles(self, x: FloatArray, y: FloatArray, size: float, style: str) -> None:
        """Triangles, one path for all."""
        path = "".join(
            f"M{a:.1f} {b - size:.1f}l{size:g} {1.7 * size:g}h{-2 * size:g}z"
            for a, b in self._points(x, y)
            if math.isfinite(a + b)
        )
        self._add(path, style)

    def segments(self, x0: FloatArray, y0: FloatArray, x1: FloatArray, y1: FloatArray, style: str) -> None:
        """Straight lines from (x0, y0) to (x1, y1), one path for all."""
        path = "".join(
            f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}"
            for (a, b), (c, d) in zip(self._points(x0, y0), self._points(x1, y1), strict=True)
            if math.isfinite(a + b + c + d)
        )
        self._add(path, f"line {style}")

    def curve(self, x: FloatArray, y: FloatArray, style: str, closed: bool = False) -> None:
        """A line through points."""
        points = [(a, b) for a, b in self._points(x, y) if math.isfinite(a + b)]
        if points:
            self._add("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points) + ("z" if closed else ""), f"line {style}")

    def bars(self, edges: FloatArray, heights: FloatArray, style: str) -> None:
        """A histogram."""
        base = float(self.py(0.0))
        left, right, top = self.px(edges[:-1]), self.px(edges[1:]), self.py(heights)
        path = "".join(
            f"M{a + 0.5:.1f} {base:.1f}V{t:.1f}H{b - 0.5:.1f}V{base:.1f}z"
            for a, b, t, n in zip(left, right, top, heights, strict=True)
            if n > 0
        )
        self._add(path, style)

    def _add(self, path: str, style: str) -> None:
        if path:
            self._inside.append(f'<path class="{style}" d="{path}"/>')

    def note(self, text: str, x_share: float, y_share: float, anchor: str = "start", style: str = "") -> None:
        """Text at a share of the panel's width and height (from the top)."""
        x, y = self.x + x_share * self.width, self.y + y_share * self.height
        self._outside.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(text)}</text>'
        )

    def axes(self, xlabel: str = "", ylabel: str = "", xticks: int = 5, yticks: int = 5, title: str = "") -> None:
        """Frame, grid, ticks and labels; an empty label leaves the numbers of its axis out too."""
        grid, bottom = [], self.y + self.height
        for values, horizontal, label in (
            (ticks(*self.xlim, xticks), True, xlabel),
            (ticks(*self.ylim, yticks), False, ylabel),
        ):
            step = values[1] - values[0] if len(values) > 1 else abs(values[0]) if values and values[0] else 1.0
            for value in values:
                at = float(self.px(value) if horizontal else self.py(value))
                grid.append(
                    f"M{at:.1f} {self.y:g}V{bottom:g}"
                    if horizontal
                    else f"M{self.x:g} {at:.1f}H{self.x + self.width:g}"
                )
                if label:
                    place = (
                        f'x="{at:.1f}" y="{bottom + 13:.1f}" text-anchor="middle"'
                        if horizontal
                        else f'x="{self.x - 5:.1f}" y="{at + 3.5:.1f}" text-anchor="end"'
                    )
                    self._outside.append(f'<text {place} class="tick">{_label(value, step)}</text>')
        self._inside.insert(0, f'<path class="grid" d="{"".join(grid)}"/>')
        if xlabel:
            self._outside.append(
                f'<text x="{self.x + self.width / 2:.1f}" y="{bottom + 28:.1f}" text-anchor="middle">'
                f"{escape(xlabel)}</text>"
            )
        if ylabel:
            x, y = self.x - 38, self.y + self.height / 2
            self._outside.append(
                f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" transform="rotate(-90 {x:.1f} {y:.1f})">'
                f"{escape(ylabel)}</text>"
            )
        if title:
            self._outside.append(f'<text x="{self.x:.1f}" y="{self.y - 7:.1f}" class="title">{escape(title)}</text>')

    def render(self) -> str:
        """The panel's elements; what lies outside the axes is clipped by a nested viewport."""
        box = f'x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" height="{self.height:g}"'
        view = f'viewBox="{self.x:g} {self.y:g} {self.width:g} {self.height:g}"'
        return (
            f'<rect {box} class="back"/><svg {box} {view}>{"".join(self._inside)}</svg>'
            f'<rect {box} class="frame"/>{"".join(self._outside)}'
        )


def drawing(width: float, height: float, panels: Iterable[Panel], label: str, more: Sequence[str] = ()) -> str:
    """An ``<svg>`` element of panels; ``label`` says to readers of screens what it shows."""
    inside = "".join(panel.render() for panel in panels) + "".join(more)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(label)}">{inside}</svg>'
    )


def ellipse(centre: tuple[float, float], covariance: FloatArray, factor: float) -> tuple[FloatArray, FloatArray]:
    """Closed curve (49,), (49,) of a covariance (2, 2) about ``centre``; empty where it is unknown."""
    if not np.isfinite(covariance).all():
        return np.zeros(0), np.zeros(0)
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
    angle = np.linspace(0.0, 2.0 * np.pi, 49)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    curve = factor * vectors @ (np.sqrt(np.clip(values, 0.0, None))[:, None] * circle)
    return centre[0] + curve[0], centre[1] + curve[1]
