"""What the report says in words: where its events come from, how they were split, what its figures rest on."""

import datetime

from seiscomp_dlloc import __version__

from ..drawing import HELD_OUT_SHARE, TEST_SHARE
from ..predictions import HELD_OUT, TEST
from ..reading import ExperimentFile
from .plots import SYNTHETIC
from .results import RECORDED, THEORETICAL, Results, is_recorded, set_title
from .trivial import NOTES


def banner(results: Results) -> str:
    """What has to be known first; empty where every set is of recorded events."""
    if all(is_recorded(name) for name in results.sets):
        return ""
    return (
        f"{SYNTHETIC}: every figure of theoretical events comes from computed seismograms and is no measure of skill "
        "on real earthquakes."
    )


def facts(experiment: ExperimentFile, results: Results, today: datetime.date) -> dict[str, str]:
    """Label -> text."""
    region, source = experiment.region, experiment.settings["network"].get("source", "")
    found = {
        "experiment": f"{experiment.path.name}, seed {experiment.seed}",
        "written": f"{today.isoformat()} by dlloc_training {__version__}",
        "stations": f"{len(experiment.stations)}" + (f"; {source.strip()}" if source else ""),
        "region": f"latitude {region.south:g} to {region.north:g}, longitude {region.west:g} to {region.east:g} "
        f"degrees, {region.top_km:g} to {region.bottom_km:g} km below sea level",
    }
    earth = experiment.settings["earth"].get("source", "")
    if earth:
        found["earth model"] = earth.strip()
    trained = [f"{len(events.depth_km)} {kind}" for kind, events in results.training.items()]
    if trained:
        found["training events"] = ", ".join(trained)
    found["evaluated"] = ", ".join(f"{len(results.of(name)[0].sets[name])} {set_title(name)}" for name in results.sets)
    machines = dict.fromkeys(network.meta.machine for network in results.networks)
    hours = sum(network.meta.seconds for network in results.networks) / 3600
    found["trained"] = f"in {hours:.2f} h in all, on {'; '.join(machines)}"
    found["sizes"] = "in brackets behind a network: training events x windows of each in an epoch x epochs"
    found["intervals"] = "68 %, percentile bootstrap over events (coverage: Wilson's)"
    if results.missing:
        found["left out"] = "; ".join(results.missing)
    return found


def splits(experiment: ExperimentFile, results: Results) -> tuple[str, ...]:
    """How events were divided, a paragraph for theoretical and one for recorded ones."""
    wanted = experiment.settings["events"]
    shares = [f"{100 * wanted.get(key, default):g} %"
              for key, default in (("test_share", TEST_SHARE), ("held_out_share", HELD_OUT_SHARE))]  # fmt: skip
    kind = "of one mechanism" if isinstance(wanted.get("mechanism"), dict) else "of random mechanisms"
    if "grid" in wanted:
        grid = wanted["grid"]
        place = (
            f"on the nodes of a grid, {grid['spacing_deg']:g} degrees by {grid['spacing_depth_km']:g} km apart, "
            f"{grid.get('per_node', 1)} at each"
        )
        how = (
            "The split is by node of the grid, never by image or window: all events of a node are for training, held "
            "out or for the test together, because events of one node have nearly the same seismograms"
        )
    else:
        place = "anywhere in the region"
        how = "The split is by event, never by image or window"
    low, high = wanted["magnitude"]
    made = (
        f"Theoretical events {kind}, magnitudes {low:g} to {high:g}, lie {place}. {how} "
        f"({shares[0]} test, {shares[1]} held out). "
        "Held-out events select the epoch and scale the sigmas; test events are used for nothing but this report."
    )
    off = " Events off the nodes lie anywhere in the region; none of them is trained on." if "grid" in wanted else ""
    paragraphs = [made + (off if wanted.get("off_node") else "")]
    if any(is_recorded(name) for name in results.sets):
        source = experiment.settings.get("recorded", {}).get("source", "")
        paragraphs.append(
            "Recorded events are split by event, as the folder's split.csv has them, and some training events are held "
            "out. Errors are against the catalogue, whose own errors are in every figure."
            + (f" Data: {source.strip().rstrip('.')}." if source else "")
        )
    return tuple(paragraphs)


def baseline_notes(results: Results) -> tuple[str, ...]:
    """What the rows of trivial baselines are."""
    if not results.training:
        return ()
    text = " ".join(f"{name[:1].upper()}{name[1:]}: {note}." for name, note in NOTES.items())
    if {RECORDED, THEORETICAL} <= results.training.keys():
        text += " For recorded sets these are recorded training events, for the others theoretical ones."
    return (text,)


def same_events(results: Results) -> tuple[str, ...]:
    """A warning for each set that networks were not all tested on alike."""
    said = []
    for name in results.sets:
        first, *others = results.of(name)
        differ = [n.title for n in others if set(n.sets[name].names) != set(first.sets[name].names)]
        if differ:
            said.append(
                f"Of the {set_title(name)}, {', '.join(differ)} answered other events than {first.title}: their rows "
                "cannot be compared, and the baselines are those of the latter."
            )
    return tuple(said)


def of_interest(results: Results) -> tuple[str, ...]:
    """Sets whose tables and figures are shown one by one: all but those with stations cut out."""
    return tuple(name for name in results.sets if name in (TEST, HELD_OUT) or not name.startswith("lost-"))
