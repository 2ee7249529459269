"""From an image and a network to a mask."""

import numpy as np
import torch
from torch import Tensor, nn

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
    device = next(network.parameters()).device
    batch = image[None].to(device).contiguous(memory_format=torch.channels_last)
    logits = network.eval()(batch)
    if not logits.mean().isfinite():
        raise UserError("the network's output is not finite (NaN or infinite); try trainer.precision=32-true")
    return logits.argmax(1)[0].cpu()
