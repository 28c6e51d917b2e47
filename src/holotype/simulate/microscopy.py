"""Simulated fluorescence microscopy: landmark stains, protein patterns and microscope optics.

The appearances follow the Human Protein Atlas: Thul et al. 2017, "A subcellular map of the human proteome", Science.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from holotype.core.errors import DataError
from holotype.core.seeds import keyed_generator
from holotype.simulate.cell_geometry import (
    SHAPES,
    STEP,
    Cells,
    grow_cells,
    grow_fibers,
    render_points,
    sample_points,
    smooth_noise,
)

Array = NDArray[np.float64]
Random = np.random.Generator
Drawing = Callable[[Cells, Array, Random], Array]
"""Drawing of a protein pattern: cells, their microtubules and a generator to light of shape (H, W)."""

CHANNELS = ("microtubules", "nucleus", "reticulum", "protein")
PHOTONS = np.array([150.0, 220.0, 130.0, 140.0])  # at full scale; stains differ in brightness
READ_NOISE = 1.6  # photons
MAX_EXPOSURE = 0.72  # of full scale, so that bright plates rarely saturate


@dataclass(frozen=True)
class Optics:
    """Optics of a plate: the batch effect shared by its images.

    Args:
        gain: Brightness of each channel, around 1.
        background: Light without cells for each channel, as a share of full scale.
        blur: Standard deviation of the point spread function in pixels.
        shading: Relative change of the illumination across the field, (down, right).
    """

    gain: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    background: tuple[float, ...] = (0.02, 0.02, 0.02, 0.03)
    blur: float = 0.6
    shading: tuple[float, float] = (0.0, 0.0)


def plate_optics(seed: int, plate: str) -> Optics:
    """Draw the batch effect of a plate, keyed by its name."""
    random = keyed_generator(seed, "plate", plate)
    gain = np.exp(random.normal(0, 0.22, len(CHANNELS)))
    background = random.uniform(0.01, 0.07, len(CHANNELS))
    down, right = random.uniform(-0.18, 0.18, 2).tolist()
    return Optics(tuple(gain.tolist()), tuple(background.tolist()), float(random.uniform(0.45, 0.95)), (down, right))


def draw_cell_field(
    amounts: Mapping[str, float],
    cell_type: str,
    size: int,
    optics: Optics,
    random: Random,
    patterns: Mapping[str, Drawing] | None = None,
) -> NDArray[np.float32]:
    """Draw a field of cells as a fluorescence microscope records it.

    Args:
        amounts: Amount of protein in each pattern, above zero; keys are names of `patterns`.
        cell_type: One of `SHAPES`.
        size: Side of the field in pixels.
        patterns: Drawings by name, by default `PATTERNS`.

    Returns:
        Shape (4, size, size) in the order of `CHANNELS`, 0 to 1.

    Raises:
        DataError: A pattern or a cell type has no drawing.
    """
    if cell_type not in SHAPES:
        raise DataError(f"unknown cell type {cell_type!r}", field="cell_type", value=cell_type, allowed=SHAPES)
    drawings = PATTERNS if patterns is None else patterns
    for name in amounts:
        if name not in drawings:
            raise DataError(f"unknown pattern {name!r}", field="amounts", value=name, allowed=drawings)
    cells = grow_cells(SHAPES[cell_type], size, random)
    fibers = _draw_tubulin(cells, random)
    microtubules = fibers + 0.10 * cells.body
    protein = sum(
        amount * equalized(drawings[name](cells, fibers, random), cells.unit) for name, amount in amounts.items()
    )
    expression = np.exp(random.normal(0, 0.30, len(cells.centers)))[cells.owner]
    unspecific = 0.05 * cells.body * (1 + 0.5 * smooth_noise(size, 3 * cells.unit, random))
    protein = protein * expression + unspecific * random.uniform(0.4, 1.6)
    light = np.stack([microtubules, _draw_chromatin(cells, random), draw_reticulum(cells, random), protein])
    return render_microscope_image(light, cells.unit, optics, random)


def render_microscope_image(
    light: Array, unit: float, optics: Optics, random: Random, photons: Array = PHOTONS, level: float | None = None
) -> NDArray[np.float32]:
    """Apply blur, out-of-focus haze, uneven illumination, shot noise and read noise.

    Args:
        light: Shape (channels, H, W).
        unit: Pixels per unit.
        level: Share of full scale reached by light of 1. By default each channel is scaled by its own peak, so that
            brightness differences between images carry no information.

    Returns:
        Shape (channels, H, W), 0 to 1.
    """
    sharp = gaussian_filter(light, (0, optics.blur, optics.blur))
    haze = gaussian_filter(light, (0, 3.0 * unit, 3.0 * unit))
    peak = np.quantile(sharp, 0.995, axis=(1, 2), keepdims=True)
    peak_exposure = MAX_EXPOSURE * random.uniform(0.75, 1.15, (len(light), 1, 1)) / np.maximum(peak, 1e-6)
    exposure = peak_exposure if level is None else np.full_like(peak_exposure, level)
    down, right = optics.shading
    slope = np.linspace(-0.5, 0.5, light.shape[-1])
    illumination = 1 + down * slope[:, None] + right * slope[None, :]
    gain, background = np.array(optics.gain)[:, None, None], np.array(optics.background)[:, None, None]
    photons = photons[:, None, None]
    expected = photons * ((0.85 * sharp + 0.15 * haze) * exposure * gain + background) * illumination
    counts = random.poisson(np.maximum(expected, 0)) + READ_NOISE * random.standard_normal(light.shape, np.float32)
    return np.asarray(np.clip(counts / photons, 0, 1), dtype=np.float32)


def equalized(pattern: Array, unit: float) -> Array:
    """Scale a pattern so that equal amounts look equally strong, for a haze as for a few dots.

    `pattern`: light, shape (H, W); `unit`: pixels per unit.
    """
    blurred = gaussian_filter(pattern, 0.6 * unit)
    return pattern / max(float(np.quantile(blurred, 0.99)), 1e-6)


def _draw_tubulin(cells: Cells, random: Random) -> Array:
    count = int(95 * cells.unit)
    steps = int(36 * cells.unit / STEP)
    total = np.zeros_like(cells.body)
    for number, centrosome in enumerate(cells.centrosomes):
        starts = centrosome + random.normal(0, 1.0 * cells.unit, (count, 2))
        points = grow_fibers(starts, random.uniform(0, 2 * np.pi, count), steps, 0.034 / cells.unit, random)
        alive = np.cumprod(_is_inside(points, cells, number), axis=1)
        fade = np.minimum(1.0, np.arange(1, steps + 1) / (5 * cells.unit))  # or the bundle of starts would be brightest
        total += render_points(points, alive * fade * random.uniform(0.5, 1.3, (count, 1)), cells.size)
    total *= 1 - 0.65 * cells.nuclei
    return total / max(float(np.quantile(total, 0.98)), 1e-6)


def _is_inside(points: Array, cells: Cells, number: int) -> NDArray[np.bool_]:
    """Whether points lie in a cell; points outside of the field count as inside, because a fiber may come back."""
    pixels = np.clip(np.rint(points), 0, cells.size - 1).astype(np.int64)
    y, x = pixels[..., 0], pixels[..., 1]
    return np.asarray((cells.depth[y, x] > 0.4) & (cells.owner[y, x] == number))


def _draw_chromatin(cells: Cells, random: Random) -> Array:
    texture = 1 + 0.13 * smooth_noise(cells.size, 1.1 * cells.unit, random)
    dome = 0.75 + 0.25 * np.clip(-cells.height / (4 * cells.unit), 0, 1)
    brightness = random.uniform(0.8, 1.2, len(cells.centers))[cells.owner]
    return np.asarray(cells.nuclei * texture * dome * brightness * (1 - 0.45 * cells.nucleoli))


def draw_reticulum(cells: Cells, random: Random) -> Array:
    """Draw the endoplasmic reticulum: a mesh around the nucleus (zero lines of a smooth field) that fades outwards."""
    mesh = np.exp(-((smooth_noise(cells.size, 1.3 * cells.unit, random) / 0.5) ** 2))
    sheet = np.exp(-cells.reach / 0.38)
    rim = np.exp(-((cells.height / 1.1) ** 2))
    cytoplasm = cells.body * (1 - 0.85 * cells.nuclei)
    return np.asarray(cytoplasm * (sheet * (0.35 + 0.65 * mesh) + 0.12 * mesh) + 0.25 * rim * cells.body)


def _nucleoplasm(cells: Cells, fibers: Array, random: Random) -> Array:
    texture = 1 + 0.16 * smooth_noise(cells.size, 0.8 * cells.unit, random)
    return np.asarray(cells.nuclei * texture * (1 - 0.85 * cells.nucleoli))


def _nucleoli(cells: Cells, fibers: Array, random: Random) -> Array:
    return np.asarray(cells.nucleoli + 0.10 * cells.nuclei)


def _cytosol(cells: Cells, fibers: Array, random: Random) -> Array:
    thickness = np.sqrt(np.clip(1 - cells.reach**2, 0, 1)) * 0.75 + 0.25
    texture = 1 + 0.13 * smooth_noise(cells.size, 1.2 * cells.unit, random)
    return np.asarray(cells.body * (1 - 0.75 * cells.nuclei) * thickness * texture)


def _plasma_membrane(cells: Cells, fibers: Array, random: Random) -> Array:
    line = np.exp(-(((cells.depth - 0.5) / 0.75) ** 2))
    ruffles = np.clip(1 + 0.45 * smooth_noise(cells.size, 2.5 * cells.unit, random), 0.15, None)
    return np.asarray(line * ruffles + 0.10 * cells.body)


def _mitochondria(cells: Cells, fibers: Array, random: Random) -> Array:
    density = cells.body * (1 - cells.nuclei) ** 4 * np.exp(-cells.reach / 0.45) * (cells.depth > 1.5)
    count, steps = int(0.05 * cells.body.sum() / cells.unit**2) + 8, int(7 * cells.unit / STEP)
    starts = sample_points(density, count, random)
    pixels = np.clip(np.rint(starts), 0, cells.size - 1).astype(np.int64)
    outwards = starts - cells.centers[cells.owner[pixels[:, 0], pixels[:, 1]]]
    angles = np.arctan2(outwards[:, 0], outwards[:, 1]) + random.normal(0, 0.8, count)
    points = grow_fibers(starts, angles, steps, 0.09 / cells.unit, random)
    lengths = random.integers(3, steps + 1, (count, 1))
    light = (np.arange(steps) < lengths) * random.uniform(0.5, 1.2, (count, 1))
    return np.asarray(render_points(points, light, cells.size) * cells.body * (1 - 0.9 * cells.nuclei))


def _microtubules(cells: Cells, fibers: Array, random: Random) -> Array:
    return fibers


def _golgi(cells: Cells, fibers: Array, random: Random) -> Array:
    total = np.zeros_like(cells.body)
    for center, centrosome in zip(cells.centers, cells.centrosomes, strict=True):
        count, steps = int(random.integers(7, 13)), int(6 * cells.unit / STEP)
        outwards = np.arctan2(*(centrosome - center))
        away = np.hypot(*(centrosome - center)) + 2.4 * cells.unit
        arc = outwards + random.normal(0, 0.33, count)
        distances = (away + random.normal(0, 1.2 * cells.unit, count))[:, None]
        starts = center + distances * np.stack([np.sin(arc), np.cos(arc)], axis=1)
        points = grow_fibers(starts, arc + np.pi / 2 * random.choice([-1, 1], count), steps, 0.10 / cells.unit, random)
        total += render_points(points, random.uniform(0.4, 1.3, (count, 1)), cells.size)
    return np.asarray(total * (1 - 0.85 * cells.nuclei) * cells.body + 0.01 * cells.body)


def _vesicles(cells: Cells, fibers: Array, random: Random) -> Array:
    density = cells.body * (1 - cells.nuclei) ** 4 * (cells.depth > 1.0) * np.exp(-cells.reach / 0.9)
    count = int(random.uniform(0.018, 0.04) * cells.body.sum() / cells.unit**2) + 6
    dots = render_points(sample_points(density, count, random), random.gamma(2.0, 0.5, count), cells.size)
    large = render_points(
        sample_points(density, count // 4 + 1, random), 2.2 * random.gamma(3.0, 0.33, count // 4 + 1), cells.size
    )
    small, large = gaussian_filter(dots, 0.45 * cells.unit), gaussian_filter(large, 0.85 * cells.unit)
    return np.asarray(small + large + 0.004 * cells.body)


PATTERNS: dict[str, Drawing] = {
    "nucleoplasm": _nucleoplasm,
    "cytosol": _cytosol,
    "mitochondria": _mitochondria,
    "nucleoli": _nucleoli,
    "plasma-membrane": _plasma_membrane,
    "microtubules": _microtubules,
    "golgi": _golgi,
    "vesicles": _vesicles,
}
