"""Checkpoints that an older segtrain has written, in the words of this one."""

from typing import Any

from torch import Tensor

PROGRESS = ("epoch_loop.batch_progress", "epoch_loop.manual_optimization.optim_step_progress")


def bring_up_to_date(content: dict[str, Any], version: int) -> None:
    """Change in place what a checkpoint of an older format holds.

    Format 1 counted the pieces of a batch where there are now steps alone, had Lightning take the optimiser's steps,
    and knew losses of one term only. What is no training has none of this.
    """
    if version < 2 and "loops" in content:
        count_steps(content)
        content["state_dict"] = {name_of(name): one_term(name, value) for name, value in content["state_dict"].items()}


def count_steps(content: dict[str, Any]) -> None:
    steps, loop = content["global_step"], content["loops"]["fit_loop"]
    content["callbacks"]["Checkpoint"]["batches_done"] = steps
    for name in PROGRESS:
        for counts in (loop[name]["total"], loop[name]["current"]):
            counts.update(dict.fromkeys(counts, steps))


def name_of(name: str) -> str:
    return {"train_loss.numerator": "train_loss.sums", "train_loss.denominator": "train_loss.counts"}.get(name, name)


def one_term(name: str, value: Tensor) -> Tensor:
    return value.reshape(1) if name.startswith("train_loss.") else value
