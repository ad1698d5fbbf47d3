"""Models for any network on recorded events of several networks, in one table (needs the training package).

    python bench/anynet_networks.py --data DIR -o OUT [--model NAME|FILE ...] [--networks NAME ...]
                                    [--conditions NAME ...] [--every N] [--write NAME]

``--data`` holds a folder of events for each network (catalog.xml, stations.xml, waveforms/, perhaps split.csv). Each is
measured by ``dlloc-train anynet measure`` beside the conventional chain, into OUT/NAME, where answers are kept: a
stopped run goes on. Earths: `earths/oklahoma.csv` and `earths/newberry.csv` beside this script, published with their
sources; those of `hengill` and `iceland_dike` are the folders' own, the latter's points joined by gradients and cut
into layers of half a kilometre (P and S within 0.05 s to 60 km).
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dlloc_training import __main__ as training
from tables import markdown, publish

HERE = Path(__file__).resolve().parent
COLUMNS = (
    "network", "P's SNR", "stations", "condition", "locator", "events", "epicentre mean [68 %] km", "median [68 %] km",
    "p90 km", "within 10 km", "depth MAE [68 %] km", "accepted", "failed",
)  # fmt: skip


def published(folder: Path, _: Path) -> Path:
    """The earth of that name beside this script."""
    return HERE / "earths" / f"{folder.name}.csv"


def hengill(folder: Path, _: Path) -> Path:
    """The folder's own, in the columns of NonLinLoc's layers."""
    return folder / "velocity_model_local.txt"


def iceland_dike(folder: Path, into: Path) -> Path:
    """The folder's own points (Depth,Vp,Vs) as layers of half a kilometre to 6 km, then from point to point, each with
    the mean slowness of its gradient.
    """
    with (folder / "iceland_vmodel.txt").open(newline="") as file:
        rows = [[float(row[name]) for name in ("Depth", "Vp", "Vs")] for row in csv.DictReader(file)]
    depth, vp, vs = np.array(rows).T
    tops = np.unique(np.concatenate([np.arange(depth[0], 6.0, 0.5), depth[depth >= 6.0]]))
    lines = ["depth_km,vp_km_s,vs_km_s"]
    for top, bottom in zip(tops, [*tops[1:], tops[-1]], strict=True):
        at = np.linspace(top, bottom, 51)
        means = (1.0 / np.mean(1.0 / np.interp(at, depth, values)) for values in (vp, vs))
        lines.append(",".join(f"{value:.4f}" for value in (top, *means)))
    path = into / "iceland_dike.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(frozen=True)
class NetworkData:
    """``earth``: from the folder, and one to write into, to the earth's file. ``times``: whether the catalogue's origin
    times mean anything. ``cut``: events that a record's end has cut, not to be located.
    """

    earth: Callable[[Path, Path], Path]
    times: bool = True
    cut: tuple[str, ...] = ()


NETWORKS = {
    # Times of its windows are known to about a second
    "oklahoma": NetworkData(published, times=False),
    "newberry": NetworkData(published),
    # Origin times are truncated to the second; the record begins three seconds before its first event
    "hengill": NetworkData(hengill, times=False, cut=("e000",)),
    "iceland_dike": NetworkData(iceland_dike),
}


def without(folder: Path, events: Sequence[str], into: Path) -> Path:
    """A folder of the same name whose split.csv leaves some events out; ``folder`` itself where that has one."""
    if not events or (folder / "split.csv").exists():
        return folder
    from dlloc_training.catalogue import short_id

    from seiscomp_dlloc.formats.triggers import read_triggers

    made = into / folder.name
    made.mkdir()
    for name in ("catalog.xml", "stations.xml", "waveforms"):
        (made / name).symlink_to((folder / name).resolve())
    names = [short_id(trigger) for trigger in read_triggers(folder / "catalog.xml").triggers]
    rows = [f"{name},{'cut' if name in events else 'test'}" for name in names]
    (made / "split.csv").write_text("\n".join(["event,split", *rows]) + "\n")
    return made


def measured(name: str, arguments: argparse.Namespace, into: Path) -> dict[str, Any]:
    """What ``anynet measure`` found on one network. Raises RuntimeError where it fails."""
    network, folder = NETWORKS[name], arguments.data.resolve() / name
    out = arguments.output / name
    command = ["anynet", "measure", "--data", str(without(folder, network.cut, into)), "--rival", "conventional"]
    command += ["--model", *arguments.model, "--earth-model", str(network.earth(folder, into)), "-o", str(out)]
    command += ["--conditions", *arguments.conditions, "--every", str(arguments.every)]
    command += [] if network.times else ["--no-time"]
    if training.main(command) != 0:
        raise RuntimeError(f"{name}: could not be measured")
    return dict(json.loads((out / "measured.json").read_text("utf-8")))


def interval(found: dict[str, Any]) -> str:
    """``value [low, high]``."""
    if found["value"] is None:
        return "-"
    return f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def lines(name: str, found: dict[str, Any]) -> list[list[str]]:
    """The table's lines of one network."""
    around = found["surroundings"]
    loud = [
        "-" if around[key] is None else f"{around[key]:{form}}" for key, form in (("snr", ".1f"), ("stations", "g"))
    ]
    out = []
    for item in found["results"]:
        row, lost = item["answers"]["row"], sum(item["failed"].values())
        accepted = (
            "-" if item["accepted"] is None else str(len(item["events"]) - lost - sum(item["abstained"].values()))
        )
        p90 = row["epicentre"]["p90"]["value"]
        out.append([
            name, *loud, item["condition"] or "any", item["name"], str(row["epicentre"]["count"]),
            interval(row["epicentre"]["mean"]), interval(row["epicentre"]["median"]),
            "-" if p90 is None else f"{p90:.2f}", f"{100 * item['answers']['near']:.0f} %",
            interval(row["depth_mae"]), accepted, str(lost) if item["condition"] else "-",
        ])  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="with a folder for each network")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for what is measured")
    parser.add_argument("--model", nargs="+", default=["migration", "anynet"], help="default: %(default)s")
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--conditions", nargs="+", default=["clean"], help="as `anynet measure` has them")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th event (default: all)")
    parser.add_argument("--write", metavar="NAME", help="write the table into bench/README.md as section NAME")
    arguments = parser.parse_args()
    rows, facts = [], {}
    with tempfile.TemporaryDirectory() as place:
        for name in arguments.networks:
            found = measured(name, arguments, Path(place))
            rows += lines(name, found)
            facts = {key: found["header"][key] for key in ("models", "trigger", "intervals")}
    about = "\n".join(f"* {label}: {text}" for label, text in facts.items())
    text = f"{about}\n\n{markdown(COLUMNS, rows)}"
    (arguments.output / "networks.md").write_text(text + "\n", "utf-8")
    publish(text, arguments.write)


if __name__ == "__main__":
    main()
