"""`predict`: masks and overlays for new images."""

import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .. import disk
from ..build import Trust
from ..data.classes import ClassTable
from ..data.files import films
from ..data.files.geotiff import Place, place_of, world_file
from ..data.files.images import MAX_PIXELS, Picture, header, opened_pixels, read_picture
from ..data.files.pictures import SAMPLE, Pictures, filled
from ..errors import UserError
from ..images import Images, find_images
from ..inference.image import Answer, Area, answers, probable, sure
from ..inference.windows import Windows
from ..machine import device
from ..machine.device import Computing
from ..report.annotations import Annotations, annotations, geojson, marked
from ..report.encoding import ENCODINGS, Encoding, encoded, void_number
from ..report.outlines import regions
from ..report.pictures import overlay, overlay_with_legend
from ..report.screen import Countdown, counted_down, say
from ..runs.folder import checkpoint_files
from ..runs.trained import Opened, opened
from ..text import counted, kinds_of_files, plain_cell
from ..training.members import ensemble
from ..training.reopened import on_device
from ..training.views import Views

OVERLAY, PROBABILITIES, POLYGONS = "overlay", "probabilities", "polygons"
FOLDERS = {"mask": "masks", OVERLAY: "overlays", "confidence": "confidence"}
FOLDERS |= {PROBABILITIES: PROBABILITIES, POLYGONS: POLYGONS}
LARGEST = 4096  # pixels a side of an overlay


class Predicted(NamedTuple):
    """What comes of one image."""

    image: np.ndarray  # (C, H, W)
    mask: np.ndarray  # (H, W) class indices
    confidence: np.ndarray  # (H, W) uint8: how probable these are, in 255ths; 0 where there are no data
    place: Place | None = None  # where a GeoTIFF lies
    remark: str = (
        ""  # by what the image differs from those of the training, if a network may take it for something else
    )


class Sight(NamedTuple):
    """A network, and how it is shown large images."""

    network: nn.Module
    windows: Windows

    def answers(self, image: Tensor, answer: Answer) -> Iterator[tuple[Area, list[Tensor]]]:
        return answers(self.network, image, answer, self.windows)


class Target(NamedTuple):
    """What is written, and where."""

    folder: Path
    home: Path  # the folder out of which no link may lead
    save: Collection[str]  # names in `FOLDERS`
    encoding: Encoding
    min_area: int  # pixels of the smallest region that has a polygon

    def place(self, what: str, name: str, suffix: str) -> Path:
        """The file for what is saved of an image, in a folder that is there.

        Raises UserError if a link leads out of `home`, which a run folder from somewhere else may hold. A name may hold
        dots, or be nothing else.
        """
        path = self.folder / FOLDERS[what] / f"{name}{suffix}"
        disk.stay_inside(self.home, path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@dataclass
class Outlines:
    """Where the polygons of all images go, and what has none."""

    file: Annotations
    small: int = 0  # regions that are left out,
    lost: int = 0  # and their pixels
    unplaced: int = 0  # GeoTIFFs whose place is no matrix


@dataclass
class Limits:
    """Settings in place of the run's own, where not `None`."""

    max_pixels: int | None


def predict(
    *,
    run: str | None,
    checkpoint: str | None,
    images: str,
    out: str | None,
    save: list[str],
    encode: str,
    min_area: int,
    correction: bool,
    calibration: bool,
    flip: bool,
    scales: list[float],
    window: int | None,
    overlap: float | None,
    data: Limits,
    trainer: Computing,
    allow: list[str],
) -> None:
    """Write what `save` names of each image: by default masks/NAME.png (class indices, with the class colours as
    palette) and overlays/NAME.png; and summary.csv of all.

    `images` is an image, a folder, a glob, several of these, or a text file with a path in each line. Their folders are
    mirrored in `out`, by default the run's `predict/`. The mask of a GeoTIFF is a GeoTIFF. With `encode` masks hold the
    data set's own values or colours. Several networks answer by the mean of their probabilities, with `flip` of each
    image in a mirror too, and of each in all `scales`. One of several images that cannot be read is named at the end,
    in an error.
    """
    encoding, views = refuse_unknown(save, encode), Views(flip, scales, window, overlap)
    if min_area < 1:
        raise UserError(
            f"min_area={min_area}: expected the pixels of the smallest region that has a polygon, 1 or more"
        )
    sources = find_images(images)
    device.quiet()
    trust = Trust(allow)
    files = checkpoint_files(run, checkpoint)
    members = [opened(file, trust, correction=correction, calibration=calibration) for file in files]
    trained = ensemble([views.of(member) for member in members])
    sight = Sight(on_device(trained, trainer), views.windows(trained.record))
    folder, home = (Path(out), Path(out)) if out else (trained.folder / "predict", trained.folder)
    target = Target(folder, home, save, encoding, min_area)
    max_pixels = trained.record.max_pixels(data.max_pixels, MAX_PIXELS)
    failed = predict_all(sources.files, sight, trained, target, max_pixels)
    conclude(sources, failed, target)


def refuse_unknown(save: Collection[str], encode: str) -> Encoding:
    """Raises UserError for what cannot be saved, and for another encoding than there are."""
    for what in save:
        if what not in FOLDERS:
            raise UserError(f"save={what}: expected some of {', '.join(FOLDERS)}, as in save=[mask,confidence]")
    if not save:
        raise UserError(f"save=[]: nothing would be written; name some of {', '.join(FOLDERS)}")
    for encoding in ENCODINGS:
        if encode == encoding:
            return encoding
    raise UserError(f"encode={encode}: expected {', '.join(ENCODINGS)}")


def predict_all(files: Mapping[str, Path], sight: Sight, trained: Opened, target: Target, max_pixels: int) -> list[str]:
    """Write what the network makes of images, by their names; why some of them could not be predicted."""
    failed, strange, rows = [], 0, []
    stills = {name: path for name, path in files.items() if path.suffix.lower() not in films.SUFFIXES}
    with outlining(target, trained.classes) as outlines:
        for name, path in counted_down("predicting", stills.items()):
            try:
                result = computed(sight, trained, path, max_pixels, target, name)
            except (UserError, OSError) as error:
                if len(files) == 1:
                    raise
                failed.append(reason_of(path, error))
                continue
            if result.remark and not strange:
                say(f"{path}: {result.remark}: the mask may be wrong; give pictures stored as those of the training")
            strange += result.remark != ""
            write(name, result, path, trained.classes, target)
            if outlines is not None:
                write_polygons(name, result, path, trained.classes, target, outlines)
            rows.append(summary(name, result, trained.classes))
        for name, path in files.items():
            if name in stills:
                continue
            try:
                rows += predict_film(name, path, sight, trained, target, max_pixels, outlines)
            except (UserError, OSError) as error:
                if len(files) == 1:
                    raise
                failed.append(reason_of(path, error))
    if strange > 1:
        say(f"{strange} images are not like those of the training; the first one is named above")
    if rows:
        write_summary(target, rows, trained.classes)
    return failed


def predict_film(
    name: str,
    path: Path,
    sight: Sight,
    trained: Opened,
    target: Target,
    max_pixels: int,
    outlines: Outlines | None,
) -> list[list[Any]]:
    """Write overlays as a film of the same rate, all else as files NAME/000001 and so on; the rows of the summary."""
    rows, apart = [], target._replace(save=[what for what in target.save if what != OVERLAY])
    with (
        films.opened(path, max_pixels) as film,
        shown_film(name, film, target) as show,
        Countdown(path.name, film.length) as countdown,
    ):
        for number, frame in enumerate(film.frames, 1):
            pixels = opened_pixels(Image.fromarray(frame), trained.record.channels)
            image, each = Picture(torch.from_numpy(pixels.copy()).permute(2, 0, 1)), f"{name}/{number:06}"
            result = answered(sight, trained, image, apart, each)
            write(each, result, path, trained.classes, apart)
            if outlines is not None:
                write_polygons(each, result, path, trained.classes, apart, outlines)
            rows.append(summary(each, result, trained.classes))
            show(overlay(frame.transpose(2, 0, 1), result.mask, trained.classes))
            countdown.advance()
        if not rows:
            raise UserError(f"{path}: a film without frames")
    return rows


@contextmanager
def shown_film(name: str, film: films.Film, target: Target) -> Iterator[Callable[[np.ndarray], None]]:
    """What takes the overlays of a film, frame by frame; it drops them where they are not wanted."""
    if OVERLAY not in target.save:
        yield lambda picture: None
        return
    with disk.finished(target.place(OVERLAY, name, ".mp4")) as unfinished, films.written(unfinished, film.rate) as add:
        yield add


@contextmanager
def outlining(target: Target, classes: ClassTable) -> Iterator[Outlines | None]:
    """The file for the polygons of all images, which is whole or not there; `None` where none are wanted."""
    if POLYGONS not in target.save:
        yield None
        return
    with disk.finished(target.place(POLYGONS, "coco", ".json")) as path, annotations(path, classes) as file:
        outlines = Outlines(file)
        yield outlines
    if outlines.small:
        small = f"{counted(outlines.small, 'region')} of {outlines.lost:,} pixels together"
        say(f"polygons: without {small}, each smaller than min_area={target.min_area}")
    if outlines.unplaced:
        say(f"no GeoJSON of {counted(outlines.unplaced, 'GeoTIFF')}, whose tags give no matrix from pixels to the map")


def computed(sight: Sight, trained: Opened, path: Path, max_pixels: int, target: Target, name: str) -> Predicted:
    """An image and its mask; pixels without data are void. Probabilities are written while they are computed."""
    head = header(path, max_pixels)
    image = read_picture(path, max_pixels, channels=trained.record.channels, bits=head.depth)
    known = Pictures.stored(trained.record.pictures)
    remark = known.remark(*head.stored, filled(image.values(SAMPLE))) if known else ""
    return answered(sight, trained, image, target, name)._replace(place=place_of(path), remark=remark)


def answered(sight: Sight, trained: Opened, image: Picture, target: Target, name: str) -> Predicted:
    """An image that was read, and its mask."""
    size = tuple(image.pixels.shape[-2:])
    missing = None if image.valid is None else ~image.valid.numpy()
    mask, confidence = np.empty(size, trained.classes.dtype), np.empty(size, np.uint8)
    if PROBABILITIES in target.save:
        with disk.finished(target.place(PROBABILITIES, name, ".npy")) as file:
            each = np.lib.format.open_memmap(file, "w+", np.uint8, (*size, len(trained.classes)))
            for area, (indices, highest, shares) in sight.answers(image.pixels, probable):
                mask[area], confidence[area], each[area] = indices, highest, shares.permute(1, 2, 0)
            if missing is not None:
                each[missing] = 0
            each.flush()
    else:
        for area, (indices, highest) in sight.answers(image.pixels, sure):
            mask[area], confidence[area] = indices, highest
    if missing is not None:
        mask[missing], confidence[missing] = trained.classes.void, 0
    return Predicted(image.pixels.numpy(), mask, confidence)


def reason_of(path: Path, error: Exception) -> str:
    """Why an image could not be predicted, with its name."""
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: {error.strerror}"
    text = " ".join(str(error).split())
    return text if str(path) in text else f"{path}: {text}"


def conclude(sources: Images, failed: list[str], target: Target) -> None:
    """Say what was done. Raises UserError if some images could not be predicted."""
    total = len(sources.files)
    done = total - len(failed)
    if done:
        count = f"{done} of {counted(total, 'image')}" if failed else counted(total, "image")
        folders = [f"{FOLDERS[what]} in {target.folder / FOLDERS[what]}" for what in FOLDERS if what in target.save]
        say(f"{count}: {', '.join(folders)}; summary.csv says what is in them")
    if sources.others:
        say(f"left aside, as no images by their names: {kinds_of_files(sources.others)}")
    if len(failed) > 1:
        for line in failed:
            say(f"not predicted: {line}")
    if failed:
        more = f" (and {len(failed) - 1} more, see above)" if len(failed) > 1 else ""
        raise UserError(f"{len(failed)} of {total} images could not be predicted: {failed[0]}{more}")


def write(name: str, result: Predicted, source: Path, classes: ClassTable, target: Target) -> None:
    """Write what is wanted of the image `source`."""
    if "mask" in target.save:
        write_mask(name, result, source, classes, target)
    if OVERLAY in target.save:
        step = -(-max(result.mask.shape) // LARGEST)  # a larger picture is not looked at as a whole
        picture = overlay_with_legend(result.image[:, ::step, ::step], result.mask[::step, ::step], classes)
        write_picture(target.place(OVERLAY, name, ".png"), picture)
    if "confidence" in target.save:
        write_picture(target.place("confidence", name, ".png"), Image.fromarray(result.confidence))


def write_polygons(
    name: str, result: Predicted, source: Path, classes: ClassTable, target: Target, outlines: Outlines
) -> None:
    """Write the regions of the image `source`: into COCO's file of all images, and of a GeoTIFF as GeoJSON too."""
    shown, kept = set(marked(classes)), []
    for region in regions(result.mask):
        if region.value in shown and region.pixels >= target.min_area:
            kept.append(region)
        elif region.value in shown:
            outlines.small += 1
            outlines.lost += region.pixels
    outlines.file.add(f"{name}{source.suffix}", result.mask.shape, kept)
    if result.place is None:
        return
    matrix = result.place.affine
    if matrix is None:
        outlines.unplaced += 1
        return
    text = geojson(kept, classes, lambda points: points @ matrix[:, :2].T + matrix[:, 2], result.place.epsg)
    disk.write(target.place(POLYGONS, name, ".geojson"), text)


def write_mask(name: str, result: Predicted, source: Path, classes: ClassTable, target: Target) -> None:
    """Write the mask of the image `source`: as a GeoTIFF where that is one, else as a PNG, with the world file of the
    image where it has one."""
    picture = encoded(result.mask, classes, target.encoding)
    if result.place is not None:
        tags = result.place.for_mask(void_number(classes, target.encoding))
        path = target.place("mask", name, ".tif")
        write_picture(path, picture, tiffinfo=tags, compression="tiff_adobe_deflate")
        return
    write_picture(target.place("mask", name, ".png"), picture)
    world = world_file(source)
    if world is not None:
        disk.write(target.place("mask", name, ".pgw"), world.read_bytes())


def write_picture(path: Path, picture: Image.Image, **options: object) -> None:
    """Write a picture in the format that its suffix says, with options of Pillow's."""
    content = io.BytesIO()
    picture.save(content, format="TIFF" if path.suffix == ".tif" else "PNG", **options)
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


def write_summary(target: Target, rows: Sequence[Sequence[Any]], classes: ClassTable) -> None:
    """`summary.csv`: a row for each image, with the pixels and the share of each class."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    names = [*(f"pixels {name}" for name in classes.names), *(f"share {name}" for name in classes.names)]
    writer.writerow(["image", "height", "width", "void_pixels", "mean_confidence", *map(plain_cell, names)])
    writer.writerows(rows)
    disk.stay_inside(target.home, target.folder)
    target.folder.mkdir(parents=True, exist_ok=True)
    disk.write(target.folder / "summary.csv", text.getvalue())
