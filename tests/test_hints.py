"""What other tools call their settings, and how the same is typed here."""

import re

import pytest

from segtrain import cli, config
from segtrain.errors import UserError
from segtrain.hints import WAYS, WORDS

FOLDER = ("data=folder", "data.root=x")
SHAPES = {"data.size", "data.train", "data.val", "data.test", "data.variant"}
CROP = "data.crop=[512,512] is the height and width of training crops"


def answer(command: str, *words: str) -> str:
    """What is said of the last of the words, which is no setting of the command."""
    name = words[-1].partition("=")[0]
    return config.unknown_setting(name, command, words, None)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("epochs=3", "type train.epochs=3"),
        ("trainer.max_epochs=3", "type train.epochs=3"),
        ("minutes=30", "train.max_minutes=20 leaves as many steps as take 20 minutes here"),
        ("trainer.max_time=1", "train.max_minutes=20 leaves as many steps as take 20 minutes here"),
        ("lr=0.1", "type optimizer.lr=0.1"),
        ("train.learning_rate=0.1", "type optimizer.lr=0.1"),
        ("batch=4", "type data.batch_size=4"),
        ("bs=4", "type data.batch_size=4"),
        ("num_workers=2", "type data.workers=2"),
        ("imgsz=640", CROP),
        ("data.tile=512", CROP),
        ("data.resize=[256,256]", CROP),
        ("data.size=[256,256]", CROP),
        ("img_size=640", CROP),
        ("patience=5", "train.patience=N ends a training after N validations"),
        ("freeze=10", "train.freeze_encoder=N lets the encoder stand still"),
        ("device=0", "trainer.accelerator=cpu or gpu"),
        ("amp=true", "trainer.precision=16-mixed"),
        ("project=x", "type run_dir=FOLDER"),
        ("output=x", "type run_dir=FOLDER"),
        ("num_classes=3", "the classes come from the classes.yaml"),
        ("task=segment", "the command is the first word"),
        ("pretrained=true", "model=fcn_r50 model.encoder.weights=IMAGENET1K_V2"),
        ("model.encoder.weights=IMAGENET1K_V2", "this network has no pretrained weights; model=fcn_r18 to fcn_r152"),
        ("val_split=0.2", "a splits.csv in the data folder"),
        ("n_folds=5", "data.folds=5 data.fold=0 shares train and val out"),
        ("steps=5", "did you mean train.steps?"),
        ("data.wokers=5", "did you mean data.workers?"),
    ],
)
def test_a_word_of_another_tool_is_translated(word: str, said: str) -> None:
    assert answer("train", *FOLDER, word).startswith(f"unknown setting {word.partition('=')[0]}: {said}")


@pytest.mark.parametrize(
    "word", ["tile", "resize", "n_folds", "image_size", "sizes", "tests", "trains", "vals", "variants"]
)
def test_hints_are_of_the_data_that_are_chosen(word: str) -> None:
    said = answer("train", *FOLDER, f"data.{word}=5")
    assert not SHAPES & set(re.findall(r"data\.\w+", said.partition(":")[2]))


@pytest.mark.parametrize("word", ["foo=1", "model.foo=1", "loss.size=3", "augment.epochs=3", "model.weight_decay=0.1"])
def test_what_is_not_certain_gets_no_hint(word: str) -> None:
    assert "type" not in answer("train", *FOLDER, word)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("weights=a.pt", "type checkpoint=FILE or run=FOLDER"),
        ("source=new", "type images=new"),
        ("save_dir=x", "type out=FOLDER"),
        ("batch_size=3", "on a GPU, images of one size are computed together"),
        ("imgsz=640", "images are computed at their own size"),
        ("device=cpu", "type trainer.accelerator=cpu"),
        ("seed=3", "nothing is drawn at random"),
        ("tta=true", "flip=true takes the mean over each image and its mirror image"),
        ("model=fcn_r50", "the network is that of run=RUN"),
    ],
)
def test_a_command_is_told_of_its_own_settings(word: str, said: str) -> None:
    assert answer("predict", word).startswith(f"unknown setting {word.partition('=')[0]}: {said}")


def test_folds_are_of_images_in_a_folder_and_a_run_knows_its_own() -> None:
    shapes = "generated shapes have no folds; images in a folder do (data.root=FOLDER)"
    assert answer("train", "data.folds=5") == f"unknown setting data.folds: {shapes}"
    assert answer("evaluate", "fold=1").startswith("unknown setting fold: a run knows its fold, and run=A,B,C")
    assert answer("predict", "fold=1") == "unknown setting fold: a run knows its fold"


def test_training_has_no_place_in_other_commands() -> None:
    assert answer("predict", "epochs=3") == "unknown setting epochs (python -m segtrain predict --cfg job lists all)"


def test_every_way_leads_to_a_setting_that_some_command_has() -> None:
    known = {""}
    for command, words in (("train", ("model=fcn_r50", *FOLDER)), ("predict", ()), ("evaluate", ())):
        known |= config.known_settings(command, words, None, "").keys()
    for ways in WORDS.values():
        assert {way.setting for way in ways} <= known
        for way in ways:
            typed = set(re.findall(r"\b((?:data|train|trainer|optimizer|loss|augment|model)\.[\w.]+)=", way.sentence))
            assert typed <= known | {"optimizer.momentum"}


def test_no_word_stands_twice() -> None:
    words = " ".join(WORDS).split()
    assert len(words) == len(set(words)) == len(WAYS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--epochs 10", "--epochs: settings are typed without dashes, as name=value: type train.epochs=10"),
        ("--lr=0.1", "--lr=0.1: settings are typed without dashes, as name=value: type optimizer.lr=0.1"),
        ("--data photos", "--data: settings are typed without dashes, as name=value: type data.root=photos"),
        ("--data camvid", "--data: settings are typed without dashes, as name=value: type data=camvid"),
        ("--seed 3", "--seed: settings are typed without dashes, as name=value: type seed=3"),
        ("--foo 3", "--foo: settings are typed without dashes, as name=value"),
        ("--epochs", "--epochs: settings are typed without dashes, as name=value: type train.epochs=..."),
    ],
)
def test_words_with_dashes_are_answered_without(words: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        cli.parse(["--config-name=train", *words.split()])
    assert str(error.value) == f"unrecognized arguments: {said}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yolov8n-seg", "fcn_small"),
        ("resnet18", "fcn_r18"),
        ("unet", "fcn_small, whose decoder is U-shaped, or model=smp model.arch=Unet"),
        ("segformer", "model=smp with model.arch=Segformer"),
        ("deeplabv3", "model=torchvision with model.name=deeplabv3_resnet50"),
        ("convnext_tiny", "model=timm or fcn_torchvision with model.encoder=NAME"),
        ("resnet50", "fcn_r50"),
        ("resnet101", "fcn_r101"),
    ],
)
def test_networks_of_other_tools_have_something_near(name: str, said: str) -> None:
    message = config.unknown_choice(f"model/{name}", ["fcn_r50", "fcn_small"], [f"model={name}"])
    assert message.startswith(f"model={name}: there is no such choice: {said}")
    assert "comes nearest" in message
