"""OME-XML names the planes of the file it lies in, and never opens another."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tifffile

from holotype.audit import audit_images
from holotype.core.errors import DataError
from holotype.core.runtime import Runtime
from holotype.data import measure_images, read_image
from holotype.recipe.sections import AuditSpec
from holotype.types import AuditReport, ImageTable

PLANES = np.random.default_rng(5).integers(0, 256, (32, 12, 14)).astype(np.uint8)
SPACE = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def uuid(number: int) -> str:
    return f"urn:uuid:00000000-0000-0000-0000-{number:012d}"


def block(file: str | None, number: int = 0, first: str = 'FirstC="0"', ifd: int = 0, count: int = 1) -> str:
    named = "" if file is None else f'<UUID FileName="{file}">{uuid(number)}</UUID>'
    return f'<TiffData IFD="{ifd}" {first} PlaneCount="{count}">{named}</TiffData>'


def image(*blocks: str, channels: int = 1, planes: int = 1, times: int = 1, order: str = "XYCZT") -> str:
    return (
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint8" SizeX="14" SizeY="12" '
        f'SizeC="{channels}" SizeZ="{planes}" SizeT="{times}">{"".join(blocks)}</Pixels></Image>'
    )


def written(path: Path, planes: Sequence[np.ndarray], *images: str, number: int | None = None, **more: object) -> Path:
    own = "" if number is None else f' UUID="{uuid(number)}"'
    xml = f'<?xml version="1.0" encoding="UTF-8"?><OME {SPACE}{own}>{"".join(images)}</OME>'
    with tifffile.TiffWriter(path) as tiff:
        for place, plane in enumerate(planes):
            tiff.write(plane, description=xml.encode() if not place else None, metadata=None, contiguous=False, **more)
    return path


def positions(folder: Path, count: int, channels: int) -> list[Path]:
    """Files as Micro-Manager writes them: each lists the planes of all."""
    blocks = [block(f"Pos{number}.ome.tif", number, count=channels) for number in range(count)]
    images = [image(one, channels=channels) for one in blocks]
    return [
        written(
            folder / f"Pos{number}.ome.tif", PLANES[channels * number : channels * (number + 1)], *images, number=number
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "channels"), [(16, 1), (3, 2), (2, 3)])
def test_a_position_holds_its_own_planes_and_those_of_no_other(tmp_path, count, channels):
    files = positions(tmp_path, count, channels)
    for number, file in enumerate(files):
        np.testing.assert_array_equal(read_image([file]), PLANES[channels * number : channels * (number + 1)])
    for file in files[1:]:
        file.unlink()
    np.testing.assert_array_equal(read_image([files[0]]), PLANES[:channels])


def test_a_position_under_a_new_name_is_known_by_its_uuid(tmp_path):
    file = positions(tmp_path, 3, 2)[1].rename(tmp_path / "renamed.tif")
    np.testing.assert_array_equal(read_image([file]), PLANES[2:4])


def test_a_file_a_channel_is_one_plane_even_where_the_xml_lists_both(tmp_path):
    both = image(block("a_0.ome.tif", 0), block("a_1.ome.tif", 1, 'FirstC="1"'), channels=2)
    files = [
        written(tmp_path / f"a_{number}.ome.tif", PLANES[number : number + 1], both, number=number)
        for number in range(2)
    ]
    np.testing.assert_array_equal(read_image(files), PLANES[:2])
    np.testing.assert_array_equal(read_image(files[1:]), PLANES[1:2])


@pytest.mark.parametrize("order", ["XYCZT", "XYZCT", "XYTCZ", "XYZTC"])
def test_the_order_of_dimensions_is_honored(tmp_path, order):
    shape = [{"C": 2, "Z": 3, "T": 1}[axis] for axis in order[:1:-1]]
    axes = [order[:1:-1].index(axis) for axis in "TZC"]
    expected = PLANES[:6].reshape(*shape, 12, 14).transpose(*axes, 3, 4)[0].max(axis=0)
    file = written(tmp_path / "a.ome.tif", PLANES[:6], image(block(None, count=6), channels=2, planes=3, order=order))
    np.testing.assert_array_equal(read_image([file], projection="max"), expected)


def noted(function: Callable[..., Any], paths: list[str]) -> Callable[..., Any]:
    """A function that opens files, which notes what it was asked for."""

    def wrapped(path: Any, *rest: Any, **more: Any) -> Any:
        paths.append(str(path))
        return function(path, *rest, **more)

    return wrapped


NAMED = ["/etc/passwd", "../secret.tif", "secret.tif", "pipe.tif", "nowhere.tif", "https://example.org/a.tif"]


@pytest.mark.parametrize("named", NAMED)
def test_no_file_is_opened_because_xml_names_it(tmp_path, monkeypatch, named):
    os.mkfifo(tmp_path / "pipe.tif")
    tifffile.imwrite(tmp_path / "secret.tif", PLANES[9])
    both = image(block("a.ome.tif", 0), block(named, 1, 'FirstC="1"'), channels=2)
    file = written(tmp_path / "a.ome.tif", PLANES[:1], both, number=0)
    opened: list[str] = []
    for module, name in ((builtins, "open"), (io, "open"), (os, "open")):
        monkeypatch.setattr(module, name, noted(getattr(module, name), opened))
    np.testing.assert_array_equal(read_image([file]), PLANES[:1])
    assert [path for path in opened if not path.isdigit()] == [str(file)]


@pytest.mark.parametrize(
    ("images", "pages", "reason"),
    [
        ([image(block(None, count=3), channels=3)], 2, "has 2 pages, and its OME-XML describes more"),
        ([image(block(None, count=2), channels=3)], 2, "lacks 1 of the 3 planes that its OME-XML describes"),
        ([image(channels=2)], 2, "lacks 2 of the 2 planes"),
        ([image(block(None)), image(block(None, ifd=1))], 2, r"holds 2 images \(OME-XML\)"),
        ([image(block("b.tif", 8), channels=2), image(block("c.tif", 9))], 2, "describes other files and not this one"),
        (
            [
                image(
                    block("a.ome.tif", 1, 'FirstC="0" FirstZ="0"', 0, 2),
                    block("a.ome.tif", 1, 'FirstC="0" FirstZ="1"', 2, 1),
                    block("b.tif", 2, 'FirstC="1" FirstZ="1"'),
                    channels=2,
                    planes=2,
                )
            ],
            3,
            "lacks 1 of the 4 planes of its image",
        ),
        ([image(block(None, count=10**9), channels=10**9)], 2, "has 2 pages, and its OME-XML describes more"),
        ([image(block(None))], 2, "has 2 pages, of which its OME-XML describes 1"),
        ([image(block(None, count=2), planes=2)], 2, r"holds 2 planes; write data\.projection"),
        ([image(block(None), order="XYQQQ")], 1, "dimension order 'XYQQQ'"),
        (['<BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:1"/>'], 2, "pages that only another file descri"),
        (["<Image><Pixels"], 1, "has broken OME-XML"),
    ],
)
def test_what_the_xml_promises_and_the_file_lacks_is_a_refusal(tmp_path, images, pages, reason):
    file = written(tmp_path / "a.ome.tif", PLANES[:pages], *images)
    with pytest.raises(DataError, match=rf"a\.ome\.tif.*{reason}"):
        read_image([file])


def test_one_page_is_clear_whatever_a_companion_says(tmp_path):
    file = written(tmp_path / "a.ome.tif", PLANES[:1], '<BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:1"/>')
    np.testing.assert_array_equal(read_image([file]), PLANES[:1])
    file = written(tmp_path / "b.ome.tif", PLANES[:1], image(block("old name.tif", 4)))
    np.testing.assert_array_equal(read_image([file]), PLANES[:1])


def test_entities_are_refused(tmp_path):
    path = written(tmp_path / "a.ome.tif", PLANES[:1], image(block(None)))
    plain, entity = b'<?xml version="1.0" encoding="UTF-8"?>', b'<!DOCTYPE a [<!ENTITY b "c">]>'
    path.write_bytes(path.read_bytes().replace(plain, entity.ljust(len(plain))))
    with pytest.raises(DataError, match="a document type"):
        read_image([path])


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_planes_of_an_ome_tiff_are_turned_and_inverted_as_any_other(tmp_path, photometric):
    file = written(
        tmp_path / "a.ome.tif",
        PLANES[:2],
        image(block(None, count=2), channels=2),
        photometric=photometric,
        extratags=[(274, 3, 1, 6, False)],
    )
    values = PLANES[:2] if photometric == "minisblack" else 255 - PLANES[:2]
    np.testing.assert_array_equal(read_image([file]), np.rot90(values, -1, axes=(1, 2)))


def test_samples_of_a_page_are_the_channels_of_rgb(tmp_path):
    colors = np.moveaxis(PLANES[:3], 0, -1)
    tifffile.imwrite(tmp_path / "a.ome.tif", colors, photometric="rgb", metadata={"axes": "YXS"})
    np.testing.assert_array_equal(read_image([tmp_path / "a.ome.tif"]), PLANES[:3])
    pyramid = tmp_path / "pyramid.ome.tif"
    with tifffile.TiffWriter(pyramid) as tiff:
        tiff.write(PLANES[:3], subifds=1, photometric="minisblack", metadata={"axes": "CYX"})
        tiff.write(PLANES[:3, ::2, ::2], subfiletype=1, photometric="minisblack")
    np.testing.assert_array_equal(read_image([pyramid]), PLANES[:3])


def channel_pairs(folder: Path, count: int) -> list[list[str]]:
    """Two files an image, one a channel, whose XML lists both."""
    pairs = []
    for number in range(count):
        names = [f"{number}_{channel}.ome.tif" for channel in range(2)]
        blocks = [block(name, channel, f'FirstC="{channel}"') for channel, name in enumerate(names)]
        planes = [PLANES[2 * number + channel][None] for channel in range(2)]
        files = [
            written(folder / name, plane, image(*blocks, channels=2), number=channel)
            for channel, (name, plane) in enumerate(zip(names, planes, strict=True))
        ]
        pairs.append([str(file) for file in files])
    return pairs


def audited(files: Sequence[Sequence[str]]) -> AuditReport:
    ids = [f"i{number}" for number in range(len(files))]
    columns = {"id": ids, "sample": ids, "role": "train", "files": files, "labels": [[n % 2] for n in range(len(ids))]}
    frame = pl.DataFrame(columns).with_columns(domain=pl.lit(None, dtype=pl.String))
    images = ImageTable(frame, ("a", "b"), "multiclass", None)
    return audit_images(images, measure_images(images, Runtime()), AuditSpec(near_duplicate_bits=None))


@pytest.mark.parametrize("renamed", [False, True])
def test_a_channel_in_a_file_that_the_table_does_not_name_is_reported_once(tmp_path, renamed):
    files = [pair[:1] for pair in channel_pairs(tmp_path, 6)]
    if renamed:
        written_xml = [Path(file).read_bytes().replace(b"urn:uuid", b"urn:uuie", 1) for (file,) in files]
        files = [[str(tmp_path / f"new{number}.tif")] for number in range(len(files))]
        for (file,), content in zip(files, written_xml, strict=True):
            Path(file).write_bytes(content)
    report = audited(files)
    assert report.image_problems["problem"].to_list() == ["channels"] * 6
    assert set(report.image_problems["action"]) == {"reported"}
    (warning,) = report.warnings
    assert warning.startswith("6 images have channels in other files")
    assert "'i0' (its OME-XML describes 1 more channel" in warning


def test_channels_in_files_that_the_table_names_are_not_reported(tmp_path):
    report = audited(channel_pairs(tmp_path, 6))
    assert report.warnings == ()
    assert not report.image_problems.height


def test_other_positions_in_other_files_are_not_reported(tmp_path):
    assert audited([[str(file)] for file in positions(tmp_path, 4, 2)]).warnings == ()
