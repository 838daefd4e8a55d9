"""Where a network is cut for a pipeline."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError, Linear, Network, ReLU
from mlp.layers import LayerNorm, Residual
from mlp.parallel.pipeline.partition import balanced_cuts, layer_costs


def test_costs_by_hand():
    """P numbers take 3 P, the first ones 2 P. With biases P is 3 · 4 + 4 = 16, 4 · 4 + 4 = 20, 4 + 4, 4 · 2."""
    network = Network(ReLU(), Linear(3, 4), ReLU(), Residual(Linear(4, 4)), LayerNorm(4), Linear(4, 2, bias=False))
    assert layer_costs(network) == (0, 32, 0, 60, 24, 24)


class TestBalancedCuts:
    def test_by_hand(self):
        """Costs 2 3 3 1 in two parts: 2 + 3 | 3 + 1 costs 5, the other two ways 7 and 8."""
        assert balanced_cuts([2, 0, 3, 0, 3, 0, 1], 2) == (4,)
        assert balanced_cuts([2, 0, 3, 0, 3, 0, 1], 3) == (2, 4)  # 2 | 3 | 3 + 1
        assert balanced_cuts([2, 0, 3, 0, 3, 0, 1], 4) == (2, 4, 6)
        assert balanced_cuts([2, 0, 3], 1) == ()

    def test_layers_that_cost_nothing_stay_with_the_one_before(self):
        assert balanced_cuts([0, 1, 0, 0, 1, 0], 2) == (4,)

    @settings(deadline=None, max_examples=50, derandomize=True)
    @given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(1, 5))
    def test_no_other_cuts_are_better(self, costs, parts):
        if sum(cost > 0 for cost in costs) < parts:
            with pytest.raises(InputError):
                balanced_cuts(costs, parts)
            return
        found = balanced_cuts(costs, parts)

        def most(cuts):
            return max(sum(costs[a:b]) for a, b in pairwise((0, *cuts, len(costs))))

        assert most(found) == min(most(cuts) for cuts in combinations(range(1, len(costs)), parts - 1))
        assert all(sum(costs[a:b]) > 0 for a, b in pairwise((0, *found, len(costs))))
        assert all(costs[cut] > 0 for cut in found)

    def test_for_two_chunks_on_each_stage_by_hand(self):
        """2 | 3 3 | 3 3 | 3 1: stage 0 has 2 + 6, stage 1 6 + 4. Cut for the parts alone, 2 3 | 3 | 3 3 | 3 1 is as
        good, but gives stage 0 11 of 18."""
        costs = [2, 3, 3, 3, 3, 3, 1]
        cuts = balanced_cuts(costs, 4, stages=2)
        sizes = [sum(costs[a:b]) for a, b in pairwise((0, *cuts, 7))]
        assert max(sizes[0] + sizes[2], sizes[1] + sizes[3]) == 10
        assert max(sizes) == 6

    @settings(deadline=None, max_examples=50, derandomize=True)
    @given(st.lists(st.integers(1, 9), min_size=6, max_size=9), st.integers(2, 3))
    def test_for_two_chunks_on_each_stage(self, costs, stages):
        """Never worse for the busiest stage than without regard to stages; no single move makes it better."""

        def busiest(cuts):
            sizes = [sum(costs[a:b]) for a, b in pairwise((0, *cuts, len(costs)))]
            return max(sum(sizes[stage::stages]) for stage in range(stages))

        found = balanced_cuts(costs, 2 * stages, stages)
        assert busiest(found) <= busiest(balanced_cuts(costs, 2 * stages))
        for i, cut in enumerate(found):
            for moved in (cut - 1, cut + 1):
                others = (*found[:i], moved, *found[i + 1 :])
                if all(a < b for a, b in pairwise((0, *others, len(costs)))):
                    assert busiest(found) <= busiest(others)

    @pytest.mark.parametrize(
        ("costs", "parts", "message"),
        [
            ([1, 0, 1], 3, "3 stages need as many layers with parameters, the network has 2"),
            ([1, -1], 1, "costs must be a finite number >= 0, got -1"),
            ([1, 1], 0, "parts must be an integer of at least 1, got 0"),
        ],
    )
    def test_refusals(self, costs, parts, message):
        with pytest.raises(InputError, match=message):
            balanced_cuts(costs, parts)
