"""`predict`: masks and overlays for new images."""

import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lightning.fabric import Fabric
from PIL import Image
from rich.progress import track
from torch import nn

from .. import disk
from ..build import Trust
from ..data.classes import ClassTable
from ..data.files.arrays import SUFFIXES as ARRAYS
from ..data.files.geotiff import Place, place_of, world_file
from ..data.files.images import MAX_PIXELS, SUFFIXES, header, read_picture
from ..data.files.pictures import Pictures, filled
from ..data.layouts.tree import PASSED_OVER, Tree
from ..errors import UserError
from ..inference import classify
from ..machine import device
from ..machine.device import Computing
from ..places import matches, no_image
from ..report.pictures import overlay_with_legend
from ..report.screen import console, say
from ..runs.folder import checkpoint_files
from ..runs.trained import Opened, opened
from ..text import counted, kinds_of_files, refuse_unprintable
from ..training.members import ensemble, in_a_mirror


class Images(NamedTuple):
    """What is to be predicted."""

    files: dict[str, Path]  # by their names below the folder that all have in common, without suffix
    others: list[Path]  # files that are no images by their suffix


class Predicted(NamedTuple):
    """What comes of one image."""

    image: np.ndarray  # (C, H, W)
    mask: np.ndarray  # (H, W) class indices
    place: Place | None  # where a GeoTIFF lies
    remark: str  # by what the image differs from those of the training, if a network may take it for something else


class Target(NamedTuple):
    """Where masks and overlays are written."""

    folder: Path
    home: Path  # the folder out of which no link may lead


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
    correction: bool,
    flip: bool,
    data: Limits,
    trainer: Computing,
    allow: list[str],
) -> None:
    """Write masks/NAME.png (class indices, with the class colours as palette) and overlays/NAME.png for each image.

    `images` is an image, a folder, or a glob, whose folders are mirrored in `out`, by default the run's `predict/`. The
    mask of a GeoTIFF is a GeoTIFF. Several networks answer by the mean of their probabilities, and with `flip` those of
    each image in a mirror too. One of several images that cannot be read is named at the end, in an error.
    """
    sources = find_images(images)
    device.quiet()
    trust = Trust(allow)
    members = [opened(file, trust, correction=correction) for file in checkpoint_files(run, checkpoint)]
    trained = ensemble([in_a_mirror(member) for member in members] if flip else members)
    network = on_device(trained, trainer)
    target = Target(Path(out), Path(out)) if out else Target(trained.folder / "predict", trained.folder)
    max_pixels = trained.record.max_pixels(data.max_pixels, MAX_PIXELS)
    failed = predict_all(sources.files, network, trained, target, max_pixels)
    conclude(sources, failed, target.folder)


def predict_all(
    files: Mapping[str, Path], network: nn.Module, trained: Opened, target: Target, max_pixels: int
) -> list[str]:
    """Write what the network makes of images, by their names; why some of them could not be predicted."""
    failed, strange = [], 0
    for name, path in track(files.items(), "predicting", console=console, disable=not console.is_terminal):
        try:
            result = computed(network, trained, path, max_pixels)
        except (UserError, OSError) as error:
            if len(files) == 1:
                raise
            failed.append(reason_of(path, error))
            continue
        if result.remark and not strange:
            say(f"{path}: {result.remark}: the mask may be wrong; give pictures stored as those of the training")
        strange += result.remark != ""
        write_mask(target.folder / "masks", name, result, path, trained.classes, target.home)
        picture = overlay_with_legend(result.image, result.mask, trained.classes)
        write_picture(target.folder / "overlays" / f"{name}.png", picture, target.home)
    if strange > 1:
        say(f"{strange} images are not like those of the training; the first one is named above")
    return failed


def on_device(trained: Opened, trainer: Computing) -> nn.Module:
    """The network on the device that it computes on, in the precision that was typed, or that its training had."""
    kind = device.device_type(trainer.accelerator)
    precision, note = device.typed_or_stored(trainer.precision, kind, trained.record.precision)
    if note:
        say(note)
    fabric = Fabric(accelerator=kind, devices=trainer.devices, precision=precision)  # pyright: ignore[reportArgumentType]
    device.keep_depth(fabric._precision)
    return fabric.setup_module(trained.network.to(device.dtype_of_weights(precision)))


def computed(network: nn.Module, trained: Opened, path: Path, max_pixels: int) -> Predicted:
    """An image and its mask; pixels without data are void."""
    head = header(path, max_pixels)
    image = read_picture(path, max_pixels, channels=trained.record.channels, bits=head.depth)
    known = Pictures.stored(trained.record.pictures)
    remark = known.remark(*head.stored, filled(image.values())) if known else ""
    mask = classify(network, image.pixels).numpy()
    if image.valid is not None:
        mask[~image.valid.numpy()] = trained.classes.void
    return Predicted(image.pixels.numpy(), mask, place_of(path), remark)


def reason_of(path: Path, error: Exception) -> str:
    """Why an image could not be predicted, with its name."""
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: {error.strerror}"
    text = " ".join(str(error).split())
    return text if str(path) in text else f"{path}: {text}"


def conclude(sources: Images, failed: list[str], target: Path) -> None:
    """Say what was done. Raises UserError if some images could not be predicted."""
    total = len(sources.files)
    done = total - len(failed)
    if done:
        count = f"{done} of {counted(total, 'image')}" if failed else counted(total, "image")
        say(f"{count}: masks in {target / 'masks'}, overlays in {target / 'overlays'}")
    if sources.others:
        say(f"left aside, as no images by their names: {kinds_of_files(sources.others)}")
    if len(failed) > 1:
        for line in failed:
            say(f"not predicted: {line}")
    if failed:
        more = f" (and {len(failed) - 1} more, see above)" if len(failed) > 1 else ""
        raise UserError(f"{len(failed)} of {total} images could not be predicted: {failed[0]}{more}")


def find_images(images: str) -> Images:
    """The images in a folder as data rooms list it, of a glob, or the one that is named."""
    path = Path(images)
    if path.is_dir():
        folder, files, named = path, [path / name for name in Tree(path).files], False
    elif path.exists():
        folder, files, named = path.parent, [path], True
    else:
        folder, files = matches(images)
        files, named = list(shown(files, folder)), True
    pictures = of_kind(files, SUFFIXES) or of_kind(files, ARRAYS)
    if not pictures and named:  # whose suffix was typed, or is like no other: reading them says what is wrong
        pictures = files
    if not pictures:
        raise FileNotFoundError(no_image(images))
    return Images(by_name(pictures, folder, images), sorted(set(files) - set(pictures)))


def of_kind(files: Iterable[Path], suffixes: Collection[str]) -> list[Path]:
    return [file for file in files if file.suffix.lower() in suffixes]


def shown(paths: Iterable[Path], folder: Path) -> Iterable[Path]:
    """The files among paths below a folder, but for what a Mac or a NAS leaves behind."""
    for path in paths:
        if path.is_file() and not PASSED_OVER & set(path.relative_to(folder).parts):
            yield path


def by_name(files: Iterable[Path], folder: Path, images: str) -> dict[str, Path]:
    """Name below the folder that all have in common, without suffix -> image file."""
    found: dict[str, Path] = {}
    for file in files:
        refuse_unprintable(file)
        below = file.relative_to(folder)
        if ".." in below.parts:
            raise UserError(f"images={images}: with '..' after a wildcard, {file} would be written somewhere else")
        name = below.as_posix().removesuffix(below.suffix)
        if name in found:
            apart = f"predict them apart, such as images='{folder}/*{file.suffix}' with an out=FOLDER of its own"
            raise UserError(f"{file} and {found[name].name} would both become {name}.png: {apart}")
        found[name] = file
    return found


def indexed(mask: np.ndarray, classes: ClassTable) -> Image.Image:
    """A palette image of class indices; 16-bit grey where there are more classes than a palette holds."""
    if len(classes) > 256 or mask.max(initial=0) > 255:
        return Image.fromarray(mask.astype(np.uint16))
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette(classes.palette.tobytes())
    return image


def write_mask(folder: Path, name: str, result: Predicted, source: Path, classes: ClassTable, home: Path) -> None:
    """Write the mask of the image `source`: as a GeoTIFF where that is one, else as a PNG, with the world file of the
    image where it has one. A name may hold dots, or be nothing else."""
    picture = indexed(result.mask, classes)
    if result.place is not None:
        tags = result.place.for_mask(classes.void)
        write_picture(folder / f"{name}.tif", picture, home, tiffinfo=tags, compression="tiff_adobe_deflate")
        return
    write_picture(folder / f"{name}.png", picture, home)
    world = world_file(source)
    if world is not None:
        disk.write(folder / f"{name}.pgw", world.read_bytes())


def write_picture(path: Path, picture: Image.Image, home: Path, **options: object) -> None:
    """Write a picture in the format that its suffix says, with options of Pillow's.

    Raises UserError if a link leads out of `home`, which a run folder from somewhere else may hold.
    """
    disk.stay_inside(home, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    picture.save(content, format="TIFF" if path.suffix == ".tif" else "PNG", **options)
    disk.write(path, content.getbuffer())
