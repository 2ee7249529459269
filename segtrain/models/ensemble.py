"""Several answers that become one: those of several networks, or of one network to an image, its mirror image, and the
image in other sizes."""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def probabilities(network: nn.Module, answer: Tensor, dim: int = 1) -> Tensor:
    """The probabilities of the classes, float32, from what a network answers. `Ensemble`, `Mirrored` and `Scaled`
    answer in probabilities; others in logits, which are divided by the temperature noted on the network, if any."""
    inner = getattr(network, "module", network)  # Fabric's wrapper leaves the network as it is
    if isinstance(inner, Ensemble | Mirrored | Scaled):
        return answer.float()
    logits = answer.contiguous().float()  # softmax wants planes, which are made sooner before they are in float32
    temperature = getattr(inner, "temperature_of_answers", 1.0)
    return (logits if temperature == 1 else logits / temperature).softmax(dim)


class Ensemble(nn.Module):
    """The mean of the probabilities of several networks, as in deep ensembles (Lakshminarayanan, Pritzel and Blundell,
    2017, arXiv:1612.01474).

    Args:
        members: Networks, images (N, C, H, W) -> logits (N, classes, H, W), or `Mirrored` ones, of the same classes in
            the same order.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (N, classes, H, W), float32; NaN where the logits of a member are NaN or infinite."""
        first, *others = self.members
        total = probabilities(first, first(x))
        for member in others:
            total = total + probabilities(member, member(x))
        return total / len(self.members)


class Mirrored(nn.Module):
    """The mean of the probabilities that a network gives an image and its mirror image.

    Args:
        network: images (N, C, H, W) -> logits (N, classes, H, W).
        pairs: classes, by index, that a mirror makes of one another, such as the left and the right eye.
    """

    def __init__(self, network: nn.Module, pairs: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__()
        self.network, self.pairs = network, pairs
        self.grid = getattr(network, "coarsest", None)
        self.whole_image = self.grid is None  # where strides begin in a mirrored window, and in the image, is not known

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (N, classes, H, W), float32; NaN where logits are NaN or infinite."""
        width = x.shape[-1]
        mirrored = probabilities(self.network, self.network(x[..., self.columns(width, x.device)]))
        mirrored = self.exchanged(mirrored.flip(-1)[..., :width])
        return (probabilities(self.network, self.network(x)) + mirrored) / 2

    def columns(self, width: int, device: torch.device) -> Tensor:
        """The columns of a mirror image. It begins with what the network would pad the image by: so its strides fall on
        the same columns, in a window as in the whole image."""
        multiple = self.grid or 1
        padded = -(-width // multiple) * multiple
        return torch.arange(padded, device=device).flip(0).clamp(max=width - 1)

    def exchanged(self, probabilities: Tensor) -> Tensor:
        """The probabilities of a mirror image, with those of left and right classes exchanged back."""
        if not self.pairs:
            return probabilities
        order = list(range(probabilities.shape[1]))
        for one, other in self.pairs:
            order[one], order[other] = other, one
        return probabilities[:, order]


class Scaled(nn.Module):
    """The mean of the probabilities that a network gives an image in several sizes.

    Args:
        network: images (N, C, H, W) -> logits (N, classes, H, W), or a `Mirrored` one.
        scales: factors on height and width.
    """

    whole_image = True  # read by `segtrain.inference.reach`: pixels of another size have no place of their own

    def __init__(self, network: nn.Module, scales: Sequence[float]) -> None:
        super().__init__()
        self.network, self.scales = network, scales

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (N, classes, H, W), float32; NaN where logits are NaN or infinite."""
        size = x.shape[-2:]
        total = torch.zeros((), device=x.device)
        for scale in self.scales:
            answer = probabilities(self.network, self.network(resized(x, scale)))
            total = total + F.interpolate(answer, size, mode="bilinear", align_corners=False)
        return total / len(self.scales)


def resized(images: Tensor, scale: float) -> Tensor:
    """Images (N, C, H, W) with height and width times `scale`, in numbers of the same type."""
    if scale == 1:
        return images
    size = [max(1, round(scale * side)) for side in images.shape[-2:]]
    result = F.interpolate(images.float(), size, mode="bilinear", align_corners=False, antialias=True)
    return result if images.is_floating_point() else result.round().to(images.dtype)
