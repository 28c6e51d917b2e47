"""A finished run laid out for a person to review: its tables, its scores, its pictures, and a page to decide on."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from holotype.decide import decision_from_json
from holotype.digest import digest_file
from holotype.errors import InputError
from holotype.recipe import Recipe, load_recipe
from holotype.report import channel_colours
from holotype.review import DecisionsFile
from holotype.review.items import Materials
from holotype.runs import RunFolder
from holotype.submit import read_scores
from holotype.table_files import read_parquet
from holotype.types import ImageTable

__all__ = ["ReviewServer", "decisions_path", "open_review", "read_materials"]

HOME = "127.0.0.1"


@dataclass(frozen=True)
class ReviewServer:
    """A review that is ready to be served.

    Args:
        address: Of its page.
        record: Where decisions are written.
        serve: Answers until it is stopped.
        stop: Lets it end.
    """

    address: str
    record: DecisionsFile
    serve: Callable[[], None]
    stop: Callable[[], None]


def decisions_path(folder: Path) -> Path:
    """Where decisions about a run go: the file that its recipe names, else `review.csv` beside the recipe.

    Args:
        folder: The run's folder. Where its recipe is not there any more, the file lies beside this folder.
    """
    run = RunFolder(folder)
    run.existing("log.jsonl")
    begun = run.recorded()
    source = run.located(begun["recipe"]) if begun else None
    if source is None or not source.is_file():
        return folder.resolve().parent / "review.csv"
    named = load_recipe(run.existing("recipe.yaml")).data.review
    return Path(named) if named else source.parent / "review.csv"


def read_materials(folder: Path) -> Materials:
    """A finished run as the review sees it.

    Args:
        folder: The run's folder.

    Raises:
        InputError: The folder is not a finished run's.
    """
    run = RunFolder(folder)
    source = run.existing("recipe.yaml")
    run.require_intact(weights=False)
    recipe = load_recipe(source)
    decision = decision_from_json(run.read_json("decision.json"))
    channels = tuple(recipe.data.channels) if recipe.data.channels else None
    frame = run.images()
    images = ImageTable(frame, decision.classes, decision.kind, channels, projection=recipe.data.projection)
    tables = {name: read_parquet(run.existing(f"audit/{name}.parquet"))
              for name in ("suspects", "clusters", "links", "conflicts")}  # fmt: skip
    scored = folder / "oof.parquet"
    ids, scores = pl.Series([], dtype=pl.String), None
    if scored.is_file():
        ids, scores = read_scores(scored, len(decision.classes))
    folds = read_parquet(run.existing("folds.parquet")).drop_nulls("fold")
    return Materials(
        name=recipe.name, images=images, **tables, ids=tuple(ids.cast(pl.String)), scores=scores, decision=decision,
        nearest=_nearest(folder, recipe), colours=lambda count: _colours(count, channels),
        fold_of=dict(folds.select(pl.col("sample").cast(pl.String), "fold").iter_rows()),
    )  # fmt: skip


def open_review(folder: Path, port: int, decisions: Path | None = None) -> ReviewServer:
    """Make a review of a finished run ready, on this machine alone.

    Args:
        folder: The run's folder.
        port: Of the page; 0 takes one that is free.
        decisions: The file of decisions; `decisions_path` where none is given.

    Raises:
        InputError: The folder is no finished run, the port is taken, or the libraries of a server are missing.
    """
    try:
        import uvicorn

        from holotype.review.app import make_app
        from holotype.review.desk import Desk
    except ImportError as error:
        what = f"a review needs {error.name or 'a library'}, which is not installed"
        raise InputError(what, remedy="pip install 'holotype[serve]'") from error
    materials = read_materials(folder)
    path = (decisions or decisions_path(folder)).resolve()
    listening = _listening(port)
    port = int(listening.getsockname()[1])
    try:
        record = DecisionsFile(path, _about(folder, path))
    except BaseException:
        listening.close()
        raise
    hosts = frozenset(f"{name}:{port}" for name in (HOME, "localhost"))
    app = make_app(Desk(materials, record), secrets.token_urlsafe(24), hosts)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))

    def serve() -> None:
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            return  # it is how a review ends
        finally:
            record.close()
            listening.close()

    def stop() -> None:
        server.should_exit = True

    return ReviewServer(f"http://{HOME}:{port}/", record, serve, stop)


def _about(folder: Path, decisions: Path) -> str:
    """What rows say of the run: its folder as seen from the file's, and the digest of its scores."""
    try:
        place = Path(os.path.relpath(folder.resolve(), decisions.parent)).as_posix()
    except ValueError:  # another drive of Windows
        place = folder.resolve().as_posix()
    scored = folder / "oof.parquet"
    return f"{place} {digest_file(scored) if scored.is_file() else 'unscored'}"


def _nearest(folder: Path, recipe: Recipe) -> dict[str, list[tuple[str, float]]]:
    """The nearest specimens of each image, by the first member that knows them."""
    for member in recipe.members:
        for name in member.names:
            path = folder / "members" / name / "nearest.parquet"
            if path.is_file():
                table = read_parquet(path).select("id", "nearest", "similarity")
                return {row: list(zip(names, similar, strict=True)) for row, names, similar in table.iter_rows()}
    return {}


def _colours(count: int, channels: Sequence[str] | None) -> tuple[list[str], list[list[float]], bool]:
    """Names and colours of an image's channels, and whether they are stretched together, as those of a photograph."""
    named = channels is not None and len(channels) == count
    photograph = count == 3 and not named
    names = list(channels) if named and channels else ["red", "green", "blue"] if photograph else []
    names = names or [f"channel {number + 1}" for number in range(count)]
    return names, [list(colour) for colour in channel_colours(count, channels)], photograph


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two servers listen at once
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOME, port))
    except (OSError, OverflowError) as error:
        listening.close()
        what = f"the port {port} of this machine cannot be had"
        raise InputError(what, field="--port", remedy="give another one, or 0 for any that is free") from error
    listening.listen(128)
    return listening
