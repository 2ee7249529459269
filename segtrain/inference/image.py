"""One image in a file or in memory, and what a network makes of it."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..data.files.images import Picture, header, opened_pixels, read_picture
from ..data.files.pictures import SAMPLE, Kind, Pictures, filled, scale_of
from ..errors import UserError
from ..metrics import most_likely
from ..models.ensemble import probabilities
from .windows import Pixels, Windows

Answer = Callable[[nn.Module, Tensor], list[Tensor]]
Area = tuple[slice, slice]  # rows and columns
AT_ONCE = 1 << 24  # probabilities that are computed in float32 at a time
NO_DATA = -1  # in a mask: pixels that are NaN or infinite, or that a TIFF says hold no data
EXPECTED = "expected a path, a PIL image, a tensor (C, H, W), or an array (H, W, C) or (H, W)"
MISFIT = re.compile("channels|size of tensor|shapes cannot be")  # in what torch says of other channels
BEYOND = 0.5  # how far fractions may lie outside 0..1, as resampling makes them


class Prediction(NamedTuple):
    """What a network makes of an image, at the image's own size, on the CPU."""

    mask: Tensor  # (H, W) int64: the most likely class of every pixel; -1 where the image has no data
    confidence: Tensor  # (H, W) float32: its probability, from 0 to 1; 0 where there are no data


def predict(network: nn.Module, image: str | Path | Image.Image | Tensor | np.ndarray) -> Prediction:
    """The most likely class of every pixel, and how probable it is, of one image of any size.

        mask, confidence = segtrain.predict(segtrain.load("runs/latest"), "photo.jpg")

    Args:
        network: images (N, C, H, W) -> logits (N, classes, H, W); it is put into evaluation mode.
        image: A file, an image of Pillow's, a tensor (C, H, W), or an array (H, W, C) or (H, W) as Pillow and OpenCV
            give it. Tensors and arrays are uint8, uint16, or float in 0..1; for a network that was trained on TIFF with
            a sign or with fractions, the numbers that stand in such files. Colours are red, green, blue.

    Raises:
        UserError: For what is no image, and, of a network from `segtrain.load`, for images that differ from those that
            it was trained on in their channels, or so much in depth or values that no good mask can come out.
    """
    known = getattr(network, "trained_on", None) or {}
    pictures, channels = Pictures.stored(known.get("pictures")), known.get("channels")
    if isinstance(image, str | Path):
        picture = of_file(Path(image), channels, pictures)
    else:
        picture = of_pixels(image, channels, pictures)
    mask = torch.empty(picture.pixels.shape[-2:], dtype=torch.int64)
    confidence = torch.empty(mask.shape)
    for _, area, (classes, highest) in answers(network, picture.pixels[None], confident, Windows()):
        mask[area], confidence[area] = classes, highest
    if picture.valid is not None:
        mask[~picture.valid], confidence[~picture.valid] = NO_DATA, 0
    return Prediction(mask, confidence)


def answers(
    network: nn.Module, images: Pixels, answer: Answer, windows: Windows
) -> Iterator[tuple[int, Area, list[Tensor]]]:
    """What `confident`, `sure` or `probable` says of images (N, C, H, W), a part of the area of one of them at a time:
    which one, the part, and what is said of it."""
    network.eval()
    with torch.inference_mode():
        for piece in windows.pieces(network, images, partial(logits_of, network)):
            first = piece.place[0].start
            for index, logits in enumerate(piece.answer, first):
                yield index, piece.area, answer(network, logits)


def likely(network: nn.Module, logits: Tensor) -> list[Tensor]:
    """The most likely class of every pixel (H, W), on the CPU, by a network's answer (classes, H, W): in uint8 if there
    are no more classes than that has numbers, since what comes from a GPU takes its time by the byte."""
    kind = torch.uint8 if len(logits) <= 256 else torch.int64
    return [most_likely(logits, 0).to(kind).cpu()]


def confident(network: nn.Module, logits: Tensor) -> list[Tensor]:
    """The most likely class of every pixel as `likely` gives it, and its probability, (H, W) float32, on the CPU."""
    return [*likely(network, logits), confidence_of(network, logits).cpu()]


def confidence_of(network: nn.Module, logits: Tensor) -> Tensor:
    """(H, W) float32: the probability of the most likely class, where the logits are."""
    return torch.cat([some.amax(0) for some in shares(network, logits)])


def sure(network: nn.Module, logits: Tensor) -> list[Tensor]:
    """The most likely class of every pixel, and its probability in 255ths, (H, W) uint8, on the CPU."""
    highest = [in_255ths(some.amax(0)) for some in shares(network, logits)]
    return [*likely(network, logits), torch.cat(highest)]


def probable(network: nn.Module, logits: Tensor) -> list[Tensor]:
    """The most likely class of every pixel, its probability in 255ths, (H, W) uint8, and those of all classes,
    (classes, H, W) uint8, on the CPU."""
    each = torch.cat([in_255ths(some) for some in shares(network, logits)], 1)
    return [*likely(network, logits), each.amax(0), each]


def shares(network: nn.Module, logits: Tensor) -> Iterator[Tensor]:
    """Probabilities (classes, rows, W), a few rows at a time: all at once in float32 would take a multiple of the
    memory."""
    rows = max(1, AT_ONCE // logits[:, 0].numel())
    for some in logits.split(rows, 1):
        yield probabilities(network, some, dim=0)


def in_255ths(parts: Tensor) -> Tensor:
    """Probabilities as uint8, on the CPU."""
    return (255 * parts).round().byte().cpu()


def logits_of(network: nn.Module, images: Tensor) -> Tensor:
    """What a network answers to images (N, C, H, W) that are computed at once: (N, classes, H, W)."""
    device = next(network.parameters()).device
    batch = images.to(device).contiguous(memory_format=torch.channels_last)
    try:
        logits = network(batch)
    except RuntimeError as error:
        reason, *_ = str(error).splitlines()
        if not MISFIT.search(reason):
            raise
        raise UserError(f"the network does not take an image of shape {tuple(images.shape[1:])}: {reason}") from error
    if not logits.mean().isfinite():
        raise UserError("the network's output is not finite (NaN or infinite); try trainer.precision=32-true")
    return logits


def of_file(path: Path, channels: int | None, pictures: Pictures | None) -> Picture:
    """The image in a file. Raises UserError if it is another kind of image than the network knows."""
    head = header(path)
    picture = read_picture(path, channels=channels or head.channels, bits=head.depth)
    remark = pictures.differ_in_channels(head.channels) if pictures else ""
    if remark:
        raise UserError(f"{path}: {remark}; give an array of the channels that the network knows")
    refuse_other(picture, head.kind, head.bits, pictures, str(path))
    return picture


def of_pixels(image: Any, channels: int | None, pictures: Pictures | None) -> Picture:
    """The image in memory. Raises UserError if it is none, or another kind of image than the network knows."""
    if isinstance(image, Image.Image):
        image = opened_pixels(image, channels)
    if isinstance(image, np.ndarray):
        refuse_shape(image.shape, image.shape[2:] or (1,), channels, "an array (H, W, C) or (H, W)")
        pixels = torch.from_numpy(plain(np.atleast_3d(image))).permute(2, 0, 1)
    elif isinstance(image, Tensor):
        refuse_shape(tuple(image.shape), tuple(image.shape[:1]), channels, "a tensor (C, H, W)", sizes=(3,))
        pixels = image.detach()
    else:
        raise UserError(f"an image of type {type(image).__name__}: {EXPECTED}")
    picture = in_numbers(pixels, pictures)
    kind, bits = kind_of(picture.pixels, pictures)
    refuse_other(picture, kind, bits, pictures, "image")
    if channels == 3 and len(picture.pixels) == 1:
        return picture._replace(pixels=picture.pixels.expand(3, -1, -1))
    return picture


def plain(array: np.ndarray) -> np.ndarray:
    """A copy in this machine's byte order, since torch takes no other, and warns of arrays that are read-only."""
    if array.dtype.kind not in "uif":
        raise UserError(f"an image of {array.dtype}: give uint8, uint16, or float in 0..1")
    kind = np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    return np.array(array, kind)


def refuse_shape(
    shape: tuple[int, ...], own: tuple[int, ...], channels: int | None, expected: str, sizes: tuple[int, ...] = (2, 3)
) -> None:
    """Raises UserError for an image of a shape that is none, without pixels, or with `own` channels that do not fit."""
    if len(shape) not in sizes:
        raise UserError(f"image of shape {shape}: expected {expected}, one image at a time")
    if 0 in shape:
        raise UserError(f"image of shape {shape}: it has no pixels")
    if channels and own[0] != channels and (own[0], channels) != (1, 3):
        raise UserError(f"image of shape {shape}: expected {expected} with {channels} channels, as in the training")


def in_numbers(pixels: Tensor, pictures: Pictures | None) -> Picture:
    """Pixels (C, H, W) as numbers that a network takes, filled where they are not finite.

    Raises UserError for numbers that no network takes, and for fractions that are not in 0..1 where these are expected.
    """
    if pixels.dtype in (torch.uint8, torch.uint16):
        return Picture(pixels)
    if pixels.is_complex() or pixels.dtype == torch.bool:
        raise UserError(f"an image of {pixels.dtype}: give uint8, uint16, or float in 0..1")
    has_white = pictures is None or scale_of(pictures.kind, pictures.bits) > 1
    if has_white and not pixels.is_floating_point():
        raise UserError(f"an image of {pixels.dtype}: give uint8, uint16, or float in 0..1")
    pixels = pixels.float()
    valid = pixels.isfinite().all(0)
    if not valid.any():
        raise UserError("the image is not finite (NaN or infinite) in any pixel")
    inside = pixels[:, valid]
    least, most = float(inside.min()), float(inside.max())
    if has_white and not -BEYOND <= least <= most <= 1 + BEYOND:
        reason = f"fractions from {least:.4g} to {most:.4g}, where 0..1 stands for black to white"
        raise UserError(f"an image of {reason}: give uint8 or uint16, or divide by the number that is white")
    if valid.all():
        return Picture(pixels)
    return Picture(torch.where(valid, pixels, inside.mean(1)[:, None, None]), valid.cpu())


def kind_of(pixels: Tensor, pictures: Pictures | None) -> tuple[Kind, int]:
    """The kind and the depth of numbers in memory; fractions stand for those that the network was trained on."""
    if not pixels.is_floating_point():
        return "unsigned", 8 * pixels.dtype.itemsize
    return (pictures.kind, pictures.bits) if pictures else ("float", 32)


def refuse_other(picture: Picture, kind: Kind, bits: int, pictures: Pictures | None, name: str) -> None:
    """Raises UserError for an image whose depth or values are others than those of the training."""
    if pictures is None:
        return
    has_white = scale_of(pictures.kind, pictures.bits) > 1
    if has_white and (kind, bits) == (pictures.kind, pictures.bits):
        return  # a dark image is one too
    if remark := pictures.differ(kind, bits, filled(picture.values(SAMPLE))):
        raise UserError(f"{name}: {remark}; give it in the numbers of the training's pictures")
