# %% [markdown]
# # 4. Hyper-parameters
#
# **What you will see.** What the learning rate, momentum, the batch size, the width and weight decay do, each
# varied while the others stay. Which of them matter (the learning rate, by far), which belong together (rate and
# momentum, rate and batch size), and a test that finds a usable learning rate in a second. At the end a sweep that
# is described in a file and runs on all cores.

# %%
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp.studies.experiments import Experiment, experiment_table, run_all

THOROUGH = False  # True: more images and more seeds
images, seeds = (20_000, 3) if THOROUGH else (10_000, 1)

everything, test = mlp.load_mnist()
train, validation = everything[:images], everything[50_000:55_000]
warnings.filterwarnings("ignore", "after an epoch the accuracy")  # some settings shall fail

# %% [markdown]
# Settings are chosen on a **validation set**: images that are not trained with, and are not the test set. Whoever
# tries forty settings and takes the best one has been lucky a little, too. The test set is for one last look.


# %%
def fit(width=64, lr=0.05, momentum=0.9, weight_decay=0.0, batch_size=100, epochs=2, seed=1):
    """Train a network; returns it, and its accuracy on the training and the validation set."""
    network = mlp.Network(mlp.Linear(784, width), mlp.ReLU(), mlp.Linear(width, 10), rng=seed)
    optimizer = mlp.SGD(network.parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
    solver = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=epochs, batch_size=batch_size)
    try:
        row = solver.fit(train, validation=validation)[-1]
    except mlp.solver.loop.NotFinite:
        return network, 0.1, 0.1  # diverged: no better than guessing
    return network, row["train_accuracy"], row["validation_accuracy"]


def accuracy(**settings):
    """The validation accuracy, as a mean over the seeds."""
    return np.mean([fit(seed=seed, **settings)[2] for seed in range(1, 1 + seeds)])


# %% [markdown]
# ## The learning rate
#
# A step is $w \leftarrow w - \eta\, \nabla L$. Where the loss is curved with curvature $\lambda$, the distance to
# the minimum is multiplied by $1 - \eta \lambda$ in each step. It shrinks only if
#
# $$|1 - \eta \lambda| < 1 \quad\Leftrightarrow\quad \eta < \frac{2}{\lambda}$$
#
# Far below this bound the network learns, but slowly. Just below it learns fastest, and beyond it is thrown out.
# The **range test** finds the bound: one short run, in which the rate grows with every step until the loss
# explodes.

# %%
network = mlp.Network(mlp.Linear(784, 64), mlp.ReLU(), mlp.Linear(64, 10), rng=1)
optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
finder = mlp.diagnosis.find_learning_rate(network, mlp.CrossEntropyLoss(), optimizer, train)

rates = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3])
by_rate = np.array([accuracy(lr=lr) for lr in rates])

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharex=True, layout="constrained")
axes[0].semilogx(finder.rates, finder.losses, color="C0", alpha=0.3)
axes[0].semilogx(finder.rates, finder.smoothed, color="C0")
axes[0].set(title="range test: one run", xlabel="learning rate", ylabel="loss of the step", ylim=(0, 5))
axes[1].semilogx(rates, 100 * by_rate, "o-", color="C0")
axes[1].set(title="trained with each rate", xlabel="learning rate", ylabel="validation accuracy (%)", ylim=(0, 100))
for ax in axes:
    ax.axvline(finder.suggestion, color="C2", linestyle="--", label=f"falls fastest: {finder.suggestion:.2g}")
    ax.axvline(finder.largest, color="C1", linestyle=":", label=f"lowest: {finder.largest:.2g}")
axes[1].legend(loc="lower left")
plt.show()

best_rate = rates[by_rate.argmax()]
at_suggestion = accuracy(lr=finder.suggestion)
print(f"best rate tried: {best_rate}; at the suggestion {at_suggestion:.1%}, at the best {by_rate.max():.1%}")
assert at_suggestion > by_rate.max() - 0.15
assert by_rate[0] < by_rate.max() - 0.03  # too small: not finished
assert by_rate[-1] < 0.5  # too large: thrown out
assert finder.suggestion < 1.0

# %% [markdown]
# One number decides between a network that works and one that guesses, and the useful range is narrow: a factor of
# ten to thirty. So vary the rate by factors, and vary it first. When you change something else, such as the loss,
# the size or the optimizer, look for it again.
#
# ## Momentum, together with the learning rate
#
# With momentum $\beta$, a step adds up past gradients: $v \leftarrow \beta v + \nabla L$, $\; w \leftarrow w - \eta
# v$. A gradient that stays the same acts in this and all later steps, in total
#
# $$\eta\, (1 + \beta + \beta^2 + \ldots) = \frac{\eta}{1 - \beta}$$
#
# So momentum 0.9 makes steps ten times as long. Is that all it does? Train with all pairs of rate and momentum.

# %%
momenta = np.array([0.0, 0.5, 0.9, 0.95, 0.99])
some_rates = np.array([0.001, 0.01, 0.1])
grid = np.array([[accuracy(lr=lr, momentum=beta) for lr in some_rates] for beta in momenta])

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
axes[0].imshow(100 * grid, cmap="viridis", vmin=10, vmax=92, aspect="auto")
for (i, j), value in np.ndenumerate(grid):
    axes[0].text(j, i, f"{100 * value:.0f}", ha="center", va="center", color="white" if value < 0.7 else "black")
axes[0].set_xticks(range(len(some_rates)), some_rates)
axes[0].set_yticks(range(len(momenta)), momenta)
axes[0].set(xlabel="learning rate η", ylabel="momentum β", title="validation accuracy (%)")
effective = some_rates / (1 - momenta[:, np.newaxis])
for i, beta in enumerate(momenta):
    axes[1].semilogx(effective[i], 100 * grid[i], "o-", label=f"β = {beta:g}")
axes[1].set(xlabel="η / (1 − β)", ylabel="validation accuracy (%)", title="the same numbers")
axes[1].legend()
plt.show()

same_length = [accuracy(lr=0.1 * (1 - beta), momentum=beta) for beta in (0.0, 0.5, 0.9, 0.95)]
print("accuracy with η / (1 − β) = 0.1:", np.round(same_length, 3))
assert max(same_length) - min(same_length) < 0.05
assert grid[0, 0] < grid[2, 0] - 0.1  # without momentum a rate of 0.001 is far too small

# %% [markdown]
# The rows of the table are shifted copies of each other, and drawn against $\eta / (1 - \beta)$ they nearly fall
# together. (Only $\beta = 0.99$ does not: it remembers about 100 steps, and the whole training has 200.) It is
# often said that momentum speeds up training. Here, most of what it does is make the steps longer: with a larger
# rate you get nearly the same without it. Where momentum does more than that, in narrow valleys, lesson 8 shows.
#
# ## Batch size, together with the learning rate
#
# The gradient of a batch is a mean over $B$ random images, so it is the true gradient plus noise. As for any mean,
#
# $$\text{size of the noise} \;\propto\; \frac{1}{\sqrt B}$$

# %%
network, _, _ = fit(epochs=1)
x, y = train.arrays()
rng = np.random.default_rng(0)


def gradient(chosen):
    network.training_step(x[chosen], y[chosen], mlp.CrossEntropyLoss())
    return network.parameters.grad.copy()


sizes = np.array([4, 16, 64, 256, 1024])
whole = gradient(slice(None))
noise = [
    np.mean([np.linalg.norm(gradient(rng.integers(0, len(x), size)) - whole) for _ in range(12)]) for size in sizes
]
slope = np.polyfit(np.log(sizes), np.log(noise), 1)[0]
print(f"the noise falls like B to the power {slope:.2f}")
assert abs(slope + 0.5) < 0.1

# %% [markdown]
# A batch of 1000 costs ten times as much as one of 100, but its gradient is only $\sqrt{10} \approx 3$ times as
# exact. In one epoch it makes ten times fewer steps. Compare batch sizes for the same two epochs: once with the
# same rate, once with a rate that grows with the batch, so that all take the same total way.

# %%
batches = np.array([10, 30, 100, 300, 1000])
fixed = np.array([accuracy(batch_size=int(B), lr=0.01) for B in batches])
scaled = np.array([accuracy(batch_size=int(B), lr=0.01 * B / 100) for B in batches])

figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
axes[0].loglog(sizes, noise, "o-")
axes[0].loglog(sizes, noise[0] * np.sqrt(sizes[0] / sizes), "k:", label="1/√B")
axes[0].axhline(np.linalg.norm(whole), color="C1", linestyle="--", label="the true gradient")
axes[0].set(xlabel="batch size B", ylabel="size of the noise")
axes[0].legend()
axes[1].semilogx(batches, 100 * fixed, "o-", label="rate 0.01")
axes[1].semilogx(batches, 100 * scaled, "o-", label="rate 0.01 · B / 100")
axes[1].set(xlabel="batch size B", ylabel="validation accuracy (%)", ylim=(40, 95))
axes[1].legend(loc="lower left")
plt.show()

assert fixed[0] > fixed[-1] + 0.1
assert np.ptp(scaled) < np.ptp(fixed)

# %% [markdown]
# Small batches make more steps, and win for the same number of epochs. With the rate scaled, most of the difference
# is gone, until the rate reaches its bound $2/\lambda$, which no batch size can move. Note where the noise lies:
# even for batches of 100 it is about as large as the gradient itself. Training works all the same, because noise
# averages out over many steps and the gradient does not.
#
# ## Width and weight decay

# %%
widths = (4, 8, 16, 32, 64, 128)
by_width = np.array([fit(width=width)[1:] for width in widths])
decays = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
decayed = [fit(weight_decay=decay, lr=0.02, epochs=3) for decay in decays]
size = [np.linalg.norm(network[0].weight.data) for network, _, _ in decayed]

figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
axes[0].semilogx(widths, 100 * by_width, "o-", base=2, label=["training", "validation"])
axes[0].set(xlabel="hidden neurons", ylabel="accuracy (%)")
axes[0].legend()
places = range(len(decays))
axes[1].plot(places, [100 * row[1] for row in decayed], "o-", label="training")
axes[1].plot(places, [100 * row[2] for row in decayed], "o-", label="validation")
axes[1].set(ylabel="accuracy (%)", ylim=(70, 100))
axes[1].legend()
axes[2].plot(places, size, "o-", color="C2")
axes[2].set(ylabel="size of the first weights", ylim=(0, None))
for ax in axes[1:]:
    ax.set_xticks(places, [f"{decay:g}" for decay in decays])
    ax.set_xlabel("weight decay")
plt.show()

assert by_width[-1, 1] > by_width[0, 1] + 0.1
assert abs(by_width[-1, 1] - by_width[-2, 1]) < 0.04  # the gain of the last doubling
assert size[-1] < 0.5 * size[0]
assert decayed[-1][2] < decayed[0][2] - 0.03

# %% [markdown]
# * **Width.** Each doubling gains less than the one before, and costs twice as much.
# * **Weight decay** adds $\lambda w$ to the gradient, so every step shrinks the weights a little. You see it in
#   their size. It is said to prevent over-fitting. In so short a training there is hardly any over-fitting to
#   prevent: small values do nothing, and large ones keep the network from learning. Lesson 9 looks at it where it
#   matters.
#
# ## A sweep in a file
#
# Loops like those above are fine for a first look. For many runs, describe them in a file: what is the same in all,
# and what varies. Each run gets a folder with its settings and its numbers. What is finished is not run again.

# %%
Path("base.yaml").write_text(
    "{train_samples: 5000, test_samples: 2000, epochs: 1, hidden: [32], init: auto, tracking: none}\n"
)
Path("sweep.yaml").write_text("base: base.yaml\naxes:\n  learning_rate: [0.001, 0.03]\n  momentum: [0, 0.9]\n")

experiment = Experiment.load("sweep.yaml")
summary = run_all(experiment.configs, "runs", stream=sys.stdout)
print()
print(experiment_table(experiment, "runs").text())
assert len(summary.completed) == 4

# %% [markdown]
# On the command line it is `./train.sh momentum`, for any file in `configs/experiments/`.
#
# ## One last look
#
# Take what was found, and only now the test set.

# %%
best = fit(width=128, lr=0.05, batch_size=30, momentum=0.5, epochs=3)
final = mlp.evaluate(best[0], mlp.CrossEntropyLoss(), test)["accuracy"]
print(f"validation {best[2]:.1%}, test {final:.1%}")
assert final > 0.88
assert abs(final - best[2]) < 0.03

# %% [markdown]
# ## Exercises
#
# **1. Search at random.** Draw eight pairs of rate (between 0.001 and 0.3, evenly in its logarithm) and width (16
# to 128) and train with each. Is the best of them as good as what you found by hand? Why the logarithm?
#
# <details><summary>Solution</summary>
#
# ```python
# rng = np.random.default_rng(0)
# tried = []
# for _ in range(8):
#     lr, width = float(np.exp(rng.uniform(np.log(0.001), np.log(0.3)))), int(rng.integers(16, 129))
#     tried.append((accuracy(lr=lr, width=width), lr, width))
#     print("accuracy {:.1%}  rate {:.4f}  width {}".format(*tried[-1]))
# assert max(tried)[0] > 0.85
# ```
#
# With eight runs a grid would try three rates at most; at random you try eight. Drawn evenly without the logarithm,
# two thirds of the rates would lie above 0.1.
#
# </details>
#
# **2. The same number of steps.** Large batches lost, for the same epochs. Compare 10 and 1000 for the same number
# of *steps*: batch 10 for one epoch over a tenth of the images, batch 1000 for ten epochs over all of them, at rate
# 0.01. Which is better, and what does it cost?
#
# <details><summary>Solution</summary>
#
# ```python
# def train_for(part, batch_size, epochs):
#     network = mlp.Network(mlp.Linear(784, 64), mlp.ReLU(), mlp.Linear(64, 10), rng=1)
#     optimizer = mlp.SGD(network.parameters, lr=0.01, momentum=0.9)
#     solver = mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=epochs, batch_size=batch_size)
#     return solver.fit(part, validation=validation)[-1]["validation_accuracy"]
#
#
# small, large = train_for(train[:1000], 10, 1), train_for(train[:10_000], 1000, 10)
# print(f"100 steps with batches of 10: {small:.1%}, of 1000: {large:.1%}")
# assert large > small
# ```
#
# Per step the larger batch is better: its gradient has less noise. But each step costs a hundred times as much.
#
# </details>
#
# **3. How fast does weight decay forget?** With decay $\lambda$ and no gradient at all, a step of plain SGD
# multiplies a weight by $1 - \eta \lambda$. After how many steps is half of it left, for $\eta = 0.05$, $\lambda =
# 0.01$? Check it.
#
# <details><summary>Solution</summary>
#
# ```python
# network = mlp.Network(mlp.Linear(4, 2), rng=0)
# optimizer = mlp.SGD(network.parameters, lr=0.05, weight_decay=0.01)
# start = network[0].weight.data.copy()
# steps = round(np.log(2) / (0.05 * 0.01))
# network.zero_grad()
# for _ in range(steps):
#     optimizer.step()
# left = network[0].weight.data / start
# print(f"after {steps} steps {left.mean():.3f} is left")
# assert np.allclose(left, 0.5, atol=0.01)
# ```
#
# $\log 2 / (\eta \lambda) = 1386$ steps: about fourteen epochs of 100 steps. A decay acts on the time scale
# $1/(\eta\lambda)$. In a training that is much shorter than that it cannot do anything.
#
# </details>
