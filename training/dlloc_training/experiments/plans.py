"""What the file says about each network, with what it leaves out filled in."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from seiscomp_dlloc.errors import SettingError

from ..networks.losses import LossSettings
from ..networks.outputs import PARAMETERS, Outputs
from ..networks.registry import IMAGE_NETWORKS, NETWORKS
from .inputs import Kind
from .reading import ExperimentFile

OF_IMAGE = ("x", "y", "depth")
"""Parameters that a location image gives."""

WINDOWS, EPOCHS, WINDOWS_PER_EPOCH, BATCH, LEARNING_RATE, WEIGHT_DECAY = 12, 20, 4, 32, 1e-3, 1e-2


@dataclass(frozen=True)
class NetworkPlan:
    """One network of an experiment. ``kind``: its name in the registry, ``settings`` go there. ``outputs`` are what it
    returns; where that is a location image, what it returns beside it, or, where they hold x, nothing (see
    ``beside_image``). ``lost``: whether it is trained on windows with stations cut out.
    ``events_share``, ``node_stride``: a part of the training events; every so-manyth node along each side of the grid.
    ``data``: which training events; ``virtual``: re-timed recorded ones beside them; ``start``: the network whose
    weights are the first ones; ``searched``: its settings are the best of the search. ``label_sigma_km``,
    ``label_sigma_depth_km``: width of the labels that location images are taught with, None for that of the section
    ``location_image``.
    """

    name: str
    kind: str
    title: str
    inputs: Kind
    mask: bool
    outputs: Outputs
    settings: dict[str, Any]
    lost: bool
    events_share: float
    node_stride: int
    data: Literal["theoretical", "recorded", "both"]
    start: str | None
    searched: bool
    published: Literal["last", "best"]
    epochs: int
    windows_per_epoch: int
    batch: int
    learning_rate: float
    weight_decay: float
    loss: LossSettings
    label_sigma_km: float | None = None
    label_sigma_depth_km: float | None = None
    virtual: bool = False

    @property
    def image_head(self) -> bool:
        """Whether it returns a location image."""
        return self.kind in IMAGE_NETWORKS

    @property
    def beside_image(self) -> tuple[str, ...]:
        """Parameters that it returns beside a location image."""
        return self.outputs.names if self.image_head and not set(self.outputs.names) & set(OF_IMAGE) else ()

    @property
    def log_scale(self) -> bool:
        """Whether it needs to know what normalisation, if any, has divided by: its input does not show its unit."""
        return "magnitude" in self.beside_image

    def resolved(self) -> dict[str, Any]:
        """Everything that was settled, as JSON can hold it."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        widths = ("label_sigma_km", "label_sigma_depth_km")
        return {
            name: value
            for name, value in document.items()
            if (value is not None or name not in widths) and (value or name != "virtual")
        }


def plans(experiment: ExperimentFile) -> tuple[NetworkPlan, ...]:
    """The networks of the file, in its order, each after the one whose weights it starts from.

    Raises SettingError naming the file and the network.
    """
    rows = experiment.settings.get("networks", {})
    if not rows:
        raise SettingError(f"{experiment.path}: networks: there is none; add a section [networks.NAME]")
    made = tuple(_plan(experiment, name, row) for name, row in rows.items())
    before: set[str] = set()
    for plan in made:
        if plan.start is not None and plan.start not in before:
            raise SettingError(
                f"{experiment.path}: networks.{plan.name}.start: {plan.start!r} must stand before it in the file"
            )
        if plan.start is not None and (other := _unlike(plan, next(p for p in made if p.name == plan.start))):
            raise SettingError(
                f"{experiment.path}: networks.{plan.name}.start: {plan.start!r} has other {other}: its weights "
                "do not fit"
            )
        if plan.node_stride > 1 and ("grid" not in experiment.settings["events"] or plan.data == "recorded"):
            raise SettingError(
                f"{experiment.path}: networks.{plan.name}.node_stride: its training events lie on no grid"
            )
        if plan.data != "theoretical" and "recorded" not in experiment.settings:
            raise SettingError(f"{experiment.path}: networks.{plan.name}.data: there is no section recorded")
        if plan.virtual and (plan.data == "theoretical" or plan.events_share < 1.0):
            raise SettingError(
                f"{experiment.path}: networks.{plan.name}.virtual: virtual events are made of all recorded training "
                "events; they go with data = 'recorded' or 'both', without events_share"
            )
        if plan.virtual and not experiment.settings["recorded"].get("virtual"):
            raise SettingError(
                f"{experiment.path}: recorded.virtual: say how many, networks.{plan.name} wants virtual events"
            )
        if plan.searched and experiment.settings.get("search", {}).get("network") != plan.name:
            raise SettingError(f"{experiment.path}: networks.{plan.name}.searched: no section search is about it")
        before.add(plan.name)
    return made


def _unlike(plan: NetworkPlan, other: NetworkPlan) -> str:
    """What of two networks differs so that one cannot take the other's weights, empty where nothing does."""
    names = ["kind", "inputs", "mask"]
    if not plan.image_head or (plan.beside_image and other.beside_image):
        names.append("outputs")  # without any, a network takes over, or gives, its location image alone
    return ", ".join(name for name in names if getattr(plan, name) != getattr(other, name))


def plan_of(experiment: ExperimentFile, name: str) -> NetworkPlan:
    """The network of that name; SettingError lists the known ones."""
    found = {plan.name: plan for plan in plans(experiment)}
    if name not in found:
        raise SettingError(f"{experiment.path}: there is no network {name!r}; known are {', '.join(found)}")
    return found[name]


def plan_to_search(experiment: ExperimentFile) -> NetworkPlan:
    """The network of the section ``search``; SettingError without that section, and for one without settings."""
    if "search" not in experiment.settings:
        raise SettingError(f"{experiment.path}: search: the section is missing")
    plan = plan_of(experiment, experiment.settings["search"]["network"])
    if plan.image_head:
        raise SettingError(f"{experiment.path}: search.network: {plan.kind} has no settings to search")
    return plan


def _plan(experiment: ExperimentFile, name: str, row: dict[str, Any]) -> NetworkPlan:
    where, kind = f"{experiment.path}: networks.{name}", row["network"]
    common = {**experiment.settings.get("training", {}), **row}
    image_head = kind in IMAGE_NETWORKS
    allowed = ("stations",) if image_head else NETWORKS[kind].kinds
    default: Kind = "stations" if "stations" in allowed else "images"
    inputs: Kind = row.get("inputs", default)
    if ("snapshots" if inputs == "images" else "stations") not in allowed:
        raise SettingError(f"{where}.inputs: {kind} does not take {inputs}")
    if image_head:
        _check_beside_image(f"{where}.outputs", row.get("outputs", []))
    if image_head and row.get("mask"):
        raise SettingError(f"{where}.mask: {kind} takes no mask; leave it out")
    for label in ("label_sigma_km", "label_sigma_depth_km"):
        if not image_head and label in row:
            raise SettingError(f"{where}.{label}: {kind} returns no location image; leave it out")
    try:
        outputs = Outputs(
            tuple(tuple(group) for group in row.get("outputs", [list(PARAMETERS)])), row.get("uncertainty", True)
        )
        loss = LossSettings(**common.get("loss", {}))
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error
    return NetworkPlan(
        name,
        kind,
        row.get("title", name),
        inputs,
        row.get("mask", False),
        outputs,
        row.get("settings", {}),
        row.get("lost", False),
        row.get("events_share", 1.0),
        row.get("node_stride", 1),
        row.get("data", "theoretical"),
        row.get("start"),
        row.get("searched", False),
        row.get("published", "last"),
        common.get("epochs", EPOCHS),
        common.get("windows_per_epoch", WINDOWS_PER_EPOCH),
        common.get("batch", BATCH),
        common.get("learning_rate", LEARNING_RATE),
        common.get("weight_decay", WEIGHT_DECAY),
        loss,
        row.get("label_sigma_km"),
        row.get("label_sigma_depth_km"),
        row.get("virtual", False),
    )


def _check_beside_image(where: str, groups: list[list[str]]) -> None:
    """Raise SettingError for outputs that a head beside a location image does not have."""
    if len(groups) > 1:
        raise SettingError(f"{where}: give one group beside a location image, not {len(groups)}")
    if found := [name for group in groups for name in group if name in OF_IMAGE]:
        allowed = ", ".join(name for name in PARAMETERS if name not in OF_IMAGE)
        raise SettingError(f"{where}: the location image gives {', '.join(found)}; beside it there can be {allowed}")
