"""Input checks: compare an image's depth, channels and intensities with the training images.

`run`, `predict`, `serve`, the Python API and the example beside an exported graph make these checks. The example
holds the source of the functions, so that its messages are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

OUTSIDE = 0.001  # share of training images below the usual range, and above it
MEAN_AND_STD = ("mean", "deviation")


def describe_training(frame: pl.DataFrame) -> dict[str, Any]:
    """Summary of the training images as plain values for JSON.

    `frame`: rows of `ImageStatistics.frame`; unreadable ones are ignored. Returns `images` (their number), `depths`,
    `channels` (numbers of channels), `sides` (smallest and largest longer side in pixels), `missing` (largest share of
    no-data pixels), and `ranges`: the usual minimum and maximum of `mean`, `deviation` and pixel (`value`) of each
    channel. Unknown facts are left out.
    """
    readable = frame.filter(pl.col("error").is_null() & pl.col("channels").is_not_null()) if frame.width else frame
    facts: dict[str, Any] = {"images": readable.height, "depths": [], "channels": [], "ranges": {}}
    if not readable.height:
        return facts
    common = readable["channels"].mode(maintain_order=True)[0]
    readable = readable.filter(pl.col("channels") == common)
    facts |= {"depths": sorted(readable["depth"].unique().to_list()), "channels": [int(common)]}
    sides = readable.select(pl.max_horizontal("height", "width")).to_series()
    facts["sides"] = [int(sides.min()), int(sides.max())]  # type: ignore[arg-type]
    if "missing" in readable.columns:
        facts["missing"] = float(readable["missing"].list.max().max() or 0)  # type: ignore[arg-type]
    for name in MEAN_AND_STD:
        values = np.array(readable[name].to_list(), np.float64)
        facts["ranges"][name] = [
            np.quantile(values, share, axis=0, method=method).tolist()  # type: ignore[call-overload]
            for share, method in ((OUTSIDE, "lower"), (1 - OUTSIDE, "higher"))
        ]
    low, high = (np.array(readable[name].to_list(), np.float64) for name in ("min", "max"))
    facts["ranges"]["value"] = [low.min(axis=0).tolist(), high.max(axis=0).tolist()]
    return facts


def form_mismatch(training: Mapping[str, Any], depth: str, channels: int) -> str | None:
    """Reason why an image cannot be predicted: its channels or its pixel type differ from training. None if it can."""
    usual = training["channels"]
    if usual and channels not in usual:
        noun = "channel" if channels == 1 else "channels"
        return f"it has {channels} {noun}, but the training images have {usual[0]}"
    if training["depths"] and depth not in training["depths"]:
        usual = " or ".join(training["depths"])
        return (
            f"its pixels are {depth}, but those of the training images are {usual}, so its values mean something else"
        )
    return None


def input_warnings(
    training: Mapping[str, Any], facts: Mapping[str, Any], channels: Sequence[str]
) -> list[tuple[str, str | None, float | None, float | None, float | None, str]]:
    """List the respects in which an image is unlike the training images.

    A mean counts if it lies outside the training range by more than half of that range (more for fewer than fifty
    training images); a deviation if it is above by more than the range, or below the minimum by a larger ratio than the
    minimum is below the maximum; a pixel value if it is outside by more than twice the range; a size if it is more than
    doubled or halved.

    `facts`: `mean`, `deviation`, `min`, `max`, `lowest`, `highest` and `missing` of the image, one a channel each,
    `height` and `width`. Facts that are left out are not checked. Returns kind, channel, value, usual minimum and
    maximum, and the warning.
    """
    warnings = [*mean_std_warnings(training, facts, channels), *value_warnings(training, facts, channels)]
    missing = max(facts.get("missing") or [0])
    if missing > training.get("missing", 1):
        text = f"{missing:.2%} of its pixels hold no data, of the training images at most {training['missing']:.2%}"
        warnings.append(("missing", None, float(missing), 0.0, training["missing"], text))
    if facts.get("height") and training.get("sides"):
        (low, high), side = training["sides"], max(facts["height"], facts["width"])
        if not low / 2 <= side <= high * 2:
            usual = f"{low}" if low == high else f"{low} to {high}"
            text = f"its longer side has {side} pixels, that of the training images {usual}"
            warnings.append(("size", None, float(side), float(low), float(high), text))
    return warnings


def channel_subject(number: int, count: int, channels: Sequence[str]) -> tuple[str | None, str]:
    """Name of a channel, and the subject of a sentence about it (None and `it` for a single channel without a name)."""
    name = channels[number] if channels else str(number + 1) if count > 1 else None
    return name, "it" if name is None else f"channel {name}"


def mean_std_warnings(training: Mapping[str, Any], facts: Mapping[str, Any], channels: Sequence[str]) -> list[Any]:
    """Warnings about channels whose mean or standard deviation is unlike the training images'."""
    warnings = []
    words = {"mean": ("darker", "brighter", "mean"), "deviation": ("of less contrast", "of more contrast", "deviation")}
    for name, (less, more, noun) in words.items():
        limits = training["ranges"].get(name)
        if limits is None or facts.get(name) is None:
            continue
        few = max(1.0, float(np.log(50) / np.log(max(2, training["images"]))))  # few images underestimate the range
        for number, (low, high) in enumerate(zip(*limits, strict=True)):
            value, room = float(facts[name][number]), few * (high - low) * (0.5 if name == "mean" else 1)
            least = low * (low / high) ** few if name == "deviation" and low > 0 else low - room
            if least <= value <= high + room:
                continue
            channel, subject = channel_subject(number, len(limits[0]), channels)
            text = (
                f"{subject} is {more if value > high else less} than the training images: {noun} {value:.4g}, usually "
            )
            warnings.append((name, channel, value, low, high, text + f"{low:.4g} to {high:.4g}"))
    return warnings


def value_warnings(training: Mapping[str, Any], facts: Mapping[str, Any], channels: Sequence[str]) -> list[Any]:
    """Warnings about values far beyond those of the training images, or of the image's other pixels."""
    warnings = []
    limits = training["ranges"].get("value") if facts.get("max") is not None else None
    ranges = list(zip(*limits, strict=True)) if limits else []
    for number, (low, high) in enumerate(ranges):
        channel, subject = channel_subject(number, len(ranges), channels)
        minimum, maximum, room = float(facts["min"][number]), float(facts["max"][number]), (high - low) * 2
        if minimum < low - room or maximum > high + room:
            text = (
                f"{subject} has values from {minimum:.4g} to {maximum:.4g}, the training images from {low:.4g} to "
                f"{high:.4g}"
            )
            warnings.append(("range", channel, maximum if maximum > high + room else minimum, low, high, text))
    extremes = [facts.get(name) or () for name in ("lowest", "min", "max", "highest")]
    for number, (lowest, low, high, highest) in enumerate(zip(*extremes, strict=False)):
        if lowest < low or highest > high:
            channel, subject = channel_subject(number, len(extremes[1]), channels)
            pixels = "single pixels" if channel is None else f"single pixels of {subject}"
            reach = f"reach from {lowest:.4g} to {highest:.4g}, all others from {low:.4g} to {high:.4g}"
            text = f"{pixels} {reach}; they are replaced by their neighbors"
            warnings.append(("range", channel, highest if highest > high else lowest, low, high, text))
    return warnings
