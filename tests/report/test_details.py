import json

import pytest
import torch

from segtrain.metrics import Counts, Details
from segtrain.metrics.calibration import BINS, UNIT
from segtrain.report.details import details_text, with_details

VOID = 255
SCORE = {"miou": 0.5, "classes": {"sky": {"iou": 0.5}, "road": {"iou": 0.5}, "tree": {"iou": None}}}


def counts() -> Counts:
    """Of one image: the left half is sky, and the right one road, which is found in its upper half; in each, a tenth of
    the pixels is less sure."""
    mask, prediction = torch.zeros(1, 40, 80), torch.zeros(1, 40, 80)
    mask[..., 40:] = 1
    prediction[:, :20, 40:] = 1
    confidence = torch.full((1, 40, 80), 0.9)
    confidence[:, 36:] = 0.52
    details = Details(3, VOID)
    details.update(prediction.long(), mask.long())
    details.confidence.update(confidence, prediction.long(), mask.long())
    return details.compute()


def test_metrics_json_has_numbers_at_contours_by_size_and_of_confidence() -> None:
    result = with_details(SCORE, counts())
    assert json.loads(json.dumps(result)) == result
    sky, road, tree = result["classes"].values()
    assert sky["iou"] == 0.5
    assert sky["sizes"]["medium"] == {"iou": 1600 / 2400, "found": 1600, "missed": 0, "wrong": 800, "objects": 1}
    assert road["sizes"]["medium"] == {"iou": 0.5, "found": 800, "missed": 800, "wrong": 0, "objects": 1}
    assert road["sizes"]["small"]["iou"] is None
    assert 0 < road["boundary_iou"] < 1
    assert (tree["boundary_iou"], tree["interior_iou"]) == (None, None)
    assert result["boundary"] == {"miou": (sky["boundary_iou"] + road["boundary_iou"]) / 2, "width": 0.02}
    assert result["interior"]["miou"] == (sky["interior_iou"] + road["interior_iou"]) / 2
    assert result["sizes"]["medium"] == {"miou": pytest.approx((1600 / 2400 + 0.5) / 2), "objects": 2}
    assert result["sizes"]["large"] == {"miou": None, "objects": 0}
    found = result["calibration"]
    assert found["ece"] == pytest.approx(0.9 * (0.9 - 2240 / 2880) + 0.1 * (0.52 - 0.5))
    assert [point["left_out"] for point in found["coverage"]] == [0, 0.05, 0.1, 0.2, 0.3, 0.5]
    assert found["coverage"][0]["accuracy"] == 0.75
    assert found["coverage"][2]["accuracy"] == pytest.approx(2240 / 2880)
    assert len(found["bins"]) == BINS
    assert found["bins"][0] == {"low": 0, "high": 0.05, "pixels": 0, "accuracy": None, "confidence": None}
    assert found["bins"][10]["pixels"] == 320
    assert found["bins"][10]["confidence"] == pytest.approx(0.52, abs=1 / UNIT)


def test_what_is_undefined_is_null() -> None:
    nothing, void = Details(3, VOID), torch.full((1, 4, 4), VOID)
    nothing.update(torch.zeros_like(void), void)
    nothing.confidence.update(torch.rand(1, 4, 4), torch.zeros_like(void), void)
    result = with_details(SCORE, nothing.compute())
    assert (result["boundary"]["miou"], result["interior"]["miou"], result["calibration"]["ece"]) == (None, None, None)
    assert all(size == {"miou": None, "objects": 0} for size in result["sizes"].values())
    assert all(point["accuracy"] is None for point in result["calibration"]["coverage"])
    assert "calibration error" not in details_text(result)


def test_in_words() -> None:
    text = details_text(with_details(SCORE, counts()))
    assert "small - (0), medium 0.5833 (2), large - (0)" in text
    assert "without the least sure tenth of the pixels, accuracy is 0.7778 in place of 0.7500" in text
