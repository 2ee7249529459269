"""torchvision's networks for segmentation, and its classifiers as encoders."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import get_model, get_model_builder, get_model_weights, list_models

from ..models.normalized import Normalized
from ..models.pretrained import torchvision_weights
from ..weights import fitted
from .features import Feature, image, layout, refuse_uneven, take_channels
from .names import refuse_other_channels, refuse_unknown

HEIGHT, WIDTH = 128, 192  # of the image that an encoder is tried with


@dataclass(frozen=True)
class TorchvisionBackbone:
    """What the backbone of a network for segmentation begins with.

    Args:
        weights: a name of the enum of its classifier, such as `IMAGENET1K_V2`, or a file of that classifier or of a
            whole network.
        in_channels: channels of the image; `None` means 3, unless the data say otherwise.
    """

    weights: str | None = None
    in_channels: int | None = None


class TorchvisionNetwork(Normalized):
    """A network of torchvision.models.segmentation, such as `deeplabv3_resnet50`, with fresh heads.

    Args:
        name: torchvision's name of the network, whose end names the backbone.
        encoder: what the backbone begins with.
        num_classes: channels of the logits.
        auxiliary: whether torchvision's second head, on the second coarsest feature, is trained along.
        mean: mean of each image channel; `None` for that of the weights.
        std: standard deviation of each image channel; `None` for that of the weights.
    """

    def __init__(
        self,
        *,
        name: str,
        encoder: TorchvisionBackbone,
        num_classes: int,
        auxiliary: bool = False,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        refuse_unknown("name", name, networks(), "torchvision.models.segmentation")
        refuse_other_channels(encoder.weights, encoder.in_channels)
        has_auxiliary = "aux_loss" in inspect.signature(get_model_builder(name)).parameters
        if auxiliary and not has_auxiliary:
            raise ValueError(f"auxiliary=true: {name} has no auxiliary head")
        heads = {"aux_loss": auxiliary} if has_auxiliary else {}
        body = get_model(name, weights=None, weights_backbone=None, num_classes=num_classes, **heads)
        part = body.get_submodule("backbone")
        take_channels(part, encoder.in_channels or 3)
        if encoder.weights is not None:
            pretrained = torchvision_weights(backbone(name), encoder.weights)
            part.load_state_dict(fitted(pretrained.weights, part.state_dict(), encoder.weights))
            mean, std = mean or pretrained.mean, std or pretrained.std
        super().__init__(mean=mean, std=std)
        self.body = body

    @property
    def encoder(self) -> nn.Module:
        """The part that pretrained weights fill."""
        return self.body.get_submodule("backbone")

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, classes, H, W) of images (N, C, H, W) of any size, which torchvision interpolates.

        In training, a network with an auxiliary head returns the logits of both heads.
        """
        outputs = self.body(self.normalize(image))
        if "aux" in outputs and self.training:
            return outputs["out"], outputs["aux"]
        return outputs["out"]


class TorchvisionEncoder(nn.Module):
    """A classifier of torchvision.models without its classifier, such as `convnext_tiny` or `swin_t`.

    It gives a feature for each stride: that of the last of torchvision's stages with this stride.

    Args:
        name: torchvision's name of the classifier, one that computes its features in `.features`.
        weights: a name of torchvision's enum, such as `IMAGENET1K_V1`, or a file with torchvision's names.
        in_channels: channels of the image; `None` means 3, unless the data say otherwise.

    Attributes:
        channels, strides, mean, std: as those of `segtrain.models.Encoder`.
    """

    def __init__(self, *, name: str, weights: str | None = None, in_channels: int | None = None) -> None:
        refuse_unknown("encoder", name, classifiers(), "torchvision.models")
        refuse_other_channels(weights, in_channels)
        super().__init__()
        self.taken = features_of(name)
        strides = [feature.stride for feature in self.taken.values()]
        refuse_uneven(strides, name)
        self.channels, self.strides = [feature.channels for feature in self.taken.values()], strides
        self.mean: Sequence[float] | None = None
        self.std: Sequence[float] | None = None
        self.features = stages_of(name)[: max(self.taken) + 1]
        take_channels(self.features, in_channels or 3)
        if weights is not None:
            pretrained = torchvision_weights(name, weights)
            self.features.load_state_dict(fitted(pretrained.weights, self.features.state_dict(), weights))
            self.mean, self.std = pretrained.mean, pretrained.std

    def forward(self, x: Tensor) -> list[Tensor]:  # (N, C, H, W) -> [(N, channels[i], H/strides[i], W/strides[i])]
        features = []
        for index, stage in enumerate(self.features):
            x = stage(x)
            if index in self.taken:
                features.append(self.taken[index].channels_first(x))
        return features

    def extra_repr(self) -> str:
        return f"channels={self.channels}, strides={self.strides}"


def networks() -> list[str]:
    """torchvision's networks for segmentation."""
    return list_models(module=models.segmentation)


def backbone(name: str) -> str:
    """torchvision's name of the classifier that a network for segmentation is built on."""
    return name.partition("_")[2]


def classifiers() -> list[str]:
    """torchvision's classifiers, of which most are encoders too."""
    return list_models(module=models)


def weights_of(name: str) -> list[str]:
    """The names of a classifier's pretrained weights."""
    return [member.name for member in get_model_weights(name)]


def stages_of(name: str) -> nn.Sequential:
    """What a classifier computes one after the other, before it scores the classes."""
    stages = getattr(get_model(name, weights=None), "features", None)
    if not isinstance(stages, nn.Sequential):
        raise ValueError(f"encoder {name}: torchvision does not compute it stage by stage: is it one of model=timm?")
    return stages


@torch.no_grad()
def features_of(name: str) -> dict[int, Feature]:
    """Which of a classifier's stages give the features of its encoder, by their index, and what these are like."""
    with torch.device("meta"):
        stages = stages_of(name).eval()
    last: dict[int, tuple[int, Feature]] = {}
    x = image(HEIGHT, WIDTH)
    for index, stage in enumerate(stages):
        x = stage(x)
        try:
            feature = layout(x.shape, HEIGHT, WIDTH)
        except ValueError as error:
            raise ValueError(f"encoder {name}: {error}") from None
        if feature.stride > 1:
            last[feature.stride] = (index, feature)
    return dict(last.values())
