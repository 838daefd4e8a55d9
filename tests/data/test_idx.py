"""read_idx against bytes written by hand after the format's description."""

import gzip
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.data import read_idx

# type 8, two axes, 2 rows of 3 values
HEADER = b"\x00\x00\x08\x02" + b"\x00\x00\x00\x02" + b"\x00\x00\x00\x03"
WORKED = HEADER + bytes([1, 2, 3, 4, 5, 255])


def write(folder, content, name="data"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["data", "data.gz"])  # the name must not matter
def test_hand_written_bytes(tmp_path, pack, name):
    values = read_idx(write(tmp_path, pack(WORKED), name))
    assert values.dtype == np.uint8
    assert values.tolist() == [[1, 2, 3], [4, 5, 255]]
    assert values.flags.writeable


def test_path_as_text(tmp_path):
    assert read_idx(str(write(tmp_path, WORKED))).shape == (2, 3)


def test_more_than_one_chunk(tmp_path):
    content = np.random.default_rng(0).integers(0, 256, 3 * 2**20 + 7, dtype=np.uint8)
    header = struct.pack(">BBBBI", 0, 0, 8, 1, content.size)
    path = write(tmp_path, gzip.compress(header + content.tobytes(), compresslevel=1))
    np.testing.assert_array_equal(read_idx(path), content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it begins with nothing"),
        (b"\x00\x00\x08", "not an IDX file: it begins with 00 00 08"),
        (b"PNG!" + WORKED, "not an IDX file: it begins with 50 4e 47 21"),
        (b"\x00\x00\x0d" + WORKED[3:], "unsupported IDX type 0x0d, only 0x08"),
        (b"\x00\x00\x08\x00", "0 axes, expected 1 to 8"),
        (b"\x00\x00\x08\xff" + bytes(1020), "255 axes, expected 1 to 8"),
        (HEADER[:-1], "header ends before its 2 sizes"),
        (HEADER, "declares 6 values .* found 0"),
        (WORKED[:-1], r"truncated: the header declares 6 values of shape \(2, 3\), found 5"),
        (WORKED + b"x", r"trailing bytes after the 6 values of shape \(2, 3\)"),
        (b"\x00\x00\x08\x02" + struct.pack(">2I", 0, 3), r"empty shape \(0, 3\)"),
        (b"\x00\x00\x08\x01" + struct.pack(">I", 2**31 + 1), "declares 2147483649 bytes .* at most 2 GiB"),
        (b"\x00\x00\x08\x08" + b"\xff" * 32, "at most 2 GiB"),
        # 2 GiB are allowed, and refused for being absent without being filled in
        (b"\x00\x00\x08\x01" + struct.pack(">I", 2**31), "truncated: the header declares 2147483648"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_refused(tmp_path, pack, content, message):
    path = write(tmp_path, pack(content))
    with pytest.raises(InputError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_missing(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.gz: no such file"):
        read_idx(tmp_path / "nowhere.gz")


def test_folder(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_idx(tmp_path)


PACKED = gzip.compress(WORKED, mtime=0)


@pytest.mark.parametrize(
    "content",
    [
        PACKED[:1] + b"\x8b\x07" + PACKED[3:],  # unknown compression method: BadGzipFile
        PACKED[:-9],  # cut inside the data: EOFError
        PACKED[:-1],  # cut inside the checksum: EOFError
        PACKED[:10] + b"\xff" * 20,  # no deflate stream: zlib.error
        PACKED[:-8] + struct.pack("<II", zlib.crc32(WORKED) ^ 1, len(WORKED)),  # checksum differs
        PACKED + b"left over",
    ],
    ids=["method", "cut", "cut checksum", "deflate", "checksum", "second member"],
)
def test_damaged_gzip(tmp_path, content):
    with pytest.raises(InputError, match="data: damaged gzip file"):
        read_idx(write(tmp_path, content))


def test_gzip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = write(tmp_path, gzip.compress(WORKED + bytes(64 * 2**20)))
    unpacked = []
    read = gzip.GzipFile.read

    def counted(self, size=-1):
        data = read(self, size)
        unpacked.append(len(data))
        return data

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(InputError, match="trailing bytes"):
        read_idx(path)
    assert 0 < sum(unpacked) <= len(WORKED) + 1


@given(position=st.integers(0, len(PACKED) - 1), value=st.integers(0, 255))
def test_any_changed_byte_is_refused_or_harmless(tmp_path_factory, position, value):
    path = write(tmp_path_factory.getbasetemp(), PACKED[:position] + bytes([value]) + PACKED[position + 1 :])
    try:
        values = read_idx(path)
    except InputError:
        return
    assert values.tolist() == [[1, 2, 3], [4, 5, 255]]  # gzip's time stamp and the like
