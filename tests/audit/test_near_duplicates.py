"""Near duplicates: hashes under turns and crops, links among many hashes, and confirmation on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from holotype.audit import cluster_hashes, find_duplicates, perceptual_hashes
from holotype.audit import hamming_search as links_module
from holotype.audit.cluster_diameter import clusters_within_diameter
from holotype.audit.hamming_search import nearby_hashes
from holotype.audit.perceptual_hash import flip_transpose, zscore
from holotype.audit.verify_duplicates import block_r2
from holotype.data import fingerprint, unpack_fingerprints


def picture(seed: int, channels: int = 2, side: int = 96) -> np.ndarray:
    """Soft random structure with some fine detail, 16 bits."""
    generator = np.random.default_rng(seed)
    fields = [
        sum(gaussian_filter(generator.random((side, side)), width) * width for width in (2, 5, 11))
        for _ in range(channels)
    ]
    return np.stack([(field - field.min()) / np.ptp(field) * 60_000 for field in fields]).astype(np.uint16)


def hashed(*pictures: np.ndarray, variants: bool = False) -> np.ndarray:
    return perceptual_hashes(unpack_fingerprints([fingerprint(one) for one in pictures]), variants)


def test_a_hash_is_the_signs_of_the_lowest_frequencies():
    unpacked = unpack_fingerprints([fingerprint(picture(1))])
    grey = zscore(unpacked.pixels)[0].mean(axis=0)
    low = dctn(grey, norm="ortho")
    bits = [int(bit) for bit in f"{int(perceptual_hashes(unpacked)[0]):064b}"]
    assert bits[:2] == [int(low[0, 1] > 0), int(low[1, 0] > 0)] or bits[:2] == [int(low[1, 0] > 0), int(low[0, 1] > 0)]
    assert sum(bits) == sum(low[row, column] > 0 for row, column in zip(*lowest(), strict=True))


def lowest() -> tuple[list[int], list[int]]:
    cells = sorted((row + column, max(row, column), min(row, column), row) for row in range(11) for column in range(11))
    rows = [(total - row, row) for total, _, _, row in cells[1:65]]
    return [row for _, row in rows], [column for column, _ in rows]


@pytest.mark.parametrize("orientation", range(8))
def test_a_turned_or_mirrored_image_has_the_hash_of_that_variant(orientation):
    plain = picture(3)
    turned = np.ascontiguousarray(flip_transpose(plain, orientation))
    assert np.bitwise_count(hashed(plain, variants=True)[0, 0, orientation] ^ hashed(turned)[0]) <= 1


def test_unlike_images_have_hashes_far_apart():
    hashes = hashed(*[picture(seed) for seed in range(20)])
    apart = np.bitwise_count(hashes[:, None] ^ hashes)[~np.eye(20, dtype=bool)]
    assert apart.min() > 12


@given(st.integers(0, 2**32 - 1), st.integers(0, 8))
def test_links_are_those_of_brute_force(seed, bits):
    generator = np.random.default_rng(seed)
    base = generator.integers(0, 2**64, 60, dtype=np.uint64)
    flips = np.uint64(1) << generator.integers(0, 64, (60, 9), dtype=np.uint64)
    keep = np.arange(9) < generator.integers(0, 10, (60, 1))
    queries = base ^ np.bitwise_xor.reduce(np.where(keep, flips, np.uint64(0)), axis=1)
    found = {
        (int(a), int(b))
        for rows, others, _ in nearby_hashes(queries, base, bits)
        for a, b in zip(rows, others, strict=True)
    }
    near = np.bitwise_count(queries[:, None] ^ base) <= bits
    assert found == {(int(a), int(b)) for a, b in zip(*np.nonzero(near), strict=True)}


@pytest.mark.parametrize("crowded", [4_000, 50])
def test_clusters_hold_every_pair_that_is_close_even_in_a_crowd(monkeypatch, crowded):
    monkeypatch.setattr(links_module, "CROWDED_CHUNK", crowded)
    generator = np.random.default_rng(8)
    dark = np.full(1_500, 2**40 + 7, np.uint64)
    for _ in range(5):
        bit = np.uint64(1) << generator.integers(0, 64, len(dark), dtype=np.uint64)
        dark = np.where(generator.random(len(dark)) < 0.5, dark ^ bit, dark)
    hashes = np.concatenate([dark, generator.integers(0, 2**64, 500, dtype=np.uint64)])
    cluster = cluster_hashes(hashes, 6)
    first, second = np.nonzero(np.bitwise_count(hashes[:, None] ^ hashes) <= 6)
    assert (cluster[first] == cluster[second]).all()
    assert len(np.unique(cluster[1_500:])) == 500


def test_a_chain_is_cut_where_it_is_weakest():
    variants = np.array([0, 0b1111, 0b11111111, 0b111111111111], np.uint64)[:, None, None].repeat(8, axis=2)
    tails, heads = np.array([0, 1, 2]), np.array([1, 2, 3])
    whole = clusters_within_diameter(4, tails, heads, np.array([0.9, 0.8, 0.95], np.float32), variants, 12)
    assert len(set(whole.tolist())) == 1
    cut = clusters_within_diameter(4, tails, heads, np.array([0.9, 0.8, 0.95], np.float32), variants, 4)
    assert cut[0] == cut[1] != cut[2] == cut[3]


def test_what_a_picture_explains_of_another():
    one, other = (zscore((picture(seed, 1, 32) >> 8).astype(np.uint8)) for seed in (1, 2))
    shifted = np.roll(one, 0, axis=1)
    assert block_r2(one, shifted * 1.0)[0] > 0.99
    assert block_r2(one, -one)[0] == 0
    assert block_r2(one, other)[0] < 0.5


def changed(kind: str, pixels: np.ndarray) -> np.ndarray:
    side = pixels.shape[1]
    return {
        "turned": np.rot90(pixels, axes=(1, 2)),
        "mirrored": pixels[:, :, ::-1],
        "brightened": np.clip(pixels * 0.7 + 4_000, 0, 65_535),
        "8 bits": pixels // 257,
        "noisy": np.clip(pixels + np.random.default_rng(0).normal(0, 300, pixels.shape), 0, 65_535),
        "cropped": pixels[:, 1 : side - 3, 4:],
        "smaller": pixels.reshape(len(pixels), side // 2, 2, side // 2, 2).mean(axis=(2, 4)),
    }[kind].astype(np.uint16 if kind != "8 bits" else np.uint8)


@pytest.mark.parametrize("kind", ["turned", "mirrored", "brightened", "8 bits", "noisy", "cropped", "smaller"])
def test_a_changed_copy_is_found_among_others(kind):
    pictures = [picture(seed) for seed in range(12)]
    pictures.append(np.ascontiguousarray(changed(kind, pictures[4])))
    digests = np.array([str(number) for number in range(13)])
    packed = [fingerprint(one) for one in pictures]
    for read in (None, pictures.__getitem__):
        same = find_duplicates(digests, packed, 6, read)
        if read is None and kind == "cropped":
            continue  # fingerprints alone are too coarse for a crop
        assert np.flatnonzero(same.cluster == 0).tolist() == [4, 12]
        assert same.pairs.select("row", "other", "kind").rows() == [(4, 12, "near")]


def test_copies_of_faint_images_of_a_12_bit_camera_are_found():
    pictures = [picture(seed) // 100 for seed in range(6)]
    pictures.append(np.ascontiguousarray(changed("turned", pictures[4])))
    assert unpack_fingerprints([fingerprint(one) for one in pictures]).contrast.max() < 0.004
    digests = np.array([str(number) for number in range(7)])
    same = find_duplicates(digests, [fingerprint(one) for one in pictures], 6, pictures.__getitem__)
    assert same.pairs.select("row", "other").rows() == [(4, 6)]


def test_flat_and_unreadable_images_are_like_no_other():
    flat = [np.full((1, 40, 40), 7, np.uint8), np.full((1, 40, 40), 9, np.uint8)]
    noise = [np.random.default_rng(seed).integers(10, 12, (1, 40, 40)).astype(np.uint16) for seed in range(3)]
    packed = [*[fingerprint(one) for one in (*flat, *noise)], None]
    same = find_duplicates(np.array(list("abcdef")), packed, 6)
    assert same.cluster.tolist() == [-1] * 6


def test_equal_pixels_and_near_ones_make_one_cluster():
    one = picture(5)
    pictures = [one, picture(6), one, np.ascontiguousarray(changed("turned", one))]
    same = find_duplicates(np.array(["a", "b", "a", "c"]), [fingerprint(each) for each in pictures], 6)
    assert same.cluster.tolist() == [0, -1, 0, 0]
    assert same.pairs["kind"].to_list() == ["exact", "near"]
    assert same.pairs.select("row", "other").rows() == [(0, 2), (0, 3)]
