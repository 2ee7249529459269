"""Several networks that answer as one."""

from collections.abc import Iterable

from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean of the probabilities of several networks, as in deep ensembles (Lakshminarayanan, Pritzel and Blundell,
    2017, arXiv:1612.01474).

    Args:
        members: Networks, images (N, C, H, W) -> logits (N, classes, H, W), of the same classes in the same order.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (N, classes, H, W), float32; NaN where the logits of a member are NaN or infinite."""
        first, *others = self.members
        total = first(x).float().softmax(1)
        for member in others:
            total = total + member(x).float().softmax(1)
        return total / len(self.members)
