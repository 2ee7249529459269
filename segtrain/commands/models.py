"""`models`: the networks that there are, with what they cost."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from ..build import Spec, build, conf_folder
from ..errors import UserError
from ..networks import smp, timm, torchvision
from ..report.screen import counted_down, say
from ..text import enumerated

SHOWN = 3  # names of weights in a row
NAMES = 12  # of the networks of a family, in a line


class Family(NamedTuple):
    """Many networks, of which a setting names one."""

    choice: str  # of `model`
    setting: str
    names: Callable[[], Sequence[str]]


class Row(NamedTuple):
    """A network, by the words that choose it."""

    words: str
    spec: Spec


FAMILIES = (
    Family("torchvision", "model.name", torchvision.networks),
    Family("fcn_torchvision", "model.encoder", torchvision.classifiers),
    Family("smp", "model.arch", smp.decoders),
    Family("smp", "model.encoder", smp.encoders),
    Family("timm", "model.encoder", timm.encoders),
)
WEIGHTS: Mapping[str, Callable[[Spec], Sequence[str]]] = {  # names of pretrained weights, by what makes the encoder
    "segtrain.models.resnet": lambda model: torchvision.weights_of(f"resnet{model['encoder']['layers']}"),
    "segtrain.networks.TorchvisionBackbone": lambda model: torchvision.weights_of(torchvision.backbone(model["name"])),
    "segtrain.networks.TorchvisionEncoder": lambda model: torchvision.weights_of(model["encoder"]["name"]),
    "segtrain.networks.SmpEncoder": lambda model: smp.weights_of(model["encoder"]["name"]),
    "segtrain.networks.TimmEncoder": lambda model: timm.tags_of(model["encoder"]["name"]),
}


def models(*, find: str | None, size: tuple[int, int], classes: int, most: int) -> None:
    """List the networks of conf/model, or those of any library with `find` in their name, in at most so many rows.

    GFLOPs are those of the forward pass of one RGB image of `size` (height, width).
    """
    rows = list(shipped() if find is None else found(find))
    if not rows:
        raise UserError(f"find={find}: no network has that in its name; python -m segtrain models lists the families")
    if most < 1:
        raise UserError(f"most={most}: expected a number of rows, 1 or more")
    listed = rows[:most]
    width = max(len(row.words) for row in listed)
    say(f"{'':{width}}  parameters  GFLOPs at {size[0]}x{size[1]}, {classes} classes; pretrained weights")
    for row in counted_down("counting", listed, transient=True):
        say(f"{row.words:{width}}  {described(row.spec, size, classes)}")
    if len(rows) > most:
        say(f"and {len(rows) - most} more: most={len(rows)} lists all, another find=WORD fewer")
    if find is None:
        for line in others():
            say(line)


def shipped() -> Iterator[Row]:
    """The networks of conf/model, those of torchvision one by one, since they are few."""
    for name in choices():
        if name == "torchvision":
            yield from members(FAMILIES[0])
        else:
            yield Row(f"model={name}", choice(name))


def found(word: str) -> Iterator[Row]:
    """The networks with a word in what is typed for them."""
    families = {family.choice for family in FAMILIES}
    for name in choices():
        if word in name and name not in families:
            yield Row(f"model={name}", choice(name))
    for family in FAMILIES:
        yield from members(family, word)


def members(family: Family, word: str = "") -> Iterator[Row]:
    """The networks of a family with a word in their name."""
    for name in names_of(family):
        if word in name:
            yield Row(f"model={family.choice} {family.setting}={name}", named(family, name))


def names_of(family: Family) -> Sequence[str]:
    """The names of a family; none where its library is not installed."""
    try:
        return family.names()
    except UserError:
        return ()


def named(family: Family, name: str) -> Spec:
    """The settings of one network of a family."""
    model = choice(family.choice)
    last = family.setting.removeprefix("model.")
    if last == "encoder":
        return {**model, "encoder": {**model["encoder"], "name": name}}
    return {**model, last: name}


def others() -> Iterator[str]:
    """A line for each family, on the other networks in it."""
    for family in FAMILIES[1:]:
        names = names_of(family)
        if names:
            some = ", ".join(names[:: math.ceil(len(names) / NAMES)])  # from all of the alphabet
            more = f", ... ({len(names):,})" if len(names) > NAMES else ""
            yield f"model={family.choice} takes {family.setting}={some}{more}"
    yield "models find=WORD shows all with this word in their name"


def choices() -> list[str]:
    return sorted(file.stem for file in (conf_folder() / "model").glob("*.yaml"))


def choice(name: str) -> Spec:
    """conf/model/NAME.yaml over the sibling that it extends, if any."""
    folder = conf_folder() / "model"
    own: Any = OmegaConf.load(folder / f"{name}.yaml")
    siblings = [OmegaConf.load(folder / f"{sibling}.yaml") for sibling in own.pop("defaults", [])]
    merged = OmegaConf.to_container(OmegaConf.merge(*siblings, own))
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items()}


def described(model: Spec, size: Sequence[int], classes: int) -> str:
    """Parameters, GFLOPs and weights of a network in words, or why there are none."""
    try:
        parameters, flops = costs(model, size, classes)
    except ValueError as error:  # an extra that is missing, or an encoder that no decoder can use
        return str(error)
    names = WEIGHTS.get(model["encoder"]["_target_"], lambda _: ())(model)
    weights = enumerated(names, SHOWN) or "none"
    return f"{parameters / 1e6:8.2f} M  {flops / 1e9:8.1f}; {weights}"


@torch.no_grad()
def costs(model: Spec, size: Sequence[int], classes: int) -> tuple[int, int]:
    """Parameters, and floating-point operations of one image: torch counts both on its meta device.

    A multiply-add counts as two. Batch norm, ReLU and interpolation are not counted.
    """
    with torch.device("meta"):
        network = build(model, num_classes=classes).eval()
        image = torch.empty(1, 3, *size, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        network(image)
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops()
