"""Writes an installation below a root, and takes it away again."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .. import __version__
from ..errors import InstallError, SettingError
from ..formats.atomic import write_atomically
from ..settings.cfg import Values, parse_cfg
from ..settings.layout import HostLayout
from ..settings.values import Settings
from .blocks import keys_set, locator_lines, scolv_lines, with_block, without_block
from .manifest import NAME, Manifest, digest
from .pieces import Piece

Say = Callable[[str], None]

NEEDED = ("bin/seiscomp", "bin/seiscomp-python", "lib/python/seiscomp", "etc/defaults", "share")
VENV = "lib/dlloc/venv"
"""Where the worker's environment is made, below the root."""

LEFT_BY_RUNNING = (
    "etc/init/dlloc.auto", "var/run/dlloc.pid", "var/run/dlloc.run", "var/run/dlloc.sock.lock",
    "var/run/dlloc.sock.launch", "var/run/dlloc-locext.last",
)  # fmt: skip
"""What the host and we leave behind, and nobody misses."""

OURS = ("lib/python/seiscomp_dlloc", "share/dlloc", "lib/dlloc")
"""Folders that hold nothing but ours."""


def check_root(root: Path) -> None:
    """Raises InstallError where ``root`` is no SeisComP or cannot be written."""
    missing = [name for name in NEEDED if not (root / name).exists()]
    if missing:
        raise InstallError(f"{root}: is no installed SeisComP: there is no {missing[0]}; give its SEISCOMP_ROOT")
    for folder in ("bin", "etc", "etc/defaults", "etc/init", "etc/descriptions", "lib", "lib/python", "share"):
        if (root / folder).is_dir() and not os.access(root / folder, os.W_OK | os.X_OK):
            raise InstallError(f"{root / folder}: cannot be written; run this as the user who owns SeisComP")


def strangers(root: Path, pieces: Iterable[Piece], before: Manifest | None) -> list[str]:
    """Files in our places that no installation of ours put there."""
    ours = before.files if before else {}
    return [piece.path for piece in pieces if os.path.lexists(root / piece.path) and piece.path not in ours]


def put(root: Path, pieces: Sequence[Piece], manifest: Manifest, before: Manifest | None) -> None:
    """Write the pieces; files of an earlier installation that are no longer among them go.

    The list is written first: what is interrupted half-way can be taken out, or done again.
    """
    files = {piece.path: digest(piece.content) for piece in pieces}
    former = before.files if before else {}
    manifest = replace(manifest, files=files, blocks=before.blocks if before else ())
    replace(manifest, files={**former, **files}).write(root)
    for piece in pieces:
        path = root / piece.path
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, piece.content)
        path.chmod(0o755 if piece.executable else 0o644)
    for name in former.keys() - files.keys():
        _remove(root, name)
    manifest.write(root)


def configure(root: Path, modules: Sequence[str], say: Say) -> None:
    """Write our block into etc/MODULE.cfg of ``scolv`` or ``screloc``, and remember it."""
    manifest = Manifest.read(root)
    if manifest is None:
        raise InstallError(f"{root}: nothing is installed there")
    profiles = list(_settings(root).profiles)
    for module in modules:
        name = f"etc/{module}.cfg"
        path = root / name
        text = _text(path)
        present = _set_by_operator(root, module, text)
        lines, kept = scolv_lines(present, profiles) if module == "scolv" else (locator_lines(present, profiles), [])
        manifest = replace(manifest, blocks=tuple(sorted({*manifest.blocks, name})))
        manifest.write(root)
        write_atomically(path, with_block(text, lines).encode())
        say(f"{path}: the External locator has the profiles {', '.join(profiles)}")
        if kept:
            say(f"{path}: left as you have them: {', '.join(kept)}")


def running(root: Path) -> list[str]:
    """What of the installation runs: ``module``, ``worker``. Their lock files are held by living processes alone."""
    found = []
    for name, lock in (("module", root / "var" / "run" / "dlloc.pid"), ("worker", Path(_worker_lock(root)))):
        try:
            with lock.open("r+b") as handle:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append(name)
        except OSError:
            pass  # not there, or not ours to open
    return found


def _worker_lock(root: Path) -> str:
    try:
        return _settings(root).worker.socket + ".lock"
    except SettingError:
        return str(root / "var" / "run" / "dlloc.sock.lock")


def remove(root: Path, say: Say) -> None:
    """Take an installation out of ``root``. Raises InstallError where there is none, or where it runs."""
    manifest = Manifest.read(root)
    if manifest is None:
        raise InstallError(f"{root}: nothing is installed there (no {NAME})")
    alive = running(root)
    if alive:
        raise InstallError(
            f"{root}: {' and '.join(alive)} of dlloc run there; first 'seiscomp stop dlloc', then 'dlloc worker stop'"
        )
    for name in manifest.blocks:
        path = root / name
        text = _text(path)
        rest = without_block(text)
        if rest != text:
            write_atomically(path, rest.encode())
            say(f"{path}: our block is gone")
        if path.is_file() and not rest.strip():
            path.unlink()
    kept = []
    for name, expected in sorted(manifest.files.items()):
        path = root / name
        if path.is_file() and not path.is_symlink() and digest(path.read_bytes()) != expected:
            kept.append(name)
        else:
            _remove(root, name)
    if manifest.venv and (Path(manifest.venv) / "pyvenv.cfg").is_file():
        shutil.rmtree(manifest.venv)
    (root / NAME).unlink()
    for name in OURS:
        _tidy(root / name)
    for name in LEFT_BY_RUNNING:
        _remove(root, name)
    for path in (root / "etc" / "init" / "__pycache__").glob("dlloc.*"):
        path.unlink()
    say(f"{root}: {len(manifest.files) - len(kept)} files removed")
    for name in kept:
        say(f"{root / name}: was changed since, and is left")
    rests = [name for name in ("etc/dlloc.cfg", "var/lib/dlloc") if (root / name).exists()]
    if rests:
        say(f"yours, and left: {', '.join(str(root / name) for name in rests)}")


def damaged(root: Path, manifest: Manifest) -> Mapping[str, str]:
    """Installed files that are missing or changed -> which of the two."""
    found = {}
    for name, expected in manifest.files.items():
        try:
            if digest((root / name).read_bytes()) != expected:
                found[name] = "changed"
        except OSError:
            found[name] = "missing"
    return found


def new_manifest(python: str, venv: Path | None) -> Manifest:
    """A manifest without files yet."""
    return Manifest(__version__, python, str(venv) if venv else "")


def _settings(root: Path) -> Settings:
    return Settings.load(layout=HostLayout(str(root)))


def _set_by_operator(root: Path, module: str, text: str) -> set[str]:
    """Keys of etc/global.cfg and of ``text`` in etc/MODULE.cfg, read on top of the defaults, as the host does it."""
    known: Values = {}
    found: set[str] = set()
    for name in ("etc/defaults/global.cfg", f"etc/defaults/{module}.cfg", "etc/global.cfg"):
        path = root / name
        if name == "etc/global.cfg":
            found = keys_set(_text(path), str(path), known)
        known = parse_cfg(_text(path), str(path), known)
    return found | keys_set(text, str(root / "etc" / f"{module}.cfg"), known)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InstallError(f"{path}: cannot be read ({error})") from error


def _remove(root: Path, name: str) -> None:
    if os.path.lexists(root / name):
        (root / name).unlink()


def _tidy(folder: Path) -> None:
    """Remove what Python compiled, and folders that are empty."""
    for place, _, _ in os.walk(folder, topdown=False):
        if os.path.basename(place) == "__pycache__":
            shutil.rmtree(place, ignore_errors=True)
        elif not os.listdir(place):
            os.rmdir(place)
