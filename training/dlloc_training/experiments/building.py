"""From a network's plan to its draft passport and the network with fresh weights, or with those of another."""

from typing import Any, TypeAlias

from torch import nn

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.passport import Passport

from ..networks.image_head import ImageWithParameters
from ..networks.registry import build, build_image, with_parameters
from ..networks.regression import Regressor
from ..networks.shapes import InputShape
from ..slim import SlimFCN
from .inputs import draft_passport
from .plans import NetworkPlan
from .reading import ExperimentFile

Network: TypeAlias = Regressor | SlimFCN | ImageWithParameters

DETACHED: dict[str, Any] = {"detach": True, "dropout": 0.5}
"""Settings of a head beside a location image: the image is what it is without the head."""


def passport_of(experiment: ExperimentFile, plan: NetworkPlan) -> Passport:
    """The draft passport of a network."""
    labels = plan.label_sigma_km, plan.label_sigma_depth_km
    return draft_passport(experiment, plan.inputs, plan.image_head, plan.mask, labels, plan.log_scale)


def make_network(plan: NetworkPlan, passport: Passport) -> Network:
    """The network with fresh weights. Raises SettingError naming it."""
    try:
        if not plan.image_head:
            return build(plan.kind, plan.settings, InputShape.of(passport, "window"), plan.outputs)
        shape = InputShape.of(passport)
        network = build_image(plan.kind, plan.settings, shape, passport.grid.shape)
        if not isinstance(network, SlimFCN):
            raise SettingError("fcn is trained by `dlloc-train recorded train --network full`; take slim here")
        return with_parameters(network, DETACHED, shape, plan.outputs) if plan.beside_image else network
    except SettingError as error:
        raise SettingError(f"networks.{plan.name}: {error}") from error


def image_network(network: Network) -> SlimFCN:
    """The part of a network that returns its location image."""
    inner = network.network if isinstance(network, ImageWithParameters) else network
    assert isinstance(inner, SlimFCN)
    return inner


def common_parts(network: Network, other: Network) -> tuple[nn.Module, nn.Module]:
    """What one network can take over from another: all; of two of which one has no head beside its location image, the
    network of that.
    """
    if isinstance(network, Regressor) or type(network) is type(other):
        return network, other
    return image_network(network), image_network(other)


def shapes(part: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights by name."""
    return {name: tuple(value.shape) for name, value in part.state_dict().items()}


def take_over(network: Network, start: Network, plan: NetworkPlan) -> bool:
    """Give ``network`` the weights of ``start``; whether these hold the units of its parameters as well.

    Raises SettingError where they do not fit.
    """
    part, theirs = common_parts(network, start)
    try:
        part.load_state_dict(theirs.state_dict())
    except RuntimeError as error:
        raise SettingError(
            f"networks.{plan.name}.start: the weights of {plan.start} do not fit; give both the same settings"
        ) from error
    return part is network
