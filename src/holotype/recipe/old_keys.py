"""Old keys and values of recipes, which are refused with their present names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holotype.core.errors import RecipeError, join_names

_PHASE = {
    "draws": "augmentation_draws",
    "warm_up": "warmup_epochs",
    "logit_adjust": "logit_adjustment",
    "stop_after": "early_stopping",
}
_EARLY_STOPPING = {"epochs": "patience", "on": "metric", "least": "min_delta"}
_OPTIMIZER = {"carry": "carry_state"}

OLD_KEYS: dict[str, dict[str, str]] = {
    "": {
        "members": "models",
        "calibrate": "calibration",
        "decide": "decision",
        "submit": "submission",
        "final": "final_model",
    },
    "data": {"pack": "cache"},
    "audit": {"on_leak": "duplicates"},
    "split": {"by": "keep_together", "use": "folds_to_train", "discriminator": "adversarial_model"},
    "models": {
        "keep": "checkpoints",
        "specialise": "specialists",
        "pseudo": "pseudo_labels",
        "neighbours": "neighbors",
    },
    "models.input": {"normalise": "normalize"},
    "models.input.tile": {"side": "size", "training": "sampling"},
    "models.head": {"sampled": "classes_per_step", "levels": "taxonomy"},
    "models.head.margin": {"centres": "subcenters"},
    "models.augment": {"warp": "elastic", "erase": "random_erasing"},
    "models.augment.crop": {"from": "image_size"},
    "models.augment.mix": {"share": "probability"},
    "models.phases": _PHASE,
    "models.phases.early_stopping": _EARLY_STOPPING,
    "models.phases.optimizer": _OPTIMIZER,
    "models.specialists": {"least": "min_samples"},
    "models.specialists.phases": _PHASE,
    "models.specialists.phases.early_stopping": _EARLY_STOPPING,
    "models.specialists.phases.optimizer": _OPTIMIZER,
    "models.checkpoints": {"merge": "average", "by": "metric", "on": "rows"},
    "models.pseudo_labels": {"ramp": "ramp_epochs", "rows": "roles"},
    "models.neighbors": {"take_over": "override_similarity"},
    "models.predict": {"views": "tta", "pool": "pooling"},
    "models.predict.tta": {"as_trained": "train_augmentation", "plain": "identity", "from": "image_size"},
    "ensemble": {"even": "shrink_to_equal"},
    "calibration": {"sets": "prediction_sets"},
    "decision": {
        "one_class_per": "unique_class_per",
        "sets": "class_sets",
        "like": "class_frequencies_from",
        "most": "max_labels",
    },
}
"""By present path of a section, without list indices: old keys and their present names."""

OLD_VALUES: dict[str, dict[str, str]] = {
    "models.augment.mix": {"pairing": "sample-pairing"},
    "models.augment.mix.kind": {"pairing": "sample-pairing"},
    "models.head.taxonomy.kind": {"sums": "marginal", "heads": "separate"},
    "models.checkpoints.rows": {"fold": "scored-fold"},
}
"""By present path of a key: old values and their present names."""


def require_current_names(content: Any, prefix: str = "") -> None:
    """Refuse old keys and values.

    `content`: a recipe as plain values; a key of digits is a list index, as in `--set`.
    """
    old_names = list(_list_old_names(content, "", ""))
    if not old_names:
        return
    address, old, new = old_names[0]
    others = join_names(f"{address} ({old!r} to {new!r})" for address, old, new in old_names[1:])
    raise RecipeError(
        f"`{old}` was renamed to `{new}`", field=f"{prefix}{address}", remedy=f"rename also {others}" if others else ""
    )


def _list_old_names(content: Any, path: str, written: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(content, list):
        content = {str(number): entry for number, entry in enumerate(content)}
    if not isinstance(content, dict):
        new_value = OLD_VALUES.get(path, {}).get(content) if isinstance(content, str) else None
        if new_value is not None:
            yield written, content, new_value
        return
    for key, value in content.items():
        address = f"{written}.{key}" if written else str(key)
        new_key = OLD_KEYS.get(path, {}).get(key)
        if new_key is not None:
            yield address, key, new_key
        name = str(new_key or key)
        is_index = name.isdecimal()
        yield from _list_old_names(value, path if is_index else f"{path}.{name}" if path else name, address)
