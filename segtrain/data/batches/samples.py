"""What a source reads becomes samples: augmented crops to train on, whole images to be scored."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from ...errors import UserError
from ..files.large import ImageInParts
from ..files.pictures import Span
from .augment import Augment, happens
from .mixing import Crop, below_average, overlaid, random_box, rare_class
from .sampler import SAMPLE, generator, number_together
from .sides import exchanged
from .source import Source
from .window import Window


class TrainSamples(Dataset[dict[str, Any]]):
    """Key -> an augmented crop: {image (C, h, w), mask (h, w), key, color (C, C+1)}; of images that do not fill 0..1
    also {span (2, C)}, the lowest and the highest values that they fill.

    The other image that a crop has a part of, if any, is drawn from its key too, and read only then.
    """

    def __init__(
        self,
        source: Source,
        augment: Augment,
        crop: Sequence[int],
        void: int,
        seed: int,
        rarity: np.ndarray | None,
        flip_pairs: Sequence[tuple[int, int]],
        span: Span | None = None,
    ) -> None:
        self.source, self.augment, self.crop, self.void, self.seed = source, augment, tuple(crop), void, seed
        self.rarity, self.flip_pairs, self.span = rarity, flip_pairs, span

    def __getitem__(self, key: int) -> dict[str, Any]:
        rng, index = generator(self.seed, SAMPLE, key), key % len(self.source)
        crop = self._crop_of(index, rng)
        color = self.augment.color(crop[0].shape[0], rng, self.span)
        if happens(self.augment.cutmix, rng):
            crop = self._with_box(crop, index, rng)
        if happens(self.augment.paste, rng):
            crop = self._with_rare_class(crop, index, rng)
        image = self.augment.camera(crop[0], rng, self.span)
        sample = {"image": image, "mask": crop[1], "key": key, "color": color}
        return sample if self.span is None else {**sample, "span": torch.tensor(self.span)}

    def _crop_of(
        self, index: int, rng: np.random.Generator, rarity: np.ndarray | None = None, rare: float | None = None
    ) -> Crop:
        """A crop of an image; `rarity` and `rare` stand in for those of all crops."""
        size, mask = self.source.sizes[index], ReadOnce(partial(self.source.read_mask, index))
        rarity = self.rarity if rarity is None else rarity
        window = self.augment.window(size, crop=self.crop, rng=rng, mask=mask, rarity=rarity, rare=rare)
        if self.source.shrinks(index):
            window = window.snapped(self.crop, size)
        return self._cut(window, *self._read(index, window.shrink, mask))

    def _read(self, index: int, shrink: int, mask: "ReadOnce") -> tuple[Tensor, Tensor]:
        if shrink > 1:
            return self.source.read_small(index, shrink), mask()
        return self.source.read(index, mask.known)

    def _cut(self, window: Window, image: Tensor, mask: Tensor) -> Crop:
        low = self.span and self.span.low
        image, mask = window.cut(image, mask, crop=self.crop, void=self.void, low=low)
        return image, exchanged(mask, self.flip_pairs) if window.mirrored else mask

    def _with_box(self, crop: Crop, index: int, rng: np.random.Generator) -> Crop:
        other = self._another(index, rng)
        return overlaid(crop, self._crop_of(other, rng), random_box(self.crop, rng))

    def _with_rare_class(self, crop: Crop, index: int, rng: np.random.Generator) -> Crop:
        """The class is drawn anew from the donor's crop, where a mirror image has given it the other side's label."""
        assert self.rarity is not None
        rarity, other = below_average(self.rarity), self._another(index, rng)
        donor = self._crop_of(other, rng, rarity, rare=1.0)
        chosen = rare_class(rng, donor[1], rarity)
        return crop if chosen is None else overlaid(crop, donor, donor[1] == chosen)

    def _another(self, index: int, rng: np.random.Generator) -> int:
        """Another image than that with this index, if there is one."""
        others = len(self.source) - 1
        return (index + 1 + int(rng.integers(others))) % len(self.source) if others else index


class ReadOnce:
    """The mask of an image, which is `known` from when it is first called for."""

    def __init__(self, read: Callable[[], Tensor]) -> None:
        self.read = read
        self.known: Tensor | None = None

    def __call__(self) -> Tensor:
        if self.known is None:
            self.known = self.read()
        return self.known


class WholeSamples(Dataset[dict[str, Any]]):
    """Index -> the whole image with its mask: {image (C, H, W), mask (H, W), key}.

    A large TIFF is read in parts where it is alone in its batch.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Raises UserError for an image that is no longer of the size by which it was put into a batch."""
        known = self.source.sizes[index]
        read = self.source.read_in_parts if number_together(*known) == 1 else self.source.read
        image, mask = read(index)
        size = tuple(image.shape[-2:])
        if size != known:
            reason = f"it was {known[0]} x {known[1]}, and is {size[0]} x {size[1]} now"
            raise UserError(f"{self.source.names[index]} has changed meanwhile: {reason}")
        return {"image": image, "mask": mask, "key": index}


def batch_of(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Samples together; an image that is read in parts is a batch of its own."""
    image = samples[0]["image"]
    if not isinstance(image, ImageInParts):
        return default_collate(samples)
    (sample,) = samples
    others = {name: value for name, value in sample.items() if name != "image"}
    return {**default_collate([others]), "image": image}
