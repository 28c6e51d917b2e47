"""The report's pictures: what they say is true, they stay small, and hostile names stay text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from holotype.report import (
    EmbeddingMapData,
    ExampleImage,
    ExplainedSample,
    FirstLayer,
    Heatmap,
    NearestImage,
    PictureData,
    Uncertain,
    render_report,
)
from holotype.report.embedding_map import embedding_map_svg
from holotype.report.overlay import overlay_heatmap, signed_colors
from holotype.report.pictures import pictured

HOSTILE = "<img src=x onerror=alert(1)>"
TRICKY = "a\"b'c\nd\u202egnp.exe"
NAMES = ("dna", "er")


def noise(channels: int = 2, side: int = 64, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, (channels, side, side)).astype(np.uint16)


def some_map(points: int = 40, classes: int = 13, side: int = 16, channels: int = 2) -> EmbeddingMapData:
    draw = np.random.default_rng(3)
    names = [f"class {int(number)}" for number in np.minimum(draw.geometric(0.2, points) - 1, classes - 1)]
    return EmbeddingMapData(
        network="b, fold 0",
        method="t-SNE of 50 principal components",
        left_out=7,
        positions=draw.uniform(-1, 1, (points, 2)).astype(np.float32),
        ids=tuple(f"s{number}" for number in range(points)),
        labels=tuple((name,) for name in names),
        decided=tuple((name,) for name in names),
        test=np.arange(points) % 5 == 0,
        wrong=np.arange(points) % 7 == 1,
        pixels=draw.integers(0, 4000, (points, channels, side, side)).astype(np.uint16),
    )


def some_pictures(side: int = 64, many: int = 2, name: str = "dna rich", sample: str = "s1") -> PictureData:
    heat = np.linspace(0, 1, side * side, dtype=np.float32).reshape(side, side)
    heats = (Heatmap(name, "decided", heat), Heatmap("other", "true", 0 * heat))
    kernels = np.zeros((40, 2, 3, 3), np.float32)
    kernels[:, 0], kernels[:, 1] = 2.0, -1.0
    return PictureData(
        explained=tuple(
            ExplainedSample(sample, True, noise(2, side, n), heats, "b, fold 0", (7, 7)) for n in range(many)
        ),
        views=tuple(ExampleImage(sample, (name,), noise(2, side, n)) for n in range(many)),
        filters=FirstLayer("b, fold 0", NAMES, kernels),
        uncertain=tuple(
            Uncertain(sample, 0, (name,), ("other",), ((name, 0.4, None), ("other", 0.41, None)), noise(2, side, n))
            for n in range(many)
        ),
        nearest_images={sample: (NearestImage(sample, (name,), 0.9, noise(2, side)),)},
        nearest_source="among the samples of the map",
        map=some_map(),
    )


def test_a_report_without_pictures_has_none_of_their_sections(make: Callable[..., Any]) -> None:
    text = render_report(make())
    assert not re.search(r'id="(channels|filters|map|attributions|uncertain)"', text)
    assert text.count("<script>") == 1


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_every_section_is_there_and_the_page_stays_whole(make: Callable[..., Any], kind: str) -> None:
    text = render_report(make(kind=kind, channels=NAMES, pictures=some_pictures(sample="img_00000")))
    for section in ("channels", "filters", "map", "attributions", "uncertain"):
        assert f'<section id="{section}"' in text
    assert "no evidence" in text
    assert "Its resolution is 7 × 7" in text
    assert 'class="nearest-images"' in text
    assert text.count("<script>") == 2


def test_hostile_names_come_out_as_text(make: Callable[..., Any]) -> None:
    for name in (HOSTILE, TRICKY):
        hostile = some_pictures(name=name, sample=name)
        drawn = some_map()
        drawn = EmbeddingMapData(
            **{
                **vars(drawn),
                "network": name,
                "method": name,
                "ids": (name,) * 40,
                "labels": ((name,),) * 40,
                "decided": ((name,),) * 40,
            }
        )
        text = render_report(
            make(
                channels=(name, "er"),
                pictures=PictureData(
                    **{
                        **vars(hostile),
                        "map": drawn,
                        "nearest_source": name,
                        "filters": FirstLayer(name, (name, "er"), hostile.filters.kernels),
                    }
                ),
            )
        )  # type: ignore[union-attr]
        assert "<img src=x" not in text
        assert "\u202e" not in text
        assert 'd="a"b' not in text
    refused = render_report(make(pictures=PictureData(unexplained=f"no map of {HOSTILE}")))
    assert "&lt;img src=x onerror=alert(1)&gt;" in refused


def test_the_largest_report_stays_below_its_fifteen_megabytes(make: Callable[..., Any]) -> None:
    names, pixels = tuple("abcd"), noise(4, 260)
    full = some_pictures(side=260)
    heats = full.explained[0].heats
    wide = {
        "explained": tuple(ExplainedSample("s", True, pixels, heats, "b", (7, 7)) for _ in range(24)),
        "views": tuple(ExampleImage("s", ("a",), pixels) for _ in range(6)),
        "uncertain": tuple(Uncertain("s", 0, (), (), (("a", 0.5, None),), pixels) for _ in range(24)),
        "nearest_images": {
            f"img_{n:05d}": tuple(NearestImage("k", ("a",), 0.5, pixels) for _ in range(3)) for n in range(36)
        },
        "map": some_map(800, side=64, channels=4),
    }
    own = PictureData(**{**vars(full), **wide})
    contents = make(classes=48, mistakes=36, side=260, channels=names, pictures=own)
    assert 3_000_000 < len(render_report(contents).encode()) < 12_500_000


def test_intensities_are_given_in_the_files_own_units(make: Callable[..., Any]) -> None:
    plane = np.full((1, 100, 100), 500, np.uint16)
    plane[0, :50] = 12_000
    flat = np.full((1, 100, 100), 0.25, np.float32)
    drawn = pictured(
        make(
            channels=NAMES,
            pictures=PictureData(views=(ExampleImage("s", ("a",), np.concatenate([plane, plane // 2])),)),
        )
    )["views"]
    assert [one["range"] for one in drawn["rows"][0]["planes"]] == ["500 to 12,000", "250 to 6,000"]
    assert drawn["depth"] == "16-bit integers"
    floats = pictured(
        make(channels=NAMES, pictures=PictureData(views=(ExampleImage("s", ("a",), np.concatenate([flat, -flat])),)))
    )["views"]
    assert [one["range"] for one in floats["rows"][0]["planes"]] == ["0.25 to 0.25", "−0.25 to −0.25"]


def test_a_channels_share_is_that_of_the_squared_weights(make: Callable[..., Any]) -> None:
    own = some_pictures()
    shown = pictured(make(channels=NAMES, pictures=own))["filters"]
    assert [row["share"] for row in shown["rows"]] == ["80 %", "20 %"]  # 2² against 1²
    assert shown["leans"] == "dna"
    assert (shown["count"], shown["shown"], shown["stayed"], shown["began"]) == (40, 24, False, False)
    kernels = own.filters.kernels  # type: ignore[union-attr]
    began = pictured(make(channels=NAMES, pictures=PictureData(filters=FirstLayer("b", NAMES, kernels, kernels))))
    assert began["filters"]["stayed"]
    even = pictured(make(channels=NAMES, pictures=PictureData(filters=FirstLayer("b", NAMES, np.ones((4, 2, 3, 3))))))
    assert even["filters"]["leans"] == ""


def test_a_map_colours_ten_classes_and_rings_what_is_wrong() -> None:
    contents = some_map(200)
    drawn = embedding_map_svg(contents, None)
    assert drawn is not None
    dots = re.findall(r'<circle [^>]*?r="4"(?: class="([^"]*)")? data-cell="(\d+)"', str(drawn["drawing"]))
    assert sorted(int(cell) for _, cell in dots) == list(range(200))
    kinds = {int(cell): set(kind.split()) for kind, cell in dots}
    assert all(("wrong" in kinds[row]) == contents.wrong[row] for row in range(200))
    assert all(("test" in kinds[row]) == contents.test[row] for row in range(200))
    assert len(drawn["legend"]) == 10
    assert drawn["others"] == sum(not any(kind.startswith("map-") for kind in own) for own in kinds.values()) > 0
    assert sum(one["count"] for one in drawn["legend"]) + drawn["others"] == 200
    assert [one["count"] for one in drawn["legend"]] == sorted((one["count"] for one in drawn["legend"]), reverse=True)
    assert "wrong" in dots[-1][0]


def test_of_several_labels_the_rarest_gives_the_colour() -> None:
    contents = some_map(6)
    labels = (("common", "rare"), ("common",), ("common",), ("rare", "common"), (), ("common",))
    drawn = embedding_map_svg(EmbeddingMapData(**{**vars(contents), "labels": labels}), None)
    assert drawn is not None
    assert [(one["name"], one["count"]) for one in drawn["legend"]] == [("common", 3), ("rare", 2)]
    assert drawn["others"] == 1


def test_heat_hides_nothing_where_it_is_cold() -> None:
    pixels, heat = noise(3, 32), np.zeros((32, 32), np.float32)
    heat[:, 16:] = 1.0
    seen, plain = overlay_heatmap(pixels, heat, None).astype(int), overlay_heatmap(pixels, 0 * heat, None).astype(int)
    assert (seen[:, :16] == plain[:, :16]).all()
    assert (plain.max(axis=2) == plain.min(axis=2)).all()  # grey
    assert seen[:, 16:].mean() > plain[:, 16:].mean() + 30


def test_signed_weights_are_blue_below_and_orange_above_nothing() -> None:
    blue, white, orange = signed_colors(np.array([-2.0, 0.0, 2.0]), 2.0).astype(int)
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    assert white.min() > 240
    assert signed_colors(np.zeros((2, 2)), 0.0).shape == (2, 2, 3)


def test_an_oblong_picture_of_the_map_stands_in_the_color_of_its_own_edges():
    from holotype.report.embedding_map import _edge_color

    white = Image.new("RGB", (40, 10), (250, 251, 252))
    white.paste((10, 20, 30), (10, 3, 30, 7))
    assert _edge_color(white) == (250, 251, 252)
