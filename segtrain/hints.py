"""What other tools call their settings, and how the same is said here."""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple


class Way(NamedTuple):
    """How something is said here, for the commands and choices that have a setting of this name."""

    setting: str
    sentence: str  # `{value}` stands for what was typed


CROPS = "data.crop=[512,512] is the height and width of training crops; whole images are scored at their own size"
SPLITS = (
    "a splits.csv in the data folder (image,mask,split) says which images train; without one and without folders of "
    "splits they are split 70/15/15, and check write=true writes it down"
)
FOLDS = "data.folds=5 data.fold=0 shares train and val out to five parts, of which the first is val"
CLASSES = "the classes come from the classes.yaml in the data folder, which check data.root=FOLDER write=true proposes"
PRETRAINED = (
    "model.encoder.weights=IMAGENET1K_V2 begins with the weights of ImageNet, FILE.pth with those of a file, and "
    "init=RUN with those of a run"
)
STILL = "train.freeze_encoder=N lets the encoder stand still in the first N epochs"
SLOWER = "type train.encoder_lr={value}, a factor on optimizer.lr for the encoder"
DEVICES = "trainer.accelerator=cpu or gpu, and trainer.devices=2 for two of them or trainer.devices=[0] for the first"
ONE_BY_ONE = "on a GPU, images of one size are computed together by themselves, and elsewhere one by one"
NOT_RANDOM = "nothing is drawn at random here"

# The words of other tools, and what they come to: the first way whose setting is there. Only what is meant without
# doubt: a wrong hint is worse than none.
WORDS: Mapping[str, tuple[Way, ...]] = {
    "epochs max_epochs num_epochs n_epochs": (Way("train.epochs", "type train.epochs={value}"),),
    "max_steps num_steps total_steps iters iterations max_iters": (Way("train.steps", "type train.steps={value}"),),
    "minutes max_time time_limit time_budget": (
        Way("train.max_minutes", "train.max_minutes=20 leaves as many steps as take 20 minutes here"),
    ),
    "lr lr0 learning_rate base_lr init_lr": (Way("optimizer.lr", "type optimizer.lr={value}"),),
    "b bs batch batch_size": (
        Way("data.batch_size", "type data.batch_size={value}"),
        Way("run", ONE_BY_ONE),
    ),
    "workers num_workers n_workers nw": (
        Way("data.workers", "type data.workers={value}"),
        Way("images", "predict starts as many processes as suit the machine"),
    ),
    "imgsz img_size image_size input_size size resize crop crop_size tile tiles tile_size patch_size chip_size": (
        Way("data.crop", CROPS),
        Way("run", "images are computed at their own size"),
    ),
    "patience early_stopping early_stop": (
        Way("train.patience", "train.patience=N ends a training after N validations without a better IoU"),
    ),
    "freeze freeze_backbone freeze_encoder frozen": (Way("train.freeze_encoder", STILL),),
    "encoder_lr backbone_lr lr_mult": (Way("train.encoder_lr", SLOWER),),
    "teacher distill distillation": (Way("teacher", "type teacher=RUN, of a run with the same classes"),),
    "pretrained pretrained_weights encoder_weights weights ckpt ckpt_path load_from": (
        Way("checkpoint", "type checkpoint=FILE or run=FOLDER"),
        Way("model.encoder.weights", PRETRAINED),
        Way("init", f"model=fcn_r50 {PRETRAINED}"),
    ),
    "run checkpoint resume_from resume_from_checkpoint": (
        Way("resume", "resume=RUN goes on with a run, and init=RUN begins a new one with its weights"),
        Way("checkpoint", "type checkpoint={value}"),
    ),
    "device devices gpu gpus num_gpus n_gpus cuda accelerator": (
        Way("trainer.devices", DEVICES),
        Way("trainer.accelerator", "type trainer.accelerator=cpu or trainer.accelerator=gpu"),
    ),
    "amp use_amp fp16 bf16 half mixed_precision precision": (
        Way(
            "trainer.precision", "trainer.precision=16-mixed, bf16-mixed or 32-true; auto takes what suits the machine"
        ),
    ),
    "project name save_dir savedir output outputs output_dir out out_dir outdir logdir log_dir save_path": (
        Way("run_dir", "type run_dir=FOLDER; without it runs are below runs/"),
        Way("out", "type out=FOLDER"),
    ),
    "source input inputs input_dir image images image_dir img img_dir": (
        Way("images", "type images={value}"),
        Way("data.root", "type data.root=FOLDER, of the images with their masks"),
    ),
    "data data_dir dataset data_path data_root dataset_path root path train_dir val_dir test_dir masks mask_dir": (
        Way("images", "type images={value}"),
        Way("data.root", "type data.root=FOLDER, of the images with their masks"),
        Way("data", "type data.root=FOLDER, of the images with their masks"),
    ),
    "model model_path arch architecture backbone encoder network": (
        Way("checkpoint", "the network is that of run=RUN, or of checkpoint=FILE"),
        Way("model", "model=NAME chooses the network; train --help lists them"),
    ),
    "task mode": (Way("", "the command is the first word: train, evaluate, predict or check"),),
    "seed random_seed random_state manual_seed": (Way("seed", "type seed={value}"), Way("run", NOT_RANDOM)),
    "classes num_classes n_classes nc names class_names labels": (Way("data.root", CLASSES), Way("model", CLASSES)),
    "class_weights class_weight loss_weights": (
        Way("loss.weights", "loss.weights=median_frequency, inverse, sqrt, or one number for each class"),
    ),
    "criterion loss_function": (Way("loss", "loss=NAME chooses the loss; train --help lists them"),),
    "optim": (Way("optimizer", "type optimizer={value}"),),
    "scheduler lr_scheduler cos_lr sched": (Way("schedule", "type schedule=poly or schedule=cosine"),),
    "momentum": (Way("optimizer.betas", "optimizer=sgd has optimizer.momentum, and adamw has optimizer.betas"),),
    "weight_decay wd": (Way("optimizer.weight_decay", "type optimizer.weight_decay={value}"),),
    "augmentation augmentations aug augs transforms": (Way("augment", "type augment=default or augment=none"),),
    "fliplr hflip horizontal_flip": (Way("augment.flip", "augment.flip={value} is the probability of a flip"),),
    "split val_split val_size val_ratio test_size train_split split_ratio": (Way("data.root", SPLITS),),
    "fold folds kfold k_fold n_folds num_folds n_splits": (
        Way("data.folds", FOLDS),
        Way("cross", "a run knows its fold, and run=A,B,C cross=true scores each on its own val"),
        Way("run", "a run knows its fold"),
        Way("data", "generated shapes have no folds; images in a folder do (data.root=FOLDER)"),
    ),
    "accumulate grad_accum accumulation_steps gradient_accumulation_steps": (
        Way("trainer.accumulate_grad_batches", "type trainer.accumulate_grad_batches={value}"),
    ),
    "grad_clip clip_grad max_grad_norm gradient_clip": (
        Way("trainer.gradient_clip_val", "type trainer.gradient_clip_val={value}"),
    ),
    "tta test_time_augmentation flip_test": (
        Way("flip", "flip=true takes the mean over each image and its mirror image"),
    ),
    "conf conf_thres confidence threshold": (
        Way("images", "every pixel gets its most likely class: there is no threshold"),
    ),
}
NETWORKS = {  # what other tools call networks, by how the word begins, and what comes nearest
    r"unet|u-net|yolo": "fcn_small, whose decoder is U-shaped, or model=smp model.arch=Unet",
    r"segformer|upernet|pspnet|fpn|linknet": "model=smp with model.arch=Segformer, UPerNet, PSPNet, FPN or Linknet",
    r"deeplab|lraspp": "model=torchvision with model.name=deeplabv3_resnet50 or lraspp_mobilenet_v3_large",
    r"convnext|swin|efficientnet|mobilenet|vit": "model=timm or fcn_torchvision with model.encoder=NAME",
    r"resnet-?18": "fcn_r18",
    r"resnet-?34": "fcn_r34",
    r"resnet-?101": "fcn_r101",
    r"resnet-?152": "fcn_r152",
    r"resnet|fcn": "fcn_r50",
}
BY_LAST_PART = {
    "",
    "data",
    "train",
    "trainer",
    "optimizer",
    "dataset",
    "training",
}  # elsewhere a word means other things
WEIGHTS = re.compile(r"model\.(encoder\.)?(weights|pretrained)")


def other_word(name: str, value: str, known: Collection[str], network: str) -> str:
    """How to type what other tools call `name`, as the end of a sentence; nothing if that is not certain.

    `known` are the settings of the command with the choices that were typed, and `network` the chosen one.
    """
    if name == "model.encoder.name":  # what model.encoder=NAME stands for
        return f": {network} has an encoder of its own; model=timm, smp and fcn_torchvision take model.encoder=NAME"
    if WEIGHTS.fullmatch(name) and "model.encoder.weights" in known:
        return f": {PRETRAINED}"
    if WEIGHTS.fullmatch(name) and "model" in known:
        others = "model=fcn_r18 to fcn_r152, timm, smp and torchvision"
        return f": {network} has no pretrained weights; {others} take model.encoder.weights"
    parent, _, word = name.lower().replace("-", "_").rpartition(".")
    if parent not in BY_LAST_PART:
        return ""
    for way in WAYS.get(word, ()):
        if way.setting != name and (way.setting in known or not way.setting):
            return f": {way.sentence.format(value=value or '...')}"
    return ""


def other_network(name: str) -> str:
    """What comes nearest to a network of other tools, as the end of a sentence; nothing if there is none."""
    for beginning, nearest in NETWORKS.items():
        if re.match(beginning, name.lower()):
            return f": {nearest} comes nearest"
    return ""


def by_word() -> dict[str, tuple[Way, ...]]:
    """Each of the words by itself."""
    ways: dict[str, tuple[Way, ...]] = {}
    for words, meant in WORDS.items():
        ways.update(dict.fromkeys(words.split(), meant))
    return ways


WAYS = by_word()
