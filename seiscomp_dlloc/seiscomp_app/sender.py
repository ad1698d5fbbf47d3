"""Our origins on their way into the database: nothing is lost and nothing is sent twice.

Each origin is in the journal before it goes out, goes out on a connection of its own (the host's main loop, which has
a grain of a second, has no part in it), and is done with when the database shows it whole. What the database does not
show in time is looked for again and only what is missing is sent again, under the same publicIDs.
"""

import logging
from dataclasses import dataclass
from typing import Any, Callable, List, Optional

from seiscomp import client

from .audit import Audit
from .chain import backoff
from .database import Database, DatabaseAwayError, Row, names
from .journal import Journal, Sending
from .objects import message_of, only_origin, parts_of

LOG = logging.getLogger("dlloc.sender")

IDLE_S = 8.0
"""A connection that is not used so long is given back; the broker throws clients out that are silent for 36 s."""

TIMEOUT_MS = 3000


class Link:
    """A connection to the messaging, made when it is needed."""

    def __init__(self, url: str, group: str) -> None:
        self.url, self.group = url, group
        self._connection: Any = None
        self._used = 0.0

    def send(self, message: Any, now: float) -> None:
        """Hand a message to the messaging. Raises ConnectionError saying why where that fails."""
        if self._connection is None:
            connection = client.Connection()
            if connection.setSource(self.url) != 0:
                raise ConnectionError(f"connection.server {self.url}: {connection.lastErrorMessage()}")
            # No name: the master gives one, so that the module's own name stays free
            result = connection.connect("", self.group, TIMEOUT_MS)
            if result != 0:
                raise ConnectionError(f"no connection to the messaging ({_why(connection, result)})")
            connection.setTimeout(TIMEOUT_MS)
            self._connection = connection
        result = self._connection.sendMessage(self.group, message)
        if result != 0:
            why = _why(self._connection, result)
            self.close()
            raise ConnectionError(f"the messaging did not take a message ({why})")
        self._used = now

    def close_when_idle(self, now: float) -> Optional[float]:
        """Give an idle connection back; when to ask again, None where there is no connection."""
        if self._connection is None:
            return None
        if now - self._used >= IDLE_S:
            self.close()
            return None
        return self._used + IDLE_S

    def close(self) -> None:
        """Leave the messaging, without its farewell, which can block: what was sent is looked for in the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _why(connection: Any, result: Any) -> str:
    return str(connection.lastErrorMessage() or f"result {result}")


@dataclass
class Item:
    """An origin on its way."""

    sending: Sending
    parts: List[Row]
    next_at: float
    patience_s: float = 10.0
    polls: int = 0
    attempts: int = 0
    missing: int = 0
    sent_at: Optional[float] = None
    began: float = 0.0
    resumed: bool = False


class Sender:
    """Sends what it is given, in order, and sees it into the database.

    ``dry``: nothing is sent; what would be is told to the audit. ``database`` None: there is none to look into; what
    the messaging took counts as stored.
    """

    def __init__(
        self,
        link: Optional[Link],
        database: Optional[Database],
        journal: Journal,
        audit: Audit,
        clock: Callable[[], float],
        dry: bool = False,
    ) -> None:
        self._link, self._database, self._journal, self._audit = link, database, journal, audit
        self._clock, self._dry = clock, dry
        self._items: List[Item] = []
        self._link_failures = 0
        self._link_at = 0.0

    @property
    def waiting(self) -> int:
        """Origins that the database does not show yet."""
        return len(self._items)

    def put(self, sending: Sending, resumed: bool = False) -> None:
        """Take an origin that stands in the journal; :meth:`step` sends it.

        ``resumed``: it is from before a restart, and may have been sent already.
        """
        now = self._clock()
        parts = parts_of(only_origin(sending.document))
        item = Item(sending, parts, now, began=now, resumed=resumed)
        if sending.state == "sent":
            # From before a restart: the messaging took it, so the database is given time before it is sent again
            item.sent_at = now
        self._items.append(item)

    def step(self) -> Optional[float]:
        """Do what is due; when to be called again, None where nothing waits."""
        for item in list(self._items):
            now = self._clock()
            if item.next_at <= now:
                # An error in what follows must not hold up the others at the next step
                item.next_at = now + 5.0
                if self._advance(item):
                    self._items.remove(item)
        times = [item.next_at for item in self._items]
        idle = self._link.close_when_idle(self._clock()) if self._link is not None else None
        if idle is not None:
            times.append(idle)
        return min(times) if times else None

    def _advance(self, item: Item) -> bool:
        """Whether the item is done with."""
        now, name = self._clock(), item.sending.public_id
        if self._dry:
            self._audit.write(now, "would send", id=name, objects=names(item.parts))
            return True
        rows = item.parts
        if self._database is not None:
            try:
                rows = self._database.missing(item.parts)
            except DatabaseAwayError as error:
                item.polls += 1
                item.next_at = now + backoff(item.polls, 0.2, 10.0)
                if item.attempts or item.resumed:
                    return False
                # An origin that was surely never sent need not wait for a database that is away
                LOG.warning("%s: %s", name, error)
            else:
                if not rows:
                    self._stored(item, now)
                    return True
                if item.sent_at is not None and self._has_patience(item, len(rows), now):
                    return False
        return self._send(item, rows)

    def _has_patience(self, item: Item, missing: int, now: float) -> bool:
        """Whether what was sent may still come; each time that the database shows more of it, it may take longer."""
        assert item.sent_at is not None
        if missing < item.missing:
            item.sent_at, item.polls = now, 0
        item.missing = missing
        if now - item.sent_at >= item.patience_s:
            item.patience_s = min(300.0, 2 * item.patience_s)
            item.polls = 0
            return False
        item.polls += 1
        item.next_at = now + backoff(item.polls, 0.02, 1.0)
        return True

    def _send(self, item: Item, rows: List[Row]) -> bool:
        now, name = self._clock(), item.sending.public_id
        if now < self._link_at:
            item.next_at = self._link_at
            return False
        assert self._link is not None
        try:
            self._link.send(message_of(rows), now)
        except ConnectionError as error:
            self._link_failures += 1
            self._link_at = now + backoff(self._link_failures, 0.5, 30.0)
            item.next_at = self._link_at
            if self._link_failures == 1:
                LOG.warning("%s; tried again", error)
                self._audit.write(now, "not sent", id=name, why=str(error))
            return False
        self._link_failures, self._link_at = 0, 0.0
        item.attempts += 1
        item.sent_at, item.missing, item.polls = now, len(rows), 0
        item.next_at = now + 0.02
        self._journal.sent(name, now)
        self._audit.write(now, "sent", id=name, objects=names(rows), again=item.attempts > 1 or None)
        LOG.info("sent %s (%s)", name, names(rows))
        if self._database is None:
            self._stored(item, now)
            return True
        return False

    def _stored(self, item: Item, now: float) -> None:
        name = item.sending.public_id
        self._journal.stored(name, now)
        taken = None if item.sent_at is None else round(now - item.began, 3)
        self._audit.write(now, "stored", id=name, seconds=taken)
        LOG.info("%s is in the database", name)

    def close(self) -> None:
        """Leave the messaging; what waits stays in the journal."""
        if self._link is not None:
            self._link.close()
