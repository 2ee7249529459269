from types import SimpleNamespace

import pytest
import torch

from segtrain import precision


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"amx_bf16", "avx512_bf16"}, "bf16-mixed"),
        ({"avx512_bf16"}, "bf16-mixed"),
        ({"avx2"}, "32-true"),
        (set(), "32-true"),
    ],
)
def test_a_cpu_computes_in_bf16_where_it_can(monkeypatch: pytest.MonkeyPatch, flags: set[str], expected: str):
    monkeypatch.setattr(precision, "cpu_flags", lambda: flags)
    name, reason = precision.resolve("auto", "cpu")
    assert name == expected
    assert "CPU" in reason


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_a_gpu_computes_in_bf16_or_else_in_fp16(monkeypatch: pytest.MonkeyPatch, bf16: bool, expected: str):
    gpu = SimpleNamespace(get_device_name=lambda: "GPU", is_bf16_supported=lambda including_emulation: bf16)
    monkeypatch.setattr(torch, "cuda", gpu)
    assert precision.resolve("auto", "cuda")[0] == expected


def test_what_is_typed_wins():
    assert precision.resolve("64-true", "cpu") == ("64-true", "as typed")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.device_type("auto") == "cpu"
    with pytest.raises(ValueError, match=r"trainer.accelerator=gpu: there is none on this machine"):
        precision.device_type("gpu")


def test_one_device_is_used():
    assert precision.device_type("cpu", [0]) == "cpu"
    with pytest.raises(ValueError, match=r"trainer.devices=2: one device is used so far"):
        precision.device_type("cpu", 2)
