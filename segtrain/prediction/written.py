"""What comes of images that are predicted, and the files that are written of it."""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from PIL import Image

from .. import disk
from ..data.classes import ClassTable
from ..data.files import films
from ..data.files.geotiff import GeoTags, world_file
from ..data.files.images import preview_step
from ..data.files.tiff import has_tifffile
from ..errors import UserError
from ..report.annotations import Annotations, annotations, geojson, marked
from ..report.encoding import ENCODINGS, Encoding, encoded, void_number
from ..report.outlines import regions
from ..report.pictures import overlay, overlay_with_legend
from ..report.probabilities import FORMATS, SUFFIXES, Format, Shares, in_npy, in_npz, in_tiff
from ..report.screen import say
from ..text import counted, plain_cell

MASK, OVERLAY, CONFIDENCE, PROBABILITIES, POLYGONS = "mask", "overlay", "confidence", "probabilities", "polygons"
FOLDERS = {
    MASK: "masks",
    OVERLAY: "overlays",
    CONFIDENCE: "confidence",
    PROBABILITIES: "probabilities",
    POLYGONS: "polygons",
}
OPTIONS: dict[str, dict[str, Any]] = {  # of Pillow's, by suffix
    ".png": {"format": "PNG", "compress_level": 1},  # a sixth larger than by default, in a quarter of the time
    ".jpg": {"format": "JPEG", "quality": 90, "subsampling": 0},  # with colours as sharp as what is light and dark
    ".tif": {"format": "TIFF"},
}


class Predicted(NamedTuple):
    """What comes of one image."""

    preview: np.ndarray  # (C, h, w) of the image
    mask: np.ndarray  # (H, W) class indices
    confidence: np.ndarray  # (H, W) uint8: how probable these are, in 255ths; 0 where there are no data
    place: GeoTags | None = None  # where a GeoTIFF lies


class Target(NamedTuple):
    """What is written, and where. `checked` gives one that makes sense."""

    folder: Path
    home: Path  # the folder out of which no link may lead
    save: Collection[str]  # names in `FOLDERS`
    encoding: Encoding
    min_area: int  # pixels of the smallest region that has a polygon
    probabilities: Format

    def place(self, what: str, name: str, suffix: str) -> Path:
        """The file for what is saved of an image, in a folder that is there.

        Raises UserError if a link leads out of `home`, which a run folder from somewhere else may hold. A name may hold
        dots, or be nothing else.
        """
        path = self.folder / FOLDERS[what] / f"{name}{suffix}"
        disk.stay_inside(self.home, path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def folders(self) -> list[str]:
        """What is saved and where, in words."""
        return [f"{FOLDERS[what]} in {self.folder / FOLDERS[what]}" for what in FOLDERS if what in self.save]


def checked(save: Collection[str], encode: str, min_area: int, probabilities: str) -> tuple[Encoding, Format]:
    """The encoding and the format of these names. Raises UserError for what cannot be saved, or in no such way."""
    for what in save:
        if what not in FOLDERS:
            raise UserError(f"save={what}: expected some of {', '.join(FOLDERS)}, as in save=[mask,confidence]")
    if not save:
        raise UserError(f"save=[]: nothing would be written; name some of {', '.join(FOLDERS)}")
    if min_area < 1:
        reason = "expected the pixels of the smallest region that has a polygon, 1 or more"
        raise UserError(f"min_area={min_area}: {reason}")
    if encode not in ENCODINGS:
        raise UserError(f"encode={encode}: expected {', '.join(ENCODINGS)}")
    if probabilities not in FORMATS:
        raise UserError(f"probabilities={probabilities}: expected {', '.join(FORMATS)}")
    if probabilities == "tiff" and not has_tifffile():
        raise UserError("probabilities=tiff needs tifffile: pip install 'segtrain[tiff]'")
    return cast(Encoding, encode), cast(Format, probabilities)


class Saver:
    """Writes what is wanted of each image, and at the end `summary.csv` of all.

    Within `with`, since the polygons of all images go into one file, which is whole or not there.
    """

    def __init__(self, target: Target, classes: ClassTable) -> None:
        self.target, self.classes = target, classes
        self.rows: list[list[Any]] = []  # of summary.csv
        self.small, self.lost = 0, 0  # regions without a polygon, and their pixels
        self.unplaced = 0  # GeoTIFFs whose place is no matrix
        self._polygons: Annotations | None = None

    @property
    def columns(self) -> int:
        """Number of columns of `summary.csv`."""
        return len(header_of(self.classes))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Inside, images are added."""
        if POLYGONS in self.target.save:
            path = self.target.place(POLYGONS, "coco", ".json")
            with disk.finished(path) as unfinished, annotations(unfinished, self.classes) as self._polygons:
                yield
            self._say_left_out()
        else:
            yield
        if self.rows:
            write_summary(self.target, self.rows, self.classes)

    def add(self, name: str, result: Predicted, source: Path, *, shown: bool = True) -> None:
        """Write what is wanted of an image in the file `source`, and note it; its overlay only if it is `shown`."""
        self.note(name, result, source, self.write(name, result, source, shown=shown))

    def write(self, name: str, result: Predicted, source: Path, *, shown: bool = True) -> list[Any]:
        """Write the files of an image alone, which several threads may do at once, and return its row of
        `summary.csv`."""
        target, classes = self.target, self.classes
        if MASK in target.save:
            write_mask(name, result, source, classes, target)
        if OVERLAY in target.save and shown:
            step = preview_step(result.mask.shape)
            picture = overlay_with_legend(result.preview, result.mask[::step, ::step], classes)
            write_picture(target.place(OVERLAY, name, ".jpg"), picture)
        if CONFIDENCE in target.save:
            write_picture(target.place(CONFIDENCE, name, ".png"), Image.fromarray(result.confidence))
        return summary(name, result, classes)

    def is_there(self, name: str) -> bool:
        """Whether all files of an image alone are there."""
        suffixes = {MASK: (".png", ".tif"), OVERLAY: (".jpg",), PROBABILITIES: (SUFFIXES[self.target.probabilities],)}
        for what in self.target.save:
            places = [self.target.place(what, name, suffix) for suffix in suffixes.get(what, (".png",))]
            if not any(place.is_file() for place in places):
                return False
        return True

    def note(self, name: str, result: Predicted, source: Path, row: list[Any]) -> None:
        """Add an image, whose own files are written, to the files of all."""
        if self._polygons is not None:
            self._add_polygons(name, result, source, self._polygons)
        self.rows.append(row)

    @contextmanager
    def probabilities(self, name: str, size: tuple[int, int], place: GeoTags | None) -> Iterator[Shares]:
        """Inside, the probabilities of an image of this height and width are written, a part of it at a time."""
        kind, shape = self.target.probabilities, (*size, len(self.classes))
        with disk.finished(self.target.place(PROBABILITIES, name, SUFFIXES[kind])) as unfinished:
            if kind == "npy":
                yield in_npy(unfinished, shape)
            elif kind == "npz":
                with in_npz(unfinished, shape, self.classes.names) as shares:
                    yield shares
            else:
                tags = place.for_mask(None) if place is not None else None
                yield in_tiff(unfinished, shape, self.classes.names, tags)

    @contextmanager
    def film(self, name: str, film: films.Film) -> Iterator[Callable[[np.ndarray, np.ndarray], None]]:
        """What takes the frames (H, W, 3) of a film with their masks, for a film of overlays."""
        if OVERLAY not in self.target.save:
            yield lambda frame, mask: None
            return
        path = self.target.place(OVERLAY, name, ".mp4")
        with disk.finished(path) as unfinished, films.written(unfinished, film.rate) as add:
            yield lambda frame, mask: add(overlay(frame.transpose(2, 0, 1), mask, self.classes))

    def _add_polygons(self, name: str, result: Predicted, source: Path, polygons: Annotations) -> None:
        """Write the regions of an image: into COCO's file of all images, and of a GeoTIFF as GeoJSON too."""
        shown, kept = set(marked(self.classes)), []
        for region in regions(result.mask):
            if region.value in shown and region.pixels >= self.target.min_area:
                kept.append(region)
            elif region.value in shown:
                self.small += 1
                self.lost += region.pixels
        polygons.add(f"{name}{source.suffix}", result.mask.shape, kept)
        if result.place is None:
            return
        matrix = result.place.affine
        if matrix is None:
            self.unplaced += 1
            return
        text = geojson(kept, self.classes, lambda points: points @ matrix[:, :2].T + matrix[:, 2], result.place.epsg)
        disk.write(self.target.place(POLYGONS, name, ".geojson"), text)

    def _say_left_out(self) -> None:
        if self.small:
            small = f"{counted(self.small, 'region')} of {self.lost:,} pixels together"
            say(f"polygons: without {small}, each smaller than min_area={self.target.min_area}")
        if self.unplaced:
            say(f"no GeoJSON of {counted(self.unplaced, 'GeoTIFF')}, whose tags give no matrix from pixels to the map")


def write_mask(name: str, result: Predicted, source: Path, classes: ClassTable, target: Target) -> None:
    """Write the mask of the image `source`: as a GeoTIFF where that is one, else as a PNG, with the world file of the
    image where it has one."""
    picture = encoded(result.mask, classes, target.encoding)
    if result.place is not None:
        tags = result.place.for_mask(void_number(classes, target.encoding))
        path = target.place(MASK, name, ".tif")
        write_picture(path, picture, tiffinfo=tags, compression="tiff_adobe_deflate")
        return
    write_picture(target.place(MASK, name, ".png"), picture)
    world = world_file(source)
    if world is not None:
        disk.write(target.place(MASK, name, ".pgw"), world.read_bytes())


def write_picture(path: Path, picture: Image.Image, **options: Any) -> None:
    """Write a picture in the format that its suffix says, with further options of Pillow's."""
    content = io.BytesIO()
    picture.save(content, **OPTIONS[path.suffix], **options)
    disk.write(path, content.getbuffer())


def summary(name: str, result: Predicted, classes: ClassTable) -> list[Any]:
    """A row of summary.csv."""
    rows = [np.bincount(row, minlength=classes.void + 1) for row in result.mask]  # all at once takes 8 bytes a pixel
    pixels = np.sum(rows, axis=0)
    seen = result.mask.size - int(pixels[classes.void])
    mean = f"{result.confidence.sum(dtype=np.int64) / 255 / seen:.4f}" if seen else ""
    shares = [f"{number / seen:.6f}" if seen else "" for number in pixels[: len(classes)].tolist()]
    height, width = result.mask.shape
    return [plain_cell(name), height, width, int(pixels[classes.void]), mean, *pixels[: len(classes)].tolist(), *shares]


def header_of(classes: ClassTable) -> list[str]:
    """The names of the columns of `summary.csv`."""
    names = [*(f"pixels {name}" for name in classes.names), *(f"share {name}" for name in classes.names)]
    return ["image", "height", "width", "void_pixels", "mean_confidence", *map(plain_cell, names)]


def write_summary(target: Target, rows: Sequence[Sequence[Any]], classes: ClassTable) -> None:
    """`summary.csv`: a row for each image, with the pixels and the share of each class."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header_of(classes))
    writer.writerows(rows)
    disk.stay_inside(target.home, target.folder)
    target.folder.mkdir(parents=True, exist_ok=True)
    disk.write(target.folder / "summary.csv", text.getvalue())
