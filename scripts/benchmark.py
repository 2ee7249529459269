"""Training steps per second on random images: precision and memory format, as ratios measured in turns in one run.

python scripts/benchmark.py [--model fcn_small] [--size 288 384] [--batch 8] [--rounds 5] [--compile]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from segtrain.build import build, conf_folder
from segtrain.losses import CrossEntropy
from segtrain.losses.contract import mean_loss

CLASSES = 11
VARIANTS = {  # name: (data type of autocast, memory format)
    "fp32": (None, torch.contiguous_format),
    "fp32, channels last": (None, torch.channels_last),
    "bf16": (torch.bfloat16, torch.contiguous_format),
    "bf16, channels last": (torch.bfloat16, torch.channels_last),
}


def stepper(
    name: str,
    size: tuple[int, int],
    batch: int,
    precision: torch.dtype | None,
    layout: torch.memory_format,
    device: str,
    compiled: bool,
) -> Callable[[], None]:
    """One training step of a fresh network, as a function."""
    torch.manual_seed(0)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        spec = OmegaConf.to_container(compose("train", [f"model={name}"]).model)
    network = build(spec, num_classes=CLASSES).to(device, memory_format=layout)
    if compiled:
        network.compile()
    loss = CrossEntropy(weights=None, label_smoothing=0.0, ignore_index=255)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    image = torch.rand(batch, 3, *size, device=device).contiguous(memory_format=layout)
    mask = torch.randint(0, CLASSES, (batch, *size), device=device)

    def step() -> None:
        with torch.autocast(device, dtype=precision, enabled=precision is not None):
            outputs = network(image)
            logits = outputs[0] if isinstance(outputs, tuple) else outputs
            sums, counts = loss(logits, mask), loss.count(mask)
        mean_loss(sums, counts).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def seconds(step: Callable[[], None], steps: int, device: str) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fcn_small")
    parser.add_argument("--size", type=int, nargs=2, default=(288, 384), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="torch.compile every variant")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size, steps = tuple(options.size), 20 if device == "cuda" else 2
    steppers = {
        name: stepper(options.model, size, options.batch, *variant, device, options.compile)
        for name, variant in VARIANTS.items()
    }
    for step in steppers.values():
        seconds(step, 2, device)  # the first steps choose kernels
    rounds = [{name: seconds(step, steps, device) for name, step in steppers.items()} for _ in range(options.rounds)]
    where = torch.cuda.get_device_name() if device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    print(f"{options.model}, {options.batch} x {size[0]} x {size[1]}, {where}, torch {torch.__version__}\n")
    print("| variant | images/s | ratio to fp32 |\n|---|--:|--:|")
    for name in VARIANTS:
        middle = statistics.median(times[name] for times in rounds)
        ratio = statistics.median(times["fp32"] / times[name] for times in rounds)
        print(f"| {name} | {options.batch / middle:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
