"""cds-service screen, in its own process: what it reads and writes, how it goes on, and what it refuses."""

import contextlib
import gzip
import json
import os
import signal
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from select import select

import fsspec
import pytest
from click.testing import CliRunner

from cds_service import strict_json
from cds_service.cli_screen import screen
from cds_service.errors import SettingsError
from cds_service.population import lines as reading
from cds_service.population.parts import write_part
from tests.population_samples import COMMAND, Ended, alarm, calm, ndjson, rows, screened, short, started
from tests.processes import environment
from tests.samples import patient

pytestmark = pytest.mark.timeless  # other processes do the work, for the moment that --at says

THREE = [calm(1), alarm(2), b'{"resourceType": "Questionnaire']
SAID = ("self-care", "emergency-now", "not-judged")
MANY = [(calm, alarm)[number % 3 == 0](number) for number in range(600)]
PATIENCE = 60  # seconds
SMALL = ("--chunk", "8000")  # so that MANY is some hundred chunks


def done(folder: Path, *words: str) -> Ended:
    """The command, which must not fail."""
    found = screened(folder, *words)
    assert found.fault is None, found.fault
    return found


def said(path: Path) -> tuple[str, ...]:
    return tuple(row["disposition"] for row in rows(path))


def test_files_of_a_folder_that_are_not_read_are_counted_aloud(tmp_path: Path) -> None:
    a_folder(tmp_path)

    assert "WARNING: 1 files in folders are not read" in screened(tmp_path, "export", "--out", "out.csv").stderr


def test_a_row_for_each_line_and_a_table_of_dispositions(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_bytes(ndjson([*THREE[:2], b"", b"   ", *THREE[2:]]))

    printed = done(tmp_path, "in.ndjson", "--out", "out.parquet", "--plot", "plot.svg").stdout

    found = rows(tmp_path / "out.parquet")
    assert short(found, "line", "id", "subject", "disposition", "fired", "reason") == [
        (1, "r1", "Patient/p1", "self-care", "R40", ""),
        (2, "r2", "Patient/p2", "emergency-now", "R02", ""),
        (5, "", "", "not-judged", "", "damaged"),
    ]
    assert {row["file"] for row in found} == {(tmp_path / "in.ndjson").as_uri()}
    assert found[0]["questionnaire"] == "https://lowbackpain.example/fhir/Questionnaire/low-back-pain|1.0.0"
    assert len(found[0]["content_hash"]) == 64
    assert ["emergency-now", "1", "33.33", "%"] in [line.split() for line in printed.splitlines()]
    assert "not a certified medical device" in printed.lower()
    assert "not-judged (damaged)" in (tmp_path / "plot.svg").read_text("utf-8")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in.ndjson", "out.parquet", "plot.svg"]


def test_the_output_holds_identifiers_and_is_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_bytes(ndjson(THREE))

    done(tmp_path, "in.ndjson", "--out", "out.csv", "--plot", "plot.svg")

    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("out.csv", "plot.svg")} == {0o600}


def test_csv_and_parquet_one_process_and_two_small_chunks_and_large_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_bytes(ndjson(MANY))

    done(tmp_path, "in.ndjson", "--out", "one.csv")
    done(tmp_path, "in.ndjson", "--out", "one.parquet", "--quiet")
    done(tmp_path, "in.ndjson", "--out", "two.parquet", "--workers", "2", *SMALL)

    assert rows(tmp_path / "one.csv") == rows(tmp_path / "one.parquet") == rows(tmp_path / "two.parquet")
    assert short(rows(tmp_path / "two.parquet"), "line", "id") == [(n + 1, f"r{n}") for n in range(600)]


def plain(folder: Path) -> list[str]:
    (folder / "in.ndjson").write_bytes(ndjson(THREE))
    return ["in.ndjson"]


def last_line_open(folder: Path) -> list[str]:
    (folder / "in.ndjson").write_bytes(ndjson(THREE).rstrip(b"\n"))
    return ["in.ndjson"]


def lines_of_windows(folder: Path) -> list[str]:
    (folder / "in.ndjson").write_bytes(ndjson(THREE).replace(b"\n", b"\r\n"))
    return ["in.ndjson"]


def zipped(folder: Path) -> list[str]:
    (folder / "in.ndjson.gz").write_bytes(gzip.compress(ndjson(THREE[:2])) + gzip.compress(ndjson(THREE[2:])))
    return ["in.ndjson.gz"]


def zipped_with_another_name(folder: Path) -> list[str]:
    (folder / "in.ndjson").write_bytes(gzip.compress(ndjson(THREE)))
    return ["in.ndjson"]


def a_folder(folder: Path) -> list[str]:
    (folder / "export/more").mkdir(parents=True)
    (folder / "export/1.ndjson").write_bytes(ndjson(THREE[:1]))
    (folder / "export/2.ndjson.gz").write_bytes(gzip.compress(ndjson(THREE[1:2])))
    (folder / "export/more/3.JSONL").write_bytes(ndjson(THREE[2:]))
    (folder / "export/readme.txt").write_bytes(b"no responses")
    return ["export"]


def a_glob(folder: Path) -> list[str]:
    for number, one in enumerate(THREE):
        (folder / f"QuestionnaireResponse.{number}.ndjson").write_bytes(ndjson([one]))
    (folder / "Patient.0.ndjson").write_bytes(ndjson([patient()]))
    return ["QuestionnaireResponse.*.ndjson"]


def several(folder: Path) -> list[str]:
    for number, one in enumerate(THREE):
        (folder / f"{number}.x").write_bytes(ndjson([one]))
    return ["0.x", "1.x", "2.x", "1.x"]


def an_address(folder: Path) -> list[str]:
    return [(folder / plain(folder)[0]).as_uri()]


WAYS = [
    plain,
    last_line_open,
    lines_of_windows,
    zipped,
    zipped_with_another_name,
    a_folder,
    a_glob,
    several,
    an_address,
]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_responses_are_read_wherever_they_stand(way: Callable[[Path], list[str]], tmp_path: Path) -> None:
    done(tmp_path, *way(tmp_path), "--out", "out.parquet")

    assert said(tmp_path / "out.parquet") == SAID


def test_any_address_that_fsspec_knows_is_read(tmp_path: Path) -> None:
    with fsspec.open("memory://export/in.ndjson", "wb") as file:
        file.write(ndjson(THREE))

    done(tmp_path, "memory://export/*.ndjson", "--out", "out.parquet")

    assert said(tmp_path / "out.parquet") == SAID


# Each row: what is wrong with the file, the file, the dispositions and the reason of the last row.
DAMAGED: list[tuple[str, bytes, tuple[str, ...], str]] = [
    ("gzip cut short", gzip.compress(ndjson([calm(1)]))[:-9], ("self-care", "not-judged"), "damaged-gzip"),
    ("no gzip", b"\x1f\x8b" + b"x" * 99, ("not-judged",), "damaged-gzip"),
    ("gzip and something else", gzip.compress(ndjson([calm(1)])) + b"x", ("self-care", "not-judged"), "damaged-gzip"),
    ("a gzip bomb", zlib.compress(b"\n" * 9_000_000, wbits=31), ("not-judged",), "gzip-bomb"),
    (
        "a line that is too long",
        b"x" * (strict_json.MAX_BYTES * 3) + b"\n" + ndjson([calm(1)]),
        ("not-judged", "self-care"),
        "",
    ),
    ("a long line without end", ndjson([calm(1)]) + b" " * 1_500_000, ("self-care", "not-judged"), "too-large"),
]


@pytest.mark.parametrize("case", DAMAGED, ids=[case[0] for case in DAMAGED])
def test_a_damaged_file_gives_rows_that_say_so(case: tuple[str, bytes, tuple[str, ...], str], tmp_path: Path) -> None:
    _, content, dispositions, reason = case
    (tmp_path / "in.ndjson").write_bytes(content)

    done(tmp_path, "in.ndjson", "--out", "out.parquet")

    found = rows(tmp_path / "out.parquet")
    assert tuple(row["disposition"] for row in found) == dispositions
    assert found[-1]["reason"] == reason
    assert reading.MOST_EXPANDED > 100


def test_an_empty_file_gives_no_rows_and_a_table(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_bytes(b"")

    printed = done(tmp_path, "in.ndjson", "--out", "out.parquet").stdout

    assert rows(tmp_path / "out.parquet") == []
    assert printed.splitlines()[-3].split() == ["all", "0"]


def test_the_birth_dates_of_the_patients_count(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_bytes(ndjson([calm(1), calm(2), calm(3), calm(4)]))
    known = [{"p1": "2010-01-01", "p2": "1986-01-01", "p3": "1986-01-01"}.items(), {"p3": "1950-01-01"}.items()]
    people = [patient(None, id=id_, birthDate=born) for some in known for id_, born in some]
    (tmp_path / "people.ndjson").write_bytes(ndjson([*people, {"resourceType": "Encounter"}]))

    told = done(tmp_path, "in.ndjson", "--patients", "people.ndjson", "--out", "out.parquet")

    found = short(rows(tmp_path / "out.parquet"), "disposition", "unknown")
    under_age, grown, of_two_dates, not_there = found
    assert under_age[0] == "doctor-advice"
    assert grown == not_there == ("self-care", "")
    assert of_two_dates == ("incomplete", "age:unreadable")
    assert told.stderr == ""


def test_where_a_patient_cannot_be_read_no_birth_date_is_taken_for_unsaid(tmp_path: Path) -> None:
    (tmp_path / "in.ndjson").write_bytes(ndjson([calm(1), calm(2)]))
    (tmp_path / "people.ndjson").write_bytes(ndjson([patient(None, birthDate="1986-01-01"), b'{"resourceType": "Pat']))

    told = done(tmp_path, "in.ndjson", "--patients", "people.ndjson", "--out", "out.parquet")

    assert short(rows(tmp_path / "out.parquet"), "disposition", "unknown") == [
        ("self-care", ""),
        ("incomplete", "age:unreadable"),
    ]
    assert "WARNING: 1 lines of --patients" in told.stderr


def begun(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The command on MANY, in the middle: one of its parts is there, and most are not."""
    (folder / "in.ndjson").write_bytes(ndjson(MANY))
    process = started(folder, "in.ndjson", "--out", "out.parquet", *SMALL, *words)
    while not list(folder.glob("out.parquet.parts/*.arrow")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(process.communicate(timeout=0.01))
    return process


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    process.send_signal(number)
    return process.communicate(timeout=60)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_command_goes_on_where_it_was(workers: str, tmp_path: Path) -> None:
    ended(begun(tmp_path, "--workers", workers), signal.SIGKILL)
    finished = sorted((tmp_path / "out.parquet.parts").glob("*.arrow"))
    assert 0 < len(finished) < 100
    first = finished[0]
    write_part(first, [(7, None)], ["file:///x", "s", "c", "q", "h"])  # other than it would be, were it done again

    done(tmp_path, "in.ndjson", "--out", "out.parquet", *SMALL, "--workers", workers)

    done(tmp_path, "in.ndjson", "--out", "whole.parquet", *SMALL)
    found, whole = (short(rows(tmp_path / name), "id") for name in ("out.parquet", "whole.parquet"))
    assert len(found) < len(whole) == 600
    missing = set(whole) - set(found)
    assert found == [one for one in whole if one not in missing]
    assert len(missing) < 10
    assert not (tmp_path / "out.parquet.parts").exists()


def test_an_interrupt_ends_tidily_with_a_word_on_how_to_go_on(tmp_path: Path) -> None:
    process = begun(tmp_path, "--workers", "2")
    _, told = ended(process, signal.SIGINT)

    assert process.returncode == 130
    assert told.splitlines()[-1].startswith("screen: stopped; what is done is kept, so start the same command again")
    assert "Traceback" not in told
    assert {one.suffix for one in (tmp_path / "out.parquet.parts").iterdir()} <= {".arrow", ".json"}
    done(tmp_path, "in.ndjson", "--out", "out.parquet", *SMALL)
    assert len(rows(tmp_path / "out.parquet")) == 600


def test_no_worker_outlives_a_killed_command(tmp_path: Path) -> None:
    process = begun(tmp_path, "--workers", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2  # the workers
    watched = [os.pidfd_open(int(child)) for child in children]
    ended(process, signal.SIGKILL)

    assert [bool(select([one], [], [], PATIENCE)[0]) for one in watched] == [True] * len(watched)  # each has ended
    for one in watched:
        os.close(one)


def interrupted(folder: Path) -> Path:
    """A run that was begun and not ended, and its manifest."""
    ended(begun(folder, "--workers", "1"), signal.SIGKILL)
    return folder / "out.parquet.parts/manifest.json"


def test_a_run_begun_otherwise_is_not_gone_on_with(tmp_path: Path) -> None:
    interrupted(tmp_path)
    words = ["in.ndjson", "--out", "out.parquet"]

    other_chunk = screened(tmp_path, *words, "--chunk", "9000")
    other_moment = screened(tmp_path, *words, *SMALL, "--at", "2026-11-21T12:00:00Z")
    other_days = screened(tmp_path, *words, *SMALL, CDS_FRESH_DAYS="5")
    (tmp_path / "in.ndjson").write_bytes(ndjson([*MANY, calm(7)]))
    other_input = screened(tmp_path, *words, *SMALL)

    named = [(other_chunk, "chunk"), (other_moment, "now"), (other_days, "content"), (other_input, "inputs")]
    for found, name in named:
        assert f"was begun with other {name}; start the command as it was then, or with --anew" in str(found.fault)
    done(tmp_path, *words, *SMALL, "--anew")
    assert len(rows(tmp_path / "out.parquet")) == 601


def test_a_run_without_a_moment_keeps_the_one_it_began_with(tmp_path: Path) -> None:
    manifest = interrupted(tmp_path)
    assert json.loads(manifest.read_text())["now"] == "2026-11-20T12:00:00+00:00"
    at = COMMAND.index("--at")
    bare = [*COMMAND[:at], "in.ndjson", "--out", "out.parquet", *SMALL]

    subprocess.run(bare, cwd=tmp_path, env=environment(tmp_path), check=True, capture_output=True, timeout=60)

    assert set(said(tmp_path / "out.parquet")) == {"self-care", "emergency-now"}  # fresh then, whenever this is run


def test_an_output_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    words = [*plain(tmp_path), "--out", "out.parquet"]
    (tmp_path / "out.parquet").write_bytes(b"mine")

    refused = screened(tmp_path, *words)

    assert "--anew" in str(refused.fault)
    assert (tmp_path / "out.parquet").read_bytes() == b"mine"
    done(tmp_path, *words, "--anew")
    assert said(tmp_path / "out.parquet") == SAID


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    process = begun(tmp_path, "--workers", "1")
    os.kill(process.pid, signal.SIGSTOP)

    second = screened(tmp_path, "in.ndjson", "--out", "out.parquet", *SMALL)

    ended(process, signal.SIGKILL)
    assert "another run is writing it" in str(second.fault)


# Each row: why, the words, what the one clear line names.
REFUSED: list[tuple[str, tuple[str, ...], str]] = [
    ("no such file", ("none.ndjson", "--out", "o.csv"), "INPUT: none.ndjson"),
    ("no file of that name", ("*.none", "--out", "o.csv"), "INPUT: *.none"),
    ("a protocol that nobody knows", ("none://x", "--out", "o.csv"), "INPUT: none://x"),
    ("no Patients", ("in.ndjson", "--patients", "none", "--out", "o.csv"), "--patients: none"),
    ("a format that nobody knows", ("in.ndjson", "--out", "o.xlsx"), "--out"),
    ("a folder that is not there", ("in.ndjson", "--out", "none/o.csv"), "--out"),
    ("a folder that cannot be written", ("in.ndjson", "--out", "/proc/o.csv"), "--out"),
    ("a moment without a zone", ("in.ndjson", "--out", "o.csv", "--at", "2026-11-20T12:00:00"), "--at"),
    ("a screening that is not there", ("in.ndjson", "--out", "o.csv", "--screening", "knee"), "--screening"),
    ("a plot that cannot be written", ("in.ndjson", "--out", "o.csv", "--plot", "none/p.svg"), "--plot"),
    ("workers beside a cluster", ("in.ndjson", "--out", "o.csv", "--workers", "2", "--scheduler", "tcp://x:1"), "--w"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[case[0] for case in REFUSED])
def test_what_cannot_be_done_is_refused_with_one_clear_line(
    case: tuple[str, tuple[str, ...], str], tmp_path: Path
) -> None:
    _, words, named = case
    plain(tmp_path)

    refused = screened(tmp_path, *words)

    assert isinstance(refused.fault, SettingsError)
    assert str(refused.fault).startswith(named)
    assert len(str(refused.fault).splitlines()) == 1


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = screen_without(monkeypatch, "msgspec", "in.ndjson", "--out", "o.csv")
    assert "pip install 'cds-service[screen]'" in found

    found = screen_without(monkeypatch, "distributed", "in.ndjson", "--out", "o.csv", "--scheduler", "tcp://x:1")
    assert "pip install 'cds-service[cluster]'" in found


def screen_without(monkeypatch: pytest.MonkeyPatch, library: str, *words: str) -> str:
    monkeypatch.setattr("cds_service.cli_screen.find_spec", lambda name: None if name == library else object())
    return str(CliRunner().invoke(screen, list(words)).exception)
