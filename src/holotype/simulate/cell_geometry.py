"""Cell geometry of a simulated field: outlines, nuclei, nucleoli and fibers.

Positions are (y, x) in pixels. Lengths are in units: one unit is one pixel in a field of 64 pixels and grows with the
square root of the field's side, so a larger field shows larger cells, and more of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]
Random = np.random.Generator

LOBES = np.arange(2, 7)
STEP = 0.8  # pixels between the points of a fiber; less than one pixel leaves no gaps
FAR_DISTANCE = 1e3


@dataclass(frozen=True)
class CellShape:
    """Cell shape of one cell line.

    Args:
        nucleus: Radius of the nucleus as a share of the cell radius.
        crowding: Distance between neighboring cells, in cell radii.
    """

    radius: float
    stretch: float
    ruggedness: float
    nucleus: float
    nucleus_stretch: float
    crowding: float


SHAPES: dict[str, CellShape] = {
    "A-431": CellShape(19.0, 1.15, 0.10, 0.50, 1.20, 1.45),  # cobblestones: polygons that touch
    "HEK 293": CellShape(15.5, 1.70, 0.16, 0.55, 1.30, 1.50),  # small, spindly, little cytoplasm
    "U-2 OS": CellShape(25.0, 1.25, 0.20, 0.37, 1.25, 1.60),  # large, flat, ragged
}


@dataclass(frozen=True)
class Cells:
    """Cell field: maps have shape (H, W).

    Args:
        unit: Pixels per unit.
        body: Membership of each pixel in a cell, 0 to 1.
        nuclei: Membership of each pixel in a nucleus, 0 to 1.
        depth: Distance from the plasma membrane in units, positive inside.
        height: Distance from the nucleus in units, positive outside.
        reach: Relative distance from the nucleus (0) to the membrane (1).
        centers: Centers of the nuclei, shape (cells, 2).
        axes: Half axes of the nuclei in pixels, shape (cells, 2).
        angles: Directions of the first axes in radians, shape (cells,).
        centrosomes: Origins of the microtubules, shape (cells, 2).
        nucleoli: Membership of each pixel in a nucleolus, 0 to 1.
    """

    unit: float
    body: Array
    nuclei: Array
    owner: NDArray[np.int64]
    depth: Array
    height: Array
    reach: Array
    centers: Array
    axes: Array
    angles: Array
    centrosomes: Array
    nucleoli: Array

    @property
    def size(self) -> int:
        """Side of the field in pixels."""
        return int(self.body.shape[0])


def grow_cells(shape: CellShape, size: int, random: Random) -> Cells:
    """Draw cells that fill a square field of `size` pixels without overlapping.

    At least one cell center lies well inside the field.
    """
    unit = float(np.sqrt(size / 64))
    middles = _draw_middles(shape.radius * unit * shape.crowding, size, random)
    count = len(middles)
    radii = shape.radius * unit * random.uniform(0.88, 1.12, count)
    angles = random.uniform(0, np.pi, count)
    centers = middles + random.normal(0, 0.10, (count, 2)) * radii[:, None]
    tilts = angles + random.normal(0, 0.25, count)
    stretch = np.sqrt(shape.nucleus_stretch * random.uniform(0.9, 1.15, count))
    axes = (shape.nucleus * radii * random.uniform(0.9, 1.1, count))[:, None] * np.stack([stretch, 1 / stretch], 1)
    outline, rho, nu = (np.empty((count, size, size)) for _ in range(3))
    for cell in range(count):  # one cell at a time: the arrays of a single cell fit into the CPU cache
        along, across = _rotated_coordinates(middles[cell], angles[cell], size)
        outline[cell] = _draw_outline(along, across, radii[cell], shape, random)
        rho[cell] = _length(along, across) / outline[cell]
        length, width = _rotated_coordinates(centers[cell], tilts[cell], size)
        nu[cell] = _length(length / axes[cell, 0], width / axes[cell, 1])

    owner = np.argmin(rho, axis=0)
    nearest = np.partition(rho, 1, axis=0) if count > 1 else np.concatenate([rho, np.full_like(rho, FAR_DISTANCE)])
    to_outline = (1 - nearest[0]) * np.take_along_axis(outline, owner[None], 0)[0]
    to_neighbor = (nearest[1] - nearest[0]) * 0.5 * shape.radius * unit
    depth = np.minimum(to_outline, to_neighbor) / unit
    nearest_nu = np.take_along_axis(nu, owner[None], 0)[0]
    height = (nearest_nu - 1) * axes.mean(1)[owner] / unit
    body = _soft_step(depth, 0.55)
    nuclei = _soft_step(-height, 0.5) * body
    nucleoli = _soft_step(-_distance_to_nucleoli(centers, axes, tilts, size, random) / unit, 0.35) * nuclei
    reach = np.clip(height, 0, None) / np.maximum(np.clip(height, 0, None) + np.clip(depth, 0, None), 1e-6)
    centrosomes = _place_centrosomes(centers, axes, tilts, unit, random)
    return Cells(unit, body, nuclei, owner, depth, height, reach, centers, axes, tilts, centrosomes, nucleoli)


def grow_fibers(starts: Array, angles: Array, steps: int, bend: float, random: Random) -> Array:
    """Draw fibers as random walks of slowly changing direction.

    Args:
        starts: Shape (fibers, 2).
        angles: Initial directions in radians, shape (fibers,).
        steps: Points per fiber, `STEP` pixels apart.
        bend: Curvature in radians per step.

    Returns:
        Points, shape (fibers, steps, 2).
    """
    curvature, passing = (random.standard_normal((len(starts), count), np.float32) for count in (1, steps))
    headings = angles.astype(np.float32)[:, None] + np.cumsum(np.float32(bend) * (curvature + 3 * passing), axis=1)
    moves = STEP * np.stack([np.sin(headings), np.cos(headings)], axis=-1)
    return np.asarray(starts[:, None] + np.cumsum(moves, axis=1))


def sample_points(weights: Array, count: int, random: Random) -> Array:
    """Sample `count` random points with the density of a map. `weights`: density, not negative, shape (H, W)."""
    cumulative = np.cumsum(weights)
    picked = np.searchsorted(cumulative, random.uniform(0, max(float(cumulative[-1]), 1e-12), count))
    picked = np.minimum(picked, weights.size - 1)
    pixels = np.stack(np.unravel_index(picked, weights.shape), axis=-1)
    return pixels + random.uniform(-0.5, 0.5, (count, 2))


def render_points(points: Array, weights: Array, size: int) -> Array:
    """Render points as light; each point is shared by the four pixels around it.

    Args:
        points: Shape (..., 2); points outside of the field are dropped.
        size: Side of the field in pixels.

    Returns:
        Light, shape (size, size).
    """
    flat = points.reshape(-1, 2)
    light = np.broadcast_to(weights, points.shape[:-1]).reshape(-1)
    inside = ((flat >= 0) & (flat < size - 1)).all(axis=1)
    flat, light = flat[inside], light[inside]
    corner = flat.astype(np.int64)
    y, x = (flat - corner).T
    index = corner[:, 0] * size + corner[:, 1]
    indices = np.concatenate([index, index + 1, index + size, index + size + 1])
    shares = np.concatenate([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x]) * np.tile(light, 4)
    return np.bincount(indices, shares, size * size).astype(np.float64).reshape(size, size)


def smooth_noise(size: int, grain: float, random: Random) -> Array:
    """Smooth random field of mean 0 and standard deviation 1, shape (size, size).

    `grain`: size of the features in pixels.
    """
    field = gaussian_filter(random.standard_normal((size, size), np.float32), grain, mode="wrap")
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-9))


def _soft_step(distance: Array, softness: float) -> Array:
    return np.asarray(1 / (1 + np.exp(np.clip(-distance / softness, -40, 40))))


def _length(y: Array, x: Array) -> Array:
    return np.sqrt(y * y + x * x)  # several times faster than np.hypot; the values here cannot overflow


def _rotated_coordinates(origin: Array, angle: float, size: int) -> tuple[Array, Array]:
    """Coordinates of the pixels along and across a direction, each of shape (H, W)."""
    y, x = np.arange(size)[:, None] - origin[0], np.arange(size)[None, :] - origin[1]
    return y * np.sin(angle) + x * np.cos(angle), y * np.cos(angle) - x * np.sin(angle)


def _draw_middles(spacing: float, size: int, random: Random) -> Array:
    points = [size / 2 + random.uniform(-0.16, 0.16, 2) * size]
    candidates = random.uniform(-0.1 * size, 1.1 * size, (int(60 * size / 64), 2))
    for candidate in candidates:
        if np.hypot(*(np.array(points) - candidate).T).min() >= spacing and random.random() < 0.5:
            points.append(candidate)
    return np.array(points)


def _draw_outline(along: Array, across: Array, radius: float, shape: CellShape, random: Random) -> Array:
    """Distance from the cell center to the membrane in the direction of every pixel, shape (H, W)."""
    stretch = np.sqrt(shape.stretch * random.uniform(0.85, 1.15))
    lobes = random.normal(0, shape.ruggedness, len(LOBES)) / LOBES**0.7
    lobes = lobes * np.exp(2j * np.pi * random.uniform(0, 1, len(LOBES)))
    pointer = along / stretch + 1j * across * stretch
    length = _length(pointer.real, pointer.imag) + 1e-9
    pointer /= length
    wobble = 1 + (np.polyval([*lobes[::-1], 0, 0], pointer)).real  # powers of a unit pointer: harmonics of its angle
    return np.asarray(radius * (_length(along, across) + 1e-9) / length * np.clip(wobble, 0.55, 1.6))


def _place_centrosomes(centers: Array, axes: Array, tilts: Array, unit: float, random: Random) -> Array:
    angles = random.uniform(0, 2 * np.pi, len(centers))
    length = (axes[:, 0] + 0.3 * unit) * np.cos(angles)
    width = (axes[:, 1] + 0.3 * unit) * np.sin(angles)
    return _to_field_coordinates(centers, tilts, length, width)


def _distance_to_nucleoli(centers: Array, axes: Array, tilts: Array, size: int, random: Random) -> Array:
    """Distance in pixels from the border of the nearest nucleolus, negative inside it, shape (H, W)."""
    counts = random.integers(1, 5, len(centers))
    cell = np.repeat(np.arange(len(centers)), counts)
    share = 0.62 * np.sqrt(random.uniform(0, 1, len(cell)))
    angle = random.uniform(0, 2 * np.pi, len(cell))
    along, across = axes[cell, 0] * share * np.cos(angle), axes[cell, 1] * share * np.sin(angle)
    positions = _to_field_coordinates(centers[cell], tilts[cell], along, across)
    radii = axes[cell].mean(1) * random.uniform(0.13, 0.27, len(cell)) * (1.25 - 0.12 * counts[cell])
    y, x = np.arange(size)[None] - positions.T[:, :, None]
    return np.asarray((_length(y[:, :, None], x[:, None, :]) - radii[:, None, None]).min(axis=0))


def _to_field_coordinates(centers: Array, tilts: Array, length: Array, width: Array) -> Array:
    y = centers[:, 0] + length * np.sin(tilts) + width * np.cos(tilts)
    x = centers[:, 1] + length * np.cos(tilts) - width * np.sin(tilts)
    return np.stack([y, x], axis=1)
