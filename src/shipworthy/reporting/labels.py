"""Places names beside points so that they do not cover each other.

This module does *not* know what the points mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shipworthy.records import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

Line = tuple[tuple[float, float], tuple[float, float]]
"""An upright or level line between two points, in data coordinates."""
Dot = tuple[float, float, float]
"""A point that has no name: where it is, in data coordinates, and half its width in points."""
_DISTANCES = (11.0, 20.0, 32.0, 46.0, 62.0)
_ANGLES = (45, 315, 0, 90, 270, 135, 225, 180)
_POINT = 8.0
"""Half the width of a marker, in points."""


def place_labels(
    ax: Axes,
    x: Floats,
    y: Floats,
    texts: Sequence[str],
    colours: Sequence[str],
    lines: Sequence[Line] = (),
    dots: Sequence[Dot] = (),
) -> None:
    """Write each text near its point where it covers least; one that had to move away gets a line to its point.

    Greedy, from the most crowded point on, over eight directions and five distances; the limits of the axes must be set.

    Parameters
    ----------
    ax : Axes
    x, y : ndarray, shape (n,)
    texts, colours : sequence of str, length n
    lines : sequence of pairs of points
        Level or upright lines that a name had better not cross.
    dots : sequence of dots
        Points that a name had better not cover.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.transforms import Bbox

    figure = ax.get_figure(root=True)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]  # matplotlib publishes no type for it
    scale = figure.dpi / 72
    frame = ax.get_window_extent(renderer)
    at = [tuple(map(float, ax.transData.transform((a, b)))) for a, b in zip(x, y, strict=True)]
    half = _POINT * scale
    taken = [Bbox.from_extents(px - half, py - half, px + half, py + half) for px, py in at]
    crossed = [_line(ax, line, 1.5 * scale) for line in lines]
    covered = [_line(ax, ((px, py), (px, py)), size * scale) for px, py, size in dots]
    crowd = [sum(1 / (1 + math.dist(p, q)) for q in at) for p in at]
    for i in sorted(range(len(at)), key=lambda i: (-crowd[i], i)):
        probe = ax.text(0, 0, texts[i])
        box = probe.get_window_extent(renderer)
        probe.remove()
        best: tuple[float, float, float, str, str, Bbox] | None = None
        for distance in _DISTANCES:
            for turn, angle in enumerate(_ANGLES):
                dx, dy = distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle))
                ha = "left" if dx > 1 else "right" if dx < -1 else "center"
                va = "bottom" if dy > 1 else "top" if dy < -1 else "center"
                spot = _box(at[i], (dx * scale, dy * scale), (box.width, box.height), ha, va)
                cost = 40 * sum(_overlap(spot, other) for j, other in enumerate(taken) if j != i)
                cost += 8 * sum(_overlap(spot, line) for line in crossed)
                cost += 30 * sum(_overlap(spot, dot) for dot in covered)
                cost += 20 * (spot.width * spot.height - _overlap(spot, frame)) + distance * 4 + turn
                if best is None or cost < best[0]:
                    best = (cost, dx, dy, ha, va, spot)
        assert best is not None
        _, dx, dy, ha, va, spot = best
        line = {"arrowstyle": "-", "color": colours[i], "linewidth": 0.9, "shrinkA": 1, "shrinkB": 6}
        ax.annotate(
            texts[i],
            (x[i], y[i]),
            xytext=(dx, dy),
            textcoords="offset points",
            ha=ha,
            va=va,
            color="#1a1a1a",
            zorder=6,
            arrowprops=line if math.hypot(dx, dy) > _DISTANCES[0] + 1 else None,
        )
        taken.append(spot.padded(3 * scale))


def _line(ax: Axes, line: Line, thick: float) -> Bbox:
    """A line as a box, so many pixels thick to either side."""
    from matplotlib.transforms import Bbox

    (x0, y0), (x1, y1) = (ax.transData.transform(end) for end in line)
    return Bbox.from_extents(min(x0, x1) - thick, min(y0, y1) - thick, max(x0, x1) + thick, max(y0, y1) + thick)


def _box(point: tuple[float, ...], offset: tuple[float, float], size: tuple[float, float], ha: str, va: str) -> Bbox:
    from matplotlib.transforms import Bbox

    left = point[0] + offset[0] - {"left": 0.0, "center": 0.5, "right": 1.0}[ha] * size[0]
    bottom = point[1] + offset[1] - {"bottom": 0.0, "center": 0.5, "top": 1.0}[va] * size[1]
    return Bbox.from_bounds(left, bottom, *size)


def _overlap(one: Bbox, other: Bbox) -> float:
    width: float = min(one.x1, other.x1) - max(one.x0, other.x0)
    height: float = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0)
