"""A SeisComP of one test: its own configuration, database, logs and messaging, the built host's programs by link."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

OWN = ("etc/inventory", "etc/key")
"""Folders that are made here, however the host has them."""

LINKED_WHOLE = ("include", "sbin")
"""Folders of the host that nothing is installed into."""

LINKED_ENTRIES = ("bin", "lib", "share", "etc", "etc/defaults", "etc/init", "etc/descriptions", "lib/python")
"""Folders whose entries are linked one by one, so that the plugin can be installed beside them."""

AGENCY = "TST"


def free_port() -> int:
    """A TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: Callable[[], object], seconds: float = 60.0, every: float = 0.05) -> object:
    """The first true value of ``what``; AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(every)


class ScratchRoot:
    """A scratch SEISCOMP_ROOT below ``folder``, made of the installation ``host``."""

    def __init__(self, host: Path, folder: Path):
        self.host, self.root, self.port = host, folder / "seiscomp", free_port()
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        for name in LINKED_ENTRIES:
            target = self.root / name
            target.mkdir(parents=True, exist_ok=True)
            for entry in sorted((host / name).iterdir()) if (host / name).is_dir() else ():
                relative = f"{name}/{entry.name}"
                if relative not in (*LINKED_ENTRIES, *OWN) and not (target / entry.name).exists():
                    (target / entry.name).symlink_to(entry)
        for name in LINKED_WHOLE:
            if (host / name).is_dir():
                (self.root / name).symlink_to(host / name)
        for name in ("var/lib", "var/run", "var/log", "etc/inventory", "etc/key"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        # The control scripts find their root from their own place, so they must be files here and no links
        for name in ("seiscomp", "seiscomp-control.py"):
            control = self.root / "bin" / name
            if control.is_symlink():
                original = control.resolve()
                control.unlink()
                shutil.copy2(original, control)
        self.database = self.root / "var" / "lib" / "seiscomp.db"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._make_database()
        self._configure()

    @property
    def database_uri(self) -> str:
        """What ``-d`` takes."""
        return f"sqlite3://{self.database}"

    @property
    def messaging(self) -> str:
        """What ``-H`` takes."""
        return f"localhost:{self.port}/production"

    @property
    def environment(self) -> dict[str, str]:
        """As ``seiscomp exec`` makes it."""
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SEISCOMP_ROOT", "LD_LIBRARY_PATH")}
        return {
            **kept,
            "SEISCOMP_ROOT": str(self.root),
            "HOME": str(self.home),
            "PATH": f"{self.root}/bin:{self.root}/sbin:{os.environ.get('PATH', '')}",
            "LD_LIBRARY_PATH": f"{self.root}/lib",
            "PYTHONPATH": f"{self.root}/lib/python",
            "PYTHONDONTWRITEBYTECODE": "1",
            "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
        }

    def _make_database(self) -> None:
        schema = (self.host / "share" / "db" / "sqlite3.sql").read_text("utf-8")
        connection = sqlite3.connect(self.database)
        try:
            # The program that writes waits for readers of the tests instead of failing
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(schema)
            connection.commit()
        finally:
            connection.close()

    def _configure(self) -> None:
        self.write_config(
            "global",
            "core.plugins = dbsqlite3",
            f"connection.server = {self.messaging}",
            f"agencyID = {AGENCY}",
            f"database = {self.database_uri}",
        )
        store = "queues.production.processors.messages.dbstore"
        self.write_config(
            "scmaster",
            "core.plugins = dbsqlite3",
            f"interface.bind = 127.0.0.1:{self.port}",
            "queues.production.plugins = dbstore",
            "queues.production.processors.messages = dbstore",
            f"{store}.driver = sqlite3",
            f"{store}.read = {self.database}",
            f"{store}.write = {self.database}",
        )

    def write_config(self, module: str, *lines: str) -> None:
        """etc/MODULE.cfg, anew."""
        path = self.root / "etc" / f"{module}.cfg"
        if path.is_symlink():
            path.unlink()
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def load_inventory(self, station_xml: Path) -> Path:
        """Put StationXML into the database; its SeisComP form as a file."""
        converted = self.root / "etc" / "inventory" / f"{station_xml.stem}.xml"
        self.run("fdsnxml2inv", station_xml, converted)
        self.run("scdb", "-i", converted, "-d", self.database_uri)
        return converted

    # Programs

    def run(
        self, *command: str | Path, timeout: float = 120.0, stdin: bytes | None = None, check: bool = True
    ) -> bytes:
        """Run a program of the host to its end; its stdout."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            cwd=self.root,
            input=stdin,
            capture_output=True,
            timeout=timeout,
        )
        if check:
            assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr.decode()[-4000:]}"
        return done.stdout

    def control(self, *arguments: str, check: bool = True) -> str:
        """Run ``seiscomp ARGUMENTS``, the operator's control script; its stdout."""
        as_root = ("--asroot",) if os.geteuid() == 0 else ()
        # The host's Python, whatever environment the tests run in
        path = f"PATH={self.root}/bin:/usr/local/bin:/usr/bin:/bin"
        return self.run("env", path, self.root / "bin" / "seiscomp", *as_root, *arguments, check=check).decode()

    def start(self, name: str, *command: str | Path) -> "subprocess.Popen[bytes]":
        """Start a program in the background; its output goes to var/log/NAME.out."""
        with (self.root / "var" / "log" / f"{name}.out").open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                env=self.environment,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes[name] = process
        return process

    def log(self, name: str) -> str:
        """What a program started by :meth:`start` has printed."""
        path = self.root / "var" / "log" / f"{name}.out"
        return path.read_text("utf-8", errors="replace") if path.exists() else ""

    def start_master(self) -> None:
        """scmaster, until it accepts connections."""
        process = self.start("scmaster", "scmaster", "--debug")

        def listening() -> bool:
            assert process.poll() is None, f"scmaster ended:\n{self.log('scmaster')[-4000:]}"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(listening)

    def kill(self, name: str, how: int = signal.SIGKILL) -> None:
        """Send a signal to a program and wait for its end."""
        process = self._processes.pop(name)
        process.send_signal(how)
        process.wait(30)

    def running(self, name: str) -> bool:
        """Whether a program started here still runs."""
        return name in self._processes and self._processes[name].poll() is None

    def close(self) -> None:
        """End all programs, kindly first."""
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        self._processes.clear()

    # The database

    def query(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Rows of a SELECT."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        try:
            return list(connection.execute(statement, values))
        finally:
            connection.close()

    def origins(self, method: str | None = None) -> list[str]:
        """publicIDs of the origins in the database, those of one methodID if given, oldest first."""
        rows = self.query(
            "SELECT PublicObject.publicID, Origin.methodID FROM Origin JOIN PublicObject ON Origin._oid ="
            " PublicObject._oid ORDER BY Origin._oid"
        )
        return [str(name) for name, by in rows if method is None or by == method]

    def preferred(self) -> dict[str, str]:
        """publicID of each event -> its preferred origin."""
        rows = self.query(
            "SELECT PublicObject.publicID, Event.preferredOriginID FROM Event JOIN PublicObject ON Event._oid ="
            " PublicObject._oid"
        )
        return {str(event): str(origin) for event, origin in rows}

    def dispatch(self, document: Path, operation: str = "add") -> None:
        """Send the objects of an SCML file into the messaging.

        scdispatch can block in its farewell after the master took everything: then the database decides.
        """
        try:
            self.run("scdispatch", "-i", document, "-O", operation, timeout=15.0)
        except subprocess.TimeoutExpired:
            names = set(re.findall(r'publicID="([^"]+)"', document.read_text("utf-8")))
            stored = {name for (name,) in self.query("SELECT publicID FROM PublicObject")}
            if not names <= stored:
                raise
