"""Splits and their loaders: samples become the batches that the learner is given."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import Dataset, Sampler

from ...errors import UserError
from ..classes import ClassTable
from ..files.pictures import Span
from ..workers import Loader, cores
from .augment import Augment, fitting_crop
from .sampler import EndlessBatchSampler, Share, of_one_size
from .samples import TrainSamples, WholeSamples, batch_of
from .sides import flip_pairs
from .source import Source
from .statistics import Measured

FIRST_BATCH = 8  # images that larger batches are tried from
MAX_WORKERS = max(32, 4 * (os.cpu_count() or 1))  # more start no faster, and a stranger's settings may ask for any


class DataModule(Measured, LightningDataModule):
    """The splits of a data set and the loaders over them.

    Args:
        crop: Height and width of training crops; `None` takes what `fitting_crop` says of the training images.
        batch_size: Images in a training step, over all processes; `auto` has a training try larger ones than
            `FIRST_BATCH`.
        workers: Processes that read; `auto` decides by the machine. Results do not depend on it.
        augment: `None` where nothing is trained.
        seed: Decides on the order and on the augmentation.

    Attributes:
        flip_pairs: Classes, by index, that a flip makes of one another.
        batches_done: Training batches that were computed before; the next loader starts after them.
        span: The values that the training images fill, in which their colours are jittered; `None` for black to white.
        copies: Processes that train on this machine, each of which keeps decoded images of its own.
    """

    def __init__(
        self,
        classes: ClassTable,
        *,
        crop: Sequence[int] | None,
        batch_size: int | Literal["auto"],
        workers: int | Literal["auto"],
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        batch_size = FIRST_BATCH if batch_size == "auto" else batch_size
        refuse_impossible(crop, batch_size, workers, seed)
        self.classes, self.wanted_crop, self.batch_size = classes, crop, batch_size
        self.workers = workers
        self.augment, self.seed, self.batches_done = augment, seed, 0
        self.span: Span | None = None
        self.copies = 1
        self.flip_pairs: list[tuple[int, int]] = []
        if augment is not None and (augment.flip or augment.flip_vertical):
            self.flip_pairs = flip_pairs(augment.flip_pairs, classes.names)
        self._loaders: list[Loader] = []

    def open_splits(self) -> Mapping[str, Source]:
        """The images and masks of train, val and test, opened when `splits` is used first; test may be missing."""
        raise NotImplementedError

    @cached_property
    def splits(self) -> Mapping[str, Source]:
        return self.open_splits()

    @cached_property
    def crop(self) -> tuple[int, ...]:
        sizes = self.splits["train"].sizes if "train" in self.splits else []
        return tuple(self.wanted_crop or fitting_crop(sizes))

    def source(self, split: str) -> Source:
        """Raises UserError for a split that the data do not have."""
        if split not in self.splits:
            raise UserError(f"split={split}: these data have {', '.join(self.splits)}")
        return self.splits[split]

    def groups(self, split: str) -> list[str] | None:
        """What each image of a split belongs to, such as a sequence; `None` where the data do not say so."""
        return None

    @property
    def final_split(self) -> str:
        """Where the final score is taken: on test, or on val where there is none."""
        return "test" if "test" in self.splits else "val"

    @cached_property
    def channels(self) -> int:
        return self.source("train").read(0)[0].shape[0]

    @property
    def cache_bytes(self) -> int:
        """What all that is read may take up, in memory or on a disk, in this process and its workers together."""
        caches = (getattr(source, "cache", None) for source in self.splits.values())
        return sum(cache.size for cache in caches if cache is not None)

    def readers(self, trainer: Any) -> int:
        """Processes that read for a loader; `auto` shares out the cores of this machine among all of a trainer."""
        if self.workers != "auto":
            return int(self.workers)
        return default_workers(trainer.world_size // getattr(trainer, "num_nodes", 1) if trainer else 1)

    def fingerprint(self) -> str:
        """A hash of names, sizes and class table, by which a run can tell whether it goes on with the same data."""
        images = {split: list(zip(s.names, s.sizes, strict=True)) for split, s in self.splits.items()}
        digest = hashlib.sha256()
        for piece in json.JSONEncoder(default=str, sort_keys=True).iterencode([images, self.classes.spec]):
            digest.update(piece.encode())
        return digest.hexdigest()

    def train_dataloader(self) -> Loader:
        """Endless: the learner counts the steps."""
        source = self.source("train")
        assert self.augment is not None and self.trainer is not None
        sampler = self._batches(done=self.batches_done, rank=self.trainer.global_rank, ranks=self.trainer.world_size)
        void, pairs = self.classes.void, self.flip_pairs
        samples = TrainSamples(source, self.augment, self.crop, void, self.seed, self._rarity(), pairs, self.span)
        return self._loader(samples, sampler, self.trainer)

    def _rarity(self) -> np.ndarray | None:
        """The inverse of the pixels of each class, by which rare ones are drawn; 0 for a class without pixels."""
        if self.augment is None or not (self.augment.rare or self.augment.paste):
            return None
        pixels = self.class_pixels.double().numpy()
        return np.divide(1, pixels, out=np.zeros_like(pixels), where=pixels > 0)

    def _batches(self, **share: int) -> EndlessBatchSampler:
        return EndlessBatchSampler(len(self.source("train")), self.batch_size, self.seed, **share)

    def names_in_batch(self, number: int) -> list[str]:
        """The training images of a whole batch, over all processes."""
        keys = next(iter(self._batches(done=number)))
        return [self.source("train").names[key % len(self.source("train"))] for key in keys]

    def val_dataloader(self) -> Loader:
        return self.whole_images("val", self.trainer)

    def whole_images(self, split: str, trainer: Trainer | None = None) -> Loader:
        """Images at their own sizes, those of one size together; each process of `trainer` gets its share of them."""
        source = self.source(split)
        rank, ranks = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return self._loader(WholeSamples(source), Share(of_one_size(source.sizes), rank, ranks), trainer)

    def on_exception(self, exception: BaseException) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes that read."""
        for loader in self._loaders:
            loader.stop()

    def _loader(self, samples: Dataset[Any], batches: Sampler[list[int]], trainer: Trainer | None) -> Loader:
        """Workers stay from one validation to the next: starting some while others end can hang a process for ever."""
        workers = self.readers(trainer)
        loader = Loader(
            samples,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=batch_of,
            inherit=self.cache_bytes > 0,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
        self._loaders.append(loader)
        return loader


def refuse_impossible(crop: Sequence[int] | None, batch_size: int, workers: int | Literal["auto"], seed: int) -> None:
    """Raises UserError for settings that no data could have."""
    if crop is not None and (len(crop) != 2 or min(crop) < 1):
        raise UserError(f"data.crop={list(crop)}: expected height and width in pixels, such as [384, 384]")
    if batch_size < 1:
        raise UserError(f"data.batch_size={batch_size}: expected 1 or more")
    if not 0 <= seed < 1 << 63:
        raise UserError(f"seed={seed}: expected 0 or more, up to {(1 << 63) - 1}")
    if workers != "auto" and not 0 <= workers <= MAX_WORKERS:
        raise UserError(f"data.workers={workers}: expected 0 to {MAX_WORKERS}, or auto")


def default_workers(processes: int = 1) -> int:
    """Processes that read for each of so many that train on this machine: up to 8 beside a GPU; none where the few
    cores of a CPU do the training themselves."""
    own = cores() if "SLURM_CPUS_PER_TASK" in os.environ else cores() // processes  # SLURM gives each its own ones
    if torch.cuda.is_available():
        return max(1, min(8, own - 1))
    return min(4, own // 4)
