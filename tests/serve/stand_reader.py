"""What reads images for the stand-in of a run: their mean, and whatever a file's name asks for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from holotype.core.errors import DataError
from holotype.data import read_image
from holotype.serve import DecodedImage, Reader

TRICKS = {241: "hangs", 242: "ends its process", 244: "takes memory", 245: "raises", 246: "keeps memory"}
kept: list[np.ndarray] = []


def make_reader() -> Reader:
    Image.init()
    return read


def read(files: Sequence[Path], most: int, picture: bool) -> DecodedImage:
    pixels = read_image(files, most)
    if len(pixels) != 1:
        raise DataError(f"the image has {len(pixels)} channels")
    mean = float(pixels.mean())
    trick = TRICKS.get(int(mean), "")
    if trick == "hangs":
        time.sleep(600)
    if trick == "ends its process":
        os.kill(os.getpid(), signal.SIGSEGV)
    if trick == "takes memory":
        np.ones(10**10)
    if trick == "raises":
        raise KeyError("no such thing")
    if trick == "keeps memory":
        kept.append(np.ones(80_000_000))
    return DecodedImage(pixels.dtype.name, pixels.shape, pixels.dtype.name, mean)


def refuse_to_begin() -> Reader:
    raise OSError("nothing reads here")
