"""Look-ups in the host's database on a connection of our own.

The connection is made when it is needed and dropped when a query fails; a database that is away raises
:class:`DatabaseAwayError`, and the caller asks again later.
"""

from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from seiscomp import datamodel, io

from .objects import host_time

Row = Tuple[str, Any, str, str]

TOLD_APART_BY = {
    "Comment": "id",
    "Arrival": "pickID",
    "StationMagnitudeContribution": "stationMagnitudeID",
}
"""Column that tells objects of a class below one parent apart, for classes without publicID."""


class DatabaseAwayError(Exception):
    """The database does not answer."""


class Database:
    """The database at ``uri`` (``sqlite3:///path``, ``mysql://user:password@host/name``...)."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._database: Any = None
        self._query: Any = None

    def _connected(self) -> Any:
        if self._database is None or not self._database.isConnected():
            self.close()
            self._database = io.DatabaseInterface.Open(self.uri)
            if self._database is None:
                raise DatabaseAwayError("no connection to the database")
            self._query = datamodel.DatabaseQuery(self._database)
        return self._database

    def close(self) -> None:
        """Drop the connection; the next look-up makes a new one."""
        self._query = None
        if self._database is not None:
            self._database.disconnect()
            self._database = None

    def origin(self, public_id: str) -> Optional[Tuple[Any, List[Any]]]:
        """(origin with its arrivals, their picks) of a publicID; None where the database does not have it (yet)."""
        self._connected()
        found = datamodel.Origin.Cast(self._query.getObject(datamodel.Origin.TypeInfo(), public_id))
        if found is None:
            self._still_there()
            return None
        self._query.loadArrivals(found)
        iterator = self._query.getPicks(public_id)
        picks = []
        try:
            for item in iterator:
                pick = datamodel.Pick.Cast(item)
                if pick is not None:
                    picks.append(pick)
        finally:
            iterator.close()
        return found, picks

    def _still_there(self) -> None:
        """An empty answer is one only where the database can be asked at all."""
        if self._rows("SELECT 1") != [("1",)]:
            self.close()
            raise DatabaseAwayError("the database does not answer")

    def recent(self, since: float, most: int) -> List[str]:
        """publicIDs of the newest ``most`` origins written or created after ``since`` (POSIX seconds), oldest first."""
        database = self._connected()
        column, start = database.convertColumnName, database.timeToString(host_time(since))
        rows = self._rows(
            f"SELECT PublicObject.{column('publicID')} FROM Origin, PublicObject WHERE Origin._oid = PublicObject._oid"
            f" AND (Origin._last_modified >= '{start}' OR Origin.{column('creationInfo_creationTime')} >= '{start}')"
            f" ORDER BY Origin._oid DESC LIMIT {most}"
        )
        return [row[0] for row in reversed(rows)]

    def missing(self, parts: Sequence[Row]) -> List[Row]:
        """Which of the parts of an origin (:func:`~.objects.parts_of`) the database does not have yet."""
        if not self._has(parts[0][3]):
            self._still_there()
            return list(parts)
        children: List[Row] = []
        for kind in sorted({row[2] for row in parts[1:]}):
            for parent in sorted({row[0] for row in parts if row[2] == kind and row is not parts[0]}):
                there = self._names(kind, parent)
                children += [r for r in parts[1:] if r[2] == kind and r[0] == parent and r[3] not in there]
        # In the order of the parts, for parents must come first
        wanted = {id(row) for row in children}
        return [row for row in parts if id(row) in wanted]

    def _has(self, public_id: str) -> bool:
        database = self._connected()
        rows = self._rows(
            "SELECT _oid FROM PublicObject WHERE {} = '{}'".format(
                database.convertColumnName("publicID"), self._escaped(public_id)
            )
        )
        return bool(rows)

    def _names(self, kind: str, parent: str) -> List[str]:
        database = self._connected()
        column = database.convertColumnName
        parent_is = "Parent.{} = '{}'".format(column("publicID"), self._escaped(parent))
        if kind in TOLD_APART_BY:
            statement = (
                f"SELECT {kind}.{column(TOLD_APART_BY[kind])} FROM {kind}, PublicObject AS Parent"
                f" WHERE {kind}._parent_oid = Parent._oid AND {parent_is}"
            )
        else:
            statement = (
                "SELECT Own.{} FROM {}, PublicObject AS Own, PublicObject AS Parent"
                " WHERE {}._oid = Own._oid AND {}._parent_oid = Parent._oid AND {}"
            ).format(column("publicID"), kind, kind, kind, parent_is)
        return [row[0] for row in self._rows(statement)]

    def _escaped(self, text: str) -> str:
        done, escaped = self._connected().escape(text)
        if not done:
            raise DatabaseAwayError(f"{text!r} cannot be written into a query")
        return str(escaped)

    def _rows(self, statement: str) -> List[Tuple[str, ...]]:
        database = self._connected()
        if not database.beginQuery(statement):
            self.close()
            raise DatabaseAwayError("a query failed")
        rows = []
        try:
            while database.fetchRow():
                rows.append(tuple(database.getRowFieldString(i) for i in range(database.getRowFieldCount())))
        finally:
            database.endQuery()
        return rows


def names(parts: Iterable[Row]) -> str:
    """How many objects of each class: ``12 Arrival, 1 Origin``."""
    counts: Dict[str, int] = {}
    for part in parts:
        counts[part[2]] = counts.get(part[2], 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
