"""Blocks of convolutions. Their padding is 'same': only a stride changes H and W."""

from torch import Tensor, nn
from torch.nn import functional as F

from .initialize import initialize


def same_conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> nn.Conv2d:
    """A convolution from (N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride)), for any odd kernel.

    Raises:
        ValueError: for an even kernel, which has no centre to pad around.
    """
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size={kernel_size} is even: 'same' padding needs an odd kernel, such as 3")
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)


class ConvReLU(nn.Sequential):
    """k x k convolution with bias, ReLU; `stride` divides H and W, rounding up."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        conv = same_conv(
            in_channels, out_channels, kernel_size, stride=stride, dilation=dilation, groups=groups, bias=True
        )
        super().__init__(conv, nn.ReLU(inplace=True))
        initialize(self)


class ConvBNReLU(nn.Sequential):
    """k x k convolution without bias, batch norm, ReLU; `stride` divides H and W, rounding up."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        conv = same_conv(in_channels, out_channels, kernel_size, stride=stride, dilation=dilation, groups=groups)
        super().__init__(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))
        initialize(self)


class DepthwiseSeparableConv(nn.Sequential):
    """Depthwise k x k, then 1x1, each with batch norm and ReLU (Howard et al. 2017, https://arxiv.org/abs/1704.04861)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, *, stride: int = 1, dilation: int = 1
    ) -> None:
        depthwise = ConvBNReLU(
            in_channels, in_channels, kernel_size, stride=stride, dilation=dilation, groups=in_channels
        )
        super().__init__(depthwise, ConvBNReLU(in_channels, out_channels, 1))


class ZeroBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose weight `initialize` sets to zero, so that a branch that ends with it adds nothing at first."""

    zero_init = True


def last_norm(channels: int, zero_init: bool) -> nn.BatchNorm2d:
    """The batch norm at the end of a residual branch."""
    return ZeroBatchNorm2d(channels) if zero_init else nn.BatchNorm2d(channels)


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity, or a 1x1 projection with batch norm if channels or stride differ."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(same_conv(in_channels, out_channels, 1, stride=stride), nn.BatchNorm2d(out_channels))


class BasicBlock(nn.Module):
    """Two k x k convolutions, added to a shortcut.

    He et al. 2015, https://arxiv.org/abs/1512.03385, fig. 5 left; the stride sits on the first one. The dilation is
    that of both, which torchvision's block does not have.

    Args:
        zero_init: start the last batch norm at zero, so that the block starts as its shortcut
            (Goyal et al. 2017, https://arxiv.org/abs/1706.02677).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            ConvBNReLU(in_channels, out_channels, kernel_size, stride=stride, dilation=dilation),
            same_conv(out_channels, out_channels, kernel_size, dilation=dilation),
            last_norm(out_channels, zero_init),
        )
        self.shortcut = shortcut(in_channels, out_channels, stride)
        self.zero_init = zero_init
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C', H/stride, W/stride)
        return F.relu(self.residual(x) + self.shortcut(x), inplace=True)

    def extra_repr(self) -> str:
        return f"zero_init={self.zero_init}"


class Bottleneck(nn.Module):
    """1x1 reduce, k x k, 1x1 expand, added to a shortcut.

    He et al. 2015, https://arxiv.org/abs/1512.03385, fig. 5 right; the stride sits on the k x k, as torchvision does.

    Args:
        expansion: how many times narrower the k x k convolution is than the output.
        zero_init: start the last batch norm at zero, so that the block starts as its shortcut
            (Goyal et al. 2017, https://arxiv.org/abs/1706.02677).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        expansion: int = 4,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        if expansion < 1:
            raise ValueError(f"expansion={expansion}: expected 1 or more")
        width = out_channels // expansion
        if width < 1:
            raise ValueError(f"expansion={expansion} leaves no channel of {out_channels}: take a smaller one")
        self.residual = nn.Sequential(
            ConvBNReLU(in_channels, width, 1),
            ConvBNReLU(width, width, kernel_size, stride=stride, dilation=dilation),
            same_conv(width, out_channels, 1),
            last_norm(out_channels, zero_init),
        )
        self.shortcut = shortcut(in_channels, out_channels, stride)
        self.expansion, self.zero_init = expansion, zero_init
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C', H/stride, W/stride)
        return F.relu(self.residual(x) + self.shortcut(x), inplace=True)

    def extra_repr(self) -> str:
        return f"expansion={self.expansion}, zero_init={self.zero_init}"
