"""A profile in an installation: its model, earth, inventory and waveforms, looked at as the worker will use them."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from obspy import Inventory

from .. import models
from ..defaults import default_earth
from ..errors import DllocError, InstallError
from ..formats.corrections import read_corrections
from ..formats.gridfolders import read_earth
from ..formats.inventory import read_inventory
from ..locate import Locator
from ..model import load, read_passport
from ..network import inventory_stations, network_report
from ..settings.values import Profile, Settings
from ..traveltimes import name_of
from ..waveforms import open_source
from ..waveforms.factory import is_recordstream
from ..waveforms.recordstream import RecordstreamSource
from .findings import FAULT, NOTE, OK, WARNING, Finding

_CHECK_S = 120.0
_HELPER_S = 60.0


def check_profile(profile: Profile, settings: Settings, host_works: bool, runs: bool, when: float) -> Iterator[Finding]:
    """Findings about one profile. ``runs``: whether the worker's interpreter does; ``when`` POSIX s."""
    subject = f"profile {profile.name}"
    try:
        path = models.resolve(profile.model or models.DEFAULT)
        passport = read_passport(path)
    except DllocError as error:
        yield Finding(FAULT, subject, str(error), f"set profile.{profile.name}.model to a model that is there")
        return
    if runs:
        yield _golden(subject, path, settings)
    seen: tuple[Inventory, str] | None = None
    problem = ""
    looked = host_works or bool(profile.inventory)
    if looked:
        try:
            seen = inventory_of(profile, settings)
        except DllocError as error:
            problem = str(error)
    # Without its name the earth of a model for any network goes with the stations
    wanted = profile.earth_model or (profile.corrections if passport.fixed_network else seen)
    if wanted:
        yield _earth(profile, path, seen[0] if seen else Inventory(), when)
    if not looked:
        yield Finding(WARNING, subject, "inventory and waveforms are not looked at: the host's Python comes first")
        return
    if seen is None:
        yield Finding(
            FAULT,
            subject,
            f"no inventory: {problem}",
            f"import one into SeisComP, start scmaster and its database, or set profile.{profile.name}.inventory",
        )
        return
    inventory, where = seen
    report = network_report(passport, inventory, when)
    lines = report.lines()
    level = OK if report.enough else FAULT
    mend = "" if report.enough else "take a model for this network, or an inventory with its stations"
    yield Finding(level, subject, f"{report.model} in {where}: {lines[0]}", mend)
    for line in lines[1:]:
        yield Finding(NOTE, subject, line)
    if host_works or not is_recordstream(profile.waveforms):
        yield _waveforms(profile, settings, [station.id for station in inventory_stations(inventory, when)], when)


def _earth(profile: Profile, path: Path, inventory: Inventory, when: float) -> Finding:
    """Whether the earth model and corrections can be read and go with each other and with the model.

    Where no earth model is named, that which goes with the stations of ``inventory`` at ``when`` (POSIX s).
    """
    subject, prefix = f"profile {profile.name}", f"profile.{profile.name}"
    mend = f"set {prefix}.earthModel to a model of TauP, a file or a folder of time grids, or take it out"
    try:
        earth = read_earth(profile.earth_model) if profile.earth_model else None
        mend = f"make the file with 'dlloc corrections', or take {prefix}.corrections out"
        corrections = read_corrections(profile.corrections) if profile.corrections else None
        mend = f"see {prefix}.model, {prefix}.earthModel and {prefix}.corrections"
        model = load(path, "cpu", threads=1)
        if earth is None:
            earth = default_earth(model.passport, inventory, (when,))
        # That they go together the locator knows
        locator = Locator(model, Inventory(), None, earth, corrections)
    except DllocError as error:
        return Finding(FAULT, subject, str(error), mend)
    told = "no corrections" if corrections is None else f"corrections of {len(corrections.stations)} stations"
    return Finding(OK, subject, f"earth model: {name_of(locator.earth_model)}, {told}")


def _waveforms(profile: Profile, settings: Settings, stations: list[str], when: float) -> Finding:
    """Whether the source answers at all; that there are no data just now is no fault."""
    subject, where = f"profile {profile.name}", profile.waveforms
    mend = "set 'recordstream' in global.cfg or dlloc.cfg" if is_recordstream(where) else ""
    window = [f"{station}.*.*" for station in stations[:1]] or ["*.*.*.*"], when - 120.0, when - 60.0
    try:
        if is_recordstream(where):
            with closing(
                RecordstreamSource(settings.worker.recordstream_command, url=where.partition(":")[2])
            ) as helper:
                found = helper.by(time.monotonic() + _HELPER_S).get_waveforms(*window).stream
        else:
            found = open_source(where).get_waveforms(*window).stream
    except DllocError as error:
        return Finding(FAULT, subject, f"waveforms {where}: {error}", mend or f"see profile.{profile.name}.waveforms")
    data = (
        f"data of {stations[0]} a minute ago" if found else "no data just now" if stations else "no station asked for"
    )
    return Finding(OK, subject, f"waveforms {where}: answers, {data}")


def _golden(subject: str, path: Path, settings: Settings) -> Finding:
    """The model's own test, in the worker's environment."""
    command = [settings.worker.python, "-EsP", "-m", "seiscomp_dlloc", "model", "check", str(path)]
    command += ["--require-gpu"] if settings.worker.require_gpu else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=_CHECK_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(FAULT, subject, f"{path}: its check does not run ({error})")
    said = "; ".join(" ".join(line.split()) for line in (done.stdout + done.stderr).splitlines() if line.strip())
    if done.returncode != 0:
        return Finding(FAULT, subject, f"{path}: {said}", "copy the model again, or set worker.provider = cpu")
    return Finding(OK, subject, f"{path.name}: {said}")


def inventory_of(profile: Profile, settings: Settings) -> tuple[Inventory, str]:
    """The inventory that the worker will use for a profile, and where it is from. Raises InputErrors."""
    if profile.inventory:
        return read_inventory(profile.inventory), profile.inventory
    if not settings.worker.recordstream_command:
        raise InstallError("worker.recordstreamCommand is not set")
    helper = RecordstreamSource(settings.worker.recordstream_command)
    try:
        return read_inventory(helper.inventory(timeout_s=_HELPER_S)), "the host's inventory"
    finally:
        helper.close()
