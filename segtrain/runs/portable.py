"""A trained network in one file that holds all that is known of it: `.safetensors`, `.onnx`, or `.pt2`."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..build import Trust
from ..data.classes import ClassTable
from ..errors import UserError
from ..inference.onnx_file import KEY, MOST, facts_in
from ..inference.programs import OnnxNetwork, ProgramNetwork, loaded
from ..inference.reach import Reach
from ..inference.windows import FITS, Known
from .folder import refuse_no_checkpoint
from .record import Record

FORMAT = 1
MOST_HEADER = 1 << 24  # bytes of what stands before the weights
SAFETENSORS, ONNX, PROGRAM = ".safetensors", ".onnx", ".pt2"
PROGRAMS = (ONNX, PROGRAM)
ALLOWED = "pt2"  # in `allow`


class Facts(NamedTuple):
    """What a file says of its network."""

    record: Record
    known: Known | None  # what it costs, and how far it looks: a program does not show it

    def as_json(self) -> dict[str, Any]:
        """The record, and, for other programs, what they need of it."""
        classes = ClassTable.from_spec(self.record.classes, "record")
        named = [
            {"name": name, "color": color} for name, color in zip(classes.names, classes.colors.tolist(), strict=True)
        ]
        known = self.known and {"bytes_per_pixel": self.known.cost, "reach": self.known.reach}
        return {
            "format": FORMAT,
            "run": self.record.run,
            "classes": named,
            "void": classes.void,
            "channels": self.record.channels,
            "pictures": self.record.pictures,
            "windows": known,
            "temperature": self.record.temperature.value if self.record.temperature else 1.0,
            "record": self.record.to_json(),
        }

    @classmethod
    def from_text(cls, text: str | None, path: Path) -> "Facts":
        """Raises UserError for a file that was not exported by segtrain, or by a newer one."""
        if text is None:
            raise UserError(f"{path}: it was not exported by segtrain: it does not say what its classes are")
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError):
            raise UserError(f"{path}: what it says of itself is no JSON: is it damaged?") from None
        if not isinstance(stored, dict) or not isinstance(stored.get("format"), int):
            raise UserError(f"{path}: it was not exported by segtrain")
        if stored["format"] > FORMAT:
            raise UserError(f"{path}: written by a newer segtrain (format {stored['format']}); update segtrain")
        return cls(Record.from_json(stored.get("record")), known_of(stored.get("windows"), path))


def known_of(stored: Any, path: Path) -> Known | None:
    """What is noted of the cost and the reach of a network."""
    if stored is None:
        return None
    damage = UserError(f"{path}: what it says of windows cannot be read: is it damaged?")
    try:
        cost, reach = float(stored["bytes_per_pixel"]), stored["reach"]
        found = Known(cost, None if reach is None else Reach(*(int(number) for number in reach)))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise damage from None
    if not 1 <= cost <= FITS or (found.reach is not None and min(found.reach) < 1):
        raise damage
    return found


def write_safetensors(network: nn.Module, facts: Mapping[str, Any], path: Path) -> None:
    """The weights of a network, with `facts` as metadata."""
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    path.write_bytes(save(weights, metadata={KEY: json.dumps(facts)}))  # `save_file` lets its owner alone read it


def read_safetensors(path: Path) -> tuple[Facts, dict[str, Tensor]]:
    """What a file says of its network, and its weights."""
    refuse_no_checkpoint(path)
    with open(path, "rb") as content:
        header = int.from_bytes(content.read(8), "little")  # bytes of it
    if header > MOST_HEADER:
        raise UserError(f"{path}: not a readable file of weights (a header of {header:,} bytes): is it damaged?")
    try:
        with safe_open(path, "pt") as file:
            facts = Facts.from_text((file.metadata() or {}).get(KEY), path)
            return facts, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable file of weights ({error}): is it damaged?") from None


def read_program(path: Path, trust: Trust) -> tuple[Facts, nn.Module]:
    """What a file says of its network, and that network. Raises UserError for a program that is not allowed to run."""
    refuse_no_checkpoint(path)
    if path.suffix == ONNX:
        if path.stat().st_size > MOST:
            raise UserError(f"{path}: it has more than {MOST:,} bytes")
        content = path.read_bytes()
        try:
            facts = Facts.from_text(facts_in(content), path)
            network: nn.Module = OnnxNetwork(content, class_count(facts))
        except UserError as error:
            raise UserError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    else:
        if ALLOWED not in trust.allow:
            reason = "it is a program, which does what whoever wrote it wants"
            raise UserError(f"{path}: {reason}: if you trust it, add allow=[{ALLOWED}]")
        more = {f"{KEY}.json": ""}
        loaded(path, extra_files=more)
        facts = Facts.from_text(more[f"{KEY}.json"] or None, path)
        network = ProgramNetwork(path, class_count(facts))
    if facts.known:
        network.__dict__["known"] = facts.known  # for `Windows`
    return facts, network


def class_count(facts: Facts) -> int:
    return len(ClassTable.from_spec(facts.record.classes, "record"))


def without_correction(record: Record, path: Path) -> Record:
    """Raises UserError for a program, of which its correction is a part."""
    if record.correction and path.suffix in PROGRAMS:
        raise UserError(f"{path}: the correction is a part of it: correction=false is for checkpoints")
    return replace(record, correction=None)
