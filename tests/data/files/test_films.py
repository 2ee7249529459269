import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from segtrain.data.files import films
from segtrain.errors import UserError


def write(
    path: Path, number: int = 5, size: tuple[int, int] = (33, 64), rate: Fraction = Fraction(30000, 1001)
) -> Path:
    """A film that becomes brighter from frame to frame, its left half red."""
    pytest.importorskip("av")
    with films.written(path, rate) as add:
        for i in range(number):
            picture = np.full((*size, 3), 40 * i, np.uint8)
            picture[:, : size[1] // 2, 0] = 255
            add(picture)
    return path


def test_a_film_that_is_written_is_read_again(tmp_path: Path):
    with films.opened(write(tmp_path / "a.mp4"), 10_000) as film:
        assert (film.rate, film.length) == (Fraction(30000, 1001), 5)
        frames = list(film.frames)
    assert [frame.shape for frame in frames] == [(34, 64, 3)] * 5
    for i, frame in enumerate(frames):
        assert abs(frame[:, 40:].astype(int) - 40 * i).max() < 12
        assert frame[:, :24, 0].min() > 225


def test_a_film_whose_file_counts_no_frames_is_about_as_long_as_it_lasts(tmp_path: Path):
    av = pytest.importorskip("av")
    source, target = av.open(str(write(tmp_path / "a.mp4", 6, rate=Fraction(2)))), av.open(str(tmp_path / "a.mkv"), "w")
    with source, target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:  # the last one is empty
                packet.stream = stream
                target.mux(packet)
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.streams.video[0].frames == 0
    with films.opened(tmp_path / "a.mkv", 10_000) as film:
        assert film.length == len(list(film.frames)) == 6


def test_what_is_no_film_is_refused_in_a_line(tmp_path: Path):
    path = write(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="frames of 34 x 64, more than 100 pixels"), films.opened(path, 100):
        pass
    (tmp_path / "text.mp4").write_text("no film")
    with (
        pytest.raises(UserError, match=r"text.mp4: not a film that can be read"),
        films.opened(tmp_path / "text.mp4", 9),
    ):
        pass


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'segtrain\[video\]'"), films.opened(tmp_path / "a.mp4", 9):
        pass
