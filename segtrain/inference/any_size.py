"""A network whose graph takes images of any size."""

import torch
from torch import Tensor, nn

USUAL = 32  # the largest stride of nearly all encoders


class AnySize(nn.Module):
    """A network with its padding as a part of the graph, for the exporters.

    They follow one way through `if`, so that a network that pads only where it has to would keep that for images of all
    sizes. Here rows and columns are gathered, the last ones several times, up to a multiple of the largest stride; the
    network then finds nothing to pad. A slice, which is nothing where all is kept, would be such an `if` too.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.multiple = network, getattr(network, "coarsest", USUAL)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes, H, W) in float32 of images (N, C, H, W)."""
        height, width = image.shape[-2:]
        rows, columns = self.padded(height, image.device), self.padded(width, image.device)
        logits = self.network(image.index_select(2, rows).index_select(3, columns))
        first_rows, first_columns = (torch.arange(length, device=image.device) for length in (height, width))
        return logits.index_select(2, first_rows).index_select(3, first_columns).float()

    def padded(self, length: int, device: torch.device) -> Tensor:
        """Places along one side of an image, of which the last is repeated."""
        whole = (length + self.multiple - 1) // self.multiple * self.multiple
        return torch.arange(whole, device=device).clamp(max=length - 1)
