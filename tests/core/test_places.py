"""Folders at paths and URLs: one face over both."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from dalib.core.errors import DalibError
from dalib.core.places import Place, is_url, open_place, read_bytes, refuse_url, write_bytes
from dalib.records.store import Store


@pytest.fixture(params=["path", "file://", "memory://"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kinds = {
        "path": str(tmp_path / "a"),
        "file://": f"file://{tmp_path}/a",
        "memory://": f"memory://{secrets.token_hex(4)}/a",
    }
    return open_place(kinds[request.param])


def test_what_is_written_is_read_and_named(place: Place) -> None:
    assert place.names() == set()
    place.write("ab/x.json", b"one")
    place.write("ab/x.json", b"two")
    place.write("y", b"")
    assert (place.names(), place.read("ab/x.json"), place.read("y")) == ({"ab/x.json", "y"}, b"two", b"")
    with pytest.raises(FileNotFoundError):
        place.read("ab/z")


def test_half_written_files_have_no_names(place: Place, tmp_path: Path) -> None:
    place.write("ab/.x.part", b"half")
    place.write(".locks/x", b"")
    assert place.names() == set()


def test_single_files_at_urls(tmp_path: Path) -> None:
    for where in (tmp_path / "x", f"file://{tmp_path}/y", f"memory://{secrets.token_hex(4)}/z"):
        with pytest.raises(FileNotFoundError):
            read_bytes(where)
        write_bytes(where, b"content")
        assert read_bytes(where) == b"content"


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ("s3://b/x", True),
        ("s3:/b/x", True),
        ("C:/x", False),
        ("a/b", False),
        ("features:x.npz", False),
        ("a:b/c", False),
    ],
)
def test_what_is_a_url(where: str, answer: bool) -> None:
    assert is_url(where) is is_url(Path(where)) is answer


def test_a_url_is_refused_where_locks_are_needed_and_unknown_ones_everywhere() -> None:
    with pytest.raises(DalibError, match="the store memory:/x is a URL, which has no locks"):
        Store(Path("memory://x"))
    with pytest.raises(DalibError, match="--store s3://b/x is a URL"):
        refuse_url("s3://b/x", "--store")
    with pytest.raises(DalibError, match="nosuch://x: Protocol not known"):
        open_place("nosuch://x")
