import numpy as np
import pytest
import torch

from segtrain.data.batches.photometry import photographed, warmed
from segtrain.data.batches.sampler import SAMPLE, generator
from segtrain.data.files.pictures import Span

KINDS = {torch.uint8: 255, torch.uint16: 65535, torch.float32: 1}


def rng() -> np.random.Generator:
    return generator(0, SAMPLE, 0)


def test_light_that_is_warmer_by_a_half():
    luma = 0.299 * 1.5 + 0.587 + 0.114 * 0.5
    assert np.diag(warmed(0.5)) == pytest.approx([1.5 / luma, 1 / luma, 0.5 / luma])
    assert warmed(0) == pytest.approx(np.eye(3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_blurred_point_is_a_normal_distribution(kind: torch.dtype):
    white = KINDS[kind]
    image = torch.zeros(2, 21, 25, dtype=torch.float32)
    image[:, 10, 12] = white
    blurred = photographed(image.to(kind), blur=1.5, noise=0, rng=rng())
    assert blurred.dtype == kind
    rows, columns = np.arange(-10, 11)[:, None], np.arange(-12, 13)
    expected = np.exp(-(rows**2 + columns**2) / (2 * 1.5**2))
    expected *= white / expected.sum()
    tolerance = 1e-3 * white if kind.is_floating_point else 0.5 + 1e-3 * white  # it is cut off at 5 pixels
    for plane in blurred.float().numpy():
        assert np.abs(plane - expected).max() <= tolerance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_an_even_image_stays_as_it_is_under_any_blur(kind: torch.dtype, size: tuple[int, int]):
    image = torch.full((4, *size), 0.5 * KINDS[kind]).to(kind)
    for blur in (0.0, 1e-300, 0.2, 3.0, 100.0):
        blurred = photographed(image, blur=blur, noise=0, rng=rng())
        assert torch.allclose(blurred.double(), image.double(), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_its_share_of_white_as_its_deviation(kind: torch.dtype):
    white = KINDS[kind]
    image = torch.full((1, 200, 200), 0.5 * white).to(kind)
    added = photographed(image, blur=0, noise=0.1, rng=rng()).double() - image.double()
    assert added.mean().item() == pytest.approx(0, abs=0.002 * white)
    assert added.std().item() == pytest.approx(0.1 * white, rel=0.02)


def test_noise_of_images_in_a_narrow_range_has_its_share_of_that():
    image, span = torch.zeros(2, 200, 200), Span((-1.0, 0.0), (1.0, 100.0))
    added = photographed(image, blur=0, noise=0.1, rng=rng(), span=span)
    assert added.std((1, 2)).tolist() == pytest.approx([0.2, 10], rel=0.02)


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16])
def test_noise_ends_at_black_and_white(kind: torch.dtype):
    white = KINDS[kind]
    image = torch.tensor([[[0] * 50, [white] * 50]]).to(kind)
    noisy = photographed(image, blur=0, noise=0.2, rng=rng()).int()[0]
    assert (noisy[0] < 0.9 * white).all()
    assert (noisy[1] > 0.1 * white).all()
    assert noisy[0].min() == 0
    assert noisy[1].max() == white


def test_deep_images_keep_their_depth():
    image = torch.arange(0, 65536, 7).to(torch.uint16).reshape(1, -1, 1)
    assert torch.equal(photographed(image, blur=0, noise=0, rng=rng()), image)
    assert photographed(image, blur=0, noise=1e-4, rng=rng()).int().sub(image.int()).abs().max() < 40


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_changes_no_bit(kind: torch.dtype):
    image = torch.from_numpy(rng().uniform(0, KINDS[kind], (3, 90, 110))).to(kind)
    before, found = torch.get_num_threads(), []
    for threads in (1, 4):
        torch.set_num_threads(threads)
        found.append(photographed(image, blur=2, noise=0.1, rng=rng()))
    torch.set_num_threads(before)
    assert torch.equal(*found)
