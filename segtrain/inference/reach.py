"""How far a network looks: from which pixels of an image a logit may be made."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import lcm
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..models.ensemble import Ensemble, Mirrored

SIDE = 256  # of the empty image that shows how the resolution changes: a multiple of every stride
CONVOLUTIONS = (nn.Conv2d, nn.MaxPool2d)
BY_PIXEL = (nn.BatchNorm2d, nn.ReLU, nn.Identity)
ROOM = "segtrain.models."  # its own modules only arrange the ones above


class Reach(NamedTuple):
    """How far a network looks."""

    halo: int  # pixels on each side of a pixel that its logits may depend on, rounded up to whole steps of the grid
    grid: int  # pixels of the image a pixel of the coarsest feature, where windows may begin


def reach_of(network: nn.Module, compute: Callable[[Tensor], Any], image: Any) -> Reach | None:
    """How far a network looks in images such as (1, C, H, W), which `compute` gives to it; `None` where that is not
    known, as of one that averages over the whole image. The sum over all its convolutions, be they beside one another
    or behind one another, is an upper bound."""
    inner = getattr(network, "module", network)  # Fabric's wrapper leaves the network as it is
    if isinstance(inner, Ensemble):
        return farthest_of([reach_of(member, compute, image) for member in inner.members])
    if not all(map(is_local, inner.modules())):
        return None
    distances, scales = [0.0], [1.0]

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        before, after = SIDE / inputs[0].shape[-2], SIDE / output.shape[-2]
        scales.append(after)
        finer = after if isinstance(module, nn.ConvTranspose2d) else before
        distances.append(finer * farthest(module))

    with ExitStack() as stack:
        for module in inner.modules():
            if isinstance(module, (*CONVOLUTIONS, nn.ConvTranspose2d)):
                stack.enter_context(module.register_forward_hook(note))
        compute(empty(image, SIDE))
    grid = round(max(scales))
    times = 2 if isinstance(inner, Mirrored) else 1  # that each convolution was computed
    return Reach(halo=-(-round(sum(distances) / times) // grid) * grid, grid=grid)


def empty(image: Any, side: int) -> Tensor:
    """An image (1, C, side, side) of zeros, otherwise like `image` (N, C, H, W), which may be read in parts."""
    return image[..., :1, :1].new_zeros(1, image.shape[1], side, side)


def farthest_of(reaches: Sequence[Reach | None]) -> Reach | None:
    """The reach of networks beside one another; `None` if that of one of them is not known."""
    known = [reach for reach in reaches if reach is not None]
    if len(known) < len(reaches):
        return None
    grid = lcm(*(reach.grid for reach in known))
    return Reach(halo=-(-max(reach.halo for reach in known) // grid) * grid, grid=grid)


def is_local(module: nn.Module) -> bool:
    """Whether what a module computes of a pixel depends on the pixels around it alone, in a way that is known here."""
    if isinstance(getattr(module, "padding", 0), str):
        return False
    if getattr(module, "whole_image", False):
        return False
    arranges = isinstance(module, nn.Sequential | nn.ModuleList) or type(module).__module__.startswith(ROOM)
    return arranges or isinstance(module, (*CONVOLUTIONS, nn.ConvTranspose2d, *BY_PIXEL))


def farthest(module: nn.Module) -> int:
    """The largest distance between a pixel and those that make it up, at the finer of a module's two resolutions."""
    sizes, paddings, dilations = (both(getattr(module, name)) for name in ("kernel_size", "padding", "dilation"))
    distance = 0
    for size, padding, dilation in zip(sizes, paddings, dilations, strict=True):
        distance = max(distance, padding, (size - 1) * dilation - padding)
    return distance


def both(value: int | tuple[int, int]) -> tuple[int, int]:
    """A setting for rows and for columns."""
    return (value, value) if isinstance(value, int) else value
