# %% [markdown]
# # 5. Vanishing and exploding gradients
#
# **What you will see.** A gradient travels down through twenty layers. Behind sigmoids it loses at least three
# quarters of its size in every layer, and the first layers learn nothing. With weights that are twice as large as
# they should be it doubles in every layer instead, and training ends after a few steps. Then, with two weights that
# fit on a page: why inputs that are all positive make gradient descent run in zig-zag.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp import initializers

THOROUGH = False  # True: more seeds and more epochs
seeds, images, epochs = (10, 30_000, 5) if THOROUGH else (2, 10_000, 3)

train, test = mlp.load_mnist()
digits, labels = train[:200].arrays(np.float64)
activations = {"Sigmoid": mlp.Sigmoid, "Tanh": mlp.Tanh, "ReLU": mlp.ReLU, "GeLU": mlp.GeLU}

# %% [markdown]
# ## What one layer does to a gradient
#
# A layer computes $z_l = h_{l-1} W_l + b_l$ and $h_l = f(z_l)$. Write $g_l = \partial L/\partial z_l$. The chain
# rule brings the gradient from one layer to the layer below:
#
# $$g_{l} = f'(z_l) \odot (g_{l+1} W_{l+1}^\top) \qquad\Rightarrow\qquad
# \lVert g_l \rVert \;\le\; \max |f'| \cdot \lVert W_{l+1} \rVert \cdot \lVert g_{l+1} \rVert$$
#
# where $\lVert W \rVert$ is the most by which $W$ can stretch a vector. For the sigmoid $f' = f(1-f) \le 1/4$.
# Through $k$ layers there are $k$ such factors. A product of many factors is either tiny or huge unless each of
# them is close to 1.
#
# ## Twenty layers
#
# Take orthogonal weights: they stretch nothing, $\lVert W \rVert = 1$. Then what the gradient loses, it loses in
# the activations. The network is new, nothing is trained.


# %%
def deep_network(activation, depth, width=100, init="auto", seed=0, dtype=np.float64):
    widths = [784] + [width] * depth
    layers = [layer for i in range(depth) for layer in (mlp.Linear(widths[i], widths[i + 1]), activation())]
    return mlp.Network(*layers, mlp.Linear(width, 10), rng=seed, init=init, dtype=dtype)


def gradient_norms(network):
    """The size of g_1, g_2, ... for 200 digits; the last one belongs to the scores."""
    norms = {}

    def look(layer, grad_y):
        norms[layer] = np.linalg.norm(grad_y)

    network.add_backward_hook(look)
    network.training_step(digits, labels, mlp.CrossEntropyLoss())
    return np.array([norms[layer] for layer in network if isinstance(layer, mlp.Linear)])


depth = 20
orthogonal = {
    name: gradient_norms(deep_network(activation, depth, init=initializers.orthogonal()))
    for name, activation in activations.items()
}

# %%
layer = np.arange(1, depth + 2)
bound = orthogonal["Sigmoid"][-1] * 0.25 ** (depth + 1 - layer)

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, norms in orthogonal.items():
    ax.semilogy(layer, norms, "o-", markersize=4, label=name)
ax.semilogy(layer, bound, "k--", label="1/4 a layer: the most that sigmoids let through")
ax.set(xlabel="layer (1: next to the pixels, 21: the scores)", ylabel="size of the gradient |g|", xticks=layer[::2])
ax.legend()
plt.show()

for name, norms in orthogonal.items():
    print(f"{name:8} keeps {(norms[0] / norms[-2]) ** (1 / (depth - 1)):.2f} of the gradient a layer")
print(f"behind {depth} sigmoid layers {orthogonal['Sigmoid'][0] / orthogonal['Sigmoid'][-1]:.0e} of it are left")

assert np.all(orthogonal["Sigmoid"] <= bound * (1 + 1e-9))
assert orthogonal["Sigmoid"][0] < 1e-9 * orthogonal["Sigmoid"][-1]
assert orthogonal["Tanh"][0] > 1e-3 * orthogonal["Tanh"][-1]

# %% [markdown]
# The sigmoid follows its bound closely: near $z = 0$ its slope is just below 1/4, and elsewhere it is less. Tanh
# has slope 1 at 0 and keeps nearly everything. ReLU and GeLU have slope 1 for large inputs, but half of the signal
# is switched off, so with orthogonal weights each layer costs about $\sqrt{1/2} = 0.71$ (GeLU has slope 1/2 near
# 0).
#
# A factor of 0.71 is no fate. The weights can make up for it, if they are $\sqrt 2$ times as large: that is He's
# initialisation. For the sigmoid it would take a factor of 4, and then its inputs leave the region where the slope
# is 1/4: you cannot win.
#
# ## How deep can it be?
#
# Now each network draws its weights as suits its activation (`init="auto"`: Xavier for sigmoid and tanh, He for
# ReLU and GeLU). Look at the gradient that arrives at the very first layer, for networks of 1 to 20 hidden layers.

# %%
depths = np.array([1, 2, 3, 5, 8, 12, 16, 20])
first = {
    name: np.array(
        [
            np.exp(np.mean([np.log(gradient_norms(deep_network(make, d, seed=s))[0]) for s in range(seeds)]))
            for d in depths
        ]
    )
    for name, make in activations.items()
}

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, norms in first.items():
    ax.semilogy(depths, norms, "o-", markersize=4, label=name)
ax.set(xlabel="hidden layers", ylabel="|g| at the first layer", xticks=depths)
ax.legend()
plt.show()

assert first["Sigmoid"][-1] < 1e-8 * first["Sigmoid"][0]
for name in ("Tanh", "ReLU"):
    assert first[name][-1] > 0.03 * first[name][0]

# %% [markdown]
# With weights of the right size, ReLU and tanh pass a gradient through twenty layers. GeLU loses some of it,
# because He's rule was derived for ReLU.
#
# ## What it means for training

# %%
accuracy = {}
for name, activation in activations.items():
    for d in (1, 3, 6):
        network = deep_network(activation, d, width=64, dtype=np.float32)
        optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
        solver = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=epochs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of networks that are no better than guessing
            accuracy[name, d] = solver.fit(train[:images], test)[-1]["test_accuracy"]

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for k, name in enumerate(activations):
    heights = [100 * accuracy[name, d] for d in (1, 3, 6)]
    bars = ax.bar(np.arange(3) + 0.2 * (k - 1.5), heights, 0.18, label=name)
    ax.bar_label(bars, fmt="%.0f", fontsize=8)
ax.axhline(10, color="black", linestyle="--", linewidth=1)
ax.text(2.55, 12, "guessing", ha="right")
ax.set(xticks=range(3), xticklabels=["1 hidden layer", "3 hidden layers", "6 hidden layers"], xlim=(-0.5, 2.6))
ax.set(ylabel="test accuracy (%)", ylim=(0, 115))
ax.legend(loc="upper center", ncols=4, frameon=False)
plt.show()

assert accuracy["Sigmoid", 1] > 0.75
assert accuracy["Tanh", 6] > accuracy["Sigmoid", 6]
if not THOROUGH:  # after many epochs even six sigmoid layers may start
    assert accuracy["Sigmoid", 6] < 0.3 < accuracy["Tanh", 6] - 0.3

# %% [markdown]
# With one hidden layer, the sigmoid is fine. With six it does not get beyond guessing in the time that tanh needs
# to learn the digits. (ReLU networks become a little harder to train with depth too, at this learning rate: see
# exercise 1 and lesson 7.)
#
# The library can tell you without any training. It sends a batch forward and backward once and looks:

# %%
diagnosis = mlp.diagnosis.diagnose(deep_network(mlp.Sigmoid, 8, width=64), mlp.CrossEntropyLoss(), digits, labels)
assert "vanishing gradients" in str(diagnosis)
diagnosis

# %% [markdown]
# ## Exploding
#
# The other side. Draw He's weights and multiply them by a gain. A ReLU layer with He's weights keeps the size of a
# gradient, so with the gain $c$ it should multiply it by $c$, and twenty layers by $c^{20}$.


# %%
def he_times(gain):
    he = initializers.he_normal()
    return lambda shape, rng: gain * he(shape, rng)


gains = (0.5, 1.0, 2.0)
by_gain = {gain: gradient_norms(deep_network(mlp.ReLU, depth, init=he_times(gain))) for gain in gains}
factor = {gain: (norms[0] / norms[-2]) ** (1 / (depth - 1)) for gain, norms in by_gain.items()}

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for gain, norms in by_gain.items():
    ax.semilogy(layer, norms, "o-", markersize=4, label=f"gain {gain:g}: × {factor[gain]:.2f} a layer")
ax.set(xlabel="layer", ylabel="size of the gradient |g|", xticks=layer[::2])
ax.legend()
plt.show()

for gain in gains:
    assert abs(factor[gain] / gain - 1) < 0.15

# %%
network = deep_network(mlp.ReLU, 8, width=64, init=he_times(2), dtype=np.float32)
try:
    mlp.Solver(network, mlp.CrossEntropyLoss(), mlp.SGD(network.parameters, lr=0.01), epochs=1).fit(train[:images])
    end = None
except mlp.solver.loop.NotFinite as error:
    end = error
print(end)
assert end is not None
assert end.step < 50

# %% [markdown]
# Eight layers with twice the weights: scores and gradients $2^8$ times too large. The first steps throw the weights
# away, and a few steps later a number is not finite. Lesson 8 shows gradient clipping, which bounds a single step.
# The cure at the root is a first draw of the right size: lesson 6.
#
# ## Zig-zag: inputs that are all positive
#
# A neuron with two weights shall learn $t = x_1 - x_2$, so the right weights are $(1, -1)$. It starts at $(0, 0)$
# and sees one example after the other. The gradient of $\tfrac12 (x \cdot w - t)^2$ is the error times the input:
#
# $$\frac{\partial L}{\partial w_i} = \delta\, x_i, \qquad \delta = x \cdot w - t$$
#
# If all inputs are positive, both weights get a gradient of the *same sign*, that of $\delta$. A step can go up and
# to the right, or down and to the left. The goal lies down and to the right.

# %%
goal = np.array([1.0, -1.0])


def path(centred, seed, steps=40, lr=1.0):
    """The weights after each step of stochastic gradient descent."""
    rng = np.random.default_rng(seed)
    w = np.zeros(2)
    points = [w]
    for _ in range(steps):
        x = rng.random(2)  # between 0 and 1
        if centred:
            x = 2 * x - 1  # between -1 and 1: the mean of x² is 1/3, as before
        w = w - lr * (x @ w - x @ goal) * x
        points.append(w)
    return np.array(points)


moments = {False: [[1 / 3, 1 / 4], [1 / 4, 1 / 3]], True: [[1 / 3, 0], [0, 1 / 3]]}  # the means of x_i x_j
a, b = np.meshgrid(np.linspace(-0.6, 1.6, 60), np.linspace(-1.6, 0.6, 60))
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
for ax, centred, title in zip(axes, (False, True), ("inputs from 0 to 1", "inputs from −1 to 1"), strict=True):
    offset = np.stack([a - goal[0], b - goal[1]])
    loss = 0.5 * np.einsum("iab,ij,jab->ab", offset, moments[centred], offset)
    ax.contour(a, b, loss, levels=np.logspace(-3, 0, 9), colors="lightgray")
    ax.plot(*path(centred, seed=3).T, "o-", markersize=3, linewidth=1)
    ax.plot(*goal, "r*", markersize=14)
    ax.set(title=title, xlabel="$w_1$", ylabel="$w_2$", aspect="equal")
plt.show()

# %%
paths = {centred: [path(centred, seed) for seed in range(300)] for centred in (False, True)}
for centred, title in ((False, "all positive"), (True, "centred")):
    steps = np.concatenate([np.diff(points, axis=0) for points in paths[centred]])
    same = np.mean(steps[:, 0] * steps[:, 1] >= 0)
    missing = np.median([np.linalg.norm(points[20] - goal) for points in paths[centred]])
    condition = np.linalg.cond(moments[centred])
    print(f"{title:12}: both weights move the same way in {same:.0%} of the steps; "
          f"after 20 steps {missing:.3f} from the goal; condition number {condition:.0f}")  # fmt: skip
    assert same == 1 if not centred else 0.4 < same < 0.6

far, near = (
    np.median([np.linalg.norm(points[20] - goal) for points in paths[centred]]) for centred in (False, True)
)
assert far > 10 * near

# %% [markdown]
# The contours tell the same story: positive inputs stretch the loss into a narrow valley. Its **condition number**,
# the largest curvature over the smallest, is 7 here; for centred inputs it is 1, the valley is round, and every way
# leads to the goal.
#
# A sigmoid gives only positive outputs, which are the inputs of the next layer. How narrow is the valley for the
# second layer of a real network? Take the matrix of the means of $h_i h_j$ over images, and ask which share of it
# lies in one direction, that of its largest eigenvalue: 1 would be a valley without end.


# %%
def share_of_one_direction(h):
    eigenvalues = np.linalg.eigvalsh(h.T @ h / len(h))
    return eigenvalues[-1] / eigenvalues.sum()


x, _ = train[:2000].arrays(np.float64)
inputs = {
    "pixels 0 to 1": x + 128 / 255,
    "pixels −0.5 to 0.5": x,
    "mean of each pixel\ntaken off": x - x.mean(axis=0),
}
shares = {"the inputs": [share_of_one_direction(data) for data in inputs.values()]}
for name in ("Sigmoid", "Tanh"):
    linear = mlp.Linear(784, 128, weight_init=initializers.xavier_normal(), rng=0, dtype=np.float64)
    outputs = (activations[name]().forward(linear.forward(data)) for data in inputs.values())
    shares[f"behind a {name.lower()} layer"] = [share_of_one_direction(h) for h in outputs]

figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for k, (name, values) in enumerate(shares.items()):
    bars = ax.bar(np.arange(3) + 0.27 * (k - 1), values, 0.25, label=name)
    ax.bar_label(bars, fmt="%.2f", fontsize=8)
ax.set(xticks=range(3), xticklabels=inputs, ylabel="share in one direction", ylim=(0, 1.15))
ax.legend(loc="upper center", ncols=3, frameon=False)
plt.show()

assert min(shares["behind a sigmoid layer"]) > 0.9
assert shares["behind a tanh layer"][2] < 0.3
assert shares["the inputs"][2] < shares["the inputs"][0] < shares["the inputs"][1]

# %% [markdown]
# * Behind sigmoids nearly everything lies in one direction, that of "all neurons at 1/2", whatever the input is.
#   Tanh is a sigmoid that was centred, $\tanh z = 2\,\mathrm{sigmoid}(2z) - 1$, and does much better.
# * To move pixels from $[0, 1]$ to $[-0.5, 0.5]$ is often called centring. For MNIST it is not: most pixels are
#   paper, so their mean goes from 0.13 to −0.37, which is *farther* from 0. There are both signs now, which ends
#   the zig-zag of the signs; but the valley is narrower. What helps is to take off the mean of each pixel. Lesson 7
#   does that.
#
# ## Exercises
#
# **1. A way around.** In a residual block, $y = x + f(x)$, the gradient has a way around the sigmoid: $\partial
# L/\partial x = \partial L/\partial y + \ldots$ Build twenty blocks `mlp.Residual(mlp.Linear(100, 100),
# mlp.Sigmoid())` behind a first `Linear(784, 100)` and look at the gradient of the first layer.
#
# <details><summary>Solution</summary>
#
# ```python
# blocks = [mlp.Residual(mlp.Linear(100, 100), mlp.Sigmoid()) for _ in range(20)]
# network = mlp.Network(mlp.Linear(784, 100), *blocks, mlp.Linear(100, 10), rng=0, dtype=np.float64)
# sizes = {}
# network.add_backward_hook(lambda layer, grad_y: sizes.update({layer: np.linalg.norm(grad_y)}))
# network.training_step(digits, labels, mlp.CrossEntropyLoss())
# left = sizes[network[0]] / sizes[network[-1]]
# print(f"with a way around {left:.1e} of the gradient is left, without {first['Sigmoid'][-1]:.0e}")
# assert left > 1e-2
# ```
#
# The derivative of a block is $1 + f'$. A product of such factors does not vanish. That is what made networks of a
# hundred layers possible.
#
# </details>
#
# **2. Four times the weights.** The sigmoid loses a factor of 4 a layer. Multiply Xavier's weights by 4
# (`initializers.xavier_normal(gain=4)`) and draw the gradients of the 20-layer network. Does it work? What are the
# outputs of the neurons like?
#
# <details><summary>Solution</summary>
#
# ```python
# network = deep_network(mlp.Sigmoid, 20, init=initializers.xavier_normal(gain=4))
# norms = gradient_norms(network)
# print(f"{(norms[0] / norms[-2]) ** (1 / 19):.2f} a layer")
# statistics = mlp.diagnosis.layer_statistics(network, mlp.CrossEntropyLoss(), digits, labels)
# saturated = [row.saturated for row in statistics.layers if row.saturated is not None]
# print("saturated outputs, layer by layer:", np.round(saturated, 2))
# assert norms[0] > 1e3 * first["Sigmoid"][-1]
# assert max(saturated) > 0.05
# ```
#
# It is much better, by many powers of ten, and still less than 1 a layer: larger inputs reach the flat ends of the
# sigmoid, where the slope is far below 1/4. What you win by larger weights, you lose again there.
#
# </details>
#
# **3. The best centring.** In `path`, let the inputs lie between $-s$ and $1-s$. For which $s$ is the condition
# number smallest? Compute it for ten values of $s$; then derive it.
#
# <details><summary>Solution</summary>
#
# ```python
# shifts = np.linspace(0, 1, 11)
# conditions = []
# for s in shifts:
#     mean, square = 0.5 - s, 1 / 12 + (0.5 - s) ** 2
#     conditions.append(np.linalg.cond([[square, mean**2], [mean**2, square]]))
# plt.plot(shifts, conditions, "o-")
# plt.show()
# assert np.argmin(conditions) == 5
# assert np.allclose(conditions, 1 + 24 * (0.5 - shifts) ** 2)
# ```
#
# With the mean $m$ and the variance $v = 1/12$ the matrix is $v \cdot 1 + m^2 \cdot (\text{all ones})$. Its
# eigenvalues are $v + 2 m^2$ and $v$, so the condition number is $1 + 2 m^2 / v = 1 + 24\, m^2$. It is smallest for
# $m = 0$, $s = 1/2$: 1. With $n$ inputs it would be $1 + n m^2 / v$. With 784 inputs the mean matters enormously.
#
# </details>
