import errno
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segtrain.data.batches import sampler
from segtrain.data.batches.cache import CachePlace, reserve
from segtrain.data.batches.samples import WholeSamples, batch_of
from segtrain.data.batches.source import FolderSource, agree
from segtrain.data.classes import ClassTable
from segtrain.data.color import Coding
from segtrain.data.files import large
from segtrain.data.files.masks import MaskFile
from segtrain.data.files.pair import Pair

TABLE = {"ignore": 255, "classes": [{"name": "ground", "color": [0, 0, 0]}, {"name": "thing", "color": [200, 100, 0]}]}
RNG = np.random.default_rng(0)
Sources = Callable[..., FolderSource]


@pytest.fixture
def source(tmp_path: Path) -> Sources:
    """A source of pictures with masks of zeros."""

    def make(*pictures: Image.Image, table: dict = TABLE, suffix: str = "png", **options: object) -> FolderSource:
        pairs = []
        for i, picture in enumerate(pictures):
            name = f"{len(list(tmp_path.iterdir()))}"
            picture.save(tmp_path / f"{name}.{suffix}")
            Image.new("L", picture.size).save(tmp_path / f"{name}_mask.png")
            pairs.append(Pair(f"{i}", tmp_path / f"{name}.{suffix}", MaskFile(tmp_path / f"{name}_mask.png")))
        return FolderSource(pairs, ClassTable.from_spec(table), **options)

    return make


def grey(bits: int = 8, size: tuple[int, int] = (4, 6)) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 2**bits, size).astype(f"uint{bits}"))


def colors(size: tuple[int, int] = (4, 6)) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8))


def test_images_that_are_all_grey_have_one_channel(source: Sources):
    picture = grey()
    image, mask = source(picture, grey()).read(0)
    assert image.tolist() == [np.asarray(picture).tolist()]
    assert mask.tolist() == np.zeros((4, 6)).tolist()


def test_a_large_tiff_that_is_alone_in_its_batch_is_read_in_parts(source: Sources, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tifffile")
    images = source(colors((40, 50)), suffix="tif")
    whole = batch_of([WholeSamples(images)[0]])
    monkeypatch.setattr(large, "LARGEST_WHOLE", 40 * 50 * 3 - 1)
    assert isinstance(WholeSamples(images)[0]["image"], torch.Tensor)  # it may share its batch with others
    monkeypatch.setattr(sampler, "PIXELS", 40 * 50)
    batch = pickle.loads(pickle.dumps(batch_of([WholeSamples(images)[0]])))  # as from another process
    assert isinstance(batch["image"], large.ImageInParts)
    assert torch.equal(batch["image"][..., 3:30, 4:40], whole["image"][..., 3:30, 4:40])
    assert torch.equal(batch["mask"], whole["mask"])
    assert batch["key"].tolist() == [0]
    images.keep()
    assert torch.equal(WholeSamples(images)[0]["image"], whole["image"][0])  # a cache has it as a whole


def test_a_palette_of_greys_is_grey(source: Sources):
    picture = grey().convert("P")
    assert source(picture).channels == 1
    picture.putpalette([9, 9, 8] * 256)
    assert source(picture).channels == 3


def test_grey_among_colours_is_repeated(source: Sources):
    picture = grey()
    image = source(colors(), picture).read(1)[0]
    assert image.tolist() == [np.asarray(picture).tolist()] * 3


def test_one_channel_of_colours_is_their_luma(source: Sources):
    picture = colors()
    image = source(picture, channels=1).read(0)[0]
    assert image[0].tolist() == np.asarray(picture.convert("L")).tolist()


def test_alpha_is_no_channel(source: Sources):
    assert source(grey().convert("LA")).channels == 1
    assert source(colors().convert("RGBA")).read(0)[0].shape == (3, 4, 6)


def test_sixteen_bits_are_kept_and_eight_beside_them_keep_their_white(source: Sources):
    deep, flat = grey(16), Image.fromarray(np.array([[0, 1, 255]], np.uint8))
    deep_and_flat = source(deep, flat)
    image = deep_and_flat.read(0)[0]
    assert image.dtype == torch.uint16
    assert image[0].tolist() == np.asarray(deep).tolist()
    assert deep_and_flat.read(1)[0].tolist() == [[[0, 257, 65535]]]


def test_several_sources_agree(source: Sources):
    one, two = source(grey()), source(colors(), grey(16))
    agree([one, two], None)
    assert one.read(0)[0].shape == (3, 4, 6)
    assert one.read(0)[0].dtype == two.read(0)[0].dtype == torch.uint16


def test_channels_that_are_not_there_are_named(source: Sources):
    with pytest.raises(ValueError, match=r"0\.png has 1 channels, the data 5: leave it out, or type data\.channels=1"):
        source(grey(), channels=5)
    with pytest.raises(ValueError, match=r"data\.channels=0: expected null, or 1 to 1024"):
        source(grey(), channels=0)


def tiff16(pixels: np.ndarray, order: str) -> bytes:
    """An uncompressed TIFF of (H, W, 3) 16-bit colours, which Pillow does not write."""
    height, width, samples = pixels.shape
    count, data = 8, pixels.astype(f"{order}u2").tobytes()
    behind = 8 + 2 + 12 * count + 4
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, behind), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, behind + 6), (277, 3, 1, samples), (279, 4, 1, len(data))]

    def entry(tag: int, kind: int, number: int, value: int) -> bytes:
        short = kind == 3 and number == 1
        return struct.pack(
            f"{order}HHI" + ("HH" if short else "I"), tag, kind, number, *([value, 0] if short else [value])
        )

    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    entries = struct.pack(f"{order}H", count) + b"".join(entry(*tag) for tag in tags) + bytes(4)
    return head + entries + struct.pack(f"{order}HHH", 16, 16, 16) + data


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_sixteen_bits_are_read_whole_from_tiff(tmp_path: Path, order: str):
    pixels = RNG.integers(0, 65536, (5, 7, 3)).astype(np.uint16)
    (tmp_path / "x.tif").write_bytes(tiff16(pixels, order))
    Image.new("L", (7, 5)).save(tmp_path / "m.png")
    pairs = [Pair("x", tmp_path / "x.tif", MaskFile(tmp_path / "m.png"))]
    image = FolderSource(pairs, ClassTable.from_spec(TABLE)).read(0)[0]
    assert image.permute(1, 2, 0).tolist() == pixels.tolist()


def test_a_painted_mask_is_read_by_itself(tmp_path: Path):
    class Square:
        path = tmp_path / "annotations.json"
        name = "annotations.json: x"

        def size(self, max_pixels: int) -> tuple[int, int]:
            return 4, 6

        def read(self, max_pixels: int, coding: Coding) -> np.ndarray:
            mask = np.zeros((4, 6), np.uint8)
            mask[1:3, 1:3] = 1
            return mask

    colors().save(tmp_path / "x.png")
    source = FolderSource([Pair("x", tmp_path / "x.png", Square())], ClassTable.from_spec(TABLE))
    assert source.read(0)[1].tolist() == Square().read(24, None).tolist()
    colors((5, 6)).save(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"annotations\.json is 6 x 4 pixels, but its image .*x\.png is 6 x 5"):
        FolderSource([Pair("x", tmp_path / "x.png", Square())], ClassTable.from_spec(TABLE))


def test_palette_and_rgb_masks_mean_the_same_in_colours(tmp_path: Path):
    table = {
        "masks": "colors",
        "ignore": [0, 0, 0],
        "classes": [{"name": "a", "color": [9, 0, 0]}, {"name": "b", "color": [0, 9, 9]}],
    }
    painted = Image.fromarray(np.array([[[9, 0, 0], [0, 9, 9], [0, 0, 0]]], np.uint8))
    pairs = []
    for name, mask in (("rgb", painted), ("palette", painted.quantize(3)), ("rgba", painted.convert("RGBA"))):
        colors((1, 3)).save(tmp_path / f"{name}.png")
        mask.save(tmp_path / f"{name}_mask.png")
        pairs.append(Pair(name, tmp_path / f"{name}.png", MaskFile(tmp_path / f"{name}_mask.png")))
    source = FolderSource(pairs, ClassTable.from_spec(table))
    assert [source.read(i)[1].tolist() for i in range(3)] == [[[0, 1, 255]]] * 3


@pytest.mark.parametrize("place", ["ram", "disk"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_kept_sample_is_the_one_that_was_read(source: Sources, bits: int, place: CachePlace):
    many = {"classes": [{"name": f"{i}"} for i in range(300)]}
    for table in (TABLE, many):
        plain, kept = (source(grey(bits), grey(bits, (3, 5)), colors((7, 3)), table=table) for _ in range(2))
        kept.pairs = plain.pairs
        assert kept.keep(place) >= sum(height * width * (3 * bits // 8 + 1) for height, width in plain.sizes)
        for _ in range(2):
            for index in range(3):
                for one, other in zip(plain.read(index), kept.read(index), strict=True):
                    assert one.dtype == other.dtype
                    assert torch.equal(one, other)
                assert torch.equal(plain.read_mask(index), kept.read_mask(index))


def test_a_kept_sample_needs_its_file_no_more(source: Sources):
    kept = source(colors())
    kept.keep()
    before = kept.read(0)
    kept.pairs[0].image.unlink()
    kept.pairs[0].mask.path.unlink()
    assert all(torch.equal(a, b) for a, b in zip(before, kept.read(0), strict=True))


def test_more_than_the_memory_is_not_kept(source: Sources, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("segtrain.data.batches.cache.memory", lambda: 100)
    with pytest.raises(
        ValueError, match=r"data\.cache=ram: .* GiB of decoded images, but .* take data\.cache=disk or none"
    ):
        source(colors((20, 20))).keep()


def test_what_is_kept_on_a_disk_has_no_name_there(source: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = source(colors())
    kept.keep("disk")
    kept.read(0)
    assert list((tmp_path / "cache" / "segtrain").iterdir()) == []


def test_more_than_the_disk_has_room_for_is_refused_before_it_is_written(
    source: Sources, monkeypatch: pytest.MonkeyPatch
):
    def full(file: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("segtrain.data.batches.cache.reserve", full)
    with pytest.raises(
        ValueError, match=r"data\.cache=disk: .* GiB of decoded images, but .* GiB are free in .*: make"
    ):
        source(colors((20, 20))).keep("disk")


def test_the_whole_space_is_taken_at_once(tmp_path: Path):
    with (tmp_path / "file").open("wb") as file:
        reserve(file.fileno(), 1 << 20)
    status = (tmp_path / "file").stat()
    assert (status.st_size, 512 * status.st_blocks) == (1 << 20, 1 << 20)


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_a_jpeg_is_read_small_by_whole_blocks(source: Sources, shrink: int):
    blocks = RNG.integers(0, 256, (3, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    jpeg = source(Image.fromarray(np.pad(blocks, ((0, 5), (0, 7), (0, 0)), "edge")), suffix="jpg")
    assert jpeg.shrinks(0)
    small = jpeg.read_small(0, shrink).float()
    assert small.shape == (3, 53 // shrink, 71 // shrink)
    whole = jpeg.read(0)[0][:, : small.shape[1] * shrink, : small.shape[2] * shrink].float()
    means = torch.nn.functional.avg_pool2d(whole, shrink)
    assert (small - means).abs().mean() < 6


def test_only_a_jpeg_that_lies_upright_is_read_small(source: Sources, tmp_path: Path):
    assert not source(colors()).shrinks(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    colors().save(tmp_path / "x.jpg", exif=exif)
    Image.new("L", (4, 6)).save(tmp_path / "m.png")
    turned = FolderSource([Pair("x", tmp_path / "x.jpg", MaskFile(tmp_path / "m.png"))], ClassTable.from_spec(TABLE))
    assert turned.sizes == [(6, 4)]
    assert not turned.shrinks(0)
