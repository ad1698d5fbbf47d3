"""The recipe of docs/promotion.md, as it stands there, in a real SeisComP: whose origin scevent prefers, and when."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scratchroot import ScratchRoot, wait_until
from test_module import CONVENTIONAL, REPOSITORY, Host, events  # noqa: F401 - a fixture

pytestmark = [pytest.mark.seiscomp, pytest.mark.shared, pytest.mark.slow]

MANUAL = REPOSITORY / "docs" / "promotion.md"
Configured = Callable[..., Host]


def recipe(file: str, which: int = 0) -> list[str]:
    """Lines of the ``which``-th block of docs/promotion.md that is headed ``# etc/FILE``."""
    blocks = re.findall(rf"^    # etc/{re.escape(file)}\n((?:    \S.*\n)+)", MANUAL.read_text("utf-8"), re.MULTILINE)
    return [line.strip() for line in blocks[which].splitlines()]


@pytest.fixture
def configured(host: ScratchRoot, events: Path) -> Iterator[Configured]:  # noqa: F811 - the fixture
    """Makes a chain with the lines of scevent.cfg and dlloc.cfg given, and starts its module."""
    made: list[Host] = []

    def make(scevent: list[str], dlloc: list[str]) -> Host:
        if scevent:
            host.write_config("scevent", *scevent)
        chain = Host(host, events)
        chain.configure(*dlloc)
        chain.start_worker(1.5)
        made.append(chain)
        chain.start_module()
        return chain

    yield make
    for chain in made:
        if chain.worker.poll() is None:
            chain.worker.kill()
        chain.worker.wait(10)


def preferred(chain: Host) -> list[str]:
    """The preferred origin of each event, sorted."""
    return sorted(origin for origin in chain.root.preferred().values() if origin)


def finals(chain: Host) -> list[str]:
    """Our last origins, sorted."""
    return sorted(name for name in chain.ours() if name.endswith("/final"))


def associated(chain: Host, names: list[str]) -> bool:
    """Whether scevent has put all of these origins into events."""
    rows = chain.root.query("SELECT originID FROM OriginReference")
    return set(names) <= {str(name) for (name,) in rows}


def locate_all(chain: Host, document: Path | None = None) -> None:
    """Dispatch the conventional origins; wait until ours are stored and scevent has decided about them."""
    chain.root.dispatch(document or chain.document)
    chain.assert_one_final_origin_each()
    wait_until(lambda: associated(chain, chain.root.origins()))


def stays(what: Callable[[], bool], seconds: float = 4.0) -> None:
    """Assert that something is so, and that nothing changes it in ``seconds``: scevent decides within one."""
    assert what()
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(lambda: not what(), seconds, 0.2)


def origins_only(chain: Host, name: str, change: Callable[[str], str], source: Path | None = None) -> Path:
    """The document's origins without its picks (they are in the database), changed, as Origin/NAME/..."""
    text = (source or chain.document).read_text("utf-8")
    text = re.sub(r"<pick .*?</pick>", "", text, flags=re.DOTALL)
    text = re.sub(r"<event .*?</event>", "", text, flags=re.DOTALL)
    text = change(text.replace("Origin/conventional/", f"Origin/{name}/"))
    path = chain.root.root / "var" / f"{name}.xml"
    path.write_text(text, "utf-8")
    return path


def manual(status: str) -> Callable[[str], str]:
    """What makes the conventional origins a reviewer's."""
    stated = f"<evaluationStatus>{status}</evaluationStatus>" if status else ""
    return lambda text: text.replace(
        "<evaluationMode>automatic</evaluationMode>", f"<evaluationMode>manual</evaluationMode>{stated}"
    )


def rejected(text: str) -> str:
    """What makes the conventional origins ours that we do not stand by."""
    stated = "<evaluationMode>automatic</evaluationMode><evaluationStatus>rejected</evaluationStatus>"
    return text.replace("<evaluationMode>automatic</evaluationMode>", stated).replace(CONVENTIONAL, "DLLOC")


def magnitude(text: str) -> str:
    """What gives each origin the network magnitude that scmag would."""
    return re.sub(
        r'(<origin publicID="([^"]*)".*?)</origin>',
        r'\1<magnitude publicID="Magnitude/\2/M"><magnitude><value>3.3</value></magnitude><type>M</type>'
        r"<stationCount>6</stationCount><creationInfo><agencyID>TST</agencyID></creationInfo></magnitude></origin>",
        text,
        flags=re.DOTALL,
    )


def test_with_the_defaults_ours_are_in_the_events_and_never_preferred(configured: Configured):
    chain = configured([], [])
    locate_all(chain)
    stays(lambda: preferred(chain) == sorted(chain.conventional()))


def test_methods_in_scevent_alone_promote_nothing(configured: Configured):
    chain = configured(recipe("scevent.cfg"), [])
    locate_all(chain)
    stays(lambda: preferred(chain) == sorted(chain.conventional()))


def test_with_the_recipe_our_last_origin_is_preferred_and_a_later_conventional_one_is_not(configured: Configured):
    chain = configured(recipe("scevent.cfg"), recipe("dlloc.cfg"))
    locate_all(chain)
    wait_until(lambda: preferred(chain) == finals(chain))
    # The same earthquakes again, created later; ours of these follow
    chain.root.kill("dlloc", signal.SIGTERM)
    later = origins_only(chain, "later", lambda text: re.sub(r"<creationTime>\d{4}", "<creationTime>2030", text))
    chain.root.dispatch(later)
    wait_until(lambda: associated(chain, chain.conventional()))
    assert len(chain.conventional()) == 6
    stays(lambda: preferred(chain) == finals(chain))


def test_the_method_named_first_ranks_highest(configured: Configured):
    lines = [line.replace("DLLOC, LOCSAT", "LOCSAT, DLLOC") for line in recipe("scevent.cfg")]
    assert lines != recipe("scevent.cfg")
    chain = configured(lines, recipe("dlloc.cfg"))
    locate_all(chain)
    stays(lambda: preferred(chain) == sorted(chain.conventional()))


@pytest.mark.parametrize("status", ["", "preliminary", "confirmed"])
def test_a_reviewers_origin_is_preferred_to_ours(configured: Configured, status: str):
    chain = configured(recipe("scevent.cfg"), recipe("dlloc.cfg"))
    locate_all(chain)
    wait_until(lambda: preferred(chain) == finals(chain))
    chain.root.dispatch(origins_only(chain, "reviewed", manual(status)))
    reviewed = sorted(name for name in chain.conventional() if "/reviewed/" in name)
    assert len(reviewed) == 3
    wait_until(lambda: preferred(chain) == reviewed)
    # Ours of a conventional origin that comes after the review changes nothing
    count = len(finals(chain))
    chain.root.dispatch(origins_only(chain, "later", lambda text: text))
    wait_until(lambda: len(finals(chain)) == count + 3 and associated(chain, chain.ours()))
    stays(lambda: preferred(chain) == reviewed)


def test_a_reviewers_origin_that_is_rejected_is_not_preferred_and_one_that_is_fixed_is(configured: Configured):
    chain = configured(recipe("scevent.cfg"), recipe("dlloc.cfg"))
    locate_all(chain)
    wait_until(lambda: preferred(chain) == finals(chain))
    chain.root.dispatch(origins_only(chain, "no", manual("rejected")))
    wait_until(lambda: associated(chain, chain.conventional()))
    assert len(chain.conventional()) == 6
    stays(lambda: preferred(chain) == finals(chain))
    # As scolv has it done by "fix origin"
    event = sorted(chain.root.preferred())[0]
    rows = chain.root.query(
        "SELECT originID FROM OriginReference JOIN PublicObject ON PublicObject._oid = OriginReference._parent_oid"
        " WHERE PublicObject.publicID = ? AND originID LIKE 'Origin/conventional/%'",
        event,
    )
    chain.root.run("scsendjournal", event, "EvPrefOrgID", str(rows[0][0]), timeout=30.0)
    wait_until(lambda: chain.root.preferred()[event] == rows[0][0])


def test_an_origin_of_ours_that_is_rejected_is_never_preferred(configured: Configured):
    chain = configured(recipe("scevent.cfg"), [*recipe("dlloc.cfg"), "output.author = abstain"])
    chain.root.dispatch(chain.document)
    wait_until(lambda: chain.decisions().count("abstained") == 3)
    assert chain.ours() == [], "the module sends none where it abstains; screloc and scolv may store one"
    chain.root.dispatch(origins_only(chain, "abstained", rejected))
    wait_until(lambda: len(chain.ours()) == 3 and associated(chain, chain.root.origins()))
    stays(lambda: preferred(chain) == sorted(chain.conventional()))


def with_magnitudes(chain: Host) -> Path:
    """The conventional origins with a network magnitude each."""
    path = chain.root.root / "var" / "magnitudes.xml"
    path.write_text(magnitude(chain.document.read_text("utf-8")), "utf-8")
    return path


def event_magnitudes(chain: Host) -> set[str]:
    """Types of the preferred magnitudes of the events."""
    rows = chain.root.query(
        "SELECT Magnitude.type FROM Event JOIN PublicObject ON PublicObject.publicID = Event.preferredMagnitudeID"
        " JOIN Magnitude ON Magnitude._oid = PublicObject._oid"
    )
    return {str(kind) for (kind,) in rows}


@pytest.mark.parametrize("more", [[], recipe("scevent.cfg", 1)[:1]], ids=["", "types without stations"])
def test_where_the_event_has_a_magnitude_ours_waits_for_scmags(configured: Configured, more: list[str]):
    chain = configured([*recipe("scevent.cfg"), *more], recipe("dlloc.cfg"))
    locate_all(chain, with_magnitudes(chain))
    stays(lambda: preferred(chain) == sorted(chain.conventional()))
    assert event_magnitudes(chain) == {"M"}
    ours = chain.root.root / "var" / "ours.xml"
    chain.root.run("scxmldump", "-O", ",".join(finals(chain)), "-f", "-o", ours, "-d", chain.root.database_uri)
    chain.root.dispatch(origins_only(chain, "none", magnitude, ours))
    wait_until(lambda: preferred(chain) == finals(chain))
    assert event_magnitudes(chain) == {"M"}


def test_where_our_magnitude_counts_ours_waits_for_no_other(configured: Configured):
    chain = configured([*recipe("scevent.cfg"), *recipe("scevent.cfg", 1)], recipe("dlloc.cfg"))
    locate_all(chain, with_magnitudes(chain))
    wait_until(lambda: preferred(chain) == finals(chain))
    assert event_magnitudes(chain) == {"Mdl"}


def test_without_methods_in_scevent_none_leaves_it_to_the_later_origin(configured: Configured):
    chain = configured([], recipe("dlloc.cfg"))
    locate_all(chain)
    wait_until(lambda: preferred(chain) == finals(chain))


def test_what_is_taken_back_is_taken_back_for_the_next_events(configured: Configured):
    chain = configured(recipe("scevent.cfg"), recipe("dlloc.cfg"))
    chain.root.kill("dlloc", signal.SIGTERM)
    chain.root.kill("scevent", signal.SIGTERM)
    chain.root.write_config("scevent")
    chain.configure()
    chain.root.start("scevent", "scevent")
    chain.start_module()
    locate_all(chain)
    stays(lambda: preferred(chain) == sorted(chain.conventional()))
