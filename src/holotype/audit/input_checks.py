"""Input checks: whether an image has the depth, the channels and the intensities of the training images.

`run`, `predict`, `serve`, the Python API and the example beside an exported graph all make these checks; the example
holds the source of the functions, so that it says the same in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

__all__ = [
    "channel_subject",
    "describe_training",
    "form_mismatch",
    "input_warnings",
    "mean_std_warnings",
    "value_warnings",
]

OUTSIDE = 0.001  # of the training images lie below what is usual, and as many above
MEAN_AND_STD = ("mean", "deviation")


def describe_training(frame: pl.DataFrame) -> dict[str, Any]:
    """What the training images are like, as plain values for JSON.

    Args:
        frame: Rows of `ImageStatistics.frame`; unreadable ones are passed over.

    Returns:
        `images` (their number), `depths`, `channels` (the numbers of channels), `sides` (least and largest longer side
        in pixels), `missing` (largest share of pixels without data), and `ranges`: the usual least and largest `mean`,
        `deviation` and pixel (`value`) of each channel. Nothing of what is not known.
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
    """Why an image cannot be predicted at all: it has other channels, or its values are of another depth.

    Args:
        training: From `describe_training`.
        depth: NumPy's name of the type of its pixels.
        channels: How many channels it has.
    """
    usual = training["channels"]
    if usual and channels not in usual:
        noun = "channel" if channels == 1 else "channels"
        return f"it has {channels} {noun}, and the training images have {usual[0]}"
    if training["depths"] and depth not in training["depths"]:
        usual = " or ".join(training["depths"])
        return (
            f"its pixels are {depth}, and those of the training images {usual}, so that its values mean something else"
        )
    return None


def input_warnings(
    training: Mapping[str, Any], facts: Mapping[str, Any], channels: Sequence[str]
) -> list[tuple[str, str | None, float | None, float | None, float | None, str]]:
    """In which respects an image is unlike the training images.

    A mean counts where it lies outside of the training images' by more than half of their range (more where they are
    fewer than fifty), a deviation above by more than their range, and below where it is smaller than their least by
    more than that is than their largest; a pixel by more than twice of their range, a size where it is more than
    doubled or halved.

    Args:
        training: From `describe_training`.
        facts: What was measured of the image: `mean`, `deviation`, `min`, `max`, `lowest`, `highest` and `missing`,
            one a channel each, `height` and `width`. Nothing is said of what is not known.
        channels: The channels' names; none where they have none.

    Returns:
        What, the channel, the value, the usual least and largest, and all of it as a sentence.
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
    """The name of a channel, and the subject of a sentence about it.

    Args:
        number: The channel's number, from 0.
        count: How many channels there are.
        channels: The channels' names; none where they have none.

    Returns:
        No name and `it` where the only channel has no name.
    """
    name = channels[number] if channels else str(number + 1) if count > 1 else None
    return name, "it" if name is None else f"channel {name}"


def mean_std_warnings(training: Mapping[str, Any], facts: Mapping[str, Any], channels: Sequence[str]) -> list[Any]:
    """Channels whose mean or deviation is unlike the training images'.

    Args:
        training: From `describe_training`.
        facts: As in `input_warnings`.
        channels: The channels' names; none where they have none.
    """
    warnings = []
    words = {"mean": ("darker", "brighter", "mean"), "deviation": ("of less contrast", "of more contrast", "deviation")}
    for name, (less, more, noun) in words.items():
        limits = training["ranges"].get(name)
        if limits is None or facts.get(name) is None:
            continue
        few = max(1.0, float(np.log(50) / np.log(max(2, training["images"]))))  # the range of few images is short
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
    """Channels with values far beyond those of the training images, or of the image's own other pixels.

    Args:
        training: From `describe_training`.
        facts: As in `input_warnings`.
        channels: The channels' names; none where they have none.
    """
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
