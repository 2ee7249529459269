"""Networks of segmentation_models_pytorch: https://github.com/qubvel-org/segmentation_models.pytorch."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..disk import names_weights
from ..models.fcn import crop, pad
from ..models.normalized import Normalized
from ..models.pretrained import MEAN, STD
from ..weights import downloading, fitted, read_weights
from . import timm
from .names import missing, refuse_other_channels, refuse_unknown

STRIDE = 32  # images are padded to multiples of it: all decoders of smp's take these
TIMM = "tu-"  # how the names of encoders begin that smp takes from timm


@dataclass(frozen=True)
class SmpEncoder:
    """The encoder of a network of smp, and what it begins with.

    Args:
        name: smp's name, such as `resnet34`, or `tu-` and timm's.
        weights: smp's name of its weights, such as `imagenet`, or timm's tag; or a file with smp's names, or
            torchvision's where they are the same.
        in_channels: channels of the image; `None` means 3, unless the data say otherwise.
    """

    name: str
    weights: str | None = None
    in_channels: int | None = None


class SmpNetwork(Normalized):
    """A network of segmentation_models_pytorch, such as `Unet`, for images of any size.

    Args:
        arch: smp's name of the decoder.
        encoder: smp's encoder below it.
        num_classes: channels of the logits.
        mean: mean of each image channel; `None` for that of the weights.
        std: standard deviation of each image channel; `None` for that of the weights.
    """

    def __init__(
        self,
        *,
        arch: str,
        encoder: SmpEncoder,
        num_classes: int,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        refuse_unknown("arch", arch, decoders(), "segmentation_models_pytorch")
        refuse_unknown_encoder(encoder.name)
        refuse_other_channels(encoder.weights, encoder.in_channels)
        if encoder.weights is not None:
            known_mean, known_std = expected_images(encoder)
            mean, std = mean or known_mean, std or known_std
        super().__init__(mean=mean, std=std)
        self.body = built(getattr(library(), arch), encoder, num_classes)

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights fill."""
        return self.body.get_submodule("encoder")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, classes, H, W) of images (N, C, H, W) of any size."""
        height, width = image.shape[-2:]
        return crop(self.body(pad(self.normalize(image), STRIDE)), height, width)


class NumbersOnCPU(TorchFunctionMode):
    """Inside, `torch.linspace` gives numbers also where modules are built on the meta device: smp reads them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        device = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **{**(kwargs or {}), **device})


def library() -> ModuleType:
    """segmentation_models_pytorch, which is an extra. Raises UserError where it is not installed."""
    try:
        import segmentation_models_pytorch
    except ImportError as error:
        missing("smp", error)
    return segmentation_models_pytorch


def decoders() -> list[str]:
    """smp's networks, by the name of their decoder."""
    return [kind.__name__ for kind in library().MODEL_ARCHITECTURES_MAPPING.values()]


def encoders() -> list[str]:
    """smp's own encoders; with `tu-` before them, it takes timm's too."""
    return library().encoders.get_encoder_names()


def refuse_unknown_encoder(name: str) -> None:
    """Raises ValueError for an encoder that neither smp nor, behind `tu-`, timm has."""
    names = encoders()
    if name.startswith(TIMM):
        names = [TIMM + other for other in timm.encoders()]
    refuse_unknown("encoder", name, names, "segmentation_models_pytorch")


def built(decoder: Callable[..., nn.Module], encoder: SmpEncoder, num_classes: int) -> nn.Module:
    """A network of smp, its encoder with pretrained weights where they were asked for."""
    name, fetched = source(encoder)
    settings: Mapping[str, bool] = {}
    if name.startswith(TIMM) and takes_any(decoder):
        settings, _ = timm.without_numbers(encoder.name.removeprefix(TIMM))

    def make(weights: str | bool | None) -> nn.Module:
        with NumbersOnCPU(), warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            channels = encoder.in_channels or 3
            names = {"encoder_name": name, "encoder_weights": weights}
            return decoder(**names, in_channels=channels, classes=num_classes, **settings)

    if fetched is not None:
        with downloading(str(encoder.weights)):
            return make(fetched)
    network = make(None)
    if encoder.weights is not None:
        part = network.get_submodule("encoder")
        part.load_state_dict(fitted(read_weights(Path(encoder.weights)), part.state_dict(), encoder.weights))
    return network


def takes_any(decoder: Callable[..., nn.Module]) -> bool:
    """Whether a network of smp hands on settings that it does not know to its encoder."""
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(decoder).parameters.values())


def source(encoder: SmpEncoder) -> tuple[str, str | bool | None]:
    """smp's name of an encoder, and which weights smp has to download for it, if any.

    Raises ValueError for weights that neither smp nor timm have.
    """
    name, weights = encoder.name, encoder.weights
    if weights is None or names_weights(weights):
        return name, None
    known = weights_of(name)
    if weights not in known:
        names = ", ".join(known) or "none"
        raise ValueError(f"weights={weights}: smp has {names} (or type FILE.safetensors, FILE.pth) for {name}")
    if name.startswith(TIMM):
        return f"{name}.{weights}", True
    return name, weights


def weights_of(name: str) -> list[str]:
    """The names of the pretrained weights of an encoder."""
    if name.startswith(TIMM):
        return timm.tags_of(name.removeprefix(TIMM))
    return list(library().encoders.encoders[name]["pretrained_settings"])


def expected_images(encoder: SmpEncoder) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of each image channel that pretrained weights expect, as fractions of white.

    A file does not say: that is taken to be ImageNet's.
    """
    name, fetched = source(encoder)
    if fetched is None:
        return MEAN, STD
    with downloading(str(encoder.weights)):
        stored = library().encoders.get_preprocessing_params(name, str(encoder.weights))
    white = stored["input_range"][1]
    return [value / white for value in stored["mean"]], [value / white for value in stored["std"]]
