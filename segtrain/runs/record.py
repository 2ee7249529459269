"""What is noted about a run in each of its checkpoints: all that is needed to build its network again."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from reprlib import repr as short
from typing import Any

from ..build import TARGET, Spec, is_spec, locate, parameter_names, refuse_deep
from ..errors import UserError
from .correction import Correction
from .temperature import Temperature

Settings = dict[str, Any]
BUILT = ("data", "model", "loss", "optimizer", "schedule", "augment", "trainer")  # settings that are specs
PLAIN = {"name": str, "seed": int, "train": dict}
PARTS = {*PLAIN, *BUILT}
KINDS = {"run": str, "settings": dict, "model": dict, "loss": dict, "precision": str, "fingerprint": str}
MOVED = {  # targets in the records of older versions, and where they are now
    "segtrain.data.PublicData": "segtrain.data.FolderData",
    "segtrain.schedules.cosine": "segtrain.training.schedules.cosine",
    "segtrain.schedules.poly": "segtrain.training.schedules.poly",
}


@dataclass(frozen=True)
class Record:
    """What was decided when a run began."""

    run: str  # name of the run, which its `environment.json` has too
    settings: Settings  # all settings of the training
    model: Spec  # settings of the network, with what only the data knew; nothing is downloaded to build it
    loss: Spec  # settings of the loss, with what only the data knew
    augment: Spec  # settings of the augmentation, with what only the data knew
    precision: str  # Lightning's name of the precision
    classes: Any  # the class table, as `classes.yaml` has it
    channels: int  # channels of the images
    fingerprint: str  # fingerprint of the data: names, sizes, classes
    pictures: dict[str, Any] | None = None  # fields of `Pictures`: what the images were like; older versions noted none
    cwd: str = ""  # the folder that a relative path in the settings starts from; older versions did not note it
    correction: Correction | None = (
        None  # of the network's logits; the best checkpoint of a run that is over may have one
    )
    temperature: Temperature | None = None  # of the network's probabilities, as the correction
    teacher: str | None = None  # fingerprint of the weights of the network that teaches, if one does

    def max_pixels(self, typed: int | None, usual: int) -> int:
        """The most pixels of an image that is read: what was typed, or else what was stored, which may be anyone's and
        only lowers the usual limit."""
        if typed is not None:
            return typed
        stored = self.settings["data"].get("max_pixels", usual)
        return min(stored, usual) if type(stored) is int and stored > 0 else usual

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: Any) -> "Record":
        """The record in a checkpoint, which may be a stranger's. `ClassTable.from_spec` judges its class table.

        Raises UserError if it is no record, or if parts are missing, of another type or nested beyond reason.
        """
        try:
            stored = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            raise damaged("it is no JSON") from None
        if not isinstance(stored, dict):
            raise damaged("it is no mapping")
        for name, kind in KINDS.items():
            if not isinstance(stored.get(name), kind):
                raise damaged(f"{name} is missing, or no {kind.__name__}")
        for name in ("settings", "model", "loss"):
            stored[name] = renamed(stored[name])
        refuse_strange(stored["settings"], "the checkpoint's settings")
        stored["augment"] = renamed(stored.get("augment", stored["settings"]["augment"]))  # older versions: there alone
        for name in ("model", "loss", "augment"):
            if not is_spec(stored[name]):
                raise damaged(f"{name} has no {TARGET}")
        stored["channels"] = stored_channels(stored)
        stored.setdefault("classes", None)
        if not isinstance(stored.get("pictures"), dict):
            stored["pictures"] = None
        stored.setdefault("cwd", "")
        if not isinstance(stored["cwd"], str):
            raise damaged("cwd is no path")
        stored["correction"] = Correction.stored(stored.get("correction"))
        stored["temperature"] = Temperature.stored(stored.get("temperature"))
        stored.setdefault("teacher", None)
        if not isinstance(stored["teacher"], str | None):
            raise damaged("teacher is no fingerprint")
        return cls(**{field.name: stored[field.name] for field in fields(cls)})


def with_places(settings: Settings, places: Sequence[str]) -> Settings:
    """Stored settings, in which a relative `data.root` and `teacher` start from one of these places: see `placed`."""
    data, result = settings["data"], dict(settings)
    if isinstance(data.get("root"), str):
        result["data"] = {**data, "root": placed(data["root"], places)}
    if isinstance(settings.get("teacher"), str):
        result["teacher"] = placed(settings["teacher"], places)
    return result


def placed(relative: str, places: Sequence[str]) -> str:
    """A path that starts from the first of these places where it leads anywhere.

    If it does from none, it starts from the last one, so that an error names what is gone: what lies under that name in
    the current folder is something else.
    """
    path = relative
    for place in places:
        path = os.path.join(place, relative)
        if os.path.exists(path):
            break
    is_same = "\0" in path or os.path.realpath(path) == os.path.realpath(relative)
    return relative if is_same else path


def damaged(reason: str) -> UserError:
    return UserError(f"the checkpoint's record of its run cannot be read ({reason}): is it damaged?")


def refuse_strange(settings: Mapping[str, Any], where: str) -> None:
    """Raises UserError for stored settings that are not those of a training."""
    if missing := PARTS - settings.keys():
        raise UserError(f"{where} are not those of a training: {', '.join(sorted(missing))} are missing")
    for name, kind in PLAIN.items():
        if type(settings[name]) is not kind:
            raise UserError(f"{where} have {name}={short(settings[name])}, which is no {kind.__name__}: is it damaged?")
    if not isinstance(settings.get("teacher"), str | None):
        raise UserError(f"{where} have a teacher that is no path: is it damaged?")
    for part in BUILT:
        if not is_spec(settings[part]):
            raise UserError(f"{where} name no {part}: is it damaged?")


def renamed(settings: Settings) -> Settings:
    """Stored settings with the names that their targets have now. Raises UserError for a nest of them."""
    refuse_deep(settings, "the stored settings")
    return with_each(settings, rename)


def rename(spec: Spec) -> None:
    """Give a spec the name that its target has now."""
    if isinstance(spec.get(TARGET), str):
        spec[TARGET] = MOVED.get(spec[TARGET], spec[TARGET])


def with_each(value: Any, change: Callable[[Spec], None]) -> Any:
    """A copy of a nest of mappings and lists, after `change` was done to each of its mappings."""
    if isinstance(value, list):
        return [with_each(item, change) for item in value]
    if not isinstance(value, Mapping):
        return value
    copy = {key: with_each(item, change) for key, item in value.items()}
    change(copy)
    return copy


def stored_channels(stored: Mapping[str, Any]) -> int:
    """The channels of the images; older versions noted them in the encoder alone."""
    encoder = stored["model"].get("encoder")
    noted = encoder.get("in_channels") if isinstance(encoder, dict) else None
    channels = stored.get("channels", noted if type(noted) is int else 3)
    if type(channels) is not int or channels < 1:
        raise damaged("channels is no number of channels")
    return channels


def without_pretrained(model: Any) -> Any:
    """The settings of a network that is filled from a checkpoint: no part of it fetches pretrained weights."""
    return with_each(model, forget_pretrained)


def forget_pretrained(spec: Spec) -> None:
    """Set the pretrained weights that a network from here would begin with to `None`."""
    target = str(spec.get(TARGET))
    ours = "weights" in spec and target.startswith(("segtrain.models.", "segtrain.networks."))
    if ours and "weights" in (parameter_names(locate(target)) or ()):
        spec["weights"] = None
