"""SeisComP reads the picks that a model made itself from the files of ``dlloc locate``."""

from dataclasses import replace

import pytest
from solutions import seen

from seiscomp_dlloc.formats.scml import VERSIONS, write_scml

pytestmark = pytest.mark.seiscomp

READ = """
import sys
from seiscomp import datamodel, io
archive = io.XMLArchive()
assert archive.open(sys.argv[1])
parameters = datamodel.EventParameters.Cast(archive.readObject())
for i in range(parameters.originCount()):
    origin = parameters.origin(i)
    for j in range(origin.arrivalCount()):
        arrival = origin.arrival(j)
        pick = datamodel.Pick.Find(arrival.pickID())
        if "dlloc" in pick.publicID():
            code, mode = pick.waveformID(), datamodel.EEvaluationModeNames.name(pick.evaluationMode())
            print(i, code.stationCode(), code.channelCode() or "-", pick.phaseHint().code(), arrival.phase().code(),
                  mode, arrival.weight(), arrival.timeUsed(), pick.comment(0).text())
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_its_reader_finds_the_pick_of_every_arrival(host, tmp_path, version):
    path = tmp_path / "own.scml"
    other = replace(seen(), trigger=replace(seen().trigger, event_id="Event/other"))
    path.write_bytes(write_scml([seen(), other], version, own=True))
    told = host.run("seiscomp-python", "-c", READ, path).decode()
    rows = [line.split() for line in told.splitlines()]
    assert [row[0] for row in rows] == ["0"] * 3 + ["1"] * 3
    assert rows[0][1:] == ["S01", "HHZ", "P", "P", "automatic", "0.9", "True", "0.9000"]
    assert rows[4][1:] == ["S01", "HHN", "S", "S", "automatic", "0.75", "True", "0.7500"]
    assert rows[5][1:] == ["S02", "-", "P", "P", "automatic", "0.5", "True", "0.5000"]
