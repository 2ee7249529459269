"""What an exact resume costs, as a share of a training step: seeds, the watch on the loss, hooks, saves.

python scripts/benchmark_resume.py [--model fcn_small] [--size 512 1024] [--batch 2]
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from segtrain.build import build, conf_folder
from segtrain.data.batches.sampler import SAMPLE, EndlessBatchSampler, generator
from segtrain.disk import write_through
from segtrain.losses import CrossEntropy
from segtrain.losses.contract import mean_loss
from segtrain.metrics import FirstNotFinite
from segtrain.runs.restore import read_checkpoint
from segtrain.training.checkpoint import Checkpoint
from segtrain.training.learner import Learner

SAVE_MINUTES = 5


def seconds(action: Callable[[], Any], repeats: int) -> float:
    """The median time of an action."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def network(name: str) -> torch.nn.Module:
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        spec = OmegaConf.to_container(compose("train", [f"model={name}"]).model)
    assert isinstance(spec, dict)
    model = build({**spec, "num_classes": 19, "auxiliary": False, "mean": [0.5] * 3, "std": [0.25] * 3})
    return model.to(memory_format=torch.channels_last)


def step(model: torch.nn.Module, batch: int, height: int, width: int) -> Callable[[], None]:
    """One training step in bf16."""
    loss = CrossEntropy(weights=None, label_smoothing=0.0, ignore_index=255)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    image = torch.rand(batch, 3, height, width).to(memory_format=torch.channels_last)
    mask = torch.randint(19, (batch, height, width), dtype=torch.uint8)

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            sums, counts = loss(model(image), mask), loss.count(mask)
        mean_loss(sums, counts).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def mechanism(model: torch.nn.Module, batch: int) -> dict[str, float]:
    """Seconds per step of each part."""
    keys = iter(EndlessBatchSampler(1000, batch, seed=0, done=12345))
    watch, value = FirstNotFinite(), torch.tensor(1.0)
    trainer = SimpleNamespace(global_step=1, max_steps=1000, val_check_batch=500, world_size=1, should_stop=False)
    keeper = Checkpoint(None, record=None, save_minutes=SAVE_MINUTES)  # type: ignore[arg-type]  # it saves nothing
    learner: Any = SimpleNamespace(seed=0, global_rank=0, device=torch.device("cpu"))

    def hooks() -> None:
        keeper.on_train_batch_start()
        keeper.on_train_batch_end(trainer)  # type: ignore[arg-type]

    return {
        "the keys of a batch": seconds(lambda: next(keys), 200),
        "the random numbers of its samples": batch * seconds(lambda: generator(0, SAMPLE, 12345), 200),
        "the seed of the step": seconds(lambda: Learner.on_train_batch_start(learner, {}, 12345), 200),
        "the watch on the loss": seconds(lambda: watch.update(value, 1), 200),
        "the checkpoint's hooks": seconds(hooks, 200),
    }


def saving(model: torch.nn.Module) -> tuple[float, float]:
    """Seconds that a save takes, and a reading with its checks."""
    moments = {name: [p.detach().clone(), p.detach().clone()] for name, p in model.named_parameters()}
    content = {
        "state_dict": model.state_dict(),
        "optimizer_states": [moments],
        "segtrain": {"version": 1, "record": "{}"},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last.ckpt"

        def save() -> None:
            memory = io.BytesIO()
            torch.save(content, memory)
            write_through(path, memory.getbuffer())

        return seconds(save, 5), seconds(lambda: read_checkpoint(path), 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="fcn_small")
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--batch", type=int, default=2)
    options = parser.parse_args()
    model = network(options.model)
    run = step(model, options.batch, *options.size)
    run()
    whole = seconds(run, 5)
    print(
        f"{options.model}, {options.batch} x {options.size[0]} x {options.size[1]}: a step takes {1000 * whole:.0f} ms"
    )
    parts = mechanism(model, options.batch)
    save, load = saving(model)
    for name, spent in parts.items():
        print(f"  {name:34} {1e6 * spent:8.1f} us  {spent / whole:8.4%} of a step")
    amortised = save / (60 * SAVE_MINUTES)
    print(f"  {'a save every five minutes':34} {1000 * save:8.1f} ms  {amortised:8.4%} of the time")
    print(f"  {'all':34} {'':11}  {sum(parts.values()) / whole + amortised:8.4%}")
    print(f"reading a checkpoint with all its checks: {1000 * load:.0f} ms")


if __name__ == "__main__":
    main()
