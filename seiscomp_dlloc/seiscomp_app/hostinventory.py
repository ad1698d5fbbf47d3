"""The host's inventory as SCML: that of a file, of the database, or of etc/inventory."""

import glob
import os
import subprocess
import tempfile
from typing import Any

from seiscomp import client, datamodel, io

from .bindings import excluded_stations, leave_out
from .helping import Complaints, RequestError, without_password
from .objects import to_xml


def inventory_of(app: Any, complaints: Complaints) -> bytes:
    """SCML of the inventory of the host's application ``app``. Raises RequestError where there is none.

    It is that of ``database.inventory`` or ``--inventory-db``, else of ``database``, else of the files in
    etc/inventory.
    """
    uri = str(app.databaseURI())
    # The host's name notwithstanding: true where no file is named
    if not app.isInventoryDatabaseEnabled():
        where = "the file of 'database.inventory' or --inventory-db"
        app.setLoadInventoryEnabled(True)
        if not app.reloadInventory():
            raise RequestError(f"inventory: cannot be read from {where}: {complaints.take()}")
        found = client.Inventory.Instance().inventory()
    elif uri:
        where = f"the database {without_password(uri)} (setting 'database')"
        database = io.DatabaseInterface.Open(uri)
        if database is None:
            raise RequestError(f"inventory: no connection to {where}: {complaints.take()}")
        query = datamodel.DatabaseQuery(database)
        client.Inventory.Instance().load(query)
        found = client.Inventory.Instance().inventory()
        if found is not None:
            leave_out(found, excluded_stations(query, app.configModuleName()))
    else:
        folder = os.path.join(os.environ.get("SEISCOMP_ROOT", ""), "etc", "inventory")
        where = f"{folder}, where 'database' and 'database.inventory' are not set"
        found = merged_files(folder)
    if found is None or found.networkCount() == 0:
        raise RequestError(f"inventory: no network in {where}")
    return as_xml(found)


def merged_files(folder: str) -> Any:
    """The inventory of all files in ``folder``, merged by the host's scinv. None without files. Raises RequestError."""
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), "*.xml")))
    if not paths:
        return None
    with tempfile.TemporaryDirectory(prefix="dlloc-inventory-") as scratch:
        target = os.path.join(scratch, "inventory.xml")
        nothing = subprocess.DEVNULL
        done = subprocess.run(["scinv", "merge", *paths, "-o", target], stdin=nothing, stdout=nothing, check=False)
        if done.returncode != 0 or not os.path.exists(target):
            raise RequestError(f"inventory: 'scinv merge' of the files in {folder} failed ({done.returncode})")
        client.Inventory.Instance().load(target)
    return client.Inventory.Instance().inventory()


def as_xml(inventory: Any) -> bytes:
    """SCML of an inventory. Raises RequestError."""
    try:
        return to_xml(inventory)
    except RuntimeError as error:
        raise RequestError(f"inventory: {error}") from error
