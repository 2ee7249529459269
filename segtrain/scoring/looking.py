"""Images are looked at again: what they show, what a network makes of them, and how sure of it the network is."""

from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from ..data.batches.source import Source
from ..data.files.images import preview_step
from ..data.files.large import ImageInParts
from ..inference.image import answers, confident
from ..inference.windows import Windows
from ..report.page import Look


class Every(NamedTuple):
    """Of some rows or columns of an image, those that are looked at."""

    into: slice  # their places among all that are looked at
    taken: slice  # and among the some


def look_at(network: nn.Module, windows: Windows, source: Source, index: int) -> Look:
    """An image of a source, of a large one every few rows and columns, and what a network makes of it as a whole."""
    image, mask = source.read_in_parts(index)
    height, width = mask.shape
    step = preview_step((height, width))
    truth = thinned(mask, step)
    prediction, confidence = np.empty_like(truth), np.empty(truth.shape, np.float32)
    batch = image if isinstance(image, ImageInParts) else image[None]
    for _, area, (classes, highest) in answers(network, batch, confident, windows):
        rows, columns = every(step, area[0], height), every(step, area[1], width)
        place, taken = (rows.into, columns.into), (rows.taken, columns.taken)
        prediction[place], confidence[place] = classes[taken], highest[taken]
    return Look(thinned(image, step), truth, prediction, confidence, step)


def every(step: int, part: slice, length: int) -> Every:
    """Those rows or columns, of a part of so many, whose number is a multiple of `step`."""
    start, stop, _ = part.indices(length)
    return Every(slice(-(-start // step), -(-stop // step)), slice(-start % step, None, step))


def thinned(image: Tensor | ImageInParts, step: int) -> np.ndarray:
    """Every so many rows and columns of an image or a mask (..., H, W)."""
    if isinstance(image, ImageInParts):
        return image.thinned(step)
    return image[..., ::step, ::step].cpu().numpy().copy()  # not a view, which would keep all of it
