"""Trains segtrain's network and those that people would use instead for equally many minutes, and compares val mIoU.

python scripts/compare.py CAMVID [WORD ...] [--minutes 8] [--seeds 0 1] [--networks segtrain smp lraspp ...]
                                    [--precisions "fp32, channels last" ...]

Seed by seed, network by network, each training is a process of its own. WORDs are settings of segtrain, on top of
`data=camvid experiment=camvid_cpu`.

What is equal. The minutes are those of training steps, with the time that their images are waited for: neither the
start nor the scoring counts, for none. How many steps fit into them is planned from a trial of `TRIAL` steps, so that
each schedule ends with its training; the table shows the minutes that they took. All see the same images, cropped and
augmented by the same draws, in batches of the same size: those of the recipe. Scored are the last weights, once, on
whole val images at the label's resolution, by segtrain's confusion matrix: no checkpoint is chosen on val, and segtrain
fits no prior correction on it.

What is theirs. Each network starts from random weights, is trained in a plain loop, in fp32 as well as in what this
machine is fastest in (bf16 where it computes in it, with channels_last), with the settings that its own library trains
it with, and with a second set, Adam at torch's own rate, which may suit a short training better: see `RIVALS`. All
images are normalised as theirs are.

What was measured stays in --out: a second call goes on where the first one ended.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from csv import DictReader
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, PolynomialLR

from segtrain import disk
from segtrain.build import conf_folder
from segtrain.data import DataModule
from segtrain.machine.device import device_type, resolve
from segtrain.metrics import ConfusionMatrix, mean_iou, most_likely
from segtrain.training.callbacks import SPEED
from segtrain.training.learner import apply_color
from segtrain.training.parts import build_data

TRIAL, SKIPPED = 20, 5  # steps by which the speed is measured, of which the first choose kernels
RECIPE = ("data=camvid", "experiment=camvid_cpu")
LAST_WEIGHTS = (  # of all steps that are typed, with one validation after the last one
    "train.validate_epochs=1000000",
    "train.max_minutes=null",
    "train.correction=false",
    "train.calibration=false",
)
PRECISIONS = {  # name: (data type of autocast, memory format)
    "fp32": (None, torch.contiguous_format),
    "fp32, channels last": (None, torch.channels_last),
    "bf16, channels last": (torch.bfloat16, torch.channels_last),
}
MULTIPLE = 32  # of which height and width must be one, for smp's networks
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's: both libraries use them


# --- other networks, trained as their users train them ----------------------------------------------------------------


class Rival(NamedTuple):
    """A network of another library, and how it is trained."""

    title: str
    network: Callable[[int], nn.Module]  # number of classes -> network, from random weights
    loss: Callable[[int], nn.Module]  # value of void -> loss
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    schedule: Callable[[Optimizer, int], LRScheduler]  # optimiser, steps -> schedule
    package: str = "torchvision"  # which has the network


def unet(classes: int) -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet34", encoder_weights=None, classes=classes)


def lraspp(classes: int) -> nn.Module:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)


def resnet_fcn(classes: int) -> nn.Module:
    from torchvision.models.segmentation import fcn_resnet50

    return fcn_resnet50(weights=None, weights_backbone=None, num_classes=classes)


def dice(void: int) -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.losses.DiceLoss("multiclass", from_logits=True, ignore_index=void)


def cross_entropy(void: int) -> nn.Module:
    return nn.CrossEntropyLoss(ignore_index=void)


def cosine(optimizer: Optimizer, steps: int) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=steps, eta_min=1e-5)


def poly(optimizer: Optimizer, steps: int) -> LRScheduler:
    return PolynomialLR(optimizer, total_iters=steps, power=0.9)


ADAM, SMP = partial(torch.optim.Adam, lr=1e-3), "segmentation_models_pytorch"
RIVALS = {
    # qubvel-org/segmentation_models.pytorch, examples/camvid_segmentation_multiclass.ipynb
    "smp": Rival("smp Unet-resnet34, Dice, Adam 2e-4", unet, dice, partial(torch.optim.Adam, lr=2e-4), cosine, SMP),
    "smp_adam": Rival("smp Unet-resnet34, cross entropy, Adam 1e-3", unet, cross_entropy, ADAM, cosine, SMP),
    # pytorch/vision, references/segmentation: README.md says the weight decay of this network, train.py all else
    "lraspp": Rival(
        "torchvision lraspp_mobilenet_v3_large, cross entropy, SGD 0.01",
        lraspp,
        cross_entropy,
        partial(torch.optim.SGD, lr=0.01, momentum=0.9, weight_decay=1e-6),
        poly,
    ),
    "lraspp_adam": Rival(
        "torchvision lraspp_mobilenet_v3_large, cross entropy, Adam 1e-3", lraspp, cross_entropy, ADAM, cosine
    ),
    # the same, but for the auxiliary loss of train.py
    "fcn_resnet50": Rival(
        "torchvision fcn_resnet50, cross entropy, SGD 0.01",
        resnet_fcn,
        cross_entropy,
        partial(torch.optim.SGD, lr=0.01, momentum=0.9, weight_decay=1e-4),
        poly,
    ),
}
USUAL = ("segtrain", "smp", "smp_adam", "lraspp", "lraspp_adam")  # the other one makes one image a second on a CPU


class Foreign(nn.Module):
    """A network of another library for images of any size: (N, 3, H, W) in 0..1 -> logits (N, classes, H, W)."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, layout: torch.memory_format) -> None:
        super().__init__()
        self.network, self.layout = network.to(memory_format=layout), layout
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        normalized = (image - self.mean) / self.std
        padded = F.pad(normalized, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        outputs = self.network(padded.contiguous(memory_format=self.layout))
        logits = outputs["out"] if isinstance(outputs, dict) else outputs
        return logits[..., :height, :width].float()


class Mode(NamedTuple):
    """What a network computes on, and how."""

    device: str
    dtype: torch.dtype | None  # of autocast; `None` for fp32
    layout: torch.memory_format

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device, self.dtype, enabled=self.dtype is not None)

    def moved(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.device) for name, tensor in batch.items()}


def fit(rival: Rival, data: DataModule, mode: Mode, steps: int) -> tuple[Foreign, list[float]]:
    """A network after so many steps, and the seconds of each, with the time that its batch was waited for."""
    torch.manual_seed(data.seed)
    network = Foreign(rival.network(len(data.classes)), mode.layout).to(mode.device)
    loss_of, optimizer = rival.loss(data.classes.void), rival.optimizer(network.parameters())
    schedule = rival.schedule(optimizer, steps)
    batches, seconds = iter(data.train_dataloader()), []
    for _ in range(steps):
        began = time.perf_counter()
        batch = mode.moved(next(batches))
        with mode.autocast():
            loss = loss_of(network(apply_color(batch["image"], batch["color"])), batch["mask"].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        loss.item()  # a GPU is done only now
        seconds.append(time.perf_counter() - began)
    return network, seconds


@torch.inference_mode()
def val_miou(network: Foreign, data: DataModule, mode: Mode) -> float:
    """The mean IoU on whole val images."""
    network.eval()
    confusion = ConfusionMatrix(len(data.classes), data.classes.void).to(mode.device)
    unchanged = torch.eye(3, 4, device=mode.device)[None]
    for batch in map(mode.moved, data.whole_images("val")):
        with mode.autocast():
            logits = network(apply_color(batch["image"], unchanged))
        confusion.note_broken(logits)
        confusion.update(most_likely(logits), batch["mask"])
    return mean_iou(confusion.compute())


# --- one training -----------------------------------------------------------------------------------------------------


class Result(NamedTuple):
    """What a training came to."""

    miou: float
    steps: int
    seconds: float  # of all steps


def planned(trial: Sequence[float], budget: float) -> int:
    """The steps that fit into so many seconds, by the seconds that those of a trial took."""
    return max(1, round(budget / statistics.mean(trial[SKIPPED:])))


def train_rival(name: str, precision: str, words: Sequence[str], seed: int, budget: float) -> Result:
    """Train one of `RIVALS` for a budget of seconds on the data of segtrain's settings, in this process."""
    settings = composed(words)
    mode = Mode(device_type(settings["trainer"]["accelerator"]), *PRECISIONS[precision])
    data = build_data({**settings, "seed": seed}, trust=None)
    data.trainer = SimpleNamespace(global_rank=0, world_size=1)  # type: ignore[assignment]  # all that a loader asks for
    _, trial = fit(RIVALS[name], data, mode, TRIAL)
    steps = planned(trial, budget)
    network, seconds = fit(RIVALS[name], data, mode, steps)
    return Result(val_miou(network, data, mode), steps, sum(seconds))


def train_rival_apart(*job: Any) -> Result:
    """`train_rival` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(train_rival, *job).result()


def train_segtrain(words: Sequence[str], seed: int, budget: float) -> Result:
    """Train with `python -m segtrain train` for a budget of seconds."""
    batch = composed(words)["data"]["batch_size"]
    words = [*words, *LAST_WEIGHTS, f"data.batch_size={batch}", f"seed={seed}"]  # typed, so that it never shrinks
    trial = segtrain_curves([*words, f"train.steps={TRIAL}", f"train.log_steps={SKIPPED}"])
    steps = planned(step_seconds(trial, batch), budget)
    curves = segtrain_curves([*words, f"train.steps={steps}"])
    (miou,) = (float(row["IoU/val"]) for row in curves if row["IoU/val"])
    return Result(miou, steps, sum(step_seconds(curves, batch)))


def segtrain_curves(words: Sequence[str]) -> list[dict[str, str]]:
    """The rows of `metrics.csv` of a training with these words."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "segtrain", "train", *words, f"run_dir={run}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\nended with status {done.returncode}: {done.stderr or done.stdout}")
        with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
            return list(DictReader(file))


def step_seconds(curves: Iterable[Mapping[str, str]], batch: int) -> list[float]:
    """The seconds of each step, by the images per second since the point before."""
    seconds: list[float] = []
    for row in curves:
        if row[SPEED]:
            steps = int(row["step"]) - len(seconds)
            seconds += [batch / float(row[SPEED])] * steps
    return seconds


def composed(words: Sequence[str]) -> dict[str, Any]:
    """segtrain's settings of a training with these words."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        settings = OmegaConf.to_container(compose("train", list(words)))
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items()}


# --- all trainings, and the table -------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """What is a row in the table."""

    title: str
    precision: str
    train: Callable[[int, float], Result]  # seed, seconds -> result


def best_precision(words: Sequence[str]) -> str:
    """The one of `PRECISIONS` that the device which is trained on is fastest in."""
    name, _ = resolve("auto", device_type(composed(words)["trainer"]["accelerator"]))
    return "bf16, channels last" if name.startswith("bf16") else "fp32, channels last"


def entries(
    networks: Sequence[str], precisions: Sequence[str], words: Sequence[str], through: Sequence[str]
) -> list[Entry]:
    """segtrain's network, those named in each precision, and those that segtrain trains with the words in `through`."""
    rows: list[Entry] = []
    for name in networks:
        if name == "segtrain":
            rows.append(segtrain_entry("segtrain", words))
        else:
            jobs = [(precision, partial(train_rival_apart, name, precision, words)) for precision in precisions]
            rows += [Entry(RIVALS[name].title, precision, job) for precision, job in jobs]
    return rows + [segtrain_entry(f"segtrain, {more}", [*words, *more.split()]) for more in through]


def segtrain_entry(title: str, words: Sequence[str]) -> Entry:
    trainer = composed(words)["trainer"]
    precision, _ = resolve(trainer["precision"], device_type(trainer["accelerator"]))
    return Entry(title, f"{precision}, channels last", partial(train_segtrain, words))


def file_name(title: str, precision: str, seed: int) -> str:
    """Where a result is kept: another name for each title, precision and seed."""
    return re.sub(r"[^\w.]+", "-", f"{title} {precision} seed {seed}") + ".json"


def once(file: Path, train: Callable[[], Result]) -> Result:
    """The result that a file holds, or that of a training, which is then written there."""
    if file.exists():
        return Result(**json.loads(file.read_text(encoding="utf-8")))
    result = train()
    disk.write(file, json.dumps(result._asdict()))
    return result


def claim(folder: Path, question: Mapping[str, Any]) -> None:
    """Make a folder for the results of one question. Exits if it holds those of another."""
    folder.mkdir(parents=True, exist_ok=True)
    file, text = folder / "question.json", json.dumps(question, indent=2)
    if file.exists() and file.read_text(encoding="utf-8") != text:
        sys.exit(f"--out {folder} holds results of other settings (question.json): name another folder")
    disk.write(file, text)


def table(results: Mapping[Entry, Sequence[Result]], seeds: Sequence[int]) -> str:
    """A row for each network, in Markdown."""
    titles = ["network", "precision", "steps", "minutes", *(f"seed {seed}" for seed in seeds), "mean"]
    lines = [titles, ["---", "---", *["--:"] * (len(titles) - 2)]]
    for entry, row in results.items():
        steps = ", ".join(str(result.steps) for result in row)
        minutes = ", ".join(f"{result.seconds / 60:.1f}" for result in row)
        mious = [result.miou for result in row]
        scores = [f"{miou:.4f}" for miou in [*mious, statistics.mean(mious)]]
        lines.append([entry.title, entry.precision, steps, minutes, *scores])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="CAMVID", help="folder of the data")
    parser.add_argument("words", nargs="*", metavar="WORD", help="settings of segtrain, such as data.workers=4")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    names = ["segtrain", *RIVALS]
    parser.add_argument("--networks", nargs="+", choices=names, default=USUAL)
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        help="of other networks; left out: fp32, and the fastest one here",
    )
    parser.add_argument(
        "--through-segtrain",
        action="append",
        default=[],
        metavar="'WORD ...'",
        help="one more network, trained by segtrain with more settings, such as 'model=fcn_r34'",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/compare"), help="folder of what was measured")
    return parser.parse_intermixed_args()


def main() -> None:
    options = arguments()
    words = [*RECIPE, f"data.root={options.root.resolve()}", *options.words]
    claim(options.out, {"minutes": options.minutes, "settings": composed(words)})
    precisions = options.precisions or ["fp32", best_precision(words)]
    rows = entries(options.networks, precisions, words, options.through_segtrain)
    trainings = len(rows) * len(options.seeds)
    print(f"{trainings} trainings of {options.minutes:g} minutes, besides start, trial and scoring", flush=True)
    results: dict[Entry, list[Result]] = {entry: [] for entry in rows}
    for seed in options.seeds:
        for entry in rows:
            file = options.out / file_name(entry.title, entry.precision, seed)
            result = once(file, partial(entry.train, seed, 60 * options.minutes))
            results[entry].append(result)
            came_to = f"mIoU {result.miou:.4f} after {result.steps} steps in {result.seconds / 60:.1f} minutes"
            print(f"{entry.title}, {entry.precision}, seed {seed}: {came_to}", flush=True)
    print(f"\n{table(results, options.seeds)}")


if __name__ == "__main__":
    main()
