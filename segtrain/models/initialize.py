"""How every parameter of a network starts: the one place to read, and to change."""

import torch
from torch import Tensor, nn


def initialize(module: nn.Module) -> None:
    """Draw all parameters of `module` anew, in place; may be called at any time.

    Convolutions are Kaiming normal over the fan-out (He et al. 2015, https://arxiv.org/abs/1502.01852), as in
    torchvision's ResNet. Transposed convolutions are bilinear interpolation. Batch norm is the identity, but for the
    last one of a residual block with `zero_init`, whose weight is zero. `Score` layers are normal with the deviation of
    torch's own start, 1 / sqrt(3 fan-in): scores are small at first whatever the number of channels, and features are
    trained from the first step on. The biases of all these are zero. Layers of any other kind start as torch starts
    them. Buffers, such as the mean and std of `FCN`, stay, except for the statistics of batch norms.
    """
    for layer in module.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            bilinear_(layer.weight, layer.groups)
        elif isinstance(layer, nn.Conv2d) and getattr(layer, "scores", False):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=(3 * fan_in) ** -0.5)  # a smaller one holds up rare classes
        elif isinstance(layer, nn.Conv2d):
            kaiming_(layer.weight, layer.groups)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            if layer.affine:
                nn.init.constant_(layer.weight, 0 if getattr(layer, "zero_init", False) else 1)
        else:
            reset = getattr(layer, "reset_parameters", None)
            if callable(reset) and not list(layer.children()):
                reset()
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def kaiming_(weight: Tensor, groups: int) -> Tensor:
    """Fill a weight with Kaiming-normal numbers over the fan-out within a group."""
    # torch takes the channels of all groups for the fan-out
    return nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu").mul_(groups**0.5)


@torch.no_grad()
def bilinear_(weight: Tensor, groups: int) -> Tensor:
    """Fill a transposed convolution's weight (in, out / groups, k, k) with bilinear interpolation (Long et al. 2015).

    If a group has as many outputs as inputs, each channel is interpolated by itself (https://arxiv.org/abs/1411.4038,
    section 3.3). Otherwise training starts at a Kaiming-normal 1x1 mix of its channels, which is then interpolated.
    The mix keeps the variance of the forward pass: what torch takes for the fan-out of (in, out) is the number of
    inputs, of which each output sees those of its own group.
    """
    channels_in, channels_out, size, _ = weight.shape
    scale = (size + 1) // 2
    centre = (size - 1) / 2
    ramp = 1 - (torch.arange(size) - centre).abs() / scale
    kernel = torch.outer(ramp, ramp)
    if channels_in == channels_out * groups:
        mix = torch.eye(channels_out).repeat(groups, 1)
    else:
        mix = kaiming_(torch.empty(channels_in, channels_out), groups)
    return weight.copy_(mix[:, :, None, None] * kernel)
