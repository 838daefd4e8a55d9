# %% [markdown]
# # 12. Training on many machines
#
# **What you will see.** One training run, divided in four ways: by images, by neurons, by layers, by parameters.
# Each gives what one machine gives, and you check it. You draw the timeline of a pipeline and see where it stands
# idle, count the bytes that every machine holds and sends, and learn from Amdahl why a thousand machines are not
# a thousand times as fast. Then the other way to train large networks: with less memory. Recomputation, mixed
# precision, compressed activations, quantisation: what each saves, and what error it costs.
#
# The machines ("ranks") are threads, so that you need only one. They show what happens and what is sent. They are
# not there to be fast.

# %%
import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp.efficiency import mixed_precision, quantization
from mlp.efficiency.activation_checkpointing import Recompute
from mlp.efficiency.compression import Compressed
from mlp.efficiency.memory import compression_error, measure_activation_bytes
from mlp.parallel import (
    DataParallel,
    Pipeline,
    ShardedDataParallel,
    TensorParallel,
    amdahl_speed_up,
    bytes_held,
    divide_layers,
    gpipe,
    mixed_precision_bytes_per_rank,
    model_parallel,
    one_f_one_b,
    run_threads,
    train_asynchronously,
)
from mlp.parallel.pipeline.timeline import simulate
from mlp.plots import BLACK, BLUE, GREEN, VERMILION, plot_pipeline

THOROUGH = False  # True: more steps

plt.rcParams.update({"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False})
train, test = mlp.load_mnist()
STEPS = 60 if THOROUGH else 20
BATCH = 128
batches = [train[k * BATCH : (k + 1) * BATCH].arrays() for k in range(STEPS)]


def make_network():
    return mlp.Network(mlp.Linear(784, 64), mlp.ReLU(), mlp.Linear(64, 64), mlp.ReLU(), mlp.Linear(64, 10), rng=0)


# %% [markdown]
# ## Four ways to divide one run
#
# | way | a rank has | it sends |
# |---|---|---|
# | data parallel | the whole network, a slice of each batch | gradients |
# | tensor parallel | some neurons of every other layer | activations, in the middle of the network |
# | pipeline | some layers | activations at the borders, microbatch by microbatch |
# | sharded (ZeRO, FSDP) | a slice of each batch and *a slice of all parameters* | parameters, gradients |
#
# For data parallelism the reason why it works is one line. The loss is a mean over the batch, so its gradient is
# a mean, too:
#
# $$g = \frac1n\sum_{i=1}^n g_i = \frac1n\sum_{r=1}^{N}\ \sum_{i \in \text{rank } r} g_i .$$
#
# Every rank sums over its own images, and one *all-reduce* gives all of them the total. Here are all ways, on two
# ranks, for some steps. `counts` keeps what a rank has said.


# %%
def train_on(communicator, way):
    network, loss = make_network(), mlp.CrossEntropyLoss()
    if way == "data":
        model = DataParallel(network, communicator)
    elif way == "tensor":
        model = TensorParallel(divide_layers(network, communicator))
    elif way == "pipeline":
        model = Pipeline(network, communicator, one_f_one_b(communicator.size, microbatches=4))
    elif way == "sharded":
        model = ShardedDataParallel(network, communicator, stage=3)
    optimizer = mlp.SGD(model.parameters, lr=0.05, momentum=0.9)
    solver = mlp.Solver(
        model, loss, optimizer, epochs=1, batch_size=BATCH, log_every=1, callbacks=[keep := Losses()]
    )
    communicator.counts.clear()
    solver.fit(train[: STEPS * BATCH])
    return keep.losses, communicator.counts


class Losses(mlp.Callback):
    """Keeps the loss of each batch."""

    def __init__(self):
        self.losses = []

    def on_log(self, solver, row):
        self.losses.append(row["batch_loss"])


keep = Losses()
network = make_network()
optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
mlp.Solver(
    network, mlp.CrossEntropyLoss(), optimizer, epochs=1, batch_size=BATCH, log_every=1, callbacks=[keep]
).fit(train[: STEPS * BATCH])
WAYS = ("data", "tensor", "pipeline", "sharded")
results = {way: run_threads(train_on, 2, way)[0] for way in WAYS}

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
left.plot(keep.losses, color=BLACK, linewidth=5, alpha=0.25, label="one machine")
for way, style in zip(WAYS, ("-", "--", "-.", ":"), strict=True):
    losses, counts = results[way]
    left.plot(losses, style, label=f"{way} parallel, 2 ranks")
    difference = np.max(np.abs(np.array(losses) - keep.losses))
    print(
        f"{way:9s} largest difference of a loss {difference:.1e}; a rank sends {counts.wire_bytes / STEPS / 1e3:6.1f} kB a step"
    )
    assert difference < 1e-3
left.set(xlabel="step", ylabel="loss of the batch")
left.legend(frameon=False)
sent = [results[way][1].wire_bytes / STEPS / 1e3 for way in WAYS]
bars = right.bar(WAYS, sent, color=BLUE)
right.bar_label(bars, fmt="%.0f")
right.set(ylabel="kB that a rank sends in a step")

P = make_network().parameters.size
ranks = 2
assert np.isclose(sent[0], 2 * 4 * P * (ranks - 1) / ranks / 1e3, rtol=0.02)  # an all-reduce of P numbers
assert np.isclose(sent[3], 3 * 4 * P * (ranks - 1) / ranks / 1e3, rtol=0.02)  # two gathers and a reduce-scatter
assert max(sent[1], sent[2]) < sent[0] / 2

# %% [markdown]
# *What it shows.* Five curves lie on each other: they are the same training, up to the order of sums in float32.
# What differs is what is sent. Data parallelism sends $2P\frac{N-1}{N}$ numbers, however large the batch; with
# parameters sharded it is $3P\frac{N-1}{N}$. The other two send activations: little here, and more with every
# image in the batch.
#
# ## A pipeline, and its idle time
#
# Layers on several ranks alone save no time: one stage works, the others wait. A pipeline cuts the batch into $m$
# microbatches that follow each other. With $p$ stages it stands idle at the beginning and at the end, for the
# share
#
# $$\frac{p-1}{m+p-1}$$
#
# of the time. GPipe sends all microbatches forward, then all backward, and must remember $m$ of them. **1F1B**
# goes backward as soon as it can, one forward, one backward: it waits as long, and stage $i$ remembers $p-i$ at
# most.

# %%
schedules = {
    "layers on 4 ranks": model_parallel(4),
    "GPipe": gpipe(4, 8),
    "1F1B": one_f_one_b(4, 8),
}
timelines = {name: simulate(schedule, 1.0, 2.0) for name, schedule in schedules.items()}
figure = plot_pipeline({name: timelines[name] for name in ("GPipe", "1F1B")})
figure

# %%
remembered = {name: [schedule.in_flight(stage) for stage in range(4)] for name, schedule in schedules.items()}
for name, timeline in timelines.items():
    print(f"{name:18s} idle for {timeline.idle_share:.1%}, microbatches remembered by stage: {remembered[name]}")
assert np.isclose(timelines["layers on 4 ranks"].idle_share, 3 / 4)
assert np.isclose(timelines["GPipe"].idle_share, 3 / (8 + 3))
assert np.isclose(timelines["1F1B"].idle_share, 3 / (8 + 3))
assert remembered["GPipe"] == [8, 8, 8, 8]
assert remembered["1F1B"] == [4, 3, 2, 1]

MICROBATCHES = (1, 2, 4, 8, 16, 32, 64)
figure, ax = plt.subplots(figsize=(6.5, 3))
for p, colour in ((2, BLUE), (4, GREEN), (8, VERMILION)):
    measured = [simulate(one_f_one_b(p, m)).idle_share for m in MICROBATCHES]
    formula = [(p - 1) / (m + p - 1) for m in MICROBATCHES]
    assert np.allclose(measured, formula)
    ax.plot(MICROBATCHES, measured, "o", color=colour, label=f"{p} stages, simulated")
    ax.plot(MICROBATCHES, formula, color=colour, linewidth=1)
ax.set(
    xscale="log",
    xlabel="microbatches m",
    ylabel="idle share",
    xticks=MICROBATCHES,
    xticklabels=MICROBATCHES,
    ylim=0,
)
ax.legend(frameon=False)
ax.minorticks_off()

# %% [markdown]
# The simulation is only as good as its times. `pipeline.timeline()` has what really happened, here on two
# threads. You see the order of 1F1B, and that real passes are not equally long. (The two threads share your
# processor, so this is no measurement of speed.)


# %%
def one_step(communicator):
    layers, width = [], 784
    for _ in range(4):  # wide, so that passes take longer than messages
        layers += [mlp.Linear(width, 512), mlp.ReLU()]
        width = 512
    network = mlp.Network(*layers, mlp.Linear(512, 10), rng=0)
    pipeline = Pipeline(network, communicator, one_f_one_b(2, 4))
    for x, y in batches[:3]:  # the first steps warm up
        pipeline.training_step(x, y, mlp.CrossEntropyLoss())
    timeline = pipeline.timeline()  # all ranks ask for it together
    return timeline, pipeline.most_in_flight


(timeline, first), (_, last) = run_threads(one_step, 2)
print(f"stage 0 remembered {first} microbatches at most, stage 1 {last}")
assert (first, last) == (2, 1)
plot_pipeline(timeline, "s")

# %% [markdown]
# ## Bytes a rank
#
# Adam in mixed precision needs 16 bytes for each parameter: 2 for the weight, 2 for the gradient, 12 for the
# optimizer (a weight, a mean and a mean square in float32). In data parallelism every rank holds all of that.
# ZeRO cuts it into slices, stage by stage:
#
# | | bytes a rank | sent in a step, numbers |
# |---|---|---|
# | data parallel | $16P$ | $2P$ |
# | ZeRO-1: the optimizer | $4P + 12P/N$ | $2P$ |
# | ZeRO-2: and the gradients | $2P + 14P/N$ | $2P$ |
# | ZeRO-3, FSDP: and the weights | $16P/N$ | $3P$ |
#
# On the left the formula for a network of 7 billion parameters. On the right what the ranks of this library
# really hold (a network of 16 equal layers in float32, with room for one layer in addition).

# %%
BILLIONS = 7e9
RANKS = (1, 2, 4, 8, 16, 32, 64)
NAMES = ("data parallel", "ZeRO-1", "ZeRO-2", "ZeRO-3")
COLOURS = (BLACK, BLUE, GREEN, VERMILION)


def hold(communicator, stage):
    network = mlp.Network(*(mlp.Linear(128, 128) for _ in range(16)), rng=0)
    model = DataParallel(network, communicator) if stage == 0 else ShardedDataParallel(network, communicator, stage)
    return bytes_held(model, mlp.Adam(model.parameters))


held = {stage: [run_threads(hold, N, stage)[0] for N in (1, 2, 4, 8)] for stage in range(4)}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
for stage, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
    gigabytes = [mixed_precision_bytes_per_rank(stage, BILLIONS, N) / 1e9 for N in RANKS]
    left.plot(RANKS, gigabytes, "o-", color=colour, label=f"{name}: {gigabytes[-1]:.0f} GB on 64")
    right.plot((1, 2, 4, 8), np.array(held[stage]) / held[0][0], "o-", color=colour, label=name)
left.axhline(80, color="grey", linestyle=":", label="80 GB: a large accelerator")
left.set(
    xscale="log", yscale="log", xticks=RANKS, xticklabels=RANKS, xlabel="ranks N", ylabel="GB a rank, P = 7·10⁹"
)
left.minorticks_off()
left.legend(frameon=False)
right.set(xlabel="ranks N", ylabel="measured, of one rank's bytes", xticks=(1, 2, 4, 8), ylim=0)

for stage, name in enumerate(NAMES):
    print(
        f"{name:14s} measured: "
        + ", ".join(f"{b / 1e3:,.0f} kB on {N}" for b, N in zip(held[stage], (1, 2, 4, 8), strict=True))
    )
assert held[0][0] == held[0][3]  # more ranks, the same memory on each
assert held[3][3] < held[2][3] < held[1][3] < held[0][3]
assert held[3][3] < 0.3 * held[0][3]

# %% [markdown]
# *What it shows.* 7 billion parameters need 112 GB, which no single machine of 80 GB has. More ranks do not help
# data parallelism. With ZeRO-3 four ranks are enough. (On one rank the sharded ways hold more here than plain
# data parallelism: room for gathered units that a single rank would not need.)
#
# ## Amdahl's law
#
# A part $s$ of the work cannot be divided: the update of the parameters that each rank does for itself, waiting,
# latency. Then $N$ ranks are at most
#
# $$\frac{1}{s + (1-s)/N} < \frac1s$$
#
# times as fast. With $s$ = 5 % no number of ranks gives more than a factor of 20. **For whom is data parallelism
# worth it?** Count multiplications and numbers sent for one step of our network: the larger the batch, the more
# work for the same communication.

# %%
N = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
for s, colour in ((0.0, BLACK), (0.01, BLUE), (0.05, GREEN), (0.2, VERMILION)):
    left.loglog(N, [amdahl_speed_up(s, n) for n in N], "o-", markersize=3, color=colour, label=f"s = {s:.0%}")
left.set(xlabel="ranks N", ylabel="at most so many times as fast", ylim=(0.8, 1500))
left.legend(frameon=False)
assert 19 < amdahl_speed_up(0.05, 1024) < 20
assert np.isclose(amdahl_speed_up(0.05, np.inf), 20)

sizes = np.array([1, 4, 16, 64, 256, 1024, 4096, 16384])
weights = sum(p.size for p in make_network().parameters if p.data.ndim == 2)
work = 6 * weights * sizes  # forward one product, backward two, each a multiplication and an addition
for ranks, colour in ((2, BLUE), (8, GREEN), (64, VERMILION)):
    right.loglog(sizes, work / ranks / (2 * P * (ranks - 1) / ranks), "o-", color=colour, label=f"{ranks} ranks")
right.axhline(100, color="grey", linestyle=":", label="if a number sent costs as much as 100 operations")
right.set(xlabel="images in a batch", ylabel="operations for each number sent")
right.legend(frameon=False, loc="lower right", fontsize=8)
assert np.isclose((work / (2 * P))[-1] / (work / (2 * P))[0], 16384)

# %% [markdown]
# ## Not waiting: stale gradients
#
# All of these wait for the slowest rank in each step. *Asynchronous* training does not: a server has the weights,
# and workers send gradients whenever they are ready. The price is staleness: with $W$ equally quick workers a
# gradient is $W-1$ updates old when it arrives. An old gradient points from where the weights were. How much that
# hurts depends on how far they have moved since: on the learning rate.


# %%
def asynchronous(communicator, rate):
    network = make_network()
    workers = list(range(1, communicator.size))  # in turn, so that the run can be repeated
    return train_asynchronously(
        network,
        mlp.CrossEntropyLoss(),
        mlp.SGD(network.parameters, lr=rate),
        communicator,
        lambda i: batches[i % STEPS],
        updates=3 * STEPS,
        schedule=workers,
    )


figure, axes = plt.subplots(1, 2, figsize=(11, 3.2), sharey=True)
final = {}
for ax, rate in zip(axes, (0.01, 0.1), strict=True):
    for workers, colour in ((1, BLACK), (4, BLUE), (8, VERMILION)):
        updates = run_threads(asynchronous, workers + 1, rate)[0]
        staleness = np.bincount(updates.staleness).argmax()
        final[rate, workers] = np.mean(updates.losses[-10:])
        ax.plot(np.minimum(updates.losses, 5), color=colour, label=f"{workers} workers, {staleness} updates old")
        assert staleness == workers - 1
    ax.set(title=f"learning rate {rate}", xlabel="update", ylim=(0, 5))
    ax.legend(frameon=False)
axes[0].set_ylabel("loss of the batch")
for (rate, workers), value in final.items():
    print(f"rate {rate}: {workers} workers, loss {value:.2f} at the end")
assert final[0.01, 4] < 1.15 * final[0.01, 1]  # small steps: old gradients are nearly as good
assert final[0.1, 8] > 1.5 * final[0.1, 1]  # large steps: they are not

# %% [markdown]
# *What it shows.* With small steps a gradient that is a few updates old is nearly as good as a new one. With
# large steps the weights have moved too far meanwhile, and training fails. The remedy is a smaller rate, which
# costs part of the time that was won by not waiting.
#
# ## Less memory on one machine
#
# What fills the memory in training are not only parameters. Each layer remembers its input until the backward
# pass: *activations*, in proportion to the batch. Four ways to save:
#
# - **Recomputation**: remember the inputs of blocks only, and compute the rest again. No error, about a third
#   more work.
# - **Compressed activations**: remember them in 16 or 8 bits. The outputs are exact, the gradients nearly.
# - **Mixed precision**: all numbers in float16, but the weights' master copy in float32.
# - **Quantisation**: weights in 8 bits, for use, not for training.
#
# First recomputation and compression: a network of six layers of 256 with GeLU, a batch of 512. We measure the
# bytes that the allocator hands out, and the relative error of the whole gradient,
# $\lVert \hat g - g\rVert / \lVert g\rVert$.


# %%
def deep(wrap):
    parts, width = [], 784
    for _ in range(6):
        parts.append(wrap(mlp.Linear(width, 256), mlp.GeLU()))
        width = 256
    return mlp.Network(*parts, mlp.Linear(256, 10), rng=0)


variants = {
    "plain": mlp.Sequential,
    "recomputed": Recompute,
    "float16": lambda *layers: Compressed(*layers, storage="float16"),
    "int8": lambda *layers: Compressed(*layers, storage="int8"),
}
x, y = train[:512].arrays()
loss = mlp.CrossEntropyLoss()
reference = deep(mlp.Sequential)
reference.training_step(x, y, loss)
memory, error = {}, {}
for name, wrap in variants.items():
    network = deep(wrap)
    memory[name] = measure_activation_bytes(network, x).held / 1e6
    if isinstance(network[0], Compressed):
        error[name] = compression_error(network, x, y, loss)["all"]
    else:
        network.training_step(x, y, loss)
        difference = network.parameters.grad - reference.parameters.grad
        error[name] = np.linalg.norm(difference) / np.linalg.norm(reference.parameters.grad)
    print(f"{name:11s} {memory[name]:5.1f} MB held, error of the gradient {error[name]:.1e}")

# And all at once in 16 bits: weights, activations and gradients.
network = deep(variants["float16"])
precision = mixed_precision.MixedPrecision(network)
precision.training_step(x, y, loss)
assert precision.unscale()  # no overflow
memory["mixed precision"] = memory["float16"]
difference = network.parameters.grad - reference.parameters.grad
error["mixed precision"] = np.linalg.norm(difference) / np.linalg.norm(reference.parameters.grad)
print(f"mixed precision, on float16 activations: error of the gradient {error['mixed precision']:.1e}")

figure, ax = plt.subplots(figsize=(6.5, 3))
for name, colour in zip(memory, (BLACK, BLUE, GREEN, VERMILION, "grey"), strict=True):
    ax.plot(memory[name], max(error[name], 1e-8), "o", color=colour, markersize=10)
    ax.annotate(name, (memory[name], max(error[name], 1e-8)), xytext=(8, 6), textcoords="offset points")
ax.set(
    xlabel="MB held between forward and backward",
    ylabel="error of the gradient",
    yscale="log",
    xlim=0,
    ylim=(5e-9, 1),
)
ax.text(0.3, 1.3e-8, "(no error at all: drawn at 1e-8)", fontsize=8, color="grey")
# How large is the error of a mini-batch itself? Two halves of this batch:
halves = []
for half in (slice(0, 256), slice(256, 512)):
    reference.training_step(x[half], y[half], loss)
    halves.append(reference.parameters.grad.copy())
noise = np.linalg.norm(halves[0] - halves[1]) / np.linalg.norm(halves[0] + halves[1])
print(f"half of the batch instead of all of it: error of the gradient {noise:.1e}")

assert error["plain"] == error["recomputed"] == 0
assert max(error.values()) < 0.3 * noise
assert memory["recomputed"] < 0.7 * memory["plain"]
assert memory["int8"] < memory["float16"] < memory["plain"]
assert 0 < error["float16"] < 0.003
assert error["float16"] < error["int8"] < 0.1
assert error["float16"] < error["mixed precision"] < 0.1

# %% [markdown]
# *What it shows.* Recomputation saves half of the memory and costs time, but no accuracy at all. Fewer bits cost
# an error, and it is small beside the error that each mini-batch has anyway, because it is only a sample of the
# images.
#
# ## Mixed precision, and why the loss is scaled
#
# float16 has 11 significant bits and ends at about $6\cdot10^{-8}$: smaller gradients become 0. Multiply the loss
# by $S$, and all gradients are $S$ times as large (the chain rule is linear). Before the update they are divided
# by $S$, in float32. (NumPy has no fast product of float16 matrices. So the library rounds to float16 *numbers*
# and multiplies them in float32: you see the error that 16 bits make, not the time that they save.) The picture
# shows the gradients of a network in the middle of its training, and what float16 can hold.

# %%
layers, width = [], 784
for _ in range(8):
    layers += [mlp.Linear(width, 64), mlp.Sigmoid()]
    width = 64
deep_sigmoids = mlp.Network(*layers, mlp.Linear(64, 10), rng=0, init="xavier_normal")
deep_sigmoids.training_step(*train[:100].arrays(), loss)
g = np.abs(deep_sigmoids[0].weight.grad)
g = g[g > 0]
SMALLEST = float(np.finfo(np.float16).smallest_subnormal)
lost = {scale: np.mean((g * scale).astype(np.float16) == 0) for scale in (1, 2**10)}

figure, ax = plt.subplots(figsize=(7, 3))
ax.hist(np.log2(g), bins=80, range=(-40, 5), color=BLUE, label=f"gradients: {lost[1]:.1%} become 0")
ax.hist(
    np.log2(g * 2**10),
    bins=80,
    range=(-40, 5),
    color=VERMILION,
    alpha=0.6,
    label=f"times S = 2¹⁰: {lost[2**10]:.2%}",
)
ax.axvspan(-40, np.log2(SMALLEST / 2), color="lightgrey", zorder=0, label="0 in float16")
ax.set(xlabel="log₂ |g|", yticks=[])
ax.legend(frameon=False)
print(f"of these gradients float16 loses {lost[1]:.2%}, scaled by 2¹⁰ {lost[2**10]:.3%}")
assert lost[1] > 0.1
assert lost[2**10] < 0.1 * lost[1]

# Training of our network in both ways. Its gradients are large enough; the scale finds itself.
accuracy = {}
for name in ("float32", "mixed"):
    network = make_network()
    precision = mixed_precision.MixedPrecision(network) if name == "mixed" else None
    optimizer = mlp.Adam(network.parameters, lr=0.003)
    solver = mlp.Solver(network, loss, optimizer, epochs=2, precision=precision)
    solver.fit(train[:6000])
    accuracy[name] = mlp.evaluate(network, loss, test)["accuracy"]
    print(f"{name:8s} test accuracy {accuracy[name]:.2%}")
assert abs(accuracy["mixed"] - accuracy["float32"]) < 0.02

# %% [markdown]
# ## Quantisation
#
# For use, every output's weights become whole numbers from -127 to 127 with one scale:
# $W_{ij} \approx s_j Q_{ij}$, $s_j = \max_i |W_{ij}| / 127$. Nothing is rounded by more than $s_j/2$. That is a
# quarter of the memory. How many bits are needed? The library has 8; we round by hand to fewer.

# %%
report = quantization.quantization_report(network, test)
print(report)
assert report.bytes_after < 0.3 * report.bytes_before
assert abs(report.accuracy_loss) < 0.01

bits, after = (8, 6, 5, 4, 3, 2), []
for b in bits:
    rounded = network.astype(np.float32)
    for p in rounded.parameters:
        if p.data.ndim == 2:
            scale = abs(p.data).max(axis=0) / (2 ** (b - 1) - 1)
            p.data = np.rint(p.data / scale) * scale
    after.append(mlp.evaluate(rounded, loss, test)["accuracy"])
figure, ax = plt.subplots(figsize=(6, 3))
ax.plot(bits, 100 * np.array(after), "o-", color=BLUE)
ax.axhline(100 * accuracy["mixed"], color=BLACK, linestyle=":", label="not rounded")
ax.set(xlabel="bits for a weight", ylabel="test accuracy (%)", xticks=bits, ylim=(0, 100))
ax.invert_xaxis()
ax.legend(frameon=False)
print("accuracy: " + ", ".join(f"{b} bits {a:.1%}" for b, a in zip(bits, after, strict=True)))
assert abs(after[0] - accuracy["mixed"]) < 0.01
assert after[-1] < after[0] - 0.02

# %% [markdown]
# *What it shows.* 8 bits are as good as 32 for use, and on digits even 4 or 5 nearly are. With 2 bits there are
# three values left for a weight, and the network falls apart.
#
# ## Exercises
#
# **1. Unequal slices.** Three ranks share a batch of 100 images: 34, 33 and 33. Show that the mean of the ranks'
# mean gradients is not the gradient of the batch, and what is.
#
# <details><summary>Solution</summary>
#
# Weight each rank by its number of images, $g = \sum_r \frac{n_r}{n} g_r$; or add up sums, and divide once.
#
# ```python
# from mlp.parallel import slice_batch
#
# x, y = train[:100].arrays()
# network = make_network()
# network.training_step(x, y, loss)
# whole = network.parameters.grad.copy()
#
# def part(communicator):
#     mine, labels = slice_batch(x, communicator), slice_batch(y, communicator)
#     network = make_network()
#     network.training_step(mine, labels, mlp.CrossEntropyLoss())
#     return len(mine), network.parameters.grad
#
# parts = run_threads(part, 3)
# plain = sum(g for _, g in parts) / 3
# weighted = sum(n / 100 * g for n, g in parts)
# print([n for n, _ in parts], abs(plain - whole).max(), abs(weighted - whole).max())
# assert abs(weighted - whole).max() < 0.1 * abs(plain - whole).max()
# ```
#
# </details>
#
# **2. An unbalanced pipeline.** The second of four stages takes twice as long as the others. Simulate 1F1B with 8
# microbatches. How much of the time is idle now, and who waits?
#
# <details><summary>Solution</summary>
#
# All wait for the slowest: a pipeline is as fast as its slowest stage.
#
# ```python
# slow = simulate(one_f_one_b(4, 8), [1, 2, 1, 1], [2, 4, 2, 2])
# even = simulate(one_f_one_b(4, 8), [1.25] * 4, [2.5] * 4)  # the same work, evenly divided
# print(f"idle {slow.idle_share:.0%} instead of {even.idle_share:.0%}, {slow.makespan} instead of {even.makespan} units")
# assert slow.makespan > 1.2 * even.makespan
# ```
#
# </details>
#
# **3. How many blocks?** A chain of $n$ equal layers is cut into $k$ blocks that are recomputed. Held are $k$
# inputs of blocks, and during the backward pass of one block its $n/k$ layers. For which $k$ is $k + n/k$
# smallest? Check it for $n = 16$.
#
# <details><summary>Solution</summary>
#
# The derivative $1 - n/k^2$ is 0 for $k = \sqrt n$: 4 blocks of 4.
#
# ```python
# cost = {k: k + 16 / k for k in (1, 2, 4, 8, 16)}
# assert min(cost, key=cost.get) == 4
#
# def chain(k):
#     layers = [mlp.Linear(256, 256) for _ in range(16)]
#     size = 16 // k
#     return mlp.Network(*(Recompute(*layers[i : i + size]) for i in range(0, 16, size)), rng=0)
#
# z = np.random.default_rng(0).normal(size=(512, 256)).astype(np.float32)
# peak = {k: measure_activation_bytes(chain(k), z).peak / 1e6 for k in (1, 4, 16)}
# print(peak)
# assert peak[4] < peak[1]
# assert peak[4] < peak[16]
# ```
#
# </details>
