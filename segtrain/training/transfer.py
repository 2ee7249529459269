"""A training begins with the weights of another one: what scores the classes is taken over by their names."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..build import Spec, Trust, build_part
from ..data import ClassTable
from ..data.files.pictures import Pictures, Span
from ..errors import UserError
from ..report.screen import say
from ..runs.folder import trained_file
from ..runs.record import Record, without_pretrained
from ..runs.restore import RECORD, read_checkpoint, weights_of
from ..text import enumerated

COUNTS = ("num_classes", "classes", "num_labels", "n_classes")  # settings of networks: how many classes they score
SHOWN = 6  # names in a line

Axes = Mapping[str, tuple[int, ...]]  # of tensors by name: the axes along which a row stands for a class


class Change(NamedTuple):
    """The classes of a training, and other ones in the checkpoint that it begins with."""

    own: Sequence[str]
    other: Sequence[str]
    axes: Axes


def take_over(init: str, network: nn.Module, record: Record, names: Sequence[str], trust: Trust | None) -> None:
    """Give a network, built as `record` says for the classes `names`, the weights of a run or a checkpoint `init`."""
    content = read_checkpoint(trained_file(init, "init"))
    other = class_names(content)
    change = None
    if other is None:
        say("init: the checkpoint does not name its classes: what scores them is taken over as it stands")
    elif list(other) != list(names):
        change = Change(names, other, class_axes(network, record.model, len(names), trust))
    weights = weights_of(content)
    if images_differ(content, record):
        say("init: its images had another depth, or filled other values: mean and std are measured anew")
        weights = {name: weight for name, weight in weights.items() if name not in ("mean", "std")}
    begin_with(network, weights, change)


def images_differ(content: Mapping[str, Any], record: Record) -> bool:
    """Whether a checkpoint was trained on images so much other than those of `record` that its mean and std do not
    hold for these; of older ones that is not known."""
    try:
        other = Record.from_json(content[RECORD].get("record"))
    except UserError:
        return False
    return pictures_differ(Pictures.stored(record.pictures), Pictures.stored(other.pictures))


def pictures_differ(own: Pictures | None, other: Pictures | None) -> bool:
    """Whether a network that was trained on other pictures takes these for another thing, as far as that is known."""
    return bool(own and other and other.differ(own.kind, own.bits, Span(own.low, own.high)))


def class_names(content: Mapping[str, Any]) -> Sequence[str] | None:
    """The names of the classes that a checkpoint scores, by index; `None` if it has none."""
    try:
        record = Record.from_json(content[RECORD].get("record"))
        return None if record.classes is None else ClassTable.from_spec(record.classes).names
    except UserError:  # the weights alone are wanted
        return None


def class_axes(network: nn.Module, model: Spec, count: int, trust: Trust | None) -> Axes:
    """The axes that would be longer if the network were built for one class more; none if that cannot be told."""
    larger = {name: count + 1 for name in COUNTS if model.get(name) == count}
    if not larger:
        return {}
    try:
        with torch.device("meta"):
            shapes = shapes_of(build_part("model", without_pretrained({**model, **larger}), trust))
    except (NotImplementedError, RuntimeError):  # it computes with its weights when it is built
        return {}
    axes: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes_of(network).items():
        sizes = enumerate(zip(shape, shapes.get(name, shape), strict=True))
        grown = tuple(axis for axis, pair in sizes if pair == (count, count + 1))
        if grown:
            axes[name] = grown
    return axes


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def begin_with(network: nn.Module, weights: Mapping[str, Tensor], change: Change | None = None) -> None:
    """Load what fits; tensors that are missing or have another shape keep their fresh values, and are named."""
    own = network.state_dict()
    same = same_classes(change.own, change.other) if change else {}
    fitting = {}
    for name, fresh in own.items():
        axes = change.axes.get(name, ()) if change else ()
        stored = weights.get(name)
        if stored is None or not fits(fresh, stored, axes, len(change.other) if change else 0):
            continue
        if not axes:
            fitting[name] = stored
        elif same:
            fitting[name] = rows_by_class(fresh, stored, axes, same)
    count = f"{len(fitting)} of {len(own)} tensors"
    loaded = sum(parameter.numel() for name, parameter in network.named_parameters() if name in fitting)
    if loaded < sum(map(Tensor.numel, network.parameters())) / 100:
        reason = f"hardly anything of that checkpoint fits this network ({count})"
        raise UserError(f"init: {reason}: is it another architecture?")
    network.load_state_dict(fitting, strict=False)
    fresh_names = [name for name in own if name not in fitting]
    named = f"; fresh: {', '.join(fresh_names)}" if fresh_names else ""
    classes = f"; {told(change, same)}" if change else ""
    say(f"init: {count} loaded{named}{classes}")


def same_classes(own: Sequence[str], other: Sequence[str]) -> dict[int, int]:
    """Index of a class -> index of the one with its name among others: as it is written, or else but for case, spaces,
    `-` and `_`, where that names one class alone."""
    same = {index: other.index(name) for index, name in enumerate(own) if name in other}
    plain, others = [list(map(plainly, names)) for names in (own, other)]
    often = Counter(plain), Counter(others)
    for index, name in enumerate(plain):
        if index not in same and often[0][name] == often[1][name] == 1:
            same[index] = others.index(name)
    return dict(sorted(same.items()))


def plainly(name: str) -> str:
    text = unicodedata.normalize("NFC", name).casefold()
    return "".join(letter for letter in text if letter not in " -_") or text


def fits(fresh: Tensor, stored: Tensor, axes: Sequence[int], classes: int) -> bool:
    """Whether a stored tensor has the shape of a fresh one, but for axes of so many other `classes`."""
    shape = [classes if axis in axes else size for axis, size in enumerate(fresh.shape)]
    return list(stored.shape) == shape


def rows_by_class(fresh: Tensor, stored: Tensor, axes: Sequence[int], same: Mapping[int, int]) -> Tensor:
    """A fresh tensor with what a stored one has for the classes that are the `same`."""
    result = fresh.clone()
    result[places(fresh, axes, list(same))] = stored[places(stored, axes, list(same.values()))].to(fresh)
    return result


def places(tensor: Tensor, axes: Sequence[int], rows: Sequence[int]) -> tuple[Tensor, ...]:
    """The positions of some rows along `axes`, and of all along the others, to index a tensor with."""
    along = [torch.tensor(rows) if axis in axes else torch.arange(size) for axis, size in enumerate(tensor.shape)]
    return torch.meshgrid(*along, indexing="ij")


def told(change: Change, same: Mapping[int, int]) -> str:
    """What is said of classes that are not those of the checkpoint."""
    there = f"there: {enumerated(change.other, SHOWN)}"
    if not change.axes:
        return f"the classes are others ({there}), and what scores them is not known: it is taken over as it stands"
    if not same:
        return f"the classes are others ({there}): what scores them begins anew"
    new = [name for index, name in enumerate(change.own) if index not in same]
    if not new:
        return f"the classes stand in other places there, and are taken over by name ({there})"
    kept = [change.own[index] for index in same]
    same_text, new_text = enumerated(kept, SHOWN), enumerated(new, SHOWN)
    return f"of the classes, {same_text} are taken over by name; what scores {new_text} begins anew ({there})"
