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
from holotype.report.pictured import ChannelView, Explained, FirstLayer, PictureContents
from holotype.report.words import percent

__all__ = ["pictured"]

EXPLAINED_BYTES, VIEW_BYTES, UNCERTAIN_BYTES, KIN_BYTES = 2_000_000, 1_300_000, 1_000_000, 700_000
FILTER_BYTES, KERNELS_SHOWN = 200_000, 32


def pictured(contents: ReportContents) -> dict[str, Any]:
    """Heat maps, channels, filters, the least certain, what lies nearest to mistakes, and the map of embeddings.

    Args:
        contents: What the report is made of.
    """
    own, channels = contents.pictures or PictureContents(), contents.channels
    uncertain = draw_pictures([one.pixels for one in own.uncertain], channels, UNCERTAIN_BYTES)
    return {
        "explained": _explained(own.explained, channels),
        "unexplained": own.unexplained,
        "views": _views(own.views, channels),
        "filters": None if own.filters is None else _filters(own.filters),
        "uncertain": list(zip(own.uncertain, uncertain, strict=True)),
        "kin": _kin(own, channels),
        "kin_of": own.kin_of,
        "map": landscape(own.map, channels),
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


def _views(views: Sequence[ChannelView], channels: Sequence[str] | None) -> dict[str, Any] | None:
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
    weight = (kernels.astype(np.float64) ** 2).sum(axis=(2, 3))  # (kernels, channels)
    shown = np.argsort(-weight.sum(axis=1), kind="stable")[:KERNELS_SHOWN]
    most = float(np.abs(kernels[shown]).max())
    strips = _fit_strips([_strip(kernels[shown, number], most) for number in range(kernels.shape[1])])
    shares = weight.sum(axis=0) / max(float(weight.sum()), 1e-30)
    rows = [
        {"name": name, "strip": strip, "share": percent(float(share)),
         "bar": Markup(bar_strip(float(share), float(shares.max()) or 1.0, None, f"{name}: {percent(float(share))}"))}
        for name, strip, share in zip(layer.channels, strips, shares, strict=True)
    ]  # fmt: skip
    even = float(shares.max()) < 1.25 / len(shares)
    leans = "" if len(shares) < 2 or even else layer.channels[int(shares.argmax())]
    return {
        "network": layer.network, "rows": rows, "leans": leans, "count": len(kernels), "shown": len(shown),
        "side": kernels.shape[2],
    }  # fmt: skip


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
