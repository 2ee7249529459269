"""Whether a network that leaves the program still is the one that was trained.

What an exporter writes may differ from what it was given without a word: sizes that were frozen, batch statistics in
place of the running ones, channels in another order. So its answers are held against those of the network itself,
which is computed in fp32: on images with labels, in several sizes, alone and in batches.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..metrics import count_pairs, mean_iou, most_likely
from .windows import Windows

SIZES = (64, 64), (97, 131), (160, 96)  # height and width besides those of the images
TOGETHER = 3  # images in a batch
ROUNDING = 1e-5  # of a pixel's scores: sums of another order, as in a batch of another size, differ by less in fp32
TIED = 0.001  # share of the pixels, at most, that may turn around since their two highest scores are that near


class Limits(NamedTuple):
    """How far the answers may be apart."""

    equal: float  # share of the pixels with the same class, at least
    parts: float  # the same in the small parts, where a few pixels are a large share
    apart: float  # difference of mIoU, at most


FLOATS = Limits(0.999, 0.999, 0.001)
INT8 = Limits(0.98, 0.95, 0.01)


class Check(NamedTuple):
    """Answers that were compared."""

    what: str
    equal: int  # pixels with the same class in both answers
    pixels: int
    needed: float  # share of them that has to be equal

    @property
    def share(self) -> float:
        return self.equal / self.pixels

    @property
    def holds(self) -> bool:
        return self.share >= self.needed


class Verdict(NamedTuple):
    """What the comparison says."""

    checks: list[Check]
    miou: float  # of the network itself
    other: float  # of what was exported
    limits: Limits

    @property
    def problem(self) -> str | None:
        """Why it does not pass; `None` if it does."""
        for check in self.checks:
            if not check.holds:
                return f"{check.what}: {100 * check.share:.3f} % of the pixels are equal, needed {100 * check.needed:g}"
        if not abs(self.miou - self.other) <= self.limits.apart:
            return f"mIoU is {self.other:.4f}, and {self.miou:.4f} by the network itself"
        return None

    def rows(self) -> list[list[str]]:
        """A table in words."""
        rows = [["compared", "pixels", "equal", "needed"]]
        for check in self.checks:
            share = f"{100 * check.share:.4f} %"
            rows.append([check.what, f"{check.pixels:,}", share, f"{100 * check.needed:g} %"])
        return [*rows, ["mIoU", "", f"{self.other:.4f}", f"{self.miou:.4f} +- {self.limits.apart}"]]


@torch.inference_mode()
def compare(
    network: nn.Module,
    other: nn.Module,
    images: Iterable[tuple[Tensor, Tensor]],
    void: int,
    classes: int,
    limits: Limits = FLOATS,
) -> Verdict:
    """Hold `other` against the network that it was exported from.

    Args:
        images: Images (C, H, W) with their masks (H, W), as for a score. They are gone through once.
        void: Value in the masks that is left out.
        classes: Number of classes.
        limits: How far the answers may be apart.
    """
    matrices = torch.zeros(2, classes, classes, dtype=torch.int64)
    equal = pixels = 0
    samples: list[Tensor] = []
    for image, mask in images:
        answers = [answer(side, image[None]) for side in (network, other)]
        equal += int((answers[0] == answers[1]).sum())
        pixels += mask.numel()
        for matrix, prediction in zip(matrices, answers, strict=True):
            matrix += count_pairs(prediction, mask[None], classes, void)[0]
        if len(samples) < TOGETHER:
            samples.append(image)
    whole = Check("whole images", equal, pixels, limits.equal)
    checks = [whole, *in_other_sizes(network, other, samples, limits.parts)]
    return Verdict(checks, mean_iou(matrices[0]), mean_iou(matrices[1]), limits)


def in_other_sizes(network: nn.Module, other: nn.Module, samples: list[Tensor], needed: float) -> Iterator[Check]:
    """Parts of images in several sizes: each alone, as the network answers; and all in a batch, as each alone."""
    for size in SIZES:
        parts = torch.stack([cut(samples[i % len(samples)], size, i) for i in range(TOGETHER)])
        alone = torch.cat([answer(other, part[None]) for part in parts])
        name = f"{size[0]} x {size[1]}"
        expected = torch.cat([answer(network, part[None]) for part in parts])
        yield Check(f"{name}, one at a time", int((alone == expected).sum()), alone.numel(), needed)
        equal, tied = answer(other, parts) == alone, undecided(other, parts)
        turned = int((tied & ~equal).sum())
        excused = turned if turned <= TIED * alone.numel() else 0
        what = f"{name}, {TOGETHER} at a time" + (f", but for {excused} tied" if excused else "")
        yield Check(what, int(equal.sum()) + excused, alone.numel(), 1.0)


def cut(image: Tensor, size: tuple[int, int], start: int) -> Tensor:
    """A part of an image (C, H, W) from the row and column `start` on, which begins anew where the image ends."""
    rows, columns = (
        (torch.arange(length) + start) % limit for length, limit in zip(size, image.shape[1:], strict=True)
    )
    return image[:, rows][:, :, columns]


def answer(network: nn.Module, images: Tensor) -> Tensor:
    """The most likely class of every pixel (N, H, W), int64."""
    prediction = torch.empty(len(images), *images.shape[-2:], dtype=torch.int64)
    for piece in Windows().pieces(network, images):
        if not piece.answer.mean().isfinite():
            raise UserError("the output is not finite (NaN or infinite)")
        prediction[piece.place] = most_likely(piece.answer)
    return prediction


def undecided(network: nn.Module, images: Tensor) -> Tensor:
    """(N, H, W) bool: the pixels whose two highest scores are equal but for rounding, which may turn them around."""
    tied = torch.zeros(len(images), *images.shape[-2:], dtype=torch.bool)
    for piece in Windows().pieces(network, images):
        if piece.answer.shape[1] > 1:
            first, second = piece.answer.topk(2, 1).values.unbind(1)
            tied[piece.place] = first - second <= ROUNDING * piece.answer.abs().amax(1)
    return tied
