"""``dlloc model``: what a model is, and whether it computes here what it computed where it was made."""

import argparse
import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import models
from ..errors import ModelError
from ..wording import counted
from . import EXIT_EVENTS, EXIT_OK
from .commands import add_command
from .locate import count, nonempty
from .stdio import printable, say

if TYPE_CHECKING:
    from ..passport import Passport, Preprocessing

DESCRIPTION = """\
Looks at models. A model is one ONNX file with a passport in its metadata: stations, preprocessing, grid, region,
earth model, calibration, provenance, measured skill, and a golden input with the output that it must give.
"""

EPILOG = """\
MODEL is the name of a bundled model (see 'dlloc model list') or the path of an .onnx file.

exit status:
  0   done; for 'check': the golden input gives the expected output on every provider that runs here, and the
      inventory, where one is given, has enough of the model's stations
  1   'check': it does not on some provider, no provider runs (with --require-gpu: CUDA does not), or the inventory
      has too few of the model's stations
  2   the file is no model, has no valid passport, or its weights do not belong to its passport

examples:
  dlloc model list
  dlloc model show oklahoma-fcn-slim
  dlloc model show ./my.onnx --json | jq .calibration
  dlloc model check ./my.onnx --require-gpu
  dlloc model check oklahoma-fcn-slim --inventory stations.xml --time 2016-01-06T01:17:00
"""


def register(subparsers: Any) -> None:
    """Add the command to the parser."""
    parser = add_command(subparsers, "model", "list, show and check models", DESCRIPTION, EPILOG)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = actions.add_parser("list", help="the bundled models, one per line: name, version, network, file")
    listing.set_defaults(run=run_list)

    show = actions.add_parser("show", help="print the passport of a model")
    show.add_argument("model", metavar="MODEL", help="name of a bundled model or path of an .onnx file")
    show.add_argument("--json", action="store_true", help="the passport itself, as JSON")
    show.set_defaults(run=run_show)

    check = actions.add_parser("check", help="run the golden input on every execution provider there is")
    check.add_argument("model", metavar="MODEL", help="name of a bundled model or path of an .onnx file")
    check.add_argument("--require-gpu", action="store_true", help="fail where the model does not run on CUDA")
    check.add_argument("--threads", type=count, metavar="N", help="CPU threads (default: onnxruntime's)")
    check.add_argument(
        "--inventory",
        type=nonempty,
        metavar="FILE",
        help="also compare the model's stations with this inventory: renamed, moved, turned, missing ones are named",
    )
    check.add_argument(
        "--time", type=moment, metavar="T", help="ISO 8601 UTC time for which the inventory counts (default: now)"
    )
    check.set_defaults(run=run_check)


def moment(text: str) -> float:
    """An ISO 8601 time (UTC where it names no zone) as POSIX seconds, for argparse."""
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no time such as 2016-01-06T01:17:00") from error


def _network(passport: "Passport") -> str:
    if not passport.fixed_network:
        return "any network"
    networks = sorted({station.network for station in passport.stations})
    return f"{counted(len(passport.stations), 'station')} of {', '.join(networks)}"


def _span(low_high: tuple[float, float], unit: str) -> str:
    return f"{low_high[0]:g} to {low_high[1]:g} {unit}"


def describe(passport: "Passport", path: Path) -> str:
    """The passport for a reader: one fact per line. Raises ModelError where the file cannot be read."""
    from ..model import read_bytes

    pre, region, calibration = passport.preprocessing, passport.region, passport.calibration
    filtering = "data come filtered" if pre.prefiltered else f"{pre.corners} corners, warm-up {pre.warmup_s:g} s"
    rows: list[tuple[str, str]] = [
        ("model", f"{passport.name} {passport.version}"),
        ("file", str(path)),
        ("about", passport.raw.get("description", "")),
        ("file SHA-256", f"{hashlib.sha256(read_bytes(path)).hexdigest()} (model.sha256 of answers)"),
        ("content SHA-256", f"{passport.content_sha256} (graph and weights, without the passport)"),
        ("network", f"{_network(passport)}, at least {counted(passport.min_stations, 'station')}"),
        ("region", f"latitude {_span(region.latitude, 'deg')}, longitude {_span(region.longitude, 'deg')}"),
        ("depth", _span(region.depth_km, "km below sea level")),
        ("magnitude", _span(region.magnitude, "") if region.magnitude else "not stated"),
        ("band", "; ".join(_bands(passport, filtering))),
        ("window", "; ".join(_windows(passport))),
        ("normalisation", f"{pre.normalisation}, m/s times {pre.unit_scale:g}, detrend {pre.detrend}"),
        ("input", str(passport.representation["kind"])),
        ("head", _head(passport)),
        ("earth model", _earth_model(passport.earth_model)),
        ("calibration", f"abstains below peak {calibration.peak_threshold:g}, "
                        f"covariance times {calibration.covariance_scale:g}"),
    ]  # fmt: skip
    rows += [(f"provenance {key}", str(value)) for key, value in sorted(passport.raw["provenance"].items())]
    rows += [(f"skill {key}", json.dumps(value)) for key, value in sorted(passport.raw.get("skill", {}).items())]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in rows if value)


def _by_scale(passport: "Passport") -> list[tuple[str, "Preprocessing"]]:
    """For networks of each size that the passport tells apart: which, and their preprocessing."""
    limits = sorted(float(row["aperture_km"]) for row in passport.raw.get("scales", []))
    sizes = [f"up to {limit:g} km: " for limit in limits] or [""]
    return [(size, scale.preprocessing) for size, scale in zip(sizes, passport.scales, strict=True)]


def _bands(passport: "Passport", filtering: str) -> list[str]:
    return [
        f"{size}{pre.band_hz[0]:g}-{pre.band_hz[1]:g} Hz ({filtering}), {pre.sampling_rate_hz:g} Hz"
        for size, pre in _by_scale(passport)
    ]


def _windows(passport: "Passport") -> list[str]:
    return [
        f"{size}{pre.window_s:g} s, of which {pre.pretrigger_s:g} s before the first break"
        for size, pre in _by_scale(passport)
    ]


def _head(passport: "Passport") -> str:
    head = passport.head
    if head["kind"] == "vector":
        return "vector: " + ", ".join(f"{p['name']} ({p['unit']})" for p in head["parameters"])
    if head["kind"] == "migration":
        return (
            f"migration: places up to {100 * head['margin_share']:g} % of the network's aperture outside of it, down "
            f"to {head['deepest_km']:g} km"
        )
    grid = passport.grid
    return (
        f"volume: {head['measure']} on {grid.nx} x {grid.ny} x {grid.nz} nodes "
        f"(east, north, down) every {grid.dx_km:g}, {grid.dy_km:g}, {grid.dz_km:g} km"
    )


def _earth_model(earth: dict[str, Any]) -> str:
    if earth["kind"] == "taup":
        return f"TauP {earth['name']}"
    layers = ", ".join(f"{r['vp_km_s']:g}/{r['vs_km_s']:g} km/s from {r['top_km']:g} km" for r in earth["layers"])
    return f"{earth.get('name', 'layers')}: {layers}"


def run_list(arguments: argparse.Namespace) -> int:
    """``dlloc model list``."""
    from ..model import read_passport

    names = models.bundled()
    if not names:
        raise ModelError(f"no model is bundled with this installation ({models.FOLDER}); install the package again")
    for name, path in names.items():
        passport = read_passport(path)
        say(f"{name}  {passport.version}  {_network(passport)}  {path}")
    return EXIT_OK


def run_show(arguments: argparse.Namespace) -> int:
    """``dlloc model show``."""
    from ..model import read_passport

    path = models.resolve(arguments.model)
    passport = read_passport(path)
    if arguments.json:
        say(json.dumps(passport.raw, indent=2, sort_keys=True))
    else:
        say(describe(passport, path))
    return EXIT_OK


def run_check(arguments: argparse.Namespace) -> int:
    """``dlloc model check``."""
    from ..model import PROVIDERS, check_everywhere

    path = models.resolve(arguments.model)
    results = check_everywhere(path, threads=arguments.threads or 0)
    for result in results:
        verdict = ("passed" if result.passed else "FAILED") if result.ran else "not run"
        say(f"{result.provider:<24} {verdict:<8} {result.detail}")
    ran = [result for result in results if result.ran]
    on_gpu = any(result.provider == PROVIDERS["cuda"] for result in ran)
    good = bool(ran) and all(result.passed for result in ran) and (on_gpu or not arguments.require_gpu)
    if arguments.inventory:
        good &= _check_network(path, Path(arguments.inventory), arguments.time)
    return EXIT_OK if good else EXIT_EVENTS


def _check_network(model: Path, inventory: Path, when: float | None) -> bool:
    """Print how the model's stations stand in an inventory; whether there are enough."""
    from ..formats.inventory import read_inventory
    from ..model import read_passport
    from ..network import network_report

    report = network_report(read_passport(model), read_inventory(inventory), time.time() if when is None else when)
    for line in report.lines():
        say(printable(line))
    return report.enough
