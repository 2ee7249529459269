"""From an image and a network to a mask."""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from . import windows
from .errors import UserError


@torch.inference_mode()
def predict(network: nn.Module, image: Tensor | np.ndarray) -> Tensor:
    """The most likely class of every pixel, (H, W) int64 on the CPU, at the image's own size.

    Args:
        network: images (N, C, H, W) -> logits (N, classes, H, W); it is put into evaluation mode.
        image: Tensor (C, H, W), or array (H, W, C) or (H, W) as Pillow and OpenCV give it; uint8, uint16, or float in
            0..1. Colours are red, green, blue.
    """
    if isinstance(image, np.ndarray):
        writable = np.array(np.atleast_3d(image))  # a copy, since torch warns of arrays that are read-only
        image = torch.from_numpy(writable).permute(2, 0, 1)
    if image.ndim != 3:
        raise UserError(f"image of shape {tuple(image.shape)}: expected a tensor (C, H, W) or an array (H, W, C)")
    network.eval()
    compute = partial(most_likely, network)
    reach = windows.reach_of(network, compute, image) if windows.is_large(image) else None
    return compute(image) if reach is None else windows.computed(compute, image, reach)


def most_likely(network: nn.Module, image: Tensor) -> Tensor:
    """The most likely class (H, W) of every pixel of an image (C, H, W) that is computed at once, on the CPU."""
    device = next(network.parameters()).device
    batch = image[None].to(device).contiguous(memory_format=torch.channels_last)
    logits = network(batch)
    if not logits.mean().isfinite():
        raise UserError("the network's output is not finite (NaN or infinite); try trainer.precision=32-true")
    return logits.argmax(1)[0].cpu()
