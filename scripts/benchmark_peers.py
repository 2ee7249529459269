"""Images a second of segtrain's networks and of those that people would use instead, in turns in one run.

python scripts/benchmark_peers.py CAMVID [WORD ...] [--rounds 3] [--seconds 10] [--steps 10]

Trained on the same images with the same augmentation in batches of the same size, reading included: segtrain's through
`train`, the others in a plain loop, as scripts/compare.py trains them. Scored on whole val images in memory. WORDs are
settings of segtrain, on top of `data=camvid experiment=camvid_cpu`. What they learn in equal minutes is what
scripts/compare.py measures.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
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
    Rival,
    best_precision,
    composed,
    cross_entropy,
    fit,
    poly,
)
from torch import Tensor, nn

from segtrain.benchmark.steps import steps_of
from segtrain.commands.benchmark import prepared
from segtrain.data import DataModule
from segtrain.machine.device import device_type, wait_for
from segtrain.training.learner import apply_color
from segtrain.training.parts import build_data

OURS = ("fcn_small", "fcn_r50")
BATCH = "data.batch_size=8"  # typed, so that it never shrinks
IMAGES = 8  # of val


def resnet_fcn(classes: int) -> nn.Module:
    from torchvision.models.segmentation import fcn_resnet50

    return fcn_resnet50(weights=None, weights_backbone=None, num_classes=classes)


PEERS = {
    "smp Unet-resnet34": RIVALS["smp_adam"],
    "torchvision lraspp_mobilenet_v3_large": RIVALS["lraspp"],
    # pytorch/vision, references/segmentation/train.py, but for its auxiliary loss
    "torchvision fcn_resnet50": Rival(
        "torchvision fcn_resnet50",
        resnet_fcn,
        cross_entropy,
        partial(torch.optim.SGD, lr=0.01, momentum=0.9, weight_decay=1e-4),
        poly,
    ),
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


def ours(name: str, words: Sequence[str], seconds: float) -> Speed:
    """A network of segtrain's, trained by its learner and Lightning."""
    parts = prepared(composed([BATCH, *words, f"model={name}"]))
    step = steps_of(parts, seconds)
    parts.data.stop()
    precision = PRECISIONS["fp32"] if parts.precision.startswith("32") else PRECISIONS["bf16, channels last"]
    mode = Mode(parts.device, *precision)
    network = parts.learner.network.to(parts.device)
    return Speed(parts.data.batch_size / step.seconds, inference(network, val_images(parts.data, mode), mode))


def peer(rival: Rival, precision: str, words: Sequence[str], steps: int) -> Speed:
    """A network of another library, trained in a plain loop."""
    settings = composed([BATCH, *words])
    mode = Mode(device_type(settings["trainer"]["accelerator"]), *PRECISIONS[precision])
    data = build_data(settings, trust=None)
    data.trainer = SimpleNamespace(global_rank=0, world_size=1)  # type: ignore[assignment]  # all that a loader asks for
    network, seconds = fit(rival, data, mode, SKIPPED + steps)
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


def table(speeds: dict[Entry, list[Speed]]) -> str:
    """A row for each network in Markdown, with how many times faster ours are, by the medians of ratios in a round."""
    titles = ["network", "precision", "training", "inference"]
    for name in OURS:
        titles += [f"{name} trains", f"{name} infers"]
    lines = [titles, ["---", "---", *["--:"] * (len(titles) - 2)]]
    own = {entry.title: rounds for entry, rounds in speeds.items() if entry.title in OURS}
    for entry, rounds in speeds.items():
        cells = [f"{statistics.median(speed[part] for speed in rounds):.1f} images/s" for part in range(2)]
        for name in OURS:
            for part in range(2):
                ratios = [our[part] / speed[part] for our, speed in zip(own[name], rounds, strict=True)]
                cells.append(f"{statistics.median(ratios):.2f} x")
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
    options = parser.parse_intermixed_args()
    words = [*RECIPE, f"data.root={options.root.resolve()}", *options.words]
    entries = [Entry(name, "as `train` chooses", partial(ours, name, words, options.seconds)) for name in OURS]
    for title in options.peers:
        for precision in ("fp32", best_precision(words)):
            job = partial(peer, PEERS[title], precision, words, options.steps)
            entries.append(Entry(title, precision, job))
    speeds: dict[Entry, list[Speed]] = {entry: [] for entry in entries}
    for number in range(options.rounds):
        for entry in entries:
            speed = entry.measure()
            speeds[entry].append(speed)
            rates = f"{speed.training:.1f} images/s in training, {speed.inference:.1f} in inference"
            print(f"round {number + 1}: {entry.title}, {entry.precision}: {rates}", flush=True)
    print(f"\n{table(speeds)}")


if __name__ == "__main__":
    main()
