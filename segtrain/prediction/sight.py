"""What a network makes of images, of which several of one size are computed at once where that is faster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..data.batches.sampler import number_together
from ..data.classes import ClassTable
from ..data.files.geotiff import GeoTags
from ..data.files.images import Picture
from ..data.files.large import ImageInParts
from ..inference.image import Area, answers, probable, sure
from ..inference.windows import Pixels, Windows
from ..report.probabilities import Shares
from .written import PROBABILITIES, Predicted, Saver


class Subject(NamedTuple):
    """An image that was read, the name of the files that are written of it, and its place if it is a GeoTIFF."""

    name: str
    image: Picture | ImageInParts
    place: GeoTags | None = None


class Sight(NamedTuple):
    """A network, and how it is shown large images."""

    network: nn.Module
    windows: Windows

    def together(self, subject: Subject) -> int:
        """How many images of this size are computed at once.

        A GPU waits for its orders when it has one small image at a time; large ones keep it busy. A CPU does not wait,
        and there the last bits of an answer shall not depend on the images before it.
        """
        on_gpu = next(self.network.parameters()).is_cuda
        return number_together(*subject.image.size) if on_gpu and isinstance(subject.image, Picture) else 1

    def predicted(self, subjects: Sequence[Subject], saver: Saver) -> list[Predicted]:
        """What comes of images of one shape.

        Probabilities, where they are wanted, are written while they are computed.
        """
        with ExitStack() as files:
            results = [Unfinished(subject, saver.classes) for subject in subjects]
            if PROBABILITIES in saver.target.save:
                for result, (name, image, place) in zip(results, subjects, strict=True):
                    result.shares = files.enter_context(saver.probabilities(name, image.size, place))
                answer = probable
            else:
                answer = sure
            for index, area, parts in answers(self.network, batch_of(subjects), answer, self.windows):
                results[index].add(area, *parts)
        return [result.finished() for result in results]


class Unfinished:
    """What a network answers to an image, a part of its area after the other."""

    def __init__(self, subject: Subject, classes: ClassTable) -> None:
        self.subject, self.void = subject, classes.void
        size, valid = subject.image.size, subject.image.valid
        self.mask, self.confidence = np.empty(size, classes.dtype), np.empty(size, np.uint8)
        self.missing = None if valid is None else ~valid.numpy()
        self.shares: Shares | None = None  # the file of the probabilities of all classes

    def add(self, area: Area, indices: Tensor, highest: Tensor, probabilities: Tensor | None = None) -> None:
        """Note what `sure` or `probable` says of a part."""
        self.mask[area], self.confidence[area] = indices, highest
        if self.shares is not None and probabilities is not None:
            if self.missing is not None:
                probabilities.masked_fill_(torch.from_numpy(self.missing[area]), 0)
            self.shares.write(area, probabilities.permute(1, 2, 0).numpy())

    def finished(self) -> Predicted:
        """All of it; pixels without data are void."""
        if self.missing is not None:
            self.mask[self.missing], self.confidence[self.missing] = self.void, 0
        return Predicted(self.subject.image.preview, self.mask, self.confidence, self.subject.place)


def batch_of(subjects: Sequence[Subject]) -> Pixels:
    """Images of one shape (N, C, H, W)."""
    pictures = [subject.image.batch for subject in subjects if isinstance(subject.image, Picture)]
    return torch.cat(pictures) if len(pictures) > 1 else subjects[0].image.batch


class Found(NamedTuple):
    """An image that was read, with its file, and what told that from others before it was read."""

    subject: Subject
    path: Path
    stamp: list[Any]


def in_groups(images: Iterable[Found], together: Callable[[Subject], int]) -> Iterator[list[Found]]:
    """Images that follow one another and have one shape, as many as are computed at once."""
    group: list[Found] = []
    for found in images:
        if group and shape_of(found.subject) != shape_of(group[0].subject):
            yield group
            group = []
        group.append(found)
        if len(group) >= together(found.subject):
            yield group
            group = []
    if group:
        yield group


def shape_of(subject: Subject) -> tuple[Any, ...]:
    """What images have in common that are computed at once."""
    image = subject.image
    return image.batch.shape, image.pixels.dtype if isinstance(image, Picture) else None
