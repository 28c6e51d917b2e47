"""Embedding tables: features of images by a network of a run, or by the pretrained backbone of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from holotype.audit import describe_training
from holotype.cache import RunLog, Steps, Store
from holotype.core.errors import InputError, join_names, pluralize
from holotype.core.progress import Progress
from holotype.core.runtime import Runtime
from holotype.core.table_files import require_table_suffix, write_table_parts
from holotype.data import measure_images
from holotype.pipeline.models import cache_format, resolve_model
from holotype.pipeline.out_of_distribution import TrainingRanges
from holotype.pipeline.prepare import prepare
from holotype.pipeline.runtime import make_runtime
from holotype.recipe.load import Recipe
from holotype.recipe.sections import ModelSpec
from holotype.runs.fitted_run import CHUNK_SIZE, open_run
from holotype.runs.new_dataset import NewImages, dataset_for, require_usable, unusable_images, usable_images
from holotype.runs.new_images import in_chunks, read_new_images
from holotype.runs.stored import open_network
from holotype.types import Floats, ImageTable

Images = Path | str | Sequence[Path | str]


@dataclass(frozen=True)
class Embedder:
    """Embedder of images by one network.

    Args:
        description: Model and network, in words.
        embed: Features of measured images, shape (n, width).
        group_column: Column whose images are measured as one, if the model normalizes by plate.
    """

    model: str
    description: str
    embed: Callable[[NewImages], Floats]
    read: Callable[[Images], ImageTable]
    ranges: TrainingRanges
    runtime: Runtime
    group_column: str | None

    def tables(self, images: Images, max_images: int = CHUNK_SIZE) -> Iterator[pl.DataFrame]:
        """Embed images in chunks: tables of `id`, `sample` and a column per feature.

        Raises:
            DataError: Images cannot be read or are unlike the training images.
        """
        table = self.read(images)
        done = 0
        for chunk in in_chunks(table, max_images, self.group_column):
            statistics = measure_images(chunk, self.runtime)
            require_usable(unusable_images(chunk, statistics, self.ranges), len(chunk))
            features = self.embed(usable_images(chunk, statistics, np.arange(len(chunk)), self.runtime))
            names = [f"feature_{number:04d}" for number in range(features.shape[1])]
            ids = chunk.frame.select(pl.col("id", "sample").cast(pl.String))
            yield pl.concat([ids, pl.DataFrame(np.asarray(features, np.float32), names)], how="horizontal")
            done += len(chunk)
            if len(table) > max_images:
                self.runtime.progress.info(f"{self.model}: {done:,} of {pluralize(len(table), 'image')} embedded")

    def write(self, images: Images, out: Path) -> int:
        """Embed images into a table file, which states model and network in the metadata of a Parquet file.

        Returns:
            Number of images.
        """
        require_table_suffix(out, "--out")
        out.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"holotype.model": self.model, "holotype.network": self.description}
        return write_table_parts(self.tables(images), out, metadata=metadata)


def open_run_embedder(
    folder: Path, model: str | None = None, fold: int | None = None, progress: Progress | None = None
) -> Embedder:
    """Open a network of a finished run as an embedder: features are the input of its last layer.

    Features of different folds mean different things, so that one network embeds all images.

    Args:
        model: Name of a model; the first that reads images by default.
        fold: Fold of the network; by default the first, or the network refitted on all rows.

    Raises:
        InputError: There is no such model or fold.
    """
    from holotype.prediction import embed_with_network
    from holotype.training import find_device

    run = open_run(folder)
    runtime = replace(run.runtime, progress=progress or run.runtime.progress)
    section = _select_model(run.recipe, model)
    networks = {path.name: path for path in run.folder.checkpoints(section.name)}
    name = next(iter(networks)) if fold is None else f"fold{fold}"
    if name not in networks:
        raise InputError("there is no such network", field="--fold", value=name, allowed=networks)
    checkpoint = open_network(networks[name], run.decision.classes)
    trained = "pooled features of the frozen backbone" if section.is_frozen else "input of the last layer"
    words = (
        "the network refitted on all rows" if name == "refit" else f"the network of fold {name.removeprefix('fold')}"
    )

    def embed(new: NewImages) -> Floats:
        dataset, rows = dataset_for(checkpoint.card, new), np.arange(len(new.images))
        return embed_with_network(checkpoint, dataset, rows, new.runtime, find_device(new.runtime))

    description = f"{section.name}, {words}: {trained}"
    return Embedder(
        section.name,
        description,
        embed,
        run.read_images,
        run.training_ranges,
        runtime,
        _plate_column(run.recipe, section),
    )


def open_recipe_embedder(
    recipe: Recipe, folder: Path, model: str | None = None, progress: Progress | None = None
) -> Embedder:
    """Open the pretrained backbone of a recipe as an embedder, without any training.

    The training images are measured, for the normalization of pixels.

    Args:
        folder: Folder of the recipe.
        model: As in `open_run_embedder`.

    Raises:
        InputError: There is no such model, or the data is wrong.
    """
    from holotype.networks import resolve_weights
    from holotype.prediction import embed_images
    from holotype.training import find_device

    section = _select_model(recipe, model)
    runtime = make_runtime(recipe, folder, progress=progress or Progress())
    runtime.store.mkdir(parents=True, exist_ok=True)
    data = prepare(
        recipe, Steps(Store(runtime.store), RunLog(runtime.store / "embed.jsonl"), runtime.progress), runtime
    )
    resolved = resolve_model(section, data.statistics)
    plan = cache_format(resolved, data.statistics)
    card = {
        "model": resolved.model_dump(mode="json"),
        "channels": plan.shape[1],
        "canvas": list(plan.shape[2:]),
        "normalization": data.statistics.normalization.as_facts(),
        "classes": ["none", "any"],
    }

    def embed(new: NewImages) -> Floats:
        dataset, rows = dataset_for(card, new), np.arange(len(new.images))
        return embed_images(resolved, dataset, rows, new.runtime, find_device(new.runtime))

    def read(images: Images) -> ImageTable:
        table, files = data.images, data.images.frame["files"]
        return read_new_images(images, recipe.data, table.classes, table.kind, runtime.progress, files)

    weights = resolve_weights(section.backbone, section.weights).description
    description = f"{section.name}: pooled features of the pretrained backbone {section.backbone} ({weights})"
    trained = data.statistics.frame.filter(data.images.frame["role"] != "test")
    ranges = TrainingRanges(data.images.kind, None, describe_training(trained))
    return Embedder(section.name, description, embed, read, ranges, runtime, _plate_column(recipe, section))


def open_embedder(
    source: Path | str, model: str | None = None, fold: int | None = None, progress: Progress | None = None
) -> Embedder:
    """Open a run folder or a recipe as an embedder of images.

    Args:
        source: Folder of a finished run, or a recipe.
        model: As in `open_run_embedder`.
        fold: As in `open_run_embedder`.

    Raises:
        InputError: There is no such file, model or fold.
    """
    from holotype.recipe.load import load_recipe, recipe_folder

    source = Path(source)
    if source.is_dir():
        return open_run_embedder(source, model, fold, progress)
    if fold is not None:
        raise InputError(
            "a recipe has no networks of folds yet", field="--fold", value=fold, remedy="give a run, or leave it out"
        )
    return open_recipe_embedder(load_recipe(source), recipe_folder(source), model, progress)


def embed(
    source: Path | str, images: Images, out: Path | str | None = None, model: str | None = None, fold: int | None = None
) -> pl.DataFrame | Path:
    """Embed images with one network of a run, or with the pretrained backbone of a recipe.

    Args:
        source: Folder of a finished run, or a recipe.
        images: Folders, files, or tables with the columns of the training table.
        out: A .parquet, .csv, .tsv or .xlsx file; None returns the table.
        model: Name of a model; the first that reads images by default.
        fold: Fold of the network; by default the first, or the network refitted on all rows.

    Returns:
        Columns `id`, `sample` and `feature_0000` and so on; or the path of the file.

    Raises:
        InputError: There is no such run, recipe, model, fold or image.
    """
    embedder = open_embedder(source, model, fold)
    if out is None:
        return pl.concat(list(embedder.tables(images)))
    embedder.write(images, Path(out))
    return Path(out)


def _select_model(recipe: Recipe, name: str | None) -> ModelSpec:
    available = {model.name: model for model in recipe.models if model.reads_images}
    if not available:
        names = join_names(model.name for model in recipe.models)
        raise InputError(f"no model embeds images: {names} have no network", field="models", remedy="add a network")
    if name is not None and name not in available:
        raise InputError(
            "there is no model of this name that embeds images", field="--model", value=name, allowed=available
        )
    return available[name or next(iter(available))]


def _plate_column(recipe: Recipe, model: ModelSpec) -> str | None:
    by_plate = model.input.normalize == "plate" and recipe.data.groups
    return f"group.{recipe.data.groups[0]}" if by_plate else None
