"""Pictures with changed copies among them, and drawn plankton: what near duplicates are told from look-alikes on.

Everything comes in two halves, A and B. The rule in `holotype.audit` was chosen on A; only B measures it. The halves
of the real sets share no image (of mitocheck no cell), those of the drawn plankton no kind of shape.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, shift

from holotype.data import read_image, read_images, resize_image, usable_pixels
from holotype.recipe.load import load_recipe

__all__ = ["CHANGES", "MATERIALS", "planted_copies"]

Pixels = NDArray[np.generic]
MATERIALS = ("plankton", "leaf", "mitocheck", "bccd", "jurkat")
FORMS = {
    "A": ("rod", "ellipse", "chain", "blob", "antennae", "star"),
    "B": ("ring", "crescent", "triangle", "spiral", "colony", "flagellate"),
}
LARGEST = 900  # images of a real half
SIDE, OVERSAMPLING = 144, 4


def recompress(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    planes = []
    for plane in pixels:
        top, buffer = max(float(plane.max()), 1), BytesIO()
        Image.fromarray((plane * (255 / top)).astype(np.uint8)).save(buffer, "JPEG", quality=75)
        planes.append(np.asarray(Image.open(buffer)).astype(float) * top / 255)
    return np.stack(planes)


def resize(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    scale = generator.uniform(0.55, 0.9)
    return resize_image(pixels, *(max(int(side * scale), 8) for side in pixels.shape[1:]))


def brighten(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Gain and offset of each channel, within what the image's own largest value makes likely."""
    top = np.iinfo(pixels.dtype).max if pixels.dtype == np.uint8 else float(pixels.max())
    gain = generator.uniform(0.6, 1.4, (len(pixels), 1, 1))
    return np.clip(pixels * gain + generator.uniform(0, 0.1) * top, 0, np.iinfo(pixels.dtype).max)


def rotate(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    return np.rot90(pixels, generator.integers(1, 4), axes=(1, 2))


def move(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    step = generator.uniform(-0.03, 0.03, 2) * pixels.shape[1:]
    return np.stack([shift(plane.astype(float), step, order=1, mode="nearest") for plane in pixels])


def crop(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    height, width = pixels.shape[1:]
    cut = [generator.integers(1, max(int(0.05 * side), 1) + 1) for side in (height, width)]
    top, left = (generator.integers(0, side + 1) for side in cut)
    return pixels[:, top : height - cut[0] + top, left : width - cut[1] + left]


CHANGES: tuple[Callable[[Pixels, np.random.Generator], Pixels], ...] = (
    recompress,
    resize,
    brighten,
    rotate,
    move,
    crop,
)


def planted_copies(name: str, half: str, copies: int) -> tuple[list[Pixels], list[str], dict[tuple[int, int], str]]:
    """Images with changed copies behind them.

    Args:
        name: One of `MATERIALS`.
        half: `A` or `B`.
        copies: How many.

    Returns:
        The images (channels, height, width), their names, and by which change each planted pair differs.
    """
    generator = np.random.default_rng(zlib.crc32(f"{name} {half}".encode()))
    if name == "plankton":
        names = [f"{FORMS[half][number % 6]} {number}" for number in range(300)]
        images = [draw_plankton(form.split()[0], generator) for form in names]
    else:
        table = read_images(load_recipe(Path(__file__).parents[1] / "recipes" / f"{name}.yaml").data)
        names = table.frame["id"].to_list()
        cells = [text.split("_T")[0] if name == "mitocheck" else text for text in names]
        rows = [row for row, cell in enumerate(cells) if "AB"[zlib.crc32(cell.encode()) % 2] == half][:LARGEST]
        images = [usable_pixels(read_image(table.files_of_row(row))) for row in rows]
        names = [names[row] for row in rows]
    truth, originals = {}, len(images)
    for number, row in enumerate(generator.choice(originals, copies, replace=False)):
        change = CHANGES[number % len(CHANGES)]
        changed = np.rint(change(images[row], generator)).astype(images[row].dtype)
        images.append(np.ascontiguousarray(changed))
        names.append(f"copy of {names[row]}")
        truth[int(row), originals + number] = change.__name__
    return images, names, truth


def draw_plankton(form: str, generator: np.random.Generator) -> Pixels:
    """One dark object on a bright, noisy ground, somewhere near the middle; it spans 8 to 30 % of the side."""
    side = SIDE * OVERSAMPLING
    picture = Image.new("L", (side, side), 250)
    radius, middle = side * generator.uniform(0.04, 0.15), side / 2 + generator.uniform(-0.12, 0.12, 2) * side
    angle = generator.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tone, draw = int(generator.integers(30, 110)), ImageDraw.Draw(picture)
    for points, width, lighter in outlines(form, generator):
        corners = [tuple(point) for point in points @ turn.T * radius + middle]
        if width:
            draw.line(corners, fill=tone + lighter, width=max(int(radius * width), 3), joint="curve")
        else:
            draw.polygon(corners, fill=tone + lighter)
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), float)
    noisy = gaussian_filter(small, 0.5) + generator.normal(0, 2, small.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)[None]


def outlines(form: str, generator: np.random.Generator) -> list[tuple[NDArray[np.float64], float, int]]:
    """Polygons and lines of a form of radius 1: points, width of the line (0 for a polygon), and how much lighter."""
    uniform = generator.uniform
    if form == "rod":
        return [(ellipse(1, uniform(0.1, 0.3)), 0, 0)]
    if form == "ellipse":
        return [(ellipse(1, uniform(0.4, 1)), 0, 0)]
    if form == "chain":
        cells = int(generator.integers(3, 8))
        return [
            (
                ellipse(0.95 / cells, uniform(0.7, 1) / cells, (2 * cell + 1) / cells - 1),
                0,
                int(generator.integers(-15, 15)),
            )
            for cell in range(cells)
        ]
    if form == "blob":
        return [(irregular(generator, 0.3), 0, 0)]
    if form == "antennae":
        legs = [
            np.array(
                [[0.7, 0], [uniform(0.3, 0.9), sign * uniform(0.6, 1.1)], [uniform(-0.6, 0.2), sign * uniform(1, 1.5)]]
            )
            for sign in (-1, 1)
        ]
        return [(ellipse(1, uniform(0.25, 0.45)), 0, 0), *((leg, 0.06, 20) for leg in legs)]
    if form == "star":
        tips = 2 * int(generator.integers(4, 9))
        reach = np.where(np.arange(tips) % 2, uniform(0.3, 0.6), 1) * uniform(0.9, 1.1, tips)
        return [(polar(np.linspace(0, 2 * np.pi, tips, endpoint=False), reach), 0, 0)]
    if form == "ring":
        hole = uniform(0.3, 0.8)
        return [(ellipse(1, uniform(0.7, 1)), 0, 0), (ellipse(hole, hole * uniform(0.7, 1)), 0, 90)]
    if form == "crescent":
        turn = np.linspace(-2, 2, 40) * uniform(0.5, 0.9)
        width = uniform(0.12, 0.35) * np.cos(np.linspace(-np.pi / 2, np.pi / 2, 40))
        sides = [polar(turn, 1 + width), polar(turn, 1 - width)[::-1]]
        return [(np.concatenate(sides) - [0.7, 0], 0, 0)]
    if form == "triangle":
        return [(irregular(generator, 0.1)[[0, 40, 80]] * [1, uniform(0.4, 1)], 0, 0)]
    if form == "spiral":
        turn = np.linspace(0, uniform(2, 4) * np.pi, 120)
        return [(polar(turn, turn / turn[-1]), uniform(0.1, 0.2), 0)]
    if form == "colony":
        return [
            (
                ellipse(radius := uniform(0.1, 0.3), radius, *generator.normal(0, 0.5, 2)),
                0,
                int(generator.integers(-10, 30)),
            )
            for _ in range(int(generator.integers(4, 12)))
        ]
    along = np.linspace(0, 1, 40)
    tail = np.stack([0.4 + 0.9 * along, 0.2 * np.sin(along * uniform(4, 9))], axis=1)
    return [(irregular(generator, 0.15) * 0.4, 0, 0), (tail, 0.06, 20)]


def polar(angle: NDArray[np.float64], radius: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)


def ellipse(long: float, short: float, across: float = 0, down: float = 0) -> NDArray[np.float64]:
    return polar(np.linspace(0, 2 * np.pi, 60), 1) * [long, short] + [across, down]


def irregular(generator: np.random.Generator, roughness: float) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    waves = [
        roughness / wave * generator.normal() * np.cos(wave * angle + generator.uniform(0, 7)) for wave in range(2, 7)
    ]
    return polar(angle, 1 + sum(waves))
