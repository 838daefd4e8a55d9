# %% [markdown]
# # 6. Dying ReLUs and initialisation
#
# **What you will see.** A ReLU that is off for every image gets no gradient and never comes back. Large learning
# rates and negative biases kill ReLUs by the dozen; you see which cures work, how fast, and which do not.
# Then you look into networks of twenty layers before any training, under eight ways to draw the first weights: most
# of them are lost before they begin. Where the rule $1/\sqrt n$ comes from, you derive and measure.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp import initializers

THOROUGH = False  # True: more images and more epochs
images, epochs = (30_000, 4) if THOROUGH else (10_000, 2)

train, test = mlp.load_mnist()
train, test = train[:images], test[:2000]
pixels = train.inputs
warnings.filterwarnings("ignore", "after an epoch the accuracy")  # here some networks shall fail

# %% [markdown]
# ## How a ReLU dies
#
# A hidden neuron computes $h = \max(0, z)$ with $z = x \cdot w + b$. Over a batch, its weights get the gradient
#
# $$\frac{\partial L}{\partial w} = \sum_{\text{images}} [z > 0]\; \delta\; x$$
#
# Only images with $z > 0$ are in the sum. If one large step moves $w$ and $b$ so far that $z < 0$ for *every*
# image, the sum is empty. The gradient is exactly 0 from then on: the neuron is **dead**.


# %%
def always_off(network):
    """Which hidden neurons are off, h <= 0, for every training image."""
    return np.all(network[:-1].forward(pixels) <= 0, axis=0)


def fit(network, lr, epochs=epochs):
    """Train with plain gradient descent; returns the test accuracy, or that of guessing if training diverges."""
    solver = mlp.Solver(network, mlp.CrossEntropyLoss(), mlp.SGD(network.parameters, lr=lr), epochs=epochs)
    try:
        return solver.fit(train, test)[-1]["test_accuracy"]
    except mlp.solver.loop.NotFinite:
        return 0.1


def one_hidden_layer(*between, bias=0.0):
    first = mlp.Linear(784, 128, bias_init=initializers.constant(bias))
    return mlp.Network(first, *between, mlp.Linear(128, 10), rng=1)


gentle, harsh = one_hidden_layer(mlp.ReLU()), one_hidden_layer(mlp.ReLU())
fit(gentle, lr=0.1, epochs=1)
fit(harsh, lr=1.0, epochs=1)

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for network, label in ((gentle, "learning rate 0.1"), (harsh, "learning rate 1")):
    highest = network[0].forward(pixels).max(axis=0)
    ax.plot(np.sort(highest)[::-1], label=f"{label}: {np.mean(highest <= 0):.0%} dead")
ax.axhline(0, color="black", linewidth=1)
ax.set(xlabel="128 neurons, sorted", ylabel="largest z over all images", yscale="symlog")
ax.legend()
plt.show()

# %% [markdown]
# Each neuron below the line is off for all images. Does it really never come back? Train the harsh network for
# another epoch, with a small learning rate, and compare the weights of the dead neurons.

# %%
dead = always_off(harsh)
before = harsh[0].weight.data.copy()
fit(harsh, lr=0.05, epochs=1)
unchanged = np.all(harsh[0].weight.data == before, axis=0)
print(f"{dead.sum()} of 128 neurons were dead; {unchanged[dead].sum()} of these have exactly the same weights")
assert dead.sum() > 40
assert unchanged[dead].all()
assert always_off(gentle).mean() < 0.15

# %% [markdown]
# ## Dead neurons against the learning rate, and cures
#
# * **BatchNorm** moves each $z$ to mean 0 over the batch: there are always images on the right side.
# * **LeakyReLU** has a slope of 0.01 on the left, so the gradient is never exactly 0.
# * **GeLU** is a ReLU with a round corner.
#
# First the learning rate. Then the rate of 1, which killed the ReLUs, for some epochs more.

# %%
rates = (0.1, 0.3, 1.0, 3.0)
middles = {
    "ReLU": lambda: [mlp.ReLU()],
    "BatchNorm, ReLU": lambda: [mlp.BatchNorm(128), mlp.ReLU()],
    "LeakyReLU": lambda: [mlp.LeakyReLU()],
    "GeLU": lambda: [mlp.GeLU()],
}
accuracy, off, curves, colours = {}, {}, {}, {}
for k, (name, middle) in enumerate(middles.items()):
    colours[name] = f"C{k}"
    if k < 2:
        networks = [one_hidden_layer(*middle()) for _ in rates]
        accuracy[name] = np.array([fit(network, lr) for network, lr in zip(networks, rates, strict=True)])
        off[name] = np.array([always_off(network.eval()).mean() for network in networks])
    network = one_hidden_layer(*middle())
    optimizer = mlp.SGD(network.parameters, lr=1.0)
    curves[name] = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=6).fit(train, test)[
        "test_accuracy"
    ]

figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for name in accuracy:
    axes[0].semilogx(rates, 100 * off[name], "o-", color=colours[name], label=name)
    axes[1].semilogx(rates, 100 * accuracy[name], "o-", color=colours[name])
for name, curve in curves.items():
    axes[2].plot(range(1, 7), 100 * curve, "o-", color=colours[name], label=name)
axes[0].set(xlabel="learning rate", ylabel="dead neurons (%)", ylim=(-5, 105), title=f"after {epochs} epochs")
axes[1].set(xlabel="learning rate", ylabel="test accuracy (%)", ylim=(0, 100), title=f"after {epochs} epochs")
axes[2].set(xlabel="epoch", ylabel="test accuracy (%)", ylim=(0, 100), title="learning rate 1")
axes[0].legend()
axes[2].legend(fontsize=8)
plt.show()

print("dead ReLUs:", dict(zip(rates, off["ReLU"].round(2).tolist(), strict=True)))
assert off["ReLU"][0] < 0.15
assert off["ReLU"][2] > 0.6
assert off["BatchNorm, ReLU"].max() < 0.1
assert accuracy["BatchNorm, ReLU"].min() > 0.8
assert curves["ReLU"][-1] < 0.3
assert curves["GeLU"][-1] < 0.3
assert curves["LeakyReLU"][-1] > curves["LeakyReLU"][0] + 0.1

# %% [markdown]
# * The first cure is a smaller learning rate.
# * With BatchNorm no rate kills a neuron.
# * LeakyReLU is thrown out as far as ReLU. But its neurons get 1 % of the gradient, and they do come back: slowly, over
#   epochs in which a good network would have finished.
# * GeLU is often named as a cure as well. Here it is none: far on the left its slope is as good as 0, and a large step
#   throws neurons there. A round corner is not a slope.
#
# ## A bias that is too negative
#
# Here the learning rate is fine, but each neuron starts with $b = -3$: off for nearly all images. Now a slope on
# the left should help.

# %%
cures = {
    "ReLU": [mlp.ReLU()],
    "LeakyReLU 0.01": [mlp.LeakyReLU(0.01)],
    "LeakyReLU 0.1": [mlp.LeakyReLU(0.1)],
    "GeLU": [mlp.GeLU()],
    "ELU": [mlp.ELU()],
    "BatchNorm, ReLU": [mlp.BatchNorm(128), mlp.ReLU()],
}
cured = {name: fit(one_hidden_layer(*middle, bias=-3.0), lr=0.1) for name, middle in cures.items()}
biases = (0.0, -1.0, -2.0, -3.0)
with_bias = [fit(one_hidden_layer(mlp.ReLU(), bias=b), lr=0.1) for b in biases[:3]] + [cured["ReLU"]]

figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), width_ratios=(2, 3), layout="constrained")
axes[0].plot(biases, [100 * value for value in with_bias], "o-")
axes[0].set(xlabel="first bias of all ReLUs", ylabel="test accuracy (%)", ylim=(0, 100), xticks=biases)
bars = axes[1].barh(list(cured), [100 * value for value in cured.values()])
axes[1].bar_label(bars, fmt="%.0f", padding=3)
axes[1].axvline(10, color="black", linestyle="--", linewidth=1)
axes[1].set(xlabel="test accuracy (%) from a bias of −3 (dashed: guessing)", xlim=(0, 100))
axes[1].invert_yaxis()
plt.show()

assert with_bias[0] > 0.75
assert with_bias[3] < 0.3
assert cured["ELU"] > cured["ReLU"] + 0.3
assert cured["BatchNorm, ReLU"] > 0.8
assert cured["LeakyReLU 0.1"] > cured["LeakyReLU 0.01"]

# %% [markdown]
# A slope of 0.01 lets 1 % of the gradient through: the neurons return, but a hundred times more slowly than they
# would have learned. In so short a training that is no cure. A slope of 0.1, or ELU with its soft left side, brings
# them back. BatchNorm takes off the mean, and with it any bias: it does not even notice.
#
# ## Twenty layers, eight ways to begin
#
# Before any training, send images through twenty layers and look at the outputs of each. The first layer is the
# same in all networks; what differs is how the weights of the other nineteen are drawn.

# %%
ways = {
    "zeros": initializers.zeros,
    "constant 0.01": initializers.constant(0.01),
    "normal, too small: 0.01": initializers.normal(0.01),
    "normal, too large: 1": initializers.normal(1.0),
    "Xavier": initializers.xavier_normal(),
    "He": initializers.he_normal(),
    "orthogonal": initializers.orthogonal(),
    "identity": initializers.identity(),
}


def deep_network(activation, draw, depth=20, width=64, seed=0):
    layers = [mlp.Linear(784, width, weight_init=initializers.lecun_normal()), activation()]
    for _ in range(depth - 1):
        layers += [mlp.Linear(width, width, weight_init=draw), activation()]
    return mlp.Network(*layers, mlp.Linear(width, 10, weight_init=initializers.xavier_normal()), rng=seed)


def outputs(network, x):
    """The outputs of all activations, layer by layer."""
    found = []
    network.add_hook(lambda layer, y: None if isinstance(layer, mlp.Linear) else found.append(y))
    network.scores(x)
    return found


figure, axes = plt.subplots(2, 4, figsize=(11, 5), sharex=True, sharey=True, layout="constrained")
edges = np.linspace(-1, 1, 42)
for ax, (name, draw) in zip(axes.flat, ways.items(), strict=True):
    columns = [np.histogram(h, edges)[0] / h.size for h in outputs(deep_network(mlp.Tanh, draw), pixels[:500])]
    ax.imshow(
        np.array(columns).T, origin="lower", aspect="auto", extent=(0.5, 20.5, -1, 1), cmap="Blues", vmax=0.15
    )
    ax.set_title(name, fontsize=10)
for ax in axes[1]:
    ax.set_xlabel("layer")
for ax in axes[:, 0]:
    ax.set_ylabel("output of tanh")
plt.show()

# %% [markdown]
# Each column is the histogram of one layer: dark where many outputs are.
#
# * **Zeros, constant, too small.** From the second or third layer on all outputs are 0, whatever the image is. What
#   the last layer sees does not depend on the image any more.
# * **Too large.** All outputs are −1 or 1: saturated, with a slope of 0.
# * **Xavier, orthogonal, identity.** A healthy spread down to the last layer. **He** is $\sqrt 2$ too large for
#   tanh and already pushes outputs to the edges.
#
# In numbers: the standard deviation of each layer's outputs, for tanh and for ReLU. (That of "zeros" is 0 from the
# second layer on, which has no place on a logarithmic axis.)

# %%
spread = {
    (kind.__name__, name): np.array([h.std() for h in outputs(deep_network(kind, draw), pixels[:500])])
    for kind in (mlp.Tanh, mlp.ReLU)
    for name, draw in ways.items()
}
figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), sharey=True, layout="constrained")
for ax, kind in zip(axes, ("Tanh", "ReLU"), strict=True):
    for k, name in enumerate(ways):
        visible = np.where(spread[kind, name] > 1e-8, spread[kind, name], np.nan)
        style = {"color": f"C{k}", "linestyle": "--" if k < 4 else "-", "marker": "o", "markersize": 3}
        ax.semilogy(range(1, 21), visible, label=name, **style)
    ax.set(title=kind, xlabel="layer", ylim=(1e-8, 1e14), xticks=range(1, 21, 2))
axes[0].set_ylabel("standard deviation of the outputs")
axes[1].legend(loc="upper left", fontsize=8, ncols=2)
plt.show()

last = {key: values[-1] for key, values in spread.items()}
assert max(last["Tanh", name] for name in ("zeros", "constant 0.01", "normal, too small: 0.01")) < 1e-4
assert last["Tanh", "normal, too large: 1"] > 0.85
assert min(last["Tanh", name] for name in ("Xavier", "orthogonal", "identity")) > 0.05
assert last["ReLU", "normal, too large: 1"] > 1e10
assert last["ReLU", "Xavier"] < 0.01 * last["ReLU", "He"]

# %% [markdown]
# ## Where $1/\sqrt n$ comes from
#
# One neuron adds $n$ products: $z = \sum_{i=1}^n x_i w_i$. Draw the weights independently with mean 0. Then all
# mixed terms of $z^2$ have mean 0, and the variances add up:
#
# $$\mathrm{Var}(z) = \sum_i \mathrm{E}(x_i^2)\, \mathrm{Var}(w_i) = n\, \mathrm{E}(x^2)\, \mathrm{Var}(w)$$
#
# So $z$ grows like $\sqrt n$. To keep its size, $\mathrm{Var}(w) = 1/n$: a standard deviation of $1/\sqrt n$.
# Behind a ReLU half of the signal is gone, $\mathrm{E}(h^2) = \tfrac12 \mathrm{Var}(z)$, and it takes
# $\mathrm{Var}(w) = 2/n$: He. Measure both.

# %%
rng = np.random.default_rng(0)
sizes = 4 ** np.arange(1, 7)
raw, scaled = [], []
for n in sizes:
    x = rng.normal(size=(200, n))
    w = rng.normal(size=(n, 200))
    raw.append((x @ w).std())
    scaled.append((x @ w / np.sqrt(n)).std())
slope = np.polyfit(np.log(sizes), np.log(raw), 1)[0]

factors = np.linspace(0.8, 2.0, 13)
kept = {}
for kind in (mlp.Tanh, mlp.ReLU):
    ratios = []
    for c in factors:
        h = outputs(deep_network(kind, initializers.normal(c / np.sqrt(256)), width=256), pixels[:200])
        ratios.append(np.sqrt((h[-1] ** 2).mean() / (h[0] ** 2).mean()))
    kept[kind.__name__] = np.array(ratios)

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
axes[0].loglog(sizes, raw, "o-", label="weights of size 1")
axes[0].loglog(sizes, scaled, "o-", label="weights of size 1/√n")
axes[0].loglog(sizes, np.sqrt(sizes), "k:", label="√n")
axes[0].set(xlabel="number of inputs n", ylabel="standard deviation of z")
axes[0].legend()
for name, ratios in kept.items():
    axes[1].semilogy(factors, ratios, "o-", markersize=4, label=name)
axes[1].axhline(1, color="black", linewidth=0.8)
axes[1].axvline(1, color="gray", linestyle=":")
axes[1].axvline(np.sqrt(2), color="gray", linestyle="--", label="√2")
axes[1].set(xlabel="c, for weights of size c/√n", ylabel="size after 20 layers / after 1")
axes[1].legend()
plt.show()

best = np.exp(np.interp(0, np.log(kept["ReLU"]), np.log(factors)))
print(f"std of z grows like n to the power {slope:.2f}; with ReLU the signal keeps its size at c = {best:.2f}")
assert abs(slope - 0.5) < 0.03
assert np.all(abs(np.array(scaled) - 1) < 0.15)
assert abs(best - np.sqrt(2)) < 0.1

# %% [markdown]
# The right figure has no formula in it, only twenty layers and a ruler: ReLU crosses the line at $\sqrt 2$. Below,
# the signal dies out, above, it explodes, by many powers of ten. Tanh is more forgiving, since its outputs cannot
# exceed 1.
#
# ## What it means for training

# %%
trained = {}
for kind in (mlp.Tanh, mlp.ReLU):
    for name, draw in ways.items():
        network = deep_network(kind, draw)
        optimizer = mlp.SGD(network.parameters, lr=0.02, momentum=0.9)
        solver = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=epochs - 1)
        try:
            trained[kind.__name__, name] = solver.fit(train, test)[-1]["test_accuracy"]
        except mlp.solver.loop.NotFinite:
            trained[kind.__name__, name] = 0.0

figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
for k, kind in enumerate(("Tanh", "ReLU")):
    heights = [100 * trained[kind, name] for name in ways]
    bars = ax.bar(np.arange(len(ways)) + 0.4 * (k - 0.5), heights, 0.38, label=kind)
    ax.bar_label(bars, labels=[f"{height:.0f}" if height else "diverged" for height in heights], fontsize=8)
ax.axhline(10, color="black", linestyle="--", linewidth=1)
ax.set(ylabel=f"test accuracy after epoch {epochs - 1} (%)", ylim=(0, 100))
ax.set_xticks(range(len(ways)), [name.replace(", ", ",\n").replace(": ", ":\n") for name in ways], fontsize=8)
ax.legend()
plt.show()

lost = ("zeros", "constant 0.01", "normal, too small: 0.01", "normal, too large: 1")
assert max(trained[kind, name] for kind in ("Tanh", "ReLU") for name in lost) < 0.25
assert min(trained["Tanh", name] for name in ("Xavier", "orthogonal", "identity")) > 0.5
assert trained["ReLU", "identity"] > 0.5

# %% [markdown]
# Four of the eight never start. Note the ReLU column: He's weights keep the *size* of the signal, and still the
# network learns slowly. Measure how alike the outputs of two images are, by the cosine of their angle.


# %%
def mean_cosine(h):
    directions = h / np.linalg.norm(h, axis=1, keepdims=True)
    return (directions @ directions.T).mean()


alike = {
    name: [mean_cosine(h) for h in outputs(deep_network(mlp.ReLU, ways[name]), pixels[:200])]
    for name in ("He", "identity")
}
for name, values in alike.items():
    print(f"{name:8} mean cosine of two images: after layer 1 {values[0]:.3f}, after layer 20 {values[-1]:.3f}")
assert alike["He"][-1] > 0.9
assert alike["identity"][-1] < 0.85

# %% [markdown]
# A random ReLU layer makes all images more alike. After twenty of them, all outputs point in nearly the same
# direction, and there is little left to tell a 3 from an 8. The identity mixes nothing and keeps them apart. So "He
# for ReLU" is right about the size, and size is not everything. Residual connections and normalisation (lesson 7)
# help with the rest.
#
# ## Exercises
#
# **1. All neurons equal.** Train one hidden layer of 32 tanh neurons with `init=initializers.constant(0.01)` and
# `dtype=np.float64`. How different are the 32 columns of the first weights after an epoch? Why?
#
# <details><summary>Solution</summary>
#
# ```python
# result = {}
# for name, draw in (("constant", initializers.constant(0.01)), ("random", "auto")):
#     network = mlp.Network(mlp.Linear(784, 32), mlp.Tanh(), mlp.Linear(32, 10), rng=0, init=draw, dtype=np.float64)
#     result[name] = fit(network, lr=0.1, epochs=2)
#     W = network[0].weight.data
#     print(f"{name}: columns differ by up to {np.ptp(W, axis=1).max():.1e}, accuracy {result[name]:.1%}")
#     if name == "constant":
#         assert np.ptp(W, axis=1).max() < 1e-6
# assert result["constant"] < result["random"] - 0.3
# ```
#
# Neurons with the same weights give the same output, get the same gradient, and take the same step. They stay
# equal: 32 neurons that are worth one. Only rounding errors tell them apart. Random weights **break the symmetry**.
#
# </details>
#
# **2. Save the twenty layers.** Put a `mlp.BatchNorm(64)` in front of each ReLU of the deep network, with the
# weights that are too small (0.01). Does it learn now?
#
# <details><summary>Solution</summary>
#
# ```python
# layers = [mlp.Linear(784, 64), mlp.ReLU()]
# for _ in range(19):
#     layers += [mlp.Linear(64, 64, weight_init=initializers.normal(0.01)), mlp.BatchNorm(64), mlp.ReLU()]
# network = mlp.Network(*layers, mlp.Linear(64, 10), rng=0)
# saved = fit(network, lr=0.1, epochs=1)
# print(f"{saved:.1%}, without BatchNorm {trained['ReLU', 'normal, too small: 0.01']:.1%}")
# assert saved > trained["ReLU", "normal, too small: 0.01"] + 0.1
# ```
#
# It does. BatchNorm divides each output by its standard deviation, so the size of the weights cancels: a factor in
# front of $W$ has no effect at all on what comes out.
#
# </details>
#
# **3. Half of the signal.** The derivation says that ReLU keeps half of the mean square: $\mathrm E(\max(0, z)^2) =
# \tfrac12 \mathrm E(z^2)$ for a symmetric $z$. Check it with random numbers. What is the share for LeakyReLU with
# slope $a$, for GeLU, for tanh?
#
# <details><summary>Solution</summary>
#
# ```python
# z = np.random.default_rng(0).normal(size=(1_000_000, 1))
# share = {layer: np.mean(layer.forward(z) ** 2) for layer in (mlp.ReLU(), mlp.LeakyReLU(0.1), mlp.GeLU(), mlp.Tanh())}
# for layer, value in share.items():
#     print(f"{layer!r:18} {value:.3f}")
# relu, leaky, *_ = share.values()
# assert abs(relu - 0.5) < 0.01
# assert abs(leaky - (1 + 0.1**2) / 2) < 0.01
# ```
#
# For LeakyReLU it is $(1 + a^2)/2$, so He's rule becomes $2 / ((1 + a^2)\, n)$:
# `initializers.he_normal(slope=0.1)`. GeLU keeps a little less than ReLU. For tanh the share depends on the size of
# $z$, and for small $z$ it is nearly 1.
#
# </details>
