# %% [markdown]
# # 3. The homework in small
#
# **What you will see.** Three activations, three losses, one and two hidden layers: eighteen networks, trained side
# by side on a part of MNIST. Which learn fast, which learn at all, how many of their neurons do they use, and how
# long do they take? And then: why formulas from a book fail on a computer, and what to write instead.

# %%
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp import functional
from mlp.diagnosis.activity import NeuronActivity

THOROUGH = False  # True: more images and more epochs
images, epochs = (30_000, 8) if THOROUGH else (10_000, 4)

train, test = mlp.load_mnist()
train, test = train[:images], test[:5000]

# %% [markdown]
# ## The three activations
#
# $$\mathrm{sigmoid}(x) = \frac{1}{1 + e^{-x}}, \qquad \mathrm{ReLU}(x) = \max(0, x), \qquad
# \mathrm{GeLU}(x) = x\, \Phi(x)$$
#
# $\Phi$ is the distribution function of the normal distribution: GeLU keeps $x$ by a share that grows from 0 to 1.

# %%
activations = {"Sigmoid": mlp.Sigmoid, "ReLU": mlp.ReLU, "GeLU": mlp.GeLU}
colours = {"Sigmoid": "C0", "ReLU": "C1", "GeLU": "C2"}

x = np.linspace(-5, 5, 501)
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name, make in activations.items():
    layer = make()
    axes[0].plot(x, layer.forward(x), color=colours[name], label=name)
    axes[1].plot(x, layer.backward(np.ones_like(x)), color=colours[name])
axes[0].set(title="y = f(x)", xlabel="x", ylim=(-0.5, 3))
axes[1].set(title="slope dy/dx", xlabel="x")
axes[0].legend()

slope = mlp.Sigmoid()
slope.forward(x)
assert slope.backward(np.ones_like(x)).max() <= 0.25  # at most a quarter of a gradient gets through a sigmoid

# %% [markdown]
# ## The three losses
#
# With scores $s$, one-hot targets $t$ and the right class $y$:
#
# $$L_{\text{CE}} = -\log p_y, \qquad L_{\text{MSE}} = \tfrac12 \sum_k (s_k - t_k)^2, \qquad
# L_{\text{hinge}} = \sum_{k \ne y} \max(0,\ m - s_y + s_k)$$
#
# What a network feels of a loss is its gradient. Let nine scores be 0 and vary that of the right class. The more
# negative the gradient, the harder this score is pushed up.

# %%
losses = {"cross-entropy": mlp.CrossEntropyLoss(), "MSE": mlp.MSELoss(), "hinge": mlp.HingeLoss(margin=0.1)}

right = np.linspace(-3, 6, 181)
scores = np.zeros((len(right), 10))
scores[:, 0] = right
plt.figure(figsize=(6, 3.4))
for (name, loss), style in zip(losses.items(), ("-", "--", ":"), strict=True):
    loss.forward(scores, np.zeros(len(right), int))
    plt.plot(right, loss.backward()[:, 0] * len(right), style, label=name)
plt.ylim(-9.5, 5.5)
plt.axhline(0, color="black", linewidth=0.8)
plt.xlabel("score of the right class")
plt.ylabel("gradient of its score")
plt.legend()
plt.show()

# %% [markdown]
# Cross-entropy pushes with a force between −1 and 0 and never quite stops. MSE wants the score to be exactly 1: a
# score of 6 is just as right, but MSE pushes it down, and hard. Hinge pushes with full force until the margin $m$
# is reached, here that of nine violated margins, then not at all: images that are right have no say any more.
#
# ## Eighteen networks
#
# As in the homework: weights from $N(0,\ 0.01^2)$, SGD with momentum 0.9 and learning rate 0.05, batches of 100.
# The networks are smaller here and see 10,000 images four times, so the numbers are lower than those of a full run.

# %%
histories, used, seconds, said = {}, {}, {}, []
for hidden in ((128,), (128, 64)):
    widths = (784, *hidden)
    for loss_name, loss in losses.items():
        for name, activation in activations.items():
            layers = [
                layer for i in range(len(hidden)) for layer in (mlp.Linear(widths[i], widths[i + 1]), activation())
            ]
            network = mlp.Network(*layers, mlp.Linear(widths[-1], 10), rng=2022, init=mlp.initializers.normal(0.01))
            watch = NeuronActivity()
            optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
            solver = mlp.Solver(network, loss, optimizer, epochs=epochs, callbacks=[watch])
            key = len(hidden), loss_name, name
            begin = time.perf_counter()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                histories[key] = solver.fit(train, test)
            seconds[key] = time.perf_counter() - begin
            used[key] = watch.probabilities["hidden1"][-1]
            said += [f"{len(hidden)} hidden layers, {name}, {loss_name}: {w.message}" for w in caught]

# %% [markdown]
# ### Convergence and accuracy

# %%
figure, axes = plt.subplots(2, 3, figsize=(11, 5.5), sharex=True, sharey=True, layout="constrained")
for (depth, loss_name, name), history in histories.items():
    ax = axes[depth - 1, list(losses).index(loss_name)]
    ax.plot(history["epoch"], 100 * history["test_accuracy"], "o-", color=colours[name], label=name)
    ax.set_title(f"{depth} hidden layer{'s' * (depth > 1)}, {loss_name}", fontsize=10)
for ax in axes[1]:
    ax.set(xlabel="epoch", xticks=range(1, epochs + 1, max(1, epochs // 4)))
for ax in axes[:, 0]:
    ax.set_ylabel("test accuracy (%)")
axes[0, 0].legend()
plt.show()


# %%
def accuracy(depth, loss_name, name, epoch=-1):
    return histories[depth, loss_name, name]["test_accuracy"][epoch]


for depth in (1, 2):
    for loss_name in losses:
        numbers = ", ".join(f"{name} {accuracy(depth, loss_name, name):.1%}" for name in activations)
        print(f"{depth} hidden, {loss_name:13}: {numbers}")

assert all(accuracy(1, *key) > 0.7 for key in [(loss, name) for loss in losses for name in activations])
assert accuracy(1, "cross-entropy", "ReLU", 0) > accuracy(1, "cross-entropy", "Sigmoid", 0)
if not THOROUGH:  # many epochs later the sigmoids have caught up
    assert accuracy(1, "cross-entropy", "ReLU", 0) > accuracy(1, "cross-entropy", "Sigmoid", 0) + 0.05
    assert accuracy(1, "cross-entropy", "ReLU") > accuracy(1, "cross-entropy", "Sigmoid")

# %% [markdown]
# * **Sigmoid starts slowly.** Its slope is at most 1/4, so at most a quarter of the gradient arrives at the first
#   layer, and less with these small weights.
# * **Two sigmoid layers hardly start at all.** Twice a quarter, and twice small weights. GeLU starts late too: near
#   0 its slope is 1/2. The library warns of every network that is no better than guessing after its first epoch:

# %%
print(*said, sep="\n")
if not THOROUGH:  # many epochs later they do start
    assert accuracy(2, "cross-entropy", "Sigmoid") < 0.5
assert accuracy(2, "cross-entropy", "ReLU") > 0.75

# %% [markdown]
# * **Which loss is best?** Look at your numbers. With ReLU, cross-entropy and MSE end within a few points of each
#   other here. The often-heard advice against MSE for classes does not rest on a dramatic difference on MNIST.
#   Cross-entropy has better reasons: its scores are log-probabilities, and its gradient is bounded (lesson 10 uses
#   the first, the figure above shows the second).
#
# ### Use of neurons
#
# How often is each of the 128 neurons of the first hidden layer active, $y > 0$, over the last epoch? Each curve is
# one network, its neurons sorted.

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, loss_name in zip(axes, losses, strict=True):
    for name in activations:
        ax.plot(np.sort(used[1, loss_name, name])[::-1], color=colours[name], label=name)
    ax.set(title=loss_name, xlabel="neurons, sorted")
axes[0].set_ylabel("share of images with y > 0")
axes[0].legend()

active = {key: p.mean() for key, p in used.items()}
dead = {key: np.mean(p == 0) for key, p in used.items()}
for loss_name in losses:
    key = 1, loss_name, "ReLU"
    print(f"ReLU, {loss_name:13}: an image uses {active[key]:.0%} of the neurons; {dead[key]:.0%} are dead")

assert all(active[1, loss, "Sigmoid"] == 1 for loss in losses)  # a sigmoid is never 0
assert active[1, "hinge", "ReLU"] < active[1, "cross-entropy", "ReLU"]

# %% [markdown]
# A sigmoid is positive for every image, so "active" says nothing about it. A ReLU is off for a part of the images:
# that is what lets it divide the work. Under the hinge loss, whose nine violations all push with full force from
# the first step on, many ReLUs are thrown so far that they are never active again. They are dead, and the network
# is smaller than you think. Lesson 6 is about them.
#
# ### Time

# %%
for name in activations:
    print(f"{name:8}: {seconds[1, 'cross-entropy', name]:.2f} s with one hidden layer")

# %% [markdown]
# The matrix products take most of the time, and they are the same for all activations. What an activation computes
# for each of 128 numbers matters little beside the 784 products behind each of them. (No assertion here: how long
# something takes depends on what else your computer is doing.)
#
# ## Numerical stability
#
# Here are softmax and sigmoid as a book writes them, at scores of 1000. A diverging network reaches those easily.


# %%
def naive_softmax(s):
    return np.exp(s) / np.exp(s).sum()


def naive_sigmoid(x):
    return 1 / (1 + np.exp(-x))


s = np.array([1000.0, 0.0, -1000.0], np.float32)
with np.errstate(all="ignore"):  # NumPy would warn of each of these
    rows = [
        ("softmax", naive_softmax(s), functional.softmax(s)),
        ("log softmax", np.log(naive_softmax(s)), functional.log_softmax(s)),
        ("sigmoid", naive_sigmoid(s), functional.sigmoid(s)),
        ("log sigmoid", np.log(naive_sigmoid(s)), functional.log_sigmoid(s)),
    ]
print(f"scores {s}")
for name, naive, ours in rows:
    print(f"{name:12} naive {naive!s:22} ours {ours}")
    assert np.all(np.isfinite(ours))
assert all(not np.all(np.isfinite(rows[k][1])) for k in (0, 1, 3))

# %% [markdown]
# In float32 the largest number is about $3.4 \cdot 10^{38} = e^{88.7}$. Beyond that `exp` gives `inf`, and `inf /
# inf` is not a number. Three formulas that cannot overflow:
#
# $$\mathrm{softmax}(s)_i = \frac{e^{s_i - m}}{\sum_j e^{s_j - m}}, \qquad
# \log p_i = s_i - m - \log \sum_j e^{s_j - m}, \qquad m = \max_j s_j$$
#
# The factor $e^{-m}$ cancels. Now the largest exponent is 0, and the sum is at least 1. For the sigmoid,
# $1/(1 + e^{-x})$ for $x \ge 0$ and $e^x/(1 + e^x)$ for $x < 0$: the exponent is never positive.
#
# People often repair the logarithm with a small number: $-\log(p + 10^{-7})$. Look what that does to the loss of an
# image whose right score lies $d$ below the largest. Its true loss is almost exactly $d$.

# %%
d = np.arange(0, 151, dtype=np.float32)
pairs = np.stack([np.zeros_like(d), -d], axis=1)  # the right class is the second
p = functional.softmax(pairs)[:, 1]
with np.errstate(divide="ignore"):
    naive = -np.log(p)
repaired = -np.log(p + np.float32(1e-7))
ours = mlp.CrossEntropyLoss(reduction="none").forward(pairs, np.ones(len(d), int))

plt.figure(figsize=(6, 3.6))
plt.plot(d, ours, color="C2", linewidth=4, alpha=0.4, label="ours: from the scores")
plt.plot(d, naive, color="C0", label="−log(softmax): inf after the end")
plt.plot(d, repaired, color="C1", label="−log(softmax + 1e−7)")
plt.xlabel("d: how far the right score lies below the largest")
plt.ylabel("loss")
plt.legend()

print(f"the naive loss is infinite from d = {d[np.isinf(naive)][0]:.0f} on")
print(f"the repaired loss never exceeds {repaired.max():.1f}")
assert np.allclose(ours, np.log1p(np.exp(-d.astype(float))) + d, rtol=1e-6)
assert np.isinf(naive[-1])
assert repaired.max() < 17

# %% [markdown]
# The repaired loss is flat for the images that are most wrong: it has no gradient exactly where one is needed most.
# That is why losses take scores, and not probabilities.
#
# ## Exercises
#
# **1. Help the sigmoids.** Two sigmoid layers did not start, with weights from $N(0, 0.01^2)$. Give the network
# `init="auto"`, which draws larger weights, as Xavier Glorot found out they should be. Does it start?
#
# <details><summary>Solution</summary>
#
# ```python
# network = mlp.Network(
#     mlp.Linear(784, 128), mlp.Sigmoid(), mlp.Linear(128, 64), mlp.Sigmoid(), mlp.Linear(64, 10), rng=2022, init="auto"
# )
# optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
# history = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=4).fit(train, test)
# print(history)
# assert history[-1]["test_accuracy"] > 0.75
# ```
#
# It does. The gradient of a layer is multiplied by the weights on its way down. With weights of about $1/\sqrt n$
# it keeps its size, with 0.01 it shrinks. Lessons 5 and 6 measure that.
#
# </details>
#
# **2. A margin of 1.** The hinge loss had the margin 0.1. Train the ReLU network with one hidden layer with
# `mlp.HingeLoss(margin=1)`. What happens to the accuracy and to the neurons? Which setting would you change?
#
# <details><summary>Solution</summary>
#
# ```python
# for lr in (0.05, 0.005):
#     network = mlp.Network(
#         mlp.Linear(784, 128), mlp.ReLU(), mlp.Linear(128, 10), rng=2022, init=mlp.initializers.normal(0.01)
#     )
#     optimizer = mlp.SGD(network.parameters, lr=lr, momentum=0.9)
#     solver = mlp.Solver(network, mlp.HingeLoss(margin=1), optimizer, epochs=4, callbacks=[NeuronActivity()])
#     row = solver.fit(train, test)[-1]
#     print(f"lr {lr}: test accuracy {row['test_accuracy']:.1%}, dead neurons {row['hidden1_dead']:.0%}")
# assert row["test_accuracy"] > 0.85
# ```
#
# The scores have to grow ten times as far apart, and all the time violations push with full force. With a smaller
# learning rate that costs fewer neurons. A margin means nothing without the scale of the weights beside it.
#
# </details>
#
# **3. Where does it overflow?** From which score on does `naive_softmax` fail in float16, float32, float64? Predict
# the numbers from the largest number of each type, then measure.
#
# <details><summary>Solution</summary>
#
# ```python
# for kind in (np.float16, np.float32, np.float64):
#     predicted = np.log(float(np.finfo(kind).max))
#     tried = np.arange(1, 800, 0.25).astype(kind)
#     with np.errstate(over="ignore"):
#         failed = tried[np.isinf(np.exp(tried))][0]
#     print(f"{kind.__name__}: predicted {predicted:.2f}, measured {failed}")
#     assert predicted <= failed <= predicted + 0.5
# ```
#
# At 11, 89 and 710. In float16 a score of 12 is enough, which any trained network gives.
#
# </details>
