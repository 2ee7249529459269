"""From settings to data, network and loss that fit together, before anything is written."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .build import build
from .data import DataModule
from .losses import class_weights
from .report import say
from .restore import without_download

Spec = dict[str, Any]


def open_data(settings: Spec, trust: frozenset[str] | None, processes: int) -> DataModule:
    """The data to train on.

    Raises:
        ValueError: if there is nothing to train or to validate on, or if batch and crop do not suit the images.
    """
    augment = build(settings["augment"], trust)
    data: DataModule = build(settings["data"], trust, augment=augment, seed=settings["seed"])
    if not {"train", "val"} <= data.splits.keys():
        raise ValueError(
            f"the data have {', '.join(data.splits)} alone: training needs train and val, as in images/val with "
            "masks/val (images without split folders are split by themselves)"
        )
    refuse_batch(data, settings["trainer"]["accumulate_grad_batches"], processes)
    refuse_crop(data)
    return data


def refuse_batch(data: DataModule, pieces: int, processes: int) -> None:
    """Raises ValueError for a batch that the images do not fill, or that cannot be shared out."""
    images, batch = len(data.source("train")), data.batch_size
    if batch > images:
        raise ValueError(f"data.batch_size={batch}: there are {images} training images; take {images} or fewer")
    if pieces < 1 or batch % (pieces * processes):
        shares = f"{pieces} equal pieces (trainer.accumulate_grad_batches)"
        shares += f" in each of {processes} processes" if processes > 1 else ""
        raise ValueError(f"data.batch_size={batch} cannot be computed in {shares}")


def refuse_crop(data: DataModule) -> None:
    """Raises ValueError for a crop that no training image fills, even as large as augmentation makes it."""
    heights, widths = zip(*set(data.source("train").sizes), strict=True)
    largest, enlarged = (max(heights), max(widths)), getattr(data.augment, "scale", (1, 1))[1]
    if any(crop > max(enlarged, 1) * side for crop, side in zip(data.crop, largest, strict=True)):
        raise ValueError(
            f"data.crop={list(data.crop)}: the largest training image is {list(largest)} (height, width), so most of "
            "each crop would be empty; take a smaller crop"
        )


def network_spec(model: Spec, data: DataModule, before: Spec | None) -> Spec:
    """The model's settings, with what they leave open and only the data know; on resume, what was known `before`."""
    if before and before["settings"]["model"] == model:
        return before["model"]
    known: Spec = {}
    if "num_classes" in model and model["num_classes"] is None:
        known["num_classes"] = len(data.classes)
    pretrained = (model.get("encoder") or {}).get("weights") is not None
    if "mean" in model and model["mean"] is None and not pretrained:
        known["mean"], known["std"] = data.statistics()
    return {**model, **known}


def loss_spec(loss: Spec, data: DataModule, before: Spec | None) -> Spec:
    """Likewise for the loss."""
    if before and before["settings"]["loss"] == loss:
        return before["loss"]
    known: Spec = {}
    if "ignore_index" in loss and loss["ignore_index"] is None:
        known["ignore_index"] = data.classes.void
    if isinstance(loss.get("weights"), str):
        known["weights"] = class_weights(data.class_pixels(), loss["weights"])
    return {**loss, **known}


def model_record(spec: Spec, network: nn.Module) -> Spec:
    """The model's settings for building it again and filling it from a checkpoint: no pretrained weights needed."""
    spec = without_download(spec)
    if spec.get("mean", 0) is None:  # they came with the weights
        spec["mean"], spec["std"] = (network.get_buffer(name).flatten().tolist() for name in ("mean", "std"))
    return spec


def initialise(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load what fits; tensors that are missing or have another shape keep their fresh values, and are named."""
    own = network.state_dict()
    fitting = {name: w for name, w in weights.items() if name in own and own[name].shape == w.shape}
    if not fitting:
        raise ValueError("init: no tensor of that checkpoint fits this network; is it another architecture?")
    network.load_state_dict(fitting, strict=False)
    fresh = [name for name in own if name not in fitting]
    say(f"init: {len(fitting)} of {len(own)} tensors loaded" + (f"; fresh: {', '.join(fresh)}" if fresh else ""))


def try_out(network: nn.Module, data: DataModule, shares: int) -> None:
    """One training step's forward pass without numbers, so that what cannot work shows before anything is written.

    Args:
        shares: that a batch is computed in.

    Raises:
        ValueError: if the network cannot be trained on the images.
    """
    images, (height, width) = data.batch_size // shares, data.crop
    channels = data.source("train").read(0)[0].shape[0]
    hollow = copy.deepcopy(network).to("meta").train()
    try:
        hollow(torch.zeros(images, channels, height, width, dtype=torch.uint8, device="meta"))
    except NotImplementedError:  # a network with parts that cannot be computed without numbers
        return
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"batch norm has one value per channel from {images} image of {height} x {width} at a time: take a larger "
            "data.batch_size or data.crop"
        ) from None
