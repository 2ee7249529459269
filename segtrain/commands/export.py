"""`export`: a trained network as a file for other programs, which answers as the checkpoint does."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from .. import disk
from ..build import Trust
from ..data.batches.source import Source
from ..data.files.pictures import Pictures
from ..errors import UserError
from ..inference.gate import FLOATS, INT8, Limits, Verdict, compare
from ..inference.int8 import quantize
from ..inference.programs import traced, write_onnx, write_program
from ..inference.windows import Windows
from ..machine import device
from ..report.screen import columns, counted_down, say, working
from ..runs.folder import checkpoint_files
from ..runs.portable import ALLOWED, Facts, write_safetensors
from ..runs.trained import Opened, opened
from ..scoring.reopened import OtherData, with_data
from ..text import counted

FORMATS = ("onnx", "pt2", "safetensors")
LARGEST = 512  # pixels a side of what an image is measured by
CALIBRATING = 64  # images of train


def export(
    *,
    run: str | None,
    checkpoint: str | None,
    format: str,
    out: str | None,
    split: str | None,
    correction: bool,
    int8: bool,
    data: OtherData,
    allow: list[str],
) -> None:
    """Write a trained network into one file, with all that another program has to know of it.

    The file is opened again and held against the checkpoint on the images of a split. One that answers otherwise gets
    no name: it is an error, and nothing is left.
    """
    refuse_format(format, int8=int8)
    device.quiet()
    file, *others = checkpoint_files(run, checkpoint)
    if others:
        raise UserError("export takes one network: name one run")
    trust = Trust(allow)
    trained = opened(file, trust, correction=correction)
    module = with_data(trained, file, data, trust).data
    split = split or module.final_split
    target, source = place_of(trained, out, f"-int8.{format}" if int8 else f".{format}", format), module.source(split)
    with unfinished(target) as path:
        with working(f"writing {target.name}"):
            write(trained, path)
        if int8:
            quantize(path, some(module.source("train"), CALIBRATING))
        verdict = held_against(trained, opened(path, Trust((*allow, ALLOWED))), source, INT8 if int8 else FLOATS)
        refuse_other_answers(verdict, target)
        path.replace(target)
    disk.write(target.with_suffix(f"{target.suffix}.json"), summary(verdict, file, split, len(source)))
    megabytes = target.stat().st_size / 1e6
    say(f"written: {target} ({megabytes:.1f} MB), checked on {counted(len(source), 'image')} of {split}")


def refuse_format(format: str, *, int8: bool) -> None:
    """Raises UserError for what no network is written as."""
    if format not in FORMATS:
        raise UserError(f"format={format}: expected {', '.join(FORMATS)}")
    if int8 and format != "onnx":
        raise UserError(f"int8=true format={format}: integers of 8 bits are for format=onnx alone")


def refuse_other_answers(verdict: Verdict, target: Path) -> None:
    """Print how a file answers beside its network. Raises UserError if it answers otherwise."""
    say(columns(verdict.rows(), numbers=(1, 2, 3)))
    if verdict.problem:
        raise UserError(f"{target}: not written, since it does not answer as the network does: {verdict.problem}")


def place_of(trained: Opened, out: str | None, ending: str, format: str) -> Path:
    """The file to be written, which ends so where its name is not given."""
    if out is None:
        target = trained.folder / "export" / f"{disk.file_name(trained.record.settings['name'])}{ending}"
        disk.stay_inside(trained.folder, target.parent)
    else:
        target = Path(out)
        if target.suffix != f".{format}":
            raise UserError(f"out={out}: expected a file whose name ends with .{format}")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """A file of the same kind in a folder of its own beside the target, which is gone at the end."""
    with TemporaryDirectory(dir=target.parent, prefix=".export_") as folder:
        yield Path(folder) / target.name


def write(trained: Opened, path: Path) -> None:
    """The network as a file of the kind that its name says."""
    kind = numbers_of(trained)
    image = torch.zeros(1, trained.record.channels, 1, 1, dtype=kind)
    known = Windows().known(trained.network, image, trained.network)
    facts = Facts(trained.record, known).as_json()
    if path.suffix == ".safetensors":
        write_safetensors(trained.network, facts, path)
        return
    program = traced(trained.network, trained.record.channels, kind)
    writer = write_onnx if path.suffix == ".onnx" else write_program
    writer(program, facts, path)


def numbers_of(trained: Opened) -> torch.dtype:
    """The numbers in which the images come that the network was trained on."""
    pictures = Pictures.stored(trained.record.pictures)
    if pictures is None or (pictures.kind, pictures.bits) == ("unsigned", 8):
        return torch.uint8
    return torch.uint16 if (pictures.kind, pictures.bits) == ("unsigned", 16) else torch.float32


def some(source: Source, count: int) -> Iterator[Tensor]:
    """So many images (C, H, W), or all there are, from all over a split; the middle of large ones."""
    count = min(count, len(source))
    for number in counted_down("calibrating", range(count), transient=True):
        image = source.read_picture(number * len(source) // count).pixels
        top, left = (max(0, side - LARGEST) // 2 for side in image.shape[1:])
        yield image[:, top : top + LARGEST, left : left + LARGEST]


def held_against(trained: Opened, other: Opened, source: Source, limits: Limits) -> Verdict:
    """What the answers of a file's network say beside those of the one that it was written from, on a split."""
    classes = trained.classes
    with closing(counted_down("checking", range(len(source)), transient=True)) as places:
        images = map(source.read, places)
        return compare(trained.network, other.network, images, classes.void, len(classes), limits)


def summary(verdict: Verdict, file: Path, split: str, images: int) -> str:
    """What was compared, for the file beside the exported one."""
    checks = [{**check._asdict(), "share": check.share} for check in verdict.checks]
    found = {
        "checkpoint": str(file),
        "split": split,
        "images": images,
        "miou": verdict.other,
        "miou_of_checkpoint": verdict.miou,
        "checks": checks,
    }
    return json.dumps(found, indent=2) + "\n"
