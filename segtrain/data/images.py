"""Reading image and mask files with Pillow."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"})
MAX_PIXELS = 500_000_000
EXIF_ORIENTATION, TRANSPOSED = 0x0112, frozenset({5, 6, 7, 8})

Image.MAX_IMAGE_PIXELS = None  # `open_image` has its own limit, which is an error and no warning


def open_image(path: Path) -> Image.Image:
    """The image file with its header read and its pixels not yet decoded.

    Raises:
        ValueError: for a file that is no image, or has more than `MAX_PIXELS`.
    """
    try:
        image = Image.open(path, formats=FORMATS)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (OSError, SyntaxError, ValueError):  # what Pillow's readers raise, UnidentifiedImageError among them
        raise ValueError(f"{path}: not an image that can be read ({', '.join(FORMATS)}): is it damaged?") from None
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise ValueError(f"{path}: {image.width} x {image.height} pixels, more than {MAX_PIXELS} are not decoded")
    return image


def displayed_size(path: Path) -> tuple[int, int]:
    """(height, width) from the header alone, after the EXIF orientation."""
    with open_image(path) as image:
        width, height = image.size
        turned = image.getexif().get(EXIF_ORIENTATION) in TRANSPOSED
    return (width, height) if turned else (height, width)


def read_image(path: Path) -> Tensor:
    """(3, H, W) uint8, as a viewer shows it: EXIF orientation applied, grey repeated, alpha dropped."""
    image = _decoded(path)
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def read_mask(path: Path) -> np.ndarray:
    """The stored numbers: (H, W) values or palette indices, or (H, W, 3) colours."""
    image = _decoded(path)
    if image.mode in ("RGBA", "CMYK", "YCbCr"):
        image = image.convert("RGB")
    mask = np.asarray(image)
    if mask.ndim == 3 and mask.shape[2] == 2:  # grey with alpha
        mask = mask[..., 0]
    return mask.astype(np.uint8) if mask.dtype == bool else mask


def _decoded(path: Path) -> Image.Image:
    with open_image(path) as image:
        try:
            return ImageOps.exif_transpose(image)  # which decodes, and returns a copy
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise ValueError(f"{path}: damaged image: {error}") from None
