from __future__ import annotations

from itertools import product

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holotype.inspect.file_match import files_of_row
from holotype.inspect.match_files import match_rows_to_files
from holotype.inspect.multi_column_patterns import format_pattern, infer_pattern

WELLS = pl.DataFrame(
    [
        {"id_code": f"{experiment}_{plate}_{well}", "experiment": experiment, "plate": plate, "well": well}
        for experiment, plate, well in product(("HEPG2-01", "HEPG2-02", "U2OS-01"), "1234", ("B02", "B03", "C17"))
    ]
)


def screen(sites: str = "12", channels: str = "123456") -> tuple[str, ...]:
    """Files of a screen: a plate a folder, two sites a well, six stains a site."""
    return tuple(
        f"images/{row['experiment']}/Plate{row['plate']}/{row['well']}_s{site}_w{channel}.png"
        for row in WELLS.iter_rows(named=True)
        for site, channel in product(sites, channels)
    )


def test_several_columns_make_up_a_name_and_what_is_left_is_the_channel() -> None:
    rows = pl.concat([WELLS.with_columns(pl.lit(site).alias("site")) for site in "12"])
    found = infer_pattern(rows, screen())
    assert found is not None
    assert found.pattern == "images/{experiment}/Plate{plate}/{well}_s{site}_{channel}.png"
    assert found.channels == ("w1", "w2", "w3", "w4", "w5", "w6")
    assert found.sites == ()


def test_what_no_column_tells_before_the_channel_is_a_site_and_each_becomes_a_row() -> None:
    files = tuple(name for name in screen() if "U2OS-01/Plate4/C17_s2" not in name)  # one site was never taken
    naming = match_rows_to_files(WELLS, None, files)
    assert (naming.id, naming.sample, naming.added, naming.missing) == ("image", "id_code", "site", 0)
    assert naming.train.height == 2 * WELLS.height - 1
    assert naming.train["image"][:2].to_list() == ["HEPG2-01_1_B02_1", "HEPG2-01_1_B02_2"]
    named = [name for row in naming.train.iter_rows(named=True) for name in files_of_row(naming, row)]
    assert sorted(named) == sorted(files)


def test_folders_of_the_two_tables_are_their_roles() -> None:
    train, test = (WELLS.filter(pl.col("experiment").str.starts_with("HEPG2") == own) for own in (True, False))
    files = tuple(name.replace("images", "test" if "U2OS" in name else "train") for name in screen("1"))
    naming = match_rows_to_files(train, test, files)
    assert naming.pattern == "{role}/{experiment}/Plate{plate}/{well}_s1_{channel}.png"
    assert (naming.missing, naming.unused, naming.added) == (0, 0, None)


def test_one_channel_of_two_words_is_no_site() -> None:
    files = tuple(
        f"{row['experiment']}/{row['plate']}-{row['well']}-{channel}.tif"
        for row in WELLS.iter_rows(named=True)
        for channel in ("dna_bright", "er_dim")
    )
    found = infer_pattern(WELLS, files)
    assert found is not None
    assert (found.pattern, found.channels, found.sites) == (
        "{experiment}/{plate}-{well}-{channel}.tif",
        ("dna_bright", "er_dim"),
        (),
    )


def test_values_that_two_columns_share_go_where_the_files_are() -> None:
    rows = pl.DataFrame({"row": [str(n // 4) for n in range(16)], "col": [str(n % 4) for n in range(16)]})
    files = tuple(f"f_{row}_{col}.png" for row, col in rows.filter(pl.col("row") <= pl.col("col")).iter_rows())
    upper = rows.filter(pl.col("row") <= pl.col("col"))
    found = infer_pattern(upper.with_columns(pl.Series("id", range(upper.height)).cast(pl.String)), files)
    assert found is not None
    assert found.pattern == "f_{row}_{col}.png"


@pytest.mark.parametrize(
    "files",
    [
        tuple(f"{row['well']}.png" for row in WELLS.iter_rows(named=True)),  # one column, and rows that share a file
        tuple(f"{{a}}/{name}" for name in screen()),  # braces are the pattern's own
        tuple(f"cell_{number}.png" for number in range(36)),
    ],
)
def test_names_that_do_not_lead_each_row_to_its_own_files_are_left_alone(files: tuple[str, ...]) -> None:
    assert infer_pattern(WELLS, files) is None


def test_columns_may_be_called_anything() -> None:
    rows = WELLS.rename({"plate": "plate no. [1]", "well": "channel", "experiment": "a:b!r"})
    rows = rows.with_columns(pl.col("channel").alias("well.name"))
    found = infer_pattern(rows, tuple(name.replace("_s1_w1", "") for name in screen("1", "1")))
    assert found is not None
    assert found.pattern == "images/{a:b!r}/Plate{plate no. [1]}/{well.name}.png"


@given(st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.text("xyz{}", max_size=3))))
def test_filling_leaves_what_has_no_value(values: dict[str, str | None]) -> None:
    made = format_pattern("{a}-{b}", values)
    first, second = (f"{{{name}}}" if name not in values else values[name] or "" for name in "ab")
    assert made == f"{first}-{second}"
