"""The settings: SeisComP's configuration syntax, the order of its files, and values that are checked by name."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.settings.cfg import parse_cfg, read_cfg
from seiscomp_dlloc.settings.layout import HostLayout, expand, local_config_folder
from seiscomp_dlloc.settings.parameters import PARAMETERS
from seiscomp_dlloc.settings.values import Profile, Settings, default_values, in_region


def parsed(text: str) -> dict[str, list[str]]:
    return parse_cfg(text, "x.cfg")


# The syntax


@pytest.mark.parametrize(
    ("line", "items"),
    [
        ("a = 1", ["1"]),
        ("a=1", ["1"]),
        ("  a  =  one two  ", ["onetwo"]),
        ("a = 1, 2 ,3", ["1", "2", "3"]),
        ('a = "one two" three', ["one twothree"]),
        ('a = "1, 2", 3', ["1, 2", "3"]),
        (r"a = 1\, 2, 3", ["1,2", "3"]),
        ('a = "# no comment" # a comment', ["# no comment"]),
        ("a = b = c", ["b=c"]),
        ('a = ""', []),
        ('a = "", 1', ["", "1"]),
        ("a = 1, \\\n    2", ["1", "2"]),
        ('a = "$x ${y} \\n"', ["$x ${y} \\n"]),
    ],
)
def test_a_line_gives_its_items(line: str, items: list[str]):
    assert parsed(line) == {"a": items}


def test_comments_and_empty_lines_are_nothing_and_the_last_line_of_a_name_counts():
    assert parsed("# a = 1\n\n   # b\na = 2 # c\na = 3\n") == {"a": ["3"]}


def test_blocks_prefix_their_names():
    text = "profile {\n  a {\n    model = one\n  }\n  b.model = two\n}\nc = 3\n"
    assert parsed(text) == {"profile.a.model": ["one"], "profile.b.model": ["two"], "c": ["3"]}


def test_references_name_what_was_set_before_or_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DLLOC_TEST", "x, y")
    text = "a = 1, 2\nb = ${a}, 3\nc = <${a}>\nd = ${DLLOC_TEST}\na = ${a}, 4\ne = ${nothing}, 5\n"
    found = parsed(text)
    assert found["c"] == ["<1", "2>"]
    assert found["e"] == ["5"]
    assert found["b"] == ["1", "2", "3"]
    assert found["d"] == ["x", "y"]
    assert found["a"] == ["1", "2", "4"]
    with pytest.raises(SettingError, match=r"x.cfg, line 1: \$\{nothing\} is not set"):
        parsed("a = ${nothing}")
    monkeypatch.setenv("DLLOC_TEST", "${DLLOC_TEST}")
    with pytest.raises(SettingError, match="refers to itself"):
        parsed("a = ${DLLOC_TEST}")


def test_a_reference_may_be_a_file_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "secret").write_text("hidden\n")
    monkeypatch.setenv("SEISCOMP_ROOT", str(tmp_path))
    assert parsed("a = mysql://u:${@secret}@h/db") == {"a": ["mysql://u:hidden@h/db"]}
    with pytest.raises(SettingError, match=r"x\.cfg, line 1: .*none.* cannot be read"):
        parsed("a = ${@none}")


def test_names_can_be_deleted():
    assert parsed("a = 1\nb = 2\ndel a\n") == {"b": ["2"]}


def test_included_files_are_read_in_place(tmp_path: Path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.cfg").write_text("a = 2\nb = ${a}\ninclude c.cfg\n")
    (tmp_path / "more" / "c.cfg").write_text("c = 3\n")
    (tmp_path / "a.cfg").write_text("a = 1\ninclude more/b.cfg\nd = ${c}\n")
    assert read_cfg(str(tmp_path / "a.cfg")) == {"a": ["2"], "b": ["2"], "c": ["3"], "d": ["3"]}


def test_a_file_that_includes_itself_is_refused(tmp_path: Path):
    path = tmp_path / "a.cfg"
    path.write_text("include a.cfg\n")
    with pytest.raises(SettingError, match="includes itself"):
        read_cfg(str(path))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a = 1\nnonsense\n", "line 2: 'nonsense' is no 'name = value'"),
        ("a b = 1", "line 1: 'a b = 1' is no 'name = value'"),
        ("= 1", "line 1"),
        ("a =", "line 1: '' has an empty item or none"),
        ("a = 1,", "line 1: '1,' has an empty item or none"),
        ("a = 1,,2", "line 1: '1,,2' has an empty item or none"),
        ("a = ${b", "line 1: '${b' has no closing brace"),
        ("a = ${nothing}, ${neither}", "line 1: ${neither} is not set"),
        ("a = x${nothing}, b", "line 1: ${nothing} is not set"),
        ("include a, b", "line 1: include names one file"),
        ('a = "open', 'line 1: missing terminating "'),
        ("p {\na = 1\n", "block 'p' is not closed"),
        ("a = 1\n}\n", "line 2: '}' closes no block"),
    ],
)
def test_what_is_no_configuration_is_told_with_file_and_line(text: str, what: str):
    with pytest.raises(SettingError) as told:
        parsed(text)
    assert str(told.value).startswith("x.cfg")
    assert what in str(told.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    with pytest.raises(SettingError, match=r"none\.cfg: cannot be read"):
        read_cfg(str(tmp_path / "none.cfg"))
    (tmp_path / "bytes.cfg").write_bytes(b"a = \xff\xfe")
    with pytest.raises(SettingError, match=r"bytes\.cfg: cannot be read"):
        read_cfg(str(tmp_path / "bytes.cfg"))


# The order of files


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostLayout:
    """A host whose files say nothing; the user's own folder is below ``tmp_path``, too."""
    root = tmp_path / "seiscomp"
    (root / "etc" / "defaults").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("SEISCOMP_LOCAL_CONFIG", str(tmp_path / "own"))
    monkeypatch.delenv("SEISCOMP_ROOT", raising=False)
    return HostLayout(str(root))


def test_the_users_file_counts_more_than_the_systems_and_that_more_than_the_defaults(
    layout: HostLayout, tmp_path: Path
):
    files = [Path(layout.defaults) / "dlloc.cfg", Path(layout.etc) / "dlloc.cfg", tmp_path / "own" / "dlloc.cfg"]
    files[0].write_text("worker.jobs = 11\nworker.queue = 11\nworker.threads = 11\n")
    files[1].write_text("worker.jobs = 12\nworker.queue = 12\n")
    files[2].write_text("worker.jobs = 13\n")
    settings = Settings.load(layout=layout)
    assert (settings.worker.jobs, settings.worker.queue, settings.worker.threads) == (13, 12, 11)
    assert settings.worker.deadline_s == 120.0, "what no file says is the table's default"
    assert settings.files == tuple(str(path) for path in files)


def test_the_modules_file_counts_more_than_the_global_one_of_the_same_folder(layout: HostLayout, tmp_path: Path):
    (Path(layout.etc) / "dlloc.cfg").write_text("worker.jobs = 3\noutput.agencyID = XX\nworker.queue = 3\n")
    (Path(layout.etc) / "global.cfg").write_text("worker.jobs = 7\n")
    (tmp_path / "own" / "global.cfg").write_text("agencyID = OWN\nworker.queue = 7\n")
    settings = Settings.load(layout=layout)
    assert settings.worker.jobs == 3
    assert settings.worker.queue == 7, "the user's global file stands above the system's own of the module"
    assert settings.output.agency_id == "XX"
    (Path(layout.etc) / "dlloc.cfg").unlink()
    assert Settings.load(layout=layout).output.agency_id == "OWN"


def test_a_file_that_is_named_counts_alone(layout: HostLayout, tmp_path: Path):
    (Path(layout.etc) / "dlloc.cfg").write_text("worker.jobs = 3\nworker.queue = 5\n")
    (tmp_path / "named.cfg").write_text("worker.jobs = 4\n")
    settings = Settings.load(str(tmp_path / "named.cfg"), layout)
    assert (settings.worker.jobs, settings.worker.queue) == (4, 64)
    assert settings.files == (str(tmp_path / "named.cfg"),)


def test_without_a_host_there_are_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("SEISCOMP_ROOT", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings = Settings.load()
    assert settings.files == ()
    assert list(settings.profiles) == ["default"]
    assert settings.journal_file == str(tmp_path / "dlloc" / "journal.jsonl")


# Values


def settings_of(**lines: str) -> Settings:
    """Settings of a few keys, dots written as __."""
    values = {key.replace("__", "."): parse_cfg(f"a = {text}", "x")["a"] for key, text in lines.items()}
    return Settings.from_getter(values.get, HostLayout("/host"))


def test_profiles_have_what_their_lines_say_and_else_the_defaults():
    settings = settings_of(
        profiles="a, b",
        profile__a__model="@DATADIR@/dlloc/m.onnx",
        profile__a__waveforms='"fdsnws:http://x/?a=1,2"',
        profile__a__region="33, -101, 38, -94",
        profile__a__maxDistance="150",
        profile__a__minPeak="0.5",
        profile__a__minStations="4",
        profile__a__earthModel="ak135",
        profile__a__corrections="@CONFIGDIR@/delays.json",
    )
    assert list(settings.profiles) == ["a", "b"]
    region = (33.0, -101.0, 38.0, -94.0)
    delays = f"{local_config_folder()}/delays.json"
    assert settings.profiles["a"] == Profile(
        "a", "/host/share/dlloc/m.onnx", "fdsnws:http://x/?a=1,2", "", region, 150.0, 0.5, 4, "ak135", delays
    )
    assert settings.profiles["b"] == Profile("b")


@pytest.mark.parametrize(
    ("key", "text", "what"),
    [
        ("trigger.minPhases", "many", "'many' is no number"),
        ("trigger.minPhases", "2.5", "2.5 is no whole number"),
        ("trigger.minPhases", "-1", "-1 is outside 0 to"),
        ("worker.jobs", "0", "0 is outside 1 to 64"),
        ("worker.jobs", "65", "65 is outside 1 to 64"),
        ("worker.deadline", "nan", "nan is outside 1 to 3600"),
        ("worker.deadline", "inf", "inf is outside"),
        ("evolve.enable", "perhaps", "'perhaps' is neither true nor false"),
        ("output.evaluationStatus", "final", "'final' is none of reported, preliminary"),
        ("worker.provider", "tpu", "'tpu' is none of auto, cuda, cpu"),
        ("trigger.modes", "automatic, robot", "'robot' is neither automatic nor manual"),
        ("trigger.region", "1, 2, 3", "give south, west, north, east"),
        ("trigger.region", "10, 0, 5, 20", "give south, west, north, east"),
        ("trigger.region", "-95, 0, 5, 20", "give south, west, north, east"),
        ("trigger.region", "0, 0, x, 20", "'x' is no number"),
        ("profile.default.minPeak", "1.5", "1.5 is outside 0 to 1"),
        ("profile.default.region", "0, 400, 1, 2", "400 is outside -180 to 360"),
        ("profiles", '""', "names no profile"),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_file(
    layout: HostLayout, tmp_path: Path, key: str, text: str, what: str
):
    path = tmp_path / "wrong.cfg"
    path.write_text(f"{key} = {text}\n")
    with pytest.raises(SettingError) as told:
        Settings.load(str(path), layout)
    message = str(told.value)
    assert message.startswith(f"setting {key}: ")
    assert what in message
    assert str(path) in message


@pytest.mark.parametrize("text", ["true", "Yes", "ON", "1"])
def test_true_has_many_names(text: str):
    assert settings_of(worker__requireGPU=text).worker.require_gpu


def test_none_leaves_the_status_out_and_a_largest_age_of_zero_is_none():
    settings = settings_of(output__evaluationStatus="none", trigger__maxAge="0")
    assert settings.output.evaluation_status == ""
    assert settings.trigger.max_age_s is None


def test_a_region_may_cross_the_date_line():
    over = (-20.0, 170.0, 20.0, -170.0)
    assert in_region(over, 0.0, 179.0)
    assert in_region(over, 0.0, -179.0)
    assert not in_region(over, 0.0, 0.0)
    assert not in_region(over, 21.0, 179.0)
    assert settings_of(trigger__region="-20, 170, 20, -170").trigger.region == over


def test_the_hosts_names_for_folders_are_replaced_or_their_key_is_told():
    assert expand("@ROOTDIR@/a", "k", HostLayout("/host")) == "/host/a"
    assert expand("@RUNDIR@/a", "k", HostLayout("/host")) == "/host/var/run/a"
    assert expand("~/a", "k", None) == os.path.expanduser("~/a")
    with pytest.raises(SettingError, match="k: @DATADIR@ needs SEISCOMP_ROOT"):
        expand("@DATADIR@/a", "k", None)


def test_every_default_of_the_table_is_accepted_where_a_file_states_it():
    defaults = default_values()
    assert list(defaults) == [parameter.key for parameter in PARAMETERS]
    stated = {key.replace("$name", "default"): parse_cfg(f'a = {text or chr(34) * 2}', "x")["a"]
              for key, text in defaults.items()}  # fmt: skip
    layout = HostLayout("/host")
    assert Settings.from_getter(stated.get, layout) == Settings.from_getter(lambda key: None, layout)


# The host's own reader

HOST_READS = """
import json, sys
import seiscomp.config
found = []
for path in sys.argv[1:]:
    config = seiscomp.config.Config()
    good = config.readConfig(path)
    found.append({name: list(config.getStrings(name)) for name in config.names()} if good else None)
print(json.dumps(found))
"""

FILES = (
    "a = 1\nb=2,3 , 4\nc = one two\nd = x = y\ndel a\n",
    'a = "5, 6", 7   # a comment\nb = "# none"\nc = "one" two "three four"\nd = "",1\n',
    "a = \\\n    8, \\\n    9\nb = 1\\, 2\nc = x\\ny\nd = \\#1\n",
    'a = 1, 2\nb = ${a}, 5\nc = <${a}>\nd = ${none}, 6\ne = "${a}"\nf = ${HOST_TEST}\n',
    'block {\n    j = 1\n    inner {\n        k = "q r"\n    }\n    include more.inc\n}\nn = ${block.j}\n',
    "include more.inc\nlater = ${more}\n",
    "l = dlloc@@hostname@\nm = 33, -101, 38, -94\nn = mysql://u:p@h/db?a=1\n",
    "a =\n",
    "a = 1,\n",
    "a = 1,,2\n",
    "a = ${none}\n",
    "a = x${none}, y\n",
    "a = ${open\n",
    'a = "open\n',
    "nonsense\n",
    "a b = 1\n",
    "block {\na = 1\n",
    "a = 1\n}\n",
    "include none.inc\n",
)


@pytest.mark.seiscomp
def test_the_hosts_own_reader_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = os.environ.get("SEISCOMP_ROOT")
    if not root:
        pytest.skip("needs SEISCOMP_ROOT, the folder of an installed SeisComP")
    monkeypatch.setenv("HOST_TEST", "x, y")
    (tmp_path / "more.inc").write_text("more = yes\n")
    paths = [Path(__file__).parent.parent / "etc" / "defaults" / "dlloc.cfg"]
    for number, text in enumerate(FILES):
        paths.append(tmp_path / f"{number}.cfg")
        paths[-1].write_text(text, "utf-8")
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{root}/lib", "PYTHONPATH": f"{root}/lib/python"}
    command = [f"{root}/bin/seiscomp-python", "-c", HOST_READS, *map(str, paths)]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    theirs = json.loads(done.stdout.splitlines()[-1].decode())
    for path, found in zip(paths, theirs, strict=True):
        if found is None:
            with pytest.raises(SettingError):
                read_cfg(str(path))
        else:
            assert read_cfg(str(path)) == found, path.read_text("utf-8")


def test_a_wrong_value_is_looked_for_in_the_file_that_has_the_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "root"
    for folder, text in (("etc/defaults", "worker.jobs = 2\n"), ("etc", "worker.jobs = many\n")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "dlloc.cfg").write_text(text)
    (root / "etc" / "global.cfg").write_text("agencyID = X\n")
    monkeypatch.setenv("SEISCOMP_LOCAL_CONFIG", str(tmp_path / "none"))
    with pytest.raises(SettingError) as caught:
        Settings.load(layout=HostLayout(str(root)))
    assert str(caught.value).endswith(f"(in {root}/etc/dlloc.cfg)")
