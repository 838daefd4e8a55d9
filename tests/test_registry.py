"""Parts by name: how they are added, found in any spelling, made, and refused."""

import pytest

from mlp import InputError
from mlp.registry import Registry, nearest


@pytest.fixture
def shapes() -> Registry:
    registry: Registry = Registry("shape")

    @registry.register("Circle", "Disc")
    def circle(radius, colour="red"):
        return ("circle", radius, colour)

    return registry


def test_upper_and_lower_case_are_one(shapes):
    assert shapes.known("CIRCLE") == "Circle"
    assert shapes.make("disc", 2, colour="blue") == ("circle", 2, "blue")


def test_the_decorator_returns_what_it_registers(shapes):
    assert shapes.register("Point")(tuple) is tuple
    assert shapes.make("point") == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cirkle", "unknown shape 'cirkle'; did you mean Circle? There are: Circle, Disc"),
        ("square", "unknown shape 'square'; there are: Circle, Disc"),
        (5, "unknown shape 5; there are: Circle, Disc"),
        (None, "unknown shape None; there are: Circle, Disc"),
    ],
)
def test_unknown_names(shapes, name, message):
    with pytest.raises(InputError) as error:
        shapes.make(name)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "Circle: missing a required argument: 'radius'; options: radius, colour"),
        ((1,), {"color": "red"}, "Circle: got an unexpected keyword argument 'color'; options: colour"),
    ],
)
def test_options_that_do_not_fit(shapes, arguments, options, message):
    with pytest.raises(InputError) as error:
        shapes.make("circle", *arguments, **options)
    assert str(error.value) == message


def test_what_a_part_takes_is_read_from_what_makes_it(shapes):
    shapes.register("Point")(tuple)
    assert shapes.options("disc") == {"radius", "colour"}
    assert (shapes.default("disc", "colour"), shapes.default("disc", "radius")) == ("red", None)
    assert shapes.made_with("radius") == ["Circle", "Disc", "Point"]
    assert shapes.made_with() == ["Point"]


def test_the_nearest_name_in_its_own_spelling():
    assert nearest("RELO", ["ReLU", "GeLU"]) == "ReLU"
    assert nearest("x" * 10_000, ["ReLU", "GeLU"]) is None
