"""The worker's interpreter: found, asked what it has, given an environment of its own."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .. import __version__
from ..errors import InstallError
from .light import PACKAGE

LEAST = (3, 11)
"""Least version of Python that the worker runs under."""

_ASK_S = 120.0
_PROBE = """\
import importlib, json, sys
found = {"version": list(sys.version_info[:3]), "prefix": sys.prefix, "missing": {}}
names = %r
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        found["missing"][name] = f"{type(error).__name__}: {error}"
here = [name for name in names if name not in found["missing"]]
if "seiscomp_dlloc" in here:
    import seiscomp_dlloc
    found["software"] = seiscomp_dlloc.__version__
    found["package"] = seiscomp_dlloc.__path__[0]
if "onnxruntime" in here:
    import onnxruntime
    found["providers"] = onnxruntime.get_available_providers()
print(json.dumps(found))
"""
_WORKER = ("seiscomp_dlloc", "numpy", "scipy", "obspy", "lxml", "onnxruntime", "matplotlib", "jsonschema", "tqdm")


@dataclass(frozen=True)
class Interpreter:
    """What an interpreter said. ``missing``: package -> why it cannot be imported. ``software``: version of ours."""

    path: str
    version: tuple[int, ...]
    missing: dict[str, str]
    software: str = ""
    package: str = ""
    providers: tuple[str, ...] = ()

    @property
    def version_text(self) -> str:
        """As people write it."""
        return ".".join(str(part) for part in self.version)


def ask(
    python: str,
    names: Sequence[str] = _WORKER,
    options: Sequence[str] = ("-Es",),
    environment: dict[str, str] | None = None,
) -> Interpreter:
    """Run ``python`` and have it import ``names``. Raises InstallError where it does not run."""
    command = [python, *options, "-c", _PROBE % (tuple(names),)]
    try:
        # Not where a folder seiscomp_dlloc may stand: Python looks there first
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=_ASK_S, env=environment)
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"{python}: has not answered within {_ASK_S:g} s") from error
    except OSError as error:
        raise InstallError(f"{python}: cannot be run ({error.strerror or error})") from error
    lines = done.stdout.strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise InstallError(f"{python}: is no Python that works ({said})") from error
    return Interpreter(
        python,
        tuple(found["version"]),
        found["missing"],
        found.get("software", ""),
        found.get("package", ""),
        tuple(found.get("providers", ())),
    )


def find_python(named: str | None) -> str:
    """The interpreter that an environment is made with: the one named, else the one this process runs under.

    Raises InstallError where it does not run or is too old.
    """
    path = named or getattr(sys, "_base_executable", "") or sys.executable
    found = shutil.which(path)
    if found is None:
        raise InstallError(f"{path}: no such program; name a Python {LEAST[0]}.{LEAST[1]} or newer with --python")
    asked = ask(os.path.abspath(found), ())
    if asked.version < LEAST:
        raise InstallError(
            f"{path}: is Python {asked.version_text}; the worker needs 3.11 or newer: name one with --python"
        )
    return asked.path


def python_of(venv: Path) -> str:
    """The interpreter of an environment."""
    return str(venv / "bin" / "python")


def check_worker(python: str) -> Interpreter:
    """``python`` as worker's interpreter. Raises InstallError saying what it lacks."""
    asked = ask(python)
    if asked.version < LEAST:
        raise InstallError(f"{python}: is Python {asked.version_text}; the worker needs 3.11 or newer")
    if asked.missing:
        listed = "; ".join(f"{name} ({why})" for name, why in asked.missing.items())
        raise InstallError(f"{python}: cannot import {listed}; install the package there with pip")
    if asked.software != __version__:
        raise InstallError(
            f"{python}: has seiscomp_dlloc {asked.software}, this is {__version__}; install this one there with pip"
        )
    return asked


def source_of_package() -> str:
    """What pip is to install to get this very package: its checkout, the address it came from, or its version."""
    if (PACKAGE.parent / "setup.py").is_file():
        return str(PACKAGE.parent)
    try:
        text = importlib.metadata.distribution("seiscomp_dlloc").read_text("direct_url.json")
        document = json.loads(text) if text else {}
    except (importlib.metadata.PackageNotFoundError, ValueError):
        document = {}
    url = str(document.get("url", ""))
    if url.startswith("file://"):
        path = unquote(urlsplit(url).path)
        if not os.path.exists(path):
            raise InstallError(f"{path}: this package was installed from there, and it is gone; name it with --source")
        return path
    if "vcs_info" in document:
        return f"{document['vcs_info']['vcs']}+{url}@{document['vcs_info']['commit_id']}"
    return url or f"seiscomp_dlloc=={__version__}"


def make_environment(venv: Path, python: str, source: str, gpu: bool, say: Callable[[str], None]) -> None:
    """Make an environment in ``venv`` and install ``source`` into it with pip. Raises InstallError with pip's words."""
    spec = source + "[gpu]" if gpu else source
    if gpu and "==" in source:
        spec = source.replace("==", "[gpu]==", 1)
    say(f"making the worker's environment in {venv} with {python}")
    _run([python, "-m", "venv", str(venv)], f"{venv}: cannot be made")
    say(f"installing {spec} there with pip")
    _run(
        [python_of(venv), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", spec],
        f"{venv}: pip could not install {spec}",
    )


def _run(command: Sequence[str], what: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except OSError as error:
        raise InstallError(f"{what}: {command[0]} cannot be run ({error.strerror or error})") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-12:]
        raise InstallError("\n  ".join([f"{what}:", *said]))
