import hashlib
import json
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from segtrain.data import Augment, DataModule, FolderData
from segtrain.data.batches import cache as cache_file
from segtrain.data.batches.module import default_workers
from segtrain.errors import UserError

AUGMENT = {"scale": [0.5, 2.0], "flip": 0.5, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05}


@pytest.fixture
def data(folder: Callable[..., Path]) -> Callable[..., DataModule]:
    root = folder({"train": 5, "val": 3})

    def opened(**changes: object) -> DataModule:
        settings = {"crop": [8, 10], "batch_size": 4, "workers": 0, "augment": Augment(**AUGMENT), "seed": 0}
        module = FolderData(root=str(root), **{"classes": None} | settings | changes)
        module.trainer = SimpleNamespace(global_rank=0, world_size=1)
        return module

    return opened


def test_a_training_batch_holds_what_the_contract_says(data: Callable[..., DataModule]):
    batch = next(iter(data().train_dataloader()))
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == {
        "image": ((4, 3, 8, 10), torch.uint8),
        "mask": ((4, 8, 10), torch.uint8),
        "key": ((4,), torch.int64),
        "color": ((4, 3, 4), torch.float32),
    }


SIDES = {"ignore": 255, "classes": [{"name": "left_eye"}, {"name": "right_eye"}]}


@pytest.mark.parametrize("rare", [0.0, 1.0])
def test_a_flip_makes_the_left_of_something_its_right(data: Callable[..., DataModule], rare: float):
    settings = AUGMENT | {"flip": 1.0, "rare": rare}

    def mask(**changes: object) -> torch.Tensor:
        module = data(classes=SIDES, augment=Augment(**settings | changes))
        return next(iter(module.train_dataloader()))["mask"]

    plain = mask()
    exchanged = torch.where(plain == 255, plain, 1 - plain)
    assert {0, 1, 255} == set(plain.unique().tolist())
    for pairs in (None, [["right_eye", "left_eye"]], [[0, 1]]):
        assert torch.equal(mask(flip_pairs=pairs), exchanged)
    assert torch.equal(mask(flip_pairs=[]), plain)
    assert torch.equal(mask(flip_pairs=None, flip=0.0), mask(flip_pairs=[], flip=0.0))


@pytest.mark.parametrize(
    ("orientation", "mirrored"),
    [
        ({"flip_vertical": 1.0}, True),
        ({"flip_vertical": 1.0, "flip": 1.0}, False),
        ({"turns": 1.0}, False),
        ({"turns": 1.0, "flip": 1.0}, True),
        ({"turns": 1.0, "flip_vertical": 1.0}, True),
    ],
)
@pytest.mark.parametrize("mixed", [{}, {"cutmix": 1.0}])
def test_left_and_right_change_places_in_mirror_images_alone(
    data: Callable[..., DataModule], orientation: dict[str, float], mirrored: bool, mixed: dict[str, float]
):
    def mask(pairs: list[list[int]]) -> torch.Tensor:
        augment = Augment(**AUGMENT | {"flip": 0.0} | orientation | {"flip_pairs": pairs} | mixed)
        return next(iter(data(classes=SIDES, augment=augment).train_dataloader()))["mask"]

    plain = mask([])
    exchanged = torch.where(plain == 255, plain, 1 - plain)
    assert torch.equal(mask([[0, 1]]), exchanged if mirrored else plain)


def test_pairs_of_classes_that_are_not_there_are_refused_at_once(data: Callable[..., DataModule]):
    with pytest.raises(UserError, match=r"augment.flip_pairs: there is no class left_ear"):
        data(classes=SIDES, augment=Augment(**AUGMENT, flip_pairs=[["left_ear", "right_eye"]]))


def test_workers_change_nothing(data: Callable[..., DataModule]):
    alone = list(islice(data().train_dataloader(), 4))
    with_workers = list(islice(data(workers=2).train_dataloader(), 4))
    assert all(torch.equal(a[name], b[name]) for a, b in zip(alone, with_workers, strict=True) for name in a)


@pytest.mark.parametrize("cache", ["ram", "disk"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_cache_changes_nothing(data: Callable[..., DataModule], workers: int, cache: str):
    read = list(islice(data().train_dataloader(), 6))
    module = data(cache=cache, workers=workers)
    kept = list(islice(module.train_dataloader(), 6))
    assert module.cache_bytes >= 8 * 12 * 16 * 4
    assert all(torch.equal(a[name], b[name]) for a, b in zip(read, kept, strict=True) for name in a)


@pytest.mark.parametrize(("times", "copies", "kept"), [(8, 1, True), (7, 1, False), (16, 2, True), (15, 2, False)])
def test_images_that_fill_an_eighth_of_the_memory_are_kept(
    data: Callable[..., DataModule], monkeypatch: pytest.MonkeyPatch, times: int, copies: int, kept: bool
):
    """Counting those of all processes that train."""
    size = (5 + 3) * 12 * 16 * (3 + 1)
    assert sum(source.decoded_bytes for source in data().splits.values()) == size
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cache_file, "memory", lambda: times * size)
    module = data(cache="auto")
    module.copies = copies
    assert module.splits
    assert (module.cache_bytes > 0) is kept


ALL = {"flip_vertical": 0.5, "turns": 0.75, "temperature": 0.2, "blur": 1.0, "noise": 0.1, "rare": 0.3}
ALL |= {"inside": True, "paste": 0.7, "cutmix": 0.5}


def test_a_crop_with_all_that_can_be_drawn_is_a_function_of_its_key(data: Callable[..., DataModule]):
    augment = Augment(**AUGMENT, **ALL)
    alone = list(islice(data(augment=augment).train_dataloader(), 8))
    with_workers = list(islice(data(augment=augment, workers=2, cache="ram").train_dataloader(), 8))
    assert all(torch.equal(a[name], b[name]) for a, b in zip(alone, with_workers, strict=True) for name in a)
    late = data(augment=augment, workers=2)
    late.batches_done = 5
    resumed = list(islice(late.train_dataloader(), 3))
    assert all(torch.equal(a[name], b[name]) for a, b in zip(alone[5:], resumed, strict=True) for name in a)
    shared = data(augment=augment)
    shared.trainer = SimpleNamespace(global_rank=1, world_size=2, accumulate_grad_batches=1)
    half = list(islice(shared.train_dataloader(), 8))
    assert all(torch.equal(a[name][2:], b[name]) for a, b in zip(alone, half, strict=True) for name in a)


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_what_a_worker_has_read_is_there_for_all(data: Callable[..., DataModule], cache: str):
    module = data(cache=cache, workers=2)
    source = module.source("train")
    before = [source.read_mask(i) for i in range(5)]
    assert not any(source.cache.get(i) for i in range(5))
    list(islice(module.train_dataloader(), 6))
    for pair in source.pairs:
        pair.mask.path.unlink()
    assert all(torch.equal(source.read_mask(i), mask) for i, mask in enumerate(before))


def test_crops_around_rare_classes_come_from_the_key_alone(data: Callable[..., DataModule]):
    rare = Augment(**AUGMENT, rare=0.7)
    read, kept, uniform = (
        list(islice(data(**options).train_dataloader(), 4))
        for options in ({"augment": rare}, {"augment": rare, "cache": "ram", "workers": 2}, {})
    )
    assert all(torch.equal(a[name], b[name]) for a, b in zip(read, kept, strict=True) for name in a)
    assert not all(torch.equal(a["mask"], b["mask"]) for a, b in zip(read, uniform, strict=True))


@pytest.mark.parametrize("cache", ["none", "ram"])
def test_large_jpegs_are_read_small_where_the_scale_allows(folder: Callable[..., Path], cache: str):
    root = folder({"train": 3, "val": 1}, size=(80, 96))
    for path in (root / "images/train").iterdir():
        with Image.open(path) as picture:
            picture.resize((6, 5)).resize((96, 80), Image.Resampling.BICUBIC).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    augment = Augment(**AUGMENT | {"scale": [0.1, 0.6], "brightness": 0.0})
    options = {"crop": [8, 8], "batch_size": 3, "workers": 0, "augment": augment}
    batches = []
    for reads_small in (True, False):
        module = FolderData(root=str(root), classes=None, cache=cache, **options)
        module.trainer = SimpleNamespace(global_rank=0, world_size=1)
        if not reads_small:
            source = module.source("train")
            source.read_small = lambda i, shrink, source=source: block_means(source.read(i)[0], shrink)
        batches.append(list(islice(module.train_dataloader(), 8)))
    for small, exact in zip(*batches, strict=True):
        assert torch.equal(small["mask"], exact["mask"])
        assert (small["image"].float() - exact["image"].float()).abs().mean() < 3


def block_means(image: torch.Tensor, shrink: int) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(image.float(), shrink).round().to(torch.uint8)


def test_batches_of_sixteen_bits(folder: Callable[..., Path]):
    root = folder({"train": 3, "val": 1})
    deep = np.random.default_rng(0).integers(0, 4096, (12, 16)).astype(np.uint16)
    for path in root.glob("images/*/*.png"):
        Image.fromarray(deep).save(path)
    options = {"crop": [8, 8], "batch_size": 3, "workers": 0, "augment": Augment(**AUGMENT)}
    module = FolderData(root=str(root), classes=None, **options)
    module.trainer = SimpleNamespace(global_rank=0, world_size=1)
    batch = next(iter(module.train_dataloader()))
    assert (batch["image"].shape, batch["image"].dtype) == ((3, 1, 8, 8), torch.uint16)
    assert batch["color"].shape == (3, 1, 2)
    assert module.channels == 1
    mean, std, _ = module.measured
    assert mean == pytest.approx([deep.mean() / 65535])
    assert std == pytest.approx([max(deep.std() / 65535, 0.01)])


def test_the_loader_goes_on_after_the_batches_done(data: Callable[..., DataModule]):
    late = data()
    late.batches_done = 2
    expected = list(islice(data().train_dataloader(), 4))[2:]
    found = list(islice(late.train_dataloader(), 2))
    assert all(torch.equal(a[name], b[name]) for a, b in zip(expected, found, strict=True) for name in a)


def test_whole_images_come_unchanged_and_once_over_all_processes(data: Callable[..., DataModule]):
    keys = []
    for rank in range(2):
        module = data()
        module.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        for batch in module.val_dataloader():
            for key, image, mask in zip(batch["key"].tolist(), batch["image"], batch["mask"], strict=True):
                expected = module.source("val").read(key)
                assert torch.equal(image, expected[0])
                assert torch.equal(mask, expected[1])
                keys.append(key)
    assert sorted(keys) == [0, 1, 2]


def test_images_of_one_size_are_scored_together(data: Callable[..., DataModule]):
    module = data()
    module.trainer = None
    assert [batch["key"].tolist() for batch in module.val_dataloader()] == [[0, 1, 2]]


def test_statistics_are_numpys_over_all_training_pixels(data: Callable[..., DataModule]):
    module = data()
    root = module.source("train").pairs[0].image.parent
    pixels = np.concatenate([np.asarray(Image.open(p)).reshape(-1, 3) for p in sorted(root.iterdir())]) / 255
    mean, std, _ = module.measured
    assert mean == pytest.approx(pixels.mean(0))
    assert std == pytest.approx(pixels.std(0))


def test_class_pixels_leave_void_out(data: Callable[..., DataModule]):
    module = data()
    masks = np.stack([module.source("train").read(i)[1].numpy() for i in range(5)])
    assert module.class_pixels.tolist() == [int((masks == 0).sum()), int((masks == 1).sum())]


def test_the_fingerprint_tells_other_names_and_classes_apart(data: Callable[..., DataModule]):
    module = data()
    before = module.fingerprint()
    assert before == data().fingerprint()
    images = {split: list(zip(source.names, source.sizes, strict=True)) for split, source in module.splits.items()}
    text = json.dumps([images, module.classes.spec], sort_keys=True)
    assert before == hashlib.sha256(text.encode()).hexdigest()
    source = module.source("val")
    vars(source)["names"] = ["renamed", *source.names[1:]]
    assert module.fingerprint() != before


@pytest.mark.parametrize(
    ("changes", "message"), [({"batch_size": 0}, "data.batch_size=0"), ({"crop": [8]}, "data.crop")]
)
def test_impossible_settings_are_refused(data: Callable[..., DataModule], changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        data(**changes)


@pytest.mark.parametrize(
    ("cores", "gpu", "processes", "workers"),
    [(16, True, 1, 8), (16, True, 4, 3), (2, True, 2, 1), (8, False, 1, 2), (8, False, 2, 1), (2, False, 1, 0)],
)
def test_processes_share_the_cores_for_their_workers(
    cores: int,
    gpu: bool,
    processes: int,
    workers: int,
    data: Callable[..., DataModule],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr("segtrain.data.batches.module.cores", lambda: cores)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    trainer = SimpleNamespace(global_rank=0, world_size=2 * processes, num_nodes=2)
    assert data(workers="auto").readers(trainer) == workers
    if workers < 2:  # or torch warns of more workers than this machine has cores
        assert data(workers="auto").whole_images("val", trainer).num_workers == workers
    assert data(workers=5).readers(trainer) == 5


def test_a_process_that_slurm_gave_cores_of_its_own_does_not_share_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("segtrain.data.batches.module.cores", lambda: 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    assert default_workers(4) == 7
