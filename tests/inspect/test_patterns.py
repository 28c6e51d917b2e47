from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holotype.core.errors import DataError
from holotype.inspect.file_match import files_of_row
from holotype.inspect.files import channel_order, natural_key
from holotype.inspect.match_files import match_rows_to_files
from holotype.inspect.patterns import HOLE, Template, match_values, templates_of_row

IDS = [f"{number:04x}_a{number}" for number in range(12)]


def named(pattern: str, ids: list[str], channels: tuple[str, ...] = ("",), **columns: list[str]) -> tuple[str, ...]:
    return tuple(
        pattern.format(id=name, channel=channel, **{key: values[row] for key, values in columns.items()})
        for row, name in enumerate(ids)
        for channel in channels
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "{id}_{channel}.tif",
        "images/{id}-{channel}.png",
        "{channel}/{id}.tif",
        "{id}/{channel}.tif",
        "raw/{channel}_{id}.jpg",
        "{id}/{id}_{channel}.png",
        "a/exp_{id}_{channel}_max.tif",
    ],
)
def test_a_channel_is_found_wherever_it_stands_in_the_name(pattern: str) -> None:
    channels = ("dna", "darkfield", "brightfield")
    files = named(pattern, IDS, channels)
    naming = match_rows_to_files(pl.DataFrame({"id": IDS}), None, files)
    assert naming.pattern == pattern
    assert naming.channels == ("brightfield", "darkfield", "dna")
    assert (naming.missing, naming.unused) == (0, 0)


@pytest.mark.parametrize("pattern", ["{id}.png", "images/{id}.jpg", "deep/er/img_{id}.tif", "img{id}.png"])
def test_one_file_an_image_has_no_channels(pattern: str) -> None:
    ids = [str(number) for number in range(1, 25)]  # 1 is part of 11, and must not be taken for it
    naming = match_rows_to_files(pl.DataFrame({"n": ids}), None, named(pattern, ids))
    assert (naming.pattern, naming.channels, naming.missing) == (pattern.replace("{id}", "{n}"), (), 0)


def test_file_names_in_a_column_are_used_and_the_id_stays_the_id() -> None:
    ids = [str(number) for number in range(10)]
    pictures = [f"scan {number:03}.png" for number in range(10)]
    naming = match_rows_to_files(
        pl.DataFrame({"id": ids, "filename": pictures}), None, tuple(f"raw/{name}" for name in pictures)
    )
    assert (naming.id, naming.pattern, naming.missing) == ("id", "raw/{filename}", 0)


def test_folders_named_after_a_column_are_put_as_that_column() -> None:
    plates = [str(1 + number % 3) for number in range(12)]
    files = named("Plate{plate}/{id}.png", IDS, plate=plates)
    naming = match_rows_to_files(pl.DataFrame({"id": IDS, "plate": plates}), None, files)
    assert (naming.pattern, naming.added, naming.missing) == ("Plate{plate}/{id}.png", None, 0)


def test_folders_for_train_and_test_are_the_role_and_no_table_is_changed() -> None:
    train, test = pl.DataFrame({"id": IDS[:8]}), pl.DataFrame({"id": IDS[8:]})
    colours = ("red", "blue")
    files = named("train/{id}_{channel}.png", IDS[:8], colours) + named("test/{id}_{channel}.png", IDS[8:], colours)
    naming = match_rows_to_files(train, test, files)
    assert (naming.pattern, naming.added) == ("{role}/{id}_{channel}.png", None)
    assert (naming.missing, naming.unused) == (0, 0)


def test_folders_that_nothing_explains_become_a_column() -> None:
    files = named("a/{id}.png", IDS[:5]) + named("b/{id}.png", IDS[5:])
    naming = match_rows_to_files(pl.DataFrame({"id": IDS}), None, files)
    assert (naming.pattern, naming.added, naming.missing) == ("{folder}/{id}.png", "folder", 0)
    assert set(naming.train["folder"]) == {"a", "b"}


def test_the_same_names_below_train_and_test_are_told_apart_by_their_table() -> None:
    table = pl.DataFrame({"id": IDS})
    naming = match_rows_to_files(table, table, named("test/{id}.png", IDS) + named("train/{id}.png", IDS))
    assert (naming.pattern, naming.missing, naming.unused) == ("{role}/{id}.png", 0, 0)


def test_letters_that_channels_share_stay_in_their_names() -> None:
    naming = match_rows_to_files(
        pl.DataFrame({"id": IDS}), None, named("{id}_{channel}.tif", IDS, ("brightfield", "darkfield"))
    )
    assert (naming.pattern, naming.channels) == ("{id}_{channel}.tif", ("brightfield", "darkfield"))


def test_endings_that_differ_become_a_column_of_files() -> None:
    files = named("images/{id}.png", IDS[:6]) + named("images/{id}.jpg", IDS[6:])
    naming = match_rows_to_files(pl.DataFrame({"id": IDS}), None, files)
    assert (naming.pattern, naming.added, naming.missing) == ("{file}", "file", 0)
    assert naming.train["file"][0] == f"images/{IDS[0]}.png"


def test_masks_and_second_copies_are_no_channels() -> None:
    files = named("images/{id}.png", IDS) + named("masks/{id}.png", IDS) + named("images/{id}_copy.png", IDS)
    naming = match_rows_to_files(pl.DataFrame({"id": IDS}), None, files)
    assert (naming.pattern, naming.channels, naming.unused) == ("images/{id}.png", (), 24)


def test_the_same_image_in_two_formats_is_read_once() -> None:
    assert templates_of_row([f"a/{HOLE}.png", f"a/{HOLE}.tif"]) == Template(f"a/{HOLE}.tif", ())


def test_rows_without_files_are_counted_and_named() -> None:
    files = (*named("{id}_{channel}.png", IDS[:-1], ("a", "b")), f"{IDS[-1]}_a.png")
    naming = match_rows_to_files(pl.DataFrame({"id": IDS}), None, files)
    assert (naming.missing, naming.examples_missing) == (1, (f"{IDS[-1]}_b.png",))


def test_rows_of_one_image_become_one_where_the_column_names_images() -> None:
    cells = [(name, label, str(place)) for place, name in enumerate(IDS) for label in ("RBC", "Platelets", "RBC")]
    train = pl.DataFrame(cells, schema=["image", "kind", "x"], orient="row").with_row_index("y").cast(pl.String)
    naming = match_rows_to_files(train, None, named("{id}.png", IDS))
    assert (naming.id, naming.joined, naming.pattern) == ("image", "image", "{image}.png")
    first = {"image": IDS[0], "kind": "Platelets|RBC", "x": "0"}  # y, a number in which they differ, is left out
    assert naming.train.row(0, named=True) == first


def test_several_rows_an_image_are_refused_with_a_remedy_where_it_may_be_another_thing() -> None:
    train = pl.DataFrame({"dish": [name for name in IDS for _ in range(3)], "x": [str(n) for n in range(36)]})
    with pytest.raises(DataError, match="several rows name the same image"):
        match_rows_to_files(train, None, named("{id}.png", IDS))


def test_zeros_that_a_spreadsheet_took_away_are_put_back() -> None:
    train, test = pl.DataFrame({"id": ["7", "8", "10"]}), pl.DataFrame({"id": ["112"]})
    files = ("a/0007_x.png", "a/0008_x.png", "a/0010_x.png", "a/0112_x.png")
    naming = match_rows_to_files(train, test, files)
    assert (naming.id, naming.added, naming.pattern, naming.missing) == ("id", "id_padded", "a/{id_padded}_x.png", 0)
    assert naming.test is not None
    assert naming.test["id_padded"].to_list() == ["0112"]


def test_names_that_do_not_match_are_shown_side_by_side() -> None:
    with pytest.raises(DataError, match=r"id: 7, 8 and the files are named a7\.png"):
        match_rows_to_files(pl.DataFrame({"id": ["7", "8", "9"]}), None, ("a7.png", "a4.png", "a5.png"))


@settings(max_examples=25, deadline=None)
@given(
    ids=st.lists(st.from_regex(r"[a-z0-9]{2,6}(_[0-9]{1,3})?", fullmatch=True), min_size=4, max_size=9, unique=True),
    effort=st.sampled_from([0, 1]),
)
def test_a_matched_template_always_gives_the_file_back(ids: list[str], effort: int) -> None:
    files = named("p/{id}_{channel}.png", ids, ("c1", "c2"))
    for value, templates in match_values(files, set(ids), effort).items():
        assert all(template.replace(HOLE, value) in files for template in templates)


def test_files_of_a_row_follow_the_channels() -> None:
    naming = match_rows_to_files(pl.DataFrame({"id": IDS}), None, named("{id}_{channel}.png", IDS, ("green", "red")))
    assert files_of_row(naming, {"id": "q"}) == ["q_red.png", "q_green.png"]


def test_orders_of_channels_are_those_of_people() -> None:
    assert channel_order(["yellow", "blue", "red", "green"]) == ("red", "green", "blue", "yellow")
    assert channel_order(["ch10", "ch2", "ch1"]) == ("ch1", "ch2", "ch10")
    assert sorted(["b", "a10", "a9", "10"], key=natural_key) == ["10", "a9", "a10", "b"]
