"""What a loss is: terms, each a sum and what it is counted in.

The counts depend on the masks alone. So the divisors over a whole batch, on all devices and in all pieces, are known
before the forward pass, and the mean is exact however the batch is shared out.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import UserError

IGNORED = -100  # torch's default; no mask holds it
CONTRACT = "segtrain.losses.contract.Loss"  # in a message


class Loss(Protocol):
    """One or more terms, such as a cross entropy counted in pixels and a Dice loss counted in images.

    `terms` is how many. All results are float32, or float64 for logits of that kind.
    """

    terms: int

    def count(self, mask: Tensor) -> Tensor:
        """(terms,): what each term is counted in, from masks (N, H, W); 0 where all is void."""
        ...

    def __call__(self, logits: Tensor, mask: Tensor) -> Tensor:
        """(terms,): sums, from logits (N, classes, H, W) and masks (N, H, W); 0 where all is void."""
        ...


def mean_loss(sums: Tensor, counts: Tensor) -> Tensor:
    """One number from the sums and the counts (terms,) of a batch; 0 if it is all void."""
    return (sums / counts.clamp(min=1)).sum()


def exact(logits: Tensor) -> Tensor:
    """Logits in float32 at least, one plane per class: a CPU's softmax is five times slower with channels last."""
    return logits.contiguous().to(torch.promote_types(logits.dtype, torch.float32))


class MeanOf(nn.Module):
    """A loss of torch's kind, (logits, target) -> mean over the pixels, as one term that is counted in valid pixels.

    This is exact for a mean over the valid pixels, such as that of `torch.nn.CrossEntropyLoss` without class weights.
    Void is handed on as the `ignore_index` of the loss, or -100; one that is `None` becomes the void of the masks.

    Args:
        loss: maps logits (N, classes, H, W) and int64 targets (N, H, W) to a scalar.
        void: mask value of void pixels.
    """

    terms = 1

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor], *, void: int) -> None:
        super().__init__()
        self.loss: Any = loss
        self.void = void
        if getattr(loss, "ignore_index", IGNORED) is None:
            self.loss.ignore_index = void
        self.ignored = getattr(loss, "ignore_index", IGNORED)

    def count(self, mask: Tensor) -> Tensor:
        return (mask != self.void).sum().float()[None]

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        pixels = self.count(mask)
        if not pixels:  # where torch's own mean is 0 / 0
            return 0 * exact(logits).sum()[None]
        target = mask.long().masked_fill(mask == self.void, self.ignored)
        return self.loss(exact(logits), target)[None] * pixels


def as_loss(loss: object, *, void: int, num_classes: int) -> Loss:
    """What a configuration made, behind the contract, tried on a few pixels, with its gradient.

    Raises:
        UserError: if it is no loss, or does not keep to the contract.
    """
    name = type(loss).__name__
    if not callable(loss):
        raise UserError(f"loss: a {name} cannot be called with logits and mask")
    fitting: Loss = loss if hasattr(loss, "count") else MeanOf(loss, void=void)  # type: ignore[assignment]
    if not hasattr(fitting, "terms"):
        raise UserError(f"loss: {name} has `count`, but no `terms`, the number of its sums: see {CONTRACT}")
    expected = (fitting.terms,)
    for words, mask in masks_to_try(void, num_classes, target=getattr(fitting, "ignored", void)).items():
        logits = torch.zeros(len(mask), num_classes, *mask.shape[1:], requires_grad=True)
        try:
            sums, counts = fitting(logits, mask), fitting.count(mask)
            torch.autograd.grad(sums.sum(), logits)
        except Exception as error:
            raise UserError(f"loss: {name} cannot be computed from logits and {words} ({error})") from error
        if not sums.shape == counts.shape == expected:
            reason = f"sums and counts of shapes {tuple(sums.shape)}, {tuple(counts.shape)}, not {expected} each"
            raise UserError(f"loss: {name} gives {reason}: see {CONTRACT}, or return the mean as a scalar")
    return fitting


def masks_to_try(void: int, num_classes: int, *, target: int) -> dict[str, Tensor]:
    """Masks (N, H, W) by what they are called; `target` is what a loss is given where they are void."""
    mask = (torch.arange(2 * 8 * 8) % num_classes).view(2, 8, 8).to(torch.uint8 if void < 256 else torch.int16)
    some_void = mask.clone()
    some_void[:, 0] = void
    return {
        "mask": mask,
        f"a mask with void pixels ({target}), which are to be left out": some_void,
        "a mask that is all void": torch.full_like(mask, void),
    }
