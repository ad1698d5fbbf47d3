"""Solutions to write in tests, and the schemas that ObsPy ships to check what was written."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import obspy
from lxml import etree

from seiscomp_dlloc.formats.document import Labels
from seiscomp_dlloc.records import (
    Abstention,
    Arrival,
    Dropped,
    Hypocenter,
    Magnitude,
    ModelIdentity,
    Onset,
    Pick,
    Solution,
    StationMagnitude,
    Trigger,
)

T0 = 1577934245.25
LABELS = Labels(token="test", created=1.7e9, agency_id="TST", version="9.9")
MODEL = ModelIdentity("sample", "1.2.3", "ab" * 32, "CPUExecutionProvider")
# 1 km east, 2 km north, 3 km down, tilted
COVARIANCE = np.array([[1.0, 0.5, 0.2], [0.5, 4.0, 0.1], [0.2, 0.1, 9.0]])


def picks(count: int = 4) -> tuple[Pick, ...]:
    return tuple(
        Pick(f"Pick/2020.{i}", T0 + 1 + i, "XX", f"S{i:02d}", "00" if i else "", "HHZ", "P") for i in range(count)
    )


def solution(**changes: Any) -> Solution:
    """An accepted solution with everything; ``changes`` replace fields, ``covariance`` that of the hypocentre."""
    covariance = changes.pop("covariance", COVARIANCE)
    seen = picks()
    base = Solution(
        trigger=Trigger("Origin/2020 1@x", T0, "Event/abcd", 35.0, -97.0, 5.0, seen),
        model=MODEL,
        hypocenter=Hypocenter(35.2, -97.1, -1.25, np.asarray(covariance, float), T0 + 0.25, 0.3),
        magnitude=Magnitude(
            2.5,
            "ML",
            0.2,
            (
                StationMagnitude("XX.S01", "00.HHN", 0.3, T0 + 9, 20.0, 2.4),
                StationMagnitude("XX.S02", "HHE", 0.4, T0 + 9.5, 30.0, 2.7),
            ),
        ),
        peak=0.8125,
        secondary_peaks=1,
        arrivals=tuple(
            Arrival(p, "P", 10.0 + 10 * i, 30.0 * i, 0.1 * i, 0.0 if i == 0 else 1.0) for i, p in enumerate(seen)
        ),
        used_stations=("XX.S01", "XX.S02", "XX.S03"),
        azimuthal_gap_deg=120.0,
        min_distance_km=10.0,
        max_distance_km=40.0,
        anchor=T0 + 1,
        dropped=(Dropped("XX.S09", "dead"), Dropped("XX.S10..HHN", "clipped")),
        notes=("filter warm-up left out",),
    )
    return replace(base, **changes)


ONSETS = (
    Onset("XX.S01", "P", T0 + 3.0, 0.9, 0.02, 20.0, 30.0, "XX.S01.00.HHZ"),
    Onset("XX.S01", "S", T0 + 5.5, 0.75, -0.1, 20.0, 30.0, "XX.S01.00.HHN"),
    Onset("XX.S02", "P", T0 + 4.25, 0.5, 0.3, 30.0, 60.0),
    Onset("XX.S03", "P", T0 + 6.0, 0.49, 0.1, 40.0, 90.0, "XX.S03..HHZ"),
    Onset("XX.S03", "S", T0 + 9.0, 0.8, float("nan"), 40.0, 90.0),
)


def seen(**changes: Any) -> Solution:
    """A migration's solution: the trigger's picks have no weight in it."""
    base = solution(onsets=ONSETS)
    return replace(base, arrivals=tuple(replace(a, weight=0.0) for a in base.arrivals), **changes)


def refusal(**changes: Any) -> Solution:
    """An abstention without hypocentre."""
    return replace(
        Solution(
            Trigger("smi:local/origin/7", T0), MODEL, abstention=Abstention("too few stations", "2 of at least 5")
        ),
        **changes,
    )


@lru_cache
def _schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(Path(obspy.__file__).parent / "io" / name)))


def quakeml_errors(document: bytes) -> str:
    """What QuakeML 1.2's XML schema and ObsPy's RelaxNG say against the document."""
    tree = etree.fromstring(document)
    rng = etree.RelaxNG(etree.parse(str(Path(obspy.__file__).parent / "io/quakeml/data/QuakeML-1.2.rng")))
    schema = _schema("quakeml/data/QuakeML-1.2.xsd")
    return ("" if schema.validate(tree) else str(schema.error_log)) + ("" if rng.validate(tree) else str(rng.error_log))


def scml_errors(document: bytes, version: str) -> str:
    """What SCML's schema says against the document."""
    schema = _schema(f"seiscomp/data/{'scml' if version == '0.14' else 'sc3ml'}_{version}.xsd")
    return "" if schema.validate(etree.fromstring(document)) else str(schema.error_log)


def find(document: bytes, *path: str) -> list[etree._Element]:
    """Elements along a path of local names from anywhere."""
    expression = "//" + "/".join(f"*[local-name()='{name}']" for name in path)
    found: list[etree._Element] = etree.fromstring(document).xpath(expression)
    return found


def value(document: bytes, *path: str) -> float:
    """The one number along a path."""
    (element,) = find(document, *path)
    return float(element.text)


def comments(document: bytes) -> dict[str, str]:
    """Comments by the last part of their id."""
    rows = {}
    for element in find(document, "comment"):
        texts = {etree.QName(child).localname: child.text for child in element}
        identifier = element.get("id") or texts["id"]
        rows[identifier.rpartition("dlloc/")[2]] = texts["text"]
    return rows
