import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from segtrain.errors import UserError
from segtrain.report.comparison import (
    Change,
    Difference,
    Recipe,
    Scored,
    compared,
    recipe_sentence,
    recipe_sentences,
    recipes,
)
from segtrain.report.intervals import Interval
from segtrain.report.page import Comparison, Contender, Row
from segtrain.report.per_image import PerImage

NAMES = ("road", "<b>car</b>")


def network(
    name: str,
    quality: float,
    *,
    seed: int = 0,
    recipe: str = "a",
    images: int = 80,
    noise: int = 0,
    class_names: tuple[str, ...] = NAMES,
) -> Scored:
    """A network that finds about so much of each image, whose difficulty is the same for all networks."""
    rng = np.random.default_rng(7)
    pixels, hardness = rng.integers(100, 900, (images, 2)), rng.normal(0, 0.1, (images, 2))
    own = np.random.default_rng(noise).normal(0, 0.02, (images, 2))
    hits = (pixels * np.clip(quality + hardness + own, 0, 1)).astype(np.int64)
    cells = []
    for i in range(images):
        for truth in range(2):
            right, wrong = hits[i, truth], pixels[i, truth] - hits[i, truth]
            cells += [[i, 2 * truth + truth, right], [i, 2 * truth + 1 - truth, wrong]]
        cells.append([i, 4, 10 + i])
    ordered = np.array(sorted(cell for cell in cells if cell[2]))
    return Scored(name, recipe, seed, PerImage([f"{i:03}" for i in range(images)], class_names, ordered))


def test_a_network_against_itself_shows_no_difference():
    found = compared(network("A", 0.6), network("A", 0.6))
    assert found.sentence() == (
        "A against A: no difference that these 80 images can show (+0.0 points, 95 % interval +0.0 to +0.0)."
    )
    assert found.images == []
    assert all(change.points == 0 for change in found.classes)


def test_a_difference_far_below_the_spread_of_the_images_is_found_since_they_are_the_same():
    first, second = network("A", 0.6), network("B", 0.62, noise=1)
    found = compared(first, second)
    assert found.miou.interval.low > 0
    assert found.sentence().startswith(f"B is better than A by {found.miou.points:.1f} points on these 80 images (95 %")
    back = compared(second, first)
    assert back.sentence().startswith(f"A is worse than B by {found.miou.points:.1f} points")
    assert list(back.miou.interval) == pytest.approx([-found.miou.interval.high, -found.miou.interval.low])
    assert len(found.images) == 10
    sizes = [abs(change.points) for change in found.images]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("points", "shown"), [(12.345, "12.3"), (0.06, "0.1"), (0.034, "0.03"), (0.0026, "0.003")])
def test_a_difference_that_is_found_is_not_rounded_to_none(points: float, shown: str):
    interval = Interval(points / 200, points / 50)
    change = Change("mIoU", 0.5, 0.5 + points / 100, interval)
    found = Difference("A", "B", change, [], [], 9, [])
    assert f"B is better than A by {shown} points on these 9 images (95 % interval " in found.sentence()
    assert " 0.0 to" not in found.sentence()


def test_chance_alone_is_no_difference():
    found = [compared(network("A", 0.6, noise=n), network("B", 0.6, noise=n + 5000)) for n in range(40)]
    assert max(abs(difference.miou.points) for difference in found) < 1
    assert sum("no difference" in difference.sentence() for difference in found) >= 35


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 of 3 classes differ"), (1, "1 of 3 classes differs"), (2, "2 of 3 classes differ")],
)
def test_what_may_be_chance_is_grey_and_counted(number: int, said: str):
    found, holds_0 = Interval(0.01, 0.05), Interval(-0.01, 0.05)
    classes = [Change(f"c{i}", 0.5, 0.53, found if i < number else holds_0) for i in range(3)]
    classes.append(Change("never", math.nan, math.nan))
    difference = Difference("A", "B", Change("mIoU", 0.5, 0.47, Interval(-0.05, -0.01)), classes, [], 9, [])
    page = Comparison("test", [], [], [difference], [[]], {}, [], {})
    html, markdown = page.html(), page.markdown()
    bars = re.findall(r'<span class="(up|down|unsure)"', html)
    assert bars == ["down", *["up"] * number, *["unsure"] * (3 - number)]
    line = f"{said}; about 5 % of classes without any difference would do so by chance."
    assert f"<p>{line}</p>" in html
    assert f"\n\n{line}\n" in markdown
    assert difference._replace(classes=classes[3:]).on_chance() == ""


def test_of_many_equal_classes_about_one_in_twenty_differs_by_chance():
    rng = np.random.default_rng(0)
    pixels, hits = 100, rng.binomial(100, 0.6, (2, 100, 300))  # of two networks, 100 images, 300 classes
    networks = []
    for name, found in zip("AB", hits, strict=True):
        image, kind = np.indices(found.shape).reshape(2, -1)
        right = np.column_stack([image, kind * 301 + kind, found.ravel()])
        wrong = np.column_stack([image, kind * 301 + 300, pixels - found.ravel()])  # all in one class more
        cells = np.concatenate([right, wrong])
        names = tuple(f"c{i}" for i in range(301))
        images = PerImage([f"{i}" for i in range(100)], names, cells[np.lexsort((cells[:, 1], cells[:, 0]))])
        networks.append(Scored(name, "a", 0, images))
    differ = sum(change.differs for change in compared(*networks).classes[:300])
    assert 5 <= differ <= 30  # 15 on average; its standard deviation is 3.8, and the bootstrap's share a little larger


def test_the_order_of_the_images_changes_nothing():
    first, second = network("A", 0.6), network("B", 0.7)
    images = second.images
    turned = images.cells.copy()
    turned[:, 0] = len(images) - 1 - turned[:, 0]
    other = PerImage(images.names[::-1], NAMES, turned[np.lexsort((turned[:, 1], turned[:, 0]))])
    assert compared(first, second._replace(images=other)) == compared(first, second)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (network("B", 0.6, images=79), r"they were scored on other images \(80 and 79, such as 079\)"),
        (network("B", 0.6, class_names=("road", "bus")), "one has the classes road, <b>car</b>, the other road, bus"),
    ],
)
def test_other_images_and_classes_are_refused(other: Scored, reason: str):
    with pytest.raises(UserError, match=f"A and B cannot be compared: {reason}"):
        compared(network("A", 0.6), other)


@pytest.mark.parametrize("cell", [0, 4])
def test_other_masks_are_refused(cell: int):
    other = network("B", 0.6)
    cells = other.images.cells.copy()
    cells[(cells[:, 0] == 3) & (cells[:, 1] == cell), 2] += 1
    changed = PerImage(other.images.names, NAMES, cells)
    with pytest.raises(UserError, match="the masks of 003 are others in one of them"):
        compared(network("A", 0.6), other._replace(images=changed))


def test_runs_that_differ_by_the_seed_alone_are_one_recipe():
    runs = [network(f"run{n}", 0.6, seed=n, noise=n) for n in range(6)]
    found = recipes([*runs, runs[0]])
    assert len(found) == 1
    assert len(found[0].mious) == 6
    lines = recipe_sentences(found)
    assert lines[0].startswith("run0, run1, run2, run3 and 2 more: one recipe, 6 seeds, mIoU ")
    assert lines[-1] == "All are of one recipe, so none of them is a better one."


def test_of_recipes_nothing_is_said_below_three_seeds_of_each():
    first = [network(f"a{n}", 0.6, seed=n) for n in range(3)]
    second = [network(f"b{n}", 0.9, seed=n, recipe="b") for n in range(2)]
    lines = recipe_sentences(recipes([*first, *second]))
    assert lines[-1] == (
        "Whether the recipe of b0 is better than that of a0 is not said: that takes 3 seeds of each (here 3 and 2)."
    )


def test_recipes_are_compared_by_their_seeds():
    first, near = Recipe(["a"], [0.60, 0.62, 0.61]), Recipe(["b"], [0.61, 0.63, 0.62])
    far = Recipe(["c"], [0.70, 0.72, 0.71])
    assert "no difference that these seeds can show (+1.0 points" in recipe_sentence(first, near)
    # the standard error of each mean is 1 / sqrt(3) points; t for 2 degrees of freedom is 4.303
    half = 4.303 * np.sqrt(2 / 3)
    expected = f"(+10.0 points, 95 % interval +{10 - half:.1f} to +{10 + half:.1f} over seeds)."
    assert recipe_sentence(first, far) == f"The recipe of c is better than that of a {expected}"
    assert recipe_sentence(far, first).startswith("The recipe of c is better than that of a (-10.0 points")


def test_seeds_of_one_recipe_seldom_show_a_difference():
    rng = np.random.default_rng(0)
    pairs = rng.normal(0.6, 0.02, (1000, 2, 3))
    found = [recipe_sentence(Recipe(["a"], list(one)), Recipe(["b"], list(other))) for one, other in pairs]
    assert sum("better" in sentence for sentence in found) < 50  # of 1,000


def test_the_page_shows_every_number_and_no_name_is_code():
    runs = [network("A <script>", 0.6), network("B|C", 0.7, recipe="b", seed=3)]
    found = compared(*runs)
    contenders = [Contender(run.name, run.seed, run.miou, run.miou - 0.01, run.miou + 0.01) for run in runs]
    row = Row("day <script>", "better", [("image", "data:image/png;base64,")])
    facts = [{"folder": f"/runs/{run.name}", "trained by": "train 'data.root=<b>|x'"} for run in runs]
    settings = {f"model.<b>{i:02}": [f"<script>{i}", f"{i}|B"] for i in range(43)}
    colors = {"road": "rgb(1, 2, 3)"}
    page = Comparison("test", contenders, [found.sentence()], [found], [[row]], colors, facts, settings)
    html, markdown = page.html(), page.markdown()
    assert "<script" not in html + markdown
    assert "<b>" not in html + markdown
    reader = Texts()
    reader.feed(html)
    for change in (found.miou, *found.classes, *found.images):
        assert change.name in reader.text
        assert f"{100 * change.after:.1f}" in reader.text
        assert f"{change.points:+.1f}" in markdown
    assert found.sentence() in reader.text
    assert "day <script>: better" in reader.text
    assert html.count("swatch") - html.count(".swatch") == 1
    assert 'background: rgb(1, 2, 3)"></span>road<td>' in html
    for text in ("folder/runs/A <script>", "model.<b>39<script>3939|B", "And 3 more, which are in compare.json."):
        assert text in "".join(reader.text.splitlines())
    assert "model.<b>40" not in reader.text
    table = markdown.partition("### What the runs differ in\n\n")[2].splitlines()
    assert table[:2] == ["| setting | A &lt;script> | B\\|C |", "|---|---|---|"]
    assert len(table) == 2 + 40 + 2
    assert table[41:] == ["| model.&lt;b>39 | &lt;script>39 | 39\\|B |", "", "And 3 more, which are in compare.json."]
    assert page.text().splitlines()[2].split()[:3] == ["B|C", "3", f"{runs[1].miou:.4f}"]


class Texts(HTMLParser):
    text = ""

    def handle_data(self, data: str) -> None:
        self.text += data
