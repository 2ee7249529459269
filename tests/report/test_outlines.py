import numpy as np
import pytest

from segtrain.data.files.polygons import fill
from segtrain.report import outlines
from segtrain.report.outlines import Region, area, corners, regions, simple


def mask_of(text: str) -> np.ndarray:
    return np.array([[int(character) for character in line] for line in text.split()])


def points(ring: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, ring.tolist()))


def filled(region: Region, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool by the rings of a region, painted as polygons that others drew are."""
    inside = np.zeros(size, np.uint8)
    for ring in region.rings:
        part = np.zeros(size, np.uint8)
        fill(part, ring.astype(np.float32), 1)
        inside ^= part
    return inside.astype(bool)


def test_a_region_is_outlined_along_the_edges_of_its_pixels():
    zeros, ones = sorted(regions(mask_of("0011 0001")))
    assert points(zeros.rings[0]) == {(0, 0), (2, 0), (2, 1), (3, 1), (3, 2), (0, 2)}
    assert points(ones.rings[0]) == {(2, 0), (4, 0), (4, 2), (3, 2), (3, 1), (2, 1)}
    assert (ones.value, ones.pixels, ones.box) == (1, 3, (2, 0, 2, 2))


def test_a_hole_is_a_ring_of_its_own():
    region = next(item for item in regions(mask_of("1111 1001 1111")) if item.value == 1)
    outer, hole = region.rings
    assert points(outer) == {(0, 0), (4, 0), (4, 3), (0, 3)}
    assert points(hole) == {(1, 1), (3, 1), (3, 2), (1, 2)}
    assert region.pixels == 10


def test_pixels_that_touch_at_a_corner_are_two_regions_and_two_holes():
    ones = [item for item in regions(mask_of("10 01")) if item.value == 1]
    assert [item.pixels for item in ones] == [1, 1]
    (region,) = (item for item in regions(mask_of("1111 1011 1101 1111")) if item.value == 1)
    assert [abs(area(ring)) for ring in region.rings] == [16, 1, 1]


def test_a_ring_that_closes_at_a_corner_surrounds_a_hole():
    (region,) = (item for item in regions(mask_of("0110 1001 1111")) if item.value == 1 and item.pixels > 2)
    assert region.pixels == 6


def test_a_line_through_the_middle_of_edges_becomes_one_around_their_corner():
    diamond = np.array([[1, 1.5], [1.5, 1], [2, 1.5], [1.5, 2], [1, 1.5]])
    assert corners(diamond).tolist() == [[1, 1], [2, 1], [2, 2], [1, 2]]


def test_a_ring_without_a_corner_twice_stays_as_it_is():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    assert simple(square)[0] is square


@pytest.mark.parametrize("tile", [8, 4096])
@pytest.mark.parametrize("size", [(1, 1), (9, 7), (30, 41)])
@pytest.mark.parametrize("kinds", [1, 2, 5])
def test_the_regions_of_noise_are_the_mask_again(
    monkeypatch: pytest.MonkeyPatch, tile: int, size: tuple[int, int], kinds: int
):
    monkeypatch.setattr(outlines, "TILE", tile)
    mask = np.random.default_rng(kinds).integers(0, kinds, size).astype(np.uint8)
    again = np.full(size, 99)
    for region in regions(mask):
        inside = filled(region, size)
        assert (again[inside] == 99).all()
        again[inside] = region.value
        rows, columns = inside.nonzero()
        left, top, width, height = region.box
        assert region.pixels == inside.sum()
        assert (left, top, left + width - 1, top + height - 1) == (columns.min(), rows.min(), columns.max(), rows.max())
        assert all(len(ring) == len(np.unique(ring, axis=0)) for ring in region.rings)
    assert (again == mask).all()
