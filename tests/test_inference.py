import numpy as np
import pytest
import torch
from torch import nn

from segtrain.inference import predict
from segtrain.models import FCN, Encoder
from segtrain.models.blocks import Bottleneck


class Brightest(nn.Module):
    """Logits = channels, so that the prediction is the brightest channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scale * image.float()


def test_the_most_likely_class_of_every_pixel():
    image = torch.zeros(3, 2, 2, dtype=torch.uint8)
    image[2, 0, 1] = image[1, 1, 0] = 255
    assert predict(Brightest(), image).tolist() == [[0, 2], [1, 0]]


def test_arrays_and_tensors_give_the_same_mask():
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    array.flags.writeable = False  # as np.asarray(Image.open(...)) is
    assert torch.equal(
        predict(Brightest(), array), predict(Brightest(), torch.from_numpy(array.copy()).permute(2, 0, 1))
    )


def test_the_network_is_put_into_evaluation_mode_and_any_size_fits():
    encoder = Encoder(block=Bottleneck, widths=[8, 16], depths=[1, 1], strides=[2, 2])
    network = FCN(encoder=encoder, num_classes=4, skips=1, widths=[8]).train()
    mask = predict(network, np.zeros((9, 13, 3), np.uint8))
    assert mask.shape == (9, 13)
    assert not network.training


def test_a_batch_is_no_image():
    with pytest.raises(ValueError, match=r"image of shape \(1, 3, 2, 2\): expected a tensor \(C, H, W\)"):
        predict(Brightest(), torch.zeros(1, 3, 2, 2))


def test_output_that_is_not_finite_is_an_error():
    network = Brightest()
    nn.init.constant_(network.scale, torch.inf)
    with pytest.raises(ValueError, match="the network's output is not finite"):
        predict(network, torch.zeros(3, 2, 2))
