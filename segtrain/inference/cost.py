"""What a network takes of memory for each pixel of an image, measured while it computes a small one."""

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .reach import empty

SIDE = 256  # of the empty image


@torch.inference_mode()
def bytes_per_pixel(compute: Callable[[Tensor], Any], image: Any) -> float:
    """The most memory that is taken at a time while `compute` works on images such as (1, C, H, W), by the pixel.

    It depends on the network and its precision alone, not on the machine, so that all machines decide alike by it.
    """
    small = empty(image, SIDE)
    with LiveTensors(small) as tensors:
        compute(small)
    return tensors.most / SIDE**2


class LiveTensors(TorchDispatchMode):
    """Inside, counts the bytes of an image and of what is computed from it until it is freed; so, not of weights.

    Attributes:
        most: Bytes of all of them at the worst moment.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.live, self.most = 0, 0
        self._known: set[int] = set()
        self._add(image.untyped_storage())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        from_image = any(storage._cdata in self._known for storage in storages((args, kwargs)))
        result = func(*args, **kwargs)
        if from_image:
            for storage in storages(result):
                self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        address, size = storage._cdata, storage.nbytes()
        if address in self._known:  # another view of the same bytes
            return
        self._known.add(address)
        self.live += size
        self.most = max(self.most, self.live)
        weakref.finalize(storage, self._forget, address, size)

    def _forget(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.live -= size


def storages(values: Any) -> Iterator[torch.UntypedStorage]:
    """The memory behind all tensors in nested values."""
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor):
            yield leaf.untyped_storage()
