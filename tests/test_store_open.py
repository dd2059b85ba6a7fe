"""A database is opened, or the start ends with one clear line; what it holds is kept as it should be."""

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url

from cds_service.errors import Unavailable
from cds_service.store import cards, create, of_patient, open_store, record, responses
from tests.postgres import Cluster, Database
from tests.store_samples import ACT, PATIENT, ROW, card, kept, opened, received

pytestmark = pytest.mark.timeless  # the store reads no clock: what time it is, it is told


def test_a_folder_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: .*cannot be opened"):
        open_store(f"sqlite:///{tmp_path / 'no-folder' / 'd.sqlite'}")


def test_a_file_that_is_no_database_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("This is a letter. " * 100)

    with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: .*cannot be opened"):
        open_store(f"sqlite:///{tmp_path / 'letter.txt'}")


def test_a_server_or_database_that_is_not_there_ends_the_start_without_a_word_of_its_url(postgres_url: str) -> None:
    for url in (f"{postgres_url}-of-nobody", "postgresql://cds:s3cret@127.0.0.1:1/postgres"):
        with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: .*cannot be opened") as refused:
            open_store(url)
        assert not [word for word in ("nobody", "s3cret", "127") if word in str(refused.value)]


UNSUPPORTED = [
    "mysql://localhost/d",
    "postgresql+psycopg2://localhost/d",
    "sqlite+aiosqlite:///d",
    "sqlite://",  # in memory: all would be lost at the end, and each thread would have its own
    "sqlite:///:memory:",
]


@pytest.mark.parametrize("url", UNSUPPORTED)
def test_another_kind_of_database_or_driver_ends_the_start(url: str) -> None:
    with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: only an SQLite file and PostgreSQL .* write sqlite:///"):
        open_store(url)


@pytest.mark.parametrize("url", ["", "decisions", "postgresql://localhost:five/d", "postgresql://localhost/d?no=such"])
def test_what_is_no_url_ends_the_start(url: str) -> None:
    with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: .*cannot be opened"):
        open_store(url)


def test_postgresql_is_meant_with_and_without_its_driver(postgres_url: str) -> None:
    for driver in ("postgresql", "postgresql+psycopg"):
        with opened(str(make_url(postgres_url).set(drivername=driver))) as store:
            assert store.dialect.driver == "psycopg"


def test_options_of_the_url_stand_beside_those_of_the_service(postgres_url: str) -> None:
    with opened(f"{postgres_url}?options=-c%20work_mem%3D8MB") as store, store.connect() as connection:
        names = ("work_mem", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone")
        found = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

    assert found == ["8MB", "1500ms", "1500ms", "1min", "UTC"]


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/Los_Angeles"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:30:00Z", "9999-12-31T23:30:00Z"])
def test_the_farthest_moments_are_read_back_whatever_the_zone_of_the_database(
    cluster: Cluster, database: Database, tmp_path: Path, zone: str, moment: str
) -> None:
    """There they would be in a year that Python does not know, and none of the patient's responses could be read."""
    with database("postgresql", tmp_path) as url:
        cluster.do(f"ALTER DATABASE {make_url(url).database} SET timezone = '{zone}'")
        with opened(url) as store:
            create(store, ACT, received(datetime.fromisoformat(moment)))

            assert [row["authored"].isoformat() for row in kept(store, responses)] == [moment.replace("Z", "+00:00")]
            assert len(of_patient(store, "hospital", PATIENT)) == 1


def test_a_database_of_this_version_is_opened_again_with_all_that_it_holds(database_url: str, store: Engine) -> None:
    record(store, ACT, ROW, [card()])
    store.dispose()

    with opened(database_url) as again:
        assert len(kept(again, cards)) == 1


def test_what_is_committed_survives_a_power_cut_and_what_is_deleted_is_overwritten(tmp_path: Path) -> None:
    settings = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}  # synchronous 2: FULL

    with (
        opened(f"sqlite:///{tmp_path / 'd.sqlite'}") as store,
        store.connect() as one,
        store.connect() as other,  # every connection has them
    ):
        for connection in (one, other):
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in settings}
            assert found == settings


def test_what_is_acknowledged_by_postgresql_is_on_its_disk(postgres_url: str) -> None:
    with opened(postgres_url) as store, store.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_nothing_sent_is_in_the_text_of_an_error(store: Engine) -> None:
    assert store.hide_parameters
