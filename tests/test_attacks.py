"""Files and configurations that try to run code, read secrets, write elsewhere, open sockets or fill the memory.

Every one is made here, given to segtrain as a person would give it, and has to end in one line about itself. What
docs/security.md says is shown here.
"""

import base64
import io
import json
import os
import pickle
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import segtrain as api
from segtrain.cli import main
from tests.commands.conftest import TINY

try:
    import resource
except ImportError:  # not on Windows
    resource = None

pytestmark = pytest.mark.slow  # a minute

IN_ENVIRONMENT, IN_A_FILE = "s3cr3t-of-the-environment", "s3cr3t-of-a-file"
SECONDS, MEMORY = 20, 1 << 30
Content = dict[str, Any]


# --- the place --------------------------------------------------------------------------------------------------------


class Place:
    """An empty folder with secrets around it, where sockets and memory are watched.

    Attributes:
        here: the working folder, in which an attack may be told to write.
        ran: what every attack that runs code makes.
        run: a copy of a trained run.
    """

    def __init__(self, folder: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outside, self.here = folder, folder / "here"
        self.ran, self.run, self.victim = folder / "ran", self.here / "run", folder / "victim.txt"
        self.here.mkdir()
        shutil.copytree(trained, self.run)
        self.victim.write_text(IN_A_FILE)
        (folder / "planted_at_import.py").write_text(f"open({str(self.ran)!r}, 'w').close()\ndef thing(**_): ...\n")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.chdir(self.here)
        monkeypatch.setenv("SECRET", IN_ENVIRONMENT)
        monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
        self.monkeypatch, self.sockets = monkeypatch, []
        for name in ("connect", "connect_ex", "bind", "sendto"):
            monkeypatch.setattr(socket.socket, name, self.note)
        for name in ("create_connection", "getaddrinfo", "gethostbyname"):
            monkeypatch.setattr(socket, name, self.note)

    def note(self, *words: Any, **_: Any) -> None:
        self.sockets.append(words[-1])
        raise OSError("no sockets here")

    @property
    def best(self) -> Path:
        return self.run / "checkpoints" / "best.ckpt"

    @property
    def content(self) -> Content:
        return torch.load(self.best, weights_only=True)

    def files(self) -> dict[str, bytes]:
        """All that no attack may change: everything but the run."""
        paths = [path for path in self.outside.rglob("*") if path.is_file() and self.run not in path.parents]
        return {str(path): path.read_bytes() for path in paths if "__pycache__" not in path.parts}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Nothing is run, written, asked for over a socket, or eaten up inside."""
        before = self.files()
        with bounded(MEMORY), bounded_time():
            yield
        assert not self.ran.exists(), "it ran"
        assert self.sockets == []
        assert self.files() == before
        assert "planted_at_import" not in sys.modules

    def cli(self, *words: str) -> int:
        self.monkeypatch.setattr(sys, "argv", ["segtrain", *words])
        try:
            return main()
        except SystemExit as end:
            return int(end.code or 0)


@contextmanager
def bounded(more: int) -> Iterator[None]:
    """Inside, the process gets no more than `more` bytes of address space on top of what it has."""
    if resource is None or not Path("/proc/self/statm").exists():
        yield
        return
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Late(BaseException):
    """Which no `except Exception` takes for something else."""


@contextmanager
def bounded_time() -> Iterator[None]:
    """Inside, there are `SECONDS`."""

    def end(*_: Any) -> None:
        raise Late(f"still busy after {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["segtrain", "train", *TINY, "run_dir=run"])
        assert main() == 0
    return folder / "run"


@pytest.fixture
def place(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, trained, monkeypatch)


def refused(text: str, status: int = 2) -> None:
    """What stands on stderr is one line, and gives away nothing."""
    assert status == 2, text
    assert text.count("\n") == 1, text
    assert text.startswith("segtrain: error: ")
    harmless(text.rstrip("\n"))


def harmless(text: str) -> None:
    assert IN_ENVIRONMENT not in text
    assert IN_A_FILE not in text
    assert not re.search(r"[\0-\x1f\x7f-\x9f]", text), repr(text)
    assert len(text) < 2000


def load_is_refused(place: Place, file: Path, message: str | None = None) -> None:
    quiet = warnings.catch_warnings(action="ignore")  # a warning, which is an error here alone, refuses nothing
    with place.watched(), quiet, pytest.raises((ValueError, OSError), match=message) as refusal:
        api.load(file)
    harmless(str(refusal.value))


# --- checkpoint files -------------------------------------------------------------------------------------------------


class Call:
    """Pickled, it is a call that the reader makes."""

    def __init__(self, function: Callable[..., Any], *words: Any) -> None:
        self.function, self.words = function, words

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.words


def touch(place: Place) -> Call:
    return Call(os.system, f"touch {place.ran}")


def saved(content: Any, **options: Any) -> bytes:
    torch.save(content, file := io.BytesIO(), **options)
    return file.getvalue()


def rezipped(content: bytes, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A checkpoint with the members of its archive changed, and right checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file := io.BytesIO(), "w", compression) as new:
        for member in old.namelist():
            new.writestr(member, change(member, old.read(member)))
    return file.getvalue()


def with_pickle(pickled: bytes) -> Callable[[Place], bytes]:
    """A checkpoint with these instructions for the unpickler."""
    return lambda place: rezipped(
        place.best.read_bytes(), lambda name, data: pickled if name.endswith("/data.pkl") else data
    )


def old_tar(place: Place) -> bytes:
    """As torch wrote files before 0.1.10."""
    with tarfile.open(fileobj=(file := io.BytesIO()), mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            info = tarfile.TarInfo(name)
            data = pickle.dumps(touch(place), 2)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def exported(place: Place) -> bytes:
    """As torch.export writes, with a pickle where it keeps sample inputs."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("archive/archive_format", "pt2")
        archive.writestr("archive/version", "0")
        archive.writestr("archive/data.pkl", pickle.dumps(touch(place), 2))
        archive.writestr("archive/data/sample_inputs/model.pt", saved(touch(place)))
        archive.writestr("archive/models/model.json", "{}")
    return file.getvalue()


def scripted(place: Place) -> bytes:
    """As torch.jit writes: its files hold code."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("archive/constants.pkl", pickle.dumps((), 2))
        archive.writestr("archive/code/__torch__.py", "class Net(Module):\n  def forward(self) -> None:\n    pass\n")
        archive.writestr("archive/data.pkl", pickle.dumps(touch(place), 2))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def changed(**entries: Any) -> Callable[[Place], bytes]:
    """A good checkpoint with other entries."""
    return lambda place: saved({**place.content, **entries})


def with_weight(tensor: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Place], bytes]:
    """A good checkpoint in which one weight is another."""

    def make(place: Place) -> bytes:
        content = place.content
        name = next(name for name in content["state_dict"] if name.endswith("weight"))
        content["state_dict"][name] = tensor(content["state_dict"][name])
        return saved(content)

    return make


def npy(place: Place) -> bytes:
    np.save(file := io.BytesIO(), np.array([touch(place)], dtype=object), allow_pickle=True)
    return file.getvalue()


def shared(depth: int) -> list[Any]:
    """A list of ten times a list of ten times ..., with one copy of each: small in a pickle and in memory."""
    nest: list[Any] = []
    for _ in range(depth):
        nest = [nest] * 10
    return nest


def endless() -> list[Any]:
    nest: list[Any] = []
    nest.append(nest)
    return nest


def claims_more(place: Place) -> bytes:
    """A tensor whose storage says that it is longer than its bytes, so that reading on would read the process."""
    content = saved({"a": torch.zeros(4)})

    def grow(name: str, data: bytes) -> bytes:
        million = b"J" + (10**6).to_bytes(4, "little")
        return data.replace(b"K\x04t", million + b"t").replace(b"K\x04\x85", million + b"\x85")

    return rezipped(content, grow)


def many_of_one_member(place: Place) -> bytes:
    """An archive whose list names one member of 4 MiB 400 times, as members in one another would be."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/data/0", bytes(4 << 20))
        archive.filelist.extend(archive.filelist[-1:] * 400)
    return file.getvalue()


def copies(number: int) -> bytes:
    """A pickle of a mapping with as many entries, and of as many copies of it."""
    pairs = b"".join(b"(J" + struct.pack("<i", i) + b"K\x00t" for i in range(number))
    make = b"ccollections\nOrderedDict\nq\x00](" + pairs + b"e\x85q\x01R"
    return b"\x80\x02](" + make + b"h\x00h\x01R" * number + b"e."


FILES: dict[str, Callable[[Place], bytes]] = {
    "a pickle": lambda place: pickle.dumps(touch(place)),
    "a pickle of protocol 0": lambda place: b"cposix\nsystem\n(S'touch " + str(place.ran).encode() + b"'\ntR.",
    "torch.save": lambda place: saved(touch(place)),
    "torch.save, as it was": lambda place: saved(touch(place), _use_new_zipfile_serialization=False),
    "torch's tar": old_tar,
    "torch.jit": scripted,
    "torch.export": exported,
    "a call beside the weights": lambda place: saved({**place.content, "hparams": [{"deep": touch(place)}]}),
    "a call among the weights": lambda place: saved({**place.content, "state_dict": {"network.a": touch(place)}}),
    "a call in the record": lambda place: saved({**place.content, "segtrain": touch(place)}),
    "eval": lambda place: saved(Call(eval, f"open({str(place.ran)!r}, 'w')")),
    "exec": lambda place: saved(Call(exec, f"open({str(place.ran)!r}, 'w')")),
    "a subprocess": lambda place: saved(Call(subprocess.Popen, ["touch", str(place.ran)])),
    "an import": lambda place: saved(Call(__import__, "planted_at_import")),
    "reading a file": lambda place: saved({**place.content, "notes": Call(open, str(place.victim))}),
    "writing a file": lambda place: saved(Call(open, str(place.outside / "new"), "w")),
    "loading once more": lambda place: saved(Call(torch.load, str(place.best), None, None)),
    "an array of objects": npy,
    "safetensors": lambda place: struct.pack("<Q", 2**62) + b'{"a": {"dtype": "F32"}}',
    "HDF5": lambda place: b"\x89HDF\r\n\x1a\n" + bytes(1000),
    "nothing": lambda place: b"",
    "text": lambda place: b"_target_: os.system\n",
    "a zip bomb": lambda place: rezipped(
        place.best.read_bytes(),
        lambda name, data: bytes(200_000_000) if name.endswith("data/0") else data,
        zipfile.ZIP_DEFLATED,
    ),
    "members that are not there": lambda place: place.best.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03"),
    "a tensor without its elements": with_weight(lambda _: torch.zeros(1).expand(10**6, 10**6)),
    "a tensor longer than its bytes": claims_more,
    "a sparse tensor": with_weight(
        lambda _: torch.sparse_coo_tensor([[0], [0]], [1.0], (10**6, 10**6), check_invariants=True)
    ),
    "a tensor without memory": with_weight(lambda weight: weight.to("meta")),
    "room for more than there is": with_pickle(
        b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + b"\0\0\0\0\0\x01" + b"\x85R."
    ),
    "half a gigabyte of nothing": with_pickle(
        b"\x80\x02cbuiltins\nbytearray\nJ" + struct.pack("<i", 1 << 29) + b"\x85R."
    ),
    "text that doubles": with_pickle(
        b"\x80\x02" + b"c_codecs\nencode\n" * 3 + b"X\x04\0\0\0\xc3\xbf\xc3\xbfX\x06\0\0\0latin1\x86R."
    ),
    "a storage without its file": with_pickle(
        b"\x80\x02ctorch.storage\nUntypedStorage\nJ" + struct.pack("<i", 1 << 29) + b"\x85R."
    ),
    "copies of a mapping": with_pickle(copies(5000)),
    "attributes of many objects": with_pickle(b"\x80\x02](" + b"ccollections\nOrderedDict\n)R}b" * 100 + b"e."),
    "one member many times": many_of_one_member,
    "a pickle before the archive": lambda place: pickle.dumps(touch(place), 2) + place.best.read_bytes(),
    "a hundred thousand brackets": with_pickle(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
    "lists of lists among the weights": lambda place: saved({**place.content, "state_dict": {"network.a": shared(30)}}),
    "weights under numbers": changed(state_dict={1: torch.zeros(1)}),
    "no weights": changed(state_dict={}),
    "weights that are text": changed(state_dict={"network.a": "text"}),
    "a version that is text": changed(segtrain={"version": "1", "record": "{}"}),
    "a record that is no JSON": changed(segtrain={"version": 1, "record": "{"}),
    "a record that is no text": changed(segtrain={"version": 1, "record": 7}),
    "a record of brackets": changed(segtrain={"version": 1, "record": "[" * 100_000}),
    "a record without parts": changed(segtrain={"version": 1, "record": "{}"}),
}


@pytest.mark.parametrize("notes", [partial(shared, 30), endless], ids=["lists of lists", "a list in itself"])
def test_a_checkpoint_with_endless_notes_loads_without_them(place: Place, notes: Callable[[], Any]):
    file = place.here / "strange.ckpt"
    file.write_bytes(saved({**place.content, "notes": notes()}))
    with place.watched():
        api.load(file)


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_a_file_that_is_no_checkpoint_is_refused_and_does_nothing(place: Place, make: Callable[[Place], bytes]):
    file = place.here / "strange.ckpt"
    file.write_bytes(make(place))
    load_is_refused(place, file)


REASONS = {
    "half a gigabyte of nothing": "builtins.bytearray",
    "text that doubles": "_codecs.encode",
    "a storage without its file": "torch.storage.UntypedStorage",
    "copies of a mapping": "copies a mapping",
    "attributes of many objects": "attributes to 100 objects",
    "one member many times": "larger than the file",
    "a pickle before the archive": "does not begin",
}


@pytest.mark.parametrize(("kind", "reason"), REASONS.items(), ids=REASONS)
def test_what_would_multiply_is_refused_before_it_is_read(place: Place, kind: str, reason: str):
    file = place.here / "strange.ckpt"
    file.write_bytes(FILES[kind](place))
    load_is_refused(place, file, re.escape(reason))


DOORS = {
    "evaluate": ["evaluate", "checkpoint=strange/checkpoints/best.ckpt"],
    "evaluate a run": ["evaluate", "run=strange"],
    "predict": ["predict", "run=strange", "images=a.png"],
    "resume": ["train", "resume=strange"],
    "init": ["train", *TINY, "init=strange"],
    "teacher": ["train", *TINY, "teacher=strange"],
}


@pytest.mark.parametrize("words", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("kind", ["torch.save", "a call beside the weights", "torch.save, as it was"])
def test_no_command_runs_what_is_in_a_file(
    place: Place, kind: str, words: list[str], capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(place.run, "strange")
    Image.new("RGB", (8, 8)).save("a.png")
    attack = FILES[kind](place)
    for file in Path("strange/checkpoints").iterdir():
        file.unlink()
        file.write_bytes(attack)
    capsys.readouterr()
    with place.watched():
        status = place.cli(*words)
    refused(capsys.readouterr().err, status)


@pytest.mark.parametrize("kind", ["torch.save", "a call beside the weights"])
def test_a_comparison_goes_without_the_pictures_of_a_file_that_would_run(
    place: Place, kind: str, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(place.run, "strange")
    Path("strange/checkpoints/best.ckpt").write_bytes(FILES[kind](place))
    capsys.readouterr()
    with place.watched():
        assert place.cli("compare", "runs=[run,strange]", "trainer.accelerator=cpu") == 0
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if "Pictures of images that changed most are missing" in line)
    harmless(line)


HTTP = "http://127.0.0.1:9/x.ckpt"
ADDRESSES = [
    ["evaluate", f"checkpoint='{HTTP}'"],
    ["evaluate", "checkpoint='https://example.com/x.ckpt'"],
    ["evaluate", "checkpoint='s3://bucket/x.ckpt'"],
    ["evaluate", "checkpoint='hf://someone/network'"],
    ["evaluate", f"run='{HTTP}'"],
    ["predict", "images=a.png", f"checkpoint='{HTTP}'"],
    ["predict", "run=run", f"images='{HTTP}'"],
    ["train", f"resume='{HTTP}'"],
    ["train", *TINY, f"init='{HTTP}'"],
    ["train", *TINY, f"teacher='{HTTP}'"],
    ["train", f"data.root='{HTTP}'"],
]


@pytest.mark.parametrize("words", ADDRESSES, ids=lambda words: f"{words[0]} {words[-1]}")
def test_addresses_are_not_opened(place: Place, words: list[str], capsys: pytest.CaptureFixture[str]):
    with place.watched():
        status = place.cli(*words)
    refused(capsys.readouterr().err, status)


def test_an_address_of_a_checkpoint_is_refused_as_what_it_is(place: Place):
    load_is_refused(place, HTTP, "remote checkpoints are not read")  # type: ignore[arg-type]


# --- configurations in checkpoints ------------------------------------------------------------------------------------


def described(place: Place, more: int = 0, **changes: Any) -> Path:
    """A checkpoint with good weights, `more` others beside them, and another description of the run."""
    content = place.content
    content["state_dict"].update({f"network.{i}": torch.zeros(1) for i in range(more)})
    record = json.loads(content["segtrain"]["record"])
    content["segtrain"]["record"] = json.dumps({**record, **changes})
    torch.save(content, file := place.here / "strange.ckpt")
    return file


def record_of(place: Place) -> dict[str, Any]:
    return json.loads(place.content["segtrain"]["record"])


TARGETS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "os.system": lambda place: {"command": f"touch {place.ran}"},
    "posix.system": lambda place: {"command": f"touch {place.ran}"},
    "torch.os.system": lambda place: {"command": f"touch {place.ran}"},
    "subprocess.Popen": lambda place: {"args": ["touch", str(place.ran)]},
    "builtins.eval": lambda place: {"source": f"open({str(place.ran)!r}, 'w')"},
    "builtins.open": lambda place: {"file": str(place.victim), "mode": "w"},
    "pathlib.Path.write_text": lambda place: {"self": str(place.victim), "data": ""},
    "shutil.copyfile": lambda place: {"src": str(place.victim), "dst": str(place.ran)},
    "shutil.rmtree": lambda place: {"path": str(place.outside)},
    "importlib.import_module": lambda place: {"name": "planted_at_import"},
    "planted_at_import.thing": lambda place: {},
    "torch.hub.load": lambda place: {"repo_or_dir": str(place.outside), "model": "x", "source": "local"},
    "torch.hub.download_url_to_file": lambda place: {"url": "http://127.0.0.1:9/", "dst": str(place.ran)},
    "torch.load": lambda place: {"f": "x.pkl", "weights_only": False},
    "torch.jit.load": lambda place: {"f": "x.pt"},
    "torch.ops.load_library": lambda place: {"path": "x.so"},
    "ctypes.CDLL": lambda place: {"name": "x.so"},
    "numpy.load": lambda place: {"file": "x.npy", "allow_pickle": True},
    "hydra.utils.instantiate": lambda place: {"config": {"_target_": "os.getcwd"}},
    "segtrain.build.build": lambda place: {"spec": {"_target_": "os.getcwd"}},
    "segtrain.build.locate": lambda place: {"name": "planted_at_import.thing"},
    "segtrain.cli.main": lambda place: {},
    "segtrain.data.files.images.read_image": lambda place: {"path": "x"},
    "functools.partial": lambda place: {"func": "os.system"},
    "operator.attrgetter": lambda place: {"attr": "__class__"},
    "torch.nn.Conv2d": lambda place: {"in_channels": 10**6, "out_channels": 10**6, "kernel_size": 1},
    "segtrain.models.FCN.__init__": lambda place: {},
    "segtrain.models.encoder.nn.Module": lambda place: {},
}


@pytest.mark.parametrize("where", ["model", "encoder", "block", "in a list"])
@pytest.mark.parametrize(("target", "words"), TARGETS.items(), ids=TARGETS)
def test_a_stored_network_names_shipped_parts_and_nothing_else(
    place: Place, target: str, words: Callable[[Place], dict[str, Any]], where: str
):
    model, spec = record_of(place)["model"], {"_target_": target, **words(place)}
    if where == "model":
        model = spec
    elif where == "encoder":
        model["encoder"] = spec
    elif where == "block":
        model["encoder"]["block"] = {**spec, "_partial_": True}
    else:
        model["widths"] = [[{"deep": spec}]]
    load_is_refused(place, described(place, model=model), re.escape(target))


MODELS: dict[str, Callable[[dict[str, Any], Place], Any]] = {
    "a list": lambda model, place: [model],
    "a text": lambda model, place: "os.system",
    "null": lambda model, place: None,
    "no target": lambda model, place: {"encoder": model["encoder"]},
    "a target that is a list": lambda model, place: {**model, "_target_": ["os.system"]},
    "arguments for Hydra": lambda model, place: {**model, "_args_": [1], "_convert_": "all"},
    "brackets": lambda model, place: {**model, "widths": json.loads("[" * 500 + "]" * 500)},
    "a wide network": lambda model, place: {**model, "encoder": {**model["encoder"], "widths": [8, 8, 16, 10**6]}},
    "a network too wide to count": lambda model, place: {
        **model,
        "encoder": {**model["encoder"], "widths": [10**12] * 4},
    },
    "a deep network": lambda model, place: {**model, "encoder": {**model["encoder"], "depths": [1, 1, 1, 10**9]}},
    "a network of shortcuts": lambda model, place: {
        **model,
        "encoder": {**model["encoder"], "strides": [1] * 10**5, "widths": [8] * 10**5, "depths": [1] * 10**5},
    },
    "long strides": lambda model, place: {**model, "encoder": {**model["encoder"], "strides": [10**6] * 4}},
    "a large kernel": lambda model, place: {**model, "encoder": {**model["encoder"], "stem_kernel": 10**9 + 1}},
    "a billion classes": lambda model, place: {**model, "num_classes": 10**9},
    "a billion means": lambda model, place: {**model, "mean": [0.5] * 10**6},
    "Lightning's trainer": lambda model, place: {
        "_target_": "lightning.pytorch.Trainer",
        "default_root_dir": str(place.outside / "new"),
        "num_nodes": 2,
        "accelerator": "cpu",
        "barebones": False,
        "enable_progress_bar": False,
    },
    "a folder of data": lambda model, place: {
        **model,
        "encoder": {
            "_target_": "segtrain.data.FolderData",
            "root": str(place.outside),
            "classes": None,
            "crop": [8, 8],
            "batch_size": 1,
            "workers": 0,
        },
    },
    "data": lambda model, place: {**record_of(place)["settings"]["data"], "train": 10**12},
    "an optimiser": lambda model, place: {"_target_": "torch.optim.AdamW", "params": []},
    "an optimiser to be": lambda model, place: {"_target_": "torch.optim.AdamW", "_partial_": True},
}


@pytest.mark.parametrize("change", MODELS.values(), ids=MODELS)
def test_a_stored_network_is_a_network_and_no_larger_than_its_weights(
    place: Place, change: Callable[[dict[str, Any], Place], Any]
):
    load_is_refused(place, described(place, model=change(record_of(place)["model"], place)))


PRETRAINED = {"_target_": "segtrain.models.resnet", "layers": 50, "weights": "DEFAULT"}
MOBILENET = {"_target_": "segtrain.networks.TorchvisionEncoder", "name": "mobilenet_v3_small"}
TIMM = {"_target_": "segtrain.networks.TimmEncoder", "name": "test_resnet"}
SMP_ENCODER = {"_target_": "segtrain.networks.SmpEncoder", "name": "mobilenet_v2"}
SMP = {"_target_": "segtrain.networks.SmpNetwork", "arch": "Unet", "encoder": SMP_ENCODER, "num_classes": 6}
FETCHING: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "the encoder": lambda model: {**model, "encoder": PRETRAINED},
    "the encoder, by a path": lambda model: {
        **model,
        "encoder": {**PRETRAINED, "weights": "run/checkpoints/best.ckpt"},
    },
    "the network": lambda model: PRETRAINED,
    "further in": lambda model: {**model, "encoder": {**model, "encoder": PRETRAINED}},
    "as a block": lambda model: {**model, "encoder": {**model["encoder"], "block": PRETRAINED}},
    "as a number": lambda model: {**model, "widths": [PRETRAINED]},
    "of torchvision": lambda model: {**model, "encoder": {**MOBILENET, "weights": "IMAGENET1K_V1"}},
    "of a network of torchvision": lambda model: {
        "_target_": "segtrain.networks.TorchvisionNetwork",
        "name": "lraspp_mobilenet_v3_large",
        "encoder": {"_target_": "segtrain.networks.TorchvisionBackbone", "weights": "IMAGENET1K_V1"},
        "num_classes": 6,
    },
    "of timm": lambda model: {**model, "encoder": {**TIMM, "weights": "r160_in1k"}},
    "of timm, by a path": lambda model: {**model, "encoder": {**TIMM, "weights": "run/checkpoints/best.ckpt"}},
    "of smp": lambda model: {**SMP, "encoder": {**SMP_ENCODER, "weights": "imagenet"}},
    "the name of a repository": lambda model: {**model, "encoder": {**TIMM, "name": "hf-hub:someone/network"}},
    "the name of a folder": lambda model: {**model, "encoder": {**TIMM, "name": "local-dir:/tmp"}},
    "a repository for smp": lambda model: {**SMP, "encoder": {**SMP_ENCODER, "name": "tu-hf-hub:someone/network"}},
    "a function of smp": lambda model: {**SMP, "arch": "from_pretrained"},
    "an endless name": lambda model: {**model, "encoder": {**TIMM, "name": "convnext" * 10**5}},
}


@pytest.mark.parametrize("change", FETCHING.values(), ids=FETCHING)
def test_a_stored_network_fetches_no_weights(place: Place, change: Callable[[dict[str, Any]], dict[str, Any]]):
    load_is_refused(place, described(place, more=1000, model=change(record_of(place)["model"])))


CLASSES: dict[str, Any] = {
    "terminal": {"classes": [{"name": "\x1b]0;title\x07"}]},
    "lines": {"classes": [{"name": "a\nsegtrain: error: b"}]},
    "many": {"classes": [{"name": str(i)} for i in range(100_000)]},
    "values": {"classes": [{"name": "a", "values": ["0-99999999999"]}]},
    "long": {"classes": [{"name": "a", "color": ["x" * 10**6]}]},
    "nested": {"classes": json.loads("[" * 500 + "]" * 500)},
    "text": "classes",
}


@pytest.mark.parametrize("spec", CLASSES.values(), ids=CLASSES)
def test_a_stored_class_table_is_bounded_and_printable(place: Place, spec: Any):
    load_is_refused(place, described(place, classes=spec), "^checkpoint: ")


@pytest.mark.parametrize("text", ["${oc.env:SECRET}", "${oc.decode:'${oc.env:SECRET}'}", "${now:%Y}", "${seed}"])
def test_an_interpolation_in_a_file_is_a_text(place: Place, text: str, capsys: pytest.CaptureFixture[str]):
    spec = record_of(place)["classes"]
    spec["classes"][0]["name"] = text
    settings = record_of(place)["settings"]
    settings["note"] = settings["name"] = text
    file = described(place, classes=spec, settings=settings)
    loaded = api.load(file)
    assert loaded.classes.names[0] == text
    assert loaded.settings["note"] == text
    folder = {"_target_": "segtrain.data.FolderData", "root": text, "classes": None, "crop": [8, 8], "batch_size": 1}
    described(place, settings={**settings, "data": {**folder, "workers": 0}})
    capsys.readouterr()
    with place.watched():
        status = place.cli("evaluate", f"checkpoint={file}", "trainer.accelerator=cpu")
    err = capsys.readouterr().err
    refused(err, status)
    assert re.search(rf"data\.root=\S*{re.escape(text)}: there is no such folder", err)


def grouped(place: Place, group: str) -> dict[str, Any]:
    """Settings of a folder of the run's classes without splits, in which a pattern decides on them."""
    for kind, mode in (("images", "RGB"), ("masks", "L")):
        (place.here / "plain" / kind).mkdir(parents=True)
        for i in range(4):
            Image.new(mode, (32, 32)).save(place.here / "plain" / kind / f"{'a' * 60}-{i}.png")
    root = str(place.here / "plain")
    settings = {"_target_": "segtrain.data.FolderData", "root": root, "classes": record_of(place)["classes"]}
    return {**settings, "crop": [32, 32], "batch_size": 2, "workers": 0, "group": group}


SETTINGS: dict[str, Callable[[dict[str, Any], Place], dict[str, Any]]] = {
    "os.system": lambda data, place: {"_target_": "os.system", "command": f"touch {place.ran}"},
    "an augmentation": lambda data, place: {**data, "augment": {"_target_": "planted_at_import.thing"}},
    "many images": lambda data, place: {**data, "test": 10**12},
    "large images": lambda data, place: {**data, "size": [10**6, 10**6]},
    "many workers": lambda data, place: {**data, "workers": 10**6},
    "groups that take for ever": lambda data, place: grouped(place, r"^(?:\w|\w\w)+$"),
    "another kind": lambda data, place: {"_target_": "segtrain.models.Bottleneck", "in_channels": 8, "out_channels": 8},
    "a text": lambda data, place: "os.system",  # type: ignore[dict-item,return-value]
}


@pytest.mark.parametrize("change", SETTINGS.values(), ids=SETTINGS)
def test_stored_settings_of_data_are_not_believed(
    place: Place, change: Callable[[dict[str, Any], Place], dict[str, Any]], capsys: pytest.CaptureFixture[str]
):
    settings = record_of(place)["settings"]
    file = described(place, settings={**settings, "data": change(settings["data"], place)})
    capsys.readouterr()
    with place.watched():
        status = place.cli("evaluate", f"checkpoint={file}", "trainer.accelerator=cpu")
    refused(capsys.readouterr().err, status)


def test_a_pattern_in_stored_settings_is_what_is_refused(place: Place, capsys: pytest.CaptureFixture[str]):
    settings = record_of(place)["settings"]
    file = described(place, settings={**settings, "data": grouped(place, r"^(?:\w|\w\w)+$")})
    with place.watched():
        status = place.cli("evaluate", f"checkpoint={file}", "trainer.accelerator=cpu")
    error = capsys.readouterr().err
    refused(error, status)
    assert "takes too long to find" in error


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_stored_limit_on_pixels_does_not_raise_that_of_the_user(
    place: Place, command: str, capsys: pytest.CaptureFixture[str]
):
    settings = record_of(place)["settings"]
    folder = data_folder(place.here / "data")
    (folder / "images/val/1.png").write_bytes(png(100_000))
    data = {"_target_": "segtrain.data.FolderData", "root": str(folder), "classes": record_of(place)["classes"]}
    data |= {"crop": [32, 32], "batch_size": 2, "workers": 0, "max_pixels": 10**15}
    file = described(place, settings={**settings, "data": data})
    images = ["images=data/images/val/1.png"] if command == "predict" else []
    with place.watched():
        status = place.cli(command, f"checkpoint={file}", "trainer.accelerator=cpu", *images)
    error = capsys.readouterr().err
    refused(error, status)
    assert "10000000000 pixels, more than data.max_pixels=500000000" in error


@pytest.mark.parametrize("part", ["data", "model", "loss", "optimizer", "schedule", "augment", "trainer"])
def test_resume_builds_shipped_parts_and_nothing_else(place: Place, part: str, capsys: pytest.CaptureFixture[str]):
    record, spec = record_of(place), {"_target_": "os.system", "command": f"touch {place.ran}"}
    extra = {"trainer": {"accelerator": "cpu", "devices": 1, "precision": "32-true", "accumulate_grad_batches": 1}}
    record["settings"][part] = {**spec, **extra.get(part, {})}
    record["settings"]["train"]["steps"] = 16
    record.update({part: spec} if part in record else {})
    shutil.copy(described(place, **record), place.run / "checkpoints/last.ckpt")
    Path("strange.ckpt").unlink()
    capsys.readouterr()
    with place.watched():
        status = place.cli("train", "resume=run")
    refused(capsys.readouterr().err, status)


RESNET = {"_target_": "segtrain.models.resnet", "layers": 50, "weights": "IMAGENET1K_V2"}
VOC = {"_target_": "segtrain.data.PublicData", "origin": "voc2012", "download": True, "root": "voc", "layout": "voc"}
VOC |= {"classes": None, "crop": [32, 32], "batch_size": 2, "workers": 0, "max_pixels": 10**6}


def configured(place: Place, **changes: Any) -> None:
    """A run with nothing but `config.yaml`, of which some parts are others."""
    settings = record_of(place)["settings"]
    shutil.rmtree(place.run)
    place.run.mkdir()
    (place.run / "config.yaml").write_text(yaml.safe_dump({**settings, **changes}))


def test_an_augmentation_that_is_a_network_fetches_nothing(place: Place, capsys: pytest.CaptureFixture[str]):
    settings = record_of(place)["settings"]
    file = described(place, settings={**settings, "data": {**settings["data"], "augment": RESNET}})
    capsys.readouterr()
    with place.watched():
        status = place.cli("evaluate", f"checkpoint={file}", "trainer.accelerator=cpu")
    refused(capsys.readouterr().err, status)


def test_public_data_of_a_stored_configuration_are_not_fetched(place: Place, capsys: pytest.CaptureFixture[str]):
    Path("voc").mkdir()
    configured(place, data=VOC)
    with place.watched():
        status = place.cli("train", "resume=run")
    refused(capsys.readouterr().err.splitlines(keepends=True)[-1], status)


@pytest.mark.parametrize(
    ("part", "parameter"),
    [
        ("data", "train"),
        ("augment", "flip"),
        ("loss", "label_smoothing"),
        ("optimizer", "lr"),
        ("schedule", "warmup"),
        ("trainer", "deterministic"),
    ],
)
def test_what_is_trusted_in_one_place_is_not_in_another(
    place: Place, part: str, parameter: str, capsys: pytest.CaptureFixture[str]
):
    settings = record_of(place)["settings"]
    configured(place, **{part: {**settings[part], parameter: RESNET}})
    capsys.readouterr()
    with place.watched():
        status = place.cli("train", "resume=run")
    err = capsys.readouterr().err
    refused(err, status)
    assert "'segtrain.models.resnet' is not a shipped one in this place" in err


def test_pretrained_weights_of_a_stored_configuration_are_not_fetched(place: Place, capsys: pytest.CaptureFixture[str]):
    model = record_of(place)["settings"]["model"]
    configured(place, model={**model, "encoder": {**RESNET, "in_channels": 3}, "skips": 0, "widths": None})
    capsys.readouterr()
    with place.watched():
        status = place.cli("train", "resume=run")
    err = capsys.readouterr().err
    refused(err, status)
    assert "start the run anew with the words in its overrides.txt" in err


def test_a_block_of_segtrains_own_is_trusted_in_a_network(place: Place):
    model = record_of(place)["model"]
    model["encoder"]["block"] = {"_target_": "segtrain.models.ConvBNReLU", "_partial_": True, "kernel_size": 3}
    load_is_refused(place, described(place, model=model), "the weights are not those of the network described")


# --- run folders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("predict", ["predict", "run=run", "images=a.png", "trainer.accelerator=cpu"]),
        ("predict/masks", ["predict", "run=run", "images=a.png", "trainer.accelerator=cpu"]),
        ("evaluate", ["evaluate", "run=run", "trainer.accelerator=cpu"]),
        ("evaluate/test", ["evaluate", "run=run", "trainer.accelerator=cpu"]),
    ],
)
def test_a_link_in_a_run_folder_leads_nothing_out_of_it(
    place: Place, name: str, words: list[str], capsys: pytest.CaptureFixture[str]
):
    Image.new("RGB", (8, 8)).save("a.png")
    link = place.run / name
    shutil.rmtree(link, ignore_errors=True)
    link.parent.mkdir(exist_ok=True)
    (place.outside / "elsewhere").mkdir()
    link.symlink_to(place.outside / "elsewhere")
    capsys.readouterr()
    with place.watched():
        status = place.cli(*words)
    refused(capsys.readouterr().err, status)


def test_a_link_under_the_name_of_a_file_is_replaced_and_not_written_through(place: Place):
    Image.new("RGB", (8, 8)).save("a.png")
    for kind, written in (("masks", "a.png"), ("overlays", "a.jpg")):
        (place.run / "predict" / kind).mkdir(parents=True)
        for name in (f".{written}.tmp", f"{written}.tmp", written):
            (place.run / "predict" / kind / name).symlink_to(place.victim)
    for name in ("predict.json.tmp", "predict.json"):
        (place.run / "predict" / name).symlink_to(place.victim)
    with place.watched():
        assert place.cli("predict", "run=run", "images=a.png", "trainer.accelerator=cpu") == 0
    assert not (place.run / "predict/masks/a.png").is_symlink()
    assert json.loads((place.run / "predict/predict.json").read_text())["images"] == 1


@pytest.mark.parametrize("name", ["log.txt", "metrics.csv", "checkpoints/last.tmp", "evaluate/test/metrics.json"])
def test_a_link_among_the_files_of_a_run_is_not_written_through(place: Place, name: str):
    link = place.run / name
    link.unlink(missing_ok=True)
    link.symlink_to(place.victim)
    with place.watched():
        place.cli("train", "resume=run", "train.steps=12", "allow_changes=true")


# --- data -------------------------------------------------------------------------------------------------------------


def data_folder(root: Path) -> Path:
    """Three images in train and in val, with masks of two classes."""
    for split in ("train", "val"):
        for kind, mode in (("images", "RGB"), ("masks", "L")):
            (root / kind / split).mkdir(parents=True)
            for i in range(3):
                Image.new(mode, (32, 32)).save(root / kind / split / f"{i}.png")
    (root / "classes.yaml").write_text("classes: [{name: a}, {name: b}]\n")
    return root


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(side: int, *more: bytes) -> bytes:
    """A grey PNG of side x side pixels with nothing in it."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bomb() -> str:
    rows = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    rows += [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)]
    return "\n".join(rows)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return make


def tiff_page(place: int, side: int, channels: int = 1, tag: tuple[int, int] | None = None, after: int = 0) -> bytes:
    """A page of a TIFF that stands at `place`: square, of 8 bits, perhaps with a `tag` of (bytes, their place)."""
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, channels)]
    tags += [(65000, 1, *tag)] if tag else []
    page = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *entry) for entry in tags)
    following = place + len(page) + 4 if after else 0
    return (b"II*\0\x08\0\0\0" if place == 8 else b"") + page + struct.pack("<I", following)


def pages_of_one_tag(pages: int, size: int) -> bytes:
    """A TIFF whose pages all point at one tag of that many bytes, which lies behind them."""
    length = len(tiff_page(9, 8, tag=(0, 0)))
    end = 8 + pages * length
    made = [tiff_page(8 + n * length, 8, tag=(size, end), after=pages - 1 - n) for n in range(pages)]
    return b"".join(made) + bytes(size)


def as_tiff(content: bytes) -> Callable[[Path], Any]:
    """Puts a TIFF in the place of an image."""

    def put(path: Path) -> None:
        path.unlink()
        path.with_suffix(".tif").write_bytes(content)

    return put


IMAGE, TABLE, NAME = "images/train/1.png", "classes.yaml", "images/train"
DATA: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a tag that runs code": (TABLE, lambda p: p.write_text(f"!!python/object/apply:os.system ['touch {p}/../../ran']")),
    "aliases": (TABLE, lambda p: p.write_text(bomb())),
    "merged keys": (TABLE, lambda p: p.write_text(bomb().replace("[x,x,x,x,x,x,x,x,x]", "{x: 1}"))),
    "brackets": (TABLE, lambda p: p.write_text("[" * 100_000)),
    "a large table": (TABLE, lambda p: p.write_bytes(bytes(100_000_000))),
    "a range of billions": (TABLE, lambda p: p.write_text("classes: [{name: a, values: ['0-99999999999']}]")),
    "a name for terminals": (TABLE, lambda p: p.write_text('classes: [{name: "\\e]0;x\\a"}]')),
    "a table that is a pipe": (TABLE, pipe),
    "a table that never ends": (TABLE, link_to("/dev/zero")),
    "a table that is a secret": (TABLE, link_to("../../victim.txt")),
    "a large png": (IMAGE, lambda p: p.write_bytes(png(100_000))),
    "a large text": (
        IMAGE,
        lambda p: p.write_bytes(png(32, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000))))),
    ),
    "a large frame": (
        IMAGE,
        lambda p: p.write_bytes(
            b"GIF89a" + struct.pack("<HHBBB", 32, 32, 0, 0, 0) + b"\x21\xf9\4\x08\0\0\0\0,"
            b"\0\0\0\0\xff\xff\xff\xff\0\x08\0;"
        ),
    ),
    "a large tiff": (
        IMAGE,
        lambda p: p.write_bytes(
            b"II*\0\x08\0\0\0\2\0" + struct.pack("<HHIIHHIII", 256, 4, 1, 2**32 - 1, 257, 4, 1, 2**32 - 1, 0)
        ),
    ),
    "a thousand pages with one large tag": (IMAGE, as_tiff(pages_of_one_tag(1024, 1_000_000))),
    "a thousand large channels": (IMAGE, as_tiff(tiff_page(8, 20_000, channels=1024))),
    "a script": (IMAGE, lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(ran) (w) file\n")),
    "a picture of links": (IMAGE, lambda p: p.write_text("<svg><image href='file:///etc/passwd'/></svg>")),
    "an image that is a pipe": (IMAGE, pipe),
    "an image that never ends": (IMAGE, link_to("/dev/zero")),
    "an image that is a secret": (IMAGE, link_to("../../../../victim.txt")),
    "a name of two lines": (NAME, lambda p: (p / "1.png").rename(p / "1\nsegtrain: error: 2.png")),
    "a name for a terminal": (NAME, lambda p: (p / "1.png").rename(p / "\x1b]0;x\x07.png")),
}


FILES_ALONE = [word for word in TINY if not re.match(r"data\.(size|train|val|test)=", word)]


@pytest.mark.parametrize(("where", "attack"), DATA.values(), ids=DATA)
def test_a_folder_of_data_is_refused_in_one_line(
    place: Place, where: str, attack: Callable[[Path], Any], capsys: pytest.CaptureFixture[str]
):
    attack(data_folder(place.here / "data") / where)
    with place.watched():
        status = place.cli(
            "train", *[w for w in TINY if not re.match(r"data\.(size|train|val|test)=", w)], "data.root=data"
        )
    refused(capsys.readouterr().err, status)


# --- shapes and arrays of strangers -----------------------------------------------------------------------------------

TRIANGLE = "0 .1 .1 .9 .1 .9 .9\n"


def yolo_folder(root: Path) -> Path:
    """Three images in train and in val, with a polygon each."""
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (32, 32), (i, len(split), 0)).save(root / f"images/{split}/{i}.png")
            (root / f"labels/{split}/{i}.txt").write_text(TRIANGLE)
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [a, b]\n")
    return root


def with_polygon(text: str) -> Callable[[Path], None]:
    """A line more in one of YOLO's text files."""
    return lambda root: (root / "labels/train/1.txt").write_text(TRIANGLE + text) and None


def with_table(text: Callable[[], str]) -> Callable[[Path], None]:
    return lambda root: (root / "data.yaml").write_text(text()) and None


def with_link(name: str, target: str) -> Callable[[Path], None]:
    return lambda root: link_to(target)(root / name)


def list_of_secrets(root: Path) -> None:
    (root / "data.yaml").write_text("train: train.txt\nval: images/val\nnames: [a, b]\n")
    (root / "train.txt").symlink_to("../../victim.txt")


def with_labelme(shapes: Any, **changes: Any) -> Callable[[Path], None]:
    """LabelMe's files in place of YOLO's, one of them with other shapes."""

    def make(root: Path) -> None:
        (root / "data.yaml").unlink()
        for path in sorted(root.glob("labels/*/*.txt")):
            path.unlink()
            good = {"label": "a", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
            content: Any = {"shapes": [good], "imagePath": f"../../images/{path.parent.name}/{path.stem}.png"}
            if path.match("train/1.txt"):
                content = {**content, "shapes": shapes, **changes}
            path.with_suffix(".json").write_text(json.dumps(content))

    return make


def drawn(**changes: Any) -> dict[str, Any]:
    return {"label": "a", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon", **changes}


def with_brackets(root: Path) -> None:
    with_labelme([])(root)
    text = '{"imagePath": "1.png", "shapes": ' + "[" * 100_000
    (root / "labels/train/1.json").write_text(text)


def with_coco(width: int, height: int, polygons: Callable[[], list[Any]]) -> Callable[[Path], None]:
    """COCO's JSON in place of YOLO's files, of images of another size."""

    def make(root: Path) -> None:
        shutil.rmtree(root / "labels")
        (root / "data.yaml").unlink()
        for split in ("train", "val"):
            for i in range(3):
                Image.new("RGB", (width, height), (i, len(split), 0)).save(root / f"images/{split}/{i}.png")
            images = [{"id": i, "file_name": f"images/{split}/{i}.png"} for i in range(3)]
            objects = [{"image_id": 1, "category_id": 1, "segmentation": [polygon]} for polygon in polygons()]
            content = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "a"}]}
            (root / f"{split}.json").write_text(json.dumps(content))

    return make


def zigzag(corners: int, height: int) -> list[int]:
    """A polygon that crosses all rows of an image with every edge."""
    points: list[int] = []
    for i in range(corners):
        points += [i % 7, height * (i % 2)]
    return points


def with_arrays(content: Callable[[], bytes], name: str = "1.npy") -> Callable[[Path], None]:
    """Masks in NumPy's files in place of YOLO's, one of them with another content."""

    def make(root: Path) -> None:
        for path in sorted(root.glob("labels/*/*.txt")):
            path.unlink()
            np.save(path.with_suffix(".npy"), np.zeros((32, 32), np.int64))
        (root / "labels/train/1.npy").unlink()
        (root / "labels/train" / name).write_bytes(content())
        (root / "classes.yaml").write_text("classes: [{name: a}, {name: b}]\n")

    return make


def array_of(shape: str, kind: str = "|u1", data: bytes = b"") -> bytes:
    """A file that says of itself that it has this shape."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def packed_array() -> bytes:
    """A quarter of a gigabyte of zeros in an archive of a quarter of a megabyte."""
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", array_of("(16000, 16000)", data=bytes(256_000_000)))
    return file.getvalue()


STRANGE: dict[str, Callable[[Path], None]] = {
    "polygons: not a number": with_polygon("0 nan .1 .9 .1 .9 .9"),
    "polygons: huge": with_polygon("0 1e308 .1 .9 .1 .9 .9"),
    "polygons: two hundred thousand": with_polygon(TRIANGLE * 200_000),
    "polygons: twenty megabytes": with_polygon("0 " * 11_000_000),
    "polygons: no text": lambda root: (root / "labels/train/1.txt").write_bytes(b"\xff\xfe\x00") and None,
    "polygons: an endless file": with_link("labels/train/1.txt", "/dev/zero"),
    "polygons: a pipe": lambda root: pipe(root / "labels/train/1.txt"),
    "polygons: a secret": with_link("labels/train/1.txt", "../../../../victim.txt"),
    "data.yaml: a bomb": with_table(bomb),
    "data.yaml: an object": with_table(lambda: "names: !!python/object/apply:os.system [touch ran]"),
    "data.yaml: many names": with_table(lambda: f"names: [{', '.join(map(str, range(100_000)))}]"),
    "data.yaml: a name for a terminal": with_table(lambda: 'names: ["a\\x1b[2J", b]'),
    "data.yaml: a place for a terminal": with_table(lambda: 'train: "\\x1b[2J"\nnames: [a, b]'),
    "data.yaml: a place elsewhere": with_table(lambda: "train: ../../..\nval: /etc\nnames: [a]\npath: /"),
    "data.yaml: a secret as a list": list_of_secrets,
    "LabelMe: brackets": with_brackets,
    "LabelMe: a secret as the image": with_labelme([drawn()], imagePath="../../../victim.txt", imageHeight=7),
    "LabelMe: a name for a terminal": with_labelme([drawn(label="\x1b[2J")]),
    "LabelMe: a type for a terminal": with_labelme([drawn(shape_type="\x1b[2J")]),
    "LabelMe: a mask of ten billion pixels": with_labelme(
        [drawn(shape_type="mask", mask=base64.b64encode(png(100_000)).decode())]
    ),
    "LabelMe: an endless circle": with_labelme([drawn(shape_type="circle", points=[[1, 1], [1e300, 1]])]),
    "COCO: corners over all rows": with_coco(8, 60_000, lambda: [zigzag(800, 60_000)] * 4),
    "COCO: too many corners": with_coco(8, 60_000, lambda: [zigzag(1000, 60_000)]),
    "arrays: a pickle": with_arrays(lambda: array_of("(32, 32)", "|O", pickle.dumps(Call(os.system, "touch ran")))),
    "arrays: larger than the file": with_arrays(lambda: array_of("(10000000, 10000000)")),
    "arrays: a header of brackets": with_arrays(lambda: array_of("(" * 5000)),
    "arrays: packed": with_arrays(packed_array, "1.npz"),
}  # fmt: skip


@pytest.mark.parametrize("attack", STRANGE.values(), ids=STRANGE)
def test_shapes_and_arrays_of_strangers_are_refused_in_one_line(
    place: Place, attack: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
):
    attack(yolo_folder(place.here / "data"))
    words = [word for word in TINY if not re.match(r"data\.(size|train|val|test)=", word)]
    with place.watched():
        status = place.cli("train", *words, "data.root=data")
    refused(capsys.readouterr().err, status)


PICTURES: dict[str, Callable[[Path], Any]] = {
    "a large png": lambda p: p.write_bytes(png(100_000)),
    "a pipe": os.mkfifo,
    "an endless file": lambda p: p.symlink_to("/dev/zero"),
    "a secret": lambda p: p.symlink_to("../../victim.txt"),
    "a link to nothing": lambda p: p.symlink_to("nowhere"),
    "a name for a terminal": lambda p: p.with_name("\x1b[2J.png").write_bytes(png(9)),
}


@pytest.mark.parametrize("attack", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("images", ["new", "new/*.png"])
def test_pictures_to_predict_are_refused_before_anything_is_written(
    place: Place, attack: Callable[[Path], Any], images: str, capsys: pytest.CaptureFixture[str]
):
    Path("new").mkdir()
    attack(Path("new/x.png"))
    with place.watched():
        status = place.cli("predict", "run=run", f"images={images}", "trainer.accelerator=cpu")
    refused(capsys.readouterr().err, status)
    assert not (place.run / "predict").exists()


def test_predictions_stay_below_their_folder(place: Place, capsys: pytest.CaptureFixture[str]):
    Path("new/day").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("a.png")
    with place.watched():
        status = place.cli("predict", "run=run", "images=new/*/../../*.png", "trainer.accelerator=cpu")
    err = capsys.readouterr().err
    refused(err, status)
    assert "would be written somewhere else" in err


@pytest.mark.parametrize(
    "name", ["..png", "...png", "-rf.png", "~.png", "$(touch ran).png", "a;b.png", "${SECRET}.png"]
)
def test_odd_names_are_names(place: Place, name: str):
    Path("new").mkdir()
    Image.new("RGB", (8, 8)).save(Path("new") / name, format="PNG")
    images = f"new/{name}" if name.startswith(".") else "new"  # of a folder, hidden files are passed over
    with place.watched():
        assert place.cli("predict", "run=run", f"images={images}", "trainer.accelerator=cpu") == 0
    masks = [path.name for path in (place.run / "predict/masks").iterdir()]
    assert masks == [name]
