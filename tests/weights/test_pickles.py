"""What the pickle in a checkpoint may do."""

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import nn

from segtrain.errors import UserError
from segtrain.weights.pickles import refuse_pickle

TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
TYPES += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def pickled(content: Any) -> bytes:
    """The pickle that torch.save makes."""
    torch.save(content, file := io.BytesIO())
    with zipfile.ZipFile(file) as archive:
        return archive.read("archive/data.pkl")


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_tensors_of_all_usual_types_are_taken(kind: torch.dtype):
    refuse_pickle(pickled({"weight": torch.zeros(2, 3, dtype=kind)}))


def test_what_a_training_holds_is_taken():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.randn(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    notes = {"step": 1 << 40, "rate": 1e-3, "names": ("a", None, True), "deep": [{"e": [OrderedDict(a=1)]}]}
    refuse_pickle(pickled({"state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), **notes}))
    refuse_pickle(pickled({"parameter": nn.Parameter(torch.zeros(3))}))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickle.dumps(bytearray(3), 2), "__builtin__.bytearray"),
        (pickle.dumps(len, 2), "__builtin__.len"),
        (pickle.dumps([1], 4), "MEMOIZE|FRAME"),
        (b"\x80\x02ccollections\nOrderedDict\nq\x05]h\x05]\x85R\x86.", "copies a mapping"),
        (b"\x80\x02ctorch FloatStorage\n\n.", "names"),
        (b"no pickle", "damaged"),
        (b"", "damaged"),
    ],
)
def test_all_else_is_refused(content: bytes, reason: str):
    with pytest.raises(UserError, match=reason):
        refuse_pickle(content)
