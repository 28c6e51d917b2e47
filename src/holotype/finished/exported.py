"""A finished run as one graph in a file, checked against the run itself on images of the run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from holotype.errors import InputError, listing
from holotype.export import (
    CalibratedGraph,
    EnsembleGraph,
    asked,
    check_extra,
    decision_facts,
    describe,
    member_graph,
    plain_rule,
    refuse_ensemble,
    refuse_member,
    started_from,
    write_example,
    written,
)
from holotype.finished.opened import OpenedRun
from holotype.finished.parity import GraphMember, held_against, is_whole
from holotype.finished.stored import open_network
from holotype.spec import MemberSpec
from holotype.table_files import read_parquet
from holotype.train import launch_fabric
from holotype.types import Calibration

__all__ = ["Exported", "Wish", "export_run"]

VIEWS = ("none", "flips", "d4")


@dataclass(frozen=True)
class Wish:
    """What is to be exported.

    Args:
        member: One member by itself; the whole ensemble where none is named.
        form: `onnx` or `torch`.
        views: In place of the recipe's: `none`, `flips` or `d4`.
        domain: The domain whose specialists answer, and whose weights count.
    """

    member: str | None = None
    form: str = "onnx"
    views: str | None = None
    domain: str | None = None


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        folder: Where.
        files: Their names.
        card: What `card.json` holds.
    """

    folder: Path
    files: tuple[str, ...]
    card: Mapping[str, Any]


def export_run(opened: OpenedRun, folder: Path, wish: Wish) -> Exported:
    """Write a run's networks as one graph, with a card and an example, and check it.

    Args:
        opened: From `open_run`.
        folder: Where to.
        wish: What is wanted.

    Raises:
        InputError: What is wanted cannot be said as a graph, or the libraries for it are not here.
        HolotypeError: The graph does not say what the run says.
    """
    check_extra(wish.form)
    if wish.views is not None and wish.views not in VIEWS:
        raise InputError("there are no such views", field="--views", value=wish.views, allowed=VIEWS)
    launch_fabric(opened.runtime)
    voices = _graph_members(opened, wish)
    graph = _graph(opened, voices, wish.domain)
    first = voices[0].checkpoints[0].card
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        opened.runtime.progress.say(f"Writing {_what(voices)} as {wish.form} ...")
        shape = (first["channels"], *first["canvas"])
        path = written(graph, shape, wish.form, temporary, {"holotype.classes": json.dumps(first["classes"])})
        held = held_against(opened, voices, asked(path, opened.runtime.thread_count), wish.domain)
        card = describe(first, _depth(opened), path) | _facts(opened, voices, wish) | {"check": held}
        card |= {"training": {**opened.usual.training, "fill": list(first["normalisation"]["mean"])}}
        text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (temporary / "card.json").write_text(text, encoding="utf-8")
        write_example(temporary, wish.form)
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(temporary.iterdir(), key=lambda file: file.name == "card.json")  # the card is last
        for file in files:
            file.replace(folder / file.name)
    except OSError as error:
        raise InputError(f"{str(folder)!r} cannot be written: {error.strerror}", remedy="give another -o") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Exported(folder, tuple(file.name for file in files), card)


def _graph_members(opened: OpenedRun, wish: Wish) -> list[GraphMember]:
    """The members that are exported, each refused where it cannot be."""
    ensemble, sections = opened.ensemble, {name: one for one in opened.recipe.members for name in one.names}
    networks = [name for name, one in sections.items() if name == one.name and one.predictions is None]
    if wish.member is not None and wish.member not in sections:
        raise InputError("there is no such member", field="--member", value=wish.member, allowed=networks)
    chosen = list(sections) if wish.member is None else [wish.member]
    alone = len(chosen) == 1
    for name in chosen:
        refuse_member(sections[name], name, wish.views or sections[name].predict.views, alone, networks)
    voices = [_graph_member(opened, sections[name], wish) for name in chosen]
    if wish.member is None:
        cards = {one.name: one.checkpoints[0].card for one in voices}
        refuse_ensemble(ensemble, {one.name: one.section for one in voices}, cards, wish.domain)
    domains = sorted({domain for one in voices for domain in one.routes} | set(ensemble.parts))
    if wish.domain is not None and wish.domain not in domains:
        raise InputError("there is nothing of its own for this domain", field="--domain", value=wish.domain,
                         allowed=domains, remedy="leave --domain out" if not domains else "")  # fmt: skip
    return voices


def _graph_member(opened: OpenedRun, section: MemberSpec, wish: Wish) -> GraphMember:
    place = opened.ensemble.members.index(section.name)
    routes = opened.ensemble.routes[place] if opened.ensemble.routes else ()
    if routes and wish.domain is None:
        raise InputError(f"in some domains networks of their own answer for {section.name!r}", field="--domain",
                         allowed=routes, remedy="export a graph for each: --domain NAME")  # fmt: skip
    update: dict[str, Any] = {"pool": opened.ensemble.pools[place]}
    views = section.predict.model_copy(update=update | ({"views": wish.views} if wish.views else {}))
    classes, folder = opened.decision.classes, opened.folder
    checkpoints = [open_network(path, classes) for path in folder.checkpoints(section.name)]
    for special in (open_network(path, classes) for path in folder.specialists(section.name)) if routes else ():
        if special.card["domain"] == wish.domain and wish.domain in routes:
            checkpoints = [special if one.fold == special.fold else one for one in checkpoints]
    if any(one.card["canvas"] != checkpoints[0].card["canvas"] for one in checkpoints):
        raise InputError(f"the networks of {section.name!r} read images of different stored sizes")
    return GraphMember(section.name, section.model_copy(update={"predict": views}), routes, tuple(checkpoints))


def _graph(opened: OpenedRun, voices: list[GraphMember], domain: str | None) -> EnsembleGraph:
    ensemble = opened.ensemble
    calibration = opened.calibration if is_whole(opened, voices) else Calibration()
    members = [member_graph(one.checkpoints, one.section.predict) for one in voices]
    weights = None if ensemble.kind == "vote" else _weights(opened, voices, domain)
    return EnsembleGraph(members, weights, ensemble.space, CalibratedGraph(calibration, members[0].kind)).eval()


def _depth(opened: OpenedRun) -> str | None:
    """The type of the files' pixels, as the run's audit found it."""
    path = opened.folder.root / "audit" / "statistics.parquet"
    depths = read_parquet(path)["depth"].drop_nulls().unique().to_list() if path.is_file() else []
    return str(np.result_type(*map(np.dtype, depths))) if depths else None


def _weights(opened: OpenedRun, voices: list[GraphMember], domain: str | None) -> tuple[float, ...]:
    """What each member counts, in its domain where that has weights of its own."""
    return (1.0,) if len(voices) == 1 else opened.ensemble.parts.get(domain or "", opened.ensemble.weights)


def _what(voices: list[GraphMember]) -> str:
    names = listing(one.name for one in voices)
    return f"the member {names}" if len(voices) == 1 else f"the ensemble of {names}"


def _facts(opened: OpenedRun, voices: list[GraphMember], wish: Wish) -> dict[str, Any]:
    """What the card says of the run."""
    whole = is_whole(opened, voices)
    name, metric = next(iter(opened.folder.read_json("scores.json")["metrics"].items()))
    first = voices[0].checkpoints[0].card
    plate = opened.decision.one_class_per
    own = "" if plate is None else f"; the run also gives each class once a {plate}, which one image cannot show"
    return {
        "name": opened.recipe.name,
        "what": _what(voices),
        "format": wish.form,
        "domain": wish.domain,
        "ensemble": {"kind": opened.ensemble.kind if len(voices) > 1 else "none", "space": opened.ensemble.space,
                     "weights": list(_weights(opened, voices, wish.domain))},
        "networks": sum(one.card.get("networks", 1) for voice in voices for one in voice.checkpoints),
        "views": {one.name: {"views": one.section.predict.views, "pool": one.section.predict.pool} for one in voices},
        "views_are_the_runs": wish.views is None,
        "samples": "one image; where a sample has several, pool their scores as `views` says",
        "calibration": opened.calibration.method if whole else None,
        "metric": {"name": name, **metric} if whole and wish.views is None else None,
        "decide": plain_rule(opened.decision if whole else None, first["kind"]),
        "decided": f"as the run decides{own}" if whole
        else "plainly: the run's decision was fitted to the scores of all members",
        "decision": decision_facts(opened.decision, opened.calibration) if whole else None,
        "weights": [entry for one in voices for entry in started_from(one.checkpoints)],
    }  # fmt: skip
