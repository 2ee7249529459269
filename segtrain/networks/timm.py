"""timm's encoders, which are a thousand: https://github.com/huggingface/pytorch-image-models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..disk import names_weights
from ..weights import downloading, fitted, read_weights
from .features import Feature, image, layout, reason_of, refuse_uneven
from .names import missing, refuse_other_channels, refuse_unknown

ANY_SIZE: Sequence[Mapping[str, bool]] = (  # how classifiers are told to take images of any size
    {"dynamic_img_size": True},  # ViT and its like: position embeddings are interpolated
    {"strict_img_size": False},  # Swin and its like
    {},
)
LEVELS = 4  # of the pyramid that is made of a single stride


class TimmEncoder(nn.Module):
    """An encoder of timm that gives its features (`features_only`), such as `convnext_tiny`.

    Of a plain vision transformer, whose features all have the same stride, the last one is resized to four strides:
    the pyramid of Li et al. 2022 (https://arxiv.org/abs/2203.16527) without weights of its own, as the decoder has its
    transposed convolutions.

    Args:
        name: timm's name of the encoder.
        weights: a tag of timm's, such as `fb_in1k` for convnext_tiny.fb_in1k, or a file with timm's names.
        in_channels: channels of the image; `None` means 3, unless the data say otherwise.

    Attributes:
        channels, strides, mean, std: as those of `segtrain.models.Encoder`.
    """

    def __init__(self, *, name: str, weights: str | None = None, in_channels: int | None = None) -> None:
        refuse_unknown("encoder", name, encoders(), "timm")
        refuse_other_channels(weights, in_channels)
        super().__init__()
        settings, self.layouts = tried(name)
        self.strides = [feature.stride for feature in self.layouts]
        self.channels = [feature.channels for feature in self.layouts]
        self.single = len(self.strides) > 1 and len(set(self.strides)) == 1
        if self.single:
            self.strides = pyramid(self.strides[0])
            self.channels = self.channels[-1:] * LEVELS
        refuse_uneven(self.strides, name)
        self.mean: Sequence[float] | None = None
        self.std: Sequence[float] | None = None
        if weights is None:
            self.body = features_only(name, in_chans=in_channels or 3, **settings)
        else:
            self.body, self.mean, self.std = pretrained(name, weights, settings)

    def forward(self, x: Tensor) -> list[Tensor]:  # (N, C, H, W) -> [(N, channels[i], H/strides[i], W/strides[i])]
        outputs = zip(self.layouts, self.body(x), strict=True)
        features = [layout.channels_first(feature) for layout, feature in outputs]
        if not self.single:
            return features
        height, width = x.shape[-2:]
        return [resized(features[-1], height // stride, width // stride) for stride in self.strides]

    def extra_repr(self) -> str:
        return f"channels={self.channels}, strides={self.strides}"


def library() -> ModuleType:
    """timm, which is an extra. Raises UserError where it is not installed."""
    try:
        import timm
    except ImportError as error:
        missing("timm", error)
    return timm


def encoders() -> list[str]:
    """timm's names, of which nearly all are encoders."""
    return library().list_models()


def features_only(name: str, **settings: Any) -> nn.Module:
    return library().create_model(name, features_only=True, **settings)


@torch.no_grad()
def tried(name: str) -> tuple[Mapping[str, bool], list[Feature]]:
    """The settings with which an encoder takes images of any size, and what its features are like.

    Raises ValueError for one that does not give features, or not of any size.
    """
    try:
        settings, hollow = without_numbers(name)
        strides = hollow.feature_info.reduction()  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        height, width = 4 * max(strides), 6 * max(strides)
        layouts = [layout(feature.shape, height, width) for feature in hollow(image(height, width))]
    except Exception as error:  # timm raises many types
        raise ValueError(f"encoder {name}: it gives no features of images of any size ({reason_of(error)})") from error
    if [feature.stride for feature in layouts] != list(strides):
        raise ValueError(f"encoder {name}: its features are not those of strides {list(strides)}")
    return settings, layouts


def without_numbers(name: str) -> tuple[Mapping[str, bool], nn.Module]:
    """An encoder on torch's meta device, built with the first settings for images of any size that it knows."""
    for settings in ANY_SIZE:
        try:
            with torch.device("meta"):
                return settings, features_only(name, **settings).eval()
        except TypeError:  # it does not know the setting
            continue
    raise ValueError("its features cannot be asked for")


def pretrained(
    name: str, weights: str, settings: Mapping[str, bool]
) -> tuple[nn.Module, Sequence[float], Sequence[float]]:
    """An encoder with timm's weights of a tag, which timm downloads, or with those in a file; and the mean and standard
    deviation of each image channel that they expect: of a file, those of timm's own weights for this encoder."""
    if names_weights(weights):
        tagged, overlay = name, {"state_dict": weights_of_file(name, weights)}
        body = features_only(name, pretrained=True, pretrained_cfg_overlay=overlay, **settings)
        for part in body.modules():  # that keep what they were built from
            getattr(part, "pretrained_cfg", {}).pop("state_dict", None)
    else:
        tagged = f"{name}.{known_tag(name, weights)}"
        with downloading(weights):
            body = features_only(tagged, pretrained=True, **settings)
    expected = library().get_pretrained_cfg(tagged)
    return body, list(expected.mean), list(expected.std)


def known_tag(name: str, tag: str) -> str:
    """A tag that timm has weights of. Raises ValueError for another one."""
    tags = tags_of(name)
    if tag not in tags:
        known = ", ".join(tags) or "none"
        raise ValueError(f"weights={tag}: timm has {known} (or type FILE.safetensors, FILE.pth) for {name}")
    return tag


def tags_of(name: str) -> list[str]:
    """The tags of an encoder's pretrained weights."""
    return [tagged.partition(".")[2] for tagged in library().list_models(f"{name}.*", pretrained=True)]


def weights_of_file(name: str, weights: str) -> dict[str, Tensor]:
    """The weights in a file for the whole classifier, from which timm takes its features."""
    with torch.device("meta"):
        whole = library().create_model(name)
    classifiers = whole.pretrained_cfg["classifier"] or ()
    if isinstance(classifiers, str):
        classifiers = (classifiers,)
    heads = tuple(f"{classifier}." for classifier in classifiers)
    own = {key: tensor for key, tensor in whole.state_dict().items() if not key.startswith(heads)}
    return fitted(read_weights(Path(weights)), own, weights, classifiers=heads)


def pyramid(stride: int) -> list[int]:
    """Four strides, each twice the one before, around the single stride of an encoder: 4, 8, 16, 32 around 16."""
    finest = next(stride // part for part in (4, 2, 1) if stride % part == 0)
    return [finest * 2**level for level in range(LEVELS)]


def resized(feature: Tensor, height: int, width: int) -> Tensor:
    """A feature (N, C, H, W) at another resolution: finer ones are interpolated, coarser ones averaged."""
    if height < feature.shape[-2]:
        return F.adaptive_avg_pool2d(feature, (height, width))
    return F.interpolate(feature, size=(height, width), mode="bilinear", align_corners=False)
