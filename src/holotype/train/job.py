"""One network to train: which rows, which fold, which member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from holotype.data import Pack
from holotype.spec import KeepSpec, MemberSpec
from holotype.spec.schedule import ConstantSpec
from holotype.split import inner_samples
from holotype.train.levels import member_levels
from holotype.types import Folds, ImageTable, Integers, Kind, Levels, Normalisation

__all__ = ["ALL_ROWS", "REST", "FitJob", "plan_fit", "refit_member", "specialist_job"]

ALL_ROWS = -2  # -1 is the fold of external samples without a tie
REST = "none of these"  # what a network of some classes calls all others, where a sample has one label

VERSIONED = ("torch", "timm", "numpy", "lightning-fabric", "safetensors")


@dataclass(frozen=True)
class FitJob:
    """Everything that decides a network, but for the pixels and the machine.

    Args:
        member: The recipe's section, its size resolved.
        fold: The fold that the network never sees; `ALL_ROWS` where it sees every one.
        seed: The recipe's seed.
        train_rows: Image rows that train, shape (n,).
        validation_rows: Image rows of the fold, shape (m,).
        classes: The class names in order.
        kind: `multiclass` or `multilabel`.
        channels: The channels' names, where the recipe gives them.
        normalisation: Mean and deviation a channel.
        inner_rows: Image rows that whatever selects looks at, shape (k,); empty where nothing selects.
        external: Which of the training rows are external, shape (n,); none of them where it is empty.
        pixels: The digest of the training rows' pixels, for the card.
        pseudo_rows: Image rows that join with labels an earlier network of the same fold was sure of, shape (p,).
        round: How many such networks came before this one.
        domain: The domain that a specialist is of; none of the overall network.
        start: The checkpoint that a specialist starts from.
        start_digest: What that checkpoint was made from.
        levels: The ranks above the classes that it learns, where it learns any.
    """

    member: MemberSpec
    fold: int
    seed: int
    train_rows: Integers
    validation_rows: Integers
    classes: tuple[str, ...]
    kind: Kind
    channels: tuple[str, ...] | None
    normalisation: Normalisation
    inner_rows: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    external: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    pixels: str = ""
    pseudo_rows: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    round: int = 0
    domain: str | None = None
    start: Path | None = None
    start_digest: str = ""
    levels: Levels | None = None

    @property
    def label(self) -> str:
        """The job in words, for progress and messages."""
        words = [self.member.name, "all rows" if self.fold == ALL_ROWS else f"fold {self.fold}"]
        words += [f"round {self.round}"] if self.round else []
        return ", ".join([*words, self.domain] if self.domain is not None else words)

    @property
    def seed_name(self) -> str:
        """What its randomness is keyed by beside seed, phase and fold: rounds of a member draw the same."""
        return self.member.name if self.domain is None else f"{self.member.name}/{self.domain}"

    def phase_rows(self, phase: int) -> Integers:
        """The image rows that may train in one phase: the labelled ones, then those that join, shape (n,).

        Args:
            phase: Its number.
        """
        return np.concatenate([self.labelled_rows(phase), self.pseudo_rows])

    def epoch_length(self, phase: int) -> int:
        """How many rows an epoch of a phase draws from.

        Args:
            phase: Its number.
        """
        return len(self.labelled_rows(phase)) + self.joining

    @property
    def joining(self) -> int:
        """How many rows join an epoch when all have joined that should."""
        spec = self.member.pseudo
        return 0 if spec is None else round(spec.weight * len(self.pseudo_rows))

    def labelled_rows(self, phase: int) -> Integers:
        """The image rows with labels of their own that train in one phase, shape (n,).

        Args:
            phase: Its number.
        """
        wanted = self.member.phases[phase].rows
        if wanted == "all" or not len(self.external):
            return self.train_rows
        return self.train_rows[self.external == (wanted == "external")]

    @property
    def size(self) -> int:
        """Side of the input that the finished network reads."""
        return self.member.phase_size(len(self.member.phases) - 1)

    def card(self, pack: Pack) -> dict[str, Any]:
        """What a checkpoint of this job says of itself.

        Args:
            pack: The images it is trained on; new ones are brought into the same form.
        """
        _, channels, height, width = pack.pixels.shape
        address, mark, network = self.member.weights.partition("#")
        kind = "run:" if address.startswith("run:") else ""
        weights = (
            f"{kind}{Path(address).name}{mark}{network}"  # a card is handed on: it names no folder of this machine
        )
        return {
            "member": self.member.model_dump(mode="json") | {"weights": weights},
            "fold": self.fold,
            "seed": self.seed,
            "classes": list(self.classes),
            "kind": self.kind,
            "domain": self.domain,
            "round": self.round,
            "channels": channels,
            "channel_names": list(self.channels) if self.channels else None,
            "input_channels": len(self.member.input.channels or range(channels)),
            "normalisation": self.normalisation.as_facts(),
            "size": self.size,
            "pixels": self.pixels,
            "levels": None if self.levels is None else asdict(self.levels),
            "versions": {name: version(name) for name in VERSIONED},
            "canvas": [height, width],
            "rows": {
                "train": len(self.train_rows),
                "inner": len(self.inner_rows),
                "validation": len(self.validation_rows),
            }
            | ({"pseudo": len(self.pseudo_rows)} if self.round else {}),
        }


def plan_fit(
    images: ImageTable, folds: Folds, fold: int, member: MemberSpec, seed: int, scale: Normalisation
) -> FitJob:
    """The job of one member on one fold.

    Args:
        images: The table.
        folds: Which sample is in which fold.
        fold: The fold to leave out.
        member: The recipe's section, its size resolved.
        seed: The recipe's seed.
        scale: Mean and deviation a channel.
    """
    rows, roles = images.sample_numbers, images.frame["role"].to_numpy()
    kept = ~np.isin(rows, folds.left_out)
    kept[folds.unreadable] = False
    in_fold = folds.fold_of_sample[rows] == fold
    if member.pseudo is not None and member.pseudo.rows != "test":
        kept &= roles != "external"
    trains, validates = (roles != "test") & kept & ~in_fold, (roles == "train") & kept & in_fold
    inner = np.zeros(len(rows), bool)
    if member.selects and member.keep.on == "fold":
        inner = validates
    elif member.selects:
        chosen = inner_samples(images, folds, fold, seed)
        inner = np.isin(rows, chosen) & kept
        trains &= ~np.isin(folds.component[rows], folds.component[chosen])
    parts = (np.flatnonzero(part).astype(np.int64) for part in (trains, validates, inner))
    train_rows, validation_rows, inner_rows = parts
    facts = (_classes_of(member, images), images.kind, images.channels, scale)
    external = roles[train_rows] == "external"
    levels = member_levels(member.head.levels, images.ranks)
    return FitJob(member, fold, seed, train_rows, validation_rows, *facts, inner_rows, external, levels=levels)


def _classes_of(member: MemberSpec, images: ImageTable) -> tuple[str, ...]:
    if member.classes == "all":
        return images.classes
    return (*member.classes, REST) if images.kind == "multiclass" else tuple(member.classes)


def specialist_job(job: FitJob, domain: str, is_own: NDArray[np.bool_], start: tuple[Path, str]) -> FitJob:
    """The job of a domain's own network.

    Args:
        job: Of the overall network.
        domain: The domain's name.
        is_own: Which image rows are of it, shape (image rows,).
        start: The overall network's checkpoint, and the digest of what it was made from.
    """
    phases = job.member.specialise.phases if job.member.specialise else job.member.phases
    member = job.member.model_copy(update={"phases": phases})
    parts = {
        name: getattr(job, name)[is_own[getattr(job, name)]]
        for name in ("train_rows", "validation_rows", "inner_rows", "pseudo_rows")
    }
    external = job.external[is_own[job.train_rows]] if len(job.external) else job.external
    if not len(parts["inner_rows"]):
        parts["inner_rows"] = job.inner_rows  # none of the domain are among them, and something has to choose
    own = replace(job, member=member, domain=domain, external=external, start=start[0], start_digest=start[1])
    return replace(own, **parts)


def refit_member(member: MemberSpec, histories: Sequence[pl.DataFrame]) -> MemberSpec:
    """A member that trains as long as its folds did, with nothing left to choose.

    Args:
        member: The recipe's section, its size resolved.
        histories: Of the folds' networks: `phase`, one row an epoch.

    Returns:
        Each phase with the median of its epochs over the folds, without early ends and rewinds; the last checkpoint
        is kept where the best ones were.
    """
    phases = []
    for number, phase in enumerate(member.phases):
        epochs = int(np.median([(history["phase"] == number).sum() for history in histories]))
        schedule = ConstantSpec() if phase.schedule.name == "plateau" else phase.schedule
        changes = {"epochs": max(epochs, 1), "schedule": schedule, "stop_after": None}
        phases.append(phase.model_copy(update=changes))
    keep = KeepSpec() if member.keep.selects else member.keep
    return member.model_copy(update={"phases": phases, "keep": keep})
