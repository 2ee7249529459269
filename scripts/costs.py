"""Print the README's table of networks: `python scripts/costs.py`.

Parameters, and floating-point operations of the forward pass of one image, as `python -m segtrain models` counts them.
The padding of the image to a multiple of the coarsest stride (360 rows become 384) is in the count.
"""

from segtrain.commands.models import choice, choices, costs

HEIGHT, WIDTH, CLASSES = 360, 480, 11  # of CamVid


def table() -> str:
    """All of conf/model in Markdown, smallest first."""
    rows = sorted((*costs(choice(name), (HEIGHT, WIDTH), CLASSES), name) for name in choices())
    lines = [f"| model | parameters (M) | GFLOPs at {HEIGHT}x{WIDTH} |", "|---|--:|--:|"]
    lines += [f"| `{name}` | {parameters / 1e6:.2f} | {flops / 1e9:.1f} |" for parameters, flops, name in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
