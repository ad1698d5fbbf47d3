"""The theoretical events of an experiment: places, magnitudes, mechanisms, and which of them are for what.

Splits are by node of the hypocentre grid: events of one node have nearly the same seismograms where all have one
mechanism, so that a node in training and in the test alike would measure memory. Events off the nodes test what lies
between them.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from seiscomp_dlloc.errors import SettingError

from ..moment import double_couple, moment_from_magnitude, random_double_couples
from .reading import ExperimentFile, Region

FloatArray = NDArray[np.float64]

TRAIN, HELD_OUT, TEST, OFF_NODE = "train", "held out", "test", "off node"
SPLITS = (TRAIN, HELD_OUT, TEST, OFF_NODE)
"""What an event is for: training, selection and calibration, the test, the test between the nodes."""

TEST_SHARE, HELD_OUT_SHARE = 0.15, 0.15
STRESS_DROP_MPA = (0.5, 20.0)


@dataclass(frozen=True)
class MadeEvents:
    """Theoretical events; arrays (event,). Depths km below sea level, ``tensors`` (event, 3, 3) N m, north-east-down.

    ``node``: index of the node, -1 off the nodes; ``split``: index into :data:`SPLITS`; ``model``: index of the earth
    model.
    """

    latitude: FloatArray
    longitude: FloatArray
    depth_km: FloatArray
    magnitude: FloatArray
    stress_drop_mpa: FloatArray
    tensors: FloatArray
    node: NDArray[np.int64]
    split: NDArray[np.int64]
    model: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.latitude)

    def take(self, chosen: NDArray[np.int64]) -> "MadeEvents":
        """The events of these indices."""
        return MadeEvents(*(getattr(self, item.name)[chosen] for item in fields(self)))

    def of(self, split: str) -> NDArray[np.int64]:
        """Indices of the events of a split."""
        return np.flatnonzero(self.split == SPLITS.index(split))


def grid_nodes(region: Region, spacing_deg: float, spacing_depth_km: float) -> FloatArray:
    """Nodes (node, 3) latitude, longitude, depth that fill the region, centred in it. Raises SettingError."""
    axes = []
    for low, high, step, name in (
        (region.south, region.north, spacing_deg, "spacing_deg"),
        (region.west, region.east, spacing_deg, "spacing_deg"),
        (region.top_km, region.bottom_km, spacing_depth_km, "spacing_depth_km"),
    ):
        count = int(np.floor((high - low) / step + 1e-9)) + 1
        if count > 1000:
            raise SettingError(f"events.grid.{name} {step:g} makes {count} nodes along one side: a slip of the pen?")
        axes.append(0.5 * (low + high) + step * (np.arange(count) - 0.5 * (count - 1)))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def draw_events(experiment: ExperimentFile) -> MadeEvents:
    """The events of an experiment, the same for the same file."""
    rng = np.random.default_rng([experiment.seed, 1])
    wanted = experiment.settings["events"]
    region = experiment.region
    if "grid" in wanted:
        grid = wanted["grid"]
        nodes = grid_nodes(region, grid["spacing_deg"], grid["spacing_depth_km"])
        node = np.repeat(np.arange(len(nodes)), grid.get("per_node", 1))
        places = nodes[node]
    else:
        places = _anywhere(rng, region, wanted["count"])
        node = np.arange(len(places))
    split = _split_nodes(rng, node, wanted)
    off = _anywhere(rng, region, wanted.get("off_node", 0))
    places = np.concatenate([places, off])
    node = np.concatenate([node, np.full(len(off), -1)])
    split = np.concatenate([split, np.full(len(off), SPLITS.index(OFF_NODE))])

    least, largest = wanted["magnitude"]
    return placed(rng, experiment, places, rng.uniform(least, largest, len(places)), node, split)


def placed(
    rng: np.random.Generator,
    experiment: ExperimentFile,
    places: FloatArray,
    magnitude: FloatArray,
    node: NDArray[np.int64],
    split: NDArray[np.int64],
) -> MadeEvents:
    """Events at ``places`` (event, 3) latitude, longitude, depth, with the rest drawn as the experiment says."""
    wanted, count = experiment.settings["events"], len(places)
    low, high = wanted.get("stress_drop_mpa", STRESS_DROP_MPA)
    return MadeEvents(
        places[:, 0],
        places[:, 1],
        places[:, 2],
        magnitude,
        np.exp(rng.uniform(np.log(low), np.log(high), count)),
        _tensors(rng, wanted.get("mechanism", "random"), magnitude),
        node,
        split,
        rng.integers(experiment.settings["earth"].get("models", 1), size=count),
    )


def _anywhere(rng: np.random.Generator, region: Region, count: int) -> FloatArray:
    low = np.array([region.south, region.west, region.top_km])
    high = np.array([region.north, region.east, region.bottom_km])
    return np.asarray(low + (high - low) * rng.random((count, 3)))


def _split_nodes(rng: np.random.Generator, node: NDArray[np.int64], wanted: dict[str, float]) -> NDArray[np.int64]:
    nodes = rng.permutation(int(node.max()) + 1)
    tests = round(len(nodes) * wanted.get("test_share", TEST_SHARE))
    held = round(len(nodes) * wanted.get("held_out_share", HELD_OUT_SHARE))
    if len(nodes) - tests - held < 1:
        raise SettingError(f"events: of {len(nodes)} nodes none is left for training; lower test_share, held_out_share")
    of_node = np.full(len(nodes), SPLITS.index(TRAIN))
    of_node[nodes[:tests]] = SPLITS.index(TEST)
    of_node[nodes[tests : tests + held]] = SPLITS.index(HELD_OUT)
    return of_node[node]


def _tensors(rng: np.random.Generator, mechanism: object, magnitude: FloatArray) -> FloatArray:
    moment = moment_from_magnitude(magnitude)
    if isinstance(mechanism, dict):
        return double_couple(mechanism["strike_deg"], mechanism["dip_deg"], mechanism["rake_deg"], moment)
    return random_double_couples(rng, moment)
