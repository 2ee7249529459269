"""Pages are laid out by a browser: nothing lies beyond their width or over another, and all pictures are there."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from segtrain.report.changed import changed_row
from segtrain.report.comparison import Scored, compared
from segtrain.report.page import Comparison, Contender, css_colors
from tests.report.test_page import images_of, page_of, table_of

PROBE = """<script>
const shown = [...document.querySelectorAll("h1, h2, h3, p, li, th, td, dt, dd, summary, figure, pre, img")]
    .filter(one => one.checkVisibility() && one.getBoundingClientRect().width > 0);
const boxes = shown.map(one => one.getBoundingClientRect());
const covered = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
const overlapping = [];
for (let i = 0; i < shown.length; i++)
    for (let j = i + 1; j < shown.length && overlapping.length < 9; j++)
        if (covered(boxes[i], boxes[j]) && !shown[i].contains(shown[j]) && !shown[j].contains(shown[i]))
            overlapping.push(shown[i].outerHTML.slice(0, 60) + " | " + shown[j].outerHTML.slice(0, 60));
const found = document.createElement("pre");
found.id = "found";
found.textContent = JSON.stringify({
    beyond: document.documentElement.scrollWidth > innerWidth,
    missing: [...document.images].filter(one => !(one.complete && one.naturalWidth > 0)).length,
    overlapping,
    elements: shown.length > 30,
});
document.body.append(found);
</script>"""
RIGHT = '{"beyond":false,"missing":0,"overlapping":[],"elements":true}'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium"),
    pytest.mark.parametrize("classes", [2, 11, 150]),
    pytest.mark.parametrize("width", [390, 1400]),
]


def names_of(classes: int) -> list[str]:
    return [f"class {i} with a name that is rather long" for i in range(classes)]


def found_by_chromium(html: str, folder: Path, width: int) -> str:
    """What the probe says of a page in a window of so many pixels."""
    (folder / "page.html").write_text(html.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},1000"]
    place = f"file://{folder}/page.html"
    shown = subprocess.run([*command, "--dump-dom", place], check=True, timeout=120, capture_output=True, text=True)
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', shown.stdout)
    return found


def comparison_of(classes: int) -> Comparison:
    """Of two made-up networks, with an image that changed."""
    rng, names = np.random.default_rng(0), names_of(classes)
    matrices = rng.integers(0, 50, (60, classes, classes))
    networks = []
    for name in ("photos-fcn_small-with-much-in-its-name", "B"):
        answers = rng.permuted(matrices, axis=2)  # to the same pixels
        networks.append(Scored(name, "a", 0, images_of(answers, names)))
    difference = compared(*networks)
    truth, first, second = rng.integers(0, classes, (3, 40, 80))
    image = rng.integers(0, 256, (3, 40, 80)).astype(np.uint8)
    row = changed_row("day 1/7", "mean IoU 3 %, then 9 %", image, truth, (first, second), table_of(names))
    contenders = [Contender(one.name, 0, one.miou, 0.1, 0.2) for one in networks]
    return Comparison(
        split="test",
        contenders=contenders,
        sentences=[difference.sentence()],
        differences=[difference],
        rows=[[row]],
        colors=dict(zip(names, css_colors(table_of(names)), strict=True)),
        facts=[{"folder": f"/{9 * 'long/'}{one.name}", "fingerprint of the data": 64 * "e"} for one in networks],
        settings={f"augment.a_setting_{i}": [f"{one.name}, {i}" for one in networks] for i in range(50)},
    )


def test_what_is_wrong_is_found(tmp_path: Path, classes: int, width: int):
    place = f"style='position:absolute;top:9px;width:{width * classes}px'"
    html = f"<!doctype html><html><body><p {place}>one</p><p {place}>other</p><img src='none.png'></body></html>"
    found = found_by_chromium(html, tmp_path, width)
    assert '"beyond":true,"missing":1,"overlapping":["' in found
    assert '"elements":false' in found


def test_a_report(tmp_path: Path, classes: int, width: int):
    assert found_by_chromium(page_of(names_of(classes)).html(), tmp_path, width) == RIGHT


def test_a_comparison(tmp_path: Path, classes: int, width: int):
    assert found_by_chromium(comparison_of(classes).html(), tmp_path, width) == RIGHT
