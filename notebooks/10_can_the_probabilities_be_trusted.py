# %% [markdown]
# # 10. Can the probabilities be trusted?
#
# **What you will see.** A program that is right in 99 of 100 cases and useless. One digit is made rare, and the
# accuracy hides what happens to it; other metrics do not. Then the probabilities themselves: where a network says
# "80 %", it may be right in 60 % of the cases. You see that in a reliability diagram, put it into one number in
# several ways, and find out how far these numbers can be trusted themselves. One parameter, the temperature,
# repairs most of it. At the end up to 60 % of the labels are wrong.

# %%
import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp.data import class_weights, corrupt_labels, oversample
from mlp.data.augmentation import Mixup
from mlp.metrics import calibration
from mlp.plots import BLACK, BLUE, GREEN, VERMILION

THOROUGH = False  # True: more data, more seeds

plt.rcParams.update({"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False})
train, test = mlp.load_mnist()
x_test, y_test = test
SEEDS = range(5 if THOROUGH else 2)


def fit(data, loss=None, epochs=8, rng=0, width=64, rate=0.003, **options):
    network = mlp.Network(mlp.Linear(784, width), mlp.ReLU(), mlp.Linear(width, 10), rng=rng)
    loss = mlp.CrossEntropyLoss() if loss is None else loss
    optimizer = mlp.Adam(network.parameters, lr=rate)
    mlp.Solver(network, loss, optimizer, epochs=epochs, batch_size=100, rng=rng, **options).fit(data)
    return network


# %% [markdown]
# ## One digit is rare
#
# From 4000 images we remove most of the eights, until one image in a hundred is an eight. Think of a rare
# disease. Three ways to train:
#
# - **plain**,
# - **class weights**: the loss of an image of class $k$ counts $w_k = \frac{N}{K\,n_k}$, so that each class has
#   the same say,
# - **upsampling**: eights are repeated until there are as many as of any other digit.

# %%
RARE = 8
data = train[: 12_000 if THOROUGH else 4_000]
is_rare = data.labels == RARE
keep = np.concatenate([np.flatnonzero(is_rare)[: round(0.0101 * np.sum(~is_rare))], np.flatnonzero(~is_rare)])
imbalanced = data[np.sort(keep)]
share = np.mean(imbalanced.labels == RARE)
print(f"{len(imbalanced)} images, {np.sum(imbalanced.labels == RARE)} eights: {share:.1%}")

weights = class_weights(imbalanced.labels, 10)
ways = {
    "plain": lambda rng: fit(imbalanced, rng=rng),
    "class weights": lambda rng: fit(imbalanced, mlp.CrossEntropyLoss(class_weight=weights), rng=rng),
    "upsampling": lambda rng: fit(oversample(imbalanced, rng), rng=rng),
}
# The test set gets as few eights as the training set.
rare_test = np.flatnonzero(y_test == RARE)
kept = np.concatenate([rare_test[:91], np.flatnonzero(y_test != RARE)])
x_few, y_few = x_test[kept], y_test[kept]

metrics = {
    "accuracy": lambda y, p: mlp.metrics.accuracy(y, p),
    "balanced accuracy": lambda y, p: mlp.metrics.balanced_accuracy(y, p),
    "recall of 8": lambda y, p: mlp.metrics.recall(y, p, average=None)[RARE],
    "precision of 8": lambda y, p: mlp.metrics.precision(y, p, average=None)[RARE],
}
networks = {name: [make(seed) for seed in SEEDS] for name, make in ways.items()}
table = {
    name: [np.mean([metric(y_few, n.predict(x_few)) for n in networks[name]]) for metric in metrics.values()]
    for name in ways
}
figure, ax = plt.subplots(figsize=(8, 3.2))
for k, ((name, values), colour) in enumerate(zip(table.items(), (BLACK, BLUE, VERMILION), strict=True)):
    bars = ax.bar(np.arange(4) + 0.27 * k, 100 * np.array(values), 0.25, color=colour, label=name)
    ax.bar_label(bars, fmt="%.0f", fontsize=8)
ax.set(xticks=np.arange(4) + 0.27, xticklabels=list(metrics), ylabel="%", ylim=(0, 115))
ax.legend(frameon=False, ncols=3, loc="upper right")
for name, values in table.items():
    print(
        f"{name:14s} " + ", ".join(f"{metric} {value:.1%}" for metric, value in zip(metrics, values, strict=True))
    )

assert 0.009 < share < 0.011
assert abs(table["plain"][0] - table["class weights"][0]) < 0.03  # the accuracy sees nothing
assert table["plain"][2] < table["class weights"][2] - 0.03  # the recall does
assert table["plain"][0] > table["plain"][2] + 0.2

# %% [markdown]
# *What it shows.* The accuracy is nearly the same for all three, since eights hardly count in it. The **recall**,
# the share of all eights that were found, tells the truth about them, and the **balanced accuracy**, the mean
# recall of all classes, contains it. Weights raise the recall; the price is paid in **precision**, the share of
# answers "8" that are right.
#
# Note what no trick can do: there are forty eights to learn from. Repeating them makes them count more, not more
# different.
#
# **Only "is it an 8?"** For two classes there is a network's score for "yes", and *you* choose the threshold. The
# ROC curve shows all choices: the share of eights found against the share of false alarms. The area under it,
# AUC, is a probability:
#
# $$\text{AUC} = P(\text{score of a random eight} > \text{score of a random other digit}) .$$

# %%
network = networks["plain"][0]
scores = network.scores(x_few)
score = scores[:, RARE] - np.delete(scores, RARE, axis=1).max(axis=1)  # by how much is 8 ahead of the others?
is_eight = y_few == RARE
curve = mlp.metrics.roc_curve(is_eight, score)
area = mlp.metrics.roc_auc(is_eight, score)
pairs = np.mean(score[is_eight][:, np.newaxis] > score[~is_eight])  # all pairs, counted
never = np.mean(~is_eight)

precision_recall = mlp.metrics.precision_recall_curve(is_eight, score)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
left.plot(curve.false_positive_rate, curve.true_positive_rate, color=BLUE, label=f"AUC = {area:.3f}")
left.plot([0, 1], [0, 1], "--", color=BLACK, linewidth=1, label="guessing")
left.set(xlabel="false alarms / all others", ylabel="eights found / all eights", title="ROC")
right.plot(precision_recall.recall, precision_recall.precision, color=VERMILION)
right.axhline(np.mean(is_eight), linestyle="--", color=BLACK, linewidth=1, label="guessing")
right.set(xlabel="recall", ylabel="precision", title="precision and recall", ylim=(0, 1.05))
for ax in (left, right):
    ax.legend(frameon=False, loc="lower right" if ax is left else "upper right")
print(f"AUC {area:.4f}, pairs in the right order {pairs:.4f}")
print(f"a program that always says no: accuracy {never:.1%}, AUC 0.5, recall 0")
print(
    f"average precision {mlp.metrics.average_precision(is_eight, score):.3f}, of guessing {np.mean(is_eight):.3f}"
)
assert np.isclose(area, pairs, atol=1e-6)
assert never > 0.985
assert area > 0.9
assert mlp.metrics.average_precision(is_eight, score) < area - 0.05

# %% [markdown]
# *What it shows.* The ROC curve looks nearly perfect, and the other one does not, for the same scores. The false
# alarms of ROC are counted as a share of 9000 others: 1 % of them are 90, as many as there are eights. For rare
# classes look at precision and recall.
#
# ## Confidence
#
# Softmax turns scores into numbers that look like probabilities. Are they? If a network says 80 % for 100 images,
# it should be right for about 80 of them. A **reliability diagram** sorts the images into bins by confidence, and
# draws the accuracy of each bin. We train on 1000 images for too long, so that the network has seen no mistake of
# its own for a while.

# %%
small, validation = train[:1000], train[50_000:52_000]
network = fit(small, epochs=40, width=128)
scores = network.scores(x_test)
p = network.predict_proba(x_test)
confidence, right_answer = p.max(axis=1), p.argmax(axis=1) == y_test
print(f"mean confidence {confidence.mean():.1%}, accuracy {right_answer.mean():.1%}")
assert confidence.mean() > right_answer.mean() + 0.03  # over-confident
mlp.plots.plot_reliability(y_test, p)

# %% [markdown]
# One number from the picture: the **expected calibration error** weights the gap of each bin by its number of
# images, and the **average calibration error** counts all bins alike that are not empty ($M'$ of them):
#
# $$\text{ECE} = \sum_{m=1}^M \frac{n_m}{N}\,\lvert \text{acc}_m - \text{conf}_m\rvert, \qquad \text{ACE} = \frac1{M'} \sum_m \lvert \text{acc}_m - \text{conf}_m\rvert .$$
#
# ("ACE" is also the name of *adaptive* calibration error, with bins of equally many images, over all classes. The
# library has both.)
#
# **Can these numbers be trusted?** They are estimates from samples. Draw many test sets of 300 images, and look
# at the spread. And test them on a network that is calibrated *by construction*: draw the labels from its own
# probabilities. Its true error is 0.

# %%
rng = np.random.default_rng(0)
DRAWS = 1000 if THOROUGH else 200
measures = {
    "ECE": calibration.expected_calibration_error,
    "ACE": calibration.average_calibration_error,
    "adaptive": calibration.adaptive_calibration_error,
}
perfect = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)  # labels drawn from p itself
drawn = {}
for kind, labels in (("network", y_test), ("calibrated", perfect)):
    for name, measure in measures.items():
        samples = [rng.integers(0, len(p), 300) for _ in range(DRAWS)]
        drawn[kind, name] = np.array([measure(labels[i], p[i]) for i in samples])

figure, axes = plt.subplots(1, 2, figsize=(11, 3.2), sharey=True)
for ax, kind, title in zip(
    axes, ("network", "calibrated"), ("our network", "labels drawn from p: truly 0"), strict=True
):
    for name, colour in zip(measures, (BLUE, VERMILION, GREEN), strict=True):
        values = drawn[kind, name]
        ax.hist(
            values,
            bins=40,
            range=(0, 0.5),
            color=colour,
            alpha=0.6,
            label=f"{name}: {values.mean():.3f} ± {values.std():.3f}",
        )
    ax.set(title=title, xlabel="estimate from 300 images", yticks=[])
    ax.legend(frameon=False)
spread = {key: values.std() for key, values in drawn.items()}
print(f"spread of the estimates: ECE {spread['network', 'ECE']:.3f}, ACE {spread['network', 'ACE']:.3f}")
assert spread["network", "ACE"] > 1.5 * spread["network", "ECE"]
assert drawn["calibrated", "ACE"].mean() > 2 * drawn["calibrated", "ECE"].mean() > 0.01

# %% [markdown]
# *What it shows.* ACE varies several times as much as ECE. Most images lie in the last bin; the bins in between
# hold a handful, whose accuracy is a matter of luck, and ACE counts them all alike. And none of them is 0 for a
# perfect network: $|\cdot|$ of noise is positive. A small ECE from few images says little, and one should never
# compare values with different numbers of images or bins.
#
# ## Temperature and Platt scaling
#
# Divide all scores by one number $T$ before the softmax, $p = \operatorname{softmax}(s/T)$. The order of the
# scores stays, so the accuracy does. $T > 1$ makes the network more modest. $T$ is fitted on *validation* images,
# by the likelihood $-\frac1n\sum\log p_{y_i}(T)$: neither the training images (there the network is sure and
# right) nor the test images may be used.

# %%
x_validation, y_validation = validation
validation_scores = network.scores(x_validation)
scaling = calibration.TemperatureScaling().fit(validation_scores, y_validation)
T = scaling.temperature
after = scaling.predict_proba(scores)
ece = {name: calibration.expected_calibration_error(y_test, q) for name, q in (("before", p), ("after", after))}
nll = {name: mlp.metrics.log_loss(y_test, q) for name, q in (("before", p), ("after", after))}

temperatures = np.geomspace(0.5, 6, 40)
figure, axes = plt.subplots(1, 3, figsize=(13, 3.4))
curve = [mlp.metrics.negative_log_likelihood(y_validation, validation_scores / t) for t in temperatures]
axes[0].plot(temperatures, curve, color=BLUE)
axes[0].axvline(T, color=VERMILION, linestyle="--")
axes[0].axvline(1, color=BLACK, linestyle=":")
axes[0].set(
    xscale="log", xlabel="temperature", ylabel="validation loss", xticks=(0.5, 1, 2, 4), xticklabels=(0.5, 1, 2, 4)
)
axes[0].minorticks_off()
axes[0].set_title(f"dotted: as trained, dashed: best, T = {T:.2f}")
for ax, name, q in ((axes[1], "before", p), (axes[2], "after", after)):
    bins = calibration.reliability_bins(y_test, q)
    filled = bins.counts > 0
    ax.bar(
        bins.edges[:-1][filled],
        bins.accuracy[filled],
        np.diff(bins.edges)[filled],
        align="edge",
        color=BLUE,
        edgecolor="white",
    )
    ax.plot([0, 1], [0, 1], "--", color=BLACK)
    ax.set(title=f"{name}: ECE = {ece[name]:.3f}", xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
print(
    f"T = {T:.2f}: ECE {ece['before']:.3f} -> {ece['after']:.3f}, test loss {nll['before']:.3f} -> {nll['after']:.3f}"
)
assert np.array_equal(after.argmax(axis=1), p.argmax(axis=1))  # not one answer changes
assert T > 1.2
assert ece["after"] < 0.5 * ece["before"]
assert nll["after"] < nll["before"]

# %% [markdown]
# **Platt scaling** does it for two classes, with two numbers: $p = \sigma(a z + b)$ for any score $z$, even one
# that is no probability at all. Here $z$ is by how much the eight is ahead. We compare with the sigmoid of the
# raw $z$.


# %%
def eight_ahead(scores):
    return scores[:, RARE] - np.delete(scores, RARE, axis=1).max(axis=1)


z_validation, z = eight_ahead(validation_scores), eight_ahead(scores)
platt = calibration.PlattScaling().fit(z_validation, y_validation == RARE)
raw, scaled = 1 / (1 + np.exp(-z.astype(np.float64))), platt.predict_proba(z).astype(np.float64)
loss_raw, loss_platt = (mlp.metrics.log_loss(y_test == RARE, q) for q in (raw, scaled))
print(f"a = {platt.a:.2f}, b = {platt.b:.2f}; loss {loss_raw:.4f} -> {loss_platt:.4f}")
figure, ax = plt.subplots(figsize=(6.5, 3))
grid = np.linspace(-10, 10, 200)
edges = np.linspace(-10, 10, 21)
index = np.digitize(z, edges)
centres = [z[index == k].mean() for k in range(1, 21) if np.sum(index == k) > 10]
found = [np.mean(y_test[index == k] == RARE) for k in range(1, 21) if np.sum(index == k) > 10]
ax.plot(centres, found, "o", color=BLUE, label="share of eights, test images")
ax.plot(grid, 1 / (1 + np.exp(-grid)), color=BLACK, linestyle=":", label="σ(z)")
ax.plot(grid, 1 / (1 + np.exp(-(platt.a * grid + platt.b))), color=VERMILION, label="σ(a z + b)")
ax.set(xlabel="z: by how much 8 is ahead", ylabel="probability")
ax.legend(frameon=False)
assert platt.a < 0.9  # less steep than the network believes
assert loss_platt < loss_raw

# %% [markdown]
# ## Wrong labels
#
# Now some of the labels of 1000 training images are wrong, 0 to 60 %. A network is able to learn them by heart,
# one by one. Two remedies do not believe the labels entirely: **soft labels**,
# $(1-\varepsilon)\,\text{onehot}(y) + \varepsilon/K$ with $\varepsilon = 0.4$, and **mixup**, which trains on
# mixtures $\lambda x_i + (1-\lambda)x_j$ with labels $\lambda y_i + (1-\lambda) y_j$: between two images there is
# no point to learn by heart. (The test labels are right.)

# %%
NOISE = (0.0, 0.2, 0.4, 0.6)
remedies = {
    "plain": lambda noisy, rng: fit(noisy, epochs=30, width=128, rng=rng),
    "soft labels": lambda noisy, rng: fit(
        noisy, mlp.CrossEntropyLoss(label_smoothing=0.4), epochs=30, width=128, rng=rng
    ),
    "mixup": lambda noisy, rng: fit(noisy, epochs=30, width=128, rng=rng, transform=Mixup(1.0, num_classes=10)),
}
clean = train[: 3_000 if THOROUGH else 1_000]
accuracy, by_heart, error = {}, {}, {}
for noise in NOISE:
    noisy = corrupt_labels(clean, noise, rng=1)
    wrong = noisy.labels != clean.labels
    for name, make in remedies.items():
        network = make(noisy, 0)
        q = network.predict_proba(x_test)
        accuracy[name, noise] = mlp.metrics.accuracy(y_test, q)
        error[name, noise] = calibration.expected_calibration_error(y_test, q)
        if noise:
            by_heart[name, noise] = mlp.metrics.accuracy(noisy.labels[wrong], network.predict(noisy.inputs[wrong]))

figure, axes = plt.subplots(1, 3, figsize=(13, 3.2))
for values, ax, title in (
    (accuracy, axes[0], "test accuracy"),
    (by_heart, axes[1], "wrong labels learned by heart"),
    (error, axes[2], "ECE"),
):
    for name, colour in zip(remedies, (BLACK, BLUE, VERMILION), strict=True):
        at = [noise for noise in NOISE if (name, noise) in values]
        ax.plot(at, [values[name, noise] for noise in at], "o-", color=colour, label=name)
    ax.set(title=title, xlabel="share of wrong labels", xticks=NOISE, ylim=(0, 1))
axes[0].legend(frameon=False, loc="lower left")
for noise in NOISE:
    print(
        f"{noise:.0%} wrong: "
        + ", ".join(f"{name} {accuracy[name, noise]:.1%} (ECE {error[name, noise]:.2f})" for name in remedies)
    )

assert accuracy["plain", 0.6] < accuracy["plain", 0.0] - 0.15
assert max(accuracy["soft labels", 0.6], accuracy["mixup", 0.6]) > accuracy["plain", 0.6] + 0.02
assert by_heart["plain", 0.2] > 1.5 * by_heart["mixup", 0.2]
assert error["soft labels", 0.0] > error["plain", 0.0] + 0.1

# %% [markdown]
# *What it shows.* The plain network learns many of the wrong labels by heart, and its accuracy on new images
# falls. Mixup learns fewer of them, and at high noise the remedies are ahead. Without noise they bring nothing
# here. And look on the right: soft labels and mixup teach the network never to be sure. Then it is
# *under*-confident, and its ECE is larger. A better accuracy and better probabilities are two things. (Exercise 3
# repairs it.)
#
# ## Exercises
#
# **1. A threshold.** At least 90 % of the eights must be found. Which threshold on `score` do you choose for the
# first network of this lesson, how many false alarms are there for one eight found, and what would you do with
# the answers?
#
# <details><summary>Solution</summary>
#
# ```python
# score = eight_ahead(networks["plain"][0].scores(x_few))
# threshold = np.quantile(score[is_eight], 0.1)  # a tenth of the eights lies below
# found = np.sum(score[is_eight] >= threshold)
# alarms = np.sum(score[~is_eight] >= threshold)
# print(f"threshold {threshold:.1f}: {found} of {is_eight.sum()} eights found, {alarms} false alarms")
# assert found >= 0.89 * is_eight.sum()
# assert alarms > found
# ```
#
# Several false alarms for each eight. If the answers go to a person who looks again, that may be what you want;
# if they start a machine, it is not.
#
# </details>
#
# **2. How many bins?** Compute the ECE of the network of 1000 images with 2, 15, 100 and 1000 bins, on 1000 test
# images. What do you see, and why?
#
# <details><summary>Solution</summary>
#
# It grows with the number of bins: the fewer images in a bin, the larger the chance difference between accuracy
# and confidence, and the absolute value turns all chance into error. With very few bins errors of both signs
# cancel.
#
# ```python
# q, labels = p[:1000], y_test[:1000]
# errors = [calibration.expected_calibration_error(labels, q, M) for M in (2, 15, 100, 1000)]
# print([round(e, 3) for e in errors])
# assert errors[0] < errors[2] < errors[3]
# ```
#
# </details>
#
# **3. Sure again.** The network that was trained with soft labels is under-confident. Which temperature do you
# expect? Fit it and look at the ECE.
#
# <details><summary>Solution</summary>
#
# Below 1: the scores must be sharpened.
#
# ```python
# modest = remedies["soft labels"](clean, 0)
# sharpen = calibration.TemperatureScaling().fit(modest.scores(x_validation), y_validation)
# before = calibration.expected_calibration_error(y_test, modest.predict_proba(x_test))
# after = calibration.expected_calibration_error(y_test, sharpen.predict_proba(modest.scores(x_test)))
# print(f"T = {sharpen.temperature:.2f}, ECE {before:.3f} -> {after:.3f}")
# assert sharpen.temperature < 1
# assert after < 0.5 * before
# ```
#
# </details>
