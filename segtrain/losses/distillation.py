"""How far a student's answers are from those of its teacher."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .contract import exact


class Distillation(nn.Module):
    """The Kullback-Leibler divergence of a student's class probabilities from its teacher's, summed over valid pixels.

    Both are softened by a temperature T, and the sum is multiplied by T^2, so that its gradients keep their size
    whatever T is (Hinton et al. 2015, https://arxiv.org/abs/1503.02531, section 2). It is counted in valid pixels, as a
    term of a `Loss` is, but needs the teacher's logits too.

    Args:
        temperature: T, above 0; the larger, the more the teacher's small probabilities count.
        void: mask value of void pixels.
    """

    terms = 1

    def __init__(self, *, temperature: float, void: int) -> None:
        super().__init__()
        self.temperature, self.void = temperature, void

    def count(self, mask: Tensor) -> Tensor:
        return (mask != self.void).sum().float()[None]

    def forward(self, logits: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        """(1,): the sum, from logits (N, classes, H, W) of both and masks (N, H, W); 0 where all is void."""
        student, answers = (F.log_softmax(exact(scores) / self.temperature, 1) for scores in (logits, teacher))
        each = F.kl_div(student, answers, reduction="none", log_target=True).sum(1)
        return self.temperature**2 * torch.where(mask == self.void, 0, each).sum()[None]
