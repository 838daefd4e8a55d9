"""What is done to whole trees of layers: choosing initial weights, folding normalisation away."""

from __future__ import annotations

from mlp.layers.activations import ACTIVATIONS
from mlp.layers.base import Layer
from mlp.layers.batch_norm import BatchNorm
from mlp.layers.containers import Sequential
from mlp.layers.linear import Linear


def choose_initializers(body: Layer, name: str) -> None:
    """Let every Linear in ``body`` draw its weights from the initializer called ``name``.

    "auto" gives each the one that suits the activation which its output goes into: He for the family of ReLU,
    Xavier for sigmoids and for the last layer. Raises ``InputError`` for an unknown name.
    """
    from mlp.initializers import for_activation, make_initializer

    leaves = [layer for layer in body.walk() if not layer.children()]
    activations = {kind: registered for registered, kind in ACTIVATIONS.items()}
    for i, layer in enumerate(leaves):
        if not isinstance(layer, Linear):
            continue
        if name.lower() != "auto":
            layer.weight_init = make_initializer(name)
            continue
        after = (a for a in leaves[i + 1 :] if isinstance(a, Linear) or type(a) in activations)
        following = type(next(after, layer))
        layer.weight_init = for_activation(activations.get(following, "Identity"))


def fold_batch_norm(body: Sequential) -> Sequential:
    """``body`` with every BatchNorm after a Linear folded into it, also inside its layers, which this changes."""
    folded: list[Layer] = []
    for layer in body:
        layer = _fold_inside(layer)
        if isinstance(layer, BatchNorm) and folded and isinstance(folded[-1], Linear):
            folded[-1] = layer.folded_into(folded[-1])
        else:
            folded.append(layer)
    return Sequential(*folded)


def _fold_inside(layer: Layer) -> Layer:
    if type(layer) is Sequential:
        return fold_batch_norm(layer)
    for name, child in list(vars(layer).items()):
        if isinstance(child, Layer):
            setattr(layer, name, _fold_inside(child))
    return layer
