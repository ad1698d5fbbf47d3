"""A bundle's event is located again, and the answers are compared."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..arrivals.gridearth import KIND, GridEarth
from ..errors import BundleError, ModelError, SettingError
from ..formats.plain import as_json
from ..geometry import distance_azimuth
from ..locate import Located, Locator, RunsModel
from ..records import Solution
from ..traveltimes import hash_of
from .content import Bundle, json_bytes

# The answer is the same again to the metre and the millisecond; other numbers to what another processor may change
NEAR_M, NEAR_S, NEAR = 1.0, 1e-3, 1e-3


def replay(bundle: Bundle, model: RunsModel, grids: GridEarth | None = None) -> Located:
    """Locate again, with the earth model and corrections of the bundle where it has any.

    ``grids``: the time grids that the bundle names and does not hold. Raises BundleError where ``model`` or ``grids``
    are not those that answered, or do not go with the rest.
    """
    wanted = bundle.manifest["model"]["sha256"]
    if model.identity.sha256 != wanted:
        raise BundleError(
            f"the bundle was answered by {bundle.model_label} (SHA-256 {wanted[:12]}...), the model given is "
            f"{model.identity.label} ({model.identity.sha256[:12]}...); give that model's file with --model"
        )
    try:
        earth = _earth(bundle, grids)
        locator = Locator(model, bundle.inventory, bundle.options, earth, bundle.corrections)
    except (ModelError, SettingError) as error:
        raise BundleError(f"the bundle's earth model and corrections cannot be used: {error}") from error
    return next(iter(locator.run([bundle.job])))


def _earth(bundle: Bundle, grids: GridEarth | None) -> dict[str, Any] | GridEarth | None:
    """The earth model to locate with: the bundle's, or the grids that it names."""
    kept = bundle.earth_model
    if kept is None or kept["kind"] != KIND:
        if grids is not None:
            raise BundleError("the bundle was answered without time grids, and holds its earth model; give none")
        return kept
    if grids is None:
        raise BundleError(
            f"the bundle was answered with the time grids of a folder {kept['name']} (content {hash_of(kept)}), which "
            "it does not hold; give that folder with --earth-model"
        )
    if hash_of(grids.document) != hash_of(kept):
        raise BundleError(
            f"the bundle was answered with the time grids of a folder {kept['name']} (content {hash_of(kept)}), those "
            f"given are of {grids.name} (content {hash_of(grids.document)}); give the folder as it was"
        )
    return grids


def differences(before: Mapping[str, Any], solution: Solution) -> tuple[str, ...]:
    """What of the answer kept (:func:`~seiscomp_dlloc.formats.plain.as_json`) differs from ``solution``'s.

    Equal are hypocentres within a metre, times within a millisecond, other numbers within a thousandth.
    """
    after = json.loads(json_bytes(as_json(solution)))
    told: list[str] = []
    try:
        _compare_places(before, after, told)
    except (KeyError, TypeError, ValueError) as error:
        told.append(f"the hypocentre that was kept cannot be read ({error})")
    places = {"time", "latitude", "longitude", "depth_km"}
    for key, new in after.items():
        if key not in places and not _same(before.get(key), new) and key != "model":
            told.append(f"{key}: {_brief(before.get(key))} before, {_brief(new)} now")
    return tuple(told)


def _compare_places(before: Mapping[str, Any], after: dict[str, Any], told: list[str]) -> None:
    if (before["latitude"] is None) != (after["latitude"] is None):
        told.append("a hypocentre only " + ("now" if before["latitude"] is None else "before"))
        return
    if after["latitude"] is None:
        return
    old, new = ([float(row[k]) for k in ("latitude", "longitude", "depth_km")] for row in (before, after))
    away_m = 1000.0 * float(distance_azimuth(old[0], old[1], new[0], new[1])[0])
    deeper_m = 1000.0 * (new[2] - old[2])
    later_s = _seconds(after["time"]) - _seconds(before["time"])
    for what, value, near, unit in (
        ("epicentre", away_m, NEAR_M, "m"), ("depth", deeper_m, NEAR_M, "m"), ("origin time", later_s, NEAR_S, "s"),
    ):  # fmt: skip
        # The answer's own time is rounded to the millisecond
        if not abs(value) <= near * 1.5:
            told.append(f"{what}: {value:+.3f} {unit}")


def _seconds(text: Any) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


def _same(before: Any, after: Any) -> bool:
    if isinstance(after, float | int) and isinstance(before, float | int) and not isinstance(after, bool):
        return math.isclose(before, after, rel_tol=NEAR, abs_tol=NEAR)
    if isinstance(after, dict) and isinstance(before, dict):
        return before.keys() == after.keys() and all(_same(before[key], after[key]) for key in after)
    if isinstance(after, list) and isinstance(before, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after)


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
