"""Recipes: read from YAML, changed by overrides, validated with messages that name the key."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce
from io import StringIO
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML

from holotype.core.errors import RecipeError, UnsupportedError, did_you_mean, truncate
from holotype.core.yaml_text import load_yaml
from holotype.recipe.cross_checks import normalize_class_rank, validate_sections
from holotype.recipe.old_keys import require_current_names
from holotype.recipe.paths import (
    AbsolutePaths,
    Paths,
    RelativePaths,
    resolve_data_paths,
    resolve_decision_paths,
    resolve_model_paths,
    resolve_run_paths,
    resolve_submission_paths,
)
from holotype.recipe.plugins import load_plugins, require_metric, require_parts
from holotype.recipe.sections import (
    AuditSpec,
    CalibrationSpecOrNone,
    DataSpec,
    DecisionSpec,
    EnsembleSpec,
    ModelSpec,
    ReportSpec,
    RunSpec,
    Section,
    SplitSpec,
    SubmissionSpec,
)

RecipeSource = Path | str | Mapping[str, Any]
"""A recipe's YAML file, or its content."""
MetricName = Literal[
    "macro_f1",
    "micro_f1",
    "accuracy",
    "balanced_accuracy",
    "map",
    "auroc",
    "mcc",
    "cohen_kappa",
    "quadratic_weighted_kappa",
]


class Recipe(Section):
    """Configuration of a run in one file. The shortest useful recipe is `data` alone."""

    name: str = Field(default="run", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the run; its folder is `runs/<name>` beside the recipe."""
    seed: int = Field(default=1, ge=0)
    """Seed of all random numbers."""
    metric: MetricName | str = "macro_f1"
    """Metric that every selection maximizes; or the name of one of a plugin."""
    run: RunSpec = RunSpec()
    data: DataSpec
    audit: AuditSpec = AuditSpec()
    split: SplitSpec = SplitSpec()
    models: list[ModelSpec] = Field(default=[ModelSpec()], min_length=1)
    ensemble: EnsembleSpec | None = None
    """By default `weighted` if there are out-of-fold scores to fit it to, else `mean`."""
    calibration: CalibrationSpecOrNone = None
    """Calibration: a section, or its method, `temperature`, `isotonic` or `beta`."""
    decision: DecisionSpec | None = None
    """By default `argmax` for multiclass and `per-class` for multilabel data."""
    final_model: Literal["folds", "refit"] = "folds"
    """Models that predict the test rows: those of the folds, or one more that is trained on all rows for as long."""
    submission: SubmissionSpec = SubmissionSpec()
    report: ReportSpec = ReportSpec()

    _relative: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def names_images_relatively(self) -> bool:
        """True if image files are named relative to the recipe's folder, not absolutely or by URIs."""
        patterns = self.data.images
        named = list(patterns.values()) if isinstance(patterns, dict) else [patterns or self.data.train]
        return all(name in self._relative for name in named)

    @model_validator(mode="after")
    def _sections_agree(self) -> Recipe:
        names = [name for model in self.models for name in model.names]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ValueError(f"models: two are named {duplicates[0]!r}; names must be unique")
        validate_sections(self.data, self.models, self.split, self.ensemble, self.calibration, self.decision)
        return self


def load_recipe(
    recipe: RecipeSource, changes: Sequence[str] | Mapping[str, Any] = (), with_plugins: bool = True
) -> Recipe:
    """Read a recipe, resolve its relative paths and load its plugins.

    `recipe`: a YAML file, or its content as a mapping. Relative paths start at the file's folder, or for a mapping at
    the working directory; `changes`: changes as on the command line (`["models.0.backbone=resnet18"]`), or a mapping
    from key to value (`{"models.0.backbone": "resnet18"}`); `with_plugins`: False runs no code of plugins, and accepts
    any name of a metric.
    """
    return parse_recipe(read_recipe_dict(recipe, list_changes(changes)), recipe_folder(recipe), with_plugins)


def recipe_folder(recipe: RecipeSource) -> Path:
    """Folder that the relative paths of a recipe start at: the file's, or for a mapping the working directory."""
    return Path.cwd() if isinstance(recipe, Mapping) else Path(recipe).resolve().parent


def list_changes(changes: Sequence[str] | Mapping[str, Any]) -> tuple[str, ...]:
    """Changes of a recipe as `KEY=VALUE` texts, as `--set` takes them."""
    if isinstance(changes, str):
        return (changes,)
    if isinstance(changes, Mapping):  # JSON is YAML
        return tuple(f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in changes.items())
    return tuple(changes)


def read_recipe_dict(recipe: RecipeSource, changes: Sequence[str] = ()) -> Any:
    """Read a recipe as plain values: with changes, without defaults. `changes`: `KEY=VALUE`, as on the command line."""
    if isinstance(recipe, Mapping):
        return _apply_overrides(dict(recipe), changes)
    path = Path(recipe)
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "no file"
            raise RecipeError(
                f"cannot read the recipe {truncate(path)!r}: it is {what}", remedy="give the YAML file itself"
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        near = did_you_mean(path.name, _recipe_names(path.parent)) if isinstance(error, FileNotFoundError) else ""
        remedy = f"{near} `holotype init` writes a new one" if near else ""
        raise RecipeError(f"cannot read the recipe {truncate(path)!r}: {error.strerror}", remedy=remedy) from error
    except ValueError as error:  # not UTF-8, or a path with a NUL
        if isinstance(error, UnicodeDecodeError):
            what = f"byte {error.start:,} is {error.object[error.start]:#04x}"
            raise RecipeError(
                f"the recipe {truncate(path)!r} is not UTF-8 text: {what}", remedy="save it as UTF-8"
            ) from error
        raise RecipeError(f"cannot read the recipe {truncate(path)!r}: {error}") from error
    return _apply_overrides(load_yaml(text, f"the recipe {truncate(path)!r}"), changes)


def _recipe_names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in {".yaml", ".yml"})
    except OSError:
        return []


def parse_recipe(content: Any, folder: Path, with_plugins: bool = True) -> Recipe:
    """Validate plain values as a recipe, whose relative paths start at a folder."""
    if not isinstance(content, dict):
        raise RecipeError("a recipe is a mapping of sections; the shortest is `data: {train: train.csv, ...}`")
    require_current_names(content)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise _to_recipe_error(error, content) from None
    column = recipe.data.labels.column
    models = [normalize_class_rank(model, column) for model in recipe.models]
    paths = AbsolutePaths(folder)
    resolved = _resolve_paths(recipe.model_copy(update={"models": models}), paths)
    if with_plugins:
        plugins = load_plugins(resolved.run.plugins, resolved.model_dump(mode="json"), paths)
        resolved = resolved.model_copy(update={"run": resolved.run.model_copy(update={"plugins": plugins})})
        require_metric(resolved.metric, resolved.data.labels.kind, get_args(MetricName))
        require_parts(resolved.models, resolved.decision)
    resolved._relative = frozenset(paths.relative)
    return resolved


def _resolve_paths(recipe: Recipe, paths: Paths) -> Recipe:
    return recipe.model_copy(
        update={
            "run": resolve_run_paths(recipe.run, paths),
            "data": resolve_data_paths(recipe.data, paths),
            "models": [resolve_model_paths(model, paths) for model in recipe.models],
            "decision": resolve_decision_paths(recipe.decision, paths),
            "submission": resolve_submission_paths(recipe.submission, paths),
        }
    )


def dump_recipe(recipe: Recipe, folder: Path | None = None) -> str:
    """Write a resolved recipe as YAML, with every default."""
    if folder is not None:
        recipe = _resolve_paths(recipe, RelativePaths(folder, recipe._relative))
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel declares the default, None
    stream = StringIO()
    yaml.dump(recipe.model_dump(mode="json"), stream)
    return stream.getvalue()


def json_schema() -> str:
    """JSON schema of a recipe, for editors."""
    return json.dumps(Recipe.model_json_schema(), indent=2)


def _apply_overrides(content: Any, changes: Sequence[str]) -> Any:
    if not isinstance(content, dict):
        return content  # `parse_recipe` refuses it
    content = copy.deepcopy(content)
    for change in changes:
        address, equals, text = change.partition("=")
        if not equals:
            raise RecipeError(f"--set {change!r} has no value", remedy="write --set models.0.backbone=resnet18")
        keys, value = address.strip().split("."), load_yaml(text, f"--set {address}")
        require_current_names(reduce(lambda inner, key: {key: inner}, reversed(keys), value), "--set ")
        _set_value(content, keys, value, address)
    return content


def _set_value(content: Any, keys: list[str], value: Any, address: str) -> None:
    node = content
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(node, list):
            if not key.isdecimal() or int(key) > len(node):
                allowed = range(len(node) + 1)
                raise RecipeError("there is no such list entry", field=f"--set {address}", value=key, allowed=allowed)
            index: Any = int(key)
            if index == len(node):
                node.append({})
        elif isinstance(node, dict):
            index = key
        else:
            raise RecipeError(f"{'.'.join(keys[:depth])} is a single value without keys", field=f"--set {address}")
        if last:
            node[index] = value
        else:
            following = keys[depth + 1]
            if isinstance(node, dict) and node.get(index) is None:
                node[index] = [] if following.isdecimal() else {}
            node = node[index]


def _to_recipe_error(error: ValidationError, content: Any) -> RecipeError:
    complaints: dict[tuple[str, ...], list[str]] = {}
    for complaint in error.errors(include_url=False):
        keys = _written_keys(complaint, content)
        message = _describe_complaint(complaint)
        named = re.match(r"([a-z_0-9.]+): ", message) if complaint["type"] == "value_error" else None
        if named:
            keys, message = [*keys, *named[1].split(".")], message[named.end() :]
        complaints.setdefault(tuple(keys) or ("recipe",), []).append(message)
    outer = {keys[:depth] for keys in complaints for depth in range(1, len(keys))}
    inmost = [keys for keys in complaints if keys not in outer]
    first_address, messages = ".".join(inmost[0]), complaints[inmost[0]]
    sentence = " or ".join([messages[0], *(message.partition("should be ")[2] or message for message in messages[1:])])
    more = f" (and {len(inmost) - 1} more)" if len(inmost) > 1 else ""
    kind = UnsupportedError if "not built yet" in sentence else RecipeError
    return kind(f"{sentence}{more}", field=first_address)


def _describe_complaint(complaint: ErrorDetails) -> str:
    if complaint["type"] == "union_tag_not_found":
        return "Field required"
    if complaint["type"] == "union_tag_invalid":
        return f"{truncate(complaint['ctx']['tag'])!r} should be one of {complaint['ctx']['expected_tags']}"
    message = complaint["msg"].removeprefix("Value error, ").rstrip(".").partition(", unable")[0]
    message = re.sub("(valid dictionary) or (instance of|object to) .*", r"\1", message)
    message = message.replace("a valid dictionary", "a mapping")
    value = complaint["input"]
    subject = (
        "" if isinstance(value, dict | list) else f"{truncate(str(value) if isinstance(value, date) else repr(value))} "
    )
    return re.sub("^(Input|[A-Z][a-z]+) should ", lambda _: f"{subject}should ", message)


def _written_keys(complaint: ErrorDetails, content: Any) -> list[str]:
    keys: list[str] = []
    for depth, part in enumerate(complaint["loc"]):
        absent = complaint["type"] == "missing" and depth == len(complaint["loc"]) - 1
        if isinstance(content, dict) and (part in content or absent):
            content = content.get(part)
        elif isinstance(content, list) and isinstance(part, int) and part < len(content):
            content = content[part]
        else:
            continue
        keys.append(str(part))
    if not complaint["type"].startswith("union_tag"):
        return keys
    return [*keys, complaint["ctx"]["discriminator"].strip("'")]
