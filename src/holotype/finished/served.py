"""A finished run behind a server: exactly what `predict` says, by networks that are read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from holotype.data import PackPlan, gather_statistics, measure_image, packed_image, read_image
from holotype.data.channel_files import channel_names
from holotype.decide import answer_columns, label_names, label_sets, probabilities
from holotype.decide.calibrate import sureness
from holotype.errors import DataError, counted, listing
from holotype.finished.described import about_run, refuse_what_needs_company, store_of
from holotype.finished.drawn import draw, heat_as_png
from holotype.finished.opened import OpenedRun, open_run
from holotype.finished.seen import NewImages, plan_for, specimens_for
from holotype.finished.specimens import TrainingSpecimens
from holotype.finished.stored import open_network
from holotype.progress import Progress
from holotype.road.unusual import best_scores, unusual
from holotype.runtime import Runtime
from holotype.serve import Answer, MakeReader, Near, Question
from holotype.train import find_device
from holotype.types import AnyScores, Checkpoint, ImageTable, TopScores, Warned

__all__ = ["RunReader", "ServedRun", "make_reader", "serve_run"]

PICTURE = 640
Form = tuple[Any, ...]


@dataclass(frozen=True)
class _Held:
    """What is kept of an image that waits: measurements, and the pixels as networks want them."""

    facts: dict[str, Any]
    stored: dict[Form, NDArray[Any]]


class RunReader:
    """Decodes images for a finished run: the part of a server that needs no network.

    Args:
        opened: The run.
        cards: Of its networks.
    """

    def __init__(self, opened: OpenedRun, cards: Sequence[dict[str, Any]]) -> None:
        self.opened, self._cards = opened, list(cards)
        self._channels = tuple(opened.recipe.data.channels or ())
        self._plans = lru_cache(256)(self._plans_for)

    def __call__(self, files: Sequence[Path], most: int, picture: bool) -> Question:
        """Decode one image, measure it and store it as each network wants it.

        Args:
            files: Its files in the order of the channels.
            most: Pixels beyond which a file is refused before it is decoded.
            picture: Draw it, too.

        Raises:
            InputError: It cannot be read, or has other channels than the run's images.
        """
        pixels = read_image(files, most, self._channels, self.opened.recipe.data.projection)
        if len(pixels) != self._cards[0]["channels"]:
            what = f"the image has {counted(len(pixels), 'channel')}, and the run's have {self._cards[0]['channels']}"
            raise DataError(what, value=len(pixels), allowed=[self._cards[0]["channels"]])
        mismatch = self.opened.usual.mismatch(pixels.dtype.name, len(pixels))
        if mismatch is not None:
            raise DataError(f"the image cannot be predicted: {mismatch}", value=pixels.dtype.name,
                            remedy="send it as the run's images are")  # fmt: skip
        facts = measure_image(pixels)
        plans = self._plans(pixels.shape, facts["depth"])
        stored = {form: packed_image(pixels, plan) for form, plan in plans.items()}
        shown = draw(pixels, self.opened.recipe.data.channels, PICTURE) if picture else None
        return Question(facts["depth"], pixels.shape, facts["depth"], _Held(facts, stored), shown)

    def _plans_for(self, shape: tuple[int, int, int], depth: str) -> dict[Form, PackPlan]:
        """The forms in which the networks want an image; most want the same."""
        facts = {"channels": shape[0], "height": shape[1], "width": shape[2], "depth": depth}
        facts |= {"mean": [0.0] * shape[0], "deviation": [1.0] * shape[0], "error": None}
        statistics = gather_statistics(self._table(1), [facts])
        plans = (plan_for(card, statistics) for card in self._cards)
        return {_form(plan): plan for plan in plans}

    def _table(self, rows: int) -> ImageTable:
        decision = self.opened.decision
        return _table(rows, decision.classes, decision.kind, self._channels or None)


class ServedRun:
    """Answers for images by a finished run.

    Args:
        opened: The run, its networks held.
        store: Where an index of specimens is kept.
        nearest: Whether training specimens are named.

    Raises:
        InputError: The run cannot answer for single images.
    """

    def __init__(self, opened: OpenedRun, store: Path, nearest: bool = True) -> None:
        refuse_what_needs_company(opened)
        self.opened, data = opened, opened.recipe.data
        self._names = channel_names(data, opened.trained_files)
        self._cards = [checkpoint.card for checkpoint in _checkpoints(opened)]
        self.about = about_run(opened, self._cards[0]["channels"], self._names)
        self._channels = tuple(data.channels or ())
        self._usual = opened.usual
        self._specimens = TrainingSpecimens(opened, store, nearest)

    @property
    def files_an_image(self) -> int:
        """How many files make one image."""
        return 1 if self._names is None else len(self._channels)

    @property
    def nearest(self) -> str:
        """Whether training specimens can be named."""
        return self._specimens.why

    def open(self) -> None:
        """Read the networks, and look for an index of specimens."""
        find_device(self.opened.runtime)
        self.opened.voices  # noqa: B018  (reads them)
        self._specimens.open()

    def place(self, name: str) -> tuple[str, int]:
        """Which image a file belongs to, and the number of its channel.

        Args:
            name: As it was handed in.

        Raises:
            InputError: It is not named as the run's files are.
        """
        if self._names is None:
            return PurePath(name).stem, 0
        found = self._names.place(PurePath(name))
        if found is None:
            what = f"it is not named as the run's files are, {self._names.pattern!r}"
            raise DataError(what, field=name, remedy=f"name it so, its channel one of {listing(self._channels)}")
        return found[0], self._channels.index(found[1])

    @property
    def make_reader(self) -> MakeReader:
        """What makes the function that decodes, in a process of its own, where no network is read."""
        return partial(make_reader, self.opened.folder.root.resolve())

    def answer(self, questions: Sequence[Question], nearest: int) -> list[Answer]:
        """What the run says of some images.

        Args:
            questions: Of one depth.
            nearest: How many training specimens are named for each.
        """
        new = self._new(questions)
        logits, known = self.opened.hear(new)
        decision, calibration = self.opened.decision, self.opened.calibration
        labels = label_names(self.opened.decide(logits, new.images), decision.classes)
        named = self._specimens.near(new, known, nearest)
        near = [None] * len(questions) if named is None else [self._near(own) for own in named]
        parts = zip(labels, self._likely(logits), near, self._warned(questions, logits), strict=True)
        answers = [Answer(tuple(own), likely, nearest=like, warned=signs) for own, likely, like, signs in parts]
        if isinstance(logits, TopScores):
            return answers
        said = probabilities(logits, decision.kind)
        if calibration.largest is not None:
            sets = label_names(label_sets(calibration, said), decision.classes)
            answers = [replace(one, label_set=tuple(own)) for one, own in zip(answers, sets, strict=True)]
        if calibration.band is not None:
            unsure = sureness(said, decision.kind) < calibration.band
            answers = [replace(one, abstain=bool(own)) for one, own in zip(answers, unsure, strict=True)]
        if calibration.back_off is not None:
            pairs = zip(*answer_columns(calibration.back_off, said, decision.classes), strict=True)
            answers = [replace(one, answer=own, rank=rank) for one, (own, rank) in zip(answers, pairs, strict=True)]
        return answers

    def explain(self, question: Question, name: str) -> bytes:
        """Where in an image a class was found, the mean over the networks of the first member that knows the class.

        Args:
            question: The image.
            name: The class.

        Raises:
            InputError: No network knows the class, or it has no places to point at.
        """
        from holotype.predict import grad_cam, heat_over_image

        new, runtime = self._new([question]), self.opened.runtime
        for voice in self.opened.voices:
            knowing = [network for network in voice.networks if name in network.card["classes"]]
            if not knowing:
                continue
            device, rows, maps = find_device(runtime), np.zeros(1, np.int64), []
            for network in knowing:
                number = np.array([network.card["classes"].index(name)])
                maps.append(grad_cam(network, specimens_for(network.card, new), rows, number, runtime, device)[0])
            _, height, width = question.shape
            shrunk = min(1.0, PICTURE / max(height, width))
            side = max(1, round(height * shrunk)), max(1, round(width * shrunk))
            return heat_as_png(heat_over_image(np.mean(maps, axis=0), height, width, voice.section), side)
        raise DataError("no network of the run knows the class", field="class", value=name)

    def specimen(self, name: str) -> bytes | None:
        """The picture of a training specimen.

        Args:
            name: Its id.
        """
        return self._specimens.picture(name)

    def work(self) -> bool:
        """Go on with an index of specimens."""
        return self._specimens.work()

    def _new(self, questions: Sequence[Question]) -> NewImages:
        held = [question.content for question in questions]
        images = self._table(len(held))
        statistics = gather_statistics(images, [one.facts for one in held])
        return NewImages(images, statistics, self.opened.runtime,
                         lambda plan: np.stack([one.stored[_form(plan)] for one in held]))  # fmt: skip

    def _table(self, rows: int) -> ImageTable:
        decision = self.opened.decision
        return _table(rows, decision.classes, decision.kind, self._channels or None)

    def _likely(self, logits: AnyScores) -> list[dict[str, float]]:
        classes = self.opened.decision.classes
        if isinstance(logits, TopScores):
            order, said = logits.top.astype(np.int64), np.exp(logits.logit - logits.total[:, None])
        else:
            every = probabilities(logits, self.opened.decision.kind)
            order = np.argsort(-every, axis=1, kind="stable")
            said = np.take_along_axis(every, order, axis=1)
        return [
            {classes[number]: value for number, value in zip(own, values, strict=True)}
            for own, values in zip(order.tolist(), said.tolist(), strict=True)
        ]

    def _warned(self, questions: Sequence[Question], logits: AnyScores) -> list[tuple[Warned, ...]]:
        best = best_scores(logits, self.opened.decision.kind).tolist()
        facts = [question.content.facts for question in questions]
        return [unusual(self._usual, score, own, self._channels) for score, own in zip(best, facts, strict=True)]

    def _near(self, named: Sequence[tuple[str, float]]) -> tuple[Near, ...]:
        known = self._specimens
        return tuple(Near(name, like, known.labels(name), known.pictured(name)) for name, like in named)


def make_reader(folder: Path) -> RunReader:
    """What decodes images for a finished run, in a process of its own.

    Args:
        folder: The run's.

    Raises:
        InputError: The folder is not a finished run's.
    """
    Image.init()  # Pillow's decoders, else loaded within the time of the first image
    opened = open_run(folder)
    return RunReader(opened, [checkpoint.card for checkpoint in _checkpoints(opened)])


def serve_run(folder: Path, nearest: bool = True) -> tuple[ServedRun, Runtime]:
    """A finished run ready to be served, and what it runs on.

    Args:
        folder: The run's.
        nearest: Whether training specimens are named.

    Raises:
        InputError: The folder is not a finished run's, or the run cannot answer for single images.
    """
    opened = open_run(folder, held=True)
    opened = replace(opened, runtime=replace(opened.runtime, progress=Progress(quiet=True)))
    return ServedRun(opened, store_of(opened.folder), nearest), opened.runtime


def _checkpoints(opened: OpenedRun) -> list[Checkpoint]:
    folder = opened.folder
    places = [place for member in opened.recipe.members
              for place in (*folder.checkpoints(member.name), *folder.specialists(member.name))]  # fmt: skip
    return [open_network(place, opened.decision.classes) for place in places]


@lru_cache(256)
def _table(rows: int, classes: tuple[str, ...], kind: Any, channels: tuple[str, ...] | None) -> ImageTable:
    """So many images, each a sample of its own, of which nothing is known."""
    names = [str(row) for row in range(rows)]
    frame = pl.DataFrame({"id": names, "sample": names, "role": ["test"] * rows, "files": [[]] * rows},
                         schema_overrides={"files": pl.List(pl.String)})  # fmt: skip
    empty = [pl.lit(None, pl.List(pl.Int64)).alias("labels"), pl.lit(None, pl.String).alias("domain")]
    return ImageTable(frame.with_columns(empty), classes, kind, channels)


def _form(plan: PackPlan) -> Form:
    return (*plan.shape[1:], plan.depth, plan.fitting, plan.scale)
