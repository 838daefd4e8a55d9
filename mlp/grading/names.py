"""What people call things: which words mean which component, method, argument or array."""

# ruff: noqa: E501 - a pattern is one line
from __future__ import annotations

import re
from collections.abc import Iterable

# Component -> what its class or function is called, after the words of AFFIXES are taken off.
COMPONENTS = {
    "Linear": r"linear|dense|fc|fullyconnected|affine|innerproduct|inner|lin|densely|linearmap|lineartransform",
    "ReLU": r"relu|rectifier|rectifiedlinear|rectifiedlinearunit|rectlinear|rectified",
    "LeakyReLU": r"leakyrelu|lrelu|leaky|leakyrectifier",
    "Sigmoid": r"sigmoid|logistic|sigm|sig|logsig|expit",
    "Tanh": r"tanh|hyperbolictangent|hyptan|tangenthyperbolic",
    "GeLU": r"gelu|gaussianerrorlinear|gaussianerrorlinearunit|gelutanh|geluexact|gelufast|geluerf",
    "Softmax": r"softmax",
    "SiLU": r"silu|swish",
    "ELU": r"elu",
    "SELU": r"selu",
    "Softplus": r"softplus",
    "HardSwish": r"hardswish",
    "Identity": r"identity|identityactivation|lineactivation",
    "BatchNorm": r"batchnorm|batchnorm1d|batchnormalization|batchnormalisation|bn|batchnorm1",
    "MSE": r"mse|meansquare|meansquared|meansquarederror|meansquareerror|euclidean|euclideandistance|l2|squarederror|"
    r"sumsquared|sumofsquares|sse|squared|quadratic|msecost|meansquarederr|squareerror|halfmse|squarederr",
    "CrossEntropy": r"crossentropy|softmaxcrossentropy|softmaxwithcrossentropy|softmaxce|ce|xent|crossentropywithsoftmax|"
    r"softmaxxent|categoricalcrossentropy|crossentropywithlogits|softmaxcrossentropywithlogits|softmaxnll|celogits|"
    r"crossentropysoftmax|softmaxwith|nll|softmaxloss|logsoftmaxnll|softmaxandcrossentropy|sparsecrossentropy|"
    r"crossentropyfromlogits|softmaxentropy|softmaxlogloss|logloss|crossent|cross|classnll|negativeloglikelihood|"
    r"softmaxlosswithlogits|lossnll|loglikelihood",
    "Hinge": r"hinge|svm|multiclasshinge|multiclasssvm|multihinge|westonwatkins|margin|multimargin|maxmargin|hingesvm",
    "Network": r"network|neuralnetwork|neuralnet|net|sequential|model|mlp\d*|twolayernet|twolayer|multilayerperceptron|"
    r"\w*neuralnet(work)?(mlp)?|mlp(classifier|regressor|net|network|model)|a?nn|dnn|ffnn|feedforwardn\w*|simplenet|"
    r"(deep|shallow|basic)net(work)?|fullyconnectednet(work)?|feedforward|feedforwardnetwork|nn|twolayernetwork|mymlp|perceptron|threelayernet|deepnet",
    "SGD": r"sgd|momentum|sgdmomentum|sgdwithmomentum|momentumsgd|gradientdescent|stochasticgradientdescent|gd|"
    r"momentumoptimizer|sgdoptim|vanillasgd|heavyball|momentumgd",
}  # fmt: skip
ACTIVATIONS = ("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "GeLU", "Softmax", "SiLU", "ELU", "SELU", "Softplus", "HardSwish", "Identity")  # fmt: skip
LOSSES = ("MSE", "CrossEntropy", "Hinge")
AFFIXES = ("layer", "activation", "function", "func", "fn", "module", "loss", "criterion", "cost", "objective",
           "optimizer", "optimiser", "op", "node", "block", "error", "unit", "numpy", "np", "my", "custom", "forward",
           "naive", "vectorized", "vectorised", "loop", "loops", "fast")  # fmt: skip
BASES = r"(base|abstract)?_?(layer|module|base|loss|criterion|activation|optimizer|optimiser|function|component|node|" \
        r"operation|op|parameter|param|tensor|schedule\w*|\w*scheduler|dataset|dataloader|trainer)(base)?"  # fmt: skip

FORWARD = ("forward", "__call__", "call", "fprop", "feed_forward", "feedforward", "forward_pass", "activate", "apply",
           "propagate", "loss", "value", "compute_loss", "compute", "calculate", "evaluate", "fn", "f", "activation", "fwd",
           "get_loss", "calc", "predict")  # fmt: skip
BACKWARD = ("backward", "bprop", "backprop", "backward_pass", "back_propagate", "backpropagate", "backpropagation", "back",
            "gradient", "grad", "derivative", "deriv", "prime", "delta", "compute_gradient", "get_gradient", "bwd",
            "backwards", "gradients", "df", "dloss", "loss_grad", "dx")  # fmt: skip
UPDATE = (
    "update",
    "step",
    "apply_gradients",
    "update_params",
    "update_parameters",
    "optimize",
    "apply",
    "update_weights",
)
RULES = (
    r"(update|apply|optimi[sz]e|gradient|gd|sgd)_?(descent|parameters?|params?|weights?|gradients?|step|update)\w*"
)
CLEAR = r"zero|clear|reset|flush"

UPSTREAM = r"(g|d|dy|dz|da|dl|do|delta\w*|error\w*|upstream\w*|up|grad\w*|\w*_grad|\w*gradient\w*|d_?out\w*|dl_?d\w+|d[A-Z]\w*|"\
           r"top_?diff|dvalues|dloss\w*|d_\w+|out_grad|incoming\w*|next_\w+|accum_grad|err|diff\w*|sens\w*|djd\w+|dnext|dscores)"  # fmt: skip
INPUT = r"(x|z|a|input\w*|inp|X|Z|A|data|features|in_\w*|x_\w+|a_prev|activations?|\w*_in)"
RATE = r"(lr|learning_?rate|alpha|eta|step_?size|rate)"
TARGET = r"(t|y|y_?true|target\w*|labels?|truth|gt|ground_?truth|Y|T|actual|one_?hot\w*|true\w*|tgt|expected|desired|y_t|ys|d|correct\w*|answers?)"  # fmt: skip
SCORES = r"(x|z|a|y_?hat|y_?pred\w*|pred\w*|scores?|logits?|input\w*|out\w*|yp|p|probs?|probabilit\w+|A|Z|X|h|y_p|s|estimate\w*|activations?)"  # fmt: skip
SIZE_IN = r"(n_?in\w*|in_?\w*|input\w*|fan_?in|num_?in\w*|d_?in|dim_?in|rows|in|nin|indim|size_in|m|n_x|prev\w*)"
SIZE_OUT = r"(n_?out\w*|out_?\w*|output\w*|fan_?out|num_?out\w*|d_?out|dim_?out|cols|out|units|n_?units|hidden\w*|neurons|n_?neurons|nout|outdim|size_out|num_units|n|n_y|width)"  # fmt: skip
STDDEV = r"(\w*std\w*|scale|\w*_scale|sigma|init\w*|weight_scale|w_?std)"
SEED = r"(seed|rng|random_state|generator|gen|random\w*)"


def method_of(kind: Iterable[str], methods: Iterable[str], without: str = "") -> str:
    """The method of a kind, by its usual names first: forward, then forward_propagation, feedForward; or ""."""
    there = [m for m in methods if m != without]
    for spelled in (str, plain):
        for usual in kind:
            for method in there:
                if spelled(method) == spelled(usual):
                    return method
    return ""


def plain(name: str) -> str:
    """forward_pass, forwardPropagation, forward -> forward."""
    word = name.lower().strip("_").replace("_", "")
    return re.sub(r"(pass|prop|propagate|propagation)$", "", word) or word


def matches(pattern: str, name: str) -> bool:
    """Is the whole name one of the words?"""
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None


def component_of(name: str) -> str | None:
    """The component that a class or function name promises: SoftmaxCrossEntropyLoss -> CrossEntropy."""
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    tried = set()
    queue = [key]
    while queue:
        word = queue.pop(0)
        for component, pattern in COMPONENTS.items():
            if re.fullmatch(pattern, word):
                return "CrossEntropy" if component == "Softmax" and key.endswith("loss") else component
        for affix in AFFIXES:
            for rest in (word.removeprefix(affix), word.removesuffix(affix)):
                if rest and rest != word and rest not in tried:
                    tried.add(rest)
                    queue.append(rest)
    return None


def is_base(name: str) -> bool:
    """Is this what other classes derive from, or something else that is no component?"""
    return re.fullmatch(BASES, name, re.IGNORECASE) is not None


def kind_of_array(name: str) -> str | None:
    """What an attribute's name says: "weight", "bias", "weight-gradient", "bias-gradient", "velocity" or None."""
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    if re.search(r"vel|moment|running|cache|^v[wb]$|^diff", key) and not re.search(r"grad", key):
        return "velocity"
    gradient = re.search(r"grad|^dl?d?[wbk]\d*$|^d(weight|bias|kernel|gamma|beta|param|theta)|^dl?d(weight|bias|gamma|beta)|"
                         r"^dl?d[lj]?d?(w|b|bw|bb)$|^(w|b|weights?|bias)d$|deriv|^g[wb]$|^delta[wb]|^dj?d[wb]$", key)  # fmt: skip
    bare = (
        re.sub(r"grad(ient)?s?|deriv\w*|^dld|^djd|^dl|^delta|^d(?=[wbkgt])|^g(?=[wb]$)|d$", "", key)
        if gradient
        else key
    )
    if re.match(r"^(w|k|weights?|kernel|theta|wt|wmat|coef|gamma|scale)\d*(data|value|val|array)?$|weight", bare):
        return "weight-gradient" if gradient else "weight"
    if re.match(r"^(b|bias(es)?|beta|offset|intercept|shift)\d*(data|value|val|array)?$|bias", bare):
        return "bias-gradient" if gradient else "bias"
    return "gradient" if gradient else None
