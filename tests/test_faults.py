"""What people do wrong, and what goes wrong around them: each fault is answered in one line, and loses nothing.

The tables read: what is done, the words that are typed, a part of the answer. Their rows run in this process, in a
folder with a small data set (`photos`) and a finished training on it (`run`); at the end some are typed as a program.
"""

import errno
import json
import os
import pickle
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch.utils.data import get_worker_info

from segtrain import cli, disk
from segtrain.data import shapes
from segtrain.runs import folder as runs
from segtrain.training import learner
from tests.commands.conftest import TINY

Run = Callable[..., int]
ROOT = Path(__file__).resolve().parents[1]
ON_FOLDERS = [word for word in TINY if not word.startswith(("data.size", "data.train", "data.val", "data.test"))]
pytestmark = pytest.mark.slow  # two minutes

ON_PHOTOS = [*ON_FOLDERS, "data.root=photos"]
CLASSES = "ignore: 255\nclasses: [{name: sky}, {name: road}, {name: car}]\n"


class Row(NamedTuple):
    """A fault: what is done, the words typed, a part of the answer, and what is done to the files before."""

    what: str
    words: str
    message: str
    damage: Callable[[], Any] = list


def on(base: list[str], rows: list[Row]) -> list[Any]:
    """`rows` as parameters, with the words that stand before theirs."""
    return [pytest.param(base, row, id=row.what) for row in rows]


# --- what is done to files --------------------------------------------------------------------------------------------


def picture(path: str | Path, pixels: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photos(root: Path, numbers: dict[str, int], names: list[str] | None = None) -> None:
    """A data set in the home layout: noise of 32 x 32 with masks of three classes."""
    rng = np.random.default_rng(0)
    for split, number in numbers.items():
        for name in (names or [str(i) for i in range(number)])[:number]:
            picture(root / "images" / split / f"{name}.png", rng.integers(0, 256, (32, 32, 3), np.uint8))
            picture(root / "masks" / split / f"{name}.png", rng.integers(0, 3, (32, 32), np.uint8))
    (root / "classes.yaml").write_text(CLASSES, encoding="utf-8")


def mask(value: int, *names: str) -> Callable[[], None]:
    """Gives masks this value in all pixels: those of a file, or of a whole split."""

    def damage() -> None:
        for name in names:
            path = Path("photos/masks", name)
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                picture(file, np.full((32, 32), value, np.uint8))

    return damage


def write(path: str, content: bytes | str) -> Callable[[], Any]:
    data = content.encode() if isinstance(content, str) else content
    return lambda: Path(path).write_bytes(data)


def cut(path: str, to: int) -> Callable[[], Any]:
    """Leaves the first bytes of a file."""
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[:to])


def remove(*paths: str) -> Callable[[], None]:
    def damage() -> None:
        for path in map(Path, paths):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def empty(*folders: str) -> Callable[[], None]:
    def damage() -> None:
        for folder in map(Path, folders):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    return damage


def both(kind: str, damage: Callable[[Path, Path], Any]) -> Callable[[], Any]:
    """`damage(photos/images/..., photos/images)` and the same for masks."""
    return lambda: [damage(Path("photos", tree, kind), Path("photos", tree)) for tree in ("images", "masks")]


def link(name: str, target: str) -> Callable[[], Any]:
    """Puts links to `target` in place of `name`, among images and masks."""

    def make(path: Path, tree: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        path.symlink_to((tree / target).resolve())

    return both(name, make)


def huge_png(side: int) -> bytes:
    """A PNG of `side` x `side` pixels by its header, with almost nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def as_jpeg() -> None:
    for file in sorted(Path("photos/masks").rglob("*.png")):
        with Image.open(file) as image:
            image.save(file.with_suffix(".jpg"))
        file.unlink()


def only_images() -> None:
    empty("photos")()
    picture("photos/holiday.jpg", np.zeros((32, 32, 3), np.uint8))


def checkpoint(change: Callable[[dict[str, Any]], Any], name: str = "best") -> Callable[[], None]:
    """Changes the content of a checkpoint of `run`; its checksums are right."""

    def damage() -> None:
        path = Path("run/checkpoints", f"{name}.ckpt")
        content = torch.load(path, weights_only=True)
        change(content)
        path.unlink()  # `best` and `last` may be one file with two names
        torch.save(content, path)

    return damage


def renamed_class(content: dict[str, Any]) -> None:
    record = json.loads(content["segtrain"]["record"])
    record["classes"]["classes"][0]["name"] = "water"
    content["segtrain"]["record"] = json.dumps(record)


def narrower(content: dict[str, Any]) -> None:
    record = json.loads(content["segtrain"]["record"])
    record["model"]["widths"] = [8, 8, 8, 6]
    content["segtrain"]["record"] = json.dumps(record)


def of_another_run(*names: str) -> Callable[[], Any]:
    """Makes checkpoints of `run` those of another run, as if they had been copied over them."""

    def change(content: dict[str, Any]) -> None:
        record = json.loads(content["segtrain"]["record"])
        content["segtrain"]["record"] = json.dumps({**record, "run": "f" * 32})

    return lambda: [checkpoint(change, name)() for name in names]


def flip(path: str) -> Callable[[], None]:
    """Flips a bit in the largest member of a checkpoint."""

    def damage() -> None:
        with zipfile.ZipFile(path) as archive:
            member = max(archive.infolist(), key=lambda info: info.file_size)
        content = bytearray(Path(path).read_bytes())
        content[member.header_offset + 256 + member.file_size // 2] ^= 1
        Path(path).unlink()
        Path(path).write_bytes(content)

    return damage


def all_of(*damages: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: [damage() for damage in damages]


# --- what is typed ----------------------------------------------------------------------------------------------------

WORDS = [
    Row("no command", "seed=3", "the command comes first, as in: python -m segtrain train seed=3"),
    Row("an unknown command", "trian", "unknown command 'trian': did you mean train?"),
    Row("an unknown group", "train optimiser=sgd", "unknown setting optimiser: did you mean optimizer?"),
    Row("an unknown choice", "train model=fcn_tinny", "there is no such choice: did you mean fcn_tiny"),
    Row("no choice", "train loss=null", "loss=null: choose one, or leave it out (loss is one of boundary, ce_dice"),
    Row("an unknown setting", "train train.epoch=3", "unknown setting train.epoch: did you mean train.epochs?"),
    Row("a setting without its group", "train lr=0.1", "unknown setting lr: type optimizer.lr=0.1"),
    Row("a setting of another command", "evaluate images=x", "unknown setting images"),
    Row("a setting with dashes", "train --lr 0.1", "unrecognized arguments: --lr: settings are typed without dashes"),
    Row("a word alone", "train photos", "'photos' is not a setting: type name=value"),
    Row("a list without brackets", "train data.crop=32,32", "type data.crop=[32,32] for a list"),
    Row("an open bracket", "train data.crop=[32,32", "cannot be read; a value with special characters needs quotes"),
    Row("a path without a value", "train resume=", "resume= has no value: type resume=FOLDER, or leave it out"),
    Row("a folder in place of a choice", "train data=./photos", "type data.root=./photos for a folder of your own"),
    Row("a folder's name in place of a choice", "train data=photos", "data=photos: there is no such choice"),
    Row("data without their folder", "train data=folder", "data=folder needs data.root=FOLDER"),
    Row("evaluate without a network", "evaluate", "either run=FOLDER (or run=latest) or checkpoint=FILE"),
    Row(
        "evaluate with two networks", "evaluate run=run checkpoint=a", "either run=FOLDER (or run=latest) or checkpoint"
    ),
    Row("predict without images", "predict run=run", "predict needs images=FOLDER: it has no value yet"),
    Row("predict without a network", "predict images=photos", "either run=FOLDER (or run=latest) or checkpoint=FILE"),
]
VALUES = [
    Row("a word as a number", "train optimizer.lr=abc", "optimizer.lr: 'abc' is not a number (float), such as 0.002"),
    Row("a negative learning rate", "train optimizer.lr=-1", "optimizer: Invalid learning rate: -1"),
    Row("a negative weight decay", "train optimizer.weight_decay=-1", "optimizer: Invalid weight_decay value: -1"),
    Row("a momentum below 0", "train optimizer=sgd optimizer.momentum=-1", "optimizer: Invalid momentum value: -1"),
    Row("one beta of two", "train optimizer.betas=[0.9]", "optimizer.betas: [0.9] is not a list of 2, [float, float]"),
    Row("betas above 1", "train optimizer.betas=[2,3]", "optimizer: Invalid beta parameter at index 0: 2"),
    Row("an optimizer's unknown parameter", "train +optimizer.foo=1", "torch.optim.AdamW takes no 'foo'"),
    Row("a negative batch", "train data.batch_size=-1", "data.batch_size=-1: expected 1 or more"),
    Row("an empty batch", "train data.batch_size=0", "data.batch_size=0: expected 1 or more"),
    Row("half an image", "train data.batch_size=2.5", "data.batch_size: 2.5 is not a whole number (int)"),
    Row("a batch larger than the data", "train data.batch_size=13", "there are 12 training images; take 12 or fewer"),
    Row("negative workers", "train data.workers=-1", "data.workers=-1: expected 0 to 32, or auto"),
    Row("workers as a word", "train data.workers=many", "data.workers: 'many' is not a whole number (int) or 'auto'"),
    Row(
        "an unknown parameter of the data",
        "train +data.anything=1",
        "data: segtrain.data.ShapesData takes no 'anything'",
    ),
    Row("a crop of one number", "train data.crop=32", "data.crop: 32 is not a list of int"),
    Row("a crop of one side", "train data.crop=[32]", "data.crop=[32]: expected height and width in pixels"),
    Row("an empty crop", "train data.crop=[0,8]", "data.crop=[0, 8]: expected height and width in pixels"),
    Row("a crop of words", "train data.crop=[a,b]", "data.crop: ['a', 'b'] is not a list of int"),
    Row("a crop that no image fills", "train data.crop=[65,64]", "the largest training image is [32, 32]"),
    Row("no images", "train data.train=0", "data.train=0: expected 1 to 1000000 images"),
    Row("images of no size", "train data.size=[0,0]", "data.size=[0, 0]: expected height and width"),
    Row(
        "an unknown precision", "train trainer.precision=bf17", "trainer.precision: 'bf17' is not 'auto', 'bf16-mixed'"
    ),
    Row("fp16 on a CPU", "train trainer.precision=16-mixed", "fp16 needs a GPU; on this CPU take bf16-mixed, 32-true"),
    Row("no steps", "train train.steps=0", "train.steps=0: expected a number above 0"),
    Row("half a step", "train train.steps=1.5", "train.steps: 1.5 is not a whole number (int) or null"),
    Row("negative epochs", "train train.epochs=-1", "train.epochs=-1: expected a number above 0"),
    Row("epochs that are no number", "train train.epochs=nan", "train.epochs=nan: expected a number above 0"),
    Row("epochs without end", "train train.epochs=inf train.steps=null", "train.epochs=inf: expected a number above 0"),
    Row(
        "validation without end", "train train.validate_epochs=0", "train.validate_epochs=0: expected a number above 0"
    ),
    Row("points without end", "train train.log_steps=0", "train.log_steps=0: expected a number above 0"),
    Row("saves in the past", "train train.save_minutes=-1", "train.save_minutes=-1: expected 0 or more"),
    Row("an average that never moves", "train train.ema=1", "train.ema=1: expected null, or a decay from 0 to below 1"),
    Row(
        "a negative weight of a loss",
        "train train.auxiliary_weight=-1",
        "train.auxiliary_weight=-1: expected 0 or more",
    ),
    Row("a number as a yes", "train train.compile=3", "train.compile: 3 is not true, false or a text"),
    Row("a mode of torch.compile", "train train.compile=max", "expected true, false or reduce-overhead"),
    Row("a negative seed", "train seed=-1", "seed=-1: expected 0 or more, up to 9223372036854775807"),
    Row("too large a seed", "train seed=99999999999999999999", "expected 0 or more, up to 9223372036854775807"),
    Row("a seed with a point", "train seed=1.5", "seed: 1.5 is not a whole number (int)"),
    Row("one scale", "train augment.scale=[1]", "augment.scale=[1]: expected two factors above 0"),
    Row(
        "scales the wrong way round", "train augment.scale=[2,1]", "augment.scale=[2, 1]: expected two factors above 0"
    ),
    Row("a scale without end", "train augment.scale=[1,inf]", "augment.scale=[1, inf]: expected two factors above 0"),
    Row("a probability above 1", "train augment.flip=2", "augment.flip=2: expected 0 to 1"),
    Row("a negative shift", "train augment.brightness=-1", "augment.brightness=-1: expected 0 to 1"),
    Row("contrast turned round", "train augment.contrast=2", "augment.contrast=2: expected 0 to 1"),
    Row("negative saturation", "train augment.saturation=-3", "augment.saturation=-3: expected 0 to 1"),
    Row("more than half a turn of the hue", "train augment.hue=7", "augment.hue=7: expected 0 to 0.5"),
    Row(
        "all the truth smoothed away",
        "train loss=cross_entropy loss.label_smoothing=2",
        "loss.label_smoothing=2: expected 0 or more",
    ),
    Row(
        "an unknown rule for weights",
        "train loss.weights=rare",
        "loss.weights=rare: expected null, auto, inverse, sqrt",
    ),
    Row("too few weights", "train loss.weights=[1,2]", "loss.weights has 2 numbers, but the data have 6 classes"),
    Row("a negative weight", "train loss.weights=[-1,1,1,1,1,1]", "loss.weights=[-1, 1, 1, 1, 1, 1]: expected numbers"),
    Row("another void", "train loss.ignore_index=7", "loss.ignore_index=7: void is 255 in these masks: leave it null"),
    Row("more skips than features", "train model.skips=9", "skips=9: this encoder has 0 to 4 features to skip from"),
    Row(
        "a width per skip missing",
        "train model.widths=[8]",
        "widths has 1 entries for skips=4: give one width per skip",
    ),
    Row("a width of 0", "train model.widths=[0,8,8,8]", "widths=[0, 8, 8, 8]: expected whole numbers above 0"),
    Row("too few classes", "train model.num_classes=2", "model.num_classes=2: the data have 6 classes: leave it null"),
    Row(
        "too many classes", "train model.num_classes=99", "model.num_classes=99: the data have 6 classes: leave it null"
    ),
    Row("stages of different numbers", "train model.encoder.widths=[8,8]", "need one entry per stage"),
    Row("a stage without blocks", "train model.encoder.depths=[0,1,1,1]", "every stage needs at least one block"),
    Row("a stem without channels", "train model.encoder.stem_width=0", "stem_width=0: expected a whole number above 0"),
    Row(
        "a stride of 0", "train model.encoder.strides=[0,2,2,2]", "strides=[0, 2, 2, 2]: expected whole numbers above 0"
    ),
    Row("an even kernel", "train model.encoder.block.kernel_size=2", "kernel_size=2 is even"),
    Row("an expansion of 0", "train model.encoder.block.expansion=0", "expansion=0: expected 1 or more"),
    Row(
        "channels that images lack",
        "train model.encoder.in_channels=1",
        "model: it cannot be trained on images of 3 channels",
    ),
    Row("a spread of 0", "train model.std=[0,0,0]", "std=[0, 0, 0]: expected numbers above 0"),
    Row("no encoder", "train model.encoder=null", "model.encoder: null is not a Module"),
    Row(
        "a warm-up beyond the end",
        "train schedule.warmup=2",
        "schedule.warmup=2: expected a share of the steps, 0 to 1",
    ),
    Row("a negative power", "train schedule.power=-1", "schedule.power=-1: expected 0 or more"),
    Row(
        "a schedule's own arguments",
        "train +schedule.step=1",
        "schedule: poly() got multiple values for argument 'step'",
    ),
    Row(
        "clipping below 0",
        "train trainer.gradient_clip_val=-1",
        "trainer.gradient_clip_val=-1: expected null, or 0 or more",
    ),
    Row(
        "uneven pieces",
        "train trainer.accumulate_grad_batches=3",
        "data.batch_size=4 cannot be computed in 3 equal pieces",
    ),
    Row(
        "no pieces", "train trainer.accumulate_grad_batches=0", "data.batch_size=4 cannot be computed in 0 equal pieces"
    ),
    Row(
        "a machine that is not there",
        "train trainer.accelerator=tpu",
        "trainer.accelerator=tpu: there is none on this machine",
    ),
    Row("more devices than there are", "train trainer.devices=999", "trainer.devices=999: this machine has"),
    Row(
        "a device as a word",
        "train trainer.devices=gpu",
        "trainer.devices: 'gpu' is not a whole number (int), a list of int",
    ),
    Row(
        "a list of GPUs on a CPU", "train trainer.devices=[0]", "a list names GPUs; on a CPU take a number of processes"
    ),
    Row("no machines", "train trainer.num_nodes=0", "trainer.num_nodes=0: expected 1 or more"),
    Row(
        "an unknown strategy",
        "train trainer.strategy=deepspeed",
        "trainer.strategy: 'deepspeed' is not 'auto', 'ddp' or 'fsdp'",
    ),
    Row("batch norm shared on a CPU", "train trainer.sync_batchnorm=true", "batch norm is shared between GPUs only"),
    Row(
        "what segtrain decides",
        "train +trainer.max_epochs=3",
        "trainer.max_epochs is decided by segtrain: leave it out",
    ),
    Row("a training that is none", "train +trainer.fast_dev_run=true", "trainer.fast_dev_run is decided by segtrain"),
    Row(
        "a part of each epoch", "train +trainer.limit_val_batches=0", "trainer.limit_val_batches is decided by segtrain"
    ),
    Row("a run folder outside of runs", "train name=../../x", "name=../../x: expected a name without"),
    Row("a target that is nothing", "train model._target_=segtrain.models.FCM", "did you mean FCN?"),
    Row("GPUs to evaluate on", "evaluate run=run trainer.accelerator=tpu", "trainer.accelerator=tpu: there is none"),
    Row("evaluate's precision", "evaluate run=run trainer.precision=16-mixed", "fp16 needs a GPU"),
    Row("an unknown split", "evaluate run=run split=tset", "split=tset: these data have train, val, test"),
    Row(
        "predict's precision",
        "predict run=run images=photos trainer.precision=bf17",
        "trainer.precision: 'bf17' is not",
    ),
]
NO_GPU = [
    Row(
        "a GPU where none is", "train trainer.accelerator=gpu", "trainer.accelerator=gpu: there is none on this machine"
    ),
    Row("a GPU to evaluate on", "evaluate run=run trainer.accelerator=gpu", "trainer.accelerator=gpu: there is none"),
    Row(
        "a GPU to predict on", "predict run=run images=photos trainer.accelerator=cuda", "there is none on this machine"
    ),
]

# --- data -------------------------------------------------------------------------------------------------------------

IMAGE, MASK = "photos/images/train/1.png", "photos/masks/train/1.png"
TABLE = "photos/classes.yaml"
FOLDERS = [
    Row("a typo in the folder", "train data.root=potos", "data.root=potos: there is no such folder (seen from "),
    Row("a file as the folder", "train data.root=photos/classes.yaml", "classes.yaml: this is a file: name the folder"),
    Row("an empty folder", "train", "photos: no images found; expected photos/images/train with", empty("photos")),
    Row("images alone", "train", "photos: no image has a mask: ", only_images),
    Row(
        "an empty images folder",
        "train",
        "photos: no images found, but 1 .yaml; expected photos/images/train with photos/masks/train",
        empty("photos/images", "photos/masks"),
    ),
    Row(
        "no masks",
        "train",
        "in images/train, ",
        remove("photos/masks"),
    ),
    Row("a mask missing", "train", f"{IMAGE} has no mask", remove(MASK)),
    Row("an image missing", "train", f"{MASK} has no image", remove(IMAGE)),
    Row(
        "no training images",
        "train",
        "training needs train and val",
        both("train", lambda path, _: shutil.rmtree(path)),
    ),
    Row(
        "an empty split", "train", "photos/images/val: no images in it", both("val", lambda path, _: empty(str(path))())
    ),
    Row(
        "two images of one name",
        "train",
        "1.jpg and 1.png have one name",
        lambda: shutil.copy(IMAGE, "photos/images/train/1.jpg"),
    ),
    Row(
        "an image in two splits",
        "train",
        "photos/images/val/9.png is the same file as photos/images/train/1.png",
        link("val/9.png", "train/1.png"),
    ),
    Row("a batch larger than the folder", "train data.batch_size=7", "data.batch_size=7: there are 6 training images"),
    Row(
        "a crop larger than the images",
        "train data.crop=[65,64]",
        "data.crop=[65, 64]: the largest training image is [32, 32]",
    ),
    Row(
        "a batch of one at 1 x 1",
        "train data.batch_size=1",
        "batch norm has one value per channel from 1 image of 32 x 32",
    ),
]
IMAGES = [
    Row(
        "sizes that differ",
        "train",
        f"{MASK}: the image 1.png has 32 x 32 pixels, its mask 32 x 16",
        lambda: picture(MASK, np.zeros((16, 32), np.uint8)),
    ),
    Row("a truncated image", "train", f"{IMAGE}: damaged image", cut(IMAGE, 900)),
    Row("an empty image", "train", f"{IMAGE}: an empty file (0 bytes)", write(IMAGE, b"")),
    Row("a text as an image", "train", f"{IMAGE}: not an image that can be read", write(IMAGE, "hello")),
    Row(
        "a decompression bomb",
        "train",
        f"{IMAGE}: 10000000000 pixels, more than data.max_pixels=500000000",
        write(IMAGE, huge_png(100_000)),
    ),
    Row("a bomb as a mask", "train", f"{MASK}: 10000000000 pixels", write(MASK, huge_png(100_000))),
    Row("a limit of 0 pixels", "train data.max_pixels=0", "data.max_pixels=0: expected 1 or more"),
    Row("a limit below the images", "train data.max_pixels=1000", "1024 pixels, more than data.max_pixels=1000"),
    Row(
        "a link to nothing",
        "train",
        f"{IMAGE}: expected a file",
        all_of(remove(IMAGE), lambda: Path(IMAGE).symlink_to("gone.png")),
    ),
    Row("a pipe", "train", f"{IMAGE}: expected a file", all_of(remove(IMAGE), lambda: os.mkfifo(IMAGE))),
    Row(
        "a mask value of no class, in val",
        "train",
        "photos/masks/val/1.png: 1024 pixels belong to no class: 7 (1024)",
        mask(7, "val/1.png"),
    ),
    Row(
        "a truncated mask, in val", "train", "photos/masks/val/1.png: damaged image", cut("photos/masks/val/1.png", 100)
    ),
    Row(
        "a mask value of no class, in test",
        "train",
        "photos/masks/test/1.png: 1024 pixels belong to no class: 7 (1024)",
        mask(7, "test/1.png"),
    ),
    Row("masks as JPEG", "train", "photos/masks/train/0.jpg: JPEG changes the numbers in a mask", as_jpeg),
    Row(
        "a mask value of no class",
        "train",
        f"{MASK}: 1024 pixels belong to no class: 7 (1024)",
        mask(7, "train/1.png"),
    ),
    Row(
        "masks of 0 and 255, no table",
        "train",
        "photos/classes.yaml: missing; it names the classes",
        all_of(mask(255, "train", "val"), remove(TABLE)),
    ),
    Row(
        "masks of 255 in a table of two",
        "train",
        "photos/masks/train/0.png: 1024 pixels belong to no class: 255 (1024)",
        all_of(mask(255, "train"), write(TABLE, "classes: [{name: a}, {name: b}]")),
    ),
    Row(
        "colours without a table",
        "train",
        "photos/masks/train/0.png: 1024 pixels belong to no class: #070707 (1024)",
        lambda: [picture(p, np.full((32, 32, 3), 7, np.uint8)) for p in Path("photos/masks/train").iterdir()],
    ),
    Row(
        "training masks without a class, weighted",
        "train loss.weights=sqrt",
        "every pixel of the training masks is void",
        mask(255, "train"),
    ),
]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n"  # 9 ** 7 entries, aliases written out
BOMB += "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True))
TABLES = [
    Row(f"a class table: {what}", "train", f"{TABLE}: {message}", write(TABLE, text))
    for what, text, message in [
        ("empty", "", "expected `classes:` with a list"),
        ("a text", "hello", "expected `classes:` with a list"),
        ("no classes", "ignore: 255", "expected `classes:` with a list"),
        ("an empty list", "classes: []", "expected `classes:` with a list"),
        ("torn", "classes: [1", "not YAML of a class table: while parsing a flow sequence"),
        ("a tab", "classes:\n\t- {name: a}", "not YAML of a class table"),
        ("no text", b"\xff\xfe\xff", "not YAML of a class table"),
        (
            "a misspelt entry",
            "classes: [{name: a}]\nignor: 3",
            "unknown entry 'ignor': expected ignore, classes, other",
        ),
        ("names alone", "classes: [a, b]", "class 0: 'a' is not a mapping with name"),
        ("no name", "classes: [{color: [1, 2, 3]}]", "class 0: {'color': [1, 2, 3]} is not a mapping with name"),
        ("a number as a name", "classes: [{name: 1}]", "class 0: the name 1 is not a text: write it in quotes"),
        ("a name twice", "classes: [{name: a}, {name: a}]", "the name 'a' stands twice"),
        ("half a colour", "classes: [{name: a, color: [1, 2]}]", "color [1, 2] is not three numbers from 0 to 255"),
        ("a word as a value", "classes: [{name: a, values: [x]}]", "values: expected numbers or ranges"),
        ("a value alone", "classes: [{name: a, values: 3}]", "values: 3 is not a list"),
        ("a value twice", "classes: [{name: a}, {name: b, values: [0]}]", "0 belongs to both 'a' and 'b'"),
        (
            "an unknown other",
            "classes: [{name: a}]\nother: maybe",
            "other: 'maybe' is neither error, ignore nor nearest",
        ),
        ("a negative void", "classes: [{name: a}]\nignore: -1", "ignore: -1 is neither null nor a mask value"),
        ("an alias bomb", BOMB, "not YAML of a class table: more than"),
    ]
]

# --- runs and checkpoints ---------------------------------------------------------------------------------------------

BEST, LAST, PREVIOUS = (f"run/checkpoints/{name}.ckpt" for name in ("best", "last", "previous"))
READ_ONLY = "photos/classes.yaml/below"  # below a file there is no folder, not even for root
FILES = [
    Row("a checkpoint that is not there", "evaluate checkpoint=gone.ckpt", "gone.ckpt: there is no such checkpoint"),
    Row("a run that is not there", "predict run=gone images=photos", "run=gone: there is no such run folder"),
    Row("the latest of no runs", "evaluate run=latest", "run=latest: there is no run below", remove("runs")),
    Row("a folder that is no run", "evaluate run=photos", "run=photos: it has no best.ckpt yet"),
    Row("a run without a checkpoint", "predict run=run images=photos", "it has no best.ckpt yet", remove(BEST)),
    Row("an address", "evaluate checkpoint=https://example.org/a.ckpt", "remote checkpoints are not read"),
    Row("a truncated checkpoint", "evaluate run=run", f"{BEST}: not a readable checkpoint", cut(BEST, 5000)),
    Row("an empty checkpoint", "evaluate run=run", f"{BEST}: not a readable checkpoint", write(BEST, b"")),
    Row("a flipped bit", "evaluate run=run", f"{BEST}: not a readable checkpoint (the checksum of", flip(BEST)),
    Row("an image as a checkpoint", f"evaluate checkpoint={IMAGE}", f"{IMAGE}: not a readable checkpoint"),
    Row(
        "a pickle",
        "predict run=run images=photos",
        f"{BEST}: not a readable checkpoint",
        write(BEST, pickle.dumps([1])),
    ),
    Row(
        "another program's checkpoint",
        "evaluate checkpoint=a.pt",
        "a.pt: not a checkpoint of segtrain",
        lambda: torch.save({"state_dict": {}}, "a.pt"),
    ),
    Row(
        "a newer version",
        "evaluate run=run",
        "written by a newer segtrain (format 99); update segtrain",
        checkpoint(lambda content: content["segtrain"].update(version=99)),
    ),
    Row(
        "weights of another network",
        "evaluate run=run",
        "the weights are not those of the network described",
        checkpoint(narrower),
    ),
    Row(
        "a checkpoint of other classes",
        "evaluate run=run",
        "trained for 3 classes (water, road, car), but the data have 3 (sky, road, car)",
        checkpoint(renamed_class),
    ),
    Row(
        "data of other classes",
        "evaluate run=run data.root=others",
        "trained for 3 classes (sky, road, car), but the data have 2 (a, b)",
        lambda: [
            shutil.copytree("photos", "others"),
            write("others/classes.yaml", "{ignore: 2, classes: [{name: a}, {name: b}]}")(),
        ],
    ),
    Row(
        "data that have moved",
        "evaluate run=run data.root=photos",
        "data.root=photos: there is no such folder",
        remove("photos"),
    ),
    Row(
        "evaluate's folder is a file",
        "evaluate run=run",
        "run/evaluate",
        all_of(remove("run/evaluate"), write("run/evaluate", "")),
    ),
    Row("init from nothing", "train init=gone", "init=gone: there is no such run folder"),
    Row("init from no checkpoint", f"train init={IMAGE}", f"{IMAGE}: not a readable checkpoint"),
    Row(
        "init where hardly anything fits",
        "train init=run model.encoder.stem_width=32 model.encoder.widths=[32,32,32,32] model.widths=[16,16,16,16] "
        "model.auxiliary=false",
        "init: hardly anything of that checkpoint fits this network",
    ),
    Row("resume from nothing", "train resume=gone", "resume=gone: there is no such run folder"),
    Row(
        "resume by another word",
        "train resume=last",
        "resume=last: there is no such run folder; resume=latest is the newest",
    ),
    Row(
        "resume in an empty folder",
        "train resume=void",
        "resume=void: nothing was begun there that could go on",
        empty("void"),
    ),
    Row("resume from an image", f"train resume={IMAGE}", "nothing was begun there that could go on"),
    Row(
        "resume from two damaged files",
        "train resume=run",
        f"{LAST}: not a readable checkpoint",
        all_of(cut(LAST, 5000), cut(PREVIOUS, 5000)),
    ),
    Row(
        "resume from another run's files",
        "train resume=run",
        f"{LAST}: the checkpoint of another run (ffff",
        of_another_run("last", "previous"),
    ),
    Row(
        "resume with a newer version",
        "train resume=run/checkpoints/last.ckpt",
        "written by a newer segtrain",
        checkpoint(lambda content: content["segtrain"].update(version=99), "last"),
    ),
    Row(
        "resume what is no training",
        "train resume=run",
        "the checkpoint holds no training to go on with",
        all_of(
            checkpoint(lambda content: content.pop("callbacks"), "last"),
            checkpoint(lambda content: content["segtrain"].update(finished=False), "last"),
        ),
    ),
    Row(
        "resume with another setting",
        "train resume=run train.steps=9",
        "train.steps=9 would change the result of a run that began with train.steps=8",
    ),
    Row(
        "resume with other data",
        "train resume=run",
        "the data are not those of the run",
        remove("photos/images/test/1.png", "photos/masks/test/1.png"),
    ),
    Row(
        "resume with another model",
        "train resume=run allow_changes=true model=fcn_small",
        "the checkpoint does not fit these settings",
    ),
    Row(
        "resume without the average",
        "train resume=run allow_changes=true train.ema=null",
        "the checkpoint does not fit these settings",
    ),
    Row(
        "resume without class weights",
        "train resume=run allow_changes=true loss.weights=null",
        "the checkpoint does not fit these settings",
    ),
    Row(
        "resume with another optimizer",
        "train resume=run allow_changes=true optimizer=sgd train.steps=10",
        "the checkpoint does not fit these settings",
    ),
    Row(
        "a run folder that is taken",
        "train run_dir=run",
        "run_dir=run: exists and is not empty; name a new folder, or resume=run",
    ),
    Row("a run folder that is a file", f"train run_dir={TABLE}", f"run_dir={TABLE}: exists and is not empty"),
    Row("a run folder that cannot be", f"train run_dir={READ_ONLY}", f"{READ_ONLY}: Not a directory"),
    Row("no images to predict", "predict run=run images=void", "images=void: no image found", empty("void")),
    Row("a glob that matches nothing", "predict run=run 'images=new/*.jpg'", "images=new/*.jpg: no image found"),
    Row(
        "a damaged image to predict",
        f"predict run=run images={IMAGE}",
        f"{IMAGE}: not an image that can be read",
        write(IMAGE, "hello"),
    ),
    Row("a truncated image to predict", f"predict run=run images={IMAGE}", f"{IMAGE}: damaged image", cut(IMAGE, 900)),
    Row(
        "a bomb to predict",
        f"predict run=run images={IMAGE}",
        "more than data.max_pixels=500000000",
        write(IMAGE, huge_png(100_000)),
    ),
    Row(
        "a place for masks that cannot be",
        f"predict run=run images={IMAGE} out={READ_ONLY}",
        f"{READ_ONLY}/masks: Not a directory",
    ),
]


# --- the world --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small data set, and a finished training on it."""
    folder = tmp_path_factory.mktemp("world")
    photos(folder / "photos", {"train": 6, "val": 2, "test": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["segtrain", "train", *ON_PHOTOS, "run_dir=run"])
        from segtrain.cli import main

        assert main() == 0
    return folder


@pytest.fixture
def world(original: Path, segtrain: Run, tmp_path: Path) -> Run:
    """Runs commands in a copy of `original`."""
    shutil.copytree(original, tmp_path, symlinks=True, dirs_exist_ok=True)
    return segtrain


def everything() -> dict[str, bytes | str]:
    """Path -> content of all files here, or where a link leads; folders too."""
    found: dict[str, bytes | str] = {}
    for path in sorted(Path().rglob("*")):
        regular = path.is_file() and not path.is_symlink()
        found[str(path)] = path.read_bytes() if regular else str(path.is_symlink() and os.readlink(path))
    return found


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    error = capsys.readouterr().err
    assert error.startswith("segtrain: error: "), error
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


def typed(base: list[str], words: str) -> list[str]:
    """The words of a row: to those of a new training the `base` is added."""
    command, *rest = shlex.split(words)
    begins = command == "train" and not any(word.startswith(("resume=", "data=", "model=fcn_t", "--")) for word in rest)
    return [command, *(base if begins else []), *rest]


@pytest.mark.parametrize(
    ("base", "row"),
    [*on(TINY, WORDS + VALUES), *on(ON_PHOTOS, FOLDERS + IMAGES + TABLES), *on(ON_PHOTOS, FILES)],
)
def test_a_fault_is_answered_in_one_line_and_changes_nothing(
    world: Run, capsys: pytest.CaptureFixture[str], base: list[str], row: Row
):
    row.damage()
    before = everything()
    capsys.readouterr()
    assert world(*typed(base, row.words)) == 2
    assert row.message in said(capsys)
    after = everything()
    after.pop("run/.lock", None)  # `resume` looks whether the run is free
    before.pop("run/.lock", None)
    assert after == before


def test_a_damaged_image_among_others_is_named_and_the_others_are_predicted(
    world: Run, capsys: pytest.CaptureFixture[str]
):
    write(IMAGE, "hello")()
    assert world("predict", "run=run", "images=photos/images/train", "out=new") == 2
    total = len(list(Path("photos/images/train").iterdir()))
    assert len(list(Path("new/masks").iterdir())) == total - 1
    assert f"1 of {total} images could not be predicted: {IMAGE}: not an image" in said(capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("row", [pytest.param(row, id=row.what) for row in NO_GPU])
def test_a_gpu_that_is_not_there_is_named(world: Run, capsys: pytest.CaptureFixture[str], row: Row):
    assert world(*typed(TINY, row.words)) == 2
    assert row.message in said(capsys)


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        ("photos", "train"),
        ("photos/images/train", "train"),
        (IMAGE, "train"),
        (TABLE, "train"),
        (BEST, "evaluate run=run"),
        (IMAGE, f"predict run=run images={IMAGE}"),
        ("photos/images/train", "predict run=run images=photos"),
        ("runs", "train"),
        ("run/evaluate/test", "evaluate run=run"),
    ],
)
def test_what_may_not_be_read_or_written_is_named(
    world: Run, capsys: pytest.CaptureFixture[str], closed: str, words: str
):
    mode = Path(closed).stat().st_mode
    Path(closed).chmod(0o555 if closed.startswith("run") and closed != BEST else 0)
    try:
        if os.access(closed, os.W_OK):
            pytest.skip("root may read and write everything")
        assert world(*typed(ON_PHOTOS, words)) == 2
    finally:
        Path(closed).chmod(mode)
    assert "Permission denied; change its permissions, or name another place" in said(capsys)


# --- what only shows while a training is under way --------------------------------------------------------------------

LATER = [
    Row("void validation images", "train", "every pixel of the validation images is void", mask(255, "val")),
    Row(
        "void training crops",
        "train",
        "every pixel of the training crops since the last validation is void",
        mask(255, "train"),
    ),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.what) for row in LATER])
def test_a_fault_that_shows_later_costs_no_step(world: Run, capsys: pytest.CaptureFixture[str], row: Row):
    row.damage()
    before = everything()
    capsys.readouterr()
    assert world(*typed(ON_PHOTOS, row.words), "run_dir=new") == 2
    assert row.message in said(capsys)
    after = everything()
    assert {path: content for path, content in after.items() if path.split("/")[0] not in ("new", "runs")} == {
        path: content for path, content in before.items() if path.split("/")[0] != "runs"
    }
    assert not list(Path("new").rglob("*.tmp"))
    assert finite("new/checkpoints/last.ckpt")


def finite(path: str | Path) -> bool:
    """Whether all weights in a checkpoint are numbers."""
    state = torch.load(path, weights_only=True)["state_dict"]
    return all(bool(tensor.isfinite().all()) for tensor in state.values())


def at_step(number: int, action: Callable[[], Any]) -> Callable[..., None]:
    """In place of a learner's `training_step`: does `action` before the step after `number`."""
    step = learner.Learner.training_step

    def patched(self: learner.Learner, *args: Any, **kwargs: Any) -> None:
        if self.trainer.global_step == number:
            action()
        step(self, *args, **kwargs)

    return patched


def throw(error: BaseException) -> None:
    raise error


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("float32")),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


NO_SHARED_MEMORY = [
    "unable to allocate shared memory(shm) for file </torch_12_3_4>: No space left on device (28)",
    "unable to write to file </torch_12_3_4>: No space left on device (28)",
    "unable to resize file </torch_12_3_4> to the right size: No space left on device (28)",
    "unable to open shared memory object </torch_12_3_4> in read-write mode: No space left on device (28)",
    "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
    "shared memory. Please try to raise your shared memory limit.",
    "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
    "RuntimeError: unable to mmap 1024 bytes from file </torch_1>: Cannot allocate memory (12)",
]


@pytest.mark.parametrize("text", NO_SHARED_MEMORY, ids=lambda text: text[:30])
def test_full_shared_memory_says_how_to_get_more(capsys: pytest.CaptureFixture[str], text: str):
    assert cli.report(RuntimeError(text)) == 2
    line = "segtrain: error: shared memory (/dev/shm) is full: lower data.workers (0 needs none), or give a container "
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:40] or "MemoryError")
def test_out_of_memory_says_what_to_lower_and_keeps_what_was_done(
    world: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
):
    with monkeypatch.context() as patch:
        patch.setattr(learner.Learner, "training_step", at_step(5, lambda: throw(error)))
        assert world("train", *TINY, "run_dir=new") == 2
    out, err = capsys.readouterr()
    assert err.startswith("segtrain: error: out of memory: in training lower data.batch_size or data.crop, or set ")
    assert err.count("\n") == 1
    assert "go on once it is mended: python -m segtrain train resume=new" in out
    assert torch.load("new/checkpoints/last.ckpt", weights_only=True)["global_step"] == 3  # of the last validation
    assert world("train", "resume=new") == 0


def test_a_loss_that_is_no_number_names_step_images_and_settings(world: Run, capsys: pytest.CaptureFixture[str]):
    wild = ["optimizer=sgd", "optimizer.lr=1e30", "trainer.gradient_clip_val=null", "schedule.warmup=0"]
    assert world("train", *TINY, *wild, "train.save_minutes=0", "data.variant=3", "run_dir=new") == 2
    error = said(capsys)
    assert "the loss was not finite (NaN or infinite) in step 2: images 3-0-000" in error
    assert "optimizer.lr=1e+30, 32-true; no checkpoint from after it was written; try a lower optimizer.lr" in error
    files = sorted(Path("new/checkpoints").iterdir())
    assert "last.ckpt" in [file.name for file in files]
    assert all(map(finite, files))


class Disk:
    """A disk that is full for chosen checkpoints, counted from 0."""

    def __init__(self, full: Callable[[int], bool]) -> None:
        self.full, self.saves, self.fsync = full, 0, os.fsync

    def __call__(self, handle: int) -> None:
        if os.readlink(f"/proc/self/fd/{handle}").endswith("/new.tmp"):
            self.saves += 1
            if self.full(self.saves - 1):
                raise OSError(errno.ENOSPC, "No space left on device")
        self.fsync(handle)


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")


@needs_proc
def test_a_disk_that_is_full_before_the_first_step_ends_the_training(
    world: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    before = everything()
    monkeypatch.setattr(disk.os, "fsync", Disk(lambda save: True))
    assert world("train", *TINY, "run_dir=new") == 2
    assert "No space left on device; free some space on that disk" in said(capsys)
    assert not list(Path("new").rglob("*.ckpt")) + list(Path("new").rglob("*.tmp"))
    assert before.items() <= {**everything(), "runs": "False", "runs/latest": before["runs/latest"]}.items()


@needs_proc
@pytest.mark.parametrize(("full", "status"), [(lambda save: save in (1, 2), 0), (lambda save: save > 1, 3)])
def test_a_disk_that_gets_full_ends_no_training(
    world: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    full: Callable[[int], bool],
    status: int,
):
    monkeypatch.setattr(disk.os, "fsync", Disk(full))
    assert world("train", *TINY, "run_dir=new") == status
    out, err = capsys.readouterr()
    assert err == ""
    assert "no checkpoint could be written (new/checkpoints: No space left on device)" in out
    assert ("the checkpoint could be written again" in out) == (status == 0)
    assert ("the last checkpoint could not be written: new holds an earlier state" in out) == (status == 3)
    assert not list(Path("new").rglob("*.tmp"))
    done = torch.load("new/checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert done == (8 if status == 0 else 3)


def test_two_runs_in_one_second_have_two_folders(world: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runs.time, "strftime", lambda *_: "2030-01-01_00-00-00")
    for _ in range(2):
        assert world("train", *TINY, "train.steps=1") == 0
    names = sorted(path.name for path in Path("runs/shapes-fcn_tiny").iterdir())
    assert names == ["2030-01-01_00-00-00", "2030-01-01_00-00-00_2"]


HOLDER = """
import sys
from pathlib import Path
from segtrain.runs import folder as runs
lock = runs.lock(Path("run"))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_running_run_is_not_resumed(world: Run, capsys: pytest.CaptureFixture[str]):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    before = everything()
    try:
        assert world("train", "resume=run") == 2
    finally:
        holder.communicate("")
    line = f"run: another training is at work there (process {holder.pid} on {socket.gethostname()}); wait, or stop it"
    assert line in said(capsys)
    assert everything() == before


def test_a_finished_run_is_left_alone(world: Run, capsys: pytest.CaptureFixture[str]):
    before = everything()
    assert world("train", "resume=run") == 0
    assert "run is finished: nothing is changed" in capsys.readouterr().out
    after = everything()
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} <= {"run/.lock"}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut(LAST, 5000), "not a readable checkpoint"),
        (flip(LAST), "not a readable checkpoint (the checksum of"),
        (write(LAST, b""), "not a readable checkpoint"),
        (of_another_run("last"), "the checkpoint of another run (ffffffff"),
    ],
    ids=["truncated", "a flipped bit", "empty", "another run's"],
)
def test_a_bad_last_checkpoint_is_said_and_the_one_before_taken(
    world: Run, capsys: pytest.CaptureFixture[str], damage: Callable[[], Any], reason: str
):
    damage()
    assert world("train", "resume=run") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"{LAST}: {reason}" in out
    assert "going on from previous.ckpt, the one before it" in out
    assert torch.load(LAST, weights_only=True)["global_step"] == 8


def test_a_worker_that_is_killed_ends_the_training_with_its_state_saved(
    world: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    read = shapes.ShapesSource.read

    def killed(self: shapes.ShapesSource, index: int, *mask: Any) -> Any:
        if get_worker_info() is not None and self.split == 1:  # in the first validation
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, index, *mask)

    with monkeypatch.context() as patch:
        patch.setattr(shapes.ShapesSource, "read", killed)
        assert world("train", *TINY, "data.workers=1", "run_dir=new") == 2
    assert "a process that reads the data was killed (for lack of memory?): lower data.workers" in said(capsys)
    assert world("train", "resume=new", "data.workers=0") == 0


@pytest.mark.parametrize(("name", "status"), [("SIGHUP", 129), ("SIGTERM", 143)])
def test_a_terminal_that_closes_and_a_scheduler_cost_no_step(
    world: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, status: int
):
    kill = at_step(4, lambda: os.kill(os.getpid(), getattr(signal, name)))
    with monkeypatch.context() as patch:
        patch.setattr(learner.Learner, "training_step", kill)
        assert world("train", *TINY, "run_dir=new") == status
    out, err = capsys.readouterr()
    assert err == ""
    assert "go on: python -m segtrain train resume=new" in out
    assert torch.load("new/checkpoints/last.ckpt", weights_only=True)["global_step"] == 5
    assert world("train", "resume=new") == 0


# --- names ------------------------------------------------------------------------------------------------------------


def test_on_resume_the_data_may_lie_elsewhere(world: Run, capsys: pytest.CaptureFixture[str]):
    Path("photos").rename("moved")
    words = ["resume=run", "allow_changes=true", "train.steps=9"]
    assert world("train", *words, "data.root=moved", "data.max_pixels=2000", "data.workers=1") == 0
    assert capsys.readouterr().err == ""
    assert world("train", *words, "data.root=moved", "data.variant=1") == 2
    assert "segtrain.data.FolderData takes no 'variant'" in said(capsys)


NAMES = ["two words, Straße-日本 a=b (1) {a} it's #1 100% $x_$", "[x]", "~x", "-x", "2024"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_works_from_the_data_to_the_masks(world: Run, capsys: pytest.CaptureFixture[str], name: str):
    photos(Path(name), {"train": 4, "val": 1, "test": 1}, names=[f"{name} {i}" for i in range(4)])
    table = {"classes": [{"name": f"{name} {i}"} for i in range(3)]}
    Path(name, "classes.yaml").write_text(yaml.safe_dump(table, allow_unicode=True), encoding="utf-8")
    folder = name if name != "2024" else "twenty"
    new, masks = f"{folder} run", f"{folder} masks"
    assert world("train", *ON_FOLDERS, f"data.root={name}", f"run_dir={new}", "train.steps=2") == 0
    assert world("train", f"resume={new}", "train.steps=3", "allow_changes=true") == 0
    assert world("evaluate", f"run={new}", f"data.root={name}") == 0
    assert world("evaluate", f"checkpoint={new}/checkpoints/best.ckpt") == 0
    assert world("predict", f"run={new}", f"images={name}", f"out={masks}") == 0
    assert world("train", *ON_FOLDERS, f"data.root={name}", f"init={new}", "train.steps=1") == 0
    assert capsys.readouterr().err == ""
    assert Path(masks, "masks", "images", "val", f"{name} 0.png").is_file()
    assert f"{name} 2" in json.loads(Path(new, "evaluate/test/metrics.json").read_text(encoding="utf-8"))["classes"]


# --- as a program -----------------------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SEGTRAIN_DEBUG": "0"}


def program(*words: str) -> list[str]:
    return [sys.executable, "-m", "segtrain", *words]


@pytest.fixture
def here(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `original`, which is the current folder."""
    shutil.copytree(original, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "row",
    [
        Row("an unknown command", "trian", "did you mean train?"),
        Row("a word as a number", "train optimizer.lr=abc", "optimizer.lr: 'abc' is not a number"),
        Row("a damaged image", "train data.root=photos", f"{IMAGE}: damaged image", cut(IMAGE, 900)),
        Row("void validation images", "train data.root=photos", "every pixel of the validation", mask(255, "val")),
        Row("a truncated checkpoint", "evaluate run=run", f"{BEST}: not a readable checkpoint", cut(BEST, 5000)),
        Row("no images", "predict run=run images=nothing", "images=nothing: no image found"),
    ],
    ids=lambda row: row.what,
)
def test_as_a_program_a_fault_is_status_2_and_one_line(here: Path, row: Row):
    row.damage()
    done = subprocess.run(
        program(*typed(ON_FOLDERS, row.words)), env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("segtrain: error: ")
    assert row.message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("pipe", ["| head -1", ">&-", ">&- 2>&-", "> /dev/full"])
def test_a_training_goes_on_when_nobody_reads_what_it_says(here: Path, pipe: str):
    line = f"{shlex.join(program('train', *TINY, 'run_dir=new'))} {pipe}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("new/evaluate/test/metrics.json").is_file()
    assert "next: " in Path("new/log.txt").read_text(encoding="utf-8")
