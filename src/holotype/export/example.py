"""A standard example that is written beside a graph: from a file to labels in forty lines, without this library."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_example"]

LOADING = {
    "onnx": ("onnxruntime", 'onnxruntime.InferenceSession(HERE / CARD["file"])',
             'MODEL.run(None, {"pixels": pixels})'),
    "torch": ("torch", 'torch.export.load(HERE / CARD["file"]).module()',
              "[part.detach().numpy() for part in MODEL(torch.from_numpy(pixels))]"),
}  # fmt: skip
TEXT = '''\
"""Labels of images, with @library@ and numpy alone: python example.py IMAGE.npy ... (channels, height, width)."""
import json, sys
from pathlib import Path
import numpy as np, @library@

HERE = Path(__file__).parent
CARD = json.loads((HERE / "card.json").read_text(encoding="utf-8"))
FORM, RULE, MODEL = CARD["input"], CARD["decide"], @model@
_, CHANNELS, HEIGHT, WIDTH = FORM["shape"]

def shares(old, new):  # what each old pixel gives to each new one: a triangle as wide as what becomes one pixel
    near = np.abs(np.arange(old) + 0.5 - ((np.arange(new) + 0.5) * old / new)[:, None]) / max(old / new, 1)
    return np.maximum(1 - near, 0) / np.maximum(1 - near, 0).sum(axis=1, keepdims=True)

def stored(image):  # as the run stored the images that the networks were trained on
    high, wide = image.shape[1:]
    scale = min(FORM["scale"], HEIGHT / high, WIDTH / wide)
    new = [max(1, round(side * scale)) for side in (high, wide)] if FORM["fitting"] == "fit" else [HEIGHT, WIDTH]
    if new != [high, wide]:
        smaller = shares(high, new[0]) @ image.astype(float) @ shares(wide, new[1]).T
        image = smaller.round() if image.dtype.kind == "u" else smaller
    room = [(0, 0), *(((side - own) // 2, (side - own + 1) // 2) for side, own in zip((HEIGHT, WIDTH), new))]
    return np.pad(image, room, mode="edge").astype(np.float32)

def decided(chance):
    if RULE["kind"] == "top":
        return sorted(np.argsort(-np.log(chance + 1e-300) - RULE["offsets"], kind="stable")[: RULE["k"]])
    given = next((chance > row for row in RULE["rounds"] if (chance > row).any()), np.zeros(len(chance), bool))
    if not given.any() and RULE["fallback"] == "argmax":
        given[chance.argmax()] = True
    return sorted(set(np.flatnonzero(given)) & set(np.argsort(-np.where(given, chance, -1))[: RULE["most"]]))

for path in sys.argv[1:]:
    image = np.load(path, allow_pickle=False)
    pixels = stored(image if image.ndim == 3 else image[None])[None]
    logits, probabilities = @answer@
    chance = probabilities[0].astype(float)
    print(path, *(f"{CARD['classes'][place]} ({chance[place]:.3f})" for place in decided(chance)), sep="\\t")
'''


def write_example(folder: Path, form: str) -> Path:
    """Write `example.py`.

    Args:
        folder: Where the graph and its card lie.
        form: A name of `FORMATS`.
    """
    path = folder / "example.py"
    text = TEXT
    for name, words in zip(("library", "model", "answer"), LOADING[form], strict=True):
        text = text.replace(f"@{name}@", words)
    path.write_text(text, encoding="utf-8")
    return path
