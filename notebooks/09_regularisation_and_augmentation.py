# %% [markdown]
# # 9. Regularisation and augmentation
#
# **What you will see.** A network learns 1000 images by heart, and fails on new ones. Against that there are many
# remedies: penalties, constraints, dropout, early stopping, noise, mixtures, distorted images, many networks that
# vote. You try all of them on the same network and see which ones help here, by how much, and which do not. You
# see what a penalty says about the weights before any data were seen: it is a *prior*. At the end you change
# images so little that you do not notice, and the network does; and you teach it to stand that.

# %%
import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp.data.augmentation import AffineElastic, ElasticDistortion, GaussianNoise, Mixup, Shift
from mlp.optim import cosine
from mlp.optim.regularizers import L1, L2, ElasticNet, MaxNorm
from mlp.plots import BLACK, BLUE, GREEN, VERMILION
from mlp.solver.adversarial import FGSM
from mlp.solver.ensemble import bag

THOROUGH = False  # True: more epochs, more seeds

SEEDS = range(3 if THOROUGH else 1)
EPOCHS = 60 if THOROUGH else 25
plt.rcParams.update({"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False})

train, test = mlp.load_mnist()
# White is 0 in this lesson and black is 1, so that what a distortion moves in from outside is 0.
train, test = (data[:5000].replace(inputs=data[:5000].inputs + 128 / 255) for data in (train, test))
small, validation = train[:1000], train[1000:2000]
loss = mlp.CrossEntropyLoss()

# %% [markdown]
# ## Learning by heart
#
# 1000 images, and 51,000 parameters. The loss on the training images goes to 0. The loss on new images falls,
# turns, and rises: **overfitting**. *Early stopping* watches the loss on validation images that take no part in
# training, and returns to the best epoch.


# %%
def plain_layers():
    return [mlp.Linear(784, 64), mlp.ReLU(), mlp.Linear(64, 10)]


def fit(data=small, layers=plain_layers, seed=0, epochs=EPOCHS, batch_size=50, **options):
    """A network, trained with Adam and a rate that falls to 0; ``options`` are those of the solver."""
    network = mlp.Network(*layers(), rng=seed)
    steps = epochs * -(-len(data) // batch_size)
    solver = mlp.Solver(
        network, loss, mlp.Adam(network.parameters), epochs=epochs, batch_size=batch_size, rng=seed,
        schedule=options.pop("schedule", cosine(0.003, steps)), **options,
    )  # fmt: skip
    watched = validation if options.get("callbacks") else None
    solver.fit(data, validation=watched)
    return network


stopping = mlp.EarlyStopping(patience=10)
network = mlp.Network(*plain_layers(), rng=0)
solver = mlp.Solver(
    network, loss, mlp.Adam(network.parameters, lr=0.003), epochs=60, batch_size=50, callbacks=[stopping]
)
history = solver.fit(small, validation=validation)

figure, ax = plt.subplots(figsize=(7, 3.2))
ax.plot(history["epoch"], history["train_loss"], color=BLUE, label="training images")
ax.plot(history["epoch"], history["validation_loss"], color=VERMILION, label="validation images")
ax.axvline(stopping.best_epoch, color=BLACK, linestyle=":", label=f"best: epoch {stopping.best_epoch}")
ax.set(xlabel="epoch", ylabel="loss", ylim=(0, 1.5))
ax.legend(frameon=False)
print(solver.stopped)
assert history["train_loss"][-1] < 0.5 * history["validation_loss"].min()
assert history["validation_loss"][-1] > history["validation_loss"].min()
assert stopping.best_epoch == history["epoch"][history["validation_loss"].argmin()]

# %% [markdown]
# ## Images that were never taken
#
# A seven that is moved by a pixel is still a seven. We know that, the network does not. *Augmentation* tells it:
# each time an image is used, it is changed a little, differently each time. An **elastic distortion** moves every
# pixel by a smooth random field, as a hand that trembles does (Simard et al., 2003).

# %%
augmentations = {
    "shift": Shift(1),
    "elastic": ElasticDistortion(20, 4),
    "affine + elastic": AffineElastic(degrees=5, shift=1.0, scale=0.05, alpha=20, sigma=4),
    "noise": GaussianNoise(0.4),
    "mixup": Mixup(0.4, num_classes=10),
}
rng = np.random.default_rng(0)
figure, axes = plt.subplots(5, 8, figsize=(8, 5.4))
x, y = small[:8]
for row, (name, augment) in zip(axes, augmentations.items(), strict=True):
    # The same image eight times; mixup needs others to mix with.
    shown, _ = augment(x if name == "mixup" else np.repeat(x[1:2], 8, axis=0), y, rng)
    for ax, image in zip(row, shown, strict=True):
        ax.imshow(image.reshape(28, 28), cmap="gray_r", vmin=-0.2, vmax=1.2)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %% [markdown]
# ## All remedies, side by side
#
# | remedy | what it does |
# |---|---|
# | L2 | $+\ \frac\lambda2 \sum w^2$ to the loss |
# | L1 | $+\ \lambda \sum \lvert w\rvert$ |
# | elastic net | both |
# | max-norm | no neuron's weight vector is longer than $c$ |
# | dropout | each hidden unit is switched off with probability $p$, in every step anew |
# | early stopping | as above |
# | noise, mixup, shift, elastic | other images in each step |
# | bagging | five networks, each on a sample of the images drawn with replacement, vote |
#
# The strengths are reasonable ones, found by a few tries on the *validation* images.


# %%
def with_dropout():
    return [mlp.Linear(784, 64), mlp.ReLU(), mlp.Dropout(0.3), mlp.Linear(64, 10)]


def bagged(seed):
    return bag(lambda sample, rng: fit(sample, seed=rng), small, 5, rng=seed)


remedies = {
    "none": lambda seed: fit(seed=seed),
    "L2": lambda seed: fit(seed=seed, regularizer=L2(0.01)),
    "L1": lambda seed: fit(seed=seed, regularizer=L1(0.0005)),
    "elastic net": lambda seed: fit(seed=seed, regularizer=ElasticNet(0.0003, 0.003)),
    "max-norm": lambda seed: fit(seed=seed, constraint=MaxNorm(1.0)),
    "dropout": lambda seed: fit(seed=seed, layers=with_dropout),
    "dropout + L2": lambda seed: fit(seed=seed, layers=with_dropout, regularizer=L2(0.01)),
    "dropout + max-norm": lambda seed: fit(seed=seed, layers=with_dropout, constraint=MaxNorm(1.0)),
    "early stopping": lambda seed: fit(seed=seed, callbacks=[mlp.EarlyStopping(patience=5)]),
    "bagging": bagged,
    **{name: lambda seed, a=a: fit(seed=seed, transform=a) for name, a in augmentations.items()},
}
models, train_accuracy, accuracy, test_loss = {}, {}, {}, {}
for name, make in remedies.items():
    made = [make(seed) for seed in SEEDS]
    models[name] = made[0]
    train_accuracy[name] = np.mean([mlp.metrics.accuracy(small.labels, m.predict(small.inputs)) for m in made])
    accuracy[name] = np.mean([mlp.metrics.accuracy(test.labels, m.predict(test.inputs)) for m in made])
    test_loss[name] = np.mean([mlp.metrics.log_loss(test.labels, m.predict_proba(test.inputs)) for m in made])

order = sorted(remedies, key=accuracy.get)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True)
colours = [VERMILION if name in augmentations else BLACK if name == "none" else BLUE for name in order]
left.scatter([100 * train_accuracy[name] for name in order], order, color="lightgrey", label="training images")
left.scatter([100 * accuracy[name] for name in order], order, color=colours, label="test images")
left.axvline(100 * accuracy["none"], color=BLACK, linestyle=":")
left.set(xlabel="accuracy (%); grey: on the training images")
right.scatter([test_loss[name] for name in order], order, color=colours)
right.axvline(test_loss["none"], color=BLACK, linestyle=":")
right.set(xlabel="test loss")
for ax in (left, right):
    ax.grid(axis="y", alpha=0.3)
for name in reversed(order):
    print(
        f"{name:17s} training {train_accuracy[name]:.1%}, test {accuracy[name]:.1%}, test loss {test_loss[name]:.3f}"
    )

moved = [accuracy[name] for name in ("shift", "elastic", "affine + elastic")]
assert train_accuracy["none"] > 0.99
assert max(moved) > accuracy["none"] + 0.015
assert test_loss["elastic"] < 0.9 * test_loss["none"]
assert test_loss["dropout"] < test_loss["none"]
assert test_loss["bagging"] < test_loss["none"]

# %% [markdown]
# *What it shows.* Moving and bending images helps most, by far: it adds *knowledge*, that a moved digit is the
# same digit. The others add modesty. Here they change the accuracy by a point or two at most, up or down, and
# another seed alone changes it by half a point. But most of them make the *loss* smaller: the network is less
# sure of its mistakes. On larger networks and in longer training than fit into this lesson dropout and max-norm
# bring more. Do not take an order of remedies from one data set to another.
#
# ## What a penalty believes: the Bayesian view
#
# Let $p(D\mid w)$ be the probability of the labels for weights $w$. Before any data we believe in some weights
# more than in others: a prior $p(w)$. Bayes' rule, as a logarithm, is
#
# $$-\log p(w\mid D) = \underbrace{-\log p(D\mid w)}_{N\,\cdot\,\text{mean loss}}\ \underbrace{-\log p(w)}_{N\,\cdot\,R(w)} + \text{const} .$$
#
# So minimising mean loss + $R(w)$ finds the most probable weights (MAP) for the prior $p(w) \propto e^{-N R(w)}$.
# For L2 that is a Gaussian of variance $\frac{1}{\lambda N}$, for L1 a Laplace distribution of scale
# $\frac{1}{\lambda N}$. One weight, whose data say "1.5, give or take 1":
#
# $$\text{L2:}\ \ w = \frac{a}{1+\lambda} \qquad\qquad \text{L1:}\ \ w = \operatorname{sign}(a)\max(\lvert a\rvert - \lambda,\ 0) .$$

# %%
w = np.linspace(-3, 5, 4001)
figure, axes = plt.subplots(1, 3, figsize=(13, 3.2))
strength = 1.0
likelihood = np.exp(-0.5 * (w - 1.5) ** 2)
found = {}
for ax, (name, R) in zip(
    axes,
    {"Gaussian prior (L2)": 0.5 * strength * w**2, "Laplace prior (L1)": strength * abs(w)}.items(),
    strict=False,
):
    posterior = likelihood * np.exp(-R)
    found[name] = w[posterior.argmax()]
    ax.plot(w, likelihood, color=BLUE, label="data: likelihood")
    ax.plot(w, np.exp(-R), color=GREEN, label="prior")
    ax.plot(w, posterior / posterior.max(), color=VERMILION, label=f"posterior, top at {found[name]:.2f}")
    ax.set(title=name, xlabel="w", yticks=[])
    ax.legend(frameon=False, fontsize=8)
a = np.linspace(-3, 3, 121)
axes[2].plot(a, a, ":", color=BLACK, label="no prior")
axes[2].plot(a, a / (1 + strength), color=BLUE, label="L2: shrinks all")
axes[2].plot(a, np.sign(a) * np.maximum(abs(a) - strength, 0), color=VERMILION, label="L1: small ones become 0")
axes[2].set(xlabel="what the data say", title="most probable w")
axes[2].legend(frameon=False, fontsize=8)
assert np.isclose(found["Gaussian prior (L2)"], 1.5 / 2, atol=0.01)
assert np.isclose(found["Laplace prior (L1)"], 0.5, atol=0.01)

# %% [markdown]
# And the weights of our networks, with the priors that they were trained with. (The priors are wide: 1000 images
# speak louder than a modest $\lambda$.) Pixels that are always white leave their weights to the prior alone:
# there the penalty pulls them to 0.

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 3.2), sharey=True)
near_zero = {}
grid = np.linspace(-0.3, 0.3, 400)
for ax, name in zip(axes, ("none", "L2", "L1"), strict=True):
    weights = models[name][0].weight.data.ravel()
    near_zero[name] = np.mean(abs(weights) < 0.003)
    ax.hist(weights, bins=121, range=(-0.3, 0.3), density=True, color=BLUE)
    if name == "L2":
        variance = 1 / (0.01 * len(small))
        ax.plot(
            grid, np.exp(-(grid**2) / 2 / variance) / np.sqrt(2 * np.pi * variance), color=VERMILION, label="prior"
        )
    if name == "L1":
        scale = 1 / (0.0005 * len(small))
        ax.plot(grid, np.exp(-abs(grid) / scale) / 2 / scale, color=VERMILION, label="prior")
    ax.set(
        yscale="log",
        ylim=(1e-2, 200),
        title=f"{name}: {near_zero[name]:.0%} within ±0.003",
        xlabel="weights of layer 0",
    )
axes[1].legend(frameon=False)
assert near_zero["L1"] > 1.5 * near_zero["L2"] > 1.5 * near_zero["none"]

# %% [markdown]
# ## Many networks know more than one
#
# Bagging draws for each network as many images as there are, *with replacement*: about $1-1/e$ = 63 % of them
# occur. Each member is worse than a network that has seen all. Their mistakes differ, and the mean of their
# probabilities errs less than they do. For the loss this is a theorem (Jensen): $-\log$ is convex, so
#
# $$-\log\Big(\frac1M \sum_m p_m(y)\Big) \ \le\ \frac1M\sum_m -\log p_m(y) .$$

# %%
ensemble = models["bagging"]
alone = [mlp.metrics.accuracy(test.labels, member.predict(test.inputs)) for member in ensemble]
alone_loss = [mlp.metrics.log_loss(test.labels, member.predict_proba(test.inputs)) for member in ensemble]
together = mlp.metrics.accuracy(test.labels, ensemble.predict(test.inputs))
together_loss = mlp.metrics.log_loss(test.labels, ensemble.predict_proba(test.inputs))
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.bar(range(5), alone_loss, color=BLUE, label="one member")
ax.axhline(np.mean(alone_loss), color=BLACK, linestyle=":", label="mean of the members")
ax.bar(5.5, together_loss, color=VERMILION, label="together")
ax.set(xticks=[], ylabel="test loss")
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
print(f"members {np.mean(alone):.1%} on average, together {together:.1%}")
print(f"loss of the members {np.mean(alone_loss):.3f} on average, together {together_loss:.3f}")
assert together > np.mean(alone)
assert together_loss < np.mean(alone_loss)

# %% [markdown]
# ## Adversarial images
#
# Which small change makes the loss grow most? If no pixel may change by more than $\varepsilon$, then, to first
# order, the sign of the gradient with respect to the *image* (FGSM, Goodfellow et al., 2015):
#
# $$x' = x + \varepsilon\,\operatorname{sign}\!\left(\frac{\partial L}{\partial x}\right), \qquad L(x') \approx L(x) + \varepsilon \left\lVert\frac{\partial L}{\partial x}\right\rVert_1 .$$
#
# 784 tiny changes, each too small to see, all push in the same direction. Random signs of the same size mostly
# cancel. **Adversarial training** uses such images as an augmentation: the worst neighbour of each image, for the
# network as it is now.

# %%
LIMITS = {"low": 0.0, "high": 1.0}
data = train[:3_000]


def fit_against(epsilon, start=None):
    network = mlp.Network(*plain_layers(), rng=0)
    if start is not None:
        network.load_state_dict(start.state_dict())
    transform = FGSM(network, loss, epsilon, **LIMITS) if epsilon else None
    optimizer = mlp.Adam(network.parameters, lr=0.003)
    mlp.Solver(network, loss, optimizer, epochs=10, batch_size=100, transform=transform).fit(data)
    return network


plain = fit_against(0.0)
# From random weights it does not get started here: a network that knows nothing yet cannot stand the worst images.
defenders = {"plain": plain, "adversarially trained": fit_against(0.1, start=plain)}
EPSILONS = (0.0, 0.02, 0.05, 0.1, 0.15)
x, y = test[:1000]
rng = np.random.default_rng(0)
survived = {}
for name, network in defenders.items():
    attacked = [FGSM(network, loss, epsilon, **LIMITS)(x, y, rng)[0] for epsilon in EPSILONS]
    survived[name] = [mlp.metrics.accuracy(y, network.predict(images)) for images in attacked]
random_signs = [np.clip(x + epsilon * rng.choice([-1, 1], x.shape), 0, 1) for epsilon in EPSILONS]
survived["plain, random signs"] = [
    mlp.metrics.accuracy(y, defenders["plain"].predict(images)) for images in random_signs
]

attacked = FGSM(plain, loss, 0.1, **LIMITS)(x, y, rng)[0]
fooled = np.flatnonzero((plain.predict(x) == y) & (plain.predict(attacked) != y))[:6]
figure, axes = plt.subplots(3, 6, figsize=(8, 4.2))
for column, i in enumerate(fooled):
    for ax, image in zip(axes[:, column], (x[i], 0.5 + attacked[i] - x[i], attacked[i]), strict=True):
        ax.imshow(image.reshape(28, 28), cmap="gray_r", vmin=-0.2, vmax=1.2)
        ax.set(xticks=[], yticks=[])
    axes[0, column].set_title(f"{y[i]}", fontsize=9)
    axes[2, column].set_title(
        f"now a {plain.predict(attacked[i : i + 1])[0]}, {plain.predict_proba(attacked[i : i + 1]).max():.0%}",
        fontsize=9,
    )
for ax, name in zip(axes[:, 0], ("image", "change", "together"), strict=True):
    ax.set_ylabel(name)

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
for (name, values), colour in zip(survived.items(), (BLACK, VERMILION, "grey"), strict=True):
    ax.plot(EPSILONS, 100 * np.array(values), "o-", color=colour, label=name)
    print(f"{name:22s} " + ", ".join(f"ε = {e:g}: {v:.1%}" for e, v in zip(EPSILONS, values, strict=True)))
ax.set(xlabel="ε: how much a pixel may change (white to black is 1)", ylabel="accuracy (%)", ylim=(0, 100))
ax.legend(frameon=False)
at = EPSILONS.index(0.1)
assert survived["plain"][at] < 0.3
assert survived["plain, random signs"][at] > survived["plain"][at] + 0.4
assert survived["adversarially trained"][at] > survived["plain"][at] + 0.3

# %% [markdown]
# *What it shows.* A tenth of the way from white to black is enough to make nearly all answers wrong. The network
# does not see what we see: it adds up 784 numbers. Adversarial training helps against the attack that it was
# trained with. It is no proof against others.
#
# ## Exercises
#
# **1. What dropout leaves alone.** In training `Dropout(p)` keeps a value with probability $1-p$ and divides it
# by $1-p$. Show by experiment that this leaves the mean as it is, so that in use nothing has to be rescaled. What
# does it do to the variance?
#
# <details><summary>Solution</summary>
#
# $E[m] = 1-p$, so the mean of $x\,m/(1-p)$ is $x$. Its variance is $x^2\,\frac{p}{1-p}$: for $p = 0.3$ and
# $x = 2$ it is 1.71.
#
# ```python
# layer = mlp.Dropout(0.3, rng=0)
# outputs = layer.forward(np.full((100_000, 1), 2.0, np.float32))
# print(outputs.mean(), outputs.var(), 4 * 0.3 / 0.7)
# assert np.isclose(outputs.mean(), 2, atol=0.02)
# assert np.isclose(outputs.var(), 4 * 0.3 / 0.7, rtol=0.03)
# ```
#
# </details>
#
# **2. How many images is it worth?** Elastic distortion made a network of 1000 images better. Train without it on
# 2000 and 4000. How many real images are as good?
#
# <details><summary>Solution</summary>
#
# About 2000, when this was written: bending images was worth as much as a thousand more of them.
#
# ```python
# more = {}
# for count in (2000, 4000):
#     network = fit(train[:count], epochs=EPOCHS // 2)
#     more[count] = mlp.metrics.accuracy(test.labels, network.predict(test.inputs))
# print(f"1000 images {accuracy['none']:.1%}, with elastic distortion {accuracy['elastic']:.1%}", more)
# assert accuracy["none"] < accuracy["elastic"] < more[4000]
# ```
#
# </details>
#
# **3. L2 or weight decay.** `SGD(..., weight_decay=λ)` and `regularizer=L2(λ)` are the same for SGD, up to the
# biases. Show it. (Lesson 8 shows that for Adam they are not.)
#
# <details><summary>Solution</summary>
#
# ```python
# made = []
# for decay, regularizer in ((0.01, None), (0.0, L2(0.01, biases=True))):
#     network = mlp.Network(*plain_layers(), rng=0)
#     optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9, weight_decay=decay)
#     mlp.Solver(network, loss, optimizer, epochs=2, regularizer=regularizer).fit(small)
#     made.append(network.parameters.data.copy())
# print(abs(made[0] - made[1]).max())
# assert np.allclose(*made, atol=1e-5)
# ```
#
# </details>
