from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from segtrain.data.files.pictures import Pictures
from segtrain.errors import UserError
from segtrain.inference.image import predict
from segtrain.models import FCN, Encoder
from segtrain.models.blocks import Bottleneck


class Brightest(nn.Module):
    """Logits = channels, so that the prediction is the brightest channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scale * image.float()


def mask_of(network: nn.Module, image: Any) -> torch.Tensor:
    return predict(network, image).mask


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_confidence_is_the_probability_of_the_most_likely_class(temperature: float):
    network = Brightest()
    network.temperature_of_answers = temperature
    image = torch.rand(3, 40, 50)
    mask, confidence = predict(network, image)
    expected = (image / temperature).softmax(0)
    assert torch.equal(mask, expected.argmax(0))
    assert confidence.dtype == torch.float32
    torch.testing.assert_close(confidence, expected.amax(0))


def test_the_most_likely_class_of_every_pixel():
    image = torch.zeros(3, 2, 2, dtype=torch.uint8)
    image[2, 0, 1] = image[1, 1, 0] = 255
    assert mask_of(Brightest(), image).tolist() == [[0, 2], [1, 0]]


def test_arrays_and_tensors_give_the_same_mask():
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    array.flags.writeable = False  # as np.asarray(Image.open(...)) is
    assert torch.equal(
        mask_of(Brightest(), array), mask_of(Brightest(), torch.from_numpy(array.copy()).permute(2, 0, 1))
    )


def test_the_network_is_put_into_evaluation_mode_and_any_size_fits():
    encoder = Encoder(block=Bottleneck, widths=[8, 16], depths=[1, 1], strides=[2, 2])
    network = FCN(encoder=encoder, num_classes=4, skips=1, widths=[8]).train()
    mask = mask_of(network, np.zeros((9, 13, 3), np.uint8))
    assert mask.shape == (9, 13)
    assert not network.training


def test_a_batch_is_no_image():
    with pytest.raises(ValueError, match=r"image of shape \(1, 3, 2, 2\): expected a tensor \(C, H, W\)"):
        mask_of(Brightest(), torch.zeros(1, 3, 2, 2))


def test_output_that_is_not_finite_is_an_error():
    network = Brightest()
    nn.init.constant_(network.scale, torch.inf)
    with pytest.raises(ValueError, match="the network's output is not finite"):
        mask_of(network, torch.zeros(3, 2, 2))


def loaded(bits: int = 8, channels: int = 3, high: float = 1.0, kind: str = "unsigned") -> Brightest:
    """A network as `segtrain.load` gives it."""
    network = Brightest()
    pictures = Pictures(kind, bits, channels, (0.0,) * channels, (high,) * channels, (0.5, 1.0))
    network.trained_on = {"channels": channels, "pictures": asdict(pictures)}
    return network


COLORS = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)


def test_paths_and_images_of_pillow_are_what_arrays_are(tmp_path: Path):
    Image.fromarray(COLORS).save(tmp_path / "x.png")
    expected = mask_of(loaded(), COLORS)
    for image in (tmp_path / "x.png", str(tmp_path / "x.png"), Image.fromarray(COLORS), Image.open(tmp_path / "x.png")):
        assert torch.equal(mask_of(loaded(), image), expected)
    alpha = Image.fromarray(np.dstack([COLORS, np.full((6, 8), 9, np.uint8)]))
    assert torch.equal(mask_of(loaded(), alpha), expected)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        mask_of(loaded(), tmp_path / "y.png")


def test_images_of_pillow_in_any_mode_are_taken():
    picture = Image.fromarray(COLORS)
    for mode in ("P", "CMYK", "L", "1", "LA"):
        assert mask_of(loaded(), picture.convert(mode)).shape == (6, 8)
    deep = Image.fromarray(COLORS[..., 0].astype(np.uint16) * 257)
    assert mask_of(loaded(), deep).shape == mask_of(loaded(), deep.convert("I")).shape == (6, 8)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "type NoneType: expected a path"),
        ([[1, 2]], "type list"),
        (np.array([[object()]]), "an image of object"),
        (np.zeros((2, 6, 8, 3), np.uint8), r"\(2, 6, 8, 3\): expected an array .* one image at a time"),
        (np.zeros((3, 6, 8), np.uint8), r"\(3, 6, 8\): expected an array \(H, W, C\) or \(H, W\) with 3 channels"),
        (np.zeros((6, 8, 4), np.uint8), r"\(6, 8, 4\): expected .* with 3 channels"),
        (np.zeros((0, 8, 3), np.uint8), "no pixels"),
        (np.zeros(8, np.uint8), r"\(8,\): expected an array"),
        (torch.zeros(6, 8, 3), r"\(6, 8, 3\): expected a tensor \(C, H, W\) with 3 channels"),
        (torch.zeros(1, 3, 6, 8), "one image at a time"),
        (torch.zeros(6, 8), "expected a tensor"),
        (COLORS.astype(np.float32), r"fractions from \d to 255, where 0..1 stands for black to white"),
        (COLORS.astype(np.int64), "an image of torch.int64: give uint8"),
        (COLORS > 9, "an image of bool"),
        (COLORS.astype(np.complex64), "an image of complex64"),
        (torch.full((3, 2, 2), torch.nan), "the image is not finite"),
        (COLORS.astype(np.uint16) * 16, "16 bits that fill .*, where the training's pictures have 8 bits"),
    ],
)
def test_what_is_no_image_for_the_network_is_refused_in_one_line(image: object, said: str):
    with pytest.raises(UserError, match=said) as error:
        mask_of(loaded(), image)
    assert "\n" not in str(error.value)


def test_fractions_and_depths_of_the_same_picture_give_the_same_mask():
    expected = mask_of(loaded(), COLORS)
    for image in (COLORS / 255, (COLORS / 255).astype(np.float16), COLORS.astype(np.uint16) * 257):
        assert torch.equal(mask_of(loaded(), image), expected)
    big_endian = (COLORS.astype(np.uint16) * 257).astype(">u2")
    assert torch.equal(mask_of(loaded(), big_endian), expected)


def test_a_network_for_reflectances_takes_reflectances():
    network = loaded(kind="float", bits=32, high=10000.0)
    values = COLORS.astype(np.float32) * 40
    expected = mask_of(network, values)
    assert torch.equal(mask_of(network, values.astype(np.int32)), expected)
    with pytest.raises(UserError, match=r"fill .*, where the training's pictures have 32 bits with fractions"):
        mask_of(network, COLORS)


def test_pixels_that_are_not_finite_have_no_class():
    image = COLORS / 255
    image[2, 3, 1] = np.nan
    mask, confidence = predict(loaded(), image)
    expected = mask_of(loaded(), COLORS)
    expected[2, 3] = -1
    assert torch.equal(mask, expected)
    assert (confidence == 0).nonzero().tolist() == [[2, 3]]


def test_an_unknown_network_that_does_not_take_the_channels_says_so_in_one_line():
    network = nn.Conv2d(3, 2, 1)
    with pytest.raises(UserError, match=r"does not take an image of shape \(4, 2, 2\)") as error:
        mask_of(network, torch.zeros(4, 2, 2))
    assert "\n" not in str(error.value)
