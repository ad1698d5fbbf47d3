"""The table of networks of Sugiyama et al. (2021), Earth Planets Space 73, 135, with our networks below its rows."""

from collections.abc import Sequence

from ..predictions import RECORDED_TEST, TEST
from ..reading import ExperimentFile
from .document import Cell, Table
from .measures import with_unit
from .results import NetworkResults, Results
from .scores import Scores
from .tables import PARAMETERS

ROWS = ("2D CNN", "ConvNetQuake", "3D CNN", "3D CNN with cutout")
_KINDS = {"image_cnn": "2D CNN", "convnetquake": "ConvNetQuake", "volume_cnn": "3D CNN"}


def row_of(network: NetworkResults) -> str | None:
    """The row of the paper's table that a network belongs to; None for what the paper does not have."""
    plan = network.plan
    if network.reduced or plan.data != "theoretical" or plan.kind not in _KINDS:
        return None
    row = _KINDS[plan.kind]
    if plan.lost:
        return "3D CNN with cutout" if row == "3D CNN" else None
    return row


def chosen(networks: Sequence[NetworkResults]) -> dict[str, NetworkResults]:
    """The network of each row: the first in the file; of 2D CNNs the one that is, as in the paper, several networks."""
    found: dict[str, NetworkResults] = {}
    for network in networks:
        row = row_of(network)
        if row is None:
            continue
        better = row == ROWS[0] and row in found and _networks(network) > _networks(found[row])
        if row not in found or better:
            found[row] = network
    return found


def _networks(network: NetworkResults) -> int:
    return len(network.plan.outputs.groups)


def no_recorded(experiment: ExperimentFile, results: Results) -> str:
    """Why there is no observed column; empty where there is one."""
    if results.of(RECORDED_TEST):
        return ""
    given: str = experiment.settings.get("evaluation", {}).get("no_recorded", "")
    return given or (
        "recorded test events were not evaluated" if "recorded" in experiment.settings else
        "the experiment has no recorded events"
    )  # fmt: skip


def paper_table(experiment: ExperimentFile, results: Results, scores: Scores) -> Table | None:
    """RMSE on theoretical and on observed test events; None where no network is one of the paper's."""
    rows = chosen(results.networks)
    if not rows:
        return None
    ours = [n for n in results.networks if not n.reduced and n not in rows.values()]
    cells: list[tuple[Cell, ...]] = []
    for name in ROWS:
        network = rows.get(name)
        cells.append((name if network is None else f"{name}: {network.label}",
                      *_figures(network, scores)))  # fmt: skip
    cells += [(f"ours: {network.label}", *_figures(network, scores)) for network in ours]
    heads = ["RMSE"]
    heads += [f"{kind}: {with_unit(q)}" for kind in ("theoretical", "observed") for q in PARAMETERS]
    note = "Test events of nodes that training has not seen, with all stations."
    absent = [name for name in ROWS if name not in rows]
    if absent:
        note += f" Not evaluated: {', '.join(absent)}."
    reason = no_recorded(experiment, results)
    if reason:
        note += f" Observed columns are blank: {reason}."
    return Table("sugiyama-2021", tuple(heads), tuple(cells), note)


def _figures(network: NetworkResults | None, scores: Scores) -> list[Cell]:
    cells: list[Cell] = []
    for name in (TEST, RECORDED_TEST):
        score = None if network is None else scores.networks.get((network.plan.name, name))
        measures = {} if score is None else score.measures
        cells += [measures[q].rmse.value if q in measures else "" for q in PARAMETERS]
    return cells
