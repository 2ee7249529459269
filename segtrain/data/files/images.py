"""Image files: their headers and their pixels, read with Pillow."""

import re
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ...errors import UserError
from ...text import counted
from . import tiff
from .arrays import array_header, array_size, image_in, is_array
from .pictures import Kind
from .tiff import Unfit

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
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})  # besides those of 16 bits
LUMA = np.array([0.299, 0.587, 0.114])  # of ITU-R BT.601, as Pillow has it
WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
LARGEST = 4096  # pixels a side of a picture that is looked at
FLOAT = 32  # bits of pixels that are handed out as float32, since they are no whole numbers from 0 to 65535
PILLOW = RLock()


class Header(NamedTuple):
    """What is known of an image file without its pixels; height and width are those after the EXIF orientation."""

    height: int
    width: int
    channels: int  # 1 for grey, 3 for colours (a palette's too), any number in a TIFF; alpha does not count
    bits: int  # of a channel: 8 or 16, and up to 64 in a TIFF with a sign or with fractions
    shrinks: bool  # whether it can be decoded at 1/2, 1/4 and 1/8 of its size, as a JPEG can
    kind: Kind = "unsigned"  # of its numbers
    has_gaps: bool = False  # whether it may hold pixels without data
    alpha: bool = False  # whether it has a channel that is marked as alpha, and is left out

    @property
    def stored(self) -> tuple[Kind, int, int]:
        """The kind and the bits of its numbers, and its channels."""
        return self.kind, self.bits, self.channels

    @property
    def depth(self) -> int:
        """Bits of the numbers that `read_image` makes of it: 8, 16, or 32 for float32."""
        return self.bits if self.kind == "unsigned" and self.bits <= 16 else FLOAT


class Picture(NamedTuple):
    """The pixels of an image (C, H, W), and where there are data (H, W) bool; `None` stands for everywhere."""

    pixels: Tensor
    valid: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[-2], self.pixels.shape[-1]

    @property
    def batch(self) -> Tensor:
        """(1, C, H, W)"""
        return self.pixels[None]

    @property
    def preview(self) -> np.ndarray:
        """(C, h, w): every few rows and columns, at most `LARGEST`."""
        step = preview_step(self.size)
        return self.pixels[:, ::step, ::step].numpy()

    def values(self, most: int | None = None) -> np.ndarray:
        """(C, N) float64: the pixels that hold data, as fractions of white where there is one; of more than `most`, so
        many or fewer of them, evenly spaced."""
        pixels = self.pixels.permute(1, 2, 0).flatten(0, 1).cpu().numpy()  # no copy of what was read from a file
        if self.valid is not None:
            pixels = pixels[self.valid.flatten().cpu().numpy()]
        pixels = pixels[:: -(-len(pixels) // most) or 1] if most else pixels
        white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
        return pixels.T / np.float64(white)


def preview_step(size: tuple[int, int]) -> int:
    """Of how many rows and columns of an image of this height and width one is in its preview."""
    return -(-max(size) // LARGEST)


def header(path: Path, max_pixels: int = MAX_PIXELS) -> Header:
    """Raises UserError for what is no image that `read_image` takes, as far as that can be known."""
    if is_array(path):
        with refusals(path, max_pixels):
            axes, depth = array_header(path, max_pixels)
            return Header(axes.height, axes.width, axes.channels, depth, shrinks=False)
    page = tiff.page_in(path)
    if page and not page.is_for_pillow:
        with refusals(path, max_pixels):
            refuse_page(page, max_pixels)
            gaps = page.kind == "float" or page.nodata != ""
            kind = page.kind or "unsigned"
            return Header(page.height, page.width, page.channels, page.bits, False, kind, gaps, page.alpha)
    with opened(path, max_pixels) as image:
        shrinks = image.format == "JPEG" and orientation(image) == 1 and image.mode in ("L", "RGB")
        channels = 1 if is_grey(image) else 3
        gaps = page is not None and page.nodata != ""
        return Header(*shown_size(image), channels, bits(image), shrinks, has_gaps=gaps, alpha=has_alpha(image))


def has_alpha(image: Image.Image) -> bool:
    """Whether a channel is marked as alpha. A single colour of a palette that is transparent is none."""
    return image.mode in WITH_ALPHA


def displayed_size(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(height, width) from the header alone, after the EXIF orientation; of masks too, which may have 32 bits."""
    if is_array(path):
        with refusals(path, max_pixels):
            return array_size(path, max_pixels)
    if tiff.beyond_pillow(path):
        return header(path, max_pixels)[:2]
    with opened(path, max_pixels) as image:
        return shown_size(image)


def turned_text(path: Path, stated: tuple[int, int], size: tuple[int, int]) -> str:
    """The end of a sentence about an image whose `size` is not the one that its mask has, where EXIF explains it."""
    if stated != size[::-1] or is_array(path) or tiff.beyond_pillow(path):
        return ""
    with opened(path, MAX_PIXELS) as image:
        turn = orientation(image)
    if turn not in TRANSPOSED:
        return ""
    return f": its EXIF orientation ({turn}) turns it, the mask was made for the pixels as they are stored; turn one"


def shown_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) after the EXIF orientation, of an image that is not yet decoded."""
    width, height = image.size
    return (width, height) if orientation(image) in TRANSPOSED else (height, width)


def is_grey(image: Image.Image) -> bool:
    """Whether an image holds no colours, by its mode and its palette."""
    if image.mode == "P" and image.palette is not None:
        colors = np.frombuffer(bytes(image.palette.getdata()[1]), np.uint8)
        step = len(image.palette.mode)
        planes = [colors[i::step][: len(colors) // step] for i in range(3)]
        return all(np.array_equal(plane, planes[0]) for plane in planes)
    return image.mode in GREY_MODES or image.mode.startswith("I;16")


def bits(image: Image.Image) -> int:
    """Bits of a channel as it is read: Pillow would halve the 16 of colours without a word.

    Raises UserError for more than 16, and for signed numbers and fractions, which are read of a TIFF alone.
    """
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise Unfit("numbers of 32 bits, or with a sign: these are read of TIFF files alone; save it as one")
    return 16 if image.mode.startswith("I") or low_bytes(image) is not None else 8


def how_stored(image: Any) -> tuple[str, Sequence[Any]]:
    """The raw mode of an image that is not yet decoded, or nothing, and the other arguments of its decoder."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0].args if tiles else ()
    raw, *others = arguments if isinstance(arguments, tuple) and arguments else (arguments,)
    return (raw, others) if isinstance(raw, str) else ("", others)


def low_bytes(image: Image.Image) -> str | None:
    """For 16-bit colours, of which Pillow decodes the high bytes alone: the raw mode that decodes the low ones."""
    raw, _ = how_stored(image)
    match = re.fullmatch(r"((?:RGB|RGBA|RGBX|RGBa);16)([BLN])", raw)
    if match is None:
        return None
    is_little = match[2] == "L" or (match[2] == "N" and sys.byteorder == "little")
    return match[1] + ("B" if is_little else "L")


def read_image(
    path: Path, max_pixels: int = MAX_PIXELS, *, channels: int = 3, bits: int = 8, shrink: int = 1
) -> Tensor:
    """The pixels of `read_picture`."""
    return read_picture(path, max_pixels, channels=channels, bits=bits, shrink=shrink).pixels


def read_picture(
    path: Path, max_pixels: int = MAX_PIXELS, *, channels: int = 3, bits: int = 8, shrink: int = 1
) -> Picture:
    """(channels, H, W) as a viewer shows it: EXIF orientation applied, alpha dropped.

    They are uint8, or uint16 for 16 `bits`. For 32 they are float32: fractions of white of an image of 8 or 16 bits,
    else the numbers that are stored. They are not to be written to. Grey is repeated for three channels; of colours,
    one channel is their luma; of more channels, the first are taken. Where there are no data, pixels are the mean of
    the others. Where the header `shrinks`, a `shrink` of 2, 4 or 8 decodes the whole blocks of that many pixels a side
    to one pixel each.
    """
    page = tiff.page_in(path)
    nodata = page.nodata if page else ""
    if is_array(path):
        with refusals(path, max_pixels):
            stored = image_in(path, max_pixels)
    elif page and not page.is_for_pillow:
        with refusals(path, max_pixels):
            refuse_page(page, max_pixels)
            stored = tiff.read(path, page)
    else:
        in_colors = channels != 1 or (nodata and header(path, max_pixels).channels == 3)
        stored = read_pixels(path, max_pixels, "RGB" if in_colors else "L", shrink)
    return picture_of(stored, nodata, channels=channels, bits=bits, path=path)


def picture_of(
    stored: np.ndarray, nodata: str, *, channels: int, bits: int, path: Path, fill: Sequence[float] | None = None
) -> Picture:
    """The picture of numbers (H, W) or (H, W, C) as they are stored.

    Where there are no data, pixels are what `fill` has for their channel, or else the mean of the others.
    """
    stored = stored[..., None] if stored.ndim == 2 else stored
    missing = tiff.absent(stored, nodata) if nodata or stored.dtype.kind == "f" else None
    pixels = of_depth(stored, bits, path)
    valid = None
    if missing is not None:
        pixels = filled_up(pixels, missing, means(pixels, missing) if fill is None else fill)
        gaps = missing.any(2) if stored.dtype.kind != "u" else missing.all(2)
        valid = torch.from_numpy(~gaps)
    pixels = with_channels(pixels, channels, path)
    with warnings.catch_warnings(action="ignore"):  # Pillow's bytes are not writable: a copy would take a tenth longer
        return Picture(torch.from_numpy(pixels).permute(2, 0, 1), valid)


def opened_pixels(image: Image.Image, channels: int | None) -> np.ndarray:
    """(H, W, channels) of an image that is open in Pillow, as `read_image` reads a file; by default 1 if it is grey,
    else 3."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        pixels = np.asarray(image)
        fits = pixels.size and 0 <= pixels.min() <= pixels.max() < 1 << 16  # what Pillow made of 16 bits
        pixels = pixels.astype(np.uint16 if fits else np.int32)
    elif image.mode == "F":
        pixels = np.asarray(image)
    else:
        pixels = np.asarray(image.convert("L" if is_grey(image) else "RGB"))
    own = 1 if pixels.ndim == 2 else 3
    return with_channels(pixels, channels or own, "the image")


def read_alpha(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """(H, W): the first channel that is marked as alpha in an image whose header has one."""
    page = tiff.page_in(path)
    if page and not page.is_for_pillow:
        with refusals(path, max_pixels):
            refuse_page(page, max_pixels)
            return tiff.read(path, page, whole=True)[..., page.channels]
    with opened(path, max_pixels) as image:
        return np.asarray(loaded(image).convert("RGBA").getchannel("A"))


def of_depth(stored: np.ndarray, bits: int, path: Path) -> np.ndarray:
    """Stored pixels as the numbers that are handed out for 8, 16 or 32 bits."""
    white = np.iinfo(stored.dtype).max if stored.dtype in (np.uint8, np.uint16) else None
    if bits == FLOAT:
        with np.errstate(over="ignore"):
            pixels = stored.astype(np.float32)
        return pixels if white is None else pixels / np.float32(white)
    if white is None:
        raise UserError(f"{path}: numbers of {stored.dtype.name}, where images of {bits} bits are expected")
    if stored.dtype == np.uint16:
        return stored if bits == 16 else (stored >> 8).astype(np.uint8)
    return stored * np.uint16(257) if bits == 16 else stored  # white stays white


def means(pixels: np.ndarray, missing: np.ndarray) -> list[float]:
    """The mean of each channel of pixels (H, W, C), without those that are missing."""
    found = []
    for channel in range(pixels.shape[2]):
        there = pixels[..., channel][~missing[..., channel]]
        found.append(float(there.mean(dtype=np.float64)) if there.size else 0.0)
    return found


def filled_up(pixels: np.ndarray, missing: np.ndarray, fill: Sequence[float]) -> np.ndarray:
    """A copy of pixels (H, W, C) in which those that are missing are the number for their channel."""
    pixels = pixels.copy()
    for channel, number in enumerate(fill):
        plane = pixels[..., channel]
        plane[missing[..., channel]] = number if plane.dtype.kind == "f" else round(number)
    return pixels


def read_pixels(path: Path, max_pixels: int, mode: str, shrink: int = 1) -> np.ndarray:
    """(H, W) or (H, W, 3), uint8 in Pillow's `mode` (L or RGB), or uint16 where that is stored."""
    with opened(path, max_pixels) as image:
        deep, low = bits(image) == 16, low_bytes(image)
        image = loaded(image, shrink)
        if low is None and deep:
            return np.asarray(image).astype(np.uint16)  # in this machine's byte order
        if low is None:
            return np.asarray(image if image.mode == mode else image.convert(mode))
        high = np.array(image.convert("RGB"), np.uint16)
    with opened(path, max_pixels) as image:
        return high << 8 | np.asarray(loaded(image, raw_mode=low).convert("RGB"))


def with_channels(pixels: np.ndarray, channels: int, path: Path | str) -> np.ndarray:
    """(H, W, channels) of (H, W) or (H, W, C)."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    own = pixels.shape[2]
    if own == channels:
        return pixels
    if own == 1 and channels == 3:
        return np.repeat(pixels, 3, 2)
    if own == 3 and channels == 1:
        luma = (pixels @ LUMA)[..., None]
        return (luma if pixels.dtype.kind == "f" else luma.round()).astype(pixels.dtype)
    if own > channels:
        return np.ascontiguousarray(pixels[..., :channels])
    raise UserError(f"{path}: {counted(own, 'channel')}, where data.channels={channels} are expected")


def loaded(image: Any, shrink: int = 1, raw_mode: str | None = None) -> Image.Image:
    """Decode an image that was opened, and turn it as its EXIF orientation says.

    Of a PNG the checksums are compared first, since Pillow decodes some damaged ones to other pixels without a word.
    Shrunk, a JPEG loses the blocks at its edges that are not whole. The decoder takes the bytes by `raw_mode` rather
    than as the header says.
    """
    if image.format == "PNG":
        refuse_broken(image)
    if raw_mode is not None:
        tiles = [(t, (raw_mode, *t.args[1:]) if isinstance(t.args, tuple) else raw_mode) for t in image.tile]
        image.tile = [t._replace(args=arguments) for t, arguments in tiles]
    turn, blocks = TURNS.get(orientation(image)), tuple(side // shrink for side in image.size)
    if shrink > 1:
        image.draft(None, blocks)
    image.load()
    if shrink > 1 and image.size != blocks:
        return image.crop((0, 0, *blocks))
    return image if turn is None else image.transpose(turn)


def refuse_broken(image: Any) -> None:
    """Raises UserError for a PNG with a chunk, from the first of pixels on, that is not what its checksum says."""
    file: BinaryIO = image.fp
    place = file.tell()
    file.seek(image.tile[0].offset - 8)
    kind = b""
    while kind != b"IEND":
        head = file.read(8)
        kind, left = head[4:], int.from_bytes(head[:4], "big")
        checksum = zlib.crc32(kind)
        while left:
            piece = file.read(min(left, 1 << 20))
            if not piece:
                raise UserError("it ends too early")
            left -= len(piece)
            checksum = zlib.crc32(piece, checksum)
        if len(head) < 8 or file.read(4) != checksum.to_bytes(4, "big"):
            raise UserError("a checksum is wrong")
    file.seek(place)


def orientation(image: Image.Image) -> int:
    """By the EXIF data in front of the pixels, where PNG wants them too; its own `getexif` would decode the image."""
    if image.format == "TIFF":  # which Pillow turns itself
        return 1
    found = Image.Image.getexif(image).get(EXIF_ORIENTATION)
    return found if isinstance(found, int) else 1


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """The image file with its header read and its pixels not yet decoded. Errors inside name the file: UserError for
    what is no regular file, no image, damaged, or has too many pixels, OSError for what cannot be read."""
    with refusals(path, max_pixels), path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
        refuse_tile(image, max_pixels)
        yield image


@contextmanager
def refusals(path: Path, max_pixels: int) -> Iterator[None]:
    """What readers raise inside, in one line that names the file; what is no regular file is refused before."""
    if not path.is_file():  # opening a pipe would wait for ever
        if path.exists() or path.is_symlink():
            raise UserError(f"{path}: expected a file, or a link to one")
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with pillow_refuses(max_pixels):
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.findall(r"\d+ pixels", str(error))
        raise UserError(f"{path}: {pixels[0]}, more than data.max_pixels={max_pixels}: not decoded") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: not an image that can be read ({', '.join(FORMATS)}): is it damaged?") from None
    except MemoryError:
        raise UserError(f"{path}: does not fit in the memory; a lower data.max_pixels refuses it earlier") from None
    except Unfit as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # readers raise many types for a damaged file, and name no path
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise UserError(f"{path}: damaged image: {' '.join(str(error).split())}") from None


def refuse_tile(image: Image.Image, max_pixels: int) -> None:
    """Raises Pillow's error for a TIFF whose tiles are too large: they may be larger than it, and are decoded whole."""
    tags = getattr(image, "tag_v2", {})
    width, height = tags.get(tiff.TILE_WIDTH), tags.get(tiff.TILE_HEIGHT)
    if isinstance(width, int) and isinstance(height, int) and width * height > max_pixels:
        raise Image.DecompressionBombError(f"a tile of {width * height} pixels")


def refuse_large(page: tiff.Page, max_pixels: int) -> None:
    """Raises Pillow's error for a TIFF beyond Pillow of which an image or a tile has more than `max_pixels`."""
    if page.largest > max_pixels:
        raise Image.DecompressionBombError(f"{page.largest} pixels")


def refuse_page(page: tiff.Page, max_pixels: int) -> None:
    """Raises an error for a TIFF beyond Pillow that cannot be read, or has more than `max_pixels`."""
    refuse_large(page, max_pixels)
    in_colours = page.height * page.width * page.channels // 3
    if in_colours > max_pixels:
        raise Unfit(
            f"{page.what} take as much memory as {in_colours} pixels in colours, more than data.max_pixels="
            f"{max_pixels}: not decoded"
        )
    if page.problem:
        raise Unfit(page.problem)


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
