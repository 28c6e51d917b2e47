"""Template values of the picture sections: heat maps, channels, filters, similar images, embedding map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from holotype.report.charts import bar_strip
from holotype.report.embedding_map import embedding_map_svg
from holotype.report.examples import ExampleImage, ExplainedSample, FirstLayer, PictureData
from holotype.report.formatting import percent
from holotype.report.overlay import overlay_heatmap, signed_colors
from holotype.report.render import (
    Picture,
    channel_colors,
    composite,
    draw_pictures,
    fit_pictures,
    intensity_range,
    subsample,
    tint,
)
from holotype.report.report_data import ReportData

EXPLAINED_BYTES, VIEW_BYTES, UNCERTAIN_BYTES, NEAREST_BYTES = 2_000_000, 1_300_000, 1_000_000, 700_000
FILTER_BYTES, MAX_KERNELS = 200_000, 24
EVEN, STAYED = 1.25, 0.03  # times an even share; of all weights


def pictured(contents: ReportData) -> dict[str, Any]:
    """Template values of all picture sections."""
    pictures, channels = contents.pictures or PictureData(), contents.channels
    uncertain = draw_pictures([item.pixels for item in pictures.uncertain], channels, UNCERTAIN_BYTES)
    views, drawn = _channel_values(pictures.views, channels), embedding_map_svg(pictures.map, channels)
    return {
        "moves": views is not None or drawn is not None,
        "explained": _explained_values(pictures.explained, channels),
        "unexplained": pictures.unexplained,
        "views": views,
        "filters": None if pictures.filters is None else _filter_values(pictures.filters),
        "uncertain": list(zip(pictures.uncertain, uncertain, strict=True)),
        "nearest_images": _nearest_values(pictures, channels),
        "nearest_source": pictures.nearest_source,
        "map": drawn,
    }


def _explained_values(samples: Sequence[ExplainedSample], channels: Sequence[str] | None) -> list[dict[str, Any]]:
    rasters: list[NDArray[np.uint8]] = []
    for sample in samples:
        rasters.append(composite(subsample(sample.pixels), channels))
        rasters += [overlay_heatmap(sample.pixels, heat.map, channels) for heat in sample.heats]
    drawn = iter(fit_pictures(rasters, EXPLAINED_BYTES))
    return [
        {
            "sample": sample,
            "picture": next(drawn),
            "heats": [(heat, next(drawn), heat.map.max() > 0) for heat in sample.heats],
        }
        for sample in samples
    ]


def _channel_values(views: Sequence[ExampleImage], channels: Sequence[str] | None) -> dict[str, Any] | None:
    if not views or channels is None:
        return None
    colors = channel_colors(len(channels), channels)
    rasters: list[NDArray[np.uint8]] = []
    for example in views:
        rasters.append(composite(subsample(example.pixels), channels))
        rasters += [tint(plane, color) for plane, color in zip(subsample(example.pixels), colors, strict=True)]
    drawn = iter(fit_pictures(rasters, VIEW_BYTES))
    rows = []
    for example in views:
        picture = next(drawn)
        planes = [
            {"name": name, "picture": next(drawn), "range": _intensity_text(plane)}
            for name, plane in zip(channels, subsample(example.pixels), strict=True)
        ]
        rows.append({"sample": example, "picture": picture, "planes": planes})
    choices = [
        {"name": name, "color": Markup("rgb({} {} {})".format(*(round(255 * part / max(color)) for part in color)))}
        for name, color in zip(channels, colors, strict=True)
    ]
    depth = np.dtype(views[0].pixels.dtype)
    numbers = "integers" if depth.kind in "ui" else "numbers"
    return {"rows": rows, "choices": choices, "depth": f"{8 * depth.itemsize}-bit {numbers}"}


def _intensity_text(plane: NDArray[Any]) -> str:
    ends = intensity_range(np.nan_to_num(plane.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0))
    is_integer = plane.dtype.kind in "ui"
    return " to ".join((f"{end:,.0f}" if is_integer else f"{end:.3g}").replace("-", "−") for end in ends)


def _filter_values(layer: FirstLayer) -> dict[str, Any]:
    kernels = np.nan_to_num(layer.kernels)
    strength = (kernels.astype(np.float64) ** 2).sum(axis=(1, 2, 3))
    strongest = np.argsort(-strength, kind="stable")[:MAX_KERNELS]
    limit = float(np.abs(kernels[strongest]).max())
    strips = _fit_strips([_kernel_strip(kernels[strongest, number], limit) for number in range(kernels.shape[1])])
    shares = _shares(kernels)
    before: list[float | None] = [None] * len(shares) if layer.start is None else list(_shares(layer.start))
    largest = max([*shares, *(value for value in before if value is not None)])
    rows = []
    for name, strip, share, start in zip(layer.channels, strips, shares, before, strict=True):
        words = f"{name}: {percent(share)}" + ("" if start is None else f"\nbefore training: {percent(start)}")
        rows += [
            {
                "name": name,
                "strip": strip,
                "share": percent(share),
                "bar": Markup(bar_strip(share, largest, start, words)),
            }
        ]
    even = max(shares) < EVEN / len(shares)
    return {
        "network": layer.network,
        "rows": rows,
        "count": len(kernels),
        "shown": len(strongest),
        "leans": "" if even else layer.channels[int(np.argmax(shares))],
        "began": layer.start is not None,
        "stayed": all(
            start is not None and abs(share - start) < STAYED for share, start in zip(shares, before, strict=True)
        ),
    }


def _shares(kernels: NDArray[np.float32]) -> list[float]:
    weight = (np.nan_to_num(kernels).astype(np.float64) ** 2).sum(axis=(0, 2, 3))
    return [float(value) for value in weight / max(float(weight.sum()), 1e-30)]


def _kernel_strip(kernels: NDArray[np.float32], limit: float) -> NDArray[np.uint8]:
    """Kernels side by side with transparent gaps, shape (height, n * (width + 1) - 1, 4)."""
    count, height, width = kernels.shape
    strip = np.zeros((height, count, width + 1, 4), np.uint8)
    strip[:, :, :width, :3] = signed_colors(kernels, limit).transpose(1, 0, 2, 3)
    strip[:, :, :width, 3] = 255
    return strip.reshape(height, count * (width + 1), 4)[:, :-1]


def _fit_strips(strips: Sequence[NDArray[np.uint8]]) -> list[Picture]:
    return fit_pictures(strips, FILTER_BYTES, max((strip.shape[1] for strip in strips), default=1))


def _nearest_values(pictures: PictureData, channels: Sequence[str] | None) -> dict[str, list[tuple[Any, Picture]]]:
    every = [image for images in pictures.nearest_images.values() for image in images]
    drawn = iter(draw_pictures([image.pixels for image in every], channels, NEAREST_BYTES))
    return {name: [(image, next(drawn)) for image in images] for name, images in pictures.nearest_images.items()}
