"""What the tests of all libraries share."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from segtrain.models import FCN

MEAN, STD = [0.2, 0.4, 0.6], [0.1, 0.2, 0.3]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """The same weights in each test; and no gradients, which no test here needs."""
    torch.manual_seed(0)
    with torch.no_grad():
        yield


@pytest.fixture
def normal() -> Callable[[Tensor], Tensor]:
    """A byte image as a network computes with it that has MEAN and STD."""

    def normalize(image: Tensor) -> Tensor:
        mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
        return (image / 255 - mean) / std

    return normalize


def byte_image(height: int, width: int, *, images: int = 1, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (images, channels, height, width), dtype=torch.uint8, generator=generator)


def on_encoder(encoder: nn.Module, **settings: object) -> FCN:
    return FCN(**({"encoder": encoder, "num_classes": 4, "skips": 3, "widths": [8, 8, 8]} | settings))


def shaken(module: nn.Module) -> dict[str, Tensor]:
    """A state dict such as a training leaves it: no tensor as it is initialised."""
    state = module.state_dict()
    return {name: torch.rand(t.shape) if t.is_floating_point() else t + 3 for name, t in state.items()}


def refuse_any_image_problem(network: nn.Module, classes: int = 4, channels: int = 3) -> None:
    """Logits have the size of the image, whatever it is, and whatever its numbers are."""
    network.eval()
    for height, width in ((64, 96), (45, 67), (33, 32)):
        image = byte_image(height, width, channels=channels)
        logits = network(image)
        assert logits.shape == (1, classes, height, width)
        wide = (image.to(torch.int32) * 257).to(torch.uint16)
        assert torch.allclose(network(wide), logits, atol=1e-4)
        assert torch.allclose(network(image / 255), logits, atol=1e-4)
    assert (network.mean.dtype, network.bfloat16().mean.dtype) == (torch.float32, torch.float32)
    network.float()
