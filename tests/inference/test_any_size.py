import pytest
import torch
from torch import Tensor, nn

from segtrain.inference.any_size import AnySize

from .test_reach import small


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (1, 1), (3, 32)])
def test_the_answer_is_that_of_the_network(size: tuple[int, int]) -> None:
    network = small()
    image = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(AnySize(network)(image), network(image))


def test_a_network_that_does_not_pad_gets_whole_multiples_of_the_usual_stride() -> None:
    sizes = []

    class Seen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sizes.append(tuple(x.shape[-2:]))
            return x.float()

    image = torch.arange(2 * 33, dtype=torch.uint8).view(1, 1, 2, 33)
    assert torch.equal(AnySize(Seen())(image), image.float())
    assert sizes == [(32, 64)]
