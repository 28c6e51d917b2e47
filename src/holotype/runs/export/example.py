"""Example script beside an exported graph: from a file to labels without this library."""

from __future__ import annotations

import inspect
from pathlib import Path

from holotype.audit import input_checks
from holotype.data import validity

LOADING = {
    "onnx": ("onnxruntime", 'onnxruntime.InferenceSession(HERE / CARD["file"])', 'MODEL.run(None, {"pixels": pixels})'),
    "torch": (
        "torch",
        'torch.export.load(HERE / CARD["file"]).module()',
        "[part.detach().numpy() for part in MODEL(torch.from_numpy(pixels))]",
    ),
}
TEXT = '''\
"""Predict labels of images with @library@ and numpy alone: python example.py IMAGE.npy ...

An array has the shape (channels, height, width); Pillow and tifffile, if installed, read image files too.
"""
from __future__ import annotations
import json, sys
from pathlib import Path
import numpy as np, @library@

HERE = Path(__file__).parent
CARD = json.loads((HERE / "card.json").read_text(encoding="utf-8"))
FORM, RULE, TRAINING, MODEL = CARD["input"], CARD["rule"], CARD["training"], @model@
_, CHANNELS, HEIGHT, WIDTH = FORM["shape"]
ENCODED = "its stored values are not simply those of its channels"

def loaded(path):  # shape (channels, height, width); encoded image files are refused
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        image = np.load(path, allow_pickle=False)
        image = image[None] if image.ndim == 2 else image
    elif suffix in {".tif", ".tiff"}:
        import tifffile
        with tifffile.TiffFile(path) as file:
            page, axes, image = file.pages.first, file.series[0].axes, file.asarray()
            if len(file.series) > 1 or page.photometric not in {1, 2} or page.tags.valueof(274, 1) != 1:
                raise ValueError(ENCODED)
        if axes not in {"YX", "CYX", "SYX", "YXS"}:
            raise ValueError(f"its axes are {axes}")
        image = image[None] if axes == "YX" else np.moveaxis(image, -1, 0) if axes == "YXS" else image
    else:
        from PIL import Image, ImageOps
        with Image.open(path) as picture:
            stored = [part for tile in picture.tile for part in np.ravel(tile[3])]
            if picture.mode not in {"L", "RGB", "I;16"} or (picture.mode == "RGB" and "RGB;16B" in stored):
                raise ValueError(ENCODED)
            image = np.asarray(ImageOps.exif_transpose(picture))
        image = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    if image.ndim != 3 or not image.size or image.dtype.kind not in "uif":
        raise ValueError(f"it holds {image.dtype} of shape {image.shape}")
    return image

def shares(old, new):  # weight of each old pixel in each new one (triangle filter)
    near = np.abs(np.arange(old) + 0.5 - ((np.arange(new) + 0.5) * old / new)[:, None]) / max(old / new, 1)
    return np.maximum(1 - near, 0) / np.maximum(1 - near, 0).sum(axis=1, keepdims=True)

def stored(image):  # the cache format of the training images
    high, wide = image.shape[1:]
    scale = min(FORM["scale"], HEIGHT / high, WIDTH / wide)
    new = [max(1, round(side * scale)) for side in (high, wide)] if FORM["fitting"] == "fit" else [HEIGHT, WIDTH]
    if new != [high, wide]:
        smaller = shares(high, new[0]) @ image.astype(float) @ shares(wide, new[1]).T
        image = smaller.round() if image.dtype.kind == "u" else smaller
    room = [(0, 0), *(((side - length) // 2, (side - length + 1) // 2) for side, length in zip((HEIGHT, WIDTH), new))]
    return np.pad(image, room, mode="edge").astype(np.float32)

def predicted(chance):
    if RULE["kind"] == "top":
        return sorted(np.argsort(-np.log(chance + 1e-300) - RULE["offsets"], kind="stable")[: RULE["k"]])
    selected = next((chance > row for row in RULE["rounds"] if (chance > row).any()), np.zeros(len(chance), bool))
    if not selected.any() and RULE["fallback"] == "argmax":
        selected[chance.argmax()] = True
    likeliest = np.argsort(-np.where(selected, chance, -1))[: RULE["max_labels"]]
    return sorted(set(np.flatnonzero(selected)) & set(likeliest))

def measured(image, missing):
    facts, limited = {"height": image.shape[1], "width": image.shape[2]}, limit_isolated(image, missing)
    for number, plane in enumerate(image):
        data = plane.ravel() if missing is None else plane[~missing[number]]
        finite = plane[np.isfinite(plane)] if len(data) else np.zeros(1)
        low, high = isolated_limits(data) if len(data) else (0.0, 0.0)
        finite_values = limited[number].ravel() if missing is None else limited[number][~missing[number]]
        values = finite_values.astype(float) if len(data) else np.zeros(1)
        measures = {"mean": values.mean(), "deviation": values.std(), "min": low, "max": high,
                    "lowest": float(finite.min()), "highest": float(finite.max()),
                    "missing": 1 - len(data) / plane.size}
        for name, value in measures.items():
            facts.setdefault(name, []).append(value)
    return facts

# the checks of the run
TAKES = "; give a .npy array (channels, height, width) of the training images' depth"
TAKES += ", " + " or ".join(TRAINING["depths"]) if TRAINING["depths"] else ""
failed = False
for path in sys.argv[1:]:
    try:
        image = loaded(path)
        refusal = form_mismatch(TRAINING, image.dtype.name, len(image))
    except ImportError as error:
        refusal = f"Pillow and tifffile read image files, and {error.name or error} is missing" + TAKES
    except Exception as error:
        refusal = (str(error).splitlines() or ["it cannot be read"])[0].rstrip(".") + TAKES
    if refusal:
        failed = True
        print(f"{path}: {refusal}", file=sys.stderr)
        continue
    missing = missing_pixels(image)
    for *_, words in input_warnings(TRAINING, measured(image, missing), FORM["channels"] or ()):
        print(f"{path}: warning: {words}", file=sys.stderr)
    pixels = stored(fill_missing(limit_isolated(image, missing), missing, TRAINING["fill"]))[None]
    logits, probabilities = @answer@
    chance = probabilities[0].astype(float)
    print(path, *(f"{CARD['classes'][index]} ({chance[index]:.3f})" for index in predicted(chance)), sep="\\t")
sys.exit(2 if failed else 0)
'''
CHECKS = (
    validity.missing_pixels,
    validity.isolated_limits,
    validity.limit_isolated,
    validity.replace_isolated,
    validity.fill_missing,
    input_checks.form_mismatch,
    input_checks.input_warnings,
    input_checks.channel_subject,
    input_checks.mean_std_warnings,
    input_checks.value_warnings,
)


def write_example(folder: Path, form: str) -> Path:
    """Write `example.py`."""
    path = folder / "example.py"
    text = TEXT
    for name, words in zip(("library", "model", "answer"), LOADING[form], strict=True):
        text = text.replace(f"@{name}@", words)
    checks = "\n\n".join(inspect.getsource(function).rstrip() for function in CHECKS)
    text = text.replace("# the checks of the run\n", f"# the checks of the run\n\n{checks}\n\n\n")
    path.write_text(text, encoding="utf-8")
    return path
