import numpy as np
import pytest
import torch

from segtrain.data.batches.mixing import below_average, overlaid, random_box, rare_class, rare_pixel
from segtrain.data.batches.sampler import SAMPLE, generator


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("labels", [torch.uint8, torch.int16])
def test_pixels_of_another_crop_come_with_their_labels(kind: torch.dtype, labels: torch.dtype):
    crop = torch.tensor([[[1, 2], [3, 4]]]).to(kind), torch.tensor([[0, 1], [0, 1]]).to(labels)
    other = torch.tensor([[[5, 6], [7, 8]]]).to(kind), torch.tensor([[2, 2], [0, 2]]).to(labels)
    image, mask = overlaid(crop, other, other[1] == 2)
    assert (image.dtype, image.tolist()) == (kind, [[[5, 6], [3, 8]]])
    assert (mask.dtype, mask.tolist()) == (labels, [[2, 2], [0, 2]])
    assert crop[0].tolist() == [[[1, 2], [3, 4]]]
    assert crop[1].tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("size", [(40, 60), (61, 33), (8, 8)])
def test_a_box_is_a_rectangle_of_half_the_area_in_any_place(size: tuple[int, int]):
    boxes = [random_box(size, generator(0, SAMPLE, key)) for key in range(300)]
    for box in boxes:
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box, rows[:, None] & columns)
        assert abs(int(box.sum()) - size[0] * size[1] / 2) <= sum(size) / 2
    assert torch.stack(boxes).any(0).float().mean() > 0.99
    heights = [int(box.any(1).sum()) for box in boxes]
    assert min(heights) < 0.6 * size[0]
    assert max(heights) > 0.9 * size[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_a_box_of_the_smallest_crops(size: tuple[int, int]):
    for key in range(20):
        assert random_box(size, generator(0, SAMPLE, key)).shape == size


@pytest.mark.parametrize(
    ("pixels", "rare"),
    [
        ([90, 10], [1]),
        ([50, 50], []),
        ([60, 20, 10, 0], [1, 2]),  # 30 on average
        ([7], []),
        ([0, 0], []),
    ],
)
def test_classes_that_fill_fewer_pixels_than_an_average_one(pixels: list[int], rare: list[int]):
    rarity = np.array([1 / number if number else 0 for number in pixels])
    expected = [value if index in rare else 0 for index, value in enumerate(rarity)]
    assert below_average(rarity).tolist() == expected


def test_a_rare_class_is_drawn_by_its_rarity():
    mask = torch.tensor([[0, 0, 0, 0], [1, 1, 2, 255]], dtype=torch.uint8)
    rarity = np.array([0, 1, 3])
    drawn = [rare_class(generator(0, SAMPLE, key), mask, rarity) for key in range(1000)]
    assert np.bincount(drawn) == pytest.approx([0, 250, 750], abs=45)
    assert {rare_pixel(generator(0, SAMPLE, key), mask, rarity) for key in range(100)} == {(1, 0), (1, 1), (1, 2)}


@pytest.mark.parametrize(("values", "rarity"), [([[255, 255]], [1, 1]), ([[0, 255]], [0, 1])])
def test_no_class_is_drawn_where_there_is_none(values: list[list[int]], rarity: list[float]):
    rng, mask = generator(0, SAMPLE, 0), torch.tensor(values, dtype=torch.uint8)
    assert rare_class(rng, mask, np.array(rarity, float)) is None
    assert rare_pixel(rng, mask, np.array(rarity, float)) is None
