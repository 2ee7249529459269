"""From settings to data, network and loss that fit together, before anything is written."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..build import build
from ..data import DataModule
from ..errors import UserError, from_user
from ..losses import class_weights
from ..report.screen import say
from ..runs.trained import without_download

Spec = dict[str, Any]


def open_data(settings: Spec, trust: frozenset[str] | None, processes: int) -> DataModule:
    """The data to train on.

    Raises:
        UserError: if there is nothing to train or to validate on, or if batch and crop do not suit the images.
    """
    augment = build(settings["augment"], trust)
    data: DataModule = build(settings["data"], trust, augment=augment, seed=settings["seed"])
    if not {"train", "val"} <= data.splits.keys():
        raise UserError(
            f"the data have {', '.join(data.splits)} alone: training needs train and val, as in images/val with "
            "masks/val (images without split folders are split by themselves)"
        )
    refuse_batch(data, settings["trainer"]["accumulate_grad_batches"], processes)
    refuse_crop(data)
    return data


def refuse_batch(data: DataModule, pieces: int, processes: int) -> None:
    """Raises UserError for a batch that the images do not fill, or that cannot be shared out."""
    images, batch = len(data.source("train")), data.batch_size
    if batch > images:
        raise UserError(f"data.batch_size={batch}: there are {images} training images; take {images} or fewer")
    if pieces < 1 or batch % (pieces * processes):
        shares = f"{pieces} equal pieces (trainer.accumulate_grad_batches)"
        shares += f" in each of {processes} processes" if processes > 1 else ""
        raise UserError(f"data.batch_size={batch} cannot be computed in {shares}")


def refuse_crop(data: DataModule) -> None:
    """Raises UserError for a crop that no training image fills, even as large as augmentation makes it."""
    heights, widths = zip(*set(data.source("train").sizes), strict=True)
    largest, enlarged = (max(heights), max(widths)), getattr(data.augment, "scale", (1, 1))[1]
    if any(crop > max(enlarged, 1) * side for crop, side in zip(data.crop, largest, strict=True)):
        raise UserError(
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
    encoder = model.get("encoder") or {}
    pretrained = encoder.get("weights") is not None
    if encoder.get("in_channels", 0) is None:
        if pretrained and data.channels != 3:
            raise UserError(
                f"model.encoder.weights={encoder['weights']} are for RGB, but the images have {data.channels} "
                "channels: type data.channels=3 (grey is repeated; of more channels, the first are taken)"
            )
        known["encoder"] = {**encoder, "in_channels": data.channels}
    if not pretrained and any(name in model and model[name] is None for name in ("mean", "std")):
        mean, std = data.statistics()
        known.update({name: found for name, found in (("mean", mean), ("std", std)) if model.get(name, 0) is None})
    return {**model, **known}


def loss_spec(loss: Spec, data: DataModule, before: Spec | None) -> Spec:
    """Likewise for the loss."""
    if before and before["settings"]["loss"] == loss:
        return before["loss"]
    known: Spec = {}
    void, weights = data.classes.void, loss.get("weights")
    if loss.get("ignore_index", void) not in (None, void):
        raise UserError(f"loss.ignore_index={loss['ignore_index']}: void is {void} in these masks: leave it null")
    if "ignore_index" in loss:
        known["ignore_index"] = void
    if weights == "none":
        known["weights"] = None
    elif isinstance(weights, str):
        with from_user():
            known["weights"] = class_weights(data.class_pixels(), weights)
    elif weights is not None and len(weights) != len(data.classes):
        names = ", ".join(data.classes.names[:6]) + (", ..." if len(data.classes) > 6 else "")
        raise UserError(
            f"loss.weights has {len(weights)} numbers, but the data have {len(data.classes)} classes ({names}): "
            "give one per class, or null"
        )
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
    loaded, whole = (
        sum(p.numel() for name, p in network.named_parameters() if name in names) for names in (fitting, own)
    )
    if loaded < whole / 100:
        raise UserError(
            f"init: hardly anything of that checkpoint fits this network ({len(fitting)} of {len(own)} tensors): is it "
            "another architecture?"
        )
    network.load_state_dict(fitting, strict=False)
    fresh = [name for name in own if name not in fitting]
    say(f"init: {len(fitting)} of {len(own)} tensors loaded" + (f"; fresh: {', '.join(fresh)}" if fresh else ""))


def try_out(network: nn.Module, data: DataModule, shares: int) -> None:
    """One training step's forward pass without numbers, so that what cannot work shows before anything is written.

    Args:
        shares: that a batch is computed in.

    Raises:
        UserError: if the network cannot be trained on the images.
    """
    images, (height, width) = data.batch_size // shares, data.crop
    channels = data.source("train").read(0)[0].shape[0]
    hollow = copy.deepcopy(network).to("meta").train()
    try:
        outputs = hollow(torch.zeros(images, channels, height, width, dtype=torch.uint8, device="meta"))
    except NotImplementedError:  # a network with parts that cannot be computed without numbers
        return
    except (ValueError, RuntimeError) as error:
        if "more than 1 value per channel" in str(error):
            raise UserError(
                f"batch norm has one value per channel from {images} image of {height} x {width} at a time: take a "
                "larger data.batch_size or data.crop"
            ) from None
        size = f"{channels} channels, {height} x {width}"
        raise UserError(f"model: it cannot be trained on images of {size} ({error})") from error
    for logits in outputs if isinstance(outputs, tuple) else (outputs,):
        refuse_logits(logits, (images, len(data.classes), height, width))


def refuse_logits(logits: Tensor, shape: tuple[int, ...]) -> None:
    """Raises UserError for logits of another shape (N, classes, H, W)."""
    if logits.shape == shape:
        return
    if logits.ndim == 4 and logits.shape[1] != shape[1]:
        raise UserError(f"model.num_classes={logits.shape[1]}: the data have {shape[1]} classes: leave it null")
    raise UserError(f"model: its logits are {tuple(logits.shape)}, expected {shape} (images, classes, height, width)")


def try_optimizer(make: Callable[..., Any], schedule: Callable[[int, int], float], steps: int) -> None:
    """Build the optimiser and ask for the first and the last learning rate, before anything is written.

    Raises:
        UserError: for settings that they do not take.
    """
    with from_user(TypeError, ValueError, RuntimeError, where="optimizer: "):
        single(make)
    with from_user(), from_user(TypeError, ArithmeticError, where="schedule: "):
        factors = [schedule(step, steps) for step in (0, steps)]
    if not all(isinstance(factor, float | int) and 0 <= factor < math.inf for factor in factors):
        raise UserError(f"schedule: factors {factors} on the learning rate: expected numbers of 0 or more")


def single(make: Callable[..., Any]) -> dict[str, Any]:
    """The settings that an optimiser of one parameter has, and that parameter."""
    return make([{"params": [nn.Parameter(torch.zeros(1))]}]).param_groups[0]


def build_network(spec: Spec, trust: frozenset[str] | None) -> nn.Module:
    """The network, in the order of memory in which convolutions are fastest.

    Raises:
        UserError: for settings that make none.
    """
    try:
        with from_user():
            network = build(spec, trust)
    except (ArithmeticError, RuntimeError, TypeError) as error:
        raise UserError(f"model: it cannot be built from these settings ({error})") from error
    if not isinstance(network, nn.Module):
        raise UserError(f"model: {spec['_target_']} makes a {type(network).__name__}, not a torch.nn.Module")
    return network.to(memory_format=torch.channels_last)


def refuse_misfit(learner: Any, content: Mapping[str, Any]) -> None:
    """Raises UserError if a training cannot go on from a checkpoint, whose parts belong to other settings."""
    own, stored = learner.state_dict(), content["state_dict"]
    shapes = ({name: tuple(tensor.shape) for name, tensor in state.items()} for state in (own, stored))
    differing = sorted({name for name, _ in set.symmetric_difference(*(set(each.items()) for each in shapes))})
    groups = [group for state in content.get("optimizer_states", ()) for group in state["param_groups"]]
    if any(group.keys() - {"initial_lr"} != single(learner.make_optimizer).keys() for group in groups):
        differing.append("what the optimizer keeps")
    if differing:
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise UserError(
            f"the checkpoint does not fit these settings ({differing[0]}{more} differ): leave out what was changed, or "
            "start a new run from its weights with init="
        )
