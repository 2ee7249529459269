from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segtrain.data import Augment
from segtrain.data.batches.samples import TrainSamples, WholeSamples
from segtrain.data.batches.source import FolderSource
from segtrain.data.classes import ClassTable
from segtrain.data.files import masks
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair
from segtrain.errors import UserError

STILL = {"scale": [1.0, 1.0], "flip": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
VOID, SIZE, CROP = 255, (12, 16), (6, 8)
GROUND, THING, OTHER_SIDE = 0, 1, 2


class Numbered:
    """Images whose numbers say which image a pixel comes from, and which place of it: 1000 * image + 16 * row +
    column. Their masks are ground and void at random, with a thing of two pixels in all but the first image."""

    def __init__(self, images: int, kind: torch.dtype = torch.float32) -> None:
        self.kind, self.reads = kind, Counter[int]()
        places = torch.arange(SIZE[0] * SIZE[1]).reshape(1, *SIZE)
        self.images = [(1000 * index + places).to(kind) for index in range(images)]
        self.masks = []
        for index in range(images):
            mask = torch.from_numpy(np.random.default_rng(index).choice(np.array([GROUND, VOID], np.uint8), SIZE))
            mask[5, 7 : 9 if index else 7] = THING
            self.masks.append(mask)
        self.names: Sequence[str] = [str(index) for index in range(images)]
        self.sizes: Sequence[tuple[int, int]] = [SIZE] * images
        self.stored = "float", 32, 1

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        self.reads[index] += 1
        return self.images[index], self.masks[index]

    def read_mask(self, index: int) -> torch.Tensor:
        return self.masks[index]

    def shrinks(self, index: int) -> bool:
        return False

    read_picture: Any = None
    read_small: Any = None


def samples(source: Numbered, pairs: Sequence[tuple[int, int]] = (), **settings: Any) -> TrainSamples:
    pixels = np.bincount(torch.stack(source.masks).flatten().numpy(), minlength=256)[:3]
    rarity = 1 / np.maximum(pixels, 1)
    return TrainSamples(source, Augment(**STILL | settings), CROP, VOID, seed=0, rarity=rarity, flip_pairs=pairs)


def origin(sample: dict[str, Any], source: Numbered) -> tuple[torch.Tensor, torch.Tensor]:
    """The image that each pixel of a crop comes from, and the label that it has there."""
    numbers = sample["image"][0].int()
    labels = torch.stack(source.masks).flatten()
    image, place = numbers // 1000, numbers % 1000
    return image, labels[image.long() * SIZE[0] * SIZE[1] + place.long()]


GEOMETRY = {"flip": 0.5, "flip_vertical": 0.5, "turns": 0.75}


@pytest.mark.parametrize("kind", [torch.uint16, torch.float32])
@pytest.mark.parametrize("mixed", [{}, {"paste": 0.5}, {"cutmix": 0.5}, {"paste": 0.5, "cutmix": 0.5, "rare": 0.5}])
def test_every_pixel_has_the_label_of_the_place_that_it_comes_from(kind: torch.dtype, mixed: dict[str, float]):
    source = Numbered(4, kind)
    for key in range(60):
        sample = samples(source, **GEOMETRY, **mixed)[key]
        assert sample["image"].dtype == kind
        assert sample["image"].shape == (1, *CROP)
        assert torch.equal(sample["mask"], origin(sample, source)[1])


@pytest.mark.parametrize("geometry", [{}, GEOMETRY])
def test_pasted_are_pixels_of_the_rare_class_alone_and_no_void(geometry: dict[str, float]):
    source, pasted = Numbered(4), 0
    for key in range(100):
        sample, plain = samples(source, paste=1.0, **geometry)[key], samples(source, **geometry)[key]
        image, _ = origin(sample, source)
        changed = image != key % 4
        assert (sample["mask"][changed] == THING).all()
        assert torch.equal(sample["mask"][~changed], plain["mask"][~changed])
        assert torch.equal(sample["image"][:, ~changed], plain["image"][:, ~changed])
        assert len(image[changed].unique()) <= 1
        assert not (image[changed] == 0).any()  # which has no thing
        assert int(changed.sum()) <= 2
        pasted += bool(changed.any())
    assert 60 <= pasted < 100  # three of four images have a thing: two donors of three for these, all for the first


def test_what_is_pasted_out_of_a_mirror_image_has_the_label_of_the_other_side():
    source, found = Numbered(4), set()
    for key in range(40):
        sample = samples(source, [(THING, OTHER_SIDE)], paste=1.0, flip_vertical=1.0)[key]
        image, label = origin(sample, source)
        assert torch.equal(sample["mask"], torch.where(label == THING, OTHER_SIDE, label))
        found |= set(sample["mask"][image != key % 4].tolist())
    assert found == {OTHER_SIDE}


def test_a_rectangle_comes_from_one_other_image_void_and_all():
    source = Numbered(4)
    for key in range(100):
        sample, plain = samples(source, cutmix=1.0)[key], samples(source)[key]
        image, _ = origin(sample, source)
        box = image != key % 4
        assert torch.equal(box, box.any(1)[:, None] & box.any(0))
        assert abs(int(box.sum()) - 24) <= 7  # of 48
        assert len(image[box].unique()) == 1
        assert torch.equal(sample["mask"][~box], plain["mask"][~box])


@pytest.mark.parametrize("mixed", [{"cutmix": 1.0}, {"paste": 1.0}])
def test_another_image_is_any_but_the_own_one(mixed: dict[str, float]):
    source, others = Numbered(3), Counter[int]()
    for key in range(0, 300, 3):
        image, _ = origin(samples(source, **mixed)[key], source)
        others.update(image.unique().tolist())
    assert others.keys() == {0, 1, 2}
    assert others[1] == pytest.approx(50, abs=15)


@pytest.mark.parametrize("mixed", [{"cutmix": 1.0}, {"paste": 1.0}])
def test_a_single_image_is_mixed_with_itself(mixed: dict[str, float]):
    source = Numbered(1)
    sample = samples(source, **mixed)[0]
    assert torch.equal(sample["mask"], origin(sample, source)[1])


@pytest.mark.parametrize("mixed", [{"cutmix": 0.25}, {"paste": 0.25}])
def test_another_image_is_read_where_it_is_drawn_alone(mixed: dict[str, float]):
    source = Numbered(4)
    for key in range(200):
        samples(source, **mixed)[key]
    assert source.reads.total() == pytest.approx(250, abs=25)


@pytest.mark.parametrize(("suffix", "scale"), [("png", 1.0), ("jpg", 1.0), ("jpg", 0.25)])  # the last is read small
@pytest.mark.parametrize("mixed", [{}, {"cutmix": 1.0}, {"paste": 1.0}])
def test_a_mask_is_decoded_once_for_a_crop_around_a_rare_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, scale: float, mixed: dict[str, float]
):
    decoded, read, pairs = Counter[str](), masks.read_mask, []

    def noted(path: Path, *options: Any) -> np.ndarray:
        decoded[path.name] += 1
        return read(path, *options)

    monkeypatch.setattr(masks, "read_mask", noted)
    for name in ("a", "b"):
        pixels = np.random.default_rng(0).integers(0, 2, (32, 32), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.{suffix}")
        Image.fromarray(pixels).save(tmp_path / f"{name}_mask.png")
        pairs.append(Pair(name, tmp_path / f"{name}.{suffix}", MaskFile(tmp_path / f"{name}_mask.png")))
    table = ClassTable.from_spec(
        {"ignore": VOID, "classes": [{"name": "ground", "color": [0, 0, 0]}, {"name": "thing", "color": [9, 9, 9]}]}
    )
    augment = Augment(**STILL | {"scale": [scale, scale], "rare": 1.0} | mixed)
    rarity = np.array([1.0, 10.0])
    TrainSamples(FolderSource(pairs, table), augment, CROP, VOID, seed=0, rarity=rarity, flip_pairs=())[0]
    assert decoded == ({"a_mask.png": 1, "b_mask.png": 1} if mixed else {"a_mask.png": 1})


def test_nothing_that_is_read_is_changed():
    source, untouched = Numbered(3), Numbered(3)
    for key in range(30):
        samples(source, cutmix=1.0, paste=1.0, blur=1.0, noise=0.1)[key]
    assert all(torch.equal(*pair) for pair in zip(source.images, untouched.images, strict=True))
    assert all(torch.equal(*pair) for pair in zip(source.masks, untouched.masks, strict=True))


def test_mixing_leaves_the_colours_and_the_rest_of_the_crop_as_they_are():
    jitter = {"brightness": 0.2, "contrast": 0.2}
    for key in range(20):
        plain, mixed = (samples(Numbered(3), **jitter, cutmix=share)[key] for share in (0.0, 1.0))
        assert torch.equal(plain["color"], mixed["color"])
        same = (plain["image"] == mixed["image"])[0]
        assert same.sum() >= 17


def test_an_image_that_has_another_size_than_before_is_refused():
    source = Numbered(2)
    source.sizes = [SIZE, (13, 16)]
    assert WholeSamples(source)[0]["key"] == 0
    with pytest.raises(UserError, match=r"1 has changed meanwhile: it was 13 x 16, and is 12 x 16 now"):
        WholeSamples(source)[1]
