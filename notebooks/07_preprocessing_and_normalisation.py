# %% [markdown]
# # 7. Preprocessing and normalisation layers
#
# **What you will see.** A cloud of digits is centred, turned and whitened before your eyes. Then you see why this
# matters: the *condition number* of the data decides how many steps gradient descent needs. What preprocessing
# does for the first layer, normalisation layers do for all the others. BatchNorm lets a deep network learn at
# rates that destroy it otherwise. You see where it belongs, why it must know whether the network learns or is
# used, how it disappears into the layer before it, and what LayerNorm and RMSNorm do instead.
#
# You need to know: the mean, the variance, and that gradient descent is $w \leftarrow w - \eta\,g$.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp.data.preprocessing import Center, Decorrelate, Standardize, Whiten
from mlp.plots import BLACK, BLUE, GREEN, VERMILION

THOROUGH = False  # True: more data, more epochs, more seeds

SEEDS = range(5 if THOROUGH else 2)
EPOCHS = 6 if THOROUGH else 3
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False})

train, test = mlp.load_mnist()
train = train[: 12_000 if THOROUGH else 6_000]
pixels = train.inputs + 128 / 255  # from [-0.5, 0.5] back to what a camera gives: 0 is white, 1 is black
images = pixels.reshape(-1, 28, 28)
print(train)

# %% [markdown]
# ## A cloud of digits
#
# Take two numbers of every image: how much ink is in its left half, and how much in its right half. Every image
# is one point. Both numbers are positive, and they go together: a bold digit has much ink on both sides.
#
# The cloud is described by its mean $\mu$ and its covariance matrix
# $C = \frac{1}{n-1}\sum (x-\mu)(x-\mu)^\top = V \operatorname{diag}(\lambda)\, V^\top$. The columns of $V$ are
# the axes of the cloud, and $\lambda_i$ is its variance along axis $i$. Four maps make it simpler, step by step:
#
# | map | formula | what it does |
# |---|---|---|
# | `Center` | $x - \mu$ | moves the cloud to the origin |
# | `Decorrelate` | $V^\top (x-\mu)$ | turns it until its axes are the axes of the picture |
# | `Whiten("pca")` | $\operatorname{diag}(\lambda)^{-1/2}\, V^\top (x-\mu)$ | stretches it until it is round |
# | `Whiten("zca")` | $V \operatorname{diag}(\lambda)^{-1/2}\, V^\top (x-\mu)$ | round, and turned back |

# %%
left, right = images[:, :, :14].mean(axis=(1, 2)), images[:, :, 14:].mean(axis=(1, 2))
cloud = np.stack([left, right], axis=1).astype(np.float64)
maps = {
    "centred": Center(),
    "decorrelated": Decorrelate(),
    "whitened (PCA)": Whiten("pca", epsilon=0),
    "whitened (ZCA)": Whiten("zca", epsilon=0),
}
clouds = {"as it is": cloud} | {name: chosen.fit_transform(cloud) for name, chosen in maps.items()}

figure, axes = plt.subplots(1, 5, figsize=(15, 3.4))
for ax, (name, z) in zip(axes, clouds.items(), strict=True):
    for digit, colour in ((0, BLUE), (1, VERMILION)):  # the same images in every picture
        ax.plot(*z[train.labels == digit].T, ".", color=colour, markersize=2, alpha=0.4, label=f"digit {digit}")
    reach = abs(z).max() if name != "as it is" else 0.35
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), title=name, aspect="equal")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.axvline(0, color="black", linewidth=0.8)
axes[0].set(xlabel="ink on the left", ylabel="ink on the right")
axes[0].legend(loc="lower left", markerscale=5, frameon=False)

for name, z in clouds.items():
    print(f"{name:15s} mean {z.mean(axis=0).round(3) + 0}   covariance {(np.cov(z.T).round(4) + 0).tolist()}")

assert np.allclose(clouds["centred"].mean(axis=0), 0)
assert abs(np.cov(clouds["decorrelated"].T)[0, 1]) < 1e-12
for name in ("whitened (PCA)", "whitened (ZCA)"):
    assert np.allclose(np.cov(clouds[name].T), np.eye(2))

# %% [markdown]
# *What it shows.* The first picture fills a corner: all numbers are positive. After whitening the covariance is
# the identity: no direction is special any more. PCA and ZCA whitening differ by a rotation only. Of all whitened
# clouds, ZCA's lies nearest to the centred one, so features keep their meaning: the left stays left. We can check
# that.

# %%
to_pca = np.square(clouds["whitened (PCA)"] - clouds["centred"]).sum()
to_zca = np.square(clouds["whitened (ZCA)"] - clouds["centred"]).sum()
print(f"squared distance to the centred cloud: PCA {to_pca:.0f}, ZCA {to_zca:.0f}")
assert to_zca < to_pca

# %% [markdown]
# The same on whole images, with all 784 pixels. A whitened image by ZCA is still an image: its edges are left,
# and its even areas are gone, because neighbouring pixels are correlated and what can be predicted from the
# neighbours is taken away. A whitened image by PCA is a list of coordinates; as a picture it makes no sense.
#
# Some pixels never vary, and others hardly do. Divided by $\sqrt{\lambda_i}$ alone, their noise would become as
# loud as the strokes. So one divides by $\sqrt{\lambda_i + \epsilon}$. Here $\epsilon = 0.01$ (a pixel's variance
# is at most 0.25).

# %%
zca = Whiten("zca", epsilon=0.01).fit(pixels)
pca = Whiten("pca", epsilon=0.01)
pca.load_state_dict(zca.state_dict())  # the axes are the same: no need to look for them again
shown = {
    "as it is": pixels[:8],
    "centred": pixels[:8] - pixels.mean(axis=0),
    "whitened (ZCA)": zca.transform(pixels[:8]),
    "whitened (PCA)": pca.transform(pixels[:8]),
}

figure, axes = plt.subplots(4, 8, figsize=(10, 5))
for row, (name, pictures) in zip(axes, shown.items(), strict=True):
    reach = 1 if "white" not in name else abs(pictures).max() / 2
    for ax, picture in zip(row, pictures, strict=True):
        ax.imshow(picture.reshape(28, 28), cmap="RdGy", vmin=-reach, vmax=reach)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
figure.suptitle("grey and black: above 0, red: below 0")
assert np.allclose(zca.variances, pca.variances)


# %% [markdown]
# ## Why it matters: the condition number
#
# Near its minimum every smooth loss looks like a bowl, $L(w) = L^* + \frac12 (w-w^*)^\top H\,(w-w^*)$. Let
# $\lambda_1 \ge \dots \ge \lambda_n$ be the eigenvalues of $H$. One step of gradient descent,
# $w \leftarrow w - \eta H (w - w^*)$, multiplies the error along eigenvector $i$ by
#
# $$1 - \eta\lambda_i .$$
#
# So $\eta$ must stay below $2/\lambda_1$, or the steepest direction explodes. With $\eta = 1/\lambda_1$ the
# flattest direction shrinks by the factor $1 - \lambda_n/\lambda_1 = 1 - 1/\kappa$ only. The number of steps
# grows with the **condition number** $\kappa = \lambda_1/\lambda_n$.
#
# For a linear model with squared loss, $s = x^\top W + b$, the matrix $H$ is the mean of
# $\tilde x \tilde x^\top$, where $\tilde x = (x, 1)$: *the data alone decide $\kappa$*. To have no pixel that
# never varies, we take the middle of each image, 20×20 pixels, and average 2×2 of them: 100 features.


# %%
def shrink(images):
    """The middle of each image in 10×10 pixels, as rows of 100 features."""
    middle = images.reshape(-1, 28, 28)[:, 4:24, 4:24]
    return middle.reshape(-1, 10, 2, 10, 2).mean(axis=(2, 4)).reshape(-1, 100)


small = shrink(images[:3000]).astype(np.float64)
labels = train.labels[:3000]
versions = {
    "as they are": small,
    "centred": Center().fit_transform(small),
    "standardised": Standardize().fit_transform(small),
    "decorrelated": Decorrelate().fit_transform(small),
    "whitened": Whiten("pca", epsilon=0).fit_transform(small),
}
one_hot = np.eye(10)[labels]


def eigenvalues(z):
    """Those of H for a linear model with a bias on the inputs z, largest first."""
    z = np.column_stack([z, np.ones(len(z))])
    return np.linalg.eigvalsh(z.T @ z / len(z))[::-1]


STEPS = 60
kappa, curves = {}, {}
for name, z in versions.items():
    values = eigenvalues(z)
    kappa[name] = values[0] / values[-1]
    network = mlp.Network(mlp.Linear(100, 10, weight_init="zeros", dtype=np.float64))
    optimizer = mlp.SGD(network.parameters, lr=1 / values[0])
    data = mlp.Dataset(z, one_hot, num_classes=10)  # a regression on the one-hot vectors
    solver = mlp.Solver(network, mlp.MSELoss(), optimizer, epochs=STEPS, batch_size=None)
    curves[name] = solver.fit(data)["train_loss"]

z1 = np.column_stack([small, np.ones(len(small))])
best = 0.5 * np.square(z1 @ np.linalg.lstsq(z1, one_hot)[0] - one_hot).sum(axis=1).mean()  # the solution itself

figure, ax = plt.subplots(figsize=(7, 4))
for (name, curve), style in zip(curves.items(), ("-", "-", "-", ":", "-"), strict=True):
    ax.plot(curve - best, style, label=f"{name}: κ = {kappa[name]:,.0f}", linewidth=3 if style == ":" else 1.5)
ax.set(
    yscale="log", ylim=(1e-4, 1), xlabel="step of gradient descent with η = 1/λ₁", ylabel="loss above the best one"
)
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

for name, curve in curves.items():
    print(f"{name:13s} condition number {kappa[name]:8,.0f}, after {STEPS} steps {curve[-1] - best:.1e} too high")

assert kappa["as they are"] > 3 * kappa["centred"] > 9 * kappa["standardised"] > 27 * kappa["whitened"]
assert np.isclose(kappa["centred"], kappa["decorrelated"], rtol=1e-6)  # a rotation changes no eigenvalue
assert np.allclose(curves["centred"], curves["decorrelated"])
assert curves["whitened"][1] - best < 1e-3 * (curves["as they are"][STEPS // 2] - best)  # there after one step
assert curves["as they are"][-1] > curves["centred"][-1] > curves["standardised"][-1]

# %% [markdown]
# *What it shows.* Whitened inputs have $H = I$: every direction is equally steep, $\eta = 1$ is right for all of
# them, and one single step arrives. Centring alone already helps: without it the direction "all pixels together"
# is steeper than all others, and forces a small rate on all of them. Decorrelation *alone* changes nothing here:
# gradient descent does not care how the picture is turned. It prepares the division by $\sqrt\lambda$, no more.
# (Adam does care: it treats each weight by itself. That is exercise 1.)
#
# **Does it help a real network as much?** Two layers, ReLU, mini-batches, all 6000 images. The rate is 1, which
# is high and about the best for each of them (at smaller rates the order differs: exercise 2).

# %%
small, small_test = shrink(pixels), shrink(test.inputs + 128 / 255)
chosen = {
    "as they are": None,
    "centred": Center(),
    "standardised": Standardize(),
    "whitened": Whiten("zca", epsilon=0),
}


def learn(z, z_test, rate, seed):
    """The training loss in the last epoch and the accuracy on the test set."""
    network = mlp.Network(mlp.Linear(100, 128), mlp.ReLU(), mlp.Linear(128, 10), rng=seed)
    optimizer = mlp.SGD(network.parameters, lr=rate)
    solver = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=EPOCHS, rng=seed)
    loss = solver.fit((z, train.labels))["train_loss"][-1]
    return loss, mlp.metrics.accuracy(test.labels, network.predict(z_test))


loss, accuracy = {}, {}
for name, preprocessing in chosen.items():
    z, z_test = small, small_test
    if preprocessing is not None:
        preprocessing.fit(small)  # on the training set alone: the test set must stay unseen
        z, z_test = preprocessing.transform(small), preprocessing.transform(small_test)
    loss[name], accuracy[name] = np.mean([learn(z, z_test, 1.0, seed) for seed in SEEDS], axis=0)
    print(f"{name:13s} training loss {loss[name]:.3f}, test accuracy {accuracy[name]:.2%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 2.6), sharey=True)
left.barh(list(loss), list(loss.values()), color=BLUE)
right.plot([100 * value for value in accuracy.values()], list(loss), "o", color=VERMILION, markersize=10)
right.grid(axis="x", alpha=0.3)
left.set(xlabel=f"training loss, epoch {EPOCHS}")
left.invert_yaxis()
right.set(xlabel="test accuracy (%)")

assert loss["whitened"] < loss["standardised"] < loss["as they are"]  # the training set is learned faster
assert accuracy["standardised"] > accuracy["as they are"]
assert accuracy["standardised"] > accuracy["whitened"]  # and yet...

# %% [markdown]
# *What it shows.* On the training set the order is the one that the condition numbers promise. On the test set it
# is not: whitening loses to plain standardisation. The flattest directions of the cloud hold little but noise,
# and whitening makes them as loud as the strokes: the network learns the noise of its training images. A smaller
# $\kappa$ is about *speed*; it says nothing about *generalisation*. This is why images are usually centred, often
# standardised, and seldom whitened.
#
# ## Normalisation layers: the same for all layers
#
# Preprocessing cares for the first layer. What the second layer sees changes with every update of the first.
# BatchNorm normalises there too, anew in every batch. For each feature, with mean $\mu$ and variance $\sigma^2$
# over the batch,
#
# $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma\,\hat x + \beta .$$
#
# $\gamma$ and $\beta$ are learned, so that nothing is lost: the layer could undo what it does. LayerNorm takes
# mean and variance over the features of *one sample*, and RMSNorm only divides by
# $\sqrt{\operatorname{mean}(x^2)+\epsilon}$.
#
# | layer | statistics over | centres | depends on the rest of the batch |
# |---|---|---|---|
# | `BatchNorm` | the batch, for each feature | yes | yes, while it learns |
# | `LayerNorm` | the features, for each sample | yes | no |
# | `RMSNorm` | the features, for each sample | no | no |
#
# **Which learning rates do they survive?** Four hidden layers of 64, and a rate from 0.03 to 10.

# %%
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
NORMALISATIONS = {"none": None, "BatchNorm": mlp.BatchNorm, "LayerNorm": mlp.LayerNorm, "RMSNorm": mlp.RMSNorm}


def deep_network(normalisation, activation=mlp.ReLU, rng=0):
    layers, width = [], 784
    for _ in range(4):
        layers.append(mlp.Linear(width, 64))
        if normalisation is not None:
            layers.append(normalisation(64))
        layers.append(activation())
        width = 64
    return mlp.Network(*layers, mlp.Linear(64, 10), rng=rng)


def train_loss(network, rate, rng=0):
    """In the last epoch; infinite if training broke down."""
    solver = mlp.Solver(network, mlp.CrossEntropyLoss(), mlp.SGD(network.parameters, lr=rate), epochs=2, rng=rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlp warns of networks that only guess; here we want to see them
        try:
            return solver.fit(train)["train_loss"][-1]
        except mlp.solver.loop.NotFinite:
            return np.inf


losses = {
    name: np.array([train_loss(deep_network(normalisation), rate) for rate in RATES])
    for name, normalisation in NORMALISATIONS.items()
}

figure, ax = plt.subplots(figsize=(7, 4))
for (name, values), colour in zip(losses.items(), (BLACK, BLUE, GREEN, VERMILION), strict=True):
    ax.plot(RATES, np.minimum(values, 3), marker="o", color=colour, label=name)
ax.axhline(np.log(10), color="grey", linestyle=":")
ax.text(RATES[0], np.log(10) + 0.04, "guessing: ln 10", color="grey")
ax.set(xscale="log", xlabel="learning rate", ylabel="training loss (3: broken down)", ylim=(0, 3.1))
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
for name, values in losses.items():
    works = [rate for rate, value in zip(RATES, values, strict=True) if value < 1]
    print(f"{name:10s} loss below 1 at the rates {works}, best {values.min():.2f}")

at = {rate: i for i, rate in enumerate(RATES)}
assert losses["BatchNorm"][at[1.0]] < 0.6  # ten times what the plain network survives
assert losses["none"][at[1.0]] > 1.5
assert losses["none"][at[3.0]] > 2
assert losses["BatchNorm"].min() < 0.5 * losses["none"].min()

# %% [markdown]
# *What it shows.* The plain network has one good rate, and at 3 it breaks down. With BatchNorm rates up to 3
# work, and the high ones work best. The reason is in the formula: multiply $W$ by a number $a$, and $\hat x$
# stays as it is. So $L(aW) = L(W)$. Differentiate both sides by $W$: $a\,\nabla L(aW) = \nabla L(W)$, *large
# weights get small gradients*. A step that was too long makes $W$ long, and the next steps small: the layer
# brakes by itself. We can check this: ten times the weights, a tenth of the gradient.
#
# LayerNorm and RMSNorm keep the losses finite, but help little here. They treat each image by itself, and cannot
# take away what all images have in common (most pixels are white in all of them). BatchNorm does. In
# transformers, where batches are ragged and sequences long, the choice falls the other way.

# %%
x, y = train[:200]
gradients = {}
for factor in (1, 10):
    network = deep_network(mlp.BatchNorm)
    network[0].weight.data[...] *= factor
    network.training_step(x, y, mlp.CrossEntropyLoss())
    gradients[factor] = network[0].weight.grad.copy()
size = {factor: np.linalg.norm(g) for factor, g in gradients.items()}
print(f"|dL/dW| is {size[1]:.4f}, and with 10 W it is {size[10]:.5f}: a factor of {size[1] / size[10]:.2f}")
assert np.isclose(size[1] / size[10], 10, rtol=0.02)

# %% [markdown]
# ## Before the sigmoid, or after?
#
# A sigmoid is useful where it is steep, for inputs between about -4 and 4. Outside it is *saturated*: its slope
# $s(1-s)$ is below 0.02 and hardly any gradient passes. BatchNorm *before* the sigmoid puts its inputs where it
# is steep, whatever the weights are. *After* the sigmoid it can stretch the outputs again, but the slope is lost.
# So everybody says: before. Let us see four layers whose weights begin as they should (Xavier), ten times too
# large, and forty times.

# %%
places = {
    "none": lambda: (mlp.Sigmoid(),),
    "BatchNorm before": lambda: (mlp.BatchNorm(64), mlp.Sigmoid()),
    "BatchNorm after": lambda: (mlp.Sigmoid(), mlp.BatchNorm(64)),
}
COLOURS = dict(zip(places, (BLACK, BLUE, VERMILION), strict=True))
FACTORS = (1, 10, 40)


def sigmoid_network(place, factor):
    layers, width = [], 784
    for _ in range(4):
        layers += [mlp.Linear(width, 64), *place()]
        width = 64
    network = mlp.Network(*layers, mlp.Linear(64, 10), rng=0, init="xavier_normal")
    for layer in network[:-1]:
        if isinstance(layer, mlp.Linear):
            layer.weight.data[...] *= factor
    return network


figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), width_ratios=(1, 1, 1, 1.5))
saturated, losses = {}, {}
for ax, (name, place) in zip(axes, places.items(), strict=False):
    network = sigmoid_network(place, 10)
    last = max(i for i, layer in enumerate(network) if isinstance(layer, mlp.Sigmoid))
    inputs = network[:last].forward(train[:500].inputs)  # what goes into the last sigmoid
    saturated[name] = np.mean(abs(inputs) > 4)
    ax.hist(inputs.ravel(), bins=60, range=(-30, 30), color=COLOURS[name])
    ax.axvspan(-4, 4, color=GREEN, alpha=0.25, zorder=0)
    ax.set(title=f"{name}\n{saturated[name]:.0%} saturated", xlabel="input of the last sigmoid", yticks=[])
    losses[name] = [min(train_loss(sigmoid_network(place, f), rate) for rate in (0.5, 2.0)) for f in FACTORS]
    axes[3].plot(FACTORS, losses[name], color=COLOURS[name], marker="o", label=name)
    print(
        f"{name:17s} loss "
        + ", ".join(f"{v:.2f} (weights × {f})" for f, v in zip(FACTORS, losses[name], strict=True))
    )
axes[3].set(xscale="log", xticks=FACTORS, xticklabels=[f"×{f}" for f in FACTORS], xlabel="initial weights")
axes[3].set(title="training loss (better of two rates)", ylim=0)
axes[3].minorticks_off()
axes[3].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

assert saturated["none"] > 0.2
assert saturated["BatchNorm after"] > 0.2
assert saturated["BatchNorm before"] < 0.01
for i in range(3):  # before the sigmoid it always helps
    assert losses["BatchNorm before"][i] < 0.8 * losses["none"][i]
assert losses["BatchNorm before"][2] < 0.8 * losses["BatchNorm after"][2]  # weights far too large: before wins
assert losses["BatchNorm after"][0] < losses["BatchNorm before"][0]  # weights as they should be: after wins

# %% [markdown]
# *What it shows.* The pictures confirm the argument: before the sigmoid nothing is saturated. And where weights
# are far too large, only this place learns. But with weights of the right size the rule *does not hold here*:
# after the sigmoid BatchNorm learns faster. There it hands centred inputs to the next layer (a sigmoid's outputs
# are all positive), which is the first lesson of this page once more. "Before" is the place that is safe.
#
# ## To learn and to be used are two things
#
# In training the output for an image depends on the rest of its batch. In use that would be strange: the answer
# to a student's question would depend on who else asks. So BatchNorm follows mean and variance while it learns,
# $\text{running} \leftarrow (1-m)\,\text{running} + m\,\text{current}$ with $m = 0.1$, and in use takes these.
# `network.train()` and `network.eval()` switch; `predict`, `scores` and `mlp.evaluate` switch by themselves.
#
# What happens to those who forget it? With a random batch, little. With a batch of one kind of image, all is
# lost: what they have in common is taken away, and that was the answer.

# %%
network = mlp.Network(mlp.Linear(784, 64), mlp.BatchNorm(64), mlp.ReLU(), mlp.Linear(64, 10), rng=0)
solver = mlp.Solver(network, mlp.CrossEntropyLoss(), mlp.SGD(network.parameters, lr=0.3), epochs=EPOCHS)
solver.fit(train)

x, y = test[:2000]
by_digit = np.argsort(y, kind="stable")
orders = {"mixed": np.arange(len(y)), "sorted by digit": by_digit}
right = {}
for mode in ("eval", "train"):
    for order, indices in orders.items():
        with network.mode(training=mode == "train"):
            answers = [network.forward(x[i]).argmax(axis=1) for i in np.array_split(indices, 20)]
        right[mode, order] = mlp.metrics.accuracy(y[indices], np.concatenate(answers))
        print(f"{mode:5s} mode, batches of 100, {order:15s}: {right[mode, order]:.1%}")

figure, ax = plt.subplots(figsize=(6, 3))
for k, mode in enumerate(("eval", "train")):
    heights = [100 * right[mode, order] for order in orders]
    bars = ax.bar(np.arange(2) + 0.4 * k, heights, 0.38, color=(BLUE, VERMILION)[k], label=f"network.{mode}()")
    ax.bar_label(bars, fmt="%.0f")
ax.set(xticks=np.arange(2) + 0.2, xticklabels=list(orders), ylabel="test accuracy (%)", ylim=(0, 112))
ax.legend(frameon=False, ncols=2, loc="upper right")

assert right["eval", "mixed"] == right["eval", "sorted by digit"] > 0.85
assert right["train", "sorted by digit"] < 0.6

# %% [markdown]
# ## Folding
#
# In use, BatchNorm is nothing but $y = a\,x + c$ with fixed numbers:
# $a = \gamma / \sqrt{\text{running var} + \epsilon}$. The layer before it is $x = zW + b$. Together they are one
# Linear layer with
#
# $$W' = W \cdot a, \qquad b' = (b - \text{running mean}) \cdot a + \beta .$$
#
# So BatchNorm costs nothing in use. `network.with_folded_batch_norm()` does it. We compare in float64, to see
# that only rounding differs.

# %%
exact = network.astype(np.float64).eval()
folded = exact.with_folded_batch_norm()
print(folded)
difference = abs(folded.scores(x.astype(np.float64)) - exact.scores(x.astype(np.float64))).max()
print(f"largest difference of a score: {difference:.1e}")
assert difference < 1e-10
assert not any(isinstance(layer, mlp.BatchNorm) for layer in folded)

# %% [markdown]
# ## LayerNorm and RMSNorm: what they do not see
#
# LayerNorm gives the same for $x$ and for $a x + c$: it does not see the contrast and the brightness of an image.
# RMSNorm does not see $a$, but it sees $c$. As the first layer of a network this is a promise about photographs
# with too little light. We train on normal images, and test on images with ever less contrast.

# %%
first = {"none": [], "LayerNorm": [mlp.LayerNorm(784)], "RMSNorm": [mlp.RMSNorm(784)]}
contrasts = (1.0, 0.5, 0.25, 0.1)
curves = {}
for name, layers in first.items():
    network = mlp.Network(*layers, mlp.Linear(784, 64), mlp.ReLU(), mlp.Linear(64, 10), rng=0)
    solver = mlp.Solver(network, mlp.CrossEntropyLoss(), mlp.SGD(network.parameters, lr=0.1), epochs=EPOCHS)
    solver.fit((pixels, train.labels))
    x = test.inputs[:2000] + 128 / 255
    y = test.labels[:2000]
    curves[name] = [[mlp.metrics.accuracy(y, network.predict(a * x + c)) for a in contrasts] for c in (0.0, 0.5)]

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for k, title in enumerate(("a · x", "a · x + 0.5")):
    for (name, rows), colour in zip(curves.items(), (BLACK, BLUE, VERMILION), strict=True):
        axes[k].plot(contrasts, 100 * np.array(rows[k]), marker="o", color=colour, label=name)
    axes[k].set(xscale="log", xlim=(1.1, 0.09), title=f"test images: {title}", xlabel="contrast a", ylim=(0, 100))
    axes[k].set(xticks=contrasts, xticklabels=contrasts)
    axes[k].minorticks_off()
axes[0].set_ylabel("accuracy (%)")
axes[1].legend(frameon=False)
for name, rows in curves.items():
    print(
        f"{name:10s} contrast 1: {rows[0][0]:.1%}, contrast 0.1: {rows[0][-1]:.1%}, and brighter: {rows[1][-1]:.1%}"
    )

assert abs(curves["LayerNorm"][1][-1] - curves["LayerNorm"][0][0]) < 0.02
assert abs(curves["RMSNorm"][0][-1] - curves["RMSNorm"][0][0]) < 0.02
assert curves["RMSNorm"][1][-1] < 0.5
assert curves["none"][0][-1] < curves["none"][0][0] - 0.05

# %% [markdown]
# *What it shows.* What a normalisation takes away, the network cannot see, for better (light) and for worse (if
# the brightness were the answer).
#
# ## Exercises
#
# **1. Adam and the axes.** Gradient descent does not care how the axes are turned: "centred" and "decorrelated"
# had the same curve. Replace `mlp.SGD` by `mlp.Adam(network.parameters, lr=0.01)` and compare the two curves.
# Which of the two is better for Adam, and why?
#
# <details><summary>Solution</summary>
#
# Adam divides each weight's step by the size of that weight's own gradients: it corrects bowls whose axes are
# *the axes of the weights*. After decorrelation they are (for a linear model with squared loss), and Adam comes
# closer in the same number of steps.
#
# ```python
# above = {}
# for name in ("centred", "decorrelated"):
#     network = mlp.Network(mlp.Linear(100, 10, weight_init="zeros", dtype=np.float64))
#     optimizer = mlp.Adam(network.parameters, lr=0.01)
#     data = mlp.Dataset(versions[name], one_hot, num_classes=10)
#     solver = mlp.Solver(network, mlp.MSELoss(), optimizer, epochs=STEPS, batch_size=None)
#     above[name] = solver.fit(data)["train_loss"][-1] - best
#     print(f"{name}: {above[name]:.1e} too high")
# assert above["decorrelated"] < above["centred"]
# ```
# </details>
#
# **2. One rate for all.** The comparison of the real network used the learning rate 1. Make it with 0.05. What
# happens to the order, and what does it say about comparisons at one fixed rate?
#
# <details><summary>Solution</summary>
#
# At 0.05 standardisation is far ahead, and centring is behind doing nothing. A small rate is below what every
# cloud could stand ($\eta < 2/\lambda_1$), so the cloud with the largest variance takes the largest effective
# steps: what is measured is the scale of the inputs. A fair comparison gives each its own best rate.
#
# ```python
# for name, preprocessing in chosen.items():
#     z = small if preprocessing is None else preprocessing.transform(small)
#     z_test = small_test if preprocessing is None else preprocessing.transform(small_test)
#     loss, right = learn(z, z_test, 0.05, seed=0)
#     print(f"{name:13s} training loss {loss:.3f}, test accuracy {right:.2%}")
# ```
# </details>
#
# **3. The running mean.** How many batches does BatchNorm need until its running mean is right? It starts at 0
# and moves by the share $m = 0.1$ each time. Predict the share of the way after $n$ batches, then measure it.
#
# <details><summary>Solution</summary>
#
# What is missing shrinks by $1 - m$ with each batch, so after $n$ batches the share $1 - 0.9^n$ of the way is
# done: 65 % after 10, 99.5 % after 50. A network used after very few batches is used with wrong statistics.
#
# ```python
# layer = mlp.BatchNorm(784)
# x, _ = train[:100]
# for n in range(1, 51):
#     layer.forward(x)
#     if n in (1, 10, 50):
#         share = np.linalg.norm(layer.running_mean) / np.linalg.norm(x.mean(axis=0))
#         print(f"after {n:2d} batches: {share:.4f}, predicted {1 - 0.9**n:.4f}")
#         assert np.isclose(share, 1 - 0.9**n, rtol=1e-3)
# ```
# </details>
