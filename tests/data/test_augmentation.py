"""Augmentations against scipy.ndimage, NumPy's own rotations and shifts, and the laws they share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.data.augmentation import (
    Affine,
    AffineElastic,
    Augmentation,
    Compose,
    ElasticDistortion,
    GaussianNoise,
    Mixup,
    Rotation,
    Scaling,
    Shear,
    Shift,
)
from mlp.data.augmentation.elastic import gaussian_matrix
from mlp.data.augmentation.resampling import resample

laws = settings(deadline=None, max_examples=50, derandomize=True)
seeds = st.integers(0, 2**32)
SHAPE = (5, 7)
S = {"image_shape": SHAPE, "fill": -0.5}

ALL = [
    GaussianNoise(0.3),
    Shift(2, **S),
    Rotation(30, **S),
    Scaling(0.2, **S),
    Shear(20, **S),
    Affine(degrees=20, shift=1.5, scale=0.2, shear=10, **S),
    ElasticDistortion(8, 2, **S),
    AffineElastic(degrees=20, shift=1.5, alpha=8, sigma=2, **S),
    Mixup(0.4, 3),
    Compose([Rotation(20, **S), GaussianNoise(0.1), Mixup(1, 3)]),
]
ZERO = [
    GaussianNoise(0),
    Shift(0, **S),
    Rotation(0, **S),
    Scaling(0, **S),
    Shear(0, **S),
    Affine(**S),
    ElasticDistortion(0, 2, **S),
    AffineElastic(alpha=0, **S),
    Compose([]),
    Compose([Rotation(0, **S), GaussianNoise(0)]),
]
each = pytest.mark.parametrize("augment", ALL, ids=lambda a: type(a).__name__)
each_on_images = pytest.mark.parametrize("augment", ALL[1:8], ids=lambda a: type(a).__name__)


def pictures(m=6, shape=SHAPE, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=(m, *shape)).astype(dtype)


def fixed(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------- what all of them keep


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("flat", [True, False])
def test_same_generator_same_result_dtype_and_shape_kept_and_arguments_unchanged(augment, dtype, flat):
    x = pictures(dtype=dtype)
    x = x.reshape(len(x), -1) if flat else x
    y = np.array([0, 1, 2, 0, 1, 2])
    x_before, y_before = x.copy(), y.copy()
    x1, y1 = augment(x, y, fixed(3))
    x2, y2 = augment(x, y, fixed(3))
    np.testing.assert_array_equal(x1, x2)
    np.testing.assert_array_equal(y1, y2)
    assert x1.dtype == dtype
    assert x1.shape == x.shape
    assert not np.shares_memory(x1, x)
    assert not np.array_equal(x1, x)
    assert not np.array_equal(x1, augment(x, y, fixed(4))[0])
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(y, y_before)


@pytest.mark.parametrize("augment", ZERO, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_strength_is_the_identity_to_the_last_bit(augment, dtype):
    x = pictures(dtype=dtype)
    x[0, 0, 0] = -0.0
    y = np.arange(6)
    changed, targets = augment(x, y, fixed())
    assert changed.tobytes() == x.tobytes()
    assert not np.shares_memory(changed, x)
    assert targets.tolist() == y.tolist()
    assert augment.images(x, fixed()).tobytes() == x.tobytes()


@pytest.mark.parametrize("augment", ALL[:8], ids=lambda a: type(a).__name__)
def test_targets_are_left_alone_and_images_can_be_had_alone(augment):
    x, y = pictures(), np.arange(6)
    changed, targets = augment(x, y, fixed())
    assert targets is y
    np.testing.assert_array_equal(augment.images(x, fixed()), changed)


@each_on_images
def test_many_images_are_many_different_draws(augment):
    same = np.repeat(pictures(1), 2500, axis=0)  # several blocks
    changed = augment.images(same, fixed())
    assert len(np.unique(changed.reshape(len(same), -1), axis=0)) >= (20 if isinstance(augment, Shift) else 2400)
    assert np.isfinite(changed).all()


@each_on_images
def test_images_of_another_size(augment):
    for wrong in (np.zeros((2, 28 * 28)), np.zeros((2, 7, 5)), np.zeros((2, 5, 7, 1))):
        with pytest.raises(InputError, match=r"images of another size: expected \(m, 35\) or \(m, 5, 7\), got"):
            augment.images(wrong, fixed())


@pytest.mark.parametrize("augment", ALL[:9], ids=lambda a: type(a).__name__)
def test_what_is_no_batch_of_floats(augment):
    for wrong, message in [
        (np.zeros((2, 35), np.uint8), "x must be an array of float32 or float64, got uint8"),
        ([[0.0] * 35], "x must be an array of float32 or float64, got list"),
        (np.zeros(35), r"x must be a batch \(m, features\), got shape \(35,\)"),
    ]:
        with pytest.raises(InputError, match=message):
            augment(wrong, np.zeros(len(wrong), int), fixed())


@each_on_images
def test_the_background_stays_the_background(augment):
    background = np.full((3, *SHAPE), -0.5)
    np.testing.assert_array_equal(augment.images(background, fixed()), background)


# ---------------------------------------------------------------- resampling


@laws
@given(seed=seeds, fill=st.floats(-2, 2))
def test_resampling_is_that_of_scipy(seed, fill):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    rng = fixed(seed)
    images = rng.normal(size=(3, *SHAPE))
    places = rng.uniform(-3, 10, (3, 2, 50))
    places[..., :10] = np.round(places[..., :10])  # on pixels, and on the edges
    y = resample(images, places, fill)
    for image, where, ours in zip(images, places, y, strict=True):
        theirs = ndimage.map_coordinates(image, where, order=1, mode="grid-constant", cval=fill)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
        # scipy's "constant" looks at no place beyond the edge: the same once the image has a margin.
        margin = np.pad(image, 2, constant_values=fill)
        theirs = ndimage.map_coordinates(margin, where + 2, order=1, mode="constant", cval=fill)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@laws
@given(seed=seeds)
def test_resampling_in_float32(seed):
    rng = fixed(seed)
    images, places = rng.normal(size=(3, *SHAPE)), rng.uniform(-2, 8, (3, 2, 50))
    y = resample(images.astype(np.float32), places.astype(np.float32), 0.5)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, resample(images, places, 0.5), atol=1e-5)


def test_worked_interpolation():
    image = np.array([[[0.0, 10], [20, 30]]])
    # In the middle; a quarter down and half across: 0.75 · 5 + 0.25 · 25; half a pixel above 10, on background 100.
    places = np.array([[[0.5, 0.25, -0.5, 7], [0.5, 0.5, 1, 7]]])
    np.testing.assert_allclose(resample(image, places, 100.0), [[15, 10, 55, 100]])


# ---------------------------------------------------------------- geometry


@pytest.mark.parametrize("quarter", [-2, -1, 1, 2, 3])
@pytest.mark.parametrize("size", [4, 7])
def test_quarter_turns_are_those_of_numpy(quarter, size):
    x = pictures(shape=(size, size))
    turned = Rotation((90 * quarter, 90 * quarter), image_shape=(size, size)).images(x, fixed())
    np.testing.assert_allclose(turned, np.rot90(x, quarter, axes=(1, 2)), atol=1e-12)


@pytest.mark.parametrize("pixels", [-2, 1, 3])
def test_a_shift_by_whole_pixels_is_exact(pixels):
    x = pictures()
    expected = np.full_like(x, -0.5)
    there = [slice(max(pixels, 0), SHAPE[i] + min(pixels, 0)) for i in range(2)]
    here = [slice(max(-pixels, 0), SHAPE[i] - max(pixels, 0)) for i in range(2)]
    expected[:, *there] = x[:, *here]
    np.testing.assert_array_equal(Affine(shift=(pixels, pixels), **S).images(x, fixed()), expected)


@laws
@given(seed=seeds, pixels=st.integers(0, 4), dtype=st.sampled_from([np.float32, np.float64]))
def test_shift_moves_whole_images_without_blur(seed, pixels, dtype):
    x = pictures(20, dtype=dtype, seed=seed)
    padded = np.pad(x, ((0, 0), (4, 4), (4, 4)), constant_values=-0.5)
    candidates = {
        padded[i, 4 - r : 4 - r + SHAPE[0], 4 - c : 4 - c + SHAPE[1]].tobytes()
        for i in range(20)
        for r in range(-pixels, pixels + 1)
        for c in range(-pixels, pixels + 1)
    }
    assert {image.tobytes() for image in Shift(pixels, **S).images(x, fixed(seed))} <= candidates


def test_shift_draws_every_shift_alike():
    x = np.zeros((9000, 5, 5))
    x[:, 2, 2] = 1
    counts = Shift(1, image_shape=(5, 5)).images(x, fixed()).sum(axis=0)
    assert counts.sum() == 9000
    # 1000 for each of the 9, with a standard deviation of sqrt(9000 · 1/9 · 8/9) = 30
    assert abs(counts[1:4, 1:4] - 1000).max() < 4 * 30


def affine_by_scipy(x, theta, phi, scale, shift, fill):
    """The docstring's formula, by scipy: the new image shows at q what the old one had at inv(R H S) (q - t)."""
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    theta, phi = np.radians([theta, phi])
    R = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    H = np.array([[1, 0], [np.tan(phi), 1]])
    inverse = np.linalg.inv(R @ H @ np.diag(scale))
    middle = (np.array(x.shape) - 1) / 2
    offset = middle - inverse @ (middle + shift)
    return ndimage.affine_transform(x, inverse, offset, order=1, mode="grid-constant", cval=fill)


@laws
@given(
    theta=st.floats(-180, 180), phi=st.floats(-60, 60), scale=st.floats(0.5, 2), shift=st.floats(-3, 3), seed=seeds
)
def test_affine_is_its_formula_by_scipy(theta, phi, scale, shift, seed):
    x = pictures(1, seed=seed)
    augment = Affine(degrees=(theta, theta), shear=(phi, phi), scale=(scale, scale), shift=(shift, shift), **S)
    expected = affine_by_scipy(x[0], theta, phi, (scale, scale), (shift, shift), -0.5)
    np.testing.assert_allclose(augment.images(x, fixed())[0], expected, atol=1e-11)


def brightest(image):
    return tuple(int(i) for i in np.unravel_index(image.argmax(), image.shape))


def spot(row, column, size=11):
    image = np.zeros((1, size, size))
    image[0, row, column] = 1
    return image


def test_directions():
    square = {"image_shape": (11, 11)}
    # Counter-clockwise: what is on the right goes up.
    assert brightest(Rotation((90, 90), **square).images(spot(5, 9), fixed())[0]) == (1, 5)
    # Sheared by 45 degrees, a row 3 below the middle moves 3 to the right, one 3 above it 3 to the left.
    assert brightest(Shear((45, 45), **square).images(spot(8, 5), fixed())[0]) == (8, 8)
    assert brightest(Shear((45, 45), **square).images(spot(2, 5), fixed())[0]) == (2, 2)
    # Doubled, a distance of 2 from the middle becomes 4.
    assert brightest(Scaling((2, 2), **square).images(spot(7, 5), fixed())[0]) == (9, 5)
    # Down and to the right.
    assert brightest(Affine(shift=(2, 2), **square).images(spot(4, 4), fixed())[0]) == (6, 6)


def test_strengths_are_drawn_uniformly_from_their_ranges():
    # A ramp tells how far a pixel in the middle has come: shifts of -2 .. 2 on values that grow by 1 a pixel.
    ramp = np.tile(np.arange(15.0), (15, 1))[np.newaxis].repeat(4000, axis=0)
    shift = 7 - Affine(shift=2, image_shape=(15, 15)).images(ramp, fixed())[:, 7, 7]
    assert abs(shift).max() <= 2
    # The standard deviation of a uniform number from -2 .. 2 is 4/√12; over 4000 it is known to 1 %.
    assert shift.std() == pytest.approx(4 / np.sqrt(12), rel=0.03)
    assert abs(shift.mean()) < 4 * 4 / np.sqrt(12 * 4000)
    # Scaled by s, the pixel 4 to the right of the middle shows what was 4/s to the right.
    factor = 4 / (Scaling((0.8, 1.6), image_shape=(15, 15)).images(ramp, fixed())[:, 7, 11] - 7)
    assert factor.min() >= 0.8 - 1e-9
    assert factor.max() <= 1.6 + 1e-9
    assert factor.mean() == pytest.approx(1.2, rel=0.02)


def test_parts_of_affine_are_affine():
    x = pictures()
    for part, whole in [
        (Rotation(30, **S), Affine(degrees=30, **S)),
        (Scaling(0.2, **S), Affine(scale=(0.8, 1.2), **S)),
        (Shear(20, **S), Affine(shear=(-20, 20), **S)),
        (AffineElastic(degrees=9, shift=2, scale=0.1, shear=8, alpha=0, **S),
         Affine(degrees=9, shift=2, scale=0.1, shear=8, **S)),
    ]:  # fmt: skip
        np.testing.assert_allclose(part.images(x, fixed()), whole.images(x, fixed()), atol=1e-12)


def test_turning_there_and_back_is_almost_nothing():
    # Bilinear interpolation is off by at most h²/8 (|f_rr| + |f_cc|), with h = 2/27 and second derivatives up to 16
    # here: 0.022 for each of the two turns.
    grid = np.linspace(-1, 1, 28)
    x = np.exp(-8 * (grid[:, np.newaxis] ** 2 + (grid - 0.2) ** 2))[np.newaxis]
    back = Rotation((-25, -25)).images(Rotation((25, 25)).images(x, fixed()), fixed())
    assert abs(back - x).max() < 2 * (2 / 27) ** 2 / 8 * 32


# ---------------------------------------------------------------- elastic


@pytest.mark.parametrize("sigma", [0.5, 1, 4, 9])
@pytest.mark.parametrize("shape", [(28, 28), (5, 12)])
def test_smoothing_is_that_of_scipy(sigma, shape):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    field = pictures(1, shape)[0]
    G, H = gaussian_matrix(shape[0], sigma), gaussian_matrix(shape[1], sigma)
    expected = ndimage.gaussian_filter(field, sigma, mode="constant")
    np.testing.assert_allclose(G @ field @ H.T, expected, atol=1e-14)


def test_elastic_is_its_recipe_by_scipy():
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    x = pictures()
    u = fixed(5).random((6, 2, *SHAPE)) * 2 - 1
    grid = np.indices(SHAPE)
    for image, noise, ours in zip(x, u, ElasticDistortion(8, 2, **S).images(x, fixed(5)), strict=True):
        d = [8 * ndimage.gaussian_filter(field, 2, mode="constant") for field in noise]
        theirs = ndimage.map_coordinates(image, grid + d, order=1, mode="grid-constant", cval=-0.5)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_size_of_displacements():
    d = ElasticDistortion().displacements(300, fixed(), np.float64).reshape(300, 2, 28, 28)
    middle = d[:, :, 10:18, 10:18]
    # Uniform noise has a standard deviation of 1/√3; smoothed in two directions, it is divided by 2 √π σ.
    assert middle.std() == pytest.approx(34 / (np.sqrt(3) * 2 * np.sqrt(np.pi) * 4), rel=0.03)
    # Rows and columns move independently, neighbours together.
    assert abs(np.corrcoef(middle[:, 0].ravel(), middle[:, 1].ravel())[0, 1]) < 0.1
    assert np.corrcoef(middle[..., 1:].ravel(), middle[..., :-1].ravel())[0, 1] > 0.95


def test_affine_and_elastic_in_one_resampling():
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    x = pictures(1)
    rotate, bend = Rotation((30, 30), **S), ElasticDistortion(8, 2, **S)
    rng = fixed()
    places = rotate.places(1, rng, np.float64) + bend.displacements(1, rng, np.float64)
    theirs = ndimage.map_coordinates(x[0], places[0], order=1, mode="grid-constant", cval=-0.5).reshape(SHAPE)
    both = AffineElastic(degrees=(30, 30), alpha=8, sigma=2, **S)
    np.testing.assert_allclose(both.images(x, fixed())[0], theirs, atol=1e-12)


# ---------------------------------------------------------------- noise, mixup, several


def test_noise_has_its_standard_deviation():
    x = np.full((200, 500), 3.0, np.float32)
    noise = GaussianNoise(0.25).images(x, fixed()) - x
    assert noise.std() == pytest.approx(0.25, rel=0.01)
    assert abs(noise.mean()) < 4 * 0.25 / np.sqrt(noise.size)


@laws
@given(seed=seeds, alpha=st.floats(0.05, 5), m=st.integers(1, 20), soft=st.booleans())
def test_mixup_mixes_inputs_and_targets_by_the_same_share(seed, alpha, m, soft):
    rng = fixed(seed)
    labels = rng.integers(0, 4, m)
    Y = np.eye(4)[labels]
    # Sample i is the i-th unit vector: row i of the mixture holds the share of every sample in it.
    shares, targets = Mixup(alpha, 4)(np.eye(m), Y if soft else labels, rng)
    assert (shares >= 0).all()
    assert (np.count_nonzero(shares, axis=1) <= 2).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(targets, shares @ Y, atol=1e-12)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-12)
    # Each sample is the partner of exactly one.
    partners = shares - np.diag(shares.diagonal())
    assert (np.count_nonzero(partners, axis=0) <= 1).all()


@pytest.mark.parametrize("alpha", [0.3, 1, 4])
def test_shares_of_mixup_come_from_the_beta_distribution(alpha):
    samples = np.arange(2000)
    mixed, targets = Mixup(alpha, 2000)(np.eye(2000, dtype=np.float32), samples, fixed())
    np.testing.assert_array_equal(mixed, targets)
    share = targets.diagonal()
    # Beta(α, α) has mean 1/2 and variance 1/(4 (2 α + 1)).
    assert share.mean() == pytest.approx(0.5, abs=0.03)
    assert share.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mixup_of_strength_zero_gives_one_hot_rows(dtype):
    x = pictures(4, dtype=dtype)
    mixed, targets = Mixup(0, 3)(x, np.array([2, 0, 1, 1]), fixed())
    assert mixed.tobytes() == x.tobytes()
    assert targets.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert targets.dtype == dtype


def test_mixup_of_a_regression():
    x = fixed().normal(size=(8, 2))
    mixed, targets = Mixup(1)(x, 3 * x - 1, fixed())
    np.testing.assert_allclose(targets, 3 * mixed - 1, atol=1e-12)  # what is linear stays so


def test_several_in_a_row():
    x, y = pictures(), np.arange(6) % 3
    parts = [Rotation(20, **S), GaussianNoise(0.1), Mixup(1, 3)]
    rng = fixed(2)
    expected, targets = x, y
    for part in parts:
        expected, targets = part(expected, targets, rng)
    together, both = Compose(parts)(x, y, fixed(2))
    np.testing.assert_array_equal(together, expected)
    np.testing.assert_array_equal(both, targets)
    rng = fixed(2)
    turned = parts[1].images(parts[0].images(x, rng), rng)
    np.testing.assert_array_equal(Compose(parts[:2]).images(x, fixed(2)), turned)


def test_compose_takes_any_function():
    def flip(x, targets, rng):
        return x[:, ::-1].copy(), targets

    x, y = pictures().reshape(6, -1), np.arange(6)
    np.testing.assert_array_equal(Compose([flip])(x, y, fixed())[0], x[:, ::-1])
    with pytest.raises(InputError, match=r"flip.* needs targets"):
        Compose([flip]).images(x, fixed())


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(-1), "GaussianNoise: std must be a finite number >= 0, got -1"),
        (lambda: Rotation(-5), "Rotation: degrees must be a finite number from 0 to 360, got -5"),
        (lambda: Rotation((10, 5)), r"Rotation: degrees: the range \(10, 5\) ends below its start"),
        (lambda: Rotation((1, 2, 3)), r"a number or a pair \(least, most\), got \(1, 2, 3\)"),
        (lambda: Rotation("wide"), "degrees must be a finite number from 0 to 360, got 'wide'"),
        (lambda: Scaling(1.5), "Scaling: scale must be a finite number from 0 to 1, got 1.5"),
        (lambda: Scaling(1), "Scaling: scale must be above 0, got 1"),
        (lambda: Scaling((0, 1)), r"scale must be above 0, got \(0, 1\)"),
        (lambda: Shear(85), "Shear: shear must be a finite number from 0 to 80, got 85"),
        (lambda: Shift(1.5), "Shift: pixels must be an integer of at least 0, got 1.5"),
        (lambda: Affine(shift=np.nan), "Affine: shift must be a finite number"),
        (lambda: Affine(fill=np.inf), "Affine: fill must be a finite number"),
        (lambda: Affine(image_shape=(28,)), r"image_shape must be \(rows, columns\), got \(28,\)"),
        (lambda: Affine(image_shape=(28, 0)), "columns of image_shape must be an integer of at least 1, got 0"),
        (lambda: ElasticDistortion(-1), "ElasticDistortion: alpha must be a finite number >= 0"),
        (lambda: ElasticDistortion(1, -1), "ElasticDistortion: sigma must be a finite number >= 0"),
        (lambda: Mixup(-1), "Mixup: alpha must be a finite number >= 0"),
        (lambda: Mixup(1, 0), "Mixup: num_classes must be an integer of at least 1, got 0"),
        (lambda: Mixup(1)(np.zeros((2, 3)), np.array([0, 1]), fixed()), "which needs num_classes"),
        (
            lambda: Mixup(1, 2)(np.zeros((2, 3)), np.array([0, 2]), fixed()),
            "class labels must be integers from 0 to 1",
        ),
        (
            lambda: Mixup(1, 2)(np.zeros((2, 3)), np.ones((2, 3)) / 3, fixed()),
            r"must have shape \(n, 2\), got \(2, 3\)",
        ),
        (lambda: Mixup(1, 2)(np.zeros((2, 3)), np.array([0]), fixed()), r"2 inputs but targets of shape \(1,\)"),
        (lambda: Mixup(1, 2).images(np.zeros((2, 3)), fixed()), "Mixup needs targets: call it as augment"),
        (lambda: Compose([Mixup(1, 2)]).images(np.zeros((2, 3)), fixed()), "Mixup needs targets"),
        (lambda: Compose([3]), "Compose: 3 is not an augmentation"),
    ],
)
def test_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_reprs_name_the_strengths():
    for augment in ALL:
        assert repr(augment).startswith(type(augment).__name__ + "(")
        assert isinstance(augment, Augmentation)
    assert repr(Compose([GaussianNoise(0.5), Rotation(5)])) == (
        "Compose([GaussianNoise(0.5), Rotation((-5.0, 5.0), fill=0)])"
    )


@each_on_images
def test_an_empty_batch_stays_empty(augment):
    assert augment.images(np.zeros((0, 35)), fixed()).shape == (0, 35)


def test_masked_values_are_refused():
    with pytest.raises(InputError, match="GaussianNoise: x has 1 masked entries"):
        GaussianNoise(0.1).images(
            np.ma.masked_less(np.array([[0.0, 1.0]], np.float32), 0.5), np.random.default_rng(0)
        )
