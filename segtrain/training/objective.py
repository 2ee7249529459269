"""What a step of training makes small."""

from typing import Any

import torch
from torch import Tensor

from ..losses.contract import Loss
from .teacher import Teacher

Outputs = Tensor | tuple[Tensor, ...]  # logits (N, classes, H, W), and with them those of auxiliary heads


class Objective:
    """The loss, beside it that of auxiliary heads and the distance to a teacher's answers: terms like those of a loss.

    Args:
        auxiliary_weight: Factor on the loss of auxiliary heads.
        auxiliary_stride: Rows and columns from one that these score to the next.
    """

    def __init__(
        self, loss: Loss, *, auxiliary_weight: float, auxiliary_stride: int = 1, teacher: Teacher | None = None
    ) -> None:
        self.loss, self.auxiliary_weight, self.teacher = loss, auxiliary_weight, teacher
        every = slice(None, None, auxiliary_stride)
        self._scored_by_auxiliary = ..., every, every

    def count(self, mask: Tensor) -> Tensor:
        """What the terms are counted in, from masks (N, H, W)."""
        counts = [self.loss.count(mask), self.loss.count(mask[self._scored_by_auxiliary])]
        if self.teacher is not None:
            counts.append(self.teacher.count(mask))
        return torch.cat(counts)

    def sums(self, outputs: Outputs, image: Tensor, mask: Tensor) -> Tensor:
        """The sums of all terms, those of the loss itself first, from what a network answers to images (N, C, H, W)."""
        logits, *heads = all_heads(outputs)
        own = self.loss(logits, mask)
        auxiliary = torch.zeros_like(own)
        for head in heads:
            auxiliary = auxiliary + self.auxiliary_weight * self.loss(head, mask[self._scored_by_auxiliary])
        sums = [own, auxiliary]
        if self.teacher is not None:
            sums.append(self.teacher(image, logits, mask))
        return torch.cat(sums)


def all_heads(outputs: Any) -> tuple[Tensor, ...]:
    """The logits of all heads, the network's own first."""
    return outputs if isinstance(outputs, tuple) else (outputs,)
