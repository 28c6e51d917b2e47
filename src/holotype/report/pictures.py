"""Pictures beside the galleries → what their part of the page needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from holotype.report.charts import bar_strip
from holotype.report.contents import ReportContents
from holotype.report.gallery import (
    Picture,
    bounded,
    channel_colours,
    composite,
    draw_pictures,
    fit_pictures,
    intensity_range,
    of_one_channel,
)
from holotype.report.landscape import landscape
from holotype.report.overlay import laid_over, signed_colours
from holotype.report.pictured import Explained, FirstLayer, PictureContents, Specimen
from holotype.report.words import percent

__all__ = ["pictured"]

EXPLAINED_BYTES, VIEW_BYTES, UNCERTAIN_BYTES, KIN_BYTES = 2_000_000, 1_300_000, 1_000_000, 700_000
FILTER_BYTES, KERNELS_SHOWN = 200_000, 24
EVEN, STAYED = 1.25, 0.03  # times an even share; of all weights


def pictured(contents: ReportContents) -> dict[str, Any]:
    """Heat maps, channels, filters, the least certain, what lies nearest to mistakes, and the map of embeddings.

    Args:
        contents: What the report is made of.
    """
    own, channels = contents.pictures or PictureContents(), contents.channels
    uncertain = draw_pictures([one.pixels for one in own.uncertain], channels, UNCERTAIN_BYTES)
    views, drawn = _views(own.views, channels), landscape(own.map, channels)
    return {
        "moves": views is not None or drawn is not None,
        "explained": _explained(own.explained, channels),
        "unexplained": own.unexplained,
        "views": views,
        "filters": None if own.filters is None else _filters(own.filters),
        "uncertain": list(zip(own.uncertain, uncertain, strict=True)),
        "kin": _kin(own, channels),
        "kin_of": own.kin_of,
        "map": drawn,
    }


def _explained(samples: Sequence[Explained], channels: Sequence[str] | None) -> list[dict[str, Any]]:
    """Each sample's picture, then one for each of its maps."""
    rasters: list[NDArray[np.uint8]] = []
    for one in samples:
        rasters.append(composite(bounded(one.pixels), channels))
        rasters += [laid_over(one.pixels, heat.map, channels) for heat in one.heats]
    drawn = iter(fit_pictures(rasters, EXPLAINED_BYTES))
    return [
        {
            "sample": one,
            "picture": next(drawn),
            "heats": [(heat, next(drawn), heat.map.max() > 0) for heat in one.heats],
        }
        for one in samples
    ]


def _views(views: Sequence[Specimen], channels: Sequence[str] | None) -> dict[str, Any] | None:
    """Each sample as a composite and channel by channel, with the intensities that its colours span."""
    if not views or channels is None:
        return None
    colours = channel_colours(len(channels), channels)
    rasters: list[NDArray[np.uint8]] = []
    for one in views:
        rasters.append(composite(bounded(one.pixels), channels))
        rasters += [of_one_channel(plane, own) for plane, own in zip(bounded(one.pixels), colours, strict=True)]
    drawn = iter(fit_pictures(rasters, VIEW_BYTES))
    rows = []
    for one in views:
        whole = next(drawn)
        planes = [
            {"name": name, "picture": next(drawn), "range": _units(plane)}
            for name, plane in zip(channels, bounded(one.pixels), strict=True)
        ]
        rows.append({"sample": one, "picture": whole, "planes": planes})
    choices = [
        {"name": name, "colour": Markup("rgb({} {} {})".format(*(round(255 * part / max(own)) for part in own)))}
        for name, own in zip(channels, colours, strict=True)
    ]
    depth = np.dtype(views[0].pixels.dtype)
    return {"rows": rows, "choices": choices, "depth": f"{8 * depth.itemsize}-bit {_kind(depth)}"}


def _kind(depth: np.dtype[Any]) -> str:
    return "integers" if depth.kind in "ui" else "numbers"


def _units(plane: NDArray[Any]) -> str:
    """From what is drawn as black to what is drawn in the full colour."""
    ends = intensity_range(np.nan_to_num(plane.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0))
    whole = plane.dtype.kind in "ui"
    return " to ".join((f"{end:,.0f}" if whole else f"{end:.3g}").replace("-", "−") for end in ends)


def _filters(layer: FirstLayer) -> dict[str, Any]:
    """A row of kernels a channel, the largest first, and each channel's share of the squared weights."""
    kernels = np.nan_to_num(layer.kernels)
    strength = (kernels.astype(np.float64) ** 2).sum(axis=(1, 2, 3))
    shown = np.argsort(-strength, kind="stable")[:KERNELS_SHOWN]
    most = float(np.abs(kernels[shown]).max())
    strips = _fit_strips([_strip(kernels[shown, number], most) for number in range(kernels.shape[1])])
    shares = _shares(kernels)
    before: list[float | None] = [None] * len(shares) if layer.start is None else list(_shares(layer.start))
    largest = max([*shares, *(one for one in before if one is not None)])
    rows = []
    for name, strip, share, start in zip(layer.channels, strips, shares, before, strict=True):
        words = f"{name}: {percent(share)}" + ("" if start is None else f"\nbefore training: {percent(start)}")
        rows += [{"name": name, "strip": strip, "share": percent(share),
                  "bar": Markup(bar_strip(share, largest, start, words))}]  # fmt: skip
    even = max(shares) < EVEN / len(shares)
    return {
        "network": layer.network, "rows": rows, "count": len(kernels), "shown": len(shown),
        "leans": "" if even else layer.channels[int(np.argmax(shares))],
        "began": layer.start is not None,
        "stayed": all(start is not None and abs(share - start) < STAYED
                      for share, start in zip(shares, before, strict=True)),
    }  # fmt: skip


def _shares(kernels: NDArray[np.float32]) -> list[float]:
    """Each channel's share of the squared weights."""
    weight = (np.nan_to_num(kernels).astype(np.float64) ** 2).sum(axis=(0, 2, 3))
    return [float(one) for one in weight / max(float(weight.sum()), 1e-30)]


def _strip(kernels: NDArray[np.float32], most: float) -> NDArray[np.uint8]:
    """Kernels side by side with a line of nothing between them, shape (height, n * (width + 1) - 1, 4)."""
    count, height, width = kernels.shape
    strip = np.zeros((height, count, width + 1, 4), np.uint8)
    strip[:, :, :width, :3] = signed_colours(kernels, most).transpose(1, 0, 2, 3)
    strip[:, :, :width, 3] = 255
    return strip.reshape(height, count * (width + 1), 4)[:, :-1]


def _fit_strips(strips: Sequence[NDArray[np.uint8]]) -> list[Picture]:
    """Strips of kernels pixel for pixel; the page makes them larger."""
    return fit_pictures(strips, FILTER_BYTES, max((strip.shape[1] for strip in strips), default=1))


def _kin(own: PictureContents, channels: Sequence[str] | None) -> dict[str, list[tuple[Any, Picture]]]:
    every = [one for several in own.kin.values() for one in several]
    drawn = iter(draw_pictures([one.pixels for one in every], channels, KIN_BYTES))
    return {name: [(one, next(drawn)) for one in several] for name, several in own.kin.items()}
