"""Images of any type of numbers become what a network computes with: mean 0 and standard deviation 1."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

WHITE = {torch.uint8: 255, torch.uint16: 65535}  # the largest value of a channel; 1 in floating-point images


class Normalized(nn.Module):
    """A network that normalises its images itself, so that its weights and these numbers are never parted.

    Args:
        mean: mean of each image channel, as a fraction of white (of float images: as it is); `None` for 0.5.
        std: standard deviation of each image channel; `None` for 0.25.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
        super().__init__()
        mean, std = list(mean or [0.5]), list(std or [0.25])
        if min(std) <= 0:
            raise ValueError(f"std={std}: expected numbers above 0")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def normalize(self, image: Tensor) -> Tensor:
        """In float32 whatever the type of the weights is, of which half precision would leave 8 of 16 bits."""
        if not image.is_floating_point():
            if image.dtype not in WHITE:
                raise ValueError(f"an image of {image.dtype}: give torch.uint8, torch.uint16, or float in 0..1")
            image = image.float() / WHITE[image.dtype]
        kind = torch.promote_types(self.mean.dtype, torch.float32)
        normal = (image.to(kind) - self.mean.to(kind)) / self.std.to(kind)
        return normal.to(next(self.parameters()).dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Normalized":
        """Move or convert the network. Mean and std lose no digits: they stay in float32 where weights are halved."""
        exact = {"mean": self.mean, "std": self.std}
        super()._apply(fn, recurse)
        for name, values in exact.items():
            moved = self.get_buffer(name)
            if moved.dtype.itemsize < values.dtype.itemsize:
                setattr(self, name, values.to(moved.device))
        return self

    def extra_repr(self) -> str:
        mean = [round(value, 4) for value in self.mean.flatten().tolist()]
        std = [round(value, 4) for value in self.std.flatten().tolist()]
        return f"mean={mean}, std={std}"
