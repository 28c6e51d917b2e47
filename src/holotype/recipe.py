"""A recipe: the sections together, read from YAML, changed by `--set`, refused with a path and a remedy."""

from __future__ import annotations

import copy
import json
import re
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML

from holotype.anchors import (
    AbsolutePaths,
    Paths,
    RelativePaths,
    anchored_data,
    anchored_decision,
    anchored_member,
    anchored_submission,
)
from holotype.errors import NotBuiltYetError, RecipeError, shortened
from holotype.spec import (
    AuditSpec,
    CalibrateSpec,
    DataSpec,
    DecideSpec,
    EnsembleSpec,
    MemberSpec,
    ReportSpec,
    RunSpec,
    Section,
    SplitSpec,
    SubmitSpec,
)
from holotype.spec.agreement import leaves_by_one_name, sections_agree
from holotype.yaml_text import load_yaml

__all__ = ["Recipe", "dump_recipe", "json_schema", "load_recipe", "parse_recipe", "written_recipe"]


class Recipe(Section):
    """Everything a run does, in one file. The shortest useful recipe is `data` alone."""

    name: str = Field(default="run", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """The run's name; its folder is `runs/<name>` beside the recipe."""
    seed: int = Field(default=1, ge=0)
    """The one seed that everything random is derived from."""
    metric: Literal["macro_f1", "micro_f1", "accuracy", "balanced_accuracy", "map"] = "macro_f1"
    """What every choice maximises."""
    run: RunSpec = RunSpec()
    data: DataSpec
    audit: AuditSpec = AuditSpec()
    split: SplitSpec = SplitSpec()
    members: list[MemberSpec] = Field(default=[MemberSpec()], min_length=1)
    ensemble: EnsembleSpec | None = None
    """`weighted` where there are out-of-fold scores to learn from, else `mean`, where it is left out."""
    calibrate: CalibrateSpec = None
    """How scores become probabilities to be taken at their word: `temperature`, `isotonic`, `beta`, or a section."""
    decide: DecideSpec | None = None
    """`argmax` for one label a sample and `per-class` for many, where it is left out."""
    final: Literal["folds", "refit"] = "folds"
    """What predicts the test rows: the folds' models, or one more that is trained on all rows as long as they were."""
    submit: SubmitSpec = SubmitSpec()
    report: ReportSpec = ReportSpec()

    _relative: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def names_images_relatively(self) -> bool:
        """Whether the image files are named from the recipe's folder, and not absolutely or by addresses."""
        patterns = self.data.images
        named = list(patterns.values()) if isinstance(patterns, dict) else [patterns or self.data.train]
        return all(name in self._relative for name in named)

    @model_validator(mode="after")
    def _sections_agree(self) -> Recipe:
        names = [name for member in self.members for name in member.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"members: two are named {twice[0]!r}; give each a name of its own")
        sections_agree(self.data, self.members, self.split, self.ensemble, self.calibrate, self.decide)
        return self


def load_recipe(path: Path | str, changes: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe; relative paths in it become relative to its folder.

    Args:
        path: A YAML file.
        changes: Changes as on the command line: `members.0.backbone=resnet18`.

    Raises:
        RecipeError: The file is missing, is not YAML, or says something that is not allowed.
    """
    path = Path(path)
    return parse_recipe(written_recipe(path, changes), path.resolve().parent)


def written_recipe(path: Path | str, changes: tuple[str, ...] = ()) -> Any:
    """What a recipe's file says, with changes and without defaults.

    Args:
        path: A YAML file.
        changes: Changes as on the command line.

    Raises:
        RecipeError: The file is missing or is not YAML, or a change has no place in it.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "no file"
            raise RecipeError(
                f"cannot read the recipe {shortened(path)!r}: it is {what}", remedy="give the YAML file itself"
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {shortened(path)!r}: {error.strerror}") from error
    except ValueError as error:  # a path with a NUL
        if isinstance(error, UnicodeDecodeError):
            what = f"byte {error.start:,} is {error.object[error.start]:#04x}"
            raise RecipeError(
                f"the recipe {shortened(path)!r} is not UTF-8 text: {what}", remedy="save it as UTF-8"
            ) from error
        raise RecipeError(f"cannot read the recipe {shortened(path)!r}: {error}") from error
    return _with_changes(load_yaml(text, f"the recipe {shortened(path)!r}"), changes)


def parse_recipe(content: Any, folder: Path) -> Recipe:
    """A recipe from plain values.

    Args:
        content: What the YAML holds.
        folder: What relative paths are relative to.

    Raises:
        RecipeError: Something in it is not allowed.
    """
    if not isinstance(content, dict):
        raise RecipeError("a recipe is a mapping of sections; the shortest is `data: {train: train.csv, ...}`")
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise _explained(error, content) from None
    column = recipe.data.labels.column
    members = [leaves_by_one_name(member, column) for member in recipe.members]
    paths = AbsolutePaths(folder)
    made = _with_paths(recipe.model_copy(update={"members": members}), paths)
    made._relative = frozenset(paths.relative)
    return made


def _with_paths(recipe: Recipe, paths: Paths) -> Recipe:
    return recipe.model_copy(
        update={
            "data": anchored_data(recipe.data, paths),
            "members": [anchored_member(member, paths) for member in recipe.members],
            "decide": anchored_decision(recipe.decide, paths),
            "submit": anchored_submission(recipe.submit, paths),
        }
    )


def dump_recipe(recipe: Recipe, folder: Path | None = None) -> str:
    """The resolved recipe as YAML, every default written out.

    Args:
        recipe: The recipe.
        folder: Where the YAML will lie; what the recipe named by relative paths is named from there.
    """
    if folder is not None:
        recipe = _with_paths(recipe, RelativePaths(folder, recipe._relative))
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel declares the default, None
    stream = StringIO()
    yaml.dump(recipe.model_dump(mode="json"), stream)
    return stream.getvalue()


def json_schema() -> str:
    """The JSON schema of a recipe, for editors."""
    return json.dumps(Recipe.model_json_schema(), indent=2)


def _with_changes(content: Any, changes: tuple[str, ...]) -> Any:
    if not isinstance(content, dict):
        return content  # which is refused, and in better words
    content = copy.deepcopy(content)
    for change in changes:
        address, equals, text = change.partition("=")
        if not equals:
            raise RecipeError(f"--set {change!r} has no value", remedy="write --set members.0.backbone=resnet18")
        _put(content, address.strip().split("."), load_yaml(text, f"--set {address}"), address)
    return content


def _put(content: Any, keys: list[str], value: Any, address: str) -> None:
    place = content
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(place, list):
            if not key.isdecimal() or int(key) > len(place):
                allowed = range(len(place) + 1)
                raise RecipeError("no such entry of the list", field=f"--set {address}", value=key, allowed=allowed)
            index: Any = int(key)
            if index == len(place):
                place.append({})
        elif isinstance(place, dict):
            index = key
        else:
            raise RecipeError(f"{'.'.join(keys[:depth])} is one value and has no keys", field=f"--set {address}")
        if last:
            place[index] = value
        else:
            following = keys[depth + 1]
            if isinstance(place, dict) and place.get(index) is None:
                place[index] = [] if following.isdecimal() else {}
            place = place[index]


def _explained(error: ValidationError, content: Any) -> RecipeError:
    """The first complaint of pydantic in our words; the number of other places follows."""
    complaints: dict[tuple[str, ...], list[str]] = {}
    for complaint in error.errors(include_url=False):
        place = _place(complaint, content)
        message = _in_our_words(complaint)
        named = re.match(r"([a-z_0-9.]+): ", message) if complaint["type"] == "value_error" else None
        if named:
            place, message = [*place, *named[1].split(".")], message[named.end() :]
        complaints.setdefault(tuple(place) or ("recipe",), []).append(message)
    outer = {place[:depth] for place in complaints for depth in range(1, len(place))}
    inmost = [place for place in complaints if place not in outer]
    place_of_first, messages = ".".join(inmost[0]), complaints[inmost[0]]
    sentence = " or ".join([messages[0], *(message.partition("should be ")[2] or message for message in messages[1:])])
    more = f" (and {len(inmost) - 1} more)" if len(inmost) > 1 else ""
    kind = NotBuiltYetError if "not built yet" in sentence else RecipeError
    return kind(f"{sentence}{more}", field=place_of_first)


def _in_our_words(complaint: ErrorDetails) -> str:
    if complaint["type"] == "union_tag_not_found":
        return "Field required"
    if complaint["type"] == "union_tag_invalid":
        return f"{shortened(complaint['ctx']['tag'])!r} should be one of {complaint['ctx']['expected_tags']}"
    message = complaint["msg"].removeprefix("Value error, ").rstrip(".").partition(", unable")[0]
    message = re.sub("(valid dictionary) or (instance of|object to) .*", r"\1", message)
    value = complaint["input"]
    subject = (
        ""
        if isinstance(value, dict | list)
        else f"{shortened(str(value) if isinstance(value, date) else repr(value))} "
    )
    return re.sub("^(Input|[A-Z][a-z]+) should ", lambda _: f"{subject}should ", message)


def _place(complaint: ErrorDetails, content: Any) -> list[str]:
    """The keys of a place that somebody wrote, or should have; pydantic adds the types of unions to them."""
    place: list[str] = []
    for depth, part in enumerate(complaint["loc"]):
        absent = complaint["type"] == "missing" and depth == len(complaint["loc"]) - 1
        if isinstance(content, dict) and (part in content or absent):
            content = content.get(part)
        elif isinstance(content, list) and isinstance(part, int) and part < len(content):
            content = content[part]
        else:
            continue
        place.append(str(part))
    if not complaint["type"].startswith("union_tag"):
        return place
    return [*place, complaint["ctx"]["discriminator"].strip("'")]
