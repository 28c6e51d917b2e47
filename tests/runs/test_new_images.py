"""What a run is asked about, in tables of every form."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from holotype.core.errors import DataError
from holotype.core.progress import Progress
from holotype.core.table_files import write_table
from holotype.recipe.sections import DataSpec
from holotype.runs.new_images import read_new_images


def test_a_table_to_predict_is_read_as_the_training_table_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("007", "b"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    table = pl.DataFrame({"id": ["007", "b"], "plate": ["1.0", "NA"], "cell": ["HeLa ", "?"]})
    write_table(table, tmp_path / "new[1].xlsx")
    data = DataSpec(train="t.csv", images=str(tmp_path / "{id}.png"), groups=["plate"], domain="cell")
    images = read_new_images(tmp_path / "new[1].xlsx", data, ("x", "y"), "multiclass", Progress())
    assert images.frame["id"].to_list() == ["007", "b"]
    assert images.frame["group.plate"].to_list() == ["1", None]
    assert images.frame["domain"].to_list() == ["HeLa", None]
    assert "1 row of" in "".join(capsys.readouterr())
    named = read_new_images(f"{tmp_path / 'new[1].xlsx'}#table", data, ("x", "y"), "multiclass")
    assert named.frame.equals(images.frame)
    with pytest.raises(DataError, match="no sheet 'Sheet9'"):
        read_new_images(f"{tmp_path / 'new[1].xlsx'}#Sheet9", data, ("x", "y"), "multiclass")
