"""Installing into a folder that looks like a SeisComP, and taking it out again; no SeisComP needed."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from unittest import mock

import pytest
import tinymodels

from seiscomp_dlloc import __version__
from seiscomp_dlloc.arrivals.corrections import PhaseDelay, StationCorrections, StationDelay
from seiscomp_dlloc.cli.main import build_parser, main
from seiscomp_dlloc.errors import InstallError
from seiscomp_dlloc.formats.corrections import write_corrections
from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.install import apply, interpreter
from seiscomp_dlloc.install.blocks import keys_set, locator_lines, scolv_lines, with_block, without_block
from seiscomp_dlloc.install.findings import OK, Finding
from seiscomp_dlloc.install.light import PACKAGE, light_files
from seiscomp_dlloc.install.manifest import NAME, Manifest
from seiscomp_dlloc.install.pieces import pieces
from seiscomp_dlloc.install.wrappers import COMMANDS
from seiscomp_dlloc.models import DEFAULT
from seiscomp_dlloc.settings.cfg import parse_cfg
from seiscomp_dlloc.settings.layout import HostLayout
from seiscomp_dlloc.settings.values import Settings
from seiscomp_dlloc.traveltimes import hash_of


@pytest.fixture(scope="module")
def worker(worker_venv: Path) -> Path:
    return worker_venv


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ``dlloc install`` takes for a SeisComP, in a folder with a blank in its name."""
    folder = tmp_path / "my seiscomp"
    for name in ("bin", "lib/python/seiscomp", "etc/defaults", "etc/init", "etc/descriptions", "share/plugins", "var"):
        (folder / name).mkdir(parents=True)
    for name, text in (("seiscomp", "#!/bin/sh\n"), ("seiscomp-python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SEISCOMP_ROOT", raising=False)
    return folder


HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.{}(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
)
"""Holds a lock file as the host's trylock or the worker does, until it is killed."""


def tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def install(root: Path, worker: Path, *options: str, check: bool = False) -> int:
    """``dlloc install``; the check at its end, which takes seconds, only where it is asked for."""
    command = ["install", "--seiscomp-root", str(root), "--venv", str(worker), *options]
    if check:
        return main(command)
    with mock.patch("seiscomp_dlloc.cli.install.report", return_value=True):
        return main(command)


def test_everything_comes_and_everything_goes(root: Path, worker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(root)
    # The check afterwards finds that this is no real SeisComP
    assert install(root, worker, check=True) == 1
    said = capsys.readouterr().out
    assert "cannot import seiscomp.client" in said
    added = tree(root) - before
    assert {
        "bin/dlloc", "bin/dlloc-locext", "bin/dlloc-recordstream", "bin/dlloc-show-origin", "etc/defaults/dlloc.cfg",
        "etc/descriptions/dlloc.xml", "etc/descriptions/dlloc.rst", "etc/init/dlloc.py", NAME,
        "lib/python/seiscomp_dlloc/__init__.py", "lib/python/seiscomp_dlloc/seiscomp_app/module.py",
        "share/dlloc/oklahoma-fcn-slim.onnx",
    } <= added  # fmt: skip
    assert all(os.access(root / name, os.X_OK) for name in added if name.startswith("bin/"))
    assert not any(path.name.startswith(".") for path in root.rglob("*"))
    cache = root / "lib/python/seiscomp_dlloc/worker/__pycache__"
    cache.mkdir()
    (cache / "x.pyc").write_bytes(b"")
    (root / "etc/dlloc.cfg").write_text("profiles = mine\n")
    assert main(["uninstall", "--seiscomp-root", str(root)]) == 0
    assert tree(root) == before | {"etc/dlloc.cfg"}
    assert not (root / "lib/python/seiscomp_dlloc").exists()
    assert not (root / "share/dlloc").exists()
    assert (worker / "bin/python").exists()
    assert "yours, and left" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(root: Path, worker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(root)
    assert install(root, worker, "--dry-run") == 0
    assert tree(root) == before
    assert "bin/dlloc-locext" in capsys.readouterr().out


def test_again_brings_it_up_to_date(root: Path, worker: Path) -> None:
    install(root, worker)
    old = root / "lib/python/seiscomp_dlloc/former.py"
    old.write_text("")
    manifest = Manifest.read(root)
    assert manifest is not None
    files = {**manifest.files, "lib/python/seiscomp_dlloc/former.py": "0"}
    Manifest(manifest.software, manifest.python, "", files, ()).write(root)
    (root / "bin/dlloc").write_text("broken")
    install(root, worker)
    assert not old.exists()
    assert "seiscomp_dlloc" in (root / "bin/dlloc").read_text()


def test_what_is_not_ours_is_left_alone(root: Path, worker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "bin/dlloc").write_text("mine")
    assert install(root, worker) == 2
    assert str(root / "bin/dlloc") in capsys.readouterr().err
    assert (root / "bin/dlloc").read_text() == "mine"
    assert not (root / NAME).exists()
    install(root, worker, "--force")
    (root / "etc/init/dlloc.py").write_text("changed by the operator")
    assert main(["uninstall", "--seiscomp-root", str(root)]) == 0
    assert (root / "etc/init/dlloc.py").read_text() == "changed by the operator"
    assert "was changed since" in capsys.readouterr().out


def test_the_operators_configuration_stays_as_it_was(root: Path, worker: Path) -> None:
    mine = "# mine\nplugins = ${plugins}, other\nExternalLocator.profiles = NLL:/opt/nll\nbutton0 = Mine"
    (root / "etc/scolv.cfg").write_text(mine)
    (root / "etc/global.cfg").write_text("plugins = dbsqlite3\n")
    (root / "etc/dlloc.cfg").write_text("profiles = north, south\n")
    install(root, worker, "--scolv", "--screloc")
    install(root, worker, "--scolv")
    text = (root / "etc/scolv.cfg").read_text()
    assert text.startswith(mine)
    assert text.count("# >>> dlloc") == 1
    known = {"plugins": ["dbsqlite3"]}
    values = parse_cfg(text, "scolv.cfg", known)
    assert values["plugins"] == ["dbsqlite3", "other", "locext"]
    assert values["ExternalLocator.profiles"] == [
        "NLL:/opt/nll",
        "north:@ROOTDIR@/bin/dlloc-locext --profile north",
        "south:@ROOTDIR@/bin/dlloc-locext --profile south",
    ]
    assert values["button0"] == ["Mine"]
    assert "scripts.script0" not in values
    assert values["olv.display.origin.comment.id"] == ["dlloc/summary"]
    assert parse_cfg((root / "etc/screloc.cfg").read_text(), "screloc.cfg", known)["plugins"] == ["dbsqlite3", "locext"]
    assert main(["uninstall", "--seiscomp-root", str(root)]) == 0
    assert (root / "etc/scolv.cfg").read_text() in (mine, mine + "\n")
    assert not (root / "etc/screloc.cfg").exists()


def test_blocks() -> None:
    assert without_block(with_block("a = 1\n", ["b = 2"])) == "a = 1\n"
    assert with_block(with_block("a = 1\n", ["b = 2"]), ["c = 3"]).count("=") == 2
    assert keys_set(with_block("a = 1\n", ["b = 2"]), "x.cfg", {}) == {"a"}
    assert keys_set("a = ${a}, 2\nb = 1", "x.cfg", {"a": ["1"], "b": ["1"]}) == {"a"}
    assert locator_lines(set(), ["p"])[1].count("ExternalLocator.profiles") == 1
    lines, kept = scolv_lines({"eventlist.customColumn.name"}, ["p"])
    assert not any(line.startswith("eventlist.") for line in lines)
    assert kept == ["eventlist.customColumn.name", "eventlist.customColumn.originCommentID"]


@pytest.mark.parametrize("name", ["bin/seiscomp", "lib/python/seiscomp", "etc/defaults"])
def test_a_folder_that_is_no_seiscomp_is_refused(root: Path, worker: Path, name: str, capsys) -> None:
    (root / name).rename(root / "elsewhere")
    assert install(root, worker) == 2
    assert name in capsys.readouterr().err


def test_without_a_root_or_an_installation(root: Path, worker: Path, capsys) -> None:
    assert main(["install", "--venv", str(worker)]) == 2
    assert "SEISCOMP_ROOT" in capsys.readouterr().err
    assert main(["install", "--seiscomp-root", str(root / "none")]) == 2
    assert main(["uninstall", "--seiscomp-root", str(root)]) == 2
    assert "nothing is installed" in capsys.readouterr().err
    assert main(["doctor", "--seiscomp-root", str(root)]) == 1
    assert "dlloc install" in capsys.readouterr().out


def test_an_environment_without_the_package_is_refused(root: Path, tmp_path: Path, capsys) -> None:
    empty = tmp_path / "empty"
    venv.create(empty, with_pip=False, symlinks=True)
    before = tree(root)
    assert install(root, empty) == 2
    assert "cannot import seiscomp_dlloc" in capsys.readouterr().err
    assert install(root, tmp_path / "nowhere") == 2
    assert tree(root) == before


def test_a_damaged_manifest_is_named(root: Path, worker: Path) -> None:
    install(root, worker)
    for text in (
        "{",
        '{"version": 9}',
        '{"version": 1, "software": "", "python": "", "blocks": [], "files": {"../x": ""}}',
    ):
        (root / NAME).write_text(text)
        with pytest.raises(InstallError, match=NAME):
            Manifest.read(root)


def test_an_interpreter_that_is_too_old_or_none(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\necho \'{"version": [3, 9, 2], "missing": {}}\'\n')
    old.chmod(0o755)
    with pytest.raises(InstallError, match=r"Python 3\.9\.2"):
        interpreter.find_python(str(old))
    with pytest.raises(InstallError, match="no such program"):
        interpreter.find_python(str(tmp_path / "none"))
    old.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(InstallError, match="is no Python"):
        interpreter.find_python(str(old))
    found = interpreter.find_python(None)
    assert interpreter.ask(found, ()).version >= interpreter.LEAST


def test_what_pip_installs_is_this_very_package() -> None:
    source = interpreter.source_of_package()
    assert (Path(source) / "setup.py").is_file() or "seiscomp_dlloc" in source


def test_pips_words_are_told(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(InstallError, match="no space left"):
        interpreter.make_environment(tmp_path / "env", str(python), "somewhere", False, lambda _: None)


def test_the_settings_that_are_installed_name_worker_and_helper(root: Path, worker: Path, monkeypatch) -> None:
    install(root, worker)
    settings = Settings.load(layout=HostLayout(str(root)))
    assert settings.worker.python == str(worker / "bin/python")
    assert settings.worker.recordstream_command == str(root / "bin/dlloc-recordstream")
    below = {piece.path: piece.content for piece in pieces("/opt/sc", "/opt/sc/lib/dlloc/venv/bin/python")}
    assert b"worker.python = @ROOTDIR@/lib/dlloc/venv/bin/python" in below["etc/defaults/dlloc.cfg"]


def test_the_wrappers_know_every_command() -> None:
    (commands,) = (action.choices for action in build_parser()._actions if action.dest == "command")
    assert set(COMMANDS) == set(commands)


def test_the_programs_run(root: Path, worker: Path, tmp_path: Path) -> None:
    install(root, worker)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def said(*command: str, code: int = 0) -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, input="")
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert "oklahoma-fcn-slim" in said(str(root / "bin/dlloc"), "model", "list")
    assert "stdin is empty" in said(str(root / "bin/dlloc-locext"), code=1)
    assert "no picture" in said(str(root / "bin/dlloc-show-origin"), "Origin/dlloc/x/1", code=2)
    # The module itself needs the host's libraries: the light part is found, they are not
    assert "from 'seiscomp' (unknown location)" in said(str(root / "bin/dlloc"), "--help", code=1)


def test_the_light_part_stands_alone(root: Path, worker: Path, tmp_path: Path) -> None:
    """What is copied imports nothing of the package that is not."""
    install(root, worker)
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in light_files()
    ]
    code = (
        "import importlib, json, sys\nsys.path.insert(0, sys.argv[1])\nfailed = {}\n"
        "for name in json.loads(sys.argv[2]):\n"
        "    try: importlib.import_module(name)\n"
        "    except ImportError as error: failed[name] = str(error)\n"
        "print(json.dumps(failed))"
    )
    command = [sys.executable, "-ISc", code, str(root / "lib/python"), json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert not {name: why for name, why in json.loads(done.stdout).items() if "seiscomp_dlloc" in why}


def test_doctor_names_what_is_wrong(root: Path, worker: Path, capsys) -> None:
    install(root, worker)
    (root / "bin/dlloc-locext").unlink()
    (root / "lib/python/seiscomp_dlloc/errors.py").write_text("")
    (root / "etc/dlloc.cfg").write_text(
        "profiles = a, b\nprofile.a.model = /none.onnx\nprofile.b.inventory = /none.xml\n"
        f'worker.logFile = "{root}/bin/seiscomp/x.log"\nworker.requireGPU = true\n'
        "trigger.minPhase = 4\nprofile.c.model = x\nconnection.server = localhost/production\n"
    )
    capsys.readouterr()
    assert main(["doctor", "--seiscomp-root", str(root), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    faults = [(row["subject"], row["what"]) for row in findings if row["level"] == "FAULT"]
    text = "\n".join(f"{subject}: {what}" for subject, what in faults)
    assert f"missing: {root}/bin/dlloc-locext" in text
    assert f"changed: {root}/lib/python/seiscomp_dlloc/errors.py" in text
    assert "profile a: model /none.onnx" in text
    assert "worker.logFile" in text
    assert all(row["mend"] for row in findings if row["level"] == "FAULT" and row["subject"] == "installation")
    assert "profile b: no inventory: /none.xml" in text
    warnings = "\n".join(row["what"] for row in findings if row["level"] == "warning")
    assert "there is no trigger.minPhase" in warnings
    assert "'profiles' does not name c" in warnings
    assert "connection" not in warnings
    (root / "etc/dlloc.cfg").write_text("worker.jobs = many\n")
    assert main(["doctor", "--seiscomp-root", str(root)]) == 1
    assert "worker.jobs" in capsys.readouterr().out


def test_doctor_compares_the_inventory_with_the_passport(root: Path, worker: Path, capsys) -> None:
    stations = PACKAGE / "data" / "demo" / "stations.xml"
    (root / "etc/dlloc.cfg").write_text(f"profile.default.inventory = {stations}\n")
    install(root, worker)
    capsys.readouterr()
    main(["doctor", "--seiscomp-root", str(root), "--time", "2030-01-02"])
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "needed: enough" in line]
    assert line.startswith("ok")
    assert f"{DEFAULT} " in line
    (line,) = [line for line in lines if "earth model: " in line]
    assert "the earth of oklahoma-fcn-slim, which knows these stations, no corrections" in line


def test_doctor_looks_at_the_earth_model_and_the_corrections(root: Path, worker: Path, tmp_path: Path, capsys) -> None:
    anynet, earth, delays = tmp_path / "any.onnx", tmp_path / "local.csv", tmp_path / "delays.json"
    anynet.write_bytes(tinymodels.any_network())
    earth.write_text("depth_km,vp_km_s\n0,5.5\n")
    held = hash_of(read_earth_model(earth))
    corrections = StationCorrections("local", held, (StationDelay("XX.A", PhaseDelay(0.1)), StationDelay("XX.B")))
    write_corrections(delays, corrections)
    stations = PACKAGE / "data" / "demo" / "stations.xml"
    profiles = {
        "good": {"model": anynet, "earthModel": earth, "corrections": delays},
        "earth": {"model": anynet, "earthModel": "ak135"},
        "absent": {"model": anynet, "earthModel": tmp_path / "none.csv"},
        "bad": {"model": anynet, "earthModel": earth, "corrections": earth},
        "other": {"model": anynet, "earthModel": "iasp91", "corrections": delays},
        "fixed": {"model": "oklahoma-fcn-slim", "earthModel": "iasp91"},
        "both": {"corrections": delays},
        "own": {"model": "oklahoma-fcn-slim"},
    }
    lines = [f"profiles = {', '.join(profiles)}"]
    for name, keys in profiles.items():
        lines += [f'profile.{name}.{key} = "{value}"' for key, value in {**keys, "inventory": stations}.items()]
    (root / "etc/dlloc.cfg").write_text("\n".join(lines) + "\n")
    install(root, worker)
    capsys.readouterr()
    with mock.patch("seiscomp_dlloc.install.profilecheck._golden", return_value=Finding(OK, "model", "mocked")):
        assert main(["doctor", "--seiscomp-root", str(root), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    told = {name: next(row for row in findings if row["subject"] == f"profile {name}") for name in profiles}
    assert {name: row["level"] for name, row in told.items()} == {
        "good": "ok", "earth": "ok", "absent": "FAULT", "bad": "FAULT", "other": "FAULT", "fixed": "FAULT",
        "both": "FAULT", "own": "ok",
    }  # fmt: skip
    assert told["good"]["what"] == "earth model: local, corrections of 2 stations"
    assert told["earth"]["what"] == "earth model: ak135, no corrections"
    assert "here it is 'the earth of oklahoma-fcn-slim" in told["both"]["what"]
    assert "needed: enough" in told["own"]["what"], "its earth is its own"
    assert "none.csv: no such file" in told["absent"]["what"]
    assert "profile.absent.earthModel" in told["absent"]["mend"]
    assert "is no valid JSON" in told["bad"]["what"]
    assert "profile.bad.corrections" in told["bad"]["mend"]
    assert "'local'" in told["other"]["what"]
    assert "oklahoma-fcn-slim belongs to its own network" in told["fixed"]["what"]
    assert "there is no" not in str(findings), "the settings are known"


def test_doctor_asks_for_waveforms(root: Path, worker: Path, capsys) -> None:
    demo = PACKAGE / "data" / "demo"
    install(root, worker)
    for where, said in ((demo / "waveforms.mseed", "answers, no data just now"), (root / "nowhere", "no such")):
        (root / "etc/dlloc.cfg").write_text(
            f'profile.default.inventory = "{demo / "stations.xml"}"\nprofile.default.waveforms = "{where}"\n'
        )
        capsys.readouterr()
        main(["doctor", "--seiscomp-root", str(root), "--time", "2030-01-02"])
        (line,) = [line for line in capsys.readouterr().out.splitlines() if f"waveforms {where}" in line]
        assert said in line
        assert line.startswith("ok" if "answers" in said else "FAULT")


def test_what_runs_is_not_taken_out(root: Path, worker: Path, capsys) -> None:
    install(root, worker)
    (root / "var/run").mkdir()
    before = tree(root)
    for name, take, subject in (("dlloc.pid", fcntl.lockf, "module"), ("dlloc.sock.lock", fcntl.flock, "worker")):
        with (root / "var/run" / name).open("w") as lock:
            hold = [sys.executable, "-c", HOLD.format(take.__name__), lock.name]
            with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
                assert holder.stdout is not None
                holder.stdout.readline()
                assert main(["uninstall", "--seiscomp-root", str(root)]) == 2
                holder.kill()
        assert f"{subject} of dlloc run there" in capsys.readouterr().err
        assert before <= tree(root)
    (root / "etc/init/dlloc.auto").write_text("")
    assert main(["uninstall", "--seiscomp-root", str(root)]) == 0
    assert not [name for name in tree(root) if "dlloc" in name]


def test_without_the_workers_environment_the_programs_say_what_to_do(root: Path, worker: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    shutil.copytree(worker, gone, symlinks=True)
    install(root, gone)
    shutil.rmtree(gone)
    for command in (["dlloc", "model", "list"], ["dlloc-locext"]):
        done = subprocess.run([str(root / "bin" / command[0]), *command[1:]], capture_output=True, text=True, input="")
        assert done.returncode == 2
        assert "run 'dlloc install' again" in done.stderr


def test_versions_are_told(root: Path, worker: Path) -> None:
    install(root, worker)
    manifest = Manifest.read(root)
    assert manifest is not None
    assert manifest.software == __version__
    assert apply.damaged(root, manifest) == {}
