import torch
from torch import Tensor, nn

from segtrain.inference.cost import SIDE, LiveTensors, bytes_per_pixel


class Steps(nn.Module):
    """4 bytes in; then 40 of one convolution; then 8 more of another one, while these 40 are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 10, 1), nn.Conv2d(10, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def test_the_cost_is_what_lives_at_a_time() -> None:
    assert bytes_per_pixel(Steps(), torch.zeros(1, 1, 5, 5)) == 4 + 40 + 8


def test_neither_weights_nor_their_copies_in_another_precision_are_a_cost() -> None:
    large = nn.Sequential(nn.Conv2d(1, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Conv2d(1000, 1000, 1))
    with torch.autocast("cpu", torch.bfloat16):
        cost = bytes_per_pixel(large, torch.zeros(1, 1, 5, 5))
    assert 2000 <= cost < 2020


def test_what_is_freed_is_taken_off() -> None:
    image = torch.zeros(10)
    with torch.inference_mode(), LiveTensors(image) as tensors:
        for _ in range(5):
            image + 1
        kept = image * 2
        view = kept[3:]
    assert tensors.most == 2 * image.nbytes
    assert tensors.live == image.nbytes + kept.nbytes
    del kept
    assert tensors.live == 2 * image.nbytes
    del view
    assert tensors.live == image.nbytes


def test_the_image_that_is_tried_is_small() -> None:
    assert SIDE <= 256
