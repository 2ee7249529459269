"""`predict`: masks and overlays for new images."""

import glob
from pathlib import Path

import numpy as np
from lightning.fabric import Fabric
from PIL import Image
from rich.progress import track

from .. import disk
from ..data.classes import UNPRINTABLE, ClassTable
from ..data.images import MAX_PIXELS, SUFFIXES, header, read_image
from ..errors import UserError
from ..inference import input_channels
from ..inference import predict as predict_mask
from ..report.pictures import overlay
from ..report.screen import console, say
from .evaluate import Engine, opened


def predict(
    *, run: str | None, checkpoint: str | None, images: str, out: str | None, trainer: Engine, allow: list[str]
) -> None:
    """Write masks/NAME.png (class indices, with the class colours as palette) and overlays/NAME.png for each image.

    Args:
        images: an image, a folder, or a glob; the folders below it are mirrored.
        out: instead of `predict/` in the run folder.
    """
    sources = find_images(images)
    trained = opened(run, checkpoint, trainer, allow)
    max_pixels = trained.settings["data"].get("max_pixels", MAX_PIXELS)
    channels = input_channels(trained.network)
    bits = {path: header(path, max_pixels).bits for path in sources.values()}  # what cannot be read is known at once
    fabric = Fabric(accelerator=trained.device, devices=trainer.devices, precision=trained.precision)
    network = fabric.setup_module(trained.network)
    target = Path(out) if out else trained.folder / "predict"
    home = target if out else trained.folder
    for name, path in track(sources.items(), "predicting", console=console, disable=not console.is_terminal):
        image = read_image(path, max_pixels, channels=channels, bits=bits[path])
        mask = predict_mask(network, image).numpy()
        write_picture(target / "masks" / f"{name}.png", indexed(mask, trained.classes), home)
        picture = Image.fromarray(overlay(image.numpy(), mask, trained.classes))
        write_picture(target / "overlays" / f"{name}.png", picture, home)
    say(f"{len(sources)} images: masks in {target / 'masks'}, overlays in {target / 'overlays'}")


def find_images(pattern: str) -> dict[str, Path]:
    """Name below the folder that all have in common, without suffix -> image file.

    Raises:
        FileNotFoundError: if there is none.
        UserError: for two that differ in their suffix alone, and for names that cannot be written.
    """
    path = Path(pattern)
    if path.is_dir():
        base, files = path, [p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES]
    elif path.exists():
        base, files = path.parent, [path]
    else:
        base, files = fixed_part(path), [Path(p) for p in glob.glob(str(path), recursive=True)]
    files = sorted(file for file in files if not file.is_dir())
    if not files:
        raise FileNotFoundError(
            f"images={pattern}: no image found; expected an image, a folder or a glob like 'a/*.jpg'"
        )
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
    if len(classes) > 256:
        return Image.fromarray(mask.astype(np.uint16))
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette(classes.palette.tobytes())
    return image


def write_picture(path: Path, picture: Image.Image, home: Path) -> None:
    """Under a temporary name first, so that no half-written file is ever taken for a whole one.

    Raises:
        UserError: if a link leads out of `home`, which a run folder from somewhere else may hold.
    """
    disk.stay_inside(home, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.unlink(missing_ok=True)  # a link of this name would be written through
    picture.save(unfinished, format="PNG")
    unfinished.replace(path)
