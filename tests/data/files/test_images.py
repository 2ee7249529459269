import contextlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from segtrain.data.classes import ClassTable
from segtrain.data.files.images import Picture, displayed_size, header, read_image
from segtrain.data.files.masks import read_mask
from segtrain.data.files.pictures import SAMPLE, filled

RNG = np.random.default_rng(0)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA"])
def test_every_mode_reads_as_three_channels(tmp_path: Path, mode: str):
    picture = Image.fromarray(RNG.integers(0, 256, (5, 7, 3), np.uint8)).convert(mode)
    image = read_image(saved(tmp_path / "x.png", picture))
    assert image.shape == (3, 5, 7)
    assert image.permute(1, 2, 0).numpy().tolist() == np.asarray(picture.convert("RGB")).tolist()


def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path: Path):
    picture = Image.fromarray(np.array([[0, 256, 65535]], np.uint16))
    assert read_image(saved(tmp_path / "x.png", picture))[0].tolist() == [[0, 1, 255]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(tmp_path: Path, orientation: int, suffix: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"x.{suffix}", Image.fromarray(RNG.integers(0, 256, (4, 6, 3), np.uint8)), exif=exif)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    assert read_image(path).permute(1, 2, 0).numpy().tolist() == expected.tolist()
    assert displayed_size(path) == expected.shape[:2]


def test_the_size_of_a_png_is_known_without_decoding_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved(tmp_path / "x.png", Image.new("L", (7, 5)))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
    assert displayed_size(path) == (5, 7)


def test_orientation_behind_the_pixels_counts_neither_for_the_size_nor_for_the_image(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    late = chunk(b"eXIf", exif.tobytes()[6:])  # PNG wants it in front
    (tmp_path / "x.png").write_bytes(png(6, 4, zlib.compress(bytes(7 * 4)), behind=late))
    assert displayed_size(tmp_path / "x.png") == (4, 6)
    assert read_image(tmp_path / "x.png").shape == (3, 4, 6)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_masks_are_their_indices_at_any_depth(tmp_path: Path, bits: int):
    indices = RNG.integers(0, 2**bits, (5, 9), np.uint8)
    picture = Image.fromarray(indices).convert("P")
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(RNG.integers(0, 256, 3 * 2**bits, np.uint8).tobytes())
    assert read_mask(saved(tmp_path / "x.png", picture, bits=bits)).tolist() == indices.tolist()


def test_sixteen_bit_masks_keep_their_numbers(tmp_path: Path):
    values = np.array([[0, 300, 65535]], np.uint16)
    assert read_mask(saved(tmp_path / "x.png", Image.fromarray(values))).tolist() == values.tolist()


def test_colour_masks_lose_their_alpha_only(tmp_path: Path):
    colors = RNG.integers(0, 256, (3, 3, 3), np.uint8)
    opaque = np.dstack([colors, np.full((3, 3), 255, np.uint8)])
    assert read_mask(saved(tmp_path / "x.png", Image.fromarray(opaque))).tolist() == colors.tolist()


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of 1, 2, 4, 8 or 16 bits, which Pillow does not write for all of them."""
    height, width = values.shape
    if bits == 16:
        rows = values.astype(">u2").view(np.uint8)
    else:
        unpacked = values.astype(np.uint8)[..., None] >> np.arange(bits - 1, -1, -1) & 1
        rows = np.packbits(unpacked.reshape(height, -1).astype(np.uint8), axis=1)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@settings(max_examples=50, deadline=None)
@given(st.data())
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_masks_of_any_depth_and_size_are_the_numbers_stored(tmp_path_factory, bits: int, data: st.DataObject):
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    values = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 2**bits, shape)
    path = tmp_path_factory.getbasetemp() / f"depth{bits}.png"
    path.write_bytes(grey_png(values, bits))
    mask = read_mask(path)
    assert mask.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert mask.tolist() == values.tolist()


@pytest.mark.parametrize("white", [0, 1])
@pytest.mark.parametrize("bits", [2, 4])
def test_small_depths_of_tiff_are_numbers_too_and_white_is_their_greatest(tmp_path: Path, bits: int, white: int):
    values = RNG.integers(0, 2**bits, (3, 8), np.uint8)
    unpacked = values[..., None] >> np.arange(bits - 1, -1, -1) & 1
    rows = np.packbits(unpacked.reshape(3, -1).astype(np.uint8), axis=1).tobytes()
    tags = [(256, 4, 1, 8), (257, 4, 1, 3), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, white), (277, 3, 1, 1)]
    tags += [(273, 4, 1, 8 + 2 + 12 * 8 + 4), (279, 4, 1, len(rows))]
    (tmp_path / "x.tif").write_bytes(tiff(*tags, data=rows))
    expected = values if white == 1 else 2**bits - 1 - values
    assert read_mask(tmp_path / "x.tif").tolist() == expected.tolist()


@pytest.mark.parametrize("greatest", [1, 3, 100, 255, 256, 999, 65534, 65535])
@pytest.mark.parametrize("plain", [False, True])
def test_pgm_masks_are_the_numbers_stored_whatever_their_greatest(tmp_path: Path, greatest: int, plain: bool):
    values = RNG.integers(0, greatest + 1, (7, 9))
    values[0, :2] = 0, greatest
    kind = np.dtype(">u2" if greatest > 255 else "u1")
    body = " ".join(map(str, values.ravel())).encode() if plain else values.astype(kind).tobytes()
    (tmp_path / "x.pgm").write_bytes(f"P{2 if plain else 5}\n9 7\n{greatest}\n".encode() + body)
    assert read_mask(tmp_path / "x.pgm").tolist() == values.tolist()


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "ppm"])
def test_colour_masks_are_the_colours_stored(tmp_path: Path, suffix: str):
    colors = RNG.integers(0, 256, (5, 6, 3), np.uint8)
    path = saved(tmp_path / f"x.{suffix}", Image.fromarray(colors), **({"lossless": True} if suffix == "webp" else {}))
    assert read_mask(path).tolist() == colors.tolist()


def test_the_size_of_a_mask_of_32_bits_is_known_from_its_header(tmp_path: Path):
    for kind in (np.float32, np.int32):
        path = saved(tmp_path / "x.tif", Image.fromarray(np.zeros((3, 5), kind)))
        assert displayed_size(path) == header(path)[:2] == (3, 5)


def test_whole_numbers_of_32_bits_are_numbers_and_fractions_are_refused(tmp_path: Path):
    values = np.array([[0, 1, 70000]])
    for kind in (np.float32, np.int32):
        assert read_mask(saved(tmp_path / "x.tif", Image.fromarray(values.astype(kind)))).tolist() == values.tolist()
    path = saved(tmp_path / "x.tif", Image.fromarray(np.array([[0, 0.5]], np.float32)))
    with pytest.raises(ValueError, match=r"x\.tif: numbers with fractions: a mask holds whole numbers"):
        read_mask(path)


def deep_png(colors: np.ndarray) -> bytes:
    """A PNG of 16-bit colours (H, W, 3) or with alpha (H, W, 4), which Pillow does not write."""
    height, width, samples = colors.shape
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2 if samples == 3 else 6, 0, 0, 0))
    data = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in colors))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("samples", [3, 4])
def test_colours_of_16_bits_are_read_whole_in_images_and_refused_in_masks(tmp_path: Path, samples: int):
    colors = RNG.integers(0, 65536, (5, 7, samples))
    (tmp_path / "x.png").write_bytes(deep_png(colors))
    assert header(tmp_path / "x.png")[:5] == (5, 7, 3, 16, False)
    assert header(tmp_path / "x.png").alpha == (samples == 4)
    assert read_image(tmp_path / "x.png", bits=16).permute(1, 2, 0).tolist() == colors[..., :3].tolist()
    assert read_image(tmp_path / "x.png").permute(1, 2, 0).tolist() == (colors[..., :3] >> 8).tolist()
    with pytest.raises(ValueError, match=r"x\.png: colours of 16 bits: a mask has 8-bit colours"):
        read_mask(tmp_path / "x.png")


def test_as_colours_a_mask_of_any_kind_is_its_colours(tmp_path: Path):
    colors = np.array([[[9, 0, 0], [0, 9, 9], [9, 0, 0]]], np.uint8)
    painted = Image.fromarray(colors)
    for picture in (painted, painted.quantize(2), painted.convert("RGBA")):
        assert read_mask(saved(tmp_path / "x.png", picture), coding="colors").tolist() == colors.tolist()
    grey = Image.fromarray(np.array([[0, 7, 255]], np.uint8))
    assert read_mask(saved(tmp_path / "x.png", grey), coding="colors").tolist() == [[[0] * 3, [7] * 3, [255] * 3]]
    bit = Image.fromarray(np.array([[False, True]]))
    assert read_mask(saved(tmp_path / "x.png", bit), coding="colors").tolist() == [[[0] * 3, [255] * 3]]
    deep = Image.fromarray(np.array([[300]], np.uint16))
    with pytest.raises(ValueError, match=r"x\.png: numbers of 16 bits: a mask of colours has 8 bits"):
        read_mask(saved(tmp_path / "x.png", deep), coding="colors")


def test_as_values_colours_have_to_be_grey(tmp_path: Path):
    values = np.array([[0, 7, 255]], np.uint8)
    grey = Image.fromarray(values)
    for picture in (grey, grey.convert("RGB"), grey.convert("RGBA"), grey.convert("LA")):
        assert read_mask(saved(tmp_path / "x.png", picture), coding="values").tolist() == values.tolist()
    colors = np.array([[[9, 9, 9], [9, 9, 18], [0, 50, 0]]], np.uint8)
    with pytest.raises(ValueError, match=r"x\.png: 2 pixels are no grey"):
        read_mask(saved(tmp_path / "x.png", Image.fromarray(colors)), coding="values")


def test_a_jpeg_mask_is_read_as_it_decodes(tmp_path: Path):
    values = np.kron(np.array([[0, 255], [255, 0]], np.uint8), np.ones((16, 16), np.uint8))
    mask = read_mask(saved(tmp_path / "x.jpg", Image.fromarray(values), quality=70))
    assert ((mask > 127) == (values > 127)).all()
    table = ClassTable.from_spec(
        {"classes": [{"name": "a", "values": ["0-127"]}, {"name": "b", "values": ["128-255"]}]}
    )
    assert table.encode(mask).tolist() == (values // 255).tolist()


def test_a_text_file_is_no_image(tmp_path: Path):
    (tmp_path / "x.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"x.png: not an image that can be read"):
        displayed_size(tmp_path / "x.png")


@pytest.mark.parametrize("kept", [0, 20, 60, -8])
def test_a_truncated_file_is_named(tmp_path: Path, kept: int):
    path = saved(tmp_path / "x.png", Image.fromarray(RNG.integers(0, 256, (40, 40, 3), np.uint8)))
    path.write_bytes(path.read_bytes()[:kept] if kept != -8 else path.read_bytes()[:-600])
    with pytest.raises(ValueError, match=r"x\.png: (not an image|damaged)"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, read_mask, displayed_size])
def test_the_pixel_limit_is_checked_before_decoding(tmp_path: Path, read: Callable[..., object]):
    path = saved(tmp_path / "x.png", Image.new("L", (100, 100)))
    with pytest.raises(ValueError, match=r"x\.png: 10000 pixels, more than data\.max_pixels=9999: not decoded"):
        read(path, 9_999)
    with pytest.raises(ValueError, match=r"x\.png: 10000 pixels, more than data\.max_pixels=10: not decoded"):
        read(path, 10)
    assert read(path, 10_000) is not None


def test_a_program_that_uses_segtrain_keeps_its_own_limit_and_warnings(tmp_path: Path):
    path, before, filters = saved(tmp_path / "x.png", Image.new("L", (9, 9))), Image.MAX_IMAGE_PIXELS, warnings.filters
    read_image(path, 100)
    with pytest.raises(ValueError, match=r"more than data\.max_pixels=80"):
        read_image(path, 80)
    assert before == Image.MAX_IMAGE_PIXELS
    assert warnings.filters is filters


def test_a_missing_file_and_an_unreadable_one_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(FileNotFoundError, match=r"x\.png: there is no such file"):
        read_image(tmp_path / "x.png")
    path = saved(tmp_path / "x.png", Image.new("L", (9, 9)))

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(OSError, match=r"Input/output error: .*x\.png"):
        read_image(path)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, dangling, device, Path.mkdir])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]):
    make(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"x\.png: expected a file, or a link to one"):
        read_image(tmp_path / "x.png")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    """A grey PNG of 8 bits, whatever its compressed pixels may be."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", pixels) + behind + chunk(b"IEND", b"")


def tiff(*tags: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """Little-endian, of one directory with tags (tag, type, count, value), and then the data."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + data


def tiled(side: int) -> bytes:
    """A grey TIFF of 16 x 16 in one tile, deflated, of side x side zeros."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(side)) for _ in range(side)) + packer.flush()
    size = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    tile = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 14 + 12 * 10), (325, 4, 1, len(data))]
    return tiff(*size, *tile, data=data)


GIF = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b"\x21\xf9\4\x08\0\0\0\0,"  # a frame that is cleared after
BOMBS = {
    "png": png(100_000, 100_000, zlib.compress(b"")),
    "png text": png(2, 2, zlib.compress(bytes(6)), chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(5_000_000)))),
    "png profile": png(2, 2, zlib.compress(bytes(6)), chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(5_000_000)))),
    "png texts": png(2, 2, zlib.compress(bytes(6)), chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(999_000))) * 99),
    "gif frame": GIF + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x08\0;",
    "webp canvas": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\xff\xff\xff\0\0",
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0),
    "ppm": b"P6 99999 99999 255\n",
    "tiff size": tiff((256, 4, 1, 2**32 - 1), (257, 4, 1, 2**32 - 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
    "tiff counts": tiff((256, 4, 1, 9), (257, 4, 1, 9), (258, 3, 2**31, 8), (273, 4, 2**30, 8), (279, 4, 2**30, 8)),
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_a_small_file_cannot_fill_the_memory(tmp_path: Path, content: bytes):
    resource = pytest.importorskip("resource")
    (tmp_path / "x.png").write_bytes(content)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (displayed_size, read_image):
        with pytest.raises(ValueError, match=r"x\.png: (.*more than data.max_pixels|damaged|not an image)") as refusal:
            read(tmp_path / "x.png")
        assert "\n" not in str(refusal.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 150_000  # KiB


def test_a_tile_may_not_be_larger_than_the_limit_either(tmp_path: Path):
    (tmp_path / "x.tif").write_bytes(tiled(1001))
    with pytest.raises(ValueError, match=r"x\.tif: 1002001 pixels, more than data\.max_pixels=1000000"):
        read_image(tmp_path / "x.tif", 1_000_000)
    assert read_image(tmp_path / "x.tif", 2_000_000).shape == (3, 16, 16)


def test_pixels_beyond_those_of_the_header_are_not_decoded(tmp_path: Path):
    (tmp_path / "x.png").write_bytes(png(2, 2, zlib.compress(bytes(5_000_000))))
    assert read_image(tmp_path / "x.png").tolist() == torch.zeros(3, 2, 2, dtype=torch.uint8).tolist()


def palette(bits: int) -> Image.Image:
    picture = Image.fromarray(RNG.integers(0, 2**bits, (24, 31), np.uint8)).convert("P")
    picture.putpalette(RNG.integers(0, 256, 3 * 2**bits, np.uint8).tobytes())
    return picture


def files() -> dict[str, bytes]:
    """Small images of all kinds, as file contents."""
    colors = Image.fromarray(np.kron(RNG.integers(0, 256, (6, 8, 3), np.uint8), np.ones((4, 4, 1), np.uint8)))
    deep = Image.fromarray(RNG.integers(0, 65536, (24, 31)).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "grey.png": (colors.convert("L"), {}),
        "bit.png": (colors.convert("1"), {}),
        "rgb.png": (colors, {"exif": exif}),
        "rgba.png": (colors.convert("RGBA"), {}),
        "16.png": (deep, {}),
        **{f"palette{bits}.png": (palette(bits), {"bits": bits}) for bits in (1, 2, 4, 8)},
        "x.jpg": (colors, {"exif": exif}),
        "progressive.jpg": (colors, {"progressive": True}),
        "x.bmp": (colors, {}),
        "palette.bmp": (palette(4), {}),
        "raw.tif": (colors, {}),
        "lzw.tif": (colors, {"compression": "tiff_lzw"}),
        "deflate.tif": (palette(8), {"compression": "tiff_adobe_deflate"}),
        "x.webp": (colors, {"exif": exif}),
        "lossless.webp": (colors, {"lossless": True}),
        "x.gif": (palette(8), {}),
        "frames.gif": (palette(4), {"save_all": True, "append_images": [palette(4), palette(3)], "disposal": 2}),
        "x.ppm": (colors, {}),
    }
    contents = {}
    for name, (picture, options) in kinds.items():
        picture.save(file := io.BytesIO(), Image.registered_extensions()[Path(name).suffix], **options)
        contents[name] = file.getvalue()
    return contents


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bits flipped, the end cut off, a piece zeroed, or a byte of the header changed."""
    data, kind = bytearray(content), rng.integers(4)
    if kind == 0:
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    elif kind == 1:
        del data[rng.integers(len(data)) :]
    elif kind == 2:
        start = int(rng.integers(len(data)))
        end = min(len(data), start + int(rng.integers(1, 64)))
        data[start:end] = bytes(end - start)
    else:
        data[rng.integers(min(len(data), 64))] = rng.integers(256)
    return bytes(data)


def test_each_flipped_bit_of_a_png_is_noticed(tmp_path: Path):
    """Pillow alone decodes some of these files to other pixels without a word."""
    path, silent = tmp_path / "x.png", 0
    values = np.kron(RNG.integers(0, 256, (6, 8), np.uint8), np.ones((4, 4), np.uint8))
    content = saved(path, Image.fromarray(values)).read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with contextlib.suppress(ValueError):
            assert read_mask(path).tolist() == values.tolist()
        with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            silent += picture.size == (32, 24) and not np.array_equal(np.asarray(picture), values)
    assert silent > 0


@pytest.mark.parametrize("number", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_damaged_image_is_refused_by_name_and_no_png_is_read_as_another(tmp_path: Path, number: int):
    rng, messages = np.random.default_rng(number), []
    contents = files()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for i in range(number):
        name = list(contents)[i % len(contents)]
        path = tmp_path / f"damaged_{name}"
        path.write_bytes(damaged(contents[name], rng))
        for read in (read_image, read_mask, displayed_size):
            try:
                found = read(path, 1_000_000)
            except ValueError as error:
                messages.append(str(error).removeprefix(str(path)))
            else:
                if path.suffix == ".png":
                    assert np.array_equal(found, read(tmp_path / name))
    assert number < len(messages) < 3 * number
    assert all(message.startswith(": ") and "\n" not in message for message in messages)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("gaps", [False, True])
def test_few_of_many_pixels_fill_the_same_values(kind: type, gaps: bool):
    rng = np.random.default_rng(0)
    pixels = (rng.random((3, 700, 600)) * (250 if kind is not np.float32 else 1)).astype(kind)
    valid = torch.from_numpy(rng.random((700, 600)) < 0.8) if gaps else None
    picture = Picture(torch.from_numpy(pixels), valid)
    every = picture.values()
    white = 1 if kind is np.float32 else np.iinfo(kind).max
    expected = pixels.reshape(3, -1) if valid is None else pixels[:, valid.numpy()]
    assert every == pytest.approx(expected / white)
    assert filled(picture.values(SAMPLE)) == filled(every)
    assert picture.values(1000).shape[1] <= 1000
    assert picture.values(10**9).shape == every.shape
