"""What is wrong with the plugin in a SeisComP, and how to mend it."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from obspy import Inventory

from .. import __version__, models
from ..errors import DllocError, InstallError, WorkerUnavailable
from ..formats.inventory import read_inventory
from ..model import read_passport
from ..network import network_report
from ..settings.cfg import read_cfg
from ..settings.layout import HostLayout
from ..settings.values import Profile, Settings
from ..waveforms.recordstream import RecordstreamSource
from ..worker.client import Client, check_path
from .apply import NEEDED, damaged
from .interpreter import Interpreter, ask, check_worker
from .manifest import Manifest

OK, NOTE, WARNING, FAULT = "ok", "note", "warning", "FAULT"

HOST_PACKAGES = (
    "numpy", "seiscomp.client", "seiscomp_dlloc.seiscomp_app.module", "seiscomp_dlloc.seiscomp_app.recordstream",
)  # fmt: skip
_HOST_LEAST = (3, 8)
_CHECK_S = 120.0
_HELPER_S = 60.0
_AGAIN = "run 'dlloc install --seiscomp-root {root}' again"


@dataclass(frozen=True)
class Finding:
    """What was looked at and how it stands; ``mend``: what to do about it."""

    level: str
    subject: str
    what: str
    mend: str = ""

    def lines(self) -> list[str]:
        """For people."""
        return [f"{self.level:<8} {self.subject}: {self.what}", *([f"{'':8} -> {self.mend}"] if self.mend else [])]


def examine(root: Path, when: float | None = None) -> Iterator[Finding]:
    """Every finding, one by one, as it is made. ``when`` (POSIX s): epochs of the inventory, default now."""
    layout = HostLayout(str(root))
    missing = [name for name in NEEDED if not (root / name).exists()]
    if missing:
        yield Finding(FAULT, "SeisComP", f"{root} has no {missing[0]}", "give an installed SeisComP")
        return
    yield Finding(OK, "SeisComP", str(root))
    try:
        manifest = Manifest.read(root)
    except InstallError as error:
        yield Finding(FAULT, "installation", str(error))
        return
    if manifest is None:
        yield Finding(FAULT, "installation", "there is none", f"run 'dlloc install --seiscomp-root {root}'")
        return
    yield from _files(root, manifest)
    yield from _host(root)
    worker: list[Interpreter] = []
    yield from _worker_python(manifest, worker)
    try:
        settings = Settings.load(layout=layout)
    except DllocError as error:
        yield Finding(FAULT, "settings", str(error), "correct the file; 'scconfig' knows ranges and units")
        return
    yield Finding(
        OK, "settings", f"profiles {', '.join(settings.profiles)}; from {', '.join(settings.files) or 'defaults'}"
    )
    yield from _folders(settings)
    if worker:
        yield from _providers(settings, worker[0])
    for profile in settings.profiles.values():
        yield from _profile(profile, settings, bool(worker), time.time() if when is None else when)
    yield from _running(settings)
    yield from _programs(root, settings)


def _files(root: Path, manifest: Manifest) -> Iterator[Finding]:
    broken = damaged(root, manifest)
    for name, state in broken.items():
        yield Finding(FAULT, "installation", f"{root / name} is {state}", _AGAIN.format(root=root))
    if manifest.software != __version__:
        yield Finding(
            FAULT, "installation", f"is of version {manifest.software}, this is {__version__}", _AGAIN.format(root=root)
        )
    elif not broken:
        yield Finding(OK, "installation", f"version {manifest.software}, {len(manifest.files)} files")


def host_environment(root: Path) -> dict[str, str]:
    """The environment in which the host's programs run, as ``seiscomp exec`` makes it."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    return {
        **kept,
        "SEISCOMP_ROOT": str(root),
        "PATH": f"{root}/bin{os.pathsep}{kept.get('PATH', '')}",
        "LD_LIBRARY_PATH": f"{root}/lib{os.pathsep}{kept.get('LD_LIBRARY_PATH', '')}".rstrip(os.pathsep),
        "PYTHONPATH": f"{root}/lib/python",
    }


def _host(root: Path) -> Iterator[Finding]:
    python = str(root / "bin" / "seiscomp-python")
    try:
        asked = ask(python, HOST_PACKAGES, (), host_environment(root))
    except InstallError as error:
        yield Finding(FAULT, "host's Python", str(error), "see that 'seiscomp exec seiscomp-python' works")
        return
    if asked.version < _HOST_LEAST:
        yield Finding(FAULT, "host's Python", f"is {asked.version_text}; 3.8 or newer is needed")
    for name, why in asked.missing.items():
        if name.startswith("seiscomp_dlloc.") and "seiscomp.client" in asked.missing:
            continue  # that is why
        mend = "install python3-numpy with the system's packages" if name == "numpy" else _AGAIN.format(root=root)
        if name == "seiscomp.client":
            mend = "install SeisComP's Python bindings for this Python"
        yield Finding(FAULT, "host's Python", f"{python} cannot import {name} ({why})", mend)
    if not asked.missing:
        yield Finding(OK, "host's Python", f"{asked.version_text}, {python}")


def _worker_python(manifest: Manifest, found: list[Interpreter]) -> Iterator[Finding]:
    try:
        found.append(check_worker(manifest.python))
        yield Finding(OK, "worker's Python", f"{found[0].version_text}, {manifest.python}")
    except InstallError as error:
        yield Finding(
            FAULT,
            "worker's Python",
            str(error),
            "run 'dlloc install' again, with a Python 3.11 or newer",
        )


def _providers(settings: Settings, worker: Interpreter) -> Iterator[Finding]:
    providers = ", ".join(worker.providers)
    if "CUDAExecutionProvider" in worker.providers:
        yield Finding(OK, "onnxruntime", f"has {providers}; the check of each model says what really runs")
    elif settings.worker.require_gpu or settings.worker.provider == "cuda":
        yield Finding(
            FAULT,
            "onnxruntime",
            f"has {providers}, and the settings ask for CUDA",
            "run 'dlloc install --gpu', or set worker.requireGPU = false and worker.provider = auto",
        )
    else:
        yield Finding(OK, "onnxruntime", f"has {providers}: models run on the CPU")


def _folders(settings: Settings) -> Iterator[Finding]:
    wanted = {
        "worker.socket": os.path.dirname(settings.worker.socket),
        "worker.logFile": os.path.dirname(settings.worker.log_file),
        "journal.file": os.path.dirname(settings.journal_file),
        "audit.file": os.path.dirname(settings.audit_file),
    }
    if settings.bundle.keep:
        wanted["bundle.folder"] = settings.bundle.folder
    bad = False
    for key, folder in wanted.items():
        place = Path(folder)
        # What is not there yet is made when it is needed
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            bad = True
            yield Finding(
                FAULT, "folders", f"{place} cannot be written, for {key}", "let the user who runs SeisComP own it"
            )
    try:
        check_path(settings.worker.socket)
    except DllocError as error:
        bad = True
        yield Finding(FAULT, "folders", str(error), "set worker.socket to a shorter path")
    if not bad:
        yield Finding(OK, "folders", "those of socket, logs, journal and audit can be written")


def _profile(profile: Profile, settings: Settings, runs: bool, when: float) -> Iterator[Finding]:
    subject = f"profile {profile.name}"
    try:
        path = models.resolve(profile.model or models.DEFAULT)
        passport = read_passport(path)
    except DllocError as error:
        yield Finding(FAULT, subject, str(error), f"set profile.{profile.name}.model to a model that is there")
        return
    if runs:
        yield _golden(subject, path, settings)
    try:
        inventory, where = inventory_of(profile, settings)
    except DllocError as error:
        yield Finding(
            WARNING,
            subject,
            f"no inventory: {error}",
            f"import one into SeisComP, start scmaster and its database, or set profile.{profile.name}.inventory",
        )
        return
    report = network_report(passport, inventory, when)
    lines = report.lines()
    level = OK if report.enough else FAULT
    mend = "" if report.enough else "take a model for this network, or an inventory with its stations"
    yield Finding(level, subject, f"{report.model} in {where}: {lines[0]}", mend)
    for line in lines[1:]:
        yield Finding(NOTE, subject, line)


def _golden(subject: str, path: Path, settings: Settings) -> Finding:
    """The model's own test, in the worker's environment."""
    command = [settings.worker.python, "-EsP", "-m", "seiscomp_dlloc", "model", "check", str(path)]
    command += ["--require-gpu"] if settings.worker.require_gpu else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=_CHECK_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(FAULT, subject, f"{path}: its check does not run ({error})")
    said = " ".join((done.stdout + done.stderr).split())
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


def _running(settings: Settings) -> Iterator[Finding]:
    try:
        status = Client(settings.worker.socket).status(10.0)
    except WorkerUnavailable:
        mend = "" if settings.worker.autostart else "run 'dlloc worker start'"
        yield Finding(NOTE, "worker", "does not run; it is started where it is needed", mend)
        return
    except DllocError as error:
        yield Finding(FAULT, "worker", str(error), "run 'dlloc worker stop'; it is started again where it is needed")
        return
    if status["software"] != __version__:
        yield Finding(WARNING, "worker", f"is of version {status['software']}", "run 'dlloc worker stop'")
    for row in status["profiles"]:
        if row["problem"]:
            yield Finding(FAULT, "worker", f"profile {row['name']}: {row['problem']}")
    yield Finding(OK, "worker", f"process {status['pid']}, engine {status['engine']['state']}")


def _programs(root: Path, settings: Settings) -> Iterator[Finding]:
    """The External locator in scolv and screloc, and the module in the chain."""
    if not (root / "share" / "plugins" / "locext.so").exists():
        yield Finding(
            WARNING,
            "scolv",
            f"{root}/share/plugins/locext.so is not there",
            "install SeisComP's plugins",
        )
    for module in ("scolv", "screloc"):
        values: dict[str, list[str]] = {}
        for name in ("etc/defaults/global.cfg", f"etc/defaults/{module}.cfg", "etc/global.cfg", f"etc/{module}.cfg"):
            if (root / name).is_file():
                try:
                    values = read_cfg(str(root / name), values)
                except DllocError as error:
                    yield Finding(WARNING, module, str(error))
        entries = [item for item in values.get("ExternalLocator.profiles", []) if "dlloc-locext" in item]
        if not entries:
            mend = f"run 'dlloc install --seiscomp-root {root} --{module}'"
            yield Finding(NOTE, module, "does not know the External locator's profiles", mend)
            continue
        known = {item.partition(":")[0] for item in entries}
        stale = sorted(known ^ set(settings.profiles))
        if "locext" not in values.get("plugins", []):
            yield Finding(FAULT, module, "does not load the plugin locext", "add it: plugins = ${plugins}, locext")
        elif stale:
            mend = f"run 'dlloc install --seiscomp-root {root} --{module}' again"
            yield Finding(WARNING, module, f"its profiles are not those of dlloc.cfg: {', '.join(stale)}", mend)
        else:
            yield Finding(OK, module, f"has the External locator with {', '.join(sorted(known))}")
    enabled = (root / "etc" / "init" / "dlloc.auto").exists()
    yield Finding(
        OK if enabled else NOTE, "module", "is enabled" if enabled else "is not enabled: 'seiscomp enable dlloc'"
    )
