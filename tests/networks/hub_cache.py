"""A drawn Hugging Face cache: repositories with small files, as `huggingface_hub` stores them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

COMMIT = "c" * 40
TIMM_NAME, TIMM_REPOSITORY = "resnet18.a1_in1k", "timm/resnet18.a1_in1k"
WEIGHTS = save({"conv1.weight": np.ones((2, 3), dtype=np.float32)})


def add_repository(
    cache: Path, repository: str, files: Mapping[str, str | bytes] | None = None, revision: str = "main"
) -> Path:
    """Store a repository with a weights file and others as blobs with links; returns the snapshot."""
    home = cache / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    snapshot.mkdir(parents=True, exist_ok=True)
    (home / "blobs").mkdir(exist_ok=True)
    for name, content in ({"model.safetensors": WEIGHTS} if files is None else files).items():
        blob = home / "blobs" / name
        blob.write_bytes(content.encode() if isinstance(content, str) else content)
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    (home / "refs").mkdir(exist_ok=True)
    (home / "refs" / revision).write_text(COMMIT)
    return snapshot
