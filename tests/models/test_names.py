"""The names in state dicts, which checkpoints hold: an older one fits as long as they stay."""

from hashlib import sha256

from tests.models.conftest import NAMES

STATE = {  # tensors, with an auxiliary head, and a digest of their names in order
    "fcn16s": (245, "8fdc8c3c9005"),
    "fcn32s": (242, "f70dab22314c"),
    "fcn8s": (248, "df49282c815c"),
    "fcn_r101": (670, "1ba30baf22c8"),
    "fcn_r152": (976, "ca54e471e94d"),
    "fcn_r18": (166, "5117cbc9cf64"),
    "fcn_r34": (262, "e41f2930eeb5"),
    "fcn_r50": (364, "e214cbf25009"),
    "fcn_r50_atrous": (396, "781f1244869b"),
    "fcn_r50_pyramid": (378, "0a5534b209b1"),
    "fcn_small": (274, "acf00c0116bd"),
    "fcn_tiny": (202, "39d84122d75c"),
}


def test_every_configuration_is_listed():
    assert list(STATE) == NAMES


def test_the_names_in_state_dicts_stay(any_network, request):
    names = list(any_network.state_dict())
    digest = sha256("\n".join(names).encode()).hexdigest()[:12]
    assert (len(names), digest) == STATE[request.node.callspec.params["any_network"]]
