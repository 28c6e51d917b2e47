"""A standard example that is written beside a graph: from a file to labels without this library.

It makes the checks of a run by the source of the very functions that a run makes them with.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from holotype.audit import input_checks
from holotype.data import validity

__all__ = ["write_example"]

LOADING = {
    "onnx": ("onnxruntime", 'onnxruntime.InferenceSession(HERE / CARD["file"])', 'MODEL.run(None, {"pixels": pixels})'),
    "torch": (
        "torch",
        'torch.export.load(HERE / CARD["file"]).module()',
        "[part.detach().numpy() for part in MODEL(torch.from_numpy(pixels))]",
    ),
}
TEXT = '''\
"""Labels of images, with @library@ and numpy alone: python example.py IMAGE.npy ... (channels, height, width)."""
from __future__ import annotations
import json, sys
from pathlib import Path
import numpy as np, @library@

HERE = Path(__file__).parent
CARD = json.loads((HERE / "card.json").read_text(encoding="utf-8"))
FORM, RULE, TRAINING, MODEL = CARD["input"], CARD["rule"], CARD["training"], @model@
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
failed = False
for path in sys.argv[1:]:
    image = np.load(path, allow_pickle=False)
    image = image if image.ndim == 3 else image[None]
    refusal = form_mismatch(TRAINING, image.dtype.name, len(image))
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
    """Write `example.py`.

    Args:
        folder: Where the graph and its card lie.
        form: A name of `FORMATS`.
    """
    path = folder / "example.py"
    text = TEXT
    for name, words in zip(("library", "model", "answer"), LOADING[form], strict=True):
        text = text.replace(f"@{name}@", words)
    checks = "\n\n".join(inspect.getsource(function).rstrip() for function in CHECKS)
    text = text.replace("# the checks of the run\n", f"# the checks of the run\n\n{checks}\n\n\n")
    path.write_text(text, encoding="utf-8")
    return path
