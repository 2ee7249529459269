"""Images a second of segtrain's networks and of those that people would use instead, in turns in one run.

python scripts/benchmark_peers.py CAMVID [WORD ...] [--rounds 3] [--seconds 10] [--steps 10]

Trained on the same images with the same augmentation in batches of the same size, reading included: segtrain's through
`train`, the others in a plain loop, as scripts/compare.py trains them. Scored on whole val images in memory. WORDs are
settings of segtrain, on top of `data=camvid experiment=camvid_cpu`. The others run in fp32, as their users run them,
and as they run best here: in bf16 where the machine computes in it, with channels_last, and on a CPU with freed memory
kept, as ours have it. One whose library is not there is left out (`pip install -e '.[bench]'` has all).

With --minutes, each is also trained for so many minutes by scripts/compare.py, and its val mIoU stands in the table;
what was trained stays in --out.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import torch
from compare import (
    PRECISIONS,
    RECIPE,
    RIVALS,
    SKIPPED,
    Foreign,
    Mode,
    Result,
    best_precision,
    claim,
    composed,
    file_name,
    fit,
    once,
    segtrain_entry,
    train_rival_apart,
)
from torch import Tensor, nn

from segtrain.benchmark.steps import steps_of
from segtrain.commands.benchmark import prepared
from segtrain.data import DataModule
from segtrain.machine.device import device_type, wait_for
from segtrain.machine.memory import give_freed_memory_back, keep_freed_memory
from segtrain.training.learner import apply_color
from segtrain.training.parts import build_data

OURS = ("fcn_small", "fcn_r50")
BATCH = "data.batch_size=8"  # typed, so that it never shrinks
IMAGES = 8  # of val


PEERS = {  # title: name in `RIVALS`
    "smp Unet-resnet34": "smp_adam",
    "torchvision lraspp_mobilenet_v3_large": "lraspp",
    "torchvision fcn_resnet50": "fcn_resnet50",
}


class Speed(NamedTuple):
    """Images a second."""

    training: float
    inference: float


class Entry(NamedTuple):
    """What is a row in the table."""

    title: str
    precision: str
    measure: Callable[[], Speed]
    train: Callable[[int, float], Result]  # seed, seconds -> result


def ours(name: str, words: Sequence[str], seconds: float) -> Speed:
    """A network of segtrain's, trained by its learner and Lightning."""
    parts = prepared(composed([BATCH, *words, f"model={name}"]))
    keep_freed_memory()  # as a training does while it lasts, and a score of small images
    step = steps_of(parts, seconds)
    keep_freed_memory()
    parts.data.stop()
    precision = PRECISIONS["fp32"] if parts.precision.startswith("32") else PRECISIONS["bf16, channels last"]
    mode = Mode(parts.device, *precision)
    network = parts.learner.network.to(parts.device)
    return Speed(parts.data.batch_size / step.seconds, inference(network, val_images(parts.data, mode), mode))


def peer(name: str, precision: str, words: Sequence[str], steps: int) -> Speed:
    """A network of another library, one of `RIVALS`, trained in a plain loop."""
    if precision == "fp32":
        give_freed_memory_back()
    else:
        keep_freed_memory()
    settings = composed([BATCH, *words])
    mode = Mode(device_type(settings["trainer"]["accelerator"]), *PRECISIONS[precision])
    data = build_data(settings, trust=None)
    data.trainer = SimpleNamespace(global_rank=0, world_size=1)  # type: ignore[assignment]  # all that a loader asks for
    network, seconds = fit(RIVALS[name], data, mode, SKIPPED + steps)
    data.stop()
    unchanged = torch.eye(3, 4, device=mode.device)[None]
    images = [apply_color(batch, unchanged) for batch in val_images(data, mode)]
    return Speed(data.batch_size / statistics.mean(seconds[SKIPPED:]), inference(network, images, mode))


def val_images(data: DataModule, mode: Mode) -> list[Tensor]:
    """Some whole val images (1, 3, H, W), of 8 bits."""
    source = data.source("val")
    return [source.read(index)[0][None].to(mode.device) for index in range(min(IMAGES, len(source)))]


@torch.inference_mode()
def inference(network: nn.Module | Foreign, images: Sequence[Tensor], mode: Mode) -> float:
    """Images a second."""
    network.eval()
    for image in islice(images, 2):
        answer(network, image, mode)
    wait_for(mode.device)
    began = time.perf_counter()
    for image in images:
        answer(network, image, mode)
    wait_for(mode.device)
    return len(images) / (time.perf_counter() - began)


def answer(network: nn.Module, image: Tensor, mode: Mode) -> Tensor:
    with mode.autocast():
        return network(image.contiguous(memory_format=mode.layout)).argmax(1)


def entries(words: Sequence[str], titles: Sequence[str], seconds: float, steps: int) -> list[Entry]:
    """Ours, and each of the others in each precision; one whose library is not there is named and left out."""
    rows: list[Entry] = []
    for name in OURS:
        training = segtrain_entry(name, [*words, f"model={name}"])
        rows.append(Entry(name, "as `train` chooses", partial(ours, name, words, seconds), training.train))
    for title in titles:
        name = PEERS[title]
        if find_spec(RIVALS[name].package) is None:
            print(f"{title}: left out, since there is no {RIVALS[name].package}: pip install -e '.[bench]'", flush=True)
            continue
        for precision in ("fp32", best_precision(words)):
            measure = partial(peer, name, precision, words, steps)
            rows.append(Entry(title, precision, measure, partial(train_rival_apart, name, precision, words)))
    return rows


def table(speeds: Mapping[Entry, Sequence[Speed]], results: Mapping[Entry, Result]) -> str:
    """A row for each network in Markdown, with how many times faster ours are, by the medians of ratios in a round, and
    what it has learned, where that was measured."""
    titles = ["network", "precision", "training", "inference"]
    for name in OURS:
        titles += [f"{name} trains", f"{name} infers"]
    if results:
        titles.append("val mIoU (steps)")
    lines = [titles, ["---", "---", *["--:"] * (len(titles) - 2)]]
    own = {entry.title: rounds for entry, rounds in speeds.items() if entry.title in OURS}
    for entry, rounds in speeds.items():
        cells = [f"{statistics.median(speed[part] for speed in rounds):.1f} images/s" for part in range(2)]
        for name in OURS:
            for part in range(2):
                ratios = [our[part] / speed[part] for our, speed in zip(own[name], rounds, strict=True)]
                cells.append(f"{statistics.median(ratios):.2f} x")
        if results:
            cells.append(f"{results[entry].miou:.4f} ({results[entry].steps})")
        lines.append([entry.title, entry.precision, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="CAMVID", help="folder of the data")
    parser.add_argument("words", nargs="*", metavar="WORD", help="settings of segtrain, such as data.workers=4")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="that each of ours is trained in a round")
    parser.add_argument("--steps", type=int, default=10, help="of each of the others in a round")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--minutes", type=float, default=0, help="that each is trained too; left out: none is")
    parser.add_argument("--out", type=Path, default=Path("runs/peers"), help="folder of what was trained")
    options = parser.parse_intermixed_args()
    words = [*RECIPE, f"data.root={options.root.resolve()}", *options.words]
    if options.minutes:
        claim(options.out, {"minutes": options.minutes, "settings": composed(words)})
    rows = entries(words, options.peers, options.seconds, options.steps)
    speeds: dict[Entry, list[Speed]] = {entry: [] for entry in rows}
    for number in range(options.rounds):
        for entry in rows:
            speed = entry.measure()
            speeds[entry].append(speed)
            rates = f"{speed.training:.1f} images/s in training, {speed.inference:.1f} in inference"
            print(f"round {number + 1}: {entry.title}, {entry.precision}: {rates}", flush=True)
    results: dict[Entry, Result] = {}
    if options.minutes:
        for entry in rows:
            file = options.out / file_name(entry.title, entry.precision, seed=0)
            results[entry] = once(file, partial(entry.train, 0, 60 * options.minutes))
            print(f"{entry.title}, {entry.precision}: mIoU {results[entry].miou:.4f}", flush=True)
    print(f"\n{table(speeds, results)}")


if __name__ == "__main__":
    main()
