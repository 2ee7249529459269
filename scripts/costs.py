"""Print the README's table of networks: `python scripts/costs.py`.

Parameters, and floating-point operations of the forward pass of one image, a multiply-add counted as two. torch counts
both on its meta device, which computes shapes and nothing else. The padding of the image to a multiple of the coarsest
stride (360 rows become 384) is in the count, batch norm and ReLU are not.
"""

import torch
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from segtrain.build import build, conf_folder

CONF = conf_folder() / "model"
HEIGHT, WIDTH, CLASSES = 360, 480, 11  # of CamVid


def compose(name: str) -> dict:
    """conf/model/NAME.yaml over the sibling that it extends, if any."""
    own = OmegaConf.load(CONF / f"{name}.yaml")
    siblings = [OmegaConf.load(CONF / f"{sibling}.yaml") for sibling in own.pop("defaults", [])]
    return OmegaConf.to_container(OmegaConf.merge(*siblings, own))


def costs(name: str) -> tuple[int, int]:
    """Parameters, and FLOPs at HEIGHT x WIDTH."""
    with torch.device("meta"):
        network = build(compose(name), num_classes=CLASSES).eval()
        image = torch.empty(1, 3, HEIGHT, WIDTH, dtype=torch.uint8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops()


def table() -> str:
    """All of conf/model in Markdown, smallest first."""
    rows = sorted((*costs(path.stem), path.stem) for path in CONF.glob("*.yaml"))
    lines = [f"| model | parameters (M) | GFLOPs at {HEIGHT}x{WIDTH} |", "|---|--:|--:|"]
    lines += [f"| `{name}` | {parameters / 1e6:.2f} | {flops / 1e9:.1f} |" for parameters, flops, name in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
