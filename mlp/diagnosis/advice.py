"""What each finding usually means and what usually helps: the words, apart from the arithmetic that finds it."""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """How bad a finding is, two texts for it, and the findings that usually follow from it."""

    severity: str
    meaning: str
    advice: str
    explains: frozenset[str] = frozenset()


VANISHING = frozenset({"vanishing activations", "vanishing gradients", "collapsed outputs"})
EXPLODING = frozenset({"exploding activations", "exploding gradients", "first loss far from guessing"})
STANDSTILL = frozenset({"no learning", "plateau"})

OF_NETWORKS = {
    "values that are not finite": Advice(
        "error",
        "A number became too large for its dtype, or NaN was in the data or the weights before. From there on "
        "every result is NaN, and a step with it would spoil all weights.",
        "Look at the place named above. If the input is not finite, clean the data. If weights are, go back to "
        "an earlier checkpoint and take a smaller learning rate, or clip gradients. A network that is not "
        "finite at its start has initial weights that are too large.",
    ),
    "badly scaled inputs": Advice(
        "warning",
        "Initial weights are chosen for inputs around 0 with a spread of about 1. Other inputs saturate or "
        "starve the first layer, and features of very different scale need very different learning rates.",
        "Standardise each feature: subtract its mean over the training set, divide by its standard deviation, "
        "and do the same, with the same numbers, to validation and test data.",
        frozenset({"saturated units", "vanishing gradients"}) | EXPLODING,
    ),
    "symmetric units": Advice(
        "error",
        "All units of the layer have the same weights and get the same gradient, so they stay equal for ever: "
        "the layer can do no more than a single unit.",
        "Draw the weights at random, for example with init='auto'. Biases may start at 0.",
        frozenset({"saturated units", "dead ReLUs"}) | VANISHING | EXPLODING,
    ),
    "dead ReLUs": Advice(
        "warning",
        "A ReLU that is 0 for every sample has slope 0 for every sample. No gradient reaches its weights, and "
        "it will hardly come back. Often a step that was too large has made its bias very negative.",
        "A smaller learning rate or a warm-up; He initialization with biases 0; LeakyReLU, ELU or GeLU, which "
        "let some gradient through; BatchNorm before the ReLU.",
        VANISHING,
    ),
    "saturated units": Advice(
        "warning",
        "Most outputs lie on the flat ends of the activation, where the slope is almost 0: whatever comes back "
        "through them is lost. The numbers that go into it are too large.",
        "Smaller initial weights (Xavier), inputs of scale 1, BatchNorm before the activation, weight decay, or "
        "an activation that does not saturate, such as ReLU.",
        frozenset({"vanishing gradients"}) | EXPLODING,
    ),
    "vanishing activations": Advice(
        "warning",
        "What depends on the input gets smaller from layer to layer, until the last layers see almost the same "
        "for every sample.",
        "Larger initial weights: He for ReLU, Xavier for Tanh (init='auto' chooses); BatchNorm or LayerNorm; "
        "Residual connections; instead of many Sigmoid layers, ReLU or Tanh.",
        frozenset({"collapsed outputs"}),
    ),
    "exploding activations": Advice(
        "warning",
        "Each layer makes its numbers larger than the one before. Scores become huge, and so do loss and "
        "gradients.",
        "Smaller initial weights: He for ReLU, Xavier for Tanh (init='auto' chooses); BatchNorm or LayerNorm; "
        "start the last layer of each Residual branch at 0.",
        frozenset({"first loss far from guessing"}),
    ),
    "collapsed outputs": Advice(
        "warning",
        "The network gives nearly the same scores whatever its input is.",
        "If the last layer was set to 0 on purpose, the first step ends this. Otherwise look for where the "
        "signal is lost: layer_statistics shows it layer by layer. After training, it has learned only the mean "
        "of the targets: a smaller learning rate, and inputs that are shuffled together with their targets.",
        frozenset({"vanishing gradients"}),
    ),
    "vanishing gradients": Advice(
        "warning",
        "The gradient loses size in every layer on its way back, so the first layers hardly learn.",
        "He or Xavier initialization (init='auto' chooses); instead of many Sigmoid layers, ReLU; BatchNorm; "
        "Residual connections, which give the gradient a way around.",
    ),
    "exploding gradients": Advice(
        "warning",
        "The gradient grows in every layer on its way back: steps that suit the last layers are far too large "
        "for the first ones.",
        "Smaller initial weights: He for ReLU, Xavier for Tanh (init='auto' chooses); BatchNorm; clip_norm in "
        "the solver; a smaller learning rate.",
    ),
    "first loss far from guessing": Advice(
        "warning",
        "The network is worse than one that gives all classes the same score: it is sure, and wrong.",
        "Before training: smaller initial weights in the last layer; the right labels for the inputs; no "
        "softmax before a loss that takes scores. After training: it has over-fitted, or other data came in.",
    ),
}

OF_HISTORIES = {
    "loss not finite": Advice(
        "error",
        "The weights grew until a number was too large for its dtype. Usually the learning rate is too large.",
        "A smaller learning rate, by a factor of 3 to 10; a warm-up; clip_norm in the solver. If it happens in "
        "the first steps, diagnose the network with a batch: its inputs or its initial weights may be too "
        "large.",
    ),
    "divergence": Advice(
        "error",
        "Each step overshoots and makes the loss larger. The learning rate is too large, or became so.",
        "A smaller learning rate, by a factor of 3 to 10; less momentum; a warm-up; clip_norm in the solver. "
        "find_learning_rate shows which rates the network can take.",
        frozenset({"oscillation", "learning rate too large", "over-fitting", "accuracy stuck at chance"})
        | STANDSTILL,
    ),
    "learning rate too large": Advice(
        "warning",
        "A step changes the weights by a large part of their size. About a thousandth is a good value.",
        "A smaller learning rate, by a factor of 3 to 10, or a schedule that lets it fall.",
        frozenset({"oscillation", "accuracy stuck at chance"}) | STANDSTILL,
    ),
    "learning rate too small": Advice(
        "warning",
        "Training goes the right way, but too slowly to get anywhere in this number of epochs.",
        "A larger learning rate, by a factor of 3 to 10, until the loss falls steeply at first and then more "
        "slowly; momentum or Adam; more epochs. find_learning_rate suggests a rate.",
        frozenset({"accuracy stuck at chance"}) | STANDSTILL,
    ),
    "oscillation": Advice(
        "warning",
        "The loss goes up and down instead of down: steps jump across the valley. The learning rate is too "
        "large, or the batches are too small for it.",
        "A smaller learning rate, or a schedule that lets it fall; larger batches; less momentum.",
        frozenset({"over-fitting"}) | STANDSTILL,
    ),
    "accuracy stuck at chance": Advice(
        "error",
        "The network does not do better than guessing: no information gets from the inputs to the scores, or "
        "the labels do not belong to the inputs.",
        "Diagnose the network with a batch, which finds dead, saturated or vanishing layers; a smaller learning "
        "rate, above all if the loss was very large in the first epoch; check a few samples and their labels by "
        "eye; try to learn 20 samples by heart (sanity_check).",
        STANDSTILL,
    ),
    "no learning": Advice(
        "warning",
        "The loss on the training set stays where it began. Either nothing is learned, or the first epoch has "
        "learned all there is.",
        "If the loss is not as low as it should be: diagnose the network with a batch; a larger learning rate; "
        "try to learn 20 samples by heart (sanity_check).",
        frozenset({"plateau"}),
    ),
    "plateau": Advice(
        "warning",
        "Training has come to a halt on a high level: the network under-fits. It is too small or too strongly "
        "regularised, or the learning rate is too large for the finer steps that are needed now.",
        "Lower the learning rate when the loss stops falling (LowerOnPlateau, or a schedule); less "
        "regularisation and dropout; more units or layers; features that say more.",
    ),
    "over-fitting": Advice(
        "warning",
        "The network learns the training samples by heart, and what it learns does not hold for others.",
        "More data or augmentation; EarlyStopping; weight decay; Dropout; fewer units. Choose among them on "
        "validation data, not on the test set.",
    ),
}

ADVICE = OF_NETWORKS | OF_HISTORIES
