"""Where on Earth an image lies, by the tags of a GeoTIFF or a world file: copied for masks, computed with for polygons.

The tags are those of OGC's GeoTIFF standard 1.1, https://docs.ogc.org/is/19-008r4/19-008r4.html
"""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from . import tiff

# Of the pixels: their size, points in the world, a matrix, polynomials; of the world: which map it is.
SCALE, TIE_POINTS, MATRIX, POLYNOMIALS = 33550, 33922, 34264, 50844
GEO_KEYS, GEO_DOUBLES, GEO_TEXTS = 34735, 34736, 34737
PLACES = {SCALE, TIE_POINTS, MATRIX, POLYNOMIALS, GEO_KEYS}
COPIED = sorted(PLACES | {GEO_DOUBLES, GEO_TEXTS})
RASTER_TYPE, GEOGRAPHIC, PROJECTED = 1025, 2048, 3072  # keys of the world
PIXEL_IS_POINT, LARGEST_CODE = 2, 32766  # values of keys: that places are those of centres; the last one of EPSG
ASCII = 2  # the type of a text in TIFF
MAX_WORLD = 10_000  # bytes of a world file, which holds six numbers


class GeoTags(NamedTuple):
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

    @property
    def affine(self) -> np.ndarray | None:
        """(2, 3) float64: map coordinates from (x, y, 1), where the first pixel goes from (0, 0) to (1, 1); `None` if
        the tags give no such matrix."""
        matrix = self._matrix()
        if matrix is None or not np.isfinite(matrix).all():
            return None
        if self._key(RASTER_TYPE) == PIXEL_IS_POINT:
            matrix[:, 2] -= matrix[:, :2].sum(1) / 2
        return matrix

    @property
    def epsg(self) -> int | None:
        """The number of the map in EPSG's register; `None` for one of its own, or none."""
        code = self._key(PROJECTED) or self._key(GEOGRAPHIC)
        return code if code is not None and code <= LARGEST_CODE else None

    def _matrix(self) -> np.ndarray | None:
        """The matrix of the pixels' coordinates, or that of their size and one point in the world."""
        matrix, scale, points = (numbers(self.tags.get(tag)) for tag in (MATRIX, SCALE, TIE_POINTS))
        if len(matrix) == 16:
            return matrix.reshape(4, 4)[:2, [0, 1, 3]]
        if len(scale) < 2 or len(points) != 6:
            return None
        (across, down), (column, row, _, x, y, _) = scale[:2], points
        return np.array([[across, 0, x - across * column], [0, -down, y + down * row]])

    def _key(self, wanted: int) -> int | None:
        """The number that a key of the world has, which stands in the key itself."""
        keys = numbers(self.tags.get(GEO_KEYS)).astype(np.int64)
        entries = keys[4 : 4 + len(keys[4:]) // 4 * 4].reshape(-1, 4)
        values = entries[(entries[:, 0] == wanted) & (entries[:, 1] == 0), 3]
        return int(values[0]) if len(values) else None


def numbers(tag: object) -> np.ndarray:
    """(n,) float64 of the value of a tag; empty for what is none."""
    try:
        return np.atleast_1d(np.array(tag, np.float64)).ravel() if tag is not None else np.empty(0)
    except (ValueError, TypeError):
        return np.empty(0)


def place_of(path: Path) -> GeoTags | None:
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
    return GeoTags(tags, number(first.get(tiff.NODATA)))


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
