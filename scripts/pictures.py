"""Draw the README's pictures of a run on generated shapes: `python scripts/pictures.py RUN`.

docs/images/result.png shows test images, their masks, what the network makes of them, and its errors in red;
docs/images/report.png is the top of RUN/evaluate/test/report.html, photographed by Chromium.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import segtrain
from segtrain.data import ShapesData
from segtrain.report.pictures import GAP, compared, legend

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
COLUMNS = ("image", "mask", "prediction", "errors")
SCALE, LINE = 2, 24  # of a pixel; pixels for a line of text
COLORS = 256  # so that a picture is a small file
WINDOW = (1100, 640)  # width, height: as far as the table of classes
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def result(run: Path, images: list[int]) -> Image.Image:
    """Test images of a run on generated shapes, with what its network makes of them."""
    network = segtrain.load(run)
    classes, settings = network.classes, network.settings
    data = ShapesData(**{name: value for name, value in settings["data"].items() if name != "_target_"})
    strips = []
    for index in images:
        image, mask = data.source("test").read(index)
        strip = compared(image.numpy(), mask.numpy(), segtrain.predict(network, image).mask.numpy(), classes)
        strips.append(np.pad(strip, ((0, GAP), (0, 0), (0, 0)), constant_values=255))
    pixels = np.repeat(np.repeat(np.vstack(strips), SCALE, 0), SCALE, 1)
    pictures = Image.fromarray(pixels[: -GAP * SCALE, : -GAP * SCALE])
    named = list(zip(classes.names, classes.colors.tolist(), strict=True))
    below = legend([*named, ("void", (0, 0, 0))], pictures.width, line=LINE)
    whole = Image.new("RGB", (pictures.width, LINE + pictures.height + GAP + below.height), "white")
    draw = ImageDraw.Draw(whole)
    for i, name in enumerate(COLUMNS):
        draw.text((i * (pixels.shape[1] // len(COLUMNS)), 2), name, fill="black", font_size=LINE - 8)
    whole.paste(pictures, (0, LINE))
    whole.paste(below, (0, LINE + pictures.height + GAP))
    return with_few_colors(whole)


def report(run: Path) -> Image.Image:
    """The top of a run's report, as a browser shows it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("report.png needs Chromium: apt install chromium")
    page = (run / "evaluate" / "test" / "report.html").resolve()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.png")
        size = f"--window-size={WINDOW[0]},{WINDOW[1]}"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size, f"--screenshot={file}"]
        subprocess.run([browser, *options, page.as_uri()], check=True, capture_output=True, timeout=120)
        return with_few_colors(Image.open(file).convert("RGB"))


def with_few_colors(picture: Image.Image) -> Image.Image:
    return picture.quantize(COLORS, dither=Image.Dither.NONE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[4, 8], help="numbers of test images")
    parser.add_argument("--out", type=Path, default=FOLDER)
    typed = parser.parse_args()
    typed.out.mkdir(parents=True, exist_ok=True)
    result(typed.run, typed.images).save(typed.out / "result.png", optimize=True)
    report(typed.run).save(typed.out / "report.png", optimize=True)


if __name__ == "__main__":
    main()
