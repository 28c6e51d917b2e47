"""Organelle patterns of the Human Protein Atlas: a drawing for each of the 28 classes.

The names and their order are those of the "Human Protein Atlas Image Classification" of 2018 (Ouyang et al. 2019,
"Analysis of the Human Protein Atlas image classification competition", Nature Methods).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from holotype.simulate.cell_geometry import STEP, Cells, grow_fibers, render_points, sample_points, smooth_noise
from holotype.simulate.microscopy import PATTERNS, Drawing, draw_reticulum

Array = NDArray[np.float64]
Random = np.random.Generator


def _cytoplasm(cells: Cells) -> Array:
    return np.asarray(cells.body * (1 - cells.nuclei) ** 4 * (cells.depth > 1.0))


def _draw_dots(density: Array, each: float, width: float, cells: Cells, random: Random) -> Array:
    """Round dots: `each` per cell, of a standard deviation in units, sampled from a density."""
    count = max(2, round(each * len(cells.centers)))
    return gaussian_filter(
        render_points(sample_points(density, count, random), random.gamma(4.0, 0.25, count), cells.size),
        width * cells.unit,
    )


def _draw_strokes(starts: Array, angles: Array, length: float, bend: float, cells: Cells, random: Random) -> Array:
    points = grow_fibers(starts, angles, max(2, int(length * cells.unit / STEP)), bend / cells.unit, random)
    light = np.broadcast_to(random.uniform(0.6, 1.2, (len(starts), 1)), points.shape[:2])
    return np.asarray(render_points(points, light, cells.size) * cells.body)


def _directions(starts: Array, cells: Cells) -> Array:
    pixels = np.clip(np.rint(starts), 0, cells.size - 1).astype(np.int64)
    return np.asarray(cells.angles[cells.owner[pixels[:, 0], pixels[:, 1]]])


def _along_and_across(cells: Cells) -> tuple[Array, Array]:
    y, x = np.mgrid[: cells.size, : cells.size]
    center, angle = cells.centers[cells.owner], cells.angles[cells.owner]
    y, x = y - center[..., 0], x - center[..., 1]
    axes = cells.axes[cells.owner]
    along = (y * np.sin(angle) + x * np.cos(angle)) / axes[..., 0]
    return along, (y * np.cos(angle) - x * np.sin(angle)) / axes[..., 1]


def _nuclear_membrane(cells: Cells, fibers: Array, random: Random) -> Array:
    return np.asarray(np.exp(-((cells.height / 0.6) ** 2)) * cells.body + 0.05 * cells.nuclei)


def _fibrillar_centers(cells: Cells, fibers: Array, random: Random) -> Array:
    return _draw_dots(cells.nucleoli**2 + 1e-6 * cells.nuclei, 6, 0.35, cells, random)


def _speckles(cells: Cells, fibers: Array, random: Random) -> Array:
    patches = np.clip(smooth_noise(cells.size, 1.1 * cells.unit, random) - 0.5, 0, None)
    return np.asarray(patches * cells.nuclei * (1 - cells.nucleoli) + 0.02 * cells.nuclei)


def _nuclear_bodies(cells: Cells, fibers: Array, random: Random) -> Array:
    return _draw_dots(cells.nuclei**4 * (1 - cells.nucleoli) ** 4, 3, 0.6, cells, random)


def _endoplasmic_reticulum(cells: Cells, fibers: Array, random: Random) -> Array:
    return draw_reticulum(cells, random)


def _peroxisomes(cells: Cells, fibers: Array, random: Random) -> Array:
    return _draw_dots(_cytoplasm(cells), 45, 0.35, cells, random)


def _endosomes(cells: Cells, fibers: Array, random: Random) -> Array:
    return _draw_dots(_cytoplasm(cells) * np.exp(-(((cells.reach - 0.6) / 0.15) ** 2)), 10, 0.7, cells, random)


def _lysosomes(cells: Cells, fibers: Array, random: Random) -> Array:
    return _draw_dots(_cytoplasm(cells) * np.exp(-cells.reach / 0.2), 12, 0.95, cells, random)


def _intermediate_filaments(cells: Cells, fibers: Array, random: Random) -> Array:
    starts = sample_points(_cytoplasm(cells) * np.exp(-cells.reach / 0.4), 26 * len(cells.centers), random)
    return _draw_strokes(starts, random.uniform(0, 2 * np.pi, len(starts)), 16, 0.16, cells, random)


def _actin_filaments(cells: Cells, fibers: Array, random: Random) -> Array:
    starts = sample_points(cells.body * (cells.depth > 0.5), 14 * len(cells.centers), random)
    angles = _directions(starts, cells) + random.normal(0, 0.06, len(starts))
    return _draw_strokes(starts, angles, 22, 0.002, cells, random) + _draw_strokes(
        starts, angles + np.pi, 22, 0.002, cells, random
    )


def _focal_adhesions(cells: Cells, fibers: Array, random: Random) -> Array:
    edge = cells.body * np.exp(-(((cells.depth - 1.5) / 0.8) ** 2))
    starts = sample_points(edge, 12 * len(cells.centers), random)
    return gaussian_filter(_draw_strokes(starts, _directions(starts, cells), 3.5, 0.0, cells, random), 0.4 * cells.unit)


def _microtubule_ends(cells: Cells, fibers: Array, random: Random) -> Array:
    return _draw_dots(fibers * cells.body * (cells.reach > 0.7) + 1e-6 * cells.body, 25, 0.35, cells, random)


def _cytokinetic_bridge(cells: Cells, fibers: Array, random: Random) -> Array:
    starts = sample_points(
        np.exp(-((cells.depth / 0.5) ** 2)) * (cells.reach < 2), max(1, len(cells.centers) // 2), random
    )
    rods = grow_fibers(starts, random.uniform(0, np.pi, len(starts)), int(5 * cells.unit / STEP), 0.0, random)
    return (
        gaussian_filter(render_points(rods, np.ones(rods.shape[:2]), cells.size), 0.5 * cells.unit) + 0.01 * cells.body
    )


def _mitotic_spindle(cells: Cells, fibers: Array, random: Random) -> Array:
    along, across = _along_and_across(cells)
    width = np.clip(0.75 * (1 - np.abs(along)), 0.05, None)
    stripes = 1 + 0.5 * np.cos(9 * across / width)
    return np.asarray(np.exp(-((across / width) ** 2)) * (np.abs(along) < 1) * stripes)


def _organizing_center(cells: Cells, fibers: Array, random: Random) -> Array:
    cloud = gaussian_filter(
        render_points(cells.centrosomes, np.ones(len(cells.centrosomes)), cells.size), 1.8 * cells.unit
    )
    return np.asarray(cloud * (0.4 + fibers))


def _centrosome(cells: Cells, fibers: Array, random: Random) -> Array:
    pair = cells.centrosomes[:, None] + random.normal(0, 0.8 * cells.unit, (len(cells.centrosomes), 2, 2))
    return (
        gaussian_filter(render_points(pair, np.ones(pair.shape[:2]), cells.size), 0.4 * cells.unit) + 0.002 * cells.body
    )


def _lipid_droplets(cells: Cells, fibers: Array, random: Random) -> Array:
    count = 14 * len(cells.centers)
    points = render_points(sample_points(_cytoplasm(cells), count, random), np.ones(count), cells.size)
    outer, inner = (gaussian_filter(points, width * cells.unit) for width in (1.2, 0.7))
    return np.clip(2.6 * outer - inner, 0, None)


def _cell_junctions(cells: Cells, fibers: Array, random: Random) -> Array:
    line = np.exp(-((cells.depth / 0.6) ** 2))
    return np.asarray(line * (smooth_noise(cells.size, 4 * cells.unit, random) > 0.2))


def _aggresome(cells: Cells, fibers: Array, random: Random) -> Array:
    away = cells.centrosomes - cells.centers
    points = cells.centrosomes + 2.5 * cells.unit * away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    return (
        gaussian_filter(render_points(points, np.ones(len(points)), cells.size), 2.3 * cells.unit) + 0.001 * cells.body
    )


def _cytoplasmic_bodies(cells: Cells, fibers: Array, random: Random) -> Array:
    return _draw_dots(_cytoplasm(cells), 4, 0.75, cells, random) + 0.002 * cells.body


def _rods_and_rings(cells: Cells, fibers: Array, random: Random) -> Array:
    starts = sample_points(_cytoplasm(cells), 2 * len(cells.centers), random)
    half = len(starts) // 2
    rods = _draw_strokes(starts[:half], random.uniform(0, np.pi, half), 6, 0.0, cells, random)
    rings = _draw_strokes(starts[half:], random.uniform(0, np.pi, half), 7, 1.1, cells, random)
    return np.asarray(rods + rings + 0.01 * cells.body)


ORGANELLES: dict[str, Drawing] = {
    "Nucleoplasm": PATTERNS["nucleoplasm"],
    "Nuclear membrane": _nuclear_membrane,
    "Nucleoli": PATTERNS["nucleoli"],
    "Nucleoli fibrillar center": _fibrillar_centers,
    "Nuclear speckles": _speckles,
    "Nuclear bodies": _nuclear_bodies,
    "Endoplasmic reticulum": _endoplasmic_reticulum,
    "Golgi apparatus": PATTERNS["golgi"],
    "Peroxisomes": _peroxisomes,
    "Endosomes": _endosomes,
    "Lysosomes": _lysosomes,
    "Intermediate filaments": _intermediate_filaments,
    "Actin filaments": _actin_filaments,
    "Focal adhesion sites": _focal_adhesions,
    "Microtubules": PATTERNS["microtubules"],
    "Microtubule ends": _microtubule_ends,
    "Cytokinetic bridge": _cytokinetic_bridge,
    "Mitotic spindle": _mitotic_spindle,
    "Microtubule organizing center": _organizing_center,
    "Centrosome": _centrosome,
    "Lipid droplets": _lipid_droplets,
    "Plasma membrane": PATTERNS["plasma-membrane"],
    "Cell junctions": _cell_junctions,
    "Mitochondria": PATTERNS["mitochondria"],
    "Aggresome": _aggresome,
    "Cytosol": PATTERNS["cytosol"],
    "Cytoplasmic bodies": _cytoplasmic_bodies,
    "Rods & rings": _rods_and_rings,
}
"""Drawings in the order of the classes: the position is the class index."""
