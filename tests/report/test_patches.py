import numpy as np
import pytest

from segtrain.report.patches import labelled, largest_patch

E = -1  # nothing


def test_patches_touch_along_edges_and_not_at_corners():
    values = np.array([[1, 1, E, 2], [E, 1, 2, 2], [1, E, E, 1]])
    labels = labelled(values)
    assert (labels == -1).tolist() == (values == E).tolist()
    assert len(np.unique(labels[labels >= 0])) == 4
    assert len(set(labels[values == 2])) == 1
    assert labels[2, 0] != labels[1, 1]


def test_the_largest_patch_has_its_value_pixels_and_box():
    values = np.full((6, 9), E)
    values[1:3, 2:7], values[2, 1] = 5, 5
    values[4:6, :5] = 3
    patch = largest_patch(values)
    assert patch is not None
    assert (patch.value, patch.pixels, patch.box) == (5, 11, (1, 1, 7, 3))
    assert (patch.where == (values == 5)).all()
    assert largest_patch(np.full((2, 2), E)) is None


def test_a_spiral_is_one_patch():
    values = np.full((61, 61), E)
    row, column, length, (down, right) = 0, 0, 60, (0, 1)
    while length > 0:
        for _ in range(length):
            values[row, column] = 0
            row, column = row + down, column + right
        down, right = right, -down
        length -= 1 if down == 0 else 2
    labels = labelled(values)
    assert len(np.unique(labels)) == 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 53)])
@pytest.mark.parametrize("kinds", [1, 2, 5])
def test_patches_are_those_of_scipy(shape: tuple[int, int], kinds: int):
    ndimage = pytest.importorskip("scipy.ndimage")
    values = np.random.default_rng(sum(shape)).integers(-1, kinds, shape)
    labels = labelled(values)
    assert (labels[values < 0] == -1).all()
    total = 0
    for kind in range(kinds):
        theirs, number = ndimage.label(values == kind)
        both = np.unique(np.stack([theirs, labels])[:, values == kind], axis=1)
        assert both.shape[1] == number == len(set(both[1]))
        total += number
    assert len(np.unique(labels[labels >= 0])) == total
