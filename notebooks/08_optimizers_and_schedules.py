# %% [markdown]
# # 8. Optimizers and schedules
#
# **What you will see.** Six optimizers walk down the same ravine, and you see their paths. Momentum turns out to
# be a geometric sum, and you check it to the last digit. On real digits each optimizer finds its own scale of
# learning rates, and at its own best rate the differences shrink. Then the rate changes with time: warm-up,
# cosine and others, and what each is good for. Clipping saves a run from one bad batch. At the end you see why
# weight decay in Adam does not do what its name says, and what AdamW repairs.
#
# You need to know what a gradient is. Lesson 7 explains the condition number.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp.optim import SGD, AdaGrad, Adam, AdamW, Lion, RMSProp, cosine, one_cycle, step_decay, warmup
from mlp.plots import BLACK, BLUE, GREEN, VERMILION, sequential_colours

THOROUGH = False  # True: more data and more epochs

plt.rcParams.update({"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False})

train, test = mlp.load_mnist()
centre = mlp.data.preprocessing.Center().fit(train[:6_000])
train, test = (centre.transform_dataset(part) for part in (train[: 12_000 if THOROUGH else 6_000], test[:2_000]))
EPOCHS = 4 if THOROUGH else 2

# %% [markdown]
# ## A ravine
#
# Two weights, and a loss that is $\kappa = 30$ times as steep in one direction as in the other:
#
# $$L(w) = \tfrac12\left(w_1^2 + 30\,w_2^2\right), \qquad \nabla L = (w_1,\ 30\,w_2) .$$
#
# Gradient descent, $w \leftarrow w - \eta g$, needs $\eta < 2/30$, or it jumps out of the ravine sideways. Along
# the ravine this rate is tiny. The others, in the order in which they were invented ($g$ is the gradient, and all
# operations are for each weight by itself):
#
# | optimizer | what it remembers | step |
# |---|---|---|
# | momentum (1964) | $v \leftarrow \mu v + g$ | $w \leftarrow w - \eta v$ |
# | Nesterov (1983) | the same | $w \leftarrow w - \eta (g + \mu v)$: it looks ahead |
# | AdaGrad (2011) | $s \leftarrow s + g^2$ | $w \leftarrow w - \eta\, g/\sqrt s$ |
# | RMSProp (2012) | $s \leftarrow \alpha s + (1-\alpha) g^2$ | the same: old gradients are forgotten |
# | Adam (2015) | averages $m$ of $g$ and $s$ of $g^2$, corrected for their start at 0 | $w \leftarrow w - \eta\, \hat m/\sqrt{\hat s}$ |
#
# The optimizers of the library take any `Parameter`. This one has two numbers.

# %%
walkers = {
    "gradient descent": lambda w: SGD([w], lr=0.06),
    "momentum": lambda w: SGD([w], lr=0.03, momentum=0.8),
    "Nesterov": lambda w: SGD([w], lr=0.03, momentum=0.8, nesterov=True),
    "AdaGrad": lambda w: AdaGrad([w], lr=1.0),
    "RMSProp": lambda w: RMSProp([w], lr=0.1),
    "Adam": lambda w: Adam([w], lr=0.3),
}
STRAIGHT = np.diag([1.0, 30.0])
START = np.array([-5.0, 1.5])


def walk(make_optimizer, H, start, steps=50):
    """The path on L = w·Hw/2: (steps + 1, 2)."""
    w = mlp.Parameter(start.copy(), "w")
    optimizer = make_optimizer(w)
    path = [w.data.copy()]
    for _ in range(steps):
        w.grad = H @ w.data
        optimizer.step()
        path.append(w.data.copy())
    return np.array(path)


def draw_ravine(ax, H, path, title, colour):
    x, y = np.meshgrid(np.linspace(-6, 2.5, 120), np.linspace(-4, 4, 120))
    L = 0.5 * (H[0, 0] * x**2 + 2 * H[0, 1] * x * y + H[1, 1] * y**2)
    ax.contour(x, y, L, levels=np.geomspace(0.1, 200, 10), colors="lightgrey", linewidths=0.8)
    ax.plot(*path.T, ".-", color=colour, linewidth=1, markersize=4)
    ax.plot(0, 0, "*", color=BLACK, markersize=10)
    ax.set(title=title, xticks=[], yticks=[], xlim=(-6, 2.5), ylim=(-4, 4))


figure, axes = plt.subplots(2, 3, figsize=(11, 6))
for ax, (name, make) in zip(axes.flat, walkers.items(), strict=True):
    path = walk(make, STRAIGHT, START)
    end = 0.5 * path[-1] @ STRAIGHT @ path[-1]
    colour = BLUE if "SGD" in repr(make(mlp.Parameter(START))) else VERMILION
    draw_ravine(ax, STRAIGHT, path, f"{name}: L = {end:.1e}", colour)

# %% [markdown]
# *What it shows.* Gradient descent zigzags across the ravine: across it the rate is nearly too high, along it far
# too low. Momentum adds up what all steps have in common, which is the way along the ravine, and what alternates
# cancels. The orange ones divide by the size of each coordinate's gradients: both coordinates move alike, and the
# ravine looks round to them.
#
# **Is that a fair ravine?** Its walls run along the axes of the weights, and the orange ones scale *each axis by
# itself*. Let us turn it by 45 degrees.

# %%
c = np.sqrt(0.5)
TURN = np.array([[c, -c], [c, c]])
TURNED = TURN @ STRAIGHT @ TURN.T

figure, axes = plt.subplots(1, 3, figsize=(11, 3))
places = dict(zip(("momentum", "RMSProp", "Adam"), axes, strict=True))
ends = {}
for name, make in walkers.items():
    for kind, H, start in (("straight", STRAIGHT, START), ("turned", TURNED, TURN @ START)):
        path = walk(make, H, start)
        end = ends[name, kind] = 0.5 * path[-1] @ H @ path[-1]
        if kind == "turned" and name in places:
            colour = BLUE if name == "momentum" else VERMILION
            draw_ravine(places[name], H, path, f"{name}, turned: L = {end:.1e}", colour)
    print(f"{name:17s} L after 50 steps: straight {ends[name, 'straight']:.1e}, turned {ends[name, 'turned']:.1e}")

for name in ("gradient descent", "momentum", "Nesterov"):  # they do not see the axes
    assert np.isclose(ends[name, "straight"], ends[name, "turned"], rtol=1e-6)
assert ends["momentum", "straight"] < 0.1 * ends["gradient descent", "straight"]
assert ends["AdaGrad", "turned"] > 10 * ends["AdaGrad", "straight"]

# %% [markdown]
# *What it shows.* Whoever only adds up gradients gives the same in every direction, up to rounding. Adaptive
# methods do not: on a diagonal ravine both coordinates have gradients of the same size, and there is nothing left
# to even out. They help where single weights differ in scale, which is frequent in networks, and not for every
# ravine.
#
# ## Momentum is a geometric sum
#
# Let the gradient be the constant $g$. Then the velocity after $t$ steps is
#
# $$v_t = g\,(1 + \mu + \mu^2 + \dots + \mu^{t-1}) = g\,\frac{1-\mu^t}{1-\mu} \longrightarrow \frac{g}{1-\mu} .$$
#
# With $\mu = 0.9$ the step becomes ten times as long. And if the gradient alternates, $g, -g, g, \dots$, then
# $v \to \pm\, g/(1+\mu)$: it is nearly halved. Faster along the ravine, slower across it.

# %%
MU, STEPS = 0.9, 40
velocities = {}
for name, sign in (("constant", 1), ("alternating", -1)):
    w = mlp.Parameter(np.zeros(1), "w")
    optimizer = SGD([w], lr=0.1, momentum=MU)
    velocities[name] = []
    for t in range(STEPS):
        w.grad = np.array([float(sign**t)])
        optimizer.step()
        velocities[name].append(optimizer.velocity[0])
t = np.arange(1, STEPS + 1)
predicted = (1 - MU**t) / (1 - MU)

figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(t, velocities["constant"], "o", color=BLUE, markersize=4, label="g = 1, 1, 1, ...")
ax.plot(t, predicted, color=BLUE, linewidth=1, label="$(1-μ^t)/(1-μ)$")
ax.plot(t, velocities["alternating"], "o-", color=VERMILION, markersize=3, linewidth=0.5, label="g = 1, -1, 1, ...")
ax.axhline(1 / (1 - MU), color=BLACK, linestyle=":", linewidth=1)
ax.set(xlabel="step", ylabel="velocity v", title="μ = 0.9")
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

print(
    f"after {STEPS} steps: v = {velocities['constant'][-1]:.4f}, the sum is {predicted[-1]:.4f}, its limit {1 / (1 - MU):.0f}"
)
print(f"alternating: |v| = {abs(velocities['alternating'][-1]):.4f}, predicted {1 / (1 + MU):.4f}")
assert np.allclose(velocities["constant"], predicted)
assert np.isclose(abs(velocities["alternating"][-1]), 1 / (1 + MU), rtol=0.02)

# %% [markdown]
# **What it is worth.** On a bowl with condition number $\kappa$ gradient descent at its best rate shrinks the
# error by $\frac{\kappa-1}{\kappa+1}$ a step, momentum at its best by $\frac{\sqrt\kappa-1}{\sqrt\kappa+1}$
# (Polyak). So the number of steps grows with $\kappa$, or only with $\sqrt\kappa$. We count them.

# %%
KAPPAS = (10, 100, 1000)


def steps_needed(make_optimizer, kappa, goal=1e-3):
    w = mlp.Parameter(np.ones(2), "w")
    optimizer = make_optimizer(w)
    for step in range(100_000):
        if abs(w.data).max() < goal:
            return step
        w.grad = w.data * [1, kappa]
        optimizer.step()


def best_momentum(kappa):
    root = np.sqrt(kappa)
    return {"lr": (2 / (root + 1)) ** 2, "momentum": ((root - 1) / (root + 1)) ** 2}


plain = [steps_needed(lambda w, k=k: SGD([w], lr=2 / (k + 1)), k) for k in KAPPAS]
heavy = [steps_needed(lambda w, k=k: SGD([w], **best_momentum(k)), k) for k in KAPPAS]
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.loglog(KAPPAS, plain, "o-", color=BLACK, label="gradient descent: as κ")
ax.loglog(KAPPAS, heavy, "o-", color=BLUE, label="momentum: as √κ")
ax.set(xlabel="condition number κ", ylabel="steps to 1/1000 of the error")
ax.legend(frameon=False)
for k, a, b in zip(KAPPAS, plain, heavy, strict=True):
    print(f"κ = {k:5d}: gradient descent {a:5d} steps, momentum {b:4d}")
assert 8 < plain[2] / plain[1] < 12  # ten times the condition number, ten times the steps
assert 2 < heavy[2] / heavy[1] < 5  # or √10 = 3.2 times

# %% [markdown]
# ## From all images to one
#
# The loss of a network is a mean over all images, and so is its gradient. A *mini-batch* estimates it from a few.
# The estimate is noisy, but cheap: with 6000 images one exact step costs as much as 60 steps with 100. We give
# all of them the same work, a few passes over the images.


# %%
class LossAfterImages(mlp.Callback):
    """Keeps the loss on 1000 images after every so many training images."""

    def __init__(self, every):
        self.every, self.images, self.losses = every, [], []

    def on_iteration(self, solver, x, y):
        seen = solver.global_step * solver.batch_size
        if solver.global_step == 1 or seen % self.every < solver.batch_size:
            self.images.append(seen)
            self.losses.append(mlp.evaluate(solver.network, solver.loss, train[:1000])["loss"])


def make_network(hidden=1, width=32, rng=0):
    layers, features = [], 784
    for _ in range(hidden):
        layers += [mlp.Linear(features, width), mlp.ReLU()]
        features = width
    return mlp.Network(*layers, mlp.Linear(features, 10), rng=rng)


curves = {}
for batch_size, rate in ((3000, 0.5), (600, 0.5), (100, 0.2), (10, 0.05), (1, 0.005)):
    network = make_network()
    watch = LossAfterImages(every=500)
    optimizer = SGD(network.parameters, lr=rate)
    data = train[:3000]
    mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=2, batch_size=batch_size, callbacks=[watch]).fit(
        data
    )
    curves[batch_size] = watch

figure, ax = plt.subplots(figsize=(7, 3.5))
for (batch_size, watch), colour in zip(curves.items(), sequential_colours(5), strict=True):
    ax.plot(watch.images, watch.losses, "o-", markersize=3, color=colour, label=f"batches of {batch_size}")
    print(f"batches of {batch_size:4d}: {6000 // batch_size:5d} steps, loss {watch.losses[-1]:.2f}")
ax.set(xlabel="images seen", ylabel="training loss", ylim=0)
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
assert curves[100].losses[-1] < curves[600].losses[-1] < curves[3000].losses[-1]

# %% [markdown]
# *What it shows.* At the same work, many rough steps beat few exact ones by far. Batches of one are no better
# than batches of ten here, and take much longer on a computer, which multiplies whole matrices well and single
# rows badly.
#
# ## Every optimizer has its own rates
#
# Now all of them on the digits, each with six rates.

# %%
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
optimizers = {
    "SGD": lambda p, lr: SGD(p, lr),
    "momentum": lambda p, lr: SGD(p, lr, momentum=0.9),
    "Nesterov": lambda p, lr: SGD(p, lr, momentum=0.9, nesterov=True),
    "AdaGrad": lambda p, lr: AdaGrad(p, lr),
    "RMSProp": lambda p, lr: RMSProp(p, lr),
    "Adam": lambda p, lr: Adam(p, lr),
    "AdamW": lambda p, lr: AdamW(p, lr, weight_decay=0.01),
    "Lion": lambda p, lr: Lion(p, lr),
}


def train_loss(network, optimizer, epochs=EPOCHS, batch_size=100, **options):
    """Measured on all training images after training; infinite if training broke down."""
    loss = mlp.CrossEntropyLoss()
    solver = mlp.Solver(network, loss, optimizer, epochs=epochs, batch_size=batch_size, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlp warns of networks that only guess; here we want to see them
        try:
            solver.fit(train)
        except mlp.solver.loop.NotFinite:
            return np.inf
    return mlp.evaluate(network, loss, train)["loss"]


losses = {}
for name, make in optimizers.items():
    losses[name] = []
    for rate in RATES:
        network = make_network()
        losses[name].append(train_loss(network, make(network.parameters, rate)))
losses = {name: np.array(values) for name, values in losses.items()}

figure, ax = plt.subplots(figsize=(8, 4))
styles = {"SGD": (BLACK, "-"), "momentum": (BLUE, "-"), "Nesterov": (BLUE, "--"), "AdaGrad": (GREEN, "-")}
styles |= {"RMSProp": (GREEN, "--"), "Adam": (VERMILION, "-"), "AdamW": (VERMILION, "--"), "Lion": ("#CC79A7", "-")}
for name, values in losses.items():
    ax.plot(
        RATES, np.minimum(values, 2.5), styles[name][1], color=styles[name][0], marker="o", markersize=4, label=name
    )
    print(f"{name:9s} best rate {RATES[values.argmin()]:6.4f}, loss {values.min():.3f}")
ax.set(xscale="log", xlabel="learning rate", ylabel=f"training loss after {EPOCHS} epochs", ylim=(0, 2.5))
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

best = {name: values.min() for name, values in losses.items()}
best_rate = {name: RATES[values.argmin()] for name, values in losses.items()}
assert best_rate["Adam"] < best_rate["momentum"] <= best_rate["SGD"]
assert best_rate["Lion"] < best_rate["SGD"] / 10
assert losses["SGD"][0] > 3 * losses["Adam"][0]  # the same rate for both: no contest, and no comparison
assert best["momentum"] < 0.8 * best["SGD"]
assert best["momentum"] < 2.5 * best["Adam"]

# %% [markdown]
# *What it shows.* The valleys of the curves lie far apart: Adam is at its best near 0.01, momentum near 0.3. A
# comparison at one common rate says nothing. Each at its own best rate, all but plain SGD come close to each
# other. What Adam really gives is the wide and low left side of its curve: its rate need not be tuned much,
# because its step is about $\eta$ for every weight, whatever the gradients are.
#
# ## The rate changes with time
#
# A schedule is a function from the step to $\eta$. Here are five.

# %%
STEPS = 180
schedules = {
    "constant": mlp.optim.constant(0.3),
    "step decay": step_decay(0.3, every=STEPS // 3, factor=0.2),
    "cosine": cosine(0.3, steps=STEPS),
    "warm-up, then cosine": warmup(cosine(0.3, steps=STEPS - 30), steps=30),
    "one cycle": one_cycle(0.3, steps=STEPS),
}
figure, ax = plt.subplots(figsize=(7, 3))
for (name, schedule), colour in zip(schedules.items(), sequential_colours(5), strict=True):
    ax.plot([schedule(step) for step in range(STEPS)], color=colour, label=name)
ax.set(xlabel="step", ylabel="learning rate η", ylim=0)
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

assert schedules["cosine"](STEPS // 2) == 0.15  # η/2 · (1 + cos(π/2))
assert max(range(STEPS), key=schedules["warm-up, then cosine"]) == 30

# %% [markdown]
# **Why let it fall?** With a constant rate, SGD does not stand still at the minimum. Each batch pulls elsewhere,
# and the weights jitter around it, the more the larger $\eta$ is: the loss stays a *noise floor* of the order of
# $\eta$ above its minimum. A large rate first goes far, a small one at the end comes to rest. We train a linear
# model with batches of 10, so that there is much noise.

# %%
DECAY_EPOCHS = 3
total = DECAY_EPOCHS * len(train) // 10
ended = {}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True)
for ax, rate in zip(axes, (1.0, 0.1), strict=True):
    choices = {
        f"constant {rate:g}": (mlp.optim.constant(rate), BLACK),
        f"constant {rate / 10:g}": (mlp.optim.constant(rate / 10), "grey"),
        f"cosine from {rate:g}": (cosine(rate, steps=total), VERMILION),
    }
    for name, (schedule, colour) in choices.items():
        network = mlp.Network(mlp.Linear(784, 10), rng=0)
        watch = LossAfterImages(every=1000)
        optimizer = SGD(network.parameters)
        ended[name] = train_loss(
            network, optimizer, epochs=DECAY_EPOCHS, batch_size=10, schedule=schedule, callbacks=[watch]
        )
        ax.plot(watch.images, watch.losses, "o-", markersize=3, color=colour, label=f"{name}: {ended[name]:.3f}")
    ax.set(xlabel="images seen", ylim=(0, 1), title=f"rate {rate:g}")
    ax.legend(frameon=False)
axes[0].set_ylabel("training loss")
assert ended["cosine from 1"] < 0.85 * ended["constant 1"]
assert ended["cosine from 1"] < 0.85 * ended["constant 0.1"]
assert ended["cosine from 0.1"] > ended["constant 0.1"]

# %% [markdown]
# *What it shows.* On the left the rate is high, and the constant one jitters. The cosine has both: it goes far,
# and it comes to rest. On the right the rate is so small that there is no noise floor yet: every reduction only
# loses time, and the cosine does *worse*. A schedule that falls allows a larger rate to begin with; without that
# it is of no use.
#
# ## Warm-up
#
# The first steps are special. RMSProp divides $g$ by $\sqrt s$ with $s = (1-\alpha) g^2$ after the first step,
# which makes the first step
#
# $$\eta\,\frac{g}{\sqrt{(1-\alpha)\,g^2}} = \frac{\eta}{\sqrt{1-\alpha}}\operatorname{sign} g = 10\,\eta \qquad\text{for } \alpha = 0.99 .$$
#
# Adam corrects this ($\hat s = s/(1-\beta_2^t)$): its first step is $\eta$ in every coordinate. Still, its first
# estimates rest on few gradients. Warm-up lets $\eta$ rise from near 0. Eight hidden layers, two epochs:

# %%
w = {name: mlp.Parameter(np.zeros(3), "w") for name in ("RMSProp", "Adam")}
for name, make in (("RMSProp", RMSProp), ("Adam", Adam)):
    w[name].grad = np.array([0.01, -1.0, 100.0])
    make([w[name]], lr=0.001).step()
    print(f"first step of {name} with η = 0.001 for g = (0.01, -1, 100): {w[name].data}")
assert np.allclose(w["RMSProp"].data, [-0.01, 0.01, -0.01], rtol=1e-4)
assert np.allclose(w["Adam"].data, [-0.001, 0.001, -0.001], rtol=1e-4)

steps = 2 * len(train) // 100
contenders = {
    "RMSProp": (lambda p: RMSProp(p), (0.003, 0.01)),
    "Adam": (lambda p: Adam(p), (0.01, 0.06)),
    "momentum": (lambda p: SGD(p, momentum=0.9), (0.1, 0.2)),
}
figure, axes = plt.subplots(1, 3, figsize=(11, 3), sharey=True)
outcome = {}
for ax, (name, (make, rates)) in zip(axes, contenders.items(), strict=True):
    for k, (label, length) in enumerate((("none", 0), ("30 steps", 30))):
        for rate in rates:
            schedule = warmup(cosine(rate, steps=steps - length), steps=length)
            values = []
            for seed in (0, 1):
                network = make_network(hidden=8, rng=seed)
                values.append(train_loss(network, make(network.parameters), epochs=2, schedule=schedule))
            outcome[name, rate, label] = np.mean(values)
        heights = [outcome[name, rate, label] for rate in rates]
        ax.bar(np.arange(2) + 0.4 * k, heights, 0.38, color=(BLACK, VERMILION)[k], label=f"warm-up: {label}")
    ax.set(title=name, xticks=np.arange(2) + 0.2, xticklabels=[f"η = {rate:g}" for rate in rates])
axes[0].set_ylabel("training loss")
axes[0].legend(frameon=False)
for key, value in outcome.items():
    print(f"{key[0]:8s} rate {key[1]:5.3f}, warm-up {key[2]:8s}: {value:.2f}")
assert outcome["RMSProp", 0.01, "30 steps"] < 0.8 * outcome["RMSProp", 0.01, "none"]
assert outcome["Adam", 0.06, "30 steps"] < 0.9 * outcome["Adam", 0.06, "none"]

# %% [markdown]
# *What it shows.* Warm-up helps RMSProp, whose first steps are ten times too long, and Adam at a high rate. For
# SGD with momentum, whose velocity starts at 0 and so warms up by itself, the picture is mixed here.
#
# ## Clipping
#
# One broken batch can throw a network far back: a camera fault, a bug in the data. Clipping shortens the whole
# gradient to length $c$ where it is longer, and keeps its direction:
#
# $$g \leftarrow g\,\min\!\left(1, \frac{c}{\lVert g\rVert}\right) .$$
#
# Here one batch in a hundred is 100 times as bright as it should be.


# %%
class Faults:
    """From the transform of a solver: 50, 150, ... batches go well, then one is broken."""

    def __init__(self):
        self.number = 0

    def __call__(self, x, targets, rng):
        self.number += 1
        return (100 * x if self.number % 100 == 50 else x), targets


class Norms(mlp.Callback):
    """Keeps the length of the gradient and the loss on 1000 images, every 10 steps and around faults."""

    def __init__(self):
        self.steps, self.losses = [], []

    def on_iteration(self, solver, x, y):
        if solver.global_step % 10 in (0, 1):
            self.steps.append(solver.global_step)
            self.losses.append(mlp.evaluate(solver.network, solver.loss, train[:1000])["loss"])


figure, ax = plt.subplots(figsize=(7, 3.2))
clipped, jump = {}, {}
for name, limit, colour in (("not clipped", None, BLACK), ("clipped to |g| ≤ 1", 1.0, VERMILION)):
    network, watch = make_network(), Norms()
    optimizer = SGD(network.parameters, lr=0.1, momentum=0.9)
    clipped[name] = train_loss(network, optimizer, clip_norm=limit, transform=Faults(), callbacks=[watch])
    ax.plot(
        watch.steps, np.minimum(watch.losses, 20), color=colour, label=f"{name}: {clipped[name]:.2f} at the end"
    )
    before, after = (watch.losses[watch.steps.index(step)] for step in (41, 51))
    jump[name] = after / before
    print(f"{name}: the broken batch multiplies the loss by {jump[name]:.1f}")
ax.axvline(50, color="grey", linestyle=":", label="broken batch")
ax.set(xlabel="step", ylabel="training loss", yscale="log")
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
assert jump["not clipped"] > 3
assert jump["clipped to |g| ≤ 1"] < 1.3
assert clipped["not clipped"] > 1.2 * clipped["clipped to |g| ≤ 1"]

# %% [markdown]
# *What it shows.* Without clipping one batch undoes the work of dozens, and momentum goes on in the wrong
# direction for some steps more. Clipped, you hardly see it. The price: where all gradients are longer than $c$,
# it is a smaller learning rate in disguise.
#
# ## Weight decay: coupled or decoupled
#
# L2 regularisation adds $\frac\lambda2\lVert w\rVert^2$ to the loss, so $\lambda w$ to the gradient. In SGD that
# is the same as shrinking all weights a little in each step, $w \leftarrow (1-\eta\lambda)\,w$: hence the name
# *weight decay*. In Adam it is not the same. There $g + \lambda w$ is divided by its own size. Take the weight of
# a pixel that is always white. It gets no gradient from the data, so
#
# $$g = \lambda w \quad\Rightarrow\quad \frac{\hat m}{\sqrt{\hat s}} \approx \operatorname{sign}(w): \qquad \text{it shrinks by } \eta \text{ a step, and } \lambda \text{ does not matter at all.}$$
#
# AdamW (2019) shrinks the weights apart from the gradient, by $1-\eta\lambda$ in each step, whatever the gradient
# is.

# %%
ETA, DECAYS = 0.001, (0.001, 0.1)
paths = {}
for name, make in (("Adam", Adam), ("AdamW", AdamW)):
    for decay in DECAYS:
        w = mlp.Parameter(np.array([0.2]), "w")  # the weight of a white pixel
        optimizer = make([w], lr=ETA, weight_decay=decay)
        paths[name, decay] = [w.data[0]]
        for _ in range(150):
            w.grad = np.zeros(1)
            optimizer.step()
            paths[name, decay].append(w.data[0])

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
for (name, decay), path in paths.items():
    colour, style = (BLUE, VERMILION)[name == "AdamW"], ("-", "--")[decay == DECAYS[1]]
    left.plot(path, style, color=colour, linewidth=3 if style == "-" else 1.5, label=f"{name}, λ = {decay:g}")
left.set(xlabel="step", ylabel="weight of a white pixel", ylim=(0, 0.22), title="λ does nothing in Adam")
left.legend(frameon=False, loc="lower left")

# In a network: how much do 100 epochs' worth of decay shrink weights with small and with large gradients?
x = train.inputs[:6000]
size = np.sqrt(np.mean(x**2, axis=0))  # of each pixel: the gradient of its weights goes with it
groups = {"white (0)": size == 0, "rare": (size > 0) & (size < 0.1), "frequent": size > 0.3}
shrunk = {}
for name, make in (("Adam", Adam), ("AdamW", AdamW)):
    lengths = {}
    for decay in (0.0, 0.1):
        network = make_network()
        begin = network[0].weight.data.copy()
        optimizer = make(network.parameters, lr=ETA, weight_decay=decay)
        train_loss(network, optimizer, epochs=EPOCHS)
        lengths[decay] = {g: np.linalg.norm(network[0].weight.data[m]) for g, m in groups.items()}
    shrunk[name] = [lengths[0.1][g] / lengths[0.0][g] for g in groups]
for k, (name, values) in enumerate(shrunk.items()):
    right.bar(np.arange(3) + 0.4 * k, values, 0.38, color=(BLUE, VERMILION)[k], label=name)
right.set(xticks=np.arange(3) + 0.2, xticklabels=list(groups), xlabel="pixels", title="λ = 0.1 on digits")
right.set_ylabel("weights with / without decay")
right.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

for name, values in shrunk.items():
    print(
        f"{name:5s}: lengths with decay / without: "
        + ", ".join(f"{g} {v:.2f}" for g, v in zip(groups, values, strict=True))
    )
assert np.allclose(paths["Adam", 0.001], paths["Adam", 0.1], atol=0.001)
assert np.allclose(paths["AdamW", 0.1], 0.2 * (1 - ETA * 0.1) ** np.arange(151))
assert max(shrunk["Adam"]) > 1.5 * min(shrunk["Adam"])
assert max(shrunk["AdamW"]) < 1.1 * min(shrunk["AdamW"])

# %% [markdown]
# *What it shows.* On the left, Adam's weight falls at the same speed for both $\lambda$, a hundred times apart.
# On the right you see the same in a network: Adam with L2 nearly wipes out the weights of white and rare pixels,
# and shrinks those of frequent ones much less, while AdamW shrinks all by the same small factor. That is what
# "weight decay" promises.
#
# ## Exercises
#
# **1. A moving average.** Some write momentum as $v \leftarrow \mu v + (1-\mu) g$. In the library that is
# `SGD(..., dampening=0.9)`. Which learning rate makes it walk the same path down the ravine as `momentum=0.9`
# with $\eta = 0.03$?
#
# <details><summary>Solution</summary>
#
# The velocity is smaller by $1-\mu$, so $\eta$ must be larger by $1/(1-\mu)$: 0.3.
#
# ```python
# heavy_ball = walk(lambda w: SGD([w], lr=0.03, momentum=0.9), STRAIGHT, START)
# average = walk(lambda w: SGD([w], lr=0.3, momentum=0.9, dampening=0.9), STRAIGHT, START)
# print(abs(heavy_ball - average).max())
# assert np.allclose(heavy_ball, average)
# ```
#
# </details>
#
# **2. Clip each entry.** `clip_by_value` brings each entry of the gradient into $[-c, c]$. Show that it changes
# the direction, and that clipping by the norm does not.
#
# <details><summary>Solution</summary>
#
# ```python
# def cosine_with_original(clip, limit):
#     network = make_network()
#     x, y = train[:100]
#     network.training_step(x, y, mlp.CrossEntropyLoss())
#     before = network.parameters.grad.copy()
#     clip(network.parameters, limit)
#     after = network.parameters.grad
#     return before @ after / np.linalg.norm(before) / np.linalg.norm(after)
#
# by_norm = cosine_with_original(mlp.optim.clip_by_norm, 0.1)
# by_value = cosine_with_original(mlp.optim.clip_by_value, 0.001)
# print(f"cosine with the gradient: by norm {by_norm:.4f}, by value {by_value:.4f}")
# assert by_norm > 0.9999
# assert by_value < 0.9
# ```
#
# </details>
#
# **3. Average instead of decay.** Instead of letting the rate fall one can average the weights over the last
# steps, which also takes the jitter away. Train the linear model with the constant rate 1 and
# `average=mlp.optim.WeightAverage(network.parameters, 0.99)`, and evaluate with the average.
#
# <details><summary>Solution</summary>
#
# ```python
# network = mlp.Network(mlp.Linear(784, 10), rng=0)
# average = mlp.optim.WeightAverage(network.parameters, 0.99)
# now = train_loss(network, SGD(network.parameters, lr=1.0), DECAY_EPOCHS, 10, average=average)
# with average.swapped():
#     averaged = mlp.evaluate(network, mlp.CrossEntropyLoss(), train)["loss"]
# print(f"weights of the last step {now:.3f}, their average {averaged:.3f}, cosine {ended['cosine from 1']:.3f}")
# assert averaged < 0.85 * now
# ```
#
# It does what the cosine does, without knowing in advance when training will end.
#
# </details>
