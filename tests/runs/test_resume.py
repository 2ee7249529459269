import pytest

from segtrain.runs import resume

STORED = {"name": "x", "seed": 0, "train": {"epochs": 5, "save_minutes": 5}, "data": {"root": "a", "workers": 0}}


def composed(**train: object) -> dict:
    return {**STORED, "train": {**STORED["train"], **train}}


def test_what_was_not_typed_is_as_stored():
    typed = composed(epochs=99)
    assert resume.settled(STORED, typed, ["resume=latest"], allow_changes=False) == STORED


def test_a_typed_setting_that_changes_the_result_is_refused_and_named():
    with pytest.raises(ValueError, match=r"train.epochs=99 would change the result .* began with train.epochs=5"):
        resume.settled(STORED, composed(epochs=99), ["train.epochs=99"], allow_changes=False)


def test_the_same_setting_typed_again_is_fine():
    assert resume.settled(STORED, STORED, ["train.epochs=5", "data=x"], allow_changes=False) == STORED


def test_allowed_changes_are_taken_over():
    settings = resume.settled(STORED, composed(epochs=99), ["train.epochs=99"], allow_changes=True)
    assert settings["train"]["epochs"] == 99


def test_settings_that_never_change_the_result_are_free():
    changed = {**composed(save_minutes=1), "data": {"root": "b", "workers": 2}}
    settings = resume.settled(
        STORED, changed, ["train.save_minutes=1", "data.root=b", "data.workers=2"], allow_changes=False
    )
    assert settings == changed


def test_an_experiment_is_held_against_everything():
    with pytest.raises(ValueError, match=r"train.epochs=99"):
        resume.settled(STORED, composed(epochs=99), ["experiment=long"], allow_changes=False)


CHOSEN = {
    **STORED,
    "train": {**STORED["train"], "min_steps": 1200, "most_steps": 900},
    "data": {"root": "a", "workers": 0, "crop": [256, 192], "batch_size": 16},
}
OPEN = {
    **STORED,
    "train": {**STORED["train"], "min_steps": "auto", "most_steps": None},
    "data": {"root": "b", "workers": 2, "crop": None, "batch_size": "auto"},
}


@pytest.mark.parametrize(
    ("typed", "allowed"),
    [
        (["experiment=long"], False),
        (["experiment=long"], True),
        (["data=folder"], False),
        (["data=folder"], True),
        (["data=folder", "train.min_steps=auto", "data.crop=null"], False),
    ],
)
def test_what_was_left_to_the_program_stays_as_it_chose(typed: list[str], allowed: bool):
    moved = {**CHOSEN, "data": {**CHOSEN["data"], "root": "b", "workers": 2}}
    assert resume.settled(CHOSEN, OPEN, typed, allow_changes=allowed) == moved


def test_what_is_left_to_the_program_again_in_so_many_words_is_a_change_that_may_be_allowed():
    settings = resume.settled(CHOSEN, OPEN, ["train.most_steps=null"], allow_changes=True)
    assert settings == {**CHOSEN, "train": {**CHOSEN["train"], "most_steps": None}}


def test_a_number_in_place_of_what_was_chosen_is_a_change():
    other = {**OPEN, "data": {**OPEN["data"], "crop": [64, 64]}}
    with pytest.raises(ValueError, match=r"data.crop=\[64, 64\] would change"):
        resume.settled(CHOSEN, other, ["data=folder"], allow_changes=False)


OLD = {**STORED, "augment": {"_target_": "x", "flip": 0.5}}
NEW = {**composed(min_steps=500), "augment": {**OLD["augment"], "flip_pairs": None}}


def test_an_older_network_stays_as_it_was_where_its_choice_is_typed_again():
    older = {**STORED, "model": {"_target_": "x", "skips": 4, "encoder": {"_target_": "y"}}}
    added = {"context": None, "join": "add", "grouped": True, "dropout": 0.0}
    newer = {**older, "model": {**older["model"], **added, "encoder": {"_target_": "y", "output_stride": None}}}
    assert resume.settled(older, newer, ["model=x"], allow_changes=False) == older
    with pytest.raises(ValueError, match=r"model.grouped=True would change the result"):
        resume.settled(older, newer, ["model.grouped=true"], allow_changes=False)


@pytest.mark.parametrize("word", ["augment=default", "experiment=long", "train.epochs=5"])
def test_an_older_run_goes_on_without_what_its_version_did_not_have(word: str):
    assert resume.settled(OLD, NEW, [word], allow_changes=False) == OLD


def test_what_an_older_run_did_not_have_is_taken_over_if_it_is_typed_and_allowed():
    with pytest.raises(ValueError, match=r"train.min_steps=500 would change the result"):
        resume.settled(OLD, NEW, ["train.min_steps=500"], allow_changes=False)
    typed = ["train.min_steps=500", "augment.flip_pairs=null"]
    assert resume.settled(OLD, NEW, typed, allow_changes=True) == NEW


def test_a_group_that_is_another_replaces_the_stored_one():
    other = {**NEW, "augment": {"_target_": "y", "turn": 3}}
    assert resume.settled(OLD, other, ["augment=turned"], allow_changes=True)["augment"] == other["augment"]
    more = {**NEW, "augment": {**OLD["augment"], "turn": 3}}
    with pytest.raises(ValueError, match=r"augment.turn=3 would change the result"):
        resume.settled(OLD, more, ["augment=turned"], allow_changes=False)


CURVES = {"_target_": "tensorboard"}
SERVICE = {"_target_": "wandb", "project": "p"}


@pytest.mark.parametrize("typed", [["logger=tensorboard"], ["resume=latest"], ["experiment=long"]])
def test_the_logger_is_that_of_now_and_no_stored_one_opens_a_connection(typed: list[str]):
    stored, now = {**STORED, "logger": SERVICE}, {**STORED, "logger": CURVES}
    assert resume.settled(stored, now, typed, allow_changes=False) == now
    assert resume.settled(STORED, now, typed, allow_changes=False) == now


def test_the_logger_decides_nothing():
    assert resume.deciding({**STORED, "logger": SERVICE}) == resume.deciding(STORED)
