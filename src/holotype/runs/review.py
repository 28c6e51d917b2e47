"""Review of a finished run: its data, the file of decisions, and a local server."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from holotype.core.digest import digest_file
from holotype.core.errors import InputError
from holotype.core.run_folder import RunFolder
from holotype.core.table_files import read_parquet
from holotype.postprocessing.decision import decision_from_json
from holotype.postprocessing.submission import read_scores
from holotype.recipe.load import Recipe, load_recipe
from holotype.report import channel_colors
from holotype.review import DecisionsFile
from holotype.review.items import ReviewData
from holotype.types import ImageTable

LOCALHOST = "127.0.0.1"


@dataclass(frozen=True)
class ReviewServer:
    """Review server, ready to be started."""

    address: str
    record: DecisionsFile
    serve: Callable[[], None]
    stop: Callable[[], None]


def decisions_path(folder: Path) -> Path:
    """File of decisions about a run: the one that its recipe names, else `review.csv` beside the recipe.

    `folder`: the run folder. If the recipe is gone, the file lies beside this folder.
    """
    run = RunFolder(folder)
    run.require("log.jsonl")
    begun = run.recorded()
    source = run.located(begun["recipe"]) if begun else None
    if source is None or not source.is_file():
        return folder.resolve().parent / "review.csv"
    named = load_recipe(run.require("recipe.yaml"), with_plugins=False).data.review
    return Path(named) if named else source.parent / "review.csv"


def review_key_hint(folder: Path, decisions: Path) -> str | None:
    """Hint at the recipe key that makes the next run apply the decisions.

    Returns None if the recipe names the file already.
    """
    run = RunFolder(folder)
    begun = run.recorded()
    source = run.located(begun["recipe"]) if begun else None
    decisions, name = decisions.resolve(), None
    if source is not None and source.is_file():
        try:
            named = load_recipe(source, with_plugins=False).data.review
        except InputError:  # the recipe was edited since the run, and the next run names its fault
            named = None
        if named and Path(named).resolve() == decisions:
            return None
        base = source.resolve().parent
        name = decisions.relative_to(base).as_posix() if decisions.is_relative_to(base) else None
    return f"To apply the decisions, add `review: {name or decisions}` under `data:` of the recipe."


def load_review_data(folder: Path) -> ReviewData:
    """Load the data that a review shows. Raises InputError if the folder is not a finished run."""
    run = RunFolder(folder)
    source = run.require("recipe.yaml")
    run.require_intact(weights=False)
    recipe = load_recipe(source, with_plugins=False)
    decision = decision_from_json(run.read_json("decision.json"))
    channels = tuple(recipe.data.channels) if recipe.data.channels else None
    frame = run.images()
    images = ImageTable(frame, decision.classes, decision.kind, channels, projection=recipe.data.projection)
    tables = {
        name: read_parquet(run.require(f"audit/{name}.parquet"))
        for name in ("label_errors", "clusters", "duplicate_pairs", "conflicts")
    }
    scored = folder / "oof.parquet"
    ids, scores = pl.Series([], dtype=pl.String), None
    if scored.is_file():
        ids, scores = read_scores(scored, len(decision.classes))
    folds = read_parquet(run.require("folds.parquet")).drop_nulls("fold")
    return ReviewData(
        name=recipe.name,
        images=images,
        **tables,
        ids=tuple(ids.cast(pl.String)),
        scores=scores,
        decision=decision,
        nearest=_read_nearest(folder, recipe),
        colors=lambda count: _channel_display(count, channels),
        fold_of=dict(folds.select(pl.col("sample").cast(pl.String), "fold").iter_rows()),
    )


def open_review(folder: Path, port: int, decisions: Path | None = None) -> ReviewServer:
    """Open a review of a finished run on a local port.

    `port`: 0 takes a free one; `decisions`: file of decisions; None takes `decisions_path`.
    """
    try:
        import uvicorn

        from holotype.review.app import make_app
        from holotype.review.session import ReviewSession
    except ImportError as error:
        what = f"a review needs {error.name or 'a library'}, which is not installed"
        raise InputError(what, remedy="pip install 'holotype[serve]'") from error
    data = load_review_data(folder)
    path = (decisions or decisions_path(folder)).resolve()
    listening = _open_socket(port)
    port = int(listening.getsockname()[1])
    try:
        record = DecisionsFile(path, _run_reference(folder, path))
    except BaseException:
        listening.close()
        raise
    hosts = frozenset(f"{name}:{port}" for name in (LOCALHOST, "localhost"))
    app = make_app(ReviewSession(data, record), secrets.token_urlsafe(24), hosts)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))

    def serve() -> None:
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            return  # Ctrl-C ends a review
        finally:
            record.close()
            listening.close()

    def stop() -> None:
        server.should_exit = True

    return ReviewServer(f"http://{LOCALHOST}:{port}/", record, serve, stop)


def _run_reference(folder: Path, decisions: Path) -> str:
    try:
        run_path = Path(os.path.relpath(folder.resolve(), decisions.parent)).as_posix()
    except ValueError:  # another drive on Windows
        run_path = folder.resolve().as_posix()
    scored = folder / "oof.parquet"
    return f"{run_path} {digest_file(scored) if scored.is_file() else 'unscored'}"


def _read_nearest(folder: Path, recipe: Recipe) -> dict[str, list[tuple[str, float]]]:
    for model in recipe.models:
        for name in model.names:
            path = folder / "models" / name / "nearest.parquet"
            if path.is_file():
                table = read_parquet(path).select("id", "nearest", "similarity")
                return {row: list(zip(names, similar, strict=True)) for row, names, similar in table.iter_rows()}
    return {}


def _channel_display(count: int, channels: Sequence[str] | None) -> tuple[list[str], list[list[float]], bool]:
    named = channels is not None and len(channels) == count
    photograph = count == 3 and not named
    names = list(channels) if named and channels else ["red", "green", "blue"] if photograph else []
    names = names or [f"channel {number + 1}" for number in range(count)]
    return names, [list(color) for color in channel_colors(count, channels)], photograph


def _open_socket(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # on Windows it would let two servers share the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOCALHOST, port))
    except (OSError, OverflowError) as error:
        listening.close()
        what = f"port {port} of this machine is not available"
        raise InputError(what, field="--port", remedy="give another one, or 0 for a free one") from error
    listening.listen(128)
    return listening
