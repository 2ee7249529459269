"""What cannot be trained is refused here, before anything is written."""

import copy
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..build import Spec
from ..data import DataModule
from ..errors import UserError, from_user
from .encoder import encoder_of, is_random
from .learner import Learner
from .objective import all_heads

COMPILERS = tuple(filter(None, (os.environ.get("CC"), "gcc", "clang", "cc")))
GRAPHS = "reduce-overhead"  # torch.compile's mode that records what a step starts on a GPU, and repeats it in one go
OWN = {  # what the program decides, by the part of the settings whose target would take it
    "data": {"augment", "seed"},
    "trainer": {
        *("max_steps", "max_epochs", "max_time", "val_check_interval", "check_val_every_n_epoch"),
        *("num_sanity_val_steps", "use_distributed_sampler", "gradient_clip_algorithm", "default_root_dir"),
        *("fast_dev_run", "overfit_batches", "limit_train_batches", "limit_val_batches", "limit_test_batches"),
        *("min_steps", "min_epochs", "barebones", "reload_dataloaders_every_n_epochs", "log_every_n_steps"),
        *("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger", "callbacks", "plugins"),
        "profiler",
    },
}
SHARED = ("32-true", "32", "bf16-mixed")  # precisions of weights that are shared out


def refuse_own(settings: Mapping[str, Any]) -> None:
    """Raises UserError for settings that segtrain decides itself, and for a clip that is none."""
    for part, names in OWN.items():
        for name in names & settings[part].keys():
            advice = "leave it out (train.epochs, train.steps and train.max_minutes say how long)"
            raise UserError(f"{part}.{name} is decided by segtrain: {advice}")
    clip = settings["trainer"].get("gradient_clip_val")
    if clip is not None and clip < 0:
        raise UserError(f"trainer.gradient_clip_val={clip}: expected null, or 0 or more")


def refuse_compile(mode: bool | str, device: str, pieces: int, processes: int) -> None:
    """Raises UserError where torch.compile is wanted and has no compiler, or where the passes of a step cannot be
    recorded as CUDA graphs, which take the same memory again each time: the gradients of the piece before too."""
    reasons = {"it needs a C compiler (gcc or clang), and there is none": not any(map(shutil.which, COMPILERS))}
    if mode == GRAPHS:
        reasons |= {
            "CUDA graphs need an NVIDIA GPU, and there is none": device != "cuda",
            f"CUDA graphs are not for a batch in {pieces} pieces (trainer.accumulate_grad_batches)": pieces > 1,
            f"CUDA graphs are not for {processes} processes (trainer.devices)": processes > 1,
        }
    for reason, holds in reasons.items():
        if holds:
            typed = mode if isinstance(mode, str) else "true"
            raise UserError(f"train.compile={typed}: {reason}: take false (in resume with allow_changes=true)")


def refuse_batch(data: DataModule, pieces: int, processes: int) -> None:
    """Raises UserError for a batch that the images do not fill, or that cannot be shared out."""
    images, batch = len(data.source("train")), data.batch_size
    if batch > images:
        raise UserError(f"data.batch_size={batch}: there are {images} training images; take {images} or fewer")
    if pieces < 1 or batch % (pieces * processes):
        shares = f"{pieces} equal pieces (trainer.accumulate_grad_batches)"
        if processes > 1:
            shares += f" in each of {processes} processes"
        raise UserError(f"data.batch_size={batch} cannot be computed in {shares}")


def refuse_crop(data: DataModule) -> None:
    """Raises UserError for a crop that no training image fills, even as large as augmentation makes it."""
    sizes = data.source("train").sizes
    largest = [max(lengths) for lengths in zip(*sizes, strict=True)]
    enlarged = max(getattr(data.augment, "scale", (1, 1))[1], 1)
    if any(crop > enlarged * side for crop, side in zip(data.crop, largest, strict=True)):
        reason = f"the largest training image is {largest} (height, width), so most of each crop would be empty"
        raise UserError(f"data.crop={list(data.crop)}: {reason}; take a smaller crop")


def refuse_freeze(network: nn.Module, model: Spec, frozen: int, steps: int, *, has_learned: bool) -> None:
    """Raises UserError where a network has no encoder to freeze, or one that would keep random weights to the end.

    Args:
        model: The network's settings.
        frozen: Steps in which the encoder stands still.
        steps: Steps of the whole training.
        has_learned: Whether the network begins with the weights of a training.
    """
    encoder_of(network, "train.freeze_encoder")
    if frozen >= steps and not has_learned and is_random(model):
        reason = f"the encoder would keep its random weights, since it stands still in all of the {steps} steps"
        raise UserError(f"train.freeze_encoder: {reason}: type fewer epochs, or begin with pretrained weights or init=")


def try_network(network: nn.Module, data: DataModule, shares: int) -> None:
    """A forward pass of training without numbers. Raises UserError if the network cannot be trained on the images.

    `shares` is the number of pieces, over all processes, that a batch is computed in.
    """
    images, channels, (height, width) = data.batch_size // shares, data.channels, data.crop
    batch = torch.zeros(images, channels, height, width, dtype=torch.uint8, device="meta")
    hollow = copy.deepcopy(network).to("meta").train()
    try:
        outputs = hollow(batch)
    except NotImplementedError:  # a network with parts that cannot be computed without numbers
        return
    except (ValueError, RuntimeError) as error:
        if "more than 1 value per channel" in str(error):
            reason = f"batch norm has one value per channel from {images} image of {height} x {width} at a time"
            raise UserError(f"{reason}: take a larger data.batch_size or data.crop") from None
        size = f"{channels} channels, {height} x {width}"
        raise UserError(f"model: it cannot be trained on images of {size} ({error})") from error
    logits, *heads = all_heads(outputs)
    refuse_logits(logits, (images, len(data.classes), height, width))
    stride = getattr(network, "auxiliary_stride", 1)
    for head in heads:
        refuse_logits(head, (images, len(data.classes), -(-height // stride), -(-width // stride)))


def refuse_sharing(network: nn.Module, engine: Mapping[str, Any], precision: str, compile: bool | str) -> None:
    """Raises UserError for what cannot be trained where each process holds a part of the weights alone."""
    if precision not in SHARED:
        raise UserError(f"trainer.strategy=fsdp: not in {precision}: take trainer.precision=32-true or bf16-mixed")
    for setting, value in {"train.compile": compile, "trainer.sync_batchnorm": engine.get("sync_batchnorm")}.items():
        if value:
            typed = value if isinstance(value, str) else "true"
            raise UserError(f"trainer.strategy=fsdp: not with {setting}={typed}: leave one of them out")
    for name, weight in network.named_parameters():
        if weight.ndim == 0:
            raise UserError(f"trainer.strategy=fsdp: {name} is a single number, which cannot be shared out: take ddp")
    for listed in (network.named_parameters, network.named_buffers):
        if len([*listed()]) < len([*listed(remove_duplicate=False)]):
            raise UserError("trainer.strategy=fsdp: parts of the network have weights in common: take ddp")


def refuse_logits(logits: Tensor, shape: tuple[int, ...]) -> None:
    """Raises UserError for logits of another shape (N, classes, H, W)."""
    if logits.shape == shape:
        return
    if logits.ndim == 4 and logits.shape[1] != shape[1]:
        raise UserError(f"model.num_classes={logits.shape[1]}: the data have {shape[1]} classes: leave it null")
    raise UserError(f"model: its logits are {tuple(logits.shape)}, expected {shape} (images, classes, height, width)")


def try_scoring(network: nn.Module, sizes: Sequence[tuple[int, int]], channels: int) -> None:
    """A forward pass without numbers for the smallest and the largest of the images of val, by their (height, width).

    Raises UserError for a network that cannot score them. How much memory they take does not matter: what does not fit
    is computed in windows.
    """
    hollow = copy.deepcopy(network).to("meta").eval()
    areas = [height * width for height, width in sizes]
    for size in {sizes[areas.index(area)] for area in (min(areas), max(areas))}:
        try:
            hollow(torch.zeros(1, channels, *size, dtype=torch.uint8, device="meta"))
        except NotImplementedError:  # a network with parts that cannot be computed without numbers
            return
        except (ValueError, RuntimeError) as error:
            if "meta tensor" in str(error):  # likewise
                return
            reason = f"it cannot score images of {size[0]} x {size[1]}, as val has them"
            raise UserError(f"model: {reason}: {error}") from error


def try_optimizer(learner: Learner) -> None:
    """Raises UserError if the optimiser cannot be built, or the schedule has no factor for the first or last step."""
    with from_user(TypeError, ValueError, RuntimeError, where="optimizer: "):
        learner.new_optimizer()
    with from_user(), from_user(TypeError, ArithmeticError, where="schedule: "):
        factors = [learner.schedule(step, learner.steps) for step in (0, learner.steps)]
    if not all(isinstance(factor, float | int) and 0 <= factor < math.inf for factor in factors):
        raise UserError(f"schedule: factors {factors} on the learning rate: expected numbers of 0 or more")


def refuse_misfit(learner: Learner, content: Mapping[str, Any]) -> None:
    """Raises UserError if a training cannot go on from a checkpoint, whose parts belong to other settings."""
    own, stored = shapes(learner.state_dict()), shapes(content["state_dict"])
    differing = sorted(name for name in own.keys() | stored.keys() if own.get(name) != stored.get(name))
    kept = kept_of(learner.new_optimizer().param_groups)
    if any(kept_of(state["param_groups"]) != kept for state in content.get("optimizer_states", ())):
        differing.append("what the optimizer keeps")
    if differing:
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        reason = f"the checkpoint does not fit these settings ({differing[0]}{more} differ)"
        raise UserError(f"{reason}: leave out what was changed, or start a new run from its weights with init=")


def kept_of(groups: Sequence[Mapping[str, Any]]) -> list[tuple[int, set[str]]]:
    """The number of parameters and the names of the settings of each group of an optimiser."""
    return [(len(group["params"]), group.keys() - {"initial_lr"}) for group in groups]


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
