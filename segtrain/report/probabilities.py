"""The probabilities of all classes of an image in one file, in 255ths, written a part at a time."""

import importlib
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

Format = Literal["npy", "npz", "tiff"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[Format, str] = {"npy": ".npy", "npz": ".npz", "tiff": ".tif"}
GDAL_METADATA, ASCII = 42112, 2
STRIP = 1 << 16  # bytes of a strip of a TIFF, about
AT_ONCE = 1 << 24  # bytes that are packed at a time
QUICK = 1  # zlib's level: most probabilities are 0 or 255, which any level packs well


class Shares(NamedTuple):
    """A file in which the numbers of an image (H, W, classes) lie behind a header, row by row."""

    path: Path
    offset: int  # of the first number
    shape: tuple[int, int, int]

    def write(self, area: tuple[slice, slice], numbers: np.ndarray) -> None:
        """Write numbers (rows, columns, classes) uint8 where they belong."""
        height, width, classes = self.shape
        rows, columns = range(height)[area[0]], range(width)[area[1]]
        lines = numbers[None] if len(columns) == width else numbers  # whole rows lie together
        with self.path.open("r+b") as file:
            for row, line in zip(rows, lines, strict=len(columns) < width):
                file.seek(self.offset + (row * width + columns.start) * classes)
                file.write(np.ascontiguousarray(line).data)


def in_npy(path: Path, shape: tuple[int, int, int]) -> Shares:
    """A new file that `numpy.load` reads."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        offset = file.tell()
        file.truncate(offset + math.prod(shape))
    return Shares(path, offset, shape)


@contextmanager
def in_npz(path: Path, shape: tuple[int, int, int], names: Sequence[str]) -> Iterator[Shares]:
    """A new file of `probabilities` and the names of their `classes`, packed, that `numpy.load` reads.

    Until all are written, they lie in a file beside it, since parts that are packed stand in the order of the rows.
    """
    beside = path.with_name(f"{path.name}.npy")
    try:
        yield in_npy(beside, shape)
        with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=QUICK) as archive:
            with beside.open("rb") as file, archive.open("probabilities.npy", "w", force_zip64=True) as packed:
                shutil.copyfileobj(file, packed, AT_ONCE)
            with archive.open("classes.npy", "w") as packed:
                np.lib.format.write_array(packed, np.array(names), allow_pickle=False)
    finally:
        beside.unlink(missing_ok=True)


def in_tiff(
    path: Path, shape: tuple[int, int, int], names: Sequence[str], tags: ImageFileDirectory_v2 | None
) -> Shares:
    """A new TIFF, from 4 GB on a BigTIFF, with a band for each class, which GDAL shows by its name.

    `tags` say where it lies.
    """
    tifffile: Any = importlib.import_module("tifffile")  # an extra
    _, width, classes = shape
    descriptions = [  # GDAL resolves what XML escapes twice
        f'<Item name="DESCRIPTION" sample="{index}" role="description">{escape(escape(name))}</Item>'
        for index, name in enumerate(names)
    ]
    metadata = f"<GDALMetadata>{''.join(descriptions)}</GDALMetadata>".encode()
    extra: list[tuple[Any, ...]] = [(GDAL_METADATA, ASCII, None, metadata, True)]
    tags = tags or ImageFileDirectory_v2()
    for tag, value in tags.items():
        extra.append((tag, tags.tagtype[tag], None if isinstance(value, str) else np.size(value), value, True))
    offset, _ = tifffile.imwrite(
        path,
        shape=shape,
        dtype=np.uint8,
        photometric="minisblack",
        planarconfig="contig",
        rowsperstrip=max(1, STRIP // (width * classes)),
        extrasamples=[0] * (classes - 1),
        extratags=extra,
        metadata=None,
        software=False,
        returnoffset=True,
    )
    return Shares(path, offset, shape)
