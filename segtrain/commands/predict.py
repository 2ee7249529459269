"""`predict`: masks and overlays for new images."""

import glob
import io
from pathlib import Path

import numpy as np
from lightning.fabric import Fabric
from PIL import Image
from rich.progress import track

from .. import disk
from ..build import Trust
from ..data.classes import ClassTable
from ..data.files.images import MAX_PIXELS, SUFFIXES, header, read_picture
from ..data.files.pictures import Pictures, filled
from ..errors import UserError
from ..inference import classify
from ..machine import device
from ..machine.device import Computing
from ..report.pictures import overlay
from ..report.screen import console, say
from ..runs.folder import checkpoint_file
from ..runs.trained import opened
from ..text import UNPRINTABLE


def predict(
    *, run: str | None, checkpoint: str | None, images: str, out: str | None, trainer: Computing, allow: list[str]
) -> None:
    """Write masks/NAME.png (class indices, with the class colours as palette) and overlays/NAME.png for each image.

    `images` is an image, a folder, or a glob, whose folders are mirrored in `out`, by default the run's `predict/`.
    """
    sources = find_images(images)
    device.quiet()
    file = checkpoint_file(run, checkpoint)
    kind = device.device_type(trainer.accelerator)
    trained = opened(file, Trust(allow))
    max_pixels = trained.record.settings["data"].get("max_pixels", MAX_PIXELS)
    heads = {path: header(path, max_pixels) for path in sources.values()}  # what cannot be read is known at once
    known, channels = Pictures.stored(trained.record.pictures), trained.record.channels
    precision = device.typed_or_stored(trainer.precision, kind, trained.record.precision)
    fabric = Fabric(accelerator=kind, devices=trainer.devices, precision=precision)  # pyright: ignore[reportArgumentType]
    device.keep_depth(fabric._precision)
    network = fabric.setup_module(trained.network)
    target, home = trained.folder / "predict", trained.folder
    if out:
        target = home = Path(out)
    others = 0  # images that are not like those of the training
    for name, path in track(sources.items(), "predicting", console=console, disable=not console.is_terminal):
        image = read_picture(path, max_pixels, channels=channels, bits=heads[path].depth)
        remark = known.remark(*heads[path].stored, filled(image.values())) if known else ""
        if remark and not others:
            say(f"{path}: {remark}: the mask may be wrong; give pictures stored as those of the training")
        others += remark != ""
        mask = classify(network, image.pixels).numpy()
        if image.valid is not None:
            mask[~image.valid.numpy()] = trained.classes.void
        write_picture(target / "masks" / f"{name}.png", indexed(mask, trained.classes), home)
        picture = Image.fromarray(overlay(image.pixels.numpy(), mask, trained.classes))
        write_picture(target / "overlays" / f"{name}.png", picture, home)
    say(f"{len(sources)} images: masks in {target / 'masks'}, overlays in {target / 'overlays'}")
    if others > 1:
        say(f"{others} images are not like those of the training; the first is named above")


def find_images(pattern: str) -> dict[str, Path]:
    """Name below the folder that all have in common, without suffix -> image file."""
    path = Path(pattern)
    if path.is_dir():
        base, files = path, [p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES]
    elif path.exists():
        base, files = path.parent, [path]
    else:
        base, files = fixed_part(path), [Path(p) for p in glob.glob(str(path), recursive=True)]
    files = sorted(file for file in files if not file.is_dir())
    if not files:
        expected = "an image, a folder or a glob like 'a/*.jpg'"
        raise FileNotFoundError(f"images={pattern}: no image found; expected {expected}")
    found: dict[str, Path] = {}
    for file in files:
        if UNPRINTABLE.search(str(file)):
            raise UserError(f"{str(file)!r}: the name holds control or invalid characters: rename it")
        below = file.relative_to(base)
        if ".." in below.parts:
            raise UserError(f"images={pattern}: with '..' after a wildcard, {file} would be written somewhere else")
        name = below.with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{file} and {found[name].name} would both become {name}.png: predict them apart")
        found[name] = file
    return found


def fixed_part(pattern: Path) -> Path:
    """The folders before the first wildcard of a glob."""
    fixed = Path(pattern.anchor)
    for part in pattern.relative_to(pattern.anchor).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed /= part
    return fixed


def indexed(mask: np.ndarray, classes: ClassTable) -> Image.Image:
    """A palette image of class indices; 16-bit grey where there are more classes than a palette holds."""
    if len(classes) > 256 or mask.max(initial=0) > 255:
        return Image.fromarray(mask.astype(np.uint16))
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette(classes.palette.tobytes())
    return image


def write_picture(path: Path, picture: Image.Image, home: Path) -> None:
    """Write a PNG. Raises UserError if a link leads out of `home`, which a run folder from somewhere else may hold."""
    disk.stay_inside(home, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    picture.save(content, format="PNG")
    disk.write(path, content.getvalue())
