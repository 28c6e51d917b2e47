"""Every way in which images may lie: folders, COCO's JSON, arrays, axes with names, addresses, sites of a sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pytest
import tifffile
import zarr
from PIL import Image
from pydantic import ValidationError

from holotype.core.errors import DataError
from holotype.core.runtime import Runtime
from holotype.data import measure_images, read_image, read_images, table_warnings
from holotype.data.axes import arrange_named
from holotype.data.limits import ReadOptions
from holotype.recipe.sections import DataSpec, LabelSpec
from holotype.types import Ranks

PIXELS = np.random.default_rng(1).integers(0, 65_000, (4, 9, 11)).astype(np.uint16)


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


# ---- a folder for each class


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for number, name in enumerate(["cat/a.png", "cat/b.png", "dog/a.png", "dog/p1/c.png", "dog/p1/c.jpg", ".x/y.png"]):
        picture(tmp_path / "train" / name, number)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_for_each_class_is_a_table(folders):
    images = read_images(DataSpec(train=str(folders / "train"), groups=["subfolder"]))
    assert images.classes == ("cat", "dog")
    assert images.frame["id"].to_list() == ["cat/a", "cat/b", "dog/a", "dog/p1/c.jpg", "dog/p1/c.png"]
    assert images.frame["labels"].to_list() == [[0], [0], [1], [1], [1]]
    assert images.frame["group.subfolder"].to_list() == [None, None, None, "p1", "p1"]
    assert images.files_of_row(4) == [str(folders / "train/dog/p1/c.png")]
    assert measure_images(images, Runtime()).frame["error"].null_count() == 5


def test_a_folder_to_predict_has_images_at_any_depth_and_ids_of_its_own(folders):
    for name in ("u.png", "cat/a.png"):
        picture(folders / "new" / name, 7)
    images = read_images(DataSpec(train=str(folders / "train"), test=str(folders / "new")))
    of_test = images.frame.filter(pl.col("role") == "test")
    assert of_test["id"].to_list() == ["new/cat/a", "new/u"]  # `cat/a` is taken
    assert of_test["labels"].null_count() == 2


@pytest.mark.parametrize(("name", "message"), [("loose.png", "is in no class folder"), (None, "no images")])
def test_a_folder_that_spells_no_classes_is_refused(tmp_path, name, message):
    (tmp_path / "train").mkdir()
    if name:
        picture(tmp_path / "train" / name)
    with pytest.raises(DataError, match=message):
        read_images(DataSpec(train=str(tmp_path / "train")))


# ---- COCO's JSON


def coco(**changes: Any) -> dict[str, Any]:
    """Four sheets of three species, as Herbarium 2020 has them."""
    return {
        "images": [
            {"id": number, "file_name": f"images/{number}.png", "width": 8, "license": 1} for number in range(4)
        ],
        "annotations": [
            {"id": number, "image_id": number, "category_id": number % 3, "region_id": 0, "bbox": [0, 0, 1, 1]}
            for number in range(4)
        ],
        "categories": [
            {"id": number, "name": name, "genus": genus, "family": "Rosaceae"}
            for number, (name, genus) in enumerate(
                [("Rosa canina", "Rosa"), ("Rosa gallica", "Rosa"), ("Rubus idaeus", "Rubus")]
            )
        ],
        "regions": [{"id": 0, "name": "north"}],
    } | changes


def written(folder: Path, content: Any, name: str = "metadata.json") -> str:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder / name)


def test_a_json_brings_labels_taxonomy_and_files(tmp_path):
    spec = DataSpec(
        train=written(tmp_path, coco()),
        domain="region",
        labels=LabelSpec(column="species", taxonomy=["genus", "family"]),
        test=written(tmp_path, {"images": [{"id": 9, "file_name": "images/9.png"}]}, "test.json"),
    )
    images = read_images(spec)
    assert images.classes == ("Rosa canina", "Rosa gallica", "Rubus idaeus")
    assert images.frame["labels"].to_list() == [[0], [1], [2], [0], None]
    assert images.files_of_row(3) == [str(tmp_path / "images" / "3.png")]
    assert images.frame["domain"].to_list() == ["north"] * 4 + [None]
    assert images.taxonomy is not None
    assert images.taxonomy.rows() == [
        ("Rosa canina", "Rosa", "Rosaceae"),
        ("Rosa gallica", "Rosa", "Rosaceae"),
        ("Rubus idaeus", "Rubus", "Rosaceae"),
    ]


def test_the_categories_ids_may_be_the_labels(tmp_path):
    content = coco()
    content["categories"][1]["id"] = 17
    content["annotations"][1]["category_id"] = 17
    labels = LabelSpec(column="category_id", taxonomy=["genus"])
    images = read_images(DataSpec(train=written(tmp_path, content), labels=labels))
    assert images.classes == ("0", "2", "17")
    assert images.frame["labels"].to_list() == [[0], [2], [1], [0]]
    assert images.taxonomy is not None
    assert images.taxonomy.rows() == [("0", "Rosa"), ("2", "Rubus"), ("17", "Rosa")]


def test_several_annotations_are_several_labels(tmp_path):
    content = coco()
    content["annotations"] += [{"id": 9, "image_id": 0, "category_id": 2}, {"id": 10, "image_id": 0, "category_id": 2}]
    path = written(tmp_path, content)
    many = LabelSpec(kind="multilabel", separator="|")
    assert read_images(DataSpec(train=path, labels=many)).frame["labels"].to_list() == [[0, 2], [1], [2], [0]]
    with pytest.raises(DataError, match=r"several categories: '?0'?.*multilabel"):
        read_images(DataSpec(train=path))
    with pytest.raises(DataError, match="holds the separator ' '"):
        read_images(DataSpec(train=path, labels=LabelSpec(kind="multilabel")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ([1], "no list `images`"),
        (coco(images=[]), "no rows in `images`"),
        (coco(images=[{"id": 0}]), "not every entry of `images` has 'file_name'"),
        (coco(annotations=[]), "has no annotations"),
        (coco(annotations=[{"image_id": 0, "category_id": 7}]), "refer to a missing category: '?7'?"),
        (coco(annotations=[{"image_id": 8, "category_id": 0}]), "refer to a missing image"),
        (coco(categories=[{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]), "categories of the same id"),
        (coco(images=[{"id": 0, "file_name": "../../etc/passwd"}]), "leads outside"),
        (coco(images=[{"id": 0, "file_name": "/etc/passwd"}]), "leads outside"),
    ],
)
def test_a_json_that_is_wrong_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_images(DataSpec(train=written(tmp_path, content)))


# ---- the taxonomy


def labelled(folder: Path, **columns: list[str]) -> str:
    pl.DataFrame({"id": ["i", "j", "k"], "label": ["a", "b", "c"], **columns}).write_csv(folder / "train.csv")
    return str(folder / "train.csv")


def test_a_taxonomy_is_a_table_with_a_row_a_class(tmp_path):
    pl.DataFrame({"name": ["c", "a", "b", "z"], "genus": ["G", "G", "H", "H"]}).write_csv(tmp_path / "taxa.csv")
    labels = LabelSpec(taxonomy=str(tmp_path / "taxa.csv"))
    images = read_images(DataSpec(train=labelled(tmp_path), images="{id}.png", labels=labels))
    assert images.taxonomy is not None
    assert images.taxonomy.rows() == [("a", "G"), ("b", "H"), ("c", "G")]


@pytest.mark.parametrize(
    ("columns", "ranks", "message"),
    [
        ({"genus": ["G", "G", "H"], "family": ["F", "E", "F"]}, ["genus", "family"], "genus 'G' lies in several of"),
        ({"genus": ["G", "G", ""]}, ["genus"], "a rank is empty"),
        ({"genus": ["G", "G", "G"]}, ["genuss"], "did you mean 'genus'"),
    ],
)
def test_a_taxonomy_that_is_not_nested_is_refused(tmp_path, columns, ranks, message):
    spec = DataSpec(train=labelled(tmp_path, **columns), images="{id}.png", labels=LabelSpec(taxonomy=ranks))
    with pytest.raises(DataError, match=message):
        read_images(spec)


def test_a_species_of_two_genera_is_refused_wherever_it_stands(tmp_path):
    pl.DataFrame({"class": ["a", "b", "c", "a"], "genus": ["G", "H", "H", "H"]}).write_csv(tmp_path / "taxa.csv")
    by_table = LabelSpec(taxonomy=str(tmp_path / "taxa.csv"))
    with pytest.raises(DataError, match=r"1 class with more than one set of ranks: a"):
        read_images(DataSpec(train=labelled(tmp_path), images="{id}.png", labels=by_table))
    rows = {"id": ["i", "j", "k"], "label": ["a", "a", "b"], "genus": ["G", "H", "H"]}
    pl.DataFrame(rows).write_csv(tmp_path / "train.csv")
    spec = DataSpec(train=str(tmp_path / "train.csv"), images="{id}.png", labels=LabelSpec(taxonomy=["genus"]))
    with pytest.raises(DataError, match=r"1 class with more than one set of ranks: a"):
        read_images(spec)


def test_a_taxonomy_is_of_one_label_a_sample():
    with pytest.raises(ValidationError, match="taxonomy: requires multiclass labels"):
        LabelSpec(kind="multilabel", taxonomy=["genus"])


def test_ranks_are_whole_numbers_in_the_order_of_the_classes(tmp_path):
    given = labelled(tmp_path, genus=["H", "G", "H"], family=["F", "E", "F"])
    images = read_images(DataSpec(train=given, images="{id}.png", labels=LabelSpec(taxonomy=["genus", "family"])))
    assert images.ranks == Ranks(("genus", "family"), (("H", "G"), ("F", "E")), ((0, 1, 0), (0, 1, 0)))
    assert images.samples.ranks == images.ranks


def test_a_rank_that_all_classes_share_is_left_out_and_said(tmp_path):
    given = labelled(tmp_path, genus=["G", "H", "H"], phylum=["P", "P", "P"])
    images = read_images(DataSpec(train=given, images="{id}.png", labels=LabelSpec(taxonomy=["genus", "phylum"])))
    assert images.ranks == Ranks(("genus",), (("G", "H"),), ((0, 1, 1),), ("phylum",))
    assert any("The phylum is the same for all classes" in warning for warning in table_warnings(images))


def test_a_taxonomy_without_a_class_is_refused(tmp_path):
    pl.DataFrame({"class": ["a", "b"], "genus": ["G", "H"]}).write_csv(tmp_path / "taxa.csv")
    labels = LabelSpec(taxonomy=str(tmp_path / "taxa.csv"))
    with pytest.raises(DataError, match=r"1 class without ranks: '?c"):
        read_images(DataSpec(train=labelled(tmp_path), images="{id}.png", labels=labels))


# ---- arrays


@pytest.mark.parametrize(
    "stored", [PIXELS, np.moveaxis(PIXELS, 0, -1), PIXELS[:, None], PIXELS[:1]], ids=["cyx", "yxc", "grey", "one"]
)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_an_array_file_is_one_image_or_holds_one_a_row(tmp_path, stored, ending):
    image = stored[0] if stored.shape == (4, 1, 9, 11) else stored
    channels = np.moveaxis(image, -1, 0) if image.shape[-1] == 4 else image
    save = np.save if ending == "npy" else np.savez_compressed
    save(tmp_path / f"one.{ending}", image)
    save(tmp_path / f"all.{ending}", np.stack([image + 1, image]))
    np.testing.assert_array_equal(read_image([tmp_path / f"one.{ending}"]), channels)
    np.testing.assert_array_equal(read_image([f"{tmp_path}/all.{ending}#1"]), channels)


def test_one_array_may_hold_all_images_of_a_table(tmp_path):
    path = labelled(tmp_path)
    np.save(tmp_path / "images_train.npy", np.arange(3 * 5 * 6, dtype=np.uint8).reshape(3, 5, 6))
    images = read_images(DataSpec(train=path, images=f"{tmp_path}/images_{{role}}.npy"))
    assert images.files_of_row(2) == [f"{tmp_path}/images_train.npy#2"]
    assert read_image(images.files_of_row(2))[0, 0, 0] == 60
    np.save(tmp_path / "images_train.npy", np.zeros((2, 5, 6), np.uint8))
    with pytest.raises(DataError, match="has 2 rows and its table 3"):
        read_images(DataSpec(train=path, images=f"{tmp_path}/images_{{role}}.npy"))


def test_arrays_that_are_no_image_are_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "cube.npy", np.zeros((5, 5, 5), np.uint8))
    np.savez(tmp_path / "two.npz", np.zeros((5, 5)), np.zeros((5, 5)))
    np.save(tmp_path / "all.npy", np.zeros((2, 5, 5), np.uint8))
    for name, message in (
        ("objects.npy", "holds object values"),
        ("cube.npy", "channel axis is ambiguous"),
        ("two.npz", "holds 2 arrays"),
        ("all.npy#2", "no row 2"),
        ("none.npy", "does not exist"),
    ):
        with pytest.raises(DataError, match=message):
            read_image([f"{tmp_path}/{name}"])


# ---- axes with names


@pytest.mark.parametrize("axes", ["CYX", "TCZYX", "CZYX", "TZCYX"])
def test_ome_tiff_keeps_the_order_of_its_channels(tmp_path, axes):
    shape = [{"C": 4, "Y": 9, "X": 11}.get(axis, 1) for axis in axes]
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS.reshape(shape), metadata={"axes": axes}, photometric="minisblack")
    np.testing.assert_array_equal(read_image([tmp_path / "a.ome.tif"]), PIXELS)


@pytest.mark.parametrize(("axes", "message"), [("ZYX", "holds 4 planes"), ("TYX", "holds 4 times")])
def test_planes_and_times_are_no_channels(tmp_path, axes, message):
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, metadata={"axes": axes}, photometric="minisblack")
    with pytest.raises(DataError, match=f"{message}.*projection"):
        read_image([tmp_path / "a.ome.tif"])


def test_axes_may_stand_in_any_order():
    np.testing.assert_array_equal(arrange_named(PIXELS.transpose(1, 2, 0)[None], "TYXC", "a", ReadOptions()), PIXELS)
    np.testing.assert_array_equal(arrange_named(PIXELS[0].T, "XY", "a", ReadOptions()), PIXELS[:1])
    with pytest.raises(DataError, match="has the axes CSYX"):
        arrange_named(np.zeros((2, 3, 4, 5)), "CSYX", "a", ReadOptions())


@pytest.mark.parametrize("axes", [["t", "c", "z", "y", "x"], [{"name": "c"}, {"name": "y"}, {"name": "x"}]])
def test_ome_zarr_is_read_at_full_resolution(tmp_path, axes):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    full = PIXELS[None, :, None] if len(axes) == 5 else PIXELS
    group.create_dataset("0", data=full)
    group.create_dataset("1", data=full[..., ::2, ::2])
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}, {"path": "1"}], "axes": axes}]
    np.testing.assert_array_equal(read_image([tmp_path / "a.zarr"]), PIXELS)


def test_a_microscopes_own_format_names_the_extra_it_needs(tmp_path):
    (tmp_path / "a.czi").write_bytes(b"x")
    with pytest.raises(DataError, match=r"holotype\[bio\]"):
        read_image([tmp_path / "a.czi"])


# ---- addresses


def test_tables_and_images_may_lie_afar(tmp_path):
    system = fsspec.filesystem("memory")
    for name in "ijk":
        tifffile.imwrite(tmp_path / "one.tif", PIXELS, photometric="minisblack")
        system.pipe(f"/far/images/{name}.tif", (tmp_path / "one.tif").read_bytes())
        system.pipe(f"/far/images/{name}.png", picture(tmp_path / "one.png").read_bytes())
    system.pipe("/far/train.csv", Path(labelled(tmp_path)).read_bytes())
    for ending, channels in (("tif", 4), ("png", 1)):
        images = read_images(DataSpec(train="memory://far/train.csv", images=f"memory://far/images/{{id}}.{ending}"))
        assert images.files_of_row(1) == [f"memory://far/images/j.{ending}"]
        facts = measure_images(images, Runtime()).frame
        assert facts["channels"].to_list() == [channels] * 3
    with pytest.raises(DataError, match=r"memory://far/images/x.png does not exist"):
        read_image(["memory://far/images/x.png"])
    with pytest.raises(DataError, match="cannot be opened"):
        read_image(["nowhere://far/x.png"])


# ---- one file a channel, two sites a sample


def test_wells_own_their_sites(tmp_path):
    rows = [
        {
            "site_id": f"{well}_s{site}",
            "id_code": f"HUVEC-01_1_{well}",
            "experiment": "HUVEC-01",
            "plate": "1",
            "well": well,
            "site": str(site),
            "sirna": label,
        }
        for well, label in (("B02", "4"), ("B03", "10"), ("B04", "4"))
        for site in (1, 2)
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "train.csv")
    pattern = f"{tmp_path}/{{experiment}}/Plate{{plate}}/{{well}}_s{{site}}_w{{channel}}.png"
    channels = [str(number) for number in range(1, 7)]
    for row in rows:
        for channel in channels:
            picture(Path(pattern.format(**row, channel=channel)), int(channel))
    spec = DataSpec(
        train=str(tmp_path / "train.csv"),
        id="site_id",
        sample="id_code",
        images=pattern,
        channels=channels,
        labels=LabelSpec(column="sirna"),
        groups=["experiment"],
    )
    images = read_images(spec)
    assert len(images) == 6
    assert images.sample_numbers.tolist() == [0, 0, 1, 1, 2, 2]
    assert images.classes == ("4", "10")
    assert images.samples.matrix(np.arange(3)).argmax(axis=1).tolist() == [0, 1, 0]
    assert images.files_of_row(3)[5] == f"{tmp_path}/HUVEC-01/Plate1/B03_s2_w6.png"
    assert read_image(images.files_of_row(3)).shape == (6, 8, 8)
