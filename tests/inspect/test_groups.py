from __future__ import annotations

import polars as pl

from holotype.inspect.groups import count_components, find_domain, find_groups, find_sample, nests_in

TRAIN = pl.DataFrame(
    {
        "plate": [f"P{row // 4}" for row in range(32)],
        "plate_well": [f"P{row // 4}_{row // 2}" for row in range(32)],
        "date": [f"d{row // 8}" for row in range(32)],
        "frame": [str(row % 5) for row in range(32)],
        "cell_type": ["HELA" if row % 2 else "U2OS" for row in range(32)],
        "comment": [f"c{row}" for row in range(32)],
    }
)
TEST = pl.DataFrame(
    {
        "plate": ["P90", "P91"],
        "plate_well": ["P90_1", "P91_1"],
        "date": ["d0", "d9"],
        "frame": ["11", "12"],
        "cell_type": ["HELA", "U2OS"],
        "comment": ["z1", "z2"],
    }
)


def test_a_column_that_does_not_overlap_is_a_group_and_what_nests_in_it_is_not() -> None:
    found = find_groups(TRAIN, TEST, set(), folds=5)
    assert found.columns == ("plate",)
    assert found.components == 8
    assert any(note.startswith("plate_well: each value belongs to one plate") for note in found.notes)


def test_numbers_and_values_that_never_repeat_are_no_groups() -> None:
    found = find_groups(TRAIN.select("frame", "comment"), TEST.select("frame", "comment"), set(), folds=5)
    assert found.columns == ()


def test_a_column_shared_with_the_test_table_is_explained() -> None:
    train, test = TRAIN.rename({"date": "experiment_date"}), TEST.rename({"date": "experiment_date"})
    notes = find_groups(train, test, set(), folds=5).notes
    assert "experiment_date: 1 of its 4 values are also in the test table, so it is not a group" in notes


def test_without_a_test_table_names_tell() -> None:
    found = find_groups(TRAIN, None, set(), folds=5)
    assert found.columns == ("plate",)
    assert "no test table" in found.reason


def test_wells_and_stations_count_where_no_plate_or_cruise_is_crossed_by_them() -> None:
    wells = pl.DataFrame({"well": [f"A{r % 4:02}" for r in range(32)], "plate": [f"P{r // 4}" for r in range(32)]})
    found = find_groups(wells, None, set(), folds=4)
    assert found.columns == ("plate",)
    assert any(note.startswith("well: together with plate") for note in found.notes)
    stations = pl.DataFrame({"station": [str(r // 4) for r in range(32)], "plant": list("ab") * 16})
    assert find_groups(stations, None, set(), folds=5).columns == ("station",)


def test_a_coarser_column_with_too_few_values_for_the_folds_leaves_the_finer_one() -> None:
    train = TRAIN.select("plate", pl.col("date").alias("experiment"))
    found = find_groups(train, None, set(), folds=5)
    assert found.columns == ("plate",)
    assert "experiment: only 4 values, too few for 5 folds" in found.notes


def test_groups_that_together_tie_everything_lose_the_later_one() -> None:
    crossed = pl.DataFrame({"plate": [f"P{r % 6}" for r in range(36)], "donor": [f"D{r // 6}" for r in range(36)]})
    assert count_components(crossed, ["plate", "donor"]) == 1
    found = find_groups(crossed, None, set(), folds=5)
    assert found.columns == ("plate",)
    assert any(note.startswith("donor:") for note in found.notes)


def test_components_join_rows_through_either_column_and_empty_cells_tie_nothing() -> None:
    frame = pl.DataFrame({"a": ["1", "1", "2", None, None], "b": ["x", "y", "y", None, "z"]})
    assert count_components(frame, ["a", "b"]) == 3
    assert count_components(frame, ["a"]) == 4


def test_nesting_is_not_symmetric() -> None:
    assert nests_in(TRAIN, "plate_well", "plate")
    assert not nests_in(TRAIN, "plate", "plate_well")


def test_a_domain_has_few_values_that_training_rows_all_show() -> None:
    assert find_domain(TRAIN, TEST, set()) == "cell_type"
    unseen = TEST.with_columns(pl.lit("HEPG2").alias("cell_type"))
    assert find_domain(TRAIN, unseen, set()) is None


def test_a_sample_begins_the_ids_of_its_images_and_has_one_label() -> None:
    wells = pl.DataFrame(
        {"id": ["B1_s1", "B1_s2", "B10_s1", "B10_s2"], "id_code": ["B1", "B1", "B10", "B10"], "label": list("aabb")}
    )
    assert find_sample(wells, wells.drop("label"), "id", "label") == "id_code"
    assert find_sample(wells.with_columns(label=pl.Series(list("abab"))), None, "id", "label") is None
    assert find_sample(wells.with_columns(id_code=pl.Series(["B", "B", "B", "B"])), None, "id", "label") is None
    assert find_sample(wells.rename({"id_code": "patient_id"}), None, "id", "label") is None  # a group, not a sample
    assert find_sample(wells, wells.select("id"), "id", "label") is None
