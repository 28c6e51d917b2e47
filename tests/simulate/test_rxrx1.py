"""The stand-in for RxRx1: perturbations look alike wherever they are given, and plates hold each at most once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from holotype.core.digest import digest_folder
from holotype.core.errors import DataError
from holotype.core.seeds import keyed_generator
from holotype.simulate.microscopy import Optics
from holotype.simulate.rxrx1 import (
    CELL_LINES,
    STANDARD_PERTURBATIONS,
    Effect,
    PerturbationPlan,
    draw_perturbed_field,
    perturbation_effect,
    plan_perturbations,
    simulate_perturbations,
)

SMALL = PerturbationPlan(perturbations=4, plates=2, train_experiments=1, test_experiments=1)
PLAIN = Optics((1.0,) * 6, (0.02,) * 6)


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("screen")
    simulate_perturbations(folder, SMALL, seed=2)
    return folder


def test_the_same_seed_gives_the_same_bytes_and_fewer_experiments_leave_the_others(
    screen: Path, tmp_path: Path
) -> None:
    simulate_perturbations(tmp_path / "again", SMALL, seed=2)
    assert digest_folder(tmp_path / "again") == digest_folder(screen)
    fewer = simulate_perturbations(tmp_path / "fewer", replace(SMALL, test_experiments=0), seed=2)
    row = fewer.row(0, named=True)
    file = f"images/{row['experiment']}/Plate{row['plate']}/{row['well']}_s2_w6.png"
    assert (tmp_path / "fewer" / file).read_bytes() == (screen / file).read_bytes()


def test_tables_say_what_the_truth_says_and_every_image_has_six_files(screen: Path) -> None:
    truth = pl.read_csv(screen / "truth.csv")
    for role in ("train", "test"):
        table = pl.read_csv(screen / f"{role}.csv")
        assert ("sirna" in table.columns) == (role == "train")
        assert table.equals(truth.filter(role=role).select(table.columns))
    found = {path.relative_to(screen).as_posix() for path in (screen / "images").rglob("*.png")}
    wanted = {
        f"images/{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png"
        for experiment, plate, well, site in truth.select("experiment", "plate", "well", "site").iter_rows()
        for channel in range(1, 7)
    }
    assert found == wanted
    sets = pl.read_csv(screen / "sets.csv")
    assert dict(sets.iter_rows()) == dict(truth.select("sirna", "set").iter_rows())


@settings(max_examples=12)
@given(st.integers(2, 60), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3))
def test_any_plan_gives_each_plate_one_set_and_each_experiment_every_perturbation_once(
    perturbations: int, plates: int, train: int, test: int, sites: int
) -> None:
    plan = PerturbationPlan(perturbations, plates, train, test, sites)
    truth = plan_perturbations(plan, 3)
    wells = truth.filter(site=1)
    assert truth.height == perturbations * sites * len(CELL_LINES) * (train + test)
    assert truth["id"].is_unique().all()
    assert wells["id_code"].is_unique().all()
    assert (truth["id"] == truth.select(pl.format("{}_s{}", "id_code", "site")).to_series()).all()
    assert wells.select("batch", "sirna").is_unique().all()
    assert wells.select("batch", "well").is_unique().all()
    assert (wells.group_by("experiment").agg(pl.col("sirna").n_unique())["sirna"] == perturbations).all()
    assert (wells.group_by("batch").agg(pl.col("set").n_unique())["set"] == 1).all()
    by_role = {role: set(truth.filter(role=role)["experiment"]) for role in ("train", "test")}
    assert not by_role["train"] & by_role["test"]


def test_the_standard_screen_has_two_hundred_perturbations_of_four_cell_lines() -> None:
    truth = plan_perturbations(STANDARD_PERTURBATIONS, 1)
    assert (truth["sirna"].n_unique(), truth["cell_type"].n_unique()) == (200, 4)


@pytest.mark.parametrize("cell_line", CELL_LINES)
def test_a_perturbation_is_nearer_to_itself_elsewhere_than_to_others(cell_line: str) -> None:
    effects = [
        np.concatenate([perturbation_effect(1, number, line).shape + perturbation_effect(1, number, line).stains])
        for number in range(200)
        for line in (cell_line, "U2OS" if cell_line != "U2OS" else "RPE")
    ]
    here, there = np.array(effects[::2]), np.array(effects[1::2])
    scale = here.std(axis=0)
    distances = (((here[:, None] - there[None]) / scale) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == np.arange(200)).mean() > 0.98


@pytest.mark.parametrize("stain", range(6))
def test_a_stain_that_an_effect_brightens_is_brighter_and_the_others_stay(stain: int) -> None:
    def brightness(stains: tuple[float, ...]) -> np.ndarray:
        draws = (keyed_generator(number, "field") for number in range(4))
        fields = [draw_perturbed_field(Effect((0.0,) * 6, stains), "RPE", 32, PLAIN, random) for random in draws]
        return np.mean(fields, axis=(0, 2, 3)) - 0.02  # the light without cells

    change = brightness(tuple(0.7 * (number == stain) for number in range(6))) / brightness((0.0,) * 6)
    assert change[stain] > 1.5
    assert np.abs(np.delete(change, stain) - 1).max() < 0.1


def test_an_effect_on_the_nucleus_changes_its_area() -> None:
    def area(nucleus: float) -> float:
        effect = Effect((0.0, 0.0, 0.0, nucleus, 0.0, 0.0), (0.0,) * 6)
        return float(np.mean(draw_perturbed_field(effect, "RPE", 48, PLAIN, keyed_generator(1, "field"))[0] > 0.15))

    assert area(0.35) > 1.4 * area(0.0)


def test_pixels_tell_perturbations_apart_and_cell_lines_too() -> None:
    def brightness(perturbation: int, line: str) -> np.ndarray:
        fields = [
            draw_perturbed_field(
                perturbation_effect(1, perturbation, line), line, 32, PLAIN, keyed_generator(n, "field")
            )
            for n in range(8)
        ]
        return np.log(np.mean(fields, axis=(0, 2, 3)))

    means = np.array([[brightness(number, line) for line in ("RPE", "U2OS")] for number in range(6)])
    means -= means.mean(axis=0)  # what a cell line looks like by itself
    distances = ((means[:, None, 0] - means[None, :, 1]) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == np.arange(6)).all()


def test_sites_of_a_well_differ_and_plates_have_optics_of_their_own(screen: Path) -> None:
    row = pl.read_csv(screen / "truth.csv").row(0, named=True)
    place = screen / "images" / row["experiment"] / f"Plate{row['plate']}"
    one, two = (np.asarray(Image.open(place / f"{row['well']}_s{site}_w1.png")) for site in (1, 2))
    assert one.shape == (32, 32)
    assert not np.array_equal(one, two)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("perturbations", 1),
        ("plates", 0),
        ("train_experiments", 0),
        ("test_experiments", -1),
        ("sites", 0),
        ("size", 8),
    ],
)
def test_a_plan_that_cannot_be_drawn_is_refused_by_the_field_s_name(field: str, value: int) -> None:
    with pytest.raises(DataError, match=field):
        replace(SMALL, **{field: value})
