"""What only this machine can tell of a new training, found by trying it out."""

from collections.abc import Collection

from .batch import with_tried_batch
from .budget import within_minutes
from .defaults import AUTO
from .parts import Parts, assemble


def tried(parts: Parts, init: str | None = None, allow: Collection[str] = ()) -> Parts:
    """The parts of a new training with the batch that suits the device, and with the steps that it has time for, where
    its settings ask for these. The parts are then built anew, since steps were taken with them."""
    settings = parts.settings
    if settings["data"].get("batch_size") == AUTO:
        settings = with_tried_batch(parts, settings)
    if parts.train.max_minutes is not None and parts.train.most_steps is None:
        settings = within_minutes(parts, settings)
    elif settings is parts.settings:
        return parts
    return assemble(settings, parts.data, parts.trust, init=init, allow=allow)
