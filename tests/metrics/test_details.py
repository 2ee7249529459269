import torch

from segtrain.metrics import Details

VOID = 255


def test_two_parts_are_counted_as_one() -> None:
    """Integers add up: which process or batch has an image changes nothing, and one may have none."""
    generator = torch.Generator().manual_seed(0)
    mask, prediction = (torch.randint(0, 3, (4, 40, 50), generator=generator) for _ in range(2))
    confidence = torch.rand(4, 40, 50, generator=generator)
    mask[:, :5] = VOID
    whole, first, second = (Details(3, VOID) for _ in range(3))
    for details, images in ((whole, slice(4)), (first, slice(3)), (second, slice(3, 4))):
        details.update(prediction[images], mask[images])
        details.confidence.update(confidence[images], prediction[images], mask[images])
    both = first.compute().plus(second.compute())
    assert all(map(torch.equal, whole.compute(), both))
    assert all(counts.any() and counts.dtype == torch.int64 for counts in both)
    second.reset()
    void = torch.full_like(mask, VOID)
    second.update(prediction, void)
    second.confidence.update(confidence, prediction, void)
    assert not any(counts.any() for counts in second.compute())
    assert not second.state_dict()  # nothing of it is in a checkpoint
