from pathlib import Path

import pytest

from segtrain.data.public import absent_text
from segtrain.scoring.reopened import ALONE, data_of_a_run, views_of
from segtrain.scoring.views import Views


@pytest.mark.parametrize("words", [[], ["uncorrected"], ["uncalibrated"], ["uncorrected", "uncalibrated"]])
@pytest.mark.parametrize(
    "views",
    [
        Views(flip=False, scales=[1], window=None, overlap=None),
        Views(flip=True, scales=[1], window=512, overlap=None),
        Views(flip=True, scales=[0.75, 1, 1.25], window=1024, overlap=0.25),
        Views(flip=False, scales=[0.5], window=None, overlap=0),
    ],
)
def test_the_name_of_a_score_says_how_its_network_answered(views: Views, words: list[str]):
    match = ALONE.fullmatch("-".join(["val", *words, *views.words()]))
    assert match is not None
    assert (match["split"], views_of(match)) == ("val", views)
    assert [word for word in ("uncorrected", "uncalibrated") if match[word]] == words


@pytest.mark.parametrize("score", ["cross-3", "test-ensemble-2", "others-val", "photos", "test-", ""])
def test_scores_of_several_networks_and_on_other_images_are_none_of_a_single_one(score: str):
    assert ALONE.fullmatch(score) is None


def test_of_stored_data_that_are_gone_another_folder_may_be_typed(tmp_path: Path):
    gone = tmp_path / "gone"
    for root, hint in ((gone, True), (tmp_path, False)):
        with pytest.raises(FileNotFoundError) as caught, data_of_a_run({"root": str(root)}):
            raise FileNotFoundError(absent_text("voc2012", root))
        assert "download=true" not in str(caught.value)
        assert ("type data.root=FOLDER" in str(caught.value)) == hint
