"""Checkpoints: what was saved comes back bit by bit, and what was damaged does not come back at all."""

import errno
import json
import zipfile

import numpy as np
import pytest

from mlp import SGD, CrossEntropyLoss, InputError, Linear, Network, ReLU, Solver, load, save
from mlp.solver.checkpoint import load_arrays, save_arrays

METADATA = {"text": "ü", "list": [1, 2.5, None], "big": 2**100}


def small(rng=1, width=3, dtype=None):
    return Network(Linear(2, width), ReLU(), Linear(width, 2), rng=rng, dtype=dtype)


@pytest.fixture
def saved(tmp_path):
    """(network, its file)"""
    network = small()
    save(network, tmp_path / "net.npz")
    return network, tmp_path / "net.npz"


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -0.0], [np.nan, np.inf]], np.float32),
        np.arange(6.0).reshape(2, 3).T,
        np.arange(12)[::-2],
        np.array(3.25),
        np.zeros((0, 4)),
        np.array([True, False]),
        np.arange(3, dtype=">f8"),
        np.broadcast_to(np.float32(2), (3, 2)),
    ],
    ids=["special values", "transposed", "strided", "scalar", "empty", "bool", "big-endian", "broadcast"],
)
def test_arrays_and_metadata_come_back(tmp_path, array):
    save_arrays(tmp_path / "a.npz", {"x": array, "part/0.weight": array}, METADATA)
    arrays, metadata = load_arrays(tmp_path / "a.npz")
    assert metadata == METADATA
    assert list(arrays) == ["x", "part/0.weight"]
    for loaded in arrays.values():
        assert (loaded.dtype, loaded.shape, loaded.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_comes_back(tmp_path, dtype):
    network = small(dtype=dtype)
    save(network, str(tmp_path / "net.npz"))
    assert np.load(tmp_path / "net.npz")["0.weight"].dtype == dtype  # NumPy alone reads it too
    other = small(rng=2, dtype=dtype)
    assert load(other, str(tmp_path / "net.npz")) is other
    assert other.parameters.data.tobytes() == network.parameters.data.tobytes()


def test_another_architecture_is_refused_and_changes_nothing(saved):
    _, path = saved
    others = {
        "shape": small(width=4),
        "not in this network: 2.weight": Network(Linear(2, 3), rng=1),
        "missing 4.weight": Network(Linear(2, 3), ReLU(), Linear(3, 2), ReLU(), Linear(2, 2), rng=1),
    }
    for message, other in others.items():
        before = other.parameters.data.copy()
        with pytest.raises(InputError, match=rf"{path.name}: .*another architecture.*{message}"):
            load(other, path)
        np.testing.assert_array_equal(other.parameters.data, before)


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    path = tmp_path / "x.npz"
    good = {"w": np.float32([1, 2]), "best": np.array(2.5)}
    save_arrays(path, good, {"step": 3})
    content = path.read_bytes()
    refused = 0
    for bit in range(0, 8 * len(content), 3):  # scripts/attack_runs.py flips all of them
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            arrays, metadata = load_arrays(path)
        except InputError:
            refused += 1
            continue
        # What loads nevertheless has changed in a bit that means nothing, such as the date of the file.
        assert metadata == {"step": 3}, bit
        assert {name: x.tobytes() for name, x in arrays.items()} == {n: x.tobytes() for n, x in good.items()}, bit
    assert refused > len(content)


def test_an_array_that_is_hidden_added_or_exchanged_is_noticed(saved):
    network, path = saved
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    weight = parts["0.weight.npy"]
    for change in ({"0.bias.npy": None}, {"more.npy": weight}, {"0.weight.npy": weight[:-1] + b"\x00"}):
        write_zip(path, **{name: part for name, part in (parts | change).items() if part is not None})
        with pytest.raises(InputError, match=r"net\.npz is damaged: its arrays are not those that"):
            load_arrays(path)
    write_zip(path, **parts)
    assert load(small(rng=2), path).parameters.data.tobytes() == network.parameters.data.tobytes()


def test_files_without_a_list_of_arrays_still_load(saved):
    """As they were written at first."""
    network, path = saved
    arrays, metadata = load_arrays(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array.T.copy().T)  # columns first, as NumPy writes a transpose
    assert load(small(rng=2), path).parameters.data.tobytes() == network.parameters.data.tobytes()


def test_no_missing_end_goes_unnoticed(saved):
    _, path = saved
    good = path.read_bytes()
    for length in range(0, len(good), 7):
        path.write_bytes(good[:length])
        with pytest.raises(InputError, match=path.name):
            load_arrays(path)


def write_zip(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(header: str, version=b"\x01\x00") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


HEADER = "{{'descr': {!r}, 'fortran_order': False, 'shape': {}, }}"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "no metadata.json"),
        ("{", "damaged"),
        ("[]", "not an object"),
        (b"\xff", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"x":' * 100_000, "damaged"),
        ("[" + "[]," * 600_000 + "[]]", "more than 500,000 lists and mappings"),
        (" " * 2**25 + "{}", "33,554,432 are accepted"),
        ('{"x": NaN}', "damaged: NaN is no number"),
        ('{"x": -Infinity}', "damaged: -Infinity is no number"),
        ('{"x": ' + "9" * 5000 + "}", "damaged"),
        ('{"arrays": {"x": []}}', "not those that its metadata.json lists"),
        ('{"arrays": 3}', "not those that its metadata.json lists"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_files_that_are_no_checkpoint(tmp_path, metadata, message):
    write_zip(tmp_path / "x.npz", **({"x.npy": b""} if metadata is None else {"metadata.json": metadata}))
    with pytest.raises(InputError, match=message) as caught:
        load_arrays(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        b"\x93NUMPY",
        npy(HEADER.format("<f4", (1,))),  # no values
        npy(HEADER.format("<f4", (1,)), b"\x02\x00") + bytes(4),
        npy(HEADER.format("|O", (1,))) + bytes(8),
        npy(HEADER.format("<c8", (1,))) + bytes(8),
        npy(HEADER.format("<f5", (1,))) + bytes(5),
        npy(HEADER.format("|V4", (1,))) + bytes(4),
        npy(HEADER.format("<f4", (10**9, 10**9))),
        npy(HEADER.format("<f4", (0, 10**30))),  # zero times huge
        npy(HEADER.format("<f4", (0, 2**62))),
        npy(HEADER.format("<f4", (0, 2**41))),
        npy(HEADER.format("<f4", (-1,))) + bytes(4),
        npy(HEADER.format("<f4", (True,))) + bytes(4),
        npy(HEADER.format("<f4", (1.0,))) + bytes(4),
        npy(HEADER.format("<f4", [1])) + bytes(4),
        npy(HEADER.format("<f4", (1,) * 70)) + bytes(4),
        npy(HEADER.format([("a", "<f4")], (1,))) + bytes(4),
        npy("{[]: 1}") + bytes(4),  # keys that cannot be hashed
        npy("{1: 1, 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }") + bytes(4),  # or sorted
        npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }") + bytes(4),
        npy("{'descr': '<f4', 'fortran_order': False, }") + bytes(4),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }") + bytes(4),
        npy('{"descr": """<f4, "fortran_order": False, "shape": (1,), }') + bytes(4),  # a text without an end
        npy("(" * 500) + bytes(4),
        npy("__import__('os').abort()") + bytes(4),
        npy("\0" * 50) + bytes(4),
        npy("é" * 50) + bytes(4),
    ],
    ids=lambda content: repr(content[10:90]),
)
def test_members_that_are_no_array(tmp_path, content):
    write_zip(tmp_path / "x.npz", **{"metadata.json": "{}", "x.npy": content})
    with pytest.raises(InputError, match=r"x\.npz.*(is damaged|claims shape)") as caught:
        load_arrays(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_nothing_is_unpacked(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", compression=kind) as archive:
        archive.writestr("metadata.json", " " * 10_000 + "{}")
    with pytest.raises(InputError, match="it is compressed, which checkpoints are not"):
        load_arrays(tmp_path / "x.npz")


def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("metadata.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("metadata.json", "{}")
    with pytest.raises(InputError, match="two parts of one name"):
        load_arrays(tmp_path / "x.npz")


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """A small file whose directory names the same bytes many times would grow when it is read."""
    path = tmp_path / "x.npz"
    write_zip(path, **{"metadata.json": "{}", "x.npy": npy(HEADER.format("<f4", (1000,))) + bytes(4000)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist += [archive.getinfo("x.npy")] * 100
        archive._didModify = True
    with pytest.raises(InputError, match="its parts claim"):
        load_arrays(path)


def test_places_without_a_checkpoint(tmp_path):
    (tmp_path / "file").touch()
    for where, message in {".": "damaged", "missing": "there is no checkpoint", "file/x": "checkpoint"}.items():
        with pytest.raises(InputError, match=message):
            load_arrays(tmp_path / where)


@pytest.mark.parametrize(
    "metadata", [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}], ids=["nan", "inf", "object"]
)
def test_metadata_that_are_not_json_leave_the_old_file(saved, metadata):
    before = saved[1].read_bytes()
    with pytest.raises((TypeError, ValueError)):
        save_arrays(saved[1], {}, metadata)
    assert saved[1].read_bytes() == before


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_a_failure_between_two_arrays_leaves_the_old_file(saved, monkeypatch, error):
    network, path = saved
    before = path.read_bytes()
    write_array, calls = np.lib.format.write_array, []

    def fail_at_the_second(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise error
        write_array(*args, **options)

    monkeypatch.setattr(np.lib.format, "write_array", fail_at_the_second)
    with pytest.raises(InputError if isinstance(error, OSError) else KeyboardInterrupt):
        save(network, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def solver(epochs):
    network = small()
    optimizer = SGD(network.parameters, lr=0.1, momentum=0.9)
    return Solver(network, CrossEntropyLoss(), optimizer, epochs=epochs, batch_size=3, log_every=2)


@pytest.mark.parametrize("epochs", [0, 1, 2, 3])
def test_a_solver_goes_on_from_its_state(tmp_path, epochs):
    data = np.random.default_rng(0).normal(size=(13, 2)), np.arange(13) % 2  # 5 steps an epoch
    straight = solver(4)
    straight.fit(data)
    first, second = solver(epochs), solver(4)
    first.fit(data)
    save_arrays(tmp_path / "x.npz", *first.state_dict())
    second.load_state_dict(*load_arrays(tmp_path / "x.npz"))
    second.fit(data)
    assert second.network.parameters.data.tobytes() == straight.network.parameters.data.tobytes()
    assert list(second.history) == list(straight.history)
    assert json.dumps(second.state_dict()[1]) == json.dumps(straight.state_dict()[1])


def change(part, name, value):
    def apply(arrays, rest):
        {"arrays": arrays, "rest": rest}[part][name] = value

    return apply


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays, rest: arrays.pop("network/0.weight"),
        lambda arrays, rest: arrays.pop("optimizer/scale"),
        lambda arrays, rest: rest.pop("step"),
        change("arrays", "network/9.weight", np.zeros(1)),
        change("arrays", "optimizer/scaled_velocity", np.zeros(1)),
        change("rest", "step", "many"),
        change("rest", "order_state", {}),
        change("rest", "order_state", None),
        change("rest", "in_epoch", 5),
        change("rest", "history", 5),
    ],
)
def test_what_is_not_the_state_of_a_solver(spoil):
    arrays, rest = solver(1).state_dict()
    spoil(arrays, rest)
    with pytest.raises(InputError):
        solver(1).load_state_dict(arrays, rest)
