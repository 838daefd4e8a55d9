"""Bins worked out by hand, answers that are calibrated by construction, and fits against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp.checks import InputError
from mlp.functional import sigmoid, softmax
from mlp.metrics import negative_log_likelihood
from mlp.metrics.calibration import (
    PlattScaling,
    TemperatureScaling,
    adaptive_calibration_error,
    average_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_bins,
    static_calibration_error,
)

many = settings(deadline=None, max_examples=50, derandomize=True)
each_kind = pytest.mark.parametrize("kind", ["width", "mass"])


def logit(p: float) -> float:
    return math.log(p / (1 - p))


@st.composite
def events(draw):
    """Probabilities of an event, with ties, and whether it happened."""
    n = draw(st.integers(1, 40))
    p = draw(st.lists(st.integers(0, 24), min_size=n, max_size=n))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return np.array(p) / 24, np.array(y)


class TestBins:
    # Confidence 0.5 and 0.6, both right; 0.7 wrong and 0.8 right; 1 right.
    P = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.7, 0.2], [0.8, 0.1, 0.1], [0.0, 1.0, 0.0]])
    LABELS = np.array([0, 2, 0, 0, 1])

    def test_worked_example(self):
        table = reliability_bins(self.LABELS, self.P, num_bins=5)
        np.testing.assert_allclose(table.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
        np.testing.assert_array_equal(table.counts, [0, 0, 2, 2, 1])
        np.testing.assert_allclose(table.confidence, [np.nan, np.nan, 0.55, 0.75, 1])
        np.testing.assert_allclose(table.accuracy, [np.nan, np.nan, 1, 1 / 2, 1])
        np.testing.assert_allclose(table.gaps, [np.nan, np.nan, 0.45, 0.25, 0], atol=1e-15)
        assert expected_calibration_error(self.LABELS, self.P, 5) == pytest.approx((2 * 0.45 + 2 * 0.25) / 5)
        assert maximum_calibration_error(self.LABELS, self.P, 5) == pytest.approx(0.45)
        # Over the three bins that hold samples.
        assert average_calibration_error(self.LABELS, self.P, 5) == pytest.approx((0.45 + 0.25 + 0) / 3)

    def test_equal_mass(self):
        table = reliability_bins(self.LABELS, self.P, num_bins=2, bins="mass")
        # 3 and 2 samples: 0.5, 0.6, 0.7 with two right; 0.8 and 1, both right.
        np.testing.assert_allclose(table.edges, [0, 0.7, 1])
        np.testing.assert_array_equal(table.counts, [3, 2])
        np.testing.assert_allclose(table.confidence, [0.6, 0.9])
        np.testing.assert_allclose(table.accuracy, [2 / 3, 1])
        assert expected_calibration_error(self.LABELS, self.P, 2, bins="mass") == pytest.approx(
            (3 * (2 / 3 - 0.6) + 2 * 0.1) / 5
        )
        assert maximum_calibration_error(self.LABELS, self.P, 2, bins="mass") == pytest.approx(0.1)
        assert average_calibration_error(self.LABELS, self.P, 2, bins="mass") == pytest.approx(
            (2 / 3 - 0.6 + 0.1) / 2
        )

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("M", [2, 10, 15, 20, 100])
    def test_an_edge_belongs_to_the_bin_below_it(self, M, dtype):
        edges = np.array([m / M for m in range(1, M)], dtype)
        ones = np.ones(M - 1, int)
        np.testing.assert_array_equal(reliability_bins(ones, edges, M).counts, [1] * (M - 1) + [0])
        above = np.nextafter(edges, dtype(1))
        np.testing.assert_array_equal(reliability_bins(ones, above, M).counts, [0] + [1] * (M - 1))

    @each_kind
    def test_0_and_1_are_counted(self, kind):
        table = reliability_bins([0, 1], [0.0, 1.0], 2, kind)
        np.testing.assert_array_equal(table.counts, [1, 1])
        np.testing.assert_array_equal(table.gaps, [0, 0])
        np.testing.assert_array_equal(reliability_bins([0, 1], [0, 1], 2, kind).counts, [1, 1])  # hard answers

    def test_masses_differ_by_one_at_most(self):
        rng = np.random.default_rng(0)
        for N in (1, 7, 14, 15, 16, 100, 1000, 1003):
            counts = reliability_bins(rng.integers(0, 2, N), rng.random(N), 15, "mass").counts
            assert counts.sum() == N
            assert np.ptp(counts) == (N % 15 > 0)

    def test_equal_confidences_share_a_bin(self):
        p = np.array([0.25, 0.5, 0.5, 0.5, 0.5, 0.75])
        np.testing.assert_array_equal(reliability_bins([0, 1, 0, 1, 0, 1], p, 3, "mass").counts, [5, 0, 1])

    @each_kind
    @given(samples=events(), M=st.integers(1, 20))
    @many
    def test_laws(self, kind, samples, M):
        p, y = samples
        table = reliability_bins(y, p, M, kind)
        assert table.counts.sum() == len(p)
        # Bins only sort the samples: weighted, they add up to what there was.
        np.testing.assert_allclose(np.nansum(table.counts * table.confidence), p.sum(), rtol=1e-12)
        np.testing.assert_allclose(np.nansum(table.counts * table.accuracy), y.sum(), rtol=1e-12)
        filled = table.counts > 0
        assert (table.edges[:-1][filled] <= table.confidence[filled] + 1e-15).all()
        assert (table.confidence[filled] <= table.edges[1:][filled] + 1e-15).all()
        np.testing.assert_array_equal(np.isnan(table.gaps), ~filled)
        ece, mce, ace = table.expected_error, table.maximum_error, table.average_error
        assert 0 <= ece <= mce + 1e-15
        assert 0 <= ace <= mce + 1e-15
        assert mce <= 1
        # No bins at all see only the overall excess of confidence; more bins see at least that.
        assert ece >= abs(p.mean() - y.mean()) - 1e-12
        assert expected_calibration_error(y, p, 1, kind) == pytest.approx(abs(p.mean() - y.mean()), abs=1e-12)

    @each_kind
    @given(
        groups=st.lists(st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1)
    )
    @many
    def test_answers_that_are_right_as_often_as_they_say_have_no_error(self, kind, groups):
        """n samples of confidence j / n, of which j are right."""
        p = np.concatenate([np.full(n, j / n) for j, n in groups])
        y = np.concatenate([np.arange(n) < j for j, n in groups])
        for error in (expected_calibration_error, maximum_calibration_error, average_calibration_error):
            assert error(y, p, 15, kind) == pytest.approx(0, abs=1e-12)

    def test_always_sure_and_always_wrong_is_the_worst(self):
        p, labels = np.eye(3)[[0, 1, 2]], [1, 2, 0]
        for error in (expected_calibration_error, maximum_calibration_error, average_calibration_error):
            assert error(labels, p) == 1

    @pytest.mark.parametrize(("kind", "strategy"), [("width", "uniform"), ("mass", "quantile")])
    def test_agrees_with_sklearn(self, kind, strategy):
        calibration = pytest.importorskip(
            "sklearn.calibration", reason="scikit-learn is the oracle of this test and is not installed"
        )
        rng = np.random.default_rng(0)
        p, y = rng.beta(0.5, 0.5, 600), rng.integers(0, 2, 600)
        accuracy, confidence = calibration.calibration_curve(y, p, n_bins=20, strategy=strategy)
        table = reliability_bins(y, p, 20, kind)
        np.testing.assert_allclose(table.accuracy, accuracy, rtol=1e-12)
        np.testing.assert_allclose(table.confidence, confidence, rtol=1e-12)

    def test_refuses_bins_without_meaning(self):
        for wrong in (0, -1, 2.0):
            with pytest.raises(InputError, match=f"num_bins must be an integer of at least 1, got {wrong!r}"):
                reliability_bins(self.LABELS, self.P, wrong)
        with pytest.raises(InputError, match="bins must be one of width, mass, got 'size'"):
            reliability_bins(self.LABELS, self.P, bins="size")
        with pytest.raises(InputError, match=r"probabilities must be from 0 to 1, got 1\.5"):
            reliability_bins([0, 1], [0.5, 1.5])
        with pytest.raises(InputError, match="integers from 0 to 1 for 2 scores, got 2"):
            reliability_bins([0, 2], [0.5, 0.5])


class TestClasswiseErrors:
    P1 = np.array([0.1, 0.2, 0.3, 0.9])
    P = np.stack([1 - P1, P1], axis=1)
    LABELS = np.array([0, 1, 0, 1])

    def test_adaptive(self):
        # Class 1, ranges 0.1 0.2 | 0.3 0.9: means 0.15 and 0.6, shares 1/2 and 1/2. Class 0 mirrors it:
        # 0.1 0.7 | 0.8 0.9: means 0.4 and 0.85, shares 1/2 and 1/2.
        error = adaptive_calibration_error(self.LABELS, self.P, num_ranges=2)
        assert error == pytest.approx((0.35 + 0.1 + 0.1 + 0.35) / 4)

    def test_ranges_count_the_same_also_where_they_are_not_quite_equal(self):
        # Class 1: 0.1 0.2 | 0.9: means 0.15 and 0.9, shares 1/2 and 1. Class 0: 0.1 0.8 | 0.9: means 0.45 and 0.9,
        # shares 0 and 1.
        error = adaptive_calibration_error(self.LABELS[[0, 1, 3]], self.P[[0, 1, 3]], num_ranges=2)
        assert error == pytest.approx((0.35 + 0.1 + 0.45 + 0.1) / 4)

    def test_static(self):
        # Class 1, bins (0, 1/2] and (1/2, 1]: 3 samples of mean 0.2 with share 1/3, one of 0.9 with share 1.
        # Class 0 mirrors it.
        one = 3 / 4 * (1 / 3 - 0.2) + 1 / 4 * (1 - 0.9)
        assert static_calibration_error(self.LABELS, self.P, num_bins=2) == pytest.approx(one)
        # Equal masses have equal weights: the same as adaptive.
        assert static_calibration_error(self.LABELS, self.P, 2, bins="mass") == pytest.approx(0.9 / 4)

    def test_they_see_what_the_largest_probability_hides(self):
        """The top label is calibrated, the order of the other two classes is made up."""
        p = np.tile([0.5, 0.4, 0.1], (20, 1))
        labels = np.array([0] * 10 + [1] * 5 + [2] * 5)
        assert expected_calibration_error(labels, p) == pytest.approx(0, abs=1e-15)
        expected = (0 + (0.4 - 0.25) + (0.25 - 0.1)) / 3
        assert static_calibration_error(labels, p) == pytest.approx(expected)
        assert adaptive_calibration_error(labels, p) == pytest.approx(expected)

    @given(groups=st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any), min_size=1, max_size=6))
    @many
    def test_calibrated_distributions_have_no_error(self, groups):
        """n samples with the probabilities n_k / n, of which n_k have the label k."""
        p = np.concatenate([np.tile(np.array(n) / sum(n), (sum(n), 1)) for n in groups])
        labels = np.concatenate([np.repeat(np.arange(3), n) for n in groups])
        assert adaptive_calibration_error(labels, p) == pytest.approx(0, abs=1e-12)
        assert static_calibration_error(labels, p) == pytest.approx(0, abs=1e-12)


def overconfident(N: int = 500, K: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose softmax is the distribution of the labels only at T = 3."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(N, K)) * 6
    return scores, np.array([rng.choice(K, p=row) for row in softmax(scores / 3)])


class TestTemperature:
    @pytest.mark.parametrize("s", [0.1, 4.0, 300.0])
    def test_closed_form_for_two_scores(self, s):
        """Three of four samples prefer the right class by s: the best probability is 3/4, at s / T = log 3."""
        scaling = TemperatureScaling().fit(np.array([[s, 0.0]] * 4), [0, 0, 0, 1])
        assert scaling.temperature == pytest.approx(s / math.log(3), rel=1e-12)
        np.testing.assert_allclose(scaling.predict_proba(np.array([s, 0.0])), [3 / 4, 1 / 4], rtol=1e-12)
        assert not scaling.at_bound

    @pytest.mark.parametrize("T", [0.05, 0.7, 1.0, 3.0, 200.0])
    def test_finds_the_temperature_that_made_the_labels(self, T):
        """No distribution has a smaller cross-entropy to the truth than the truth."""
        scores = np.random.default_rng(0).normal(size=(200, 6)) * T
        scaling = TemperatureScaling().fit(scores, softmax(scores / T))
        assert scaling.temperature == pytest.approx(T, rel=1e-10)

    def test_agrees_with_scipy(self):
        optimize = pytest.importorskip("scipy.optimize", reason="SciPy is the oracle of this test")
        special = pytest.importorskip("scipy.special", reason="SciPy is the oracle of this test")
        scores, labels = overconfident()

        def nll(T):
            return -special.log_softmax(scores / T, axis=1)[np.arange(len(labels)), labels].mean()

        expected = optimize.minimize_scalar(nll, bounds=(0.5, 20), method="bounded", options={"xatol": 1e-9})
        scaling = TemperatureScaling().fit(scores, labels)
        # A minimum is flat to the root of the rounding.
        assert scaling.temperature == pytest.approx(expected.x, rel=1e-6)
        assert nll(scaling.temperature) <= expected.fun + 1e-14

    def test_calibrates_other_data(self):
        scaling = TemperatureScaling().fit(*overconfident(seed=0))
        scores, labels = overconfident(seed=1, N=2000)
        before = expected_calibration_error(labels, softmax(scores))
        after = expected_calibration_error(labels, scaling.predict_proba(scores))
        assert after < before / 5
        assert scaling.temperature == pytest.approx(3, rel=0.1)

    @pytest.mark.parametrize("factor", [0.01, 1 / 3, 100.0])
    def test_follows_the_scale_of_the_scores(self, factor):
        scores, labels = overconfident()
        T = TemperatureScaling().fit(scores, labels).temperature
        assert TemperatureScaling().fit(factor * scores, labels).temperature == pytest.approx(factor * T, rel=1e-10)
        assert TemperatureScaling().fit(scores + 1e3, labels).temperature == pytest.approx(T, rel=1e-8)

    def test_nothing_is_left_to_do_the_second_time(self):
        scores, labels = overconfident()
        scaled = TemperatureScaling().fit(scores, labels).transform(scores)
        assert TemperatureScaling().fit(scaled, labels).temperature == pytest.approx(1, rel=1e-10)

    @given(
        rows=st.lists(
            st.tuples(st.lists(st.integers(-30, 30), min_size=3, max_size=3), st.integers(0, 2)),
            min_size=1, max_size=12,
        )
    )  # fmt: skip
    @many
    def test_keeps_the_predictions_and_never_raises_the_likelihood_it_was_fitted_to(self, rows):
        scores = np.array([row for row, _ in rows], float)
        labels = np.array([label for _, label in rows])
        scaling = TemperatureScaling().fit(scores, labels)
        scaled = scaling.transform(scores)
        np.testing.assert_array_equal(scaled.argmax(axis=1), scores.argmax(axis=1))
        np.testing.assert_array_equal(scaling.predict_proba(scores).argmax(axis=1), scores.argmax(axis=1))
        best = negative_log_likelihood(labels, scaled)
        assert best <= negative_log_likelihood(labels, scores) + 1e-12
        # Neither a little more nor a little less would be better, within the bounds.
        for T in (scaling.temperature * 0.99, scaling.temperature * 1.01):
            if scaling.min_temperature <= T <= scaling.max_temperature:
                assert best <= negative_log_likelihood(labels, scores / T) + 1e-12

    def test_separable_data_end_at_the_lower_bound(self):
        scores = np.array([[1.0, 0.0], [0.0, 2.0], [0.5, 0.0]])
        for options, T in (({}, 1e-3), ({"min_temperature": 0.2}, 0.2), ({"min_temperature": 1}, 1)):
            scaling = TemperatureScaling(**options).fit(scores, [0, 1, 0])
            assert scaling.temperature == T
            assert scaling.at_bound

    def test_useless_scores_end_at_the_upper_bound(self):
        scores = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        for labels in ([1, 1, 0], [0, 1, 0]):  # all wrong; one of three right
            for options, T in (({}, 1e3), ({"max_temperature": 5}, 5)):
                scaling = TemperatureScaling(**options).fit(scores, labels)
                assert scaling.temperature == T
                assert scaling.at_bound
        np.testing.assert_allclose(
            TemperatureScaling().fit(scores, [1, 1, 0]).predict_proba(scores), 1 / 2, atol=1e-3
        )

    def test_where_nothing_changes_the_likelihood_it_stays(self):
        for scores in (np.ones((3, 2)), np.array([[1e5, 0.0], [0.0, 1e5], [1e5, 0.0]])):
            scaling = TemperatureScaling().fit(scores, [0, 1, 0])
            assert (scaling.temperature, scaling.at_bound) == (1, False)

    def test_extreme_scores(self):
        scaling = TemperatureScaling(max_temperature=1e12).fit(np.array([[1e6, 0.0]] * 4), [0, 0, 0, 1])
        assert scaling.temperature == pytest.approx(1e6 / math.log(3), rel=1e-12)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dtype_shape_and_arguments(self, dtype):
        scores = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(dtype)
        kept, labels = scores.copy(), np.arange(6).reshape(2, 3) % 4
        scaling = TemperatureScaling()
        assert scaling.fit(scores, labels) is scaling
        for result in (scaling.transform(scores), scaling.predict_proba(scores)):
            assert (result.dtype, result.shape) == (dtype, scores.shape)
            assert not np.may_share_memory(result, scores)
        np.testing.assert_array_equal(scores, kept)
        # The fit is made in float64 whatever the scores are.
        wide = TemperatureScaling().fit(scores.astype(np.float64), labels)
        assert scaling.temperature == pytest.approx(wide.temperature, rel=1e-12)

    def test_refuses_what_cannot_be_right(self):
        with pytest.raises(InputError, match="TemperatureScaling: call fit with validation data first"):
            TemperatureScaling().predict_proba(np.ones((1, 2)))
        for options in ({"min_temperature": 0}, {"min_temperature": 2}, {"max_temperature": 0.5}):
            with pytest.raises(InputError, match=f"TemperatureScaling: {next(iter(options))} must be"):
                TemperatureScaling(**options)
        with pytest.raises(InputError, match=r"TemperatureScaling\.fit needs y_true.*got \(0,\) and \(0, 2\)"):
            TemperatureScaling().fit(np.ones((0, 2)), np.ones(0, int))
        with pytest.raises(InputError, match="must be finite, got nan"):
            TemperatureScaling().fit(np.full((1, 2), np.nan), [0])

    def test_repr(self):
        assert repr(TemperatureScaling()) == "TemperatureScaling(temperature=None)"


def binary(N: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, N)
    return rng.normal(size=N) * 3 + 2 * labels, labels


class TestPlatt:
    def test_closed_form_for_two_values(self):
        """With two values of z the curve passes through the mean target at each."""
        # Four positives and three negatives: targets 5/6 and 1/5.
        z = np.array([1, 1, 1, 1, -1, -1, -1])
        labels = np.array([1, 1, 1, 0, 1, 0, 0])
        at_plus, at_minus = (3 * 5 / 6 + 1 / 5) / 4, (5 / 6 + 2 / 5) / 3
        scaling = PlattScaling().fit(z, labels)
        assert scaling.a == pytest.approx((logit(at_plus) - logit(at_minus)) / 2, rel=1e-12)
        assert scaling.b == pytest.approx((logit(at_plus) + logit(at_minus)) / 2, rel=1e-12)
        np.testing.assert_allclose(scaling.predict_proba([1, -1]), [at_plus, at_minus], rtol=1e-12)
        np.testing.assert_allclose(scaling.transform([1, -1]), [logit(at_plus), logit(at_minus)], rtol=1e-12)

    def test_agrees_with_logistic_regression_on_weighted_samples(self):
        """A target t is a positive sample of weight t and a negative one of weight 1 - t."""
        linear_model = pytest.importorskip(
            "sklearn.linear_model", reason="scikit-learn is the oracle of this test and is not installed"
        )
        z, labels = binary()
        positives, negatives = labels.sum(), (1 - labels).sum()
        t = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        model = linear_model.LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=100)
        twice = np.concatenate([z, z])[:, np.newaxis]
        model.fit(twice, np.repeat([1, 0], len(z)), sample_weight=np.concatenate([t, 1 - t]))
        scaling = PlattScaling().fit(z, labels)
        np.testing.assert_allclose([scaling.a, scaling.b], [model.coef_[0, 0], model.intercept_[0]], rtol=1e-9)

    def test_agrees_with_scipy(self):
        optimize = pytest.importorskip("scipy.optimize", reason="SciPy is the oracle of this test")
        special = pytest.importorskip("scipy.special", reason="SciPy is the oracle of this test")
        z, labels = binary(seed=1)
        z = z * 0.5 - 3
        positives, negatives = labels.sum(), (1 - labels).sum()
        t = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

        def cross_entropy(ab):
            p = special.expit(ab[0] * z + ab[1])
            return -np.sum(special.xlogy(t, p) + special.xlogy(1 - t, 1 - p))

        options = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 5000}
        best = optimize.minimize(cross_entropy, [0.0, 0.0], method="Nelder-Mead", options=options)
        scaling = PlattScaling().fit(z, labels)
        np.testing.assert_allclose([scaling.a, scaling.b], best.x, rtol=1e-6)
        assert cross_entropy([scaling.a, scaling.b]) <= best.fun + 1e-11

    @given(
        samples=st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 1)), min_size=2, max_size=30).filter(
            lambda pairs: len({y for _, y in pairs}) == 2
        ),
        scale=st.sampled_from([1e-6, 1.0, 1e6]),
        shift=st.sampled_from([0.0, 1000.0]),
    )
    @many
    def test_both_slopes_vanish_whatever_the_scale(self, samples, scale, shift):
        """At the optimum sum p = sum t and sum p z = sum t z, so the mean probability is the mean target."""
        z, labels = np.array(samples, float).T
        scaling = PlattScaling().fit(z, labels.astype(int))
        p = scaling.predict_proba(z)
        positives, negatives = labels.sum(), (1 - labels).sum()
        t = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        assert p.sum() == pytest.approx(t.sum(), rel=1e-9)
        if np.ptp(z) > 0:
            assert p @ z == pytest.approx(t @ z, rel=1e-9, abs=1e-8)
        moved = scale * (z + shift)
        np.testing.assert_allclose(
            PlattScaling().fit(moved, labels.astype(int)).predict_proba(moved), p, rtol=1e-7, atol=1e-9
        )

    def test_calibrates_probabilities_of_any_scale(self):
        z, labels = binary(N=2000)
        scaling = PlattScaling().fit(z, labels)
        # For these Gaussians, of spread 3 and 2 apart, the log-odds are 2/9 (z - 1).
        assert scaling.a == pytest.approx(2 / 9, rel=0.1)
        assert scaling.b == pytest.approx(-2 / 9, abs=0.1)
        other, truth = binary(N=2000, seed=7)
        assert expected_calibration_error(truth, scaling.predict_proba(other), 10) < 0.05
        assert expected_calibration_error(truth, sigmoid(other), 10) > 0.15

    def test_a_threshold_that_separates_leaves_a_and_b_finite(self):
        scaling = PlattScaling().fit([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
        p = scaling.predict_proba([-2.0, -1.0, 1.0, 2.0])
        assert 0 < scaling.a < 10
        assert ((p > 0) & (p < 1)).all()
        np.testing.assert_array_equal(p > 0.5, [False, False, True, True])

    def test_useless_scores(self):
        # Both classes have the same scores: targets 3/4 and 1/4, p = 1/2 everywhere.
        scaling = PlattScaling().fit([-1.0, 1.0, -1.0, 1.0], [0, 0, 1, 1])
        np.testing.assert_allclose([scaling.a, scaling.b], 0, atol=1e-12)
        # Equal scores: targets 3/4, 3/4 and 1/3 have the mean 11/18.
        scaling = PlattScaling().fit([0.1, 0.1, 0.1], [1, 1, 0])
        assert scaling.a == 0
        np.testing.assert_allclose(scaling.predict_proba([0.1, 5.0]), 11 / 18, rtol=1e-12)

    def test_scores_that_rank_the_wrong_way_round_get_a_negative_slope(self):
        z, labels = binary()
        right, wrong = PlattScaling().fit(z, labels), PlattScaling().fit(-z, labels)
        np.testing.assert_allclose([wrong.a, wrong.b], [-right.a, right.b], rtol=1e-9)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dtype_shape_and_arguments(self, dtype):
        z, labels = binary(N=50)
        z = z.astype(dtype)
        kept = z.copy()
        scaling = PlattScaling()
        assert scaling.fit(z, labels == 1) is scaling
        for result in (scaling.transform(z), scaling.predict_proba(z)):
            assert (result.dtype, result.shape) == (dtype, z.shape)
        np.testing.assert_array_equal(z, kept)

    def test_refuses_what_cannot_be_right(self):
        with pytest.raises(InputError, match="PlattScaling: call fit with validation data first"):
            PlattScaling().transform([1.0])
        with pytest.raises(
            InputError, match=r"PlattScaling\.fit needs samples of both classes, got 2 positive and 0"
        ):
            PlattScaling().fit([1.0, 2.0], [1, 1])
        with pytest.raises(InputError, match=r"got \(2,\) and \(2, 2\)"):
            PlattScaling().fit(np.ones((2, 2)), [0, 1])
        with pytest.raises(InputError, match=r"got \(0,\) and \(0,\)"):
            PlattScaling().fit(np.ones(0), np.ones(0, int))

    def test_repr(self):
        assert repr(PlattScaling()) == "PlattScaling(a=None, b=None)"
