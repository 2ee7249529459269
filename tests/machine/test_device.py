from types import SimpleNamespace

import pytest
import torch

from segtrain.machine import device as precision


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
    monkeypatch.setattr(precision, "cpu_info", lambda _: " ".join(flags))
    name, reason = precision.resolve("auto", "cpu")
    assert name == expected
    assert "CPU" in reason


@pytest.mark.parametrize(("bf16", "expected"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_a_gpu_computes_in_bf16_or_else_in_fp16(monkeypatch: pytest.MonkeyPatch, bf16: bool, expected: str):
    gpu = SimpleNamespace(get_device_name=lambda: "GPU", is_bf16_supported=lambda including_emulation: bf16)
    monkeypatch.setattr(torch, "cuda", gpu)
    assert precision.resolve("auto", "cuda")[0] == expected


@pytest.mark.parametrize("kind", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_seed_is_that_of_torch(kind: str):
    def drawn() -> list[float]:
        return torch.cat([torch.rand(3), torch.rand(3, device=kind).cpu()]).tolist()

    torch.manual_seed(2**32 - 1)
    expected = drawn()
    precision.seed(2**32 - 1, torch.device(kind))
    assert drawn() == expected


def test_what_is_typed_wins():
    assert precision.resolve("64-true", "cpu") == ("64-true", "as typed")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.device_type("auto") == "cpu"
    with pytest.raises(ValueError, match=r"trainer.accelerator=gpu: there is none on this machine"):
        precision.device_type("gpu")


def test_devices_are_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(precision.os, "cpu_count", lambda: 2)
    assert [precision.device_count(d, "cuda") for d in (1, 4, [2], [0, 3], "auto", -1)] == [1, 4, 1, 2, 4, 4]
    assert [precision.device_count(d, "cpu") for d in (1, 2, "auto", -1)] == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("devices", "device", "message"),
    [
        (5, "cuda", "trainer.devices=5: this machine has 4 GPUs; take 1 to 4, or auto"),
        ([4], "cuda", r"trainer.devices=\[4\]: this machine has 4 GPUs"),
        ([1, 1], "cuda", "this machine has 4 GPUs"),
        (0, "cuda", "trainer.devices=0: this machine has 4 GPUs"),
        (9, "cpu", "trainer.devices=9: this machine has 2 cores; take 1 to 8"),
        ([0], "cpu", "a list names GPUs"),
    ],
)
def test_devices_that_are_not_there_are_refused(
    monkeypatch: pytest.MonkeyPatch, devices: precision.Devices, device: str, message: str
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(precision.os, "cpu_count", lambda: 2)
    with pytest.raises(ValueError, match=message):
        precision.device_count(devices, device)


@pytest.mark.parametrize("name", ["16-mixed", "16-true", 16])
def test_fp16_on_a_cpu_is_refused(name: precision.Precision):
    with pytest.raises(ValueError, match=f"trainer.precision={name}: fp16 needs a GPU"):
        precision.resolve(name, "cpu")


@pytest.mark.parametrize(
    ("stored", "flags", "expected", "said"),
    [
        ("bf16-mixed", "avx512_bf16", "bf16-mixed", None),
        ("bf16-mixed", "avx2 avx512f", "32-true", "neither AMX nor AVX512-BF16 (trainer.precision=bf16-mixed"),
        ("bf16-true", "avx2", "32-true", "precision 32-true, not bf16-true as in training"),
        ("16-mixed", "avx2", "32-true", "fp16 needs a GPU"),
        ("16-true", "avx512_bf16", "32-true", "fp16 needs a GPU"),
        ("16", "avx512_bf16", "32-true", "fp16 needs a GPU"),
        ("32-true", "", "32-true", None),
        ("64-true", "", "64-true", None),
    ],
)
def test_a_stored_precision_that_a_cpu_is_slow_in_becomes_fp32(
    monkeypatch: pytest.MonkeyPatch, stored: str, flags: str, expected: str, said: str | None
):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(precision, "cpu_info", lambda _: flags)
    name, note = precision.typed_or_stored(None, "cpu", stored)
    assert name == expected
    assert note is None if said is None else said in str(note)


def test_a_stored_precision_that_a_gpu_lacks_becomes_fp32(monkeypatch: pytest.MonkeyPatch):
    gpu = SimpleNamespace(get_device_name=lambda: "T4", is_bf16_supported=lambda including_emulation: False)
    monkeypatch.setattr(torch, "cuda", gpu)
    name, note = precision.typed_or_stored(None, "cuda", "bf16-mixed")
    assert (name, note and note.partition(" (")[0]) == (
        "32-true",
        "precision 32-true, not bf16-mixed as in training: T4 has no bf16, so fp16 with a loss scaler",
    )
    assert precision.typed_or_stored(None, "cuda", "16-mixed") == ("16-mixed", None)


def test_a_typed_precision_wins_over_the_stored_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(precision, "cpu_info", lambda _: "avx2")
    assert precision.typed_or_stored("bf16-mixed", "cpu", "32-true") == ("bf16-mixed", None)
    assert precision.typed_or_stored("auto", "cpu", "bf16-mixed") == ("32-true", None)


def test_a_limit_on_the_instructions_of_the_cpu_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(precision, "cpu_info", lambda _: "avx512_bf16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    assert precision.choose("cpu") == ("32-true", "ONEDNN_MAX_CPU_ISA=AVX2 leaves out AMX and AVX512-BF16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    assert precision.choose("cpu")[0] == "bf16-mixed"


@pytest.mark.parametrize("stored", ["", "nan", "auto", "32-false", "x" * 10_000])
def test_a_stored_precision_that_is_none_is_refused(stored: str):
    with pytest.raises(ValueError, match=r"precision is '.*', which is none: type trainer.precision=auto"):
        precision.typed_or_stored(None, "cpu", stored)
    assert precision.typed_or_stored("32-true", "cpu", stored)[0] == "32-true"
