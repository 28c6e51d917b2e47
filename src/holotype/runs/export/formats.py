"""Graph formats ONNX and torch.export: write and run."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from holotype.core.errors import HolotypeError, InputError, join_names

FORMATS = {"onnx": "model.onnx", "torch": "model.pt2"}
EXTRA = ("onnx", "onnxruntime", "onnxscript")
OPSET = 20
MAX_INLINE_BYTES = 1_900_000_000  # protobuf cannot hold 2 GB
NAMES = ("logits", "probabilities")

Session = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]


def require_extra(form: str) -> None:
    """Refuse an unknown format, and a format whose libraries are not installed."""
    if form not in FORMATS:
        raise InputError("there is no such format", field="--format", value=form, allowed=FORMATS)
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None] if form == "onnx" else []
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(f"{join_names(missing)} {verb} not installed", remedy="pip install 'holotype[export]'")


def write_graph(graph: nn.Module, shape: tuple[int, int, int], form: str, folder: Path, facts: dict[str, str]) -> Path:
    """Write a graph that maps pixels to logits and probabilities.

    `folder`: empty; weights above the limit of protobuf get a file of their own beside the graph.
    """
    path = folder / FORMATS[form]
    example = torch.zeros(2, *shape)
    try:
        with _silence_exporter(), torch.no_grad():
            batch = {0: torch.export.Dim("batch", min=1)}
            traced = torch.export.export(graph, (example,), dynamic_shapes=(batch,), strict=False)
            if form == "torch":
                torch.export.save(traced, path)
                return path
            program: Any = torch.onnx.export(
                traced,
                (),
                input_names=["pixels"],
                output_names=list(NAMES),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
                optimize=True,
            )
            program.model.metadata_props.clear()
            program.model.metadata_props.update(facts)
            size = sum(value.numel() * value.element_size() for value in graph.state_dict().values())
            program.save(path, external_data=size > MAX_INLINE_BYTES)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HolotypeError(
            f"the networks cannot be written as {form}: {reason}",
            remedy=f"try --format {'torch' if form == 'onnx' else 'onnx'}, or --model for one of several",
        ) from error
    return path


def load_session(path: Path, threads: int) -> Session:
    """Load a written graph as a function."""
    if path.suffix != ".onnx":
        program = torch.export.load(path).module()

        def run_program(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            with torch.inference_mode():
                answer: tuple[Tensor, Tensor] = program(torch.from_numpy(pixels))
            return answer[0].numpy(), answer[1].numpy()

        return run_program
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda pixels: tuple(session.run(list(NAMES), {"pixels": pixels}))


@contextmanager
def _silence_exporter() -> Iterator[None]:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
