"""Writing files: the old content or the new, never half of one, and one clear error."""

import errno
import os
from pathlib import Path

import pytest

from mlp.checks import InputError
from mlp.files import make_folder, remove_temporary, write_atomically, write_text


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    return path


def assert_untouched(path):
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_file_is_created_and_replaced(tmp_path):
    for text in ("first", "zweite Zeile: ü\n", ""):
        write_text(tmp_path / "file", text)
        assert (tmp_path / "file").read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [ValueError("bug"), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_an_exception_while_writing_leaves_the_old_file(old, error):
    def write(file):
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write_atomically(old, write)
    assert_untouched(old)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(old, monkeypatch, failing):
    monkeypatch.setattr(os, failing, no_space)
    with pytest.raises(InputError, match=rf"^cannot write {old}: No space left on device$"):
        write_text(old, "new")
    assert_untouched(old)


def test_the_content_is_on_the_disk_before_it_gets_its_name(old, monkeypatch):
    seen = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (seen.append(old.read_text()), fsync(file)))
    write_text(old, "new")
    assert seen[0] == "old"
    assert old.read_text() == "new"


def test_the_longest_name_that_a_file_may_have(tmp_path):
    write_text(tmp_path / ("ü" * 127), "long")
    assert (tmp_path / ("ü" * 127)).read_text() == "long"


@pytest.mark.parametrize("path", ["", ".", "a\0b"])
def test_names_that_no_file_can_have(path):
    with pytest.raises(InputError, match=r"^cannot write '"):
        write_text(Path(path), "new")


def test_a_link_is_replaced_and_not_followed(old):
    (old.parent / "link").symlink_to(old)
    write_text(old.parent / "link", "new")
    assert old.read_text() == "old"
    assert (old.parent / "link").read_text() == "new"


def test_what_killed_processes_left_is_removed(old):
    for name in (".file.1234.tmp", ".file.0a1b2c3d.tmp", ".files.1.tmp", "file.tmp"):
        (old.parent / name).touch()
    remove_temporary(old)
    assert sorted(p.name for p in old.parent.iterdir()) == [".files.1.tmp", "file", "file.tmp"]
    remove_temporary(old.parent / "missing" / "file")


@pytest.mark.parametrize("where", ["file/below", "missing/name", "folder", "x" * 300])
def test_places_that_cannot_be_written(old, where):
    (old.parent / "folder").mkdir()
    with pytest.raises(InputError, match=r"^cannot write "):
        write_text(old.parent / where, "new")
    assert sorted(p.name for p in old.parent.iterdir()) == ["file", "folder"]


def test_make_folder(tmp_path):
    for _ in range(2):
        assert make_folder(tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("where", ["file", "file/below", "x" * 300, "a\0b"])
def test_folders_that_cannot_be_made(old, where):
    with pytest.raises(InputError, match=r"^cannot (create the folder|write) "):
        make_folder(old.parent / where)


def test_a_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *args: False)  # root may write anywhere, so it cannot be tried
    with pytest.raises(InputError, match="permission denied"):
        make_folder(tmp_path)
