"""Where to cut a network into parts for a pipeline: the slowest part sets the pace of all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from mlp.checks import InputError, check_integer, check_number
from mlp.layers.base import Layer
from mlp.network import Network

Cuts = tuple[int, ...]


def layer_costs(network: Network) -> tuple[int, ...]:
    """How many multiplications each layer takes for one sample, forward and backward, by its parameters.

    A weight of P numbers takes P for y = x W, P for dW = xᵀ dy and P for dx = dy Wᵀ. The first layer that learns
    has no use for dx. Layers without parameters count as 0.
    """
    sizes = [sum(p.size for p in layer.parameters().values()) for layer in network.layers]
    first = next((i for i, size in enumerate(sizes) if size), None)
    return tuple((2 if i == first else 3) * size for i, size in enumerate(sizes))


def balanced_cuts(costs: Sequence[float], parts: int, stages: int | None = None) -> tuple[int, ...]:
    """The numbers of the layers with which parts 1, 2, ... begin, such that the most expensive part is as cheap as
    can be. ``costs`` are those of the layers, in any unit: ``layer_costs``, or measured times.

        balanced_cuts([2, 0, 3, 0, 3, 0, 1], 2)    # (4,): layers 0 to 3 cost 5, layers 4 to 6 cost 4

    A layer that costs nothing, such as an activation, stays with the one before it. Of several best cuts the
    earliest is taken. If there are fewer ``stages`` than parts, so that stage i has the parts i, i + stages, ...,
    cuts are then moved as long as that makes the busiest stage less busy.

    Raises ``InputError`` if fewer layers than parts cost anything.
    """
    parts = check_integer("balanced_cuts: parts", parts, 1)
    costs = [check_number("balanced_cuts: costs", cost, 0) for cost in costs]
    expensive = [i for i, cost in enumerate(costs) if cost > 0]
    if len(expensive) < parts:
        raise InputError(f"{parts} stages need as many layers with parameters, the network has {len(expensive)}")
    edges = [0, *expensive[1:], len(costs)]
    so_far = [0.0, *accumulate(costs)]
    total = [so_far[edge] for edge in edges]
    cuts = _cheapest_cuts(total, parts)
    if stages is not None and stages < parts:
        cuts = relieve_stages(cuts, total, stages)
    return tuple(edges[cut] for cut in cuts)


def _cheapest_cuts(total: Sequence[float], parts: int) -> Cuts:
    """Where to cut so that the most expensive part is cheapest; ``total[i]`` is the cost of what lies before i."""
    # best[j]: what lies before j in k parts, as (cost of the most expensive part, cuts), for growing k.
    best: dict[int, tuple[float, Cuts]] = {j: (total[j], ()) for j in range(1, len(total))}
    for k in range(1, parts):
        best = {
            j: min((max(most, total[j] - total[i]), (*cuts, i)) for i, (most, cuts) in best.items() if i < j)
            for j in range(k + 1, len(total))
        }
    return best[len(total) - 1][1]


def relieve_stages(cuts: Cuts, total: Sequence[float], stages: int) -> Cuts:
    """Move one cut by one layer after another while the busiest stage, or else the largest part, gets cheaper.

    ``total[i]`` is the cost of the layers before the i-th. The result cannot be bettered by a single move.
    """
    last = len(total) - 1

    def load(cuts: Cuts) -> tuple[float, float]:
        sizes = [total[b] - total[a] for a, b in pairwise((0, *cuts, last))]
        return max(sum(sizes[stage::stages]) for stage in range(stages)), max(sizes)

    while True:
        moves = [(*cuts[:i], cut + step, *cuts[i + 1 :]) for i, cut in enumerate(cuts) for step in (-1, 1)]
        moves = [move for move in moves if all(a < b for a, b in pairwise((0, *move, last)))]
        better = min(moves, key=load, default=cuts)
        if load(better) >= load(cuts):
            return cuts
        cuts = better


def check_cuts(cuts: Sequence[int], layers: int, parts: int) -> tuple[int, ...]:
    """Raise ``InputError`` unless the cuts divide so many layers into so many parts, with a layer in each."""
    given = tuple(check_integer("cuts", cut, 1) for cut in cuts)
    if len(given) != parts - 1 or any(a >= b for a, b in pairwise((0, *given, layers))):
        raise InputError(
            f"cuts must be {parts - 1} growing numbers below {layers}, those of the layers with which parts begin, "
            f"got {tuple(cuts)}"
        )
    return given


def check_costs(costs: Sequence[float] | None, network: Network) -> Sequence[float]:
    """The costs of the layers, by default ``layer_costs``. Raises ``InputError`` unless there is one for each."""
    if costs is None:
        return layer_costs(network)
    if len(costs) != len(network):
        raise InputError(f"costs must be {len(network)} numbers, one for each layer, got {len(costs)}")
    return costs


def check_stages(layers: Sequence[Layer], stages: Sequence[int], count: int) -> None:
    """Raise ``InputError`` if one of ``count`` stages has no parameters, or if two share anything that changes.

    ``stages`` are those of the layers. Of a shared parameter, statistic or random generator, two stages would have
    a copy each, and change it in their own ways.
    """
    learning = {stage for layer, stage in zip(layers, stages, strict=True) if layer.parameters()}
    for stage in range(count):
        if stage not in learning:
            raise InputError(f"the cuts leave stage {stage} without parameters")
    owners: dict[int, int] = {}
    for i, layer in enumerate(layers):
        for name, thing in [*layer.parameters().items(), *layer.statistics().items(), *layer.generators().items()]:
            first = owners.setdefault(id(thing), i)
            if stages[first] != stages[i]:
                raise InputError(
                    f"layers {first} and {i} share {i}.{name}, but are on stages {stages[first]} and {stages[i]}: "
                    "choose cuts that keep them together, or give each its own"
                )
