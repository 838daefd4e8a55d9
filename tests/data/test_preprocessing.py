"""Preprocessing against worked numbers, scikit-learn and the laws that each map has to keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.data import Dataset
from mlp.data.preprocessing import PCA, Center, Decorrelate, Pipeline, Preprocessing, Standardize, Whiten, base

laws = settings(deadline=None, max_examples=50, derandomize=True)
seeds = st.integers(0, 2**32)

ALL = [
    Center,
    Standardize,
    Decorrelate,
    lambda: PCA(3),
    lambda: Whiten("pca", 0),
    lambda: Whiten("zca", 0.1),
    lambda: Pipeline(Standardize(), PCA(4), Whiten("zca", 1e-3)),
]
each = pytest.mark.parametrize("make", ALL, ids=lambda make: repr(make()))


def correlated(n=40, features=5, seed=0, constant=False):
    """Rows whose features differ in mean and scale and hang together."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features)) @ rng.normal(size=(features, features)) + 10 * rng.normal(size=features)
    if constant:
        x[:, 1] = 0.1
    return x


# ---------------------------------------------------------------- worked numbers


def test_worked_numbers():
    x = np.array([[1.0, 10], [3, 10], [5, 40]])  # means 3 and 20
    assert Center().fit_transform(x).tolist() == [[-2, -10], [0, -10], [2, 20]]
    # Variances (4 + 0 + 4)/3 and (100 + 100 + 400)/3 = 200.
    z = Standardize().fit_transform(x)
    np.testing.assert_allclose(z[:, 0], np.array([-2, 0, 2]) / np.sqrt(8 / 3), rtol=1e-15)
    np.testing.assert_allclose(z[:, 1], np.array([-10, -10, 20]) / np.sqrt(200), rtol=1e-15)


def test_worked_principal_axes():
    # Points on the diagonal through (1, 1), and two beside it: the covariance is [[10, 6], [6, 10]] / 3, with
    # axes (1, 1)/√2 and (1, -1)/√2 and variances 16/3 and 4/3.
    x = np.array([[3.0, 3], [-1, -1], [2, 0], [0, 2]])
    axes = Decorrelate().fit(x)
    np.testing.assert_allclose(axes.mean, [1, 1])
    np.testing.assert_allclose(axes.variances, [16 / 3, 4 / 3], rtol=1e-14)
    np.testing.assert_allclose(abs(axes.components), np.full((2, 2), np.sqrt(0.5)), rtol=1e-14)
    assert (axes.components[0] > 0).all()
    np.testing.assert_allclose(axes.transform(x)[:, 0], [np.sqrt(8), -np.sqrt(8), 0, 0], atol=1e-14)
    np.testing.assert_allclose(PCA(1).fit(x).explained_variance_ratio, [0.8], rtol=1e-14)
    # Only the second coordinate of the last two points is lost: their nearest points on the diagonal are the mean.
    np.testing.assert_allclose(
        PCA(1).fit(x).inverse_transform(PCA(1).fit_transform(x)), [[3, 3], [-1, -1], [1, 1], [1, 1]], atol=1e-14
    )


# ---------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize("constant", [False, True])
def test_pca_is_that_of_scikit_learn_up_to_signs(constant):
    sklearn = pytest.importorskip("sklearn.decomposition", reason="scikit-learn is not installed")
    x, other = correlated(60, 8, constant=constant), correlated(10, 8, seed=1)
    ours, theirs = PCA(4).fit(x), sklearn.PCA(4, svd_solver="full").fit(x)
    signs = np.sign((ours.components * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(ours.components, theirs.components_ * signs[:, np.newaxis], atol=1e-10)
    np.testing.assert_allclose(ours.variances[:4], theirs.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(ours.explained_variance_ratio, theirs.explained_variance_ratio_, rtol=1e-10)
    np.testing.assert_allclose(ours.transform(other), theirs.transform(other) * signs, atol=1e-10)
    z = ours.transform(other)
    np.testing.assert_allclose(ours.inverse_transform(z), theirs.inverse_transform(z * signs), atol=1e-10)


def test_whitening_is_that_of_scikit_learn_up_to_signs():
    sklearn = pytest.importorskip("sklearn.decomposition", reason="scikit-learn is not installed")
    x, other = correlated(60, 6), correlated(10, 6, seed=1)
    theirs = sklearn.PCA(whiten=True, svd_solver="full").fit(x).transform(other)
    ours = Whiten("pca", 0).fit(x).transform(other)
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, atol=1e-10)


def test_standardize_is_that_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.preprocessing", reason="scikit-learn is not installed")
    x, other = correlated(60, 6, constant=True), correlated(10, 6, seed=1)
    theirs = sklearn.StandardScaler().fit(x)
    np.testing.assert_allclose(Standardize().fit(x).transform(other), theirs.transform(other), atol=1e-12)


# ---------------------------------------------------------------- laws


@laws
@given(seed=seeds, features=st.integers(1, 6), method=st.sampled_from(["pca", "zca"]))
def test_whitening_gives_the_identity_as_covariance(seed, features, method):
    z = Whiten(method, 0).fit_transform(correlated(30, features, seed))
    np.testing.assert_allclose(np.cov(z.T).reshape(features, features), np.eye(features), atol=1e-8)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-8)


@laws
@given(seed=seeds, epsilon=st.floats(0.01, 10))
def test_epsilon_is_added_to_the_variances(seed, epsilon):
    x = correlated(30, 4, seed)
    variances = np.cov(Whiten("pca", epsilon).fit_transform(x).T)
    expected = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    np.testing.assert_allclose(variances, np.diag(expected / (expected + epsilon)), atol=1e-8)


@laws
@given(seed=seeds)
def test_zca_turns_back_what_pca_whitening_turned(seed):
    x = correlated(30, 4, seed)
    pca, zca = Whiten("pca", 0.1).fit(x), Whiten("zca", 0.1).fit(x)
    np.testing.assert_allclose(zca.transform(x), pca.transform(x) @ pca.components, atol=1e-10)
    # Symmetric: the map itself, seen in what it does to unit vectors.
    W = zca.transform(zca.mean + np.eye(4))
    np.testing.assert_allclose(W, W.T, atol=1e-10)


@laws
@given(seed=seeds)
def test_decorrelating_is_a_rigid_motion_and_leaves_no_covariance(seed):
    x = correlated(30, 5, seed)
    z = Decorrelate().fit_transform(x)
    distances = [np.linalg.norm(a[:, np.newaxis] - a, axis=-1) for a in (x, z)]
    np.testing.assert_allclose(*distances, atol=1e-10)
    covariance = np.cov(z.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-10)
    assert (np.diff(np.diag(covariance)) <= 1e-10).all()


@laws
@given(
    seed=seeds,
    make=st.sampled_from(
        [Center, Standardize, Decorrelate, lambda: PCA(5), lambda: Whiten("pca"), lambda: Whiten("zca")]
    ),
)
def test_inverses_are_exact_where_nothing_is_lost(seed, make):
    x, other = correlated(30, 5, seed), correlated(7, 5, seed + 1)
    steps = make().fit(x), Pipeline(Standardize(), make()).fit(x)
    for step in steps:
        np.testing.assert_allclose(step.inverse_transform(step.transform(other)), other, rtol=1e-8, atol=1e-8)


@laws
@given(seed=seeds, k=st.integers(1, 5))
def test_pca_loses_the_variances_left_out(seed, k):
    x = correlated(30, 5, seed)
    pca = PCA(k).fit(x)
    error = np.square(pca.inverse_transform(pca.transform(x)) - x).sum() / (len(x) - 1)
    spectrum = np.linalg.eigvalsh(np.cov(x.T))[::-1]
    np.testing.assert_allclose(error, spectrum[k:].sum(), atol=1e-9)


@each
def test_only_the_training_set_matters(make):
    train, test = correlated(), correlated(9, seed=1)
    step = make().fit(train)
    state = step.state_dict()
    alone = step.transform(test[:1])
    step.transform(test * 100)
    np.testing.assert_allclose(step.transform(test)[:1], alone, rtol=1e-12)
    for name, array in step.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_arguments_stay(make, dtype):
    x = correlated().astype(dtype)
    before = x.copy()
    step = make()
    z = step.fit_transform(x)
    back = step.inverse_transform(z)
    assert z.dtype == back.dtype == dtype
    np.testing.assert_array_equal(x, before)
    kept = z.copy()
    step.inverse_transform(z)
    np.testing.assert_array_equal(z, kept)
    assert not np.shares_memory(z, x)
    assert all(array.dtype == np.float64 for array in step.state_dict().values())
    z[...] = 0  # the caller's own: it changes nothing inside
    np.testing.assert_array_equal(step.transform(x), kept)


@each
def test_blocks_make_no_difference(make, monkeypatch):
    x = correlated(43)
    whole = make().fit(x)
    monkeypatch.setattr(base, "BLOCK_ROWS", 7)
    parts = make().fit(x)
    np.testing.assert_allclose(parts.transform(x), whole.transform(x), atol=1e-11)


# ---------------------------------------------------------------- constant features


def test_a_constant_feature_is_centred_to_the_last_bit():
    # 0.1 has no exact sum: 1000 of them divided by 1000 is not 0.1.
    x = np.column_stack([np.full(1000, 0.1), np.arange(1000.0)])
    step = Standardize().fit(x)
    assert step.deviation[0] == 0
    assert step.transform(x)[:, 0].tolist() == [0] * 1000
    moved = np.array([[0.6, 0.0]])
    assert step.transform(moved)[0, 0] == 0.5
    np.testing.assert_allclose(step.inverse_transform(step.transform(moved)), moved, atol=1e-15)


@pytest.mark.parametrize("method", ["pca", "zca"])
@pytest.mark.parametrize("epsilon", [0, 0.1])
def test_whitening_leaves_out_what_does_not_vary(method, epsilon):
    x = correlated(30, 5, constant=True)
    step = Whiten(method, epsilon).fit(x)
    assert step.variances[-1] == 0
    assert np.count_nonzero(step.variances) == 4
    z = step.transform(x)
    if epsilon == 0:
        np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(np.cov(z.T))), [0, 1, 1, 1, 1], atol=1e-8)
    np.testing.assert_allclose(step.inverse_transform(z), x, atol=1e-8)
    moved = x[:3] + 5 * np.eye(5)[1]  # the constant feature varies in other rows: it comes back as its constant
    np.testing.assert_allclose(step.inverse_transform(step.transform(moved)), x[:3], atol=1e-8)


def test_fewer_samples_than_features():
    x = correlated(4, 6)
    step = Whiten("pca", 0).fit(x)
    assert np.count_nonzero(step.variances) == 3
    np.testing.assert_allclose(np.cov(step.transform(x).T)[:3, :3], np.eye(3), atol=1e-8)
    assert Standardize().fit(x[:1]).transform(x[:1]).tolist() == [[0] * 6]


def test_data_that_never_vary():
    x = np.full((5, 3), 0.1)
    for step in (Decorrelate(), Whiten("zca", 0), Whiten("pca"), PCA(2), Standardize()):
        assert not step.fit_transform(x).any()
    assert PCA(2).fit(x).explained_variance_ratio.tolist() == [0, 0]


def test_signs_are_fixed():
    x = correlated(50, 6)
    components = Decorrelate().fit(x).components
    assert (np.take_along_axis(components, abs(components).argmax(axis=1)[:, np.newaxis], axis=1) > 0).all()
    # Mirrored data have the mirrored axes, which are the same lines.
    np.testing.assert_allclose(Decorrelate().fit(-x).components, components, atol=1e-10)


# ---------------------------------------------------------------- data sets


def test_data_sets_are_read_as_a_network_sees_them():
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (50, 2, 3), dtype=np.uint8)
    data = Dataset(
        stored, rng.integers(0, 3, 50), offset=128, scale=1 / 255, name="toy", sample_weight=np.arange(1, 51)
    )
    x = data.arrays(np.float64)[0]
    for make in ALL:
        step = make().fit(data)
        result = step.transform_dataset(data)
        assert result.inputs.dtype == np.float32
        np.testing.assert_allclose(result.inputs, make().fit_transform(x), atol=1e-5)
        assert (result.offset, result.scale, result.name, result.num_classes) == (0, 1, "toy", 3)
        assert result.labels.tolist() == data.labels.tolist()
        assert result.sample_weight.tolist() == data.sample_weight.tolist()
        assert result.image_shape == ((2, 3) if step.keeps_features else None)
    assert data.stored.dtype == np.uint8


def test_which_maps_keep_images():
    kept = [Center(), Standardize(), Whiten("zca"), Pipeline(Center(), Whiten("zca"))]
    assert all(step.keeps_features for step in kept)
    assert not any(
        step.keeps_features for step in [Decorrelate(), PCA(2), Whiten("pca"), Pipeline(Center(), PCA(2))]
    )


def test_a_pipeline_fits_each_step_on_what_the_others_made():
    x = correlated()
    first, second = Standardize(), PCA(2)
    expected = second.fit_transform(first.fit_transform(x))
    pipeline = Pipeline(Standardize(), PCA(2))
    np.testing.assert_allclose(pipeline.fit_transform(x), expected, atol=1e-12)
    np.testing.assert_allclose(
        pipeline.inverse_transform(expected),
        first.inverse_transform(second.inverse_transform(expected)),
        atol=1e-12,
    )


# ---------------------------------------------------------------- state


@each
def test_state_goes_through_a_file(make, tmp_path):
    x, other = correlated(), correlated(5, seed=1)
    step = make().fit(x)
    np.savez(tmp_path / "state.npz", **step.state_dict())
    with np.load(tmp_path / "state.npz") as file:
        twin = make()
        twin.load_state_dict(dict(file))
    np.testing.assert_array_equal(twin.transform(other), step.transform(other))


@each
def test_a_state_is_a_copy(make):
    step = make().fit(correlated())
    before = step.transform(correlated(3))
    for array in step.state_dict().values():
        array[...] = 7
    np.testing.assert_array_equal(step.transform(correlated(3)), before)
    given = {name: array.copy() for name, array in step.state_dict().items()}
    step.load_state_dict(given)
    for array in given.values():
        array[...] = 7
    np.testing.assert_array_equal(step.transform(correlated(3)), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("deviation"), "Standardize: the state holds mean; expected mean, deviation"),
        (lambda state: state.update(other=np.ones(3)), "the state holds mean, deviation, other"),
        (lambda state: state.update(deviation=np.ones(4)), r"deviation must be finite floats of shape \(5,\)"),
        (lambda state: state.update(mean=np.full(5, np.nan)), r"mean must be finite floats of shape \(5,\)"),
        (lambda state: state.update(mean=np.ones((5, 1))), r"mean must be finite floats of shape \(5,\)"),
        (lambda state: state.update(mean=np.array(["a"] * 5)), "mean must be finite floats"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    step = Standardize().fit(correlated())
    before = step.transform(correlated(3))
    state = step.state_dict()
    change(state)
    pipeline = Pipeline(Center(), step)
    pipeline_state = {"0.mean": np.zeros(5)} | {f"1.{name}": array for name, array in state.items()}
    for target, wrong in ((step, state), (pipeline, pipeline_state)):
        with pytest.raises(InputError, match=message):
            target.load_state_dict(wrong)
    np.testing.assert_array_equal(step.transform(correlated(3)), before)
    with pytest.raises(InputError, match="Center: call fit"):
        pipeline.transform(correlated(3))


def test_a_pipelines_state_has_no_other_steps():
    pipeline = Pipeline(Center()).fit(correlated())
    assert list(pipeline.state_dict()) == ["0.mean"]
    with pytest.raises(InputError, match=r"Pipeline of 1 steps: the state has others: 0\.mean, 1\.mean"):
        pipeline.load_state_dict({"0.mean": np.ones(5), "1.mean": np.ones(5)})


# ---------------------------------------------------------------- what is refused


@each
def test_use_before_fit(make):
    step = make()
    for use in (step.transform, step.inverse_transform):
        with pytest.raises(InputError, match="call fit on the training set first"):
            use(correlated())
    with pytest.raises(InputError, match="call fit on the training set first"):
        step.state_dict()


@each
def test_another_width_or_dtype(make):
    step = make().fit(correlated())
    for wrong in (np.zeros((3, 6)), np.zeros(5), np.zeros((2, 3, 5))):
        with pytest.raises(InputError, match=r"expects \(n, 5\), as it was fitted, got shape"):
            step.transform(wrong)
        with pytest.raises(InputError, match=r"expects \(n, \d\), as it was fitted, got shape"):
            step.inverse_transform(wrong)
    with pytest.raises(InputError, match="x must be an array of float32 or float64, got int64"):
        step.transform(np.zeros((3, 5), int))
    with pytest.raises(InputError, match="x must be an array of float32 or float64, got list"):
        step.transform([[0.0] * 5])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.zeros(5),
            r"Standardize.fit: expected a Dataset or real numbers \(n, features\), got float64 of \(5,\)",
        ),
        (np.zeros((0, 5)), r"of \(0, 5\)"),
        (np.array([["a"]]), "got <U1"),
        (np.array([[1.0], [np.inf]]), "x must be finite, sample 1 contains inf"),
    ],
)
def test_what_cannot_be_fitted(x, message):
    with pytest.raises(InputError, match=message):
        Standardize().fit(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PCA(0), "PCA: n_components must be an integer of at least 1, got 0"),
        (lambda: Whiten("ica"), "method must be 'pca' or 'zca', got 'ica'"),
        (lambda: Whiten("pca", -1), "epsilon must be a finite number >= 0, got -1"),
        (lambda: Pipeline(), "the steps must be preprocessings, at least one"),
        (lambda: Pipeline(Center), "the steps must be preprocessings"),
        (lambda: Pipeline(*[Center()] * 2), "a step is given twice"),
        (lambda: PCA(6).fit(correlated()), r"PCA.fit: 6 axes need x of \(2, 6\) or more, got \(40, 5\)"),
        (
            lambda: Decorrelate().fit(correlated(1)),
            r"Decorrelate.fit: 5 axes need x of \(2, 5\) or more, got \(1, 5\)",
        ),
    ],
)
def test_bad_choices(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_reprs():
    pipeline = Pipeline(Center(), Standardize(), PCA(2), Whiten("zca", 0.5), Decorrelate())
    assert repr(pipeline) == "Pipeline(Center(), Standardize(), PCA(2), Whiten('zca', epsilon=0.5), Decorrelate())"
    assert isinstance(pipeline, Preprocessing)


def test_masked_values_are_refused():
    x = np.ma.masked_less(np.array([[0.0, 1.0], [2.0, 3.0]]), 0.5)
    for use in (Standardize().fit, Standardize().fit(x.data).transform):
        with pytest.raises(InputError, match="x has 1 masked entries"):
            use(x)
