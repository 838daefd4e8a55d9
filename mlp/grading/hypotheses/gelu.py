"""GeLU, x Φ(x) (Hendrycks and Gimpel, 2016), in its exact form and its approximations; and the mistakes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlp.functional import erf, normal_cdf, normal_pdf
from mlp.grading.hypotheses.component import Array, Case, Hypothesis, Inapplicable
from mlp.grading.hypotheses.component import hypothesis as H
from mlp.grading.hypotheses.squashing import sigmoid

ROOT, CUBIC = np.sqrt(2 / np.pi), 0.044715
GELU_FORMS = [
    Case(label="tanh form", form="tanh"),
    Case(label="exact form, with erf", form="erf"),
    Case(label="sigmoid form, x σ(1.702 x)", form="sigmoid"),
]


def tanh_form(x: Array, root: float = ROOT, cubic: float = CUBIC, power: int = 3) -> Array:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
    return 0.5 * x * (1 + np.tanh(root * (x + cubic * x**power)))


def tanh_slope(x: Array, root: float = ROOT, cubic: float = CUBIC, three: float = 3.0) -> Array:
    """The derivative: (1 + t)/2 + x/2 (1 - t²) √(2/π) (1 + 3·0.044715 x²)."""
    t = np.tanh(root * (x + cubic * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * root * (1 + three * cubic * x**2)


def gelu(x: Array, v: Case) -> Array:
    """The form that the variant names."""
    if v.form == "tanh":
        return tanh_form(x)
    return x * normal_cdf(x) if v.form == "erf" else x * sigmoid(1.702 * x)


def gelu_slope(x: Array, v: Case) -> Array:
    """Its derivative."""
    if v.form == "tanh":
        return tanh_slope(x)
    if v.form == "erf":
        return normal_cdf(x) + x * normal_pdf(x)
    s = sigmoid(1.702 * x)
    return s + 1.702 * x * s * (1 - s)


def other_form(x: Array, v: Case) -> Array:
    """The derivative of the form that is not meant."""
    return gelu_slope(x, Case(form="erf" if v.form == "tanh" else "tanh"))


def inner(x: Array) -> Array:
    """t = tanh(√(2/π) (x + 0.044715 x³))."""
    return np.tanh(ROOT * (x + CUBIC * x**3))


def rate(x: Array, square: Array | None = None) -> Array:
    """The inner derivative √(2/π) (1 + 3·0.044715 x²)."""
    return np.asarray(ROOT * (1 + 3 * CUBIC * (x**2 if square is None else square)))


def only(form: str, formula: Callable[[Array], Array]) -> Callable[[Case], Array]:
    """A formula that makes sense for one form; there is no such mistake in the others."""

    def slope(c: Case) -> Array:
        if c.v.form != form:
            raise Inapplicable
        return c.g * formula(c.x)

    return slope


CONSTANTS = "Compare every constant with the definition."
PRODUCT = "Product rule: which two terms, and is each complete?"
TERM = {
    "slope-first-term-only": ("the second term of the product rule is missing", lambda x: 0.5 * (1 + inner(x))),
    "slope-second-term-only": ("the first term of the product rule is missing",
      lambda x: tanh_slope(x) - 0.5 * (1 + inner(x))),
    "slope-without-three": ("the factor 3 is missing in the derivative of the cube",
      lambda x: tanh_slope(x, three=1.0)),
    "slope-two-for-three": ("the factor of the derivative of the cube is 2 instead of 3",
      lambda x: tanh_slope(x, three=2.0)),
    "slope-without-cube": ("the cubic term is missing in the inner derivative", lambda x: tanh_slope(x, three=0.0)),
    "slope-without-inner": ("the inner derivative is missing altogether",
      lambda x: 0.5 * (1 + inner(x)) + 0.5 * x * (1 - inner(x) ** 2)),
    "slope-without-root": ("the factor √(2/π) is missing in the inner derivative",
                           lambda x: 0.5 * (1 + inner(x)) + 0.5 * x * (1 - inner(x) ** 2) * (1 + 3 * CUBIC * x**2)),
    "slope-without-x": ("the factor x is missing in the second term",
                        lambda x: 0.5 * (1 + inner(x)) + 0.5 * (1 - inner(x) ** 2) * rate(x)),
    "slope-without-half": ("the factor 1/2 is missing in the second term",
      lambda x: 2 * tanh_slope(x) - 0.5 * (1 + inner(x))),
    "slope-without-first-half": ("the factor 1/2 is missing in the first term",
      lambda x: tanh_slope(x) + 0.5 * (1 + inner(x))),
    "slope-without-sech": ("the derivative of tanh is missing",
      lambda x: 0.5 * (1 + inner(x)) + 0.5 * x * rate(x)),
    "slope-sech-not-squared": ("the derivative of tanh is taken as 1 - t",
                               lambda x: 0.5 * (1 + inner(x)) + 0.5 * x * (1 - inner(x)) * rate(x)),
    "slope-sech-plus": ("the derivative of tanh is taken as 1 + t²",
                        lambda x: 0.5 * (1 + inner(x)) + 0.5 * x * (1 + inner(x) ** 2) * rate(x)),
    "slope-without-one": ("the 1 is missing in the first term", lambda x: tanh_slope(x) - 0.5),
    "slope-terms-subtracted": ("the second term is subtracted", lambda x: (1 + inner(x)) - tanh_slope(x)),
    "slope-x-not-squared": ("x stands where x² belongs in the inner derivative",
                            lambda x: 0.5 * (1 + inner(x)) + 0.5 * x * (1 - inner(x) ** 2) * rate(x, x)),
    "slope-x-cubed": ("x³ stands where x² belongs in the inner derivative",
                      lambda x: 0.5 * (1 + inner(x)) + 0.5 * x * (1 - inner(x) ** 2) * rate(x, x**3)),
}  # fmt: skip
EXACT = {
    "slope-cdf-only": ("the second term of the product rule, x φ(x), is missing", normal_cdf),
    "slope-density-only": ("the first term of the product rule, Φ(x), is missing", lambda x: x * normal_pdf(x)),
    "slope-density-without-x": ("the factor x is missing in the second term",
      lambda x: normal_cdf(x) + normal_pdf(x)),
    "slope-density-subtracted": ("the second term is subtracted", lambda x: normal_cdf(x) - x * normal_pdf(x)),
    "slope-density-not-normalised": ("the factor 1/√(2π) of the density is missing",
      lambda x: normal_cdf(x) + x * np.exp(-(x**2) / 2)),
    "slope-density-over-root-two": ("the density is divided by √2 instead of √(2π)",
      lambda x: normal_cdf(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2)),
    "slope-density-over-root-pi": ("the density is divided by √π instead of √(2π)",
      lambda x: normal_cdf(x) + x * np.exp(-(x**2) / 2) / np.sqrt(np.pi)),
    "slope-density-over-two-pi": ("the density is divided by 2π instead of √(2π)",
      lambda x: normal_cdf(x) + x * np.exp(-(x**2) / 2) / (2 * np.pi)),
    "slope-density-exponent": ("the exponent of the density lacks its 1/2",
      lambda x: normal_cdf(x) + x * np.exp(-(x**2)) / np.sqrt(2 * np.pi)),
    "slope-erf-derivative": ("the density is taken as that of erf, exp(-x²)/√π",
      lambda x: normal_cdf(x) + x * np.exp(-(x**2)) / np.sqrt(np.pi)),
    "slope-density-sign": ("the exponent of the density has the wrong sign",
      lambda x: normal_cdf(x) + x * np.exp(np.minimum(x, 30) ** 2 / 2) / np.sqrt(2 * np.pi)),
    "slope-density-halved": ("the second term is half of what it should be",
      lambda x: normal_cdf(x) + x * normal_pdf(x) / 2),
    "slope-density-doubled": ("the second term is twice too large",
      lambda x: normal_cdf(x) + 2 * x * normal_pdf(x)),
    "slope-density-x-squared": ("x² stands where x belongs in the second term",
      lambda x: normal_cdf(x) + x**2 * normal_pdf(x)),
    "slope-erf-not-scaled": ("erf(x) stands where erf(x/√2) belongs",
      lambda x: 0.5 * (1 + erf(x)) + x * normal_pdf(x)),
    "slope-erf-without-one": ("the 1 is missing in the first term",
      lambda x: normal_cdf(x) - 0.5 + x * normal_pdf(x)),
}  # fmt: skip
FORWARD: list[tuple[str, str, Callable[[Array], Array]]] = [
    ("constant-0.44715", "the constant 0.044715 is mistyped as 0.44715", lambda x: tanh_form(x, cubic=0.44715)),
    ("constant-0.0044715", "the constant 0.044715 is mistyped as 0.0044715",
      lambda x: tanh_form(x, cubic=0.0044715)),
    ("constant-0.04715", "the constant 0.044715 is mistyped as 0.04715", lambda x: tanh_form(x, cubic=0.04715)),
    ("constant-0.044175", "the constant 0.044715 is mistyped as 0.044175", lambda x: tanh_form(x, cubic=0.044175)),
    ("constant-0.047715", "the constant 0.044715 is mistyped as 0.047715", lambda x: tanh_form(x, cubic=0.047715)),
    ("constant-0.44", "the constant 0.044715 is mistyped as 0.044", lambda x: tanh_form(x, cubic=0.044)),
    ("constant-0.045", "the constant 0.044715 is rounded to 0.045", lambda x: tanh_form(x, cubic=0.045)),
    ("constant-0.0447", "the constant 0.044715 is rounded to 0.0447", lambda x: tanh_form(x, cubic=0.0447)),
    ("constant-minus", "the cubic term is subtracted", lambda x: tanh_form(x, cubic=-CUBIC)),
    ("cubic-term-missing", "the cubic term is missing", lambda x: tanh_form(x, cubic=0)),
    ("cubic-constant-missing", "the cubic term has no constant", lambda x: tanh_form(x, cubic=1)),
    ("power-2", "x² stands where x³ belongs", lambda x: tanh_form(x, power=2)),
    ("root-missing", "the factor √(2/π) is missing", lambda x: tanh_form(x, root=1.0)),
    ("root-not-taken", "2/π stands where √(2/π) belongs", lambda x: tanh_form(x, root=2 / np.pi)),
    ("root-inverted", "√(π/2) stands where √(2/π) belongs", lambda x: tanh_form(x, root=np.sqrt(np.pi / 2))),
    ("root-of-two-over-pi", "√2/π stands where √(2/π) belongs", lambda x: tanh_form(x, root=np.sqrt(2) / np.pi)),
    ("root-of-inverse-pi", "√(1/π) stands where √(2/π) belongs", lambda x: tanh_form(x, root=np.sqrt(1 / np.pi))),
    ("root-two-pi", "√(2π) stands where √(2/π) belongs", lambda x: tanh_form(x, root=np.sqrt(2 * np.pi))),
    ("root-rounded", "√(2/π) is rounded to 0.8", lambda x: tanh_form(x, root=0.8)),
    ("one-missing", "the 1 before tanh is missing", lambda x: tanh_form(x) - 0.5 * x),
    ("one-minus", "tanh is subtracted", lambda x: x - tanh_form(x)),
    ("x-missing", "the factor x is missing: the output is only the probability", lambda x: 0.5 * (1 + inner(x))),
    ("cdf-only", "the factor x is missing: the output is Φ(x)", normal_cdf),
    ("erf-not-scaled", "erf(x) stands where erf(x/√2) belongs", lambda x: 0.5 * x * (1 + erf(x))),
    ("erf-without-one", "the 1 before erf is missing", lambda x: 0.5 * x * erf(x / np.sqrt(2))),
    ("erf-minus", "erf is subtracted", lambda x: x * normal_cdf(-x)),
    ("erf-scaled-wrongly", "erf(x √2) stands where erf(x/√2) belongs",
      lambda x: 0.5 * x * (1 + erf(x * np.sqrt(2)))),
    ("erf-halved-argument", "erf(x/2) stands where erf(x/√2) belongs", lambda x: 0.5 * x * (1 + erf(x / 2))),
    ("density-for-cdf", "the density φ stands where Φ belongs", lambda x: x * normal_pdf(x)),
    ("output-swish", "the output is x σ(x), the swish", lambda x: x * sigmoid(x)),
    ("output-relu", "the output is max(x, 0)", lambda x: np.maximum(x, 0)),
    ("sigmoid-constant-1.0702", "the constant 1.702 is mistyped as 1.0702", lambda x: x * sigmoid(1.0702 * x)),
]  # fmt: skip


def of_input(formula: Callable[[Array], Array]) -> Callable[[Case], Array]:
    """A forward formula as one of the case."""
    return lambda c: formula(c.x)


GELU: list[Hypothesis] = [
    *(H(i, name, CONSTANTS, y=of_input(f)) for i, name, f in FORWARD),
    H("slope-of-other-form", "backward belongs to the other form of GeLU (exact against tanh)",
      "Is backward the derivative of this forward?",
      dx=lambda c: c.g * other_form(c.x, c.v)),
    *(H(i, name, PRODUCT, dx=only("tanh", f)) for i, (name, f) in TERM.items()),
    *(H(i, name, PRODUCT, dx=only("erf", f)) for i, (name, f) in EXACT.items()),
    *(H(f"slope-{i}", f"{name}, in backward", CONSTANTS, dx=only("tanh", f)) for i, name, f in [
        ("constant-0.44715", "the constant 0.044715 is mistyped as 0.44715",
          lambda x: tanh_slope(x, cubic=0.44715)),
        ("constant-0.04715", "the constant 0.044715 is mistyped as 0.04715",
          lambda x: tanh_slope(x, cubic=0.04715)),
        ("constant-0.044175", "the constant 0.044715 is mistyped as 0.044175",
          lambda x: tanh_slope(x, cubic=0.044175)),
        ("constant-0.0044715", "the constant 0.044715 is mistyped as 0.0044715",
          lambda x: tanh_slope(x, cubic=0.0044715)),
        ("root-missing", "the factor √(2/π) is missing everywhere", lambda x: tanh_slope(x, root=1.0)),
        ("root-not-taken", "2/π stands where √(2/π) belongs", lambda x: tanh_slope(x, root=2 / np.pi)),
        ("root-inverted", "√(π/2) stands where √(2/π) belongs", lambda x: tanh_slope(x, root=np.sqrt(np.pi / 2))),
    ]),
    H("slope-sigmoid-form", "backward is that of the sigmoid form", "Is backward the derivative of this forward?",
      dx=lambda c: c.g * gelu_slope(c.x, Case(form="sigmoid"))),
    H("slope-swish", "backward is that of the swish", "Is backward the derivative of this forward?",
      dx=lambda c: c.g * (sigmoid(c.x) + c.x * sigmoid(c.x) * sigmoid(-c.x))),
    H("slope-relu", "backward is that of ReLU", "Is backward the derivative of this forward?",
      dx=lambda c: c.g * (c.x > 0)),
]  # fmt: skip
