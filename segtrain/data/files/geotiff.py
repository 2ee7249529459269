"""Where on Earth an image lies, by the tags of a GeoTIFF or a world file; it is copied, never computed with."""

import warnings
from pathlib import Path
from typing import NamedTuple

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from . import tiff

# Of the pixels: their size, points in the world, a matrix, polynomials; of the world: which map it is.
SCALE, TIE_POINTS, MATRIX, POLYNOMIALS = 33550, 33922, 34264, 50844
GEO_KEYS, GEO_DOUBLES, GEO_TEXTS = 34735, 34736, 34737
PLACES = {SCALE, TIE_POINTS, MATRIX, POLYNOMIALS, GEO_KEYS}
COPIED = sorted(PLACES | {GEO_DOUBLES, GEO_TEXTS})
ASCII = 2  # the type of a text in TIFF
MAX_WORLD = 10_000  # bytes of a world file, which holds six numbers


class Place(NamedTuple):
    """What a GeoTIFF says besides its pixels."""

    tags: ImageFileDirectory_v2  # where it lies, as it stands in the file
    nodata: float | None  # the value of pixels that were not seen, in all channels

    def for_mask(self, nodata: int | None) -> ImageFileDirectory_v2:
        """Tags for a mask in which `nodata` is the value of pixels that were not seen, if there can be any; `None` for
        one whose values cannot say so."""
        tags = ImageFileDirectory_v2()
        for tag in self.tags:
            tags.tagtype[tag] = self.tags.tagtype[tag]
            tags[tag] = self.tags[tag]
        if self.nodata is not None and nodata is not None:
            tags.tagtype[tiff.NODATA] = ASCII
            tags[tiff.NODATA] = str(nodata)
        return tags


def place_of(path: Path) -> Place | None:
    """Where a GeoTIFF says that it lies; `None` for other files, and for one that is stored turned or mirrored, since
    its tags do not hold for the image as it is seen."""
    try:
        with warnings.catch_warnings(action="ignore"):
            pages = tiff.directories(path)
    except Exception:  # damaged tags, of which many types come; the pixels may be whole
        return None
    if not pages or not PLACES & pages[0].keys() or pages[0].get(tiff.ORIENTATION, 1) != 1:
        return None
    first, tags = pages[0], ImageFileDirectory_v2()
    for tag in COPIED:
        if tag in first:
            tags.tagtype[tag] = first.tagtype[tag]
            tags[tag] = first[tag]
    return Place(tags, number(first.get(tiff.NODATA)))


def number(text: object) -> float | None:
    """The number that a text is, which may be NaN; `None` if it is none."""
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


def world_file(path: Path) -> Path | None:
    """The file beside an image with the place of its pixels: a.tfw, a.tifw or a.wld for a.tif."""
    suffix = path.suffix
    for ending in (f"{suffix[:2]}{suffix[-1:]}w", f"{suffix}w", ".wld"):
        for written in (ending, ending.lower(), ending.upper()):
            file = path.with_suffix(written)
            if file.is_file() and file.stat().st_size <= MAX_WORLD:
                return file
    return None
