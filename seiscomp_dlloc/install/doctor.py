"""What is wrong with the plugin in a SeisComP, and how to mend it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from .. import __version__
from ..errors import DllocError, InstallError, WorkerUnavailable
from ..settings.cfg import read_cfg
from ..settings.layout import HostLayout
from ..settings.parameters import PARAMETERS
from ..settings.values import Settings
from ..worker.client import Client, check_path
from .apply import NEEDED, damaged
from .findings import FAULT, NOTE, OK, WARNING, Finding
from .interpreter import Interpreter, ask, check_worker
from .manifest import Manifest
from .profilecheck import check_profile

HOST_PACKAGES = (
    "numpy", "seiscomp.client", "seiscomp_dlloc.seiscomp_app.module", "seiscomp_dlloc.seiscomp_app.recordstream",
)  # fmt: skip
_HOST_LEAST = (3, 8)
_MOST_NAMED = 4
_AGAIN = "run 'dlloc install --seiscomp-root {root}' again"


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
    host: list[Interpreter] = []
    yield from _host(root, host)
    worker: list[Interpreter] = []
    yield from _worker_python(manifest.python, worker)
    try:
        settings = Settings.load(layout=layout)
    except DllocError as error:
        yield Finding(FAULT, "settings", str(error), "correct the file; 'scconfig' knows ranges and units")
        return
    yield Finding(
        OK, "settings", f"profiles {', '.join(settings.profiles)}; from {', '.join(settings.files) or 'defaults'}"
    )
    yield from _unknown(settings)
    yield from _folders(settings)
    if settings.worker.python != manifest.python:
        worker = []
        yield from _worker_python(settings.worker.python, worker, "take worker.python out of dlloc.cfg")
    if worker:
        yield from _providers(settings, worker[0])
    for profile in settings.profiles.values():
        yield from check_profile(profile, settings, bool(host), bool(worker), time.time() if when is None else when)
    yield from _running(settings)
    yield from _programs(root, settings)


def _files(root: Path, manifest: Manifest) -> Iterator[Finding]:
    broken = damaged(root, manifest)
    for state in sorted(set(broken.values())):
        names = [str(root / name) for name, found in broken.items() if found == state]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        listed = ", ".join(names[:_MOST_NAMED])
        yield Finding(FAULT, "installation", f"{state}: {listed}{more}", _AGAIN.format(root=root))
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


def _host(root: Path, good: list[Interpreter]) -> Iterator[Finding]:
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
        good.append(asked)
        yield Finding(OK, "host's Python", f"{asked.version_text}, {python}")


def _worker_python(
    python: str, found: list[Interpreter], mend: str = "run 'dlloc install' again, with a Python 3.11 or newer"
) -> Iterator[Finding]:
    try:
        found.append(check_worker(python))
        yield Finding(OK, "worker's Python", f"{found[0].version_text}, {python}")
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


def _unknown(settings: Settings) -> Iterator[Finding]:
    """Names in dlloc.cfg that nobody reads: misspelt, mostly. The host's own settings are not ours to judge."""
    ours = {parameter.key.partition(".")[0] for parameter in PARAMETERS}
    known = {parameter.key for parameter in PARAMETERS if not parameter.key.startswith("profile.")}
    of_profile = {parameter.name for parameter in PARAMETERS if parameter.key.startswith("profile.")}
    for path in settings.files:
        if os.path.basename(path) != "dlloc.cfg":
            continue
        for key in read_cfg(path):
            parts = key.split(".")
            good = key in known or (parts[0] == "profile" and len(parts) == 3 and parts[2] in of_profile)
            if parts[0] in ours and not good:
                yield Finding(WARNING, "settings", f"{path}: there is no {key}", "look how it is spelt, with scconfig")
            elif parts[0] == "profile" and parts[1] not in settings.profiles:
                yield Finding(WARNING, "settings", f"{path}: {key}, but 'profiles' does not name {parts[1]}")


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
