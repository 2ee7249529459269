"""The batch that `data.batch_size=auto` stands for, found by trying whole steps on the device."""

from contextlib import closing
from itertools import repeat

import torch
from torch.utils.data import default_collate

from ..errors import UserError
from ..report.screen import counted_down, say
from ..runs.record import Settings
from .bare import bare_step, trainer_of
from .parts import Parts

GAIN = 1.1  # times the images a second, for which a batch is doubled
LEAST_STEPS, MOST = 8, 512  # steps in an epoch; images in a batch
ROOM = 0.8  # share of a GPU's memory that steps may take: scores and other programs need some too
SECONDS, WARM_UP = 1.0, 2  # of steps that are timed, and steps before


def with_tried_batch(parts: Parts, settings: Settings) -> Settings:
    """The settings of a new training with the batch that suits the device, tried with these parts; and their data with
    it."""
    if parts.processes > 1:
        raise UserError("data.batch_size=auto: it is tried on one device; type a number for several")
    if parts.train.compile:
        raise UserError(
            "data.batch_size=auto: each try would be compiled anew; find it with train.compile=false, and type it"
        )
    size, reason = tried_batch(parts)
    say(f"data.batch_size=auto is {size} here: {reason}; optimizer.lr stays as it is")
    parts.data.batch_size = size
    return {**settings, "data": {**settings["data"], "batch_size": size}}


def tried_batch(parts: Parts) -> tuple[int, str]:
    """The batch that the parts have, doubled while the images a second grow by a tenth and an epoch keeps its steps;
    and why it is not larger."""
    sizes = [parts.data.batch_size]
    while 2 * sizes[-1] <= min(MOST, len(parts.data.source("train")) // LEAST_STEPS):
        sizes.append(2 * sizes[-1])
    size, rate = 0, 0.0
    with closing(counted_down("trying batches", sizes, transient=True)) as tries:
        for larger in tries:
            more = images_per_second(parts, larger)
            if size and not more:
                return size, f"{larger} take too much of the GPU's memory"
            if more < GAIN * rate:
                return size, f"{rate:.3g} images/s, and {more:.3g} with {larger}"
            size, rate = larger, more
    if 2 * size <= MOST:
        return size, f"{2 * size} would leave an epoch fewer than {LEAST_STEPS} steps"
    return size, f"no more than {MOST} are tried"


def images_per_second(parts: Parts, size: int) -> float:
    """Those of steps on a batch of one crop, so many times; 0 where a GPU's memory is too small."""
    trainer = parts.data.trainer = trainer_of(parts)
    crops = parts.data.train_dataloader().dataset
    batch = default_collate([crops[0]] * size)
    if parts.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        seconds = bare_step(parts.learner, trainer, repeat(batch), parts.device, SECONDS, WARM_UP)
    except torch.OutOfMemoryError:
        return 0.0
    return 0.0 if is_full(parts.device) else size / seconds


def is_full(device: str) -> bool:
    """Whether steps have taken more of a GPU's memory than they may."""
    if device != "cuda":
        return False
    _, total = torch.cuda.mem_get_info()
    return torch.cuda.max_memory_reserved() > ROOM * total
