"""What is noted about a run in each of its checkpoints: all that is needed to build its network again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..build import TARGET, Spec, is_spec, locate, parameter_names, refuse_deep
from ..errors import UserError

Settings = dict[str, Any]
BUILT = ("data", "model", "loss", "optimizer", "schedule", "augment", "trainer")  # settings that are specs
PARTS = {"name", "seed", "train", *BUILT}
KINDS = {"run": str, "settings": dict, "model": dict, "loss": dict, "precision": str, "fingerprint": str}
MOVED = {  # targets in the records of older versions, and where they are now
    "segtrain.data.PublicData": "segtrain.data.FolderData",
    "segtrain.schedules.cosine": "segtrain.training.schedules.cosine",
    "segtrain.schedules.poly": "segtrain.training.schedules.poly",
}


@dataclass(frozen=True)
class Record:
    """What was decided when a run began.

    Attributes:
        run: the name of the run, which its `environment.json` has too.
        settings: all settings of the training.
        model: the settings of the network, with what only the data knew; nothing is downloaded to build it.
        loss: the settings of the loss, with what only the data knew.
        precision: Lightning's name of it.
        classes: the class table, as `classes.yaml` has it.
        channels: of the images.
        fingerprint: of the data.
    """

    run: str
    settings: Settings
    model: Spec
    loss: Spec
    precision: str
    classes: Any
    channels: int
    fingerprint: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: Any) -> "Record":
        """The record in a checkpoint, which may be a stranger's. `ClassTable.from_spec` judges its class table.

        Raises:
            UserError: for text that is no record, and for parts that are missing, of another type or nested beyond
                reason.
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
        for name in ("model", "loss"):
            if not is_spec(stored[name]):
                raise damaged(f"{name} has no {TARGET}")
        stored["channels"] = stored_channels(stored)
        stored.setdefault("classes", None)
        return cls(**{field.name: stored[field.name] for field in fields(cls)})


def damaged(reason: str) -> UserError:
    return UserError(f"the checkpoint's record of its run cannot be read ({reason}): is it damaged?")


def refuse_strange(settings: Mapping[str, Any], where: str) -> None:
    """Raises UserError for stored settings that are not those of a training."""
    if missing := PARTS - settings.keys():
        raise UserError(f"{where} are not those of a training: {', '.join(sorted(missing))} are missing")
    for part in BUILT:
        if not is_spec(settings[part]):
            raise UserError(f"{where} name no {part}: is it damaged?")


def renamed(settings: Settings) -> Settings:
    """Stored settings with the names that their targets have now. Raises UserError for a nest of them."""
    refuse_deep(settings, "the stored settings")
    return _renamed(settings)


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _renamed(item) for key, item in value.items()}
    target = value.get(TARGET)
    if isinstance(target, str):
        result[TARGET] = MOVED.get(target, target)
    return result


def stored_channels(stored: Mapping[str, Any]) -> int:
    """The channels of the images; older versions noted them in the encoder alone.

    Raises:
        UserError: for what is no number of channels.
    """
    encoder = stored["model"].get("encoder")
    noted = encoder.get("in_channels") if isinstance(encoder, dict) else None
    channels = stored.get("channels", noted if type(noted) is int else 3)
    if type(channels) is not int or channels < 1:
        raise damaged("channels is no number of channels")
    return channels


def without_pretrained(model: Any) -> Any:
    """The settings of a network that is filled from a checkpoint: no part of it fetches pretrained weights."""
    if isinstance(model, list):
        return [without_pretrained(item) for item in model]
    if not isinstance(model, Mapping):
        return model
    result = {key: without_pretrained(item) for key, item in model.items()}
    if "weights" in model and takes_pretrained(model):
        result["weights"] = None
    return result


def takes_pretrained(spec: Mapping[str, Any]) -> bool:
    """Whether this is a network of ours that can start from pretrained weights."""
    target = spec.get(TARGET)
    if not isinstance(target, str) or not target.startswith("segtrain.models."):
        return False
    return "weights" in (parameter_names(locate(target)) or ())
