"""Reading image and mask files with Pillow."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"})
MAX_PIXELS = 500_000_000
EXIF_ORIENTATION = 0x0112
TURNS = {  # EXIF orientation -> how to turn what is stored; from 5 on, height and width change places
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TRANSPOSED = frozenset({5, 6, 7, 8})
TILE_WIDTH, TILE_HEIGHT = 322, 323  # tags of a TIFF
PILLOW = RLock()


def displayed_size(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(height, width) from the header alone, after the EXIF orientation."""
    with opened(path, max_pixels) as image:
        width, height = image.size
        return (width, height) if orientation(image) in TRANSPOSED else (height, width)


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> Tensor:
    """(3, H, W) uint8, as a viewer shows it: EXIF orientation applied, grey repeated, alpha dropped."""
    with decoded(path, max_pixels) as image:
        if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
            image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def read_mask(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The stored numbers: (H, W) values or palette indices, or (H, W, 3) colours."""
    with decoded(path, max_pixels) as image:
        if image.mode in ("RGBA", "CMYK", "YCbCr"):
            image = image.convert("RGB")
        mask = np.asarray(image)
    if mask.ndim == 3 and mask.shape[2] == 2:  # grey with alpha
        mask = mask[..., 0]
    return mask.astype(np.uint8) if mask.dtype == bool else mask


@contextmanager
def decoded(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """The image with its pixels, turned as its EXIF orientation says.

    Of a PNG the checksums are compared first, since Pillow decodes some damaged ones to other pixels without a word.
    """
    with opened(path, max_pixels) as image:
        if image.format != "PNG":
            yield turned(image)
            return
        image.verify()  # after which it has to be opened anew
    with opened(path, max_pixels) as image:
        yield turned(image)


def turned(image: Image.Image) -> Image.Image:
    turn = TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """By the EXIF data in front of the pixels, where PNG wants them too; its own `getexif` would decode the image."""
    if image.format == "TIFF":  # which Pillow turns itself
        return 1
    found = Image.Image.getexif(image).get(EXIF_ORIENTATION)
    return found if isinstance(found, int) else 1


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """The image file with its header read and its pixels not yet decoded. Errors inside name the file.

    Raises:
        ValueError: for what is no regular file, no image, or damaged, and for more than `max_pixels`.
        OSError: for a file that is missing or cannot be read.
    """
    if not path.is_file():  # opening a pipe would wait for ever
        if path.exists() or path.is_symlink():
            raise ValueError(f"{path}: expected a file, or a link to one")
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with pillow_refuses(max_pixels), Image.open(path, formats=FORMATS) as image:
            refuse_tile(image, max_pixels)
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.findall(r"\d+ pixels", str(error))
        raise ValueError(f"{path}: {pixels[0]}, more than data.max_pixels={max_pixels}: not decoded") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path}: not an image that can be read ({', '.join(FORMATS)}): is it damaged?") from None
    except MemoryError:
        raise ValueError(f"{path}: does not fit in the memory; a lower data.max_pixels refuses it earlier") from None
    except Exception as error:  # Pillow's readers raise many types for a damaged file, and name no path
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise ValueError(f"{path}: damaged image: {' '.join(str(error).split())}") from None


def refuse_tile(image: Image.Image, max_pixels: int) -> None:
    """Raises Pillow's error for a TIFF whose tiles are too large: they may be larger than it, and are decoded whole."""
    tags = getattr(image, "tag_v2", {})
    width, height = tags.get(TILE_WIDTH), tags.get(TILE_HEIGHT)
    if isinstance(width, int) and isinstance(height, int) and width * height > max_pixels:
        raise Image.DecompressionBombError(f"a tile of {width * height} pixels")


@contextmanager
def pillow_refuses(max_pixels: int) -> Iterator[None]:
    """Inside, Pillow takes no image, frame or tile of more than `max_pixels`, and says nothing of smaller faults.

    Its limit is global: outside, a program that uses segtrain keeps its own. It warns above it, and refuses at twice.
    """
    with PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
