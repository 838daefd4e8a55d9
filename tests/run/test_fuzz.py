"""Broken files and command lines, a few of those that fuzzing.py makes: taken, or refused in one line."""

import random

import pytest
from fuzzing import ATTACKS, mutated_files, mutated_options, try_file, try_options

from mlp import InputError
from mlp.run.config import SETTINGS, read_config

NUMBERS = [name for name, known in SETTINGS.items() if known.kind == "NUMBER"]


@pytest.mark.parametrize("i", range(len(ATTACKS)))
def test_a_file_made_to_harm(i, tmp_path):
    assert try_file(tmp_path / "a.yaml", ATTACKS[i].encode(errors="surrogatepass")) is None


def test_files_changed_at_random(tmp_path):
    files = mutated_files(random.Random(1))
    assert [fault for _ in range(30) if (fault := try_file(tmp_path / "a.yaml", next(files)))] == []


def test_options_changed_at_random(quick, tmp_path):
    options = mutated_options(random.Random(1))
    arguments = [*quick, "--epochs=0"]
    assert [fault for i in range(30) if (fault := try_options(next(options), arguments, tmp_path / str(i)))] == []


@pytest.mark.parametrize("name", NUMBERS)
def test_the_largest_numbers(name, quick, tmp_path):
    assert try_options([f"--{name}=1e308"], [*quick, "--epochs=1"], tmp_path / "run") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [1]\nb: *a", "line 2: got the alias *a; accepted: values written out"),
        ("epochs: !!int 5", "line 1: got the tag 'tag:yaml.org,2002:int'; accepted: plain values"),
        ("hidden: " + "[" * 11 + "]" * 11, "line 1: nested more than 10 levels deep"),
        ("#" * 200_000, "larger than 100000 bytes; accepted: a file of settings"),
    ],
)
def test_what_no_settings_need_is_named(text, message, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_config(path)
    assert str(error.value) == f"{path}: {message}"
