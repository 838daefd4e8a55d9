# %% [markdown]
# # 11. Four blocks
#
# **What you will see.** Large networks are stacks of one small thing: a block of two layers. There is a plain one
# and a gated one, and each has a twin that is divided among several machines. You see what a gate can do that a
# plain unit cannot, and whether that helps on digits. You cut matrices by columns and by rows by hand, and
# compare with the library, to the last digit. You count what the machines say to each other, with and without
# *sequence parallelism*. And you walk into the traps of each block, on purpose.
#
# The machines are threads here: nothing to install, and the same numbers.

# %%
import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp.layers import GatedMlp, Mlp
from mlp.parallel import ColumnParallelLinear, ParallelGatedMlp, ParallelMlp, RowParallelLinear, run_threads
from mlp.plots import BLACK, BLUE, VERMILION

THOROUGH = False  # True: more data, more seeds

plt.rcParams.update({"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False})
train, test = mlp.load_mnist()
train = train[: 12_000 if THOROUGH else 4_000]
SEEDS = range(5 if THOROUGH else 2)

# %% [markdown]
# ## The plain block and the gated block
#
# ```
#         Mlp                              GatedMlp
#
#          x                                  x
#          |                               /     \
#         fc1    d -> 4 d             value      gate     d -> 8/3 d, each
#          |                             |          |
#         act                            |         act
#          |                              \        /
#         fc2    4 d -> d                  product
#          |                                  |
#          y                                 fc2           8/3 d -> d
#                                             |
#                                             y
# ```
#
# $$\text{Mlp:}\quad y = \operatorname{act}(x W_1 + b_1)\, W_2 + b_2 \qquad\quad \text{GatedMlp:}\quad y = \big(v \odot \operatorname{act}(g)\big)\, W_2 + b_2, \quad v = x W_v + b_v, \quad g = x W_g + b_g$$
#
# The gate's activation gives the block its name: GLU (sigmoid), SwiGLU (SiLU), GeGLU (GeLU), ReGLU (ReLU). A
# gated block has three matrices. With a hidden width of $\frac83 d$ they hold $3\cdot\frac83 d^2 = 8d^2$ weights,
# as many as the plain one's two: $2\cdot 4d^2$. The library rounds the width up to a multiple, by default of 128,
# because hardware likes round numbers. For small blocks that is no longer equal, so let us look.

# %%
widths = np.arange(32, 513, 32)


def weights_of(block):
    return sum(p.size for p in mlp.Network(block).parameters if p.data.ndim == 2)


ratio = {
    multiple: [
        weights_of(GatedMlp(d, multiple_of=multiple, weight_init="zeros")) / weights_of(Mlp(d, weight_init="zeros"))
        for d in map(int, widths)
    ]
    for multiple in (1, 128)
}
figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(widths, ratio[128], color=VERMILION, label="multiple_of=128")
ax.plot(widths, ratio[1], color=BLUE, label="multiple_of=1")
ax.set(xlabel="width d", ylabel="weights, gated / plain", ylim=(0, None))
ax.legend(frameon=False)
assert np.allclose(ratio[1], 1, atol=0.03)
assert ratio[128][0] > 1.4  # d = 32: 85 hidden units become 128
assert ratio[128][-1] < 1.1  # d = 512: 1365 become 1408

# %% [markdown]
# **What is a gate good for?** Look at one hidden unit, as a function of one input $x$. A plain ReLU unit is a
# ramp. A gated unit is a *product* of two functions of $x$: with a gate that is open or closed it is a ramp that
# can jump, without activation it is a parabola. In particular, one gated unit multiplies: $x_1 \cdot x_2$. A
# plain block has to piece that together from ramps.

# %%
x = np.linspace(-3, 3, 300)
sigmoid, relu = 1 / (1 + np.exp(-4 * x)), np.maximum(x, 0)
figure, axes = plt.subplots(1, 4, figsize=(13, 2.8))
axes[0].plot(x, relu, color=BLACK, label="plain: max(x, 0)")
axes[0].plot(x, (x + 1.5) * sigmoid, color=BLUE, label="GLU: (x + 1.5) σ(4x)")
axes[0].plot(x, 0.5 * x * x - 1, color=VERMILION, label="no activation: x · x/2 - 1")
axes[0].set(title="one hidden unit", xlabel="x", ylim=(-1.5, 8))
axes[0].legend(frameon=False, fontsize=8)

rng = np.random.default_rng(0)
inputs = rng.uniform(-1, 1, (2000, 2)).astype(np.float32)
product = inputs[:, :1] * inputs[:, 1:]
grid = (
    np.stack(np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, 1, 60)), axis=-1).reshape(-1, 2).astype(np.float32)
)
surfaces, errors = {"x₁ · x₂": grid[:, 0] * grid[:, 1]}, {}
for name, block in {
    "Mlp, 4 ReLU units": Mlp(2, 4, 1, "ReLU", rng=1),
    "GatedMlp, 1 unit": GatedMlp(2, 1, 1, "Identity", multiple_of=1, rng=1),
}.items():
    network = mlp.Network(block)
    optimizer = mlp.Adam(network.parameters, lr=0.02)
    mlp.Solver(network, mlp.MSELoss(), optimizer, epochs=30, batch_size=100).fit((inputs, product))
    surfaces[name] = network.scores(grid)[:, 0]
    errors[name] = np.sqrt(np.mean((surfaces[name] - surfaces["x₁ · x₂"]) ** 2))
    print(f"{name}: {network.parameters.size} parameters, error {errors[name]:.1e}")
for ax, (name, surface) in zip(axes[1:], surfaces.items(), strict=True):
    ax.contourf(surface.reshape(60, 60), levels=np.linspace(-1, 1, 21), cmap="RdBu", extend="both")
    ax.set(title=name, xticks=[], yticks=[], aspect="equal")
assert errors["GatedMlp, 1 unit"] < 0.01
assert errors["Mlp, 4 ReLU units"] > 5 * errors["GatedMlp, 1 unit"]

# %% [markdown]
# *What it shows.* With fewer parameters the gated block has the product exactly, and the plain one a roof of flat
# pieces. The chain rule is that of a product: with $h = v\,a$ and $a = \operatorname{act}(g)$,
#
# $$\frac{\partial L}{\partial v} = \frac{\partial L}{\partial h}\, a, \qquad \frac{\partial L}{\partial g} = \frac{\partial L}{\partial h}\, v\, \operatorname{act}'(g) .$$
#
# **Is it better on digits?** A fair comparison has equal parameters: two blocks of width 48, each around a
# shortcut ($x + f(x)$).

# %%
D = 48
kinds = {
    "plain, ReLU": lambda: Mlp(D, activation="ReLU"),
    "plain, GeLU": lambda: Mlp(D, activation="GeLU"),
    "GLU": lambda: GatedMlp(D, activation="Sigmoid", multiple_of=1),
    "SwiGLU": lambda: GatedMlp(D, activation="SiLU", multiple_of=1),
    "GeGLU": lambda: GatedMlp(D, activation="GeLU", multiple_of=1),
    "ReGLU": lambda: GatedMlp(D, activation="ReLU", multiple_of=1),
}
accuracy, size = {}, {}
for name, make in kinds.items():
    accuracy[name] = []
    for seed in SEEDS:
        blocks = [layer for _ in range(2) for layer in (mlp.Residual(mlp.LayerNorm(D), make()),)]
        network = mlp.Network(mlp.Linear(784, D), *blocks, mlp.LayerNorm(D), mlp.Linear(D, 10), rng=seed)
        optimizer = mlp.Adam(network.parameters, lr=0.003)
        mlp.Solver(network, mlp.CrossEntropyLoss(), optimizer, epochs=4, rng=seed).fit(train)
        accuracy[name].append(mlp.evaluate(network, mlp.CrossEntropyLoss(), test)["accuracy"])
        size[name] = network.parameters.size
figure, ax = plt.subplots(figsize=(7, 2.8))
for k, (name, values) in enumerate(accuracy.items()):
    colour = BLACK if name.startswith("plain") else BLUE
    ax.plot(100 * np.array(values), [k] * len(values), "o", color=colour, alpha=0.6)
    ax.plot(100 * np.mean(values), k, "|", color=colour, markersize=20)
    print(f"{name:12s} {size[name]:,} parameters, test accuracy {np.mean(values):.2%}")
ax.set(yticks=range(len(kinds)), yticklabels=list(kinds), xlabel="test accuracy (%), a dot for each seed")
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)

assert max(size.values()) < 1.01 * min(size.values())
means = [np.mean(values) for values in accuracy.values()]
assert min(means) > 0.86
assert max(means) - min(means) < 0.05

# %% [markdown]
# *What it shows.* In language models gated blocks win by a little at equal parameters (Shazeer, 2020). Here the
# blocks differ by about as much as two runs of the same block with different seeds. Do not believe an order that
# rests on two dots: `THOROUGH = True` gives more.
#
# ## Two ways to cut a matrix
#
# Two machines ("ranks") share the work of $y = xW + b$, where $x$ is a row and $W$ has the shape (in, out).
#
# - **By columns**, $W = [\,W_0 \mid W_1\,]$: each rank computes some of the outputs, $[\,xW_0 \mid xW_1\,]$. They
#   stand side by side.
# - **By rows**, $W = \begin{bmatrix}W_0\\W_1\end{bmatrix}$: each rank has some of the inputs, and
#   $xW = x_0W_0 + x_1W_1$. The results are *summed*.
#
# (Texts that write $y = Wx$ name the same two cuts the other way round.) First by hand.

# %%
rng = np.random.default_rng(0)
x, W, b = rng.normal(size=(5, 6)), rng.normal(size=(6, 4)), rng.normal(size=4)
y = x @ W + b

by_columns = np.concatenate([x @ W[:, :2] + b[:2], x @ W[:, 2:] + b[2:]], axis=1)
by_rows = x[:, :3] @ W[:3] + x[:, 3:] @ W[3:] + b
bias_twice = (x[:, :3] @ W[:3] + b) + (x[:, 3:] @ W[3:] + b)
print(f"by columns: error {abs(by_columns - y).max():.0e}, by rows: error {abs(by_rows - y).max():.0e}")
print(f"by rows, each rank adds the bias: error {abs(bias_twice - y).max():.2f}")
assert np.allclose(by_columns, y)
assert np.allclose(by_rows, y)
assert np.allclose(bias_twice - y, b)  # the first trap: the bias counts once for each rank

# %% [markdown]
# A block is made for this pair. Cut $W_1$ by columns and $W_2$ by rows: what the first leaves on a rank, some
# hidden units, is just what the second takes there. The activation works on each unit by itself. Nothing has to
# be sent in between, and **one sum at the end** is all.

# %%
RANK_COLOURS = [BLUE, VERMILION]


def draw_matrix(ax, shape, cut, title):
    """cut: 0 rows, 1 columns, None: both ranks have all of it."""
    rows, columns = shape
    for i in range(rows):
        for j in range(columns):
            rank = {None: None, 0: int(2 * i >= rows), 1: int(2 * j >= columns)}[cut]
            colour = "lightgrey" if rank is None else RANK_COLOURS[rank]
            ax.add_patch(plt.Rectangle((j, -i), 0.9, -0.9, color=colour))
    ax.set(xlim=(-0.2, columns + 0.2), ylim=(-8.3, 0.3), aspect="equal", title=title)
    ax.axis("off")


figure, axes = plt.subplots(1, 5, figsize=(12, 3.6), width_ratios=(4, 8, 8, 4, 4))
figure.suptitle("blue: rank 0, orange: rank 1, grey: both")
draw_matrix(axes[0], (3, 4), None, "x")
draw_matrix(axes[1], (4, 8), 1, "W₁, by columns")
draw_matrix(axes[2], (3, 8), 1, "h = act(x W₁)")
draw_matrix(axes[3], (8, 4), 0, "W₂, by rows")
draw_matrix(axes[4], (3, 4), None, "y, after the sum")

# %% [markdown]
# Now the library, in float64 and on real digits. Every rank runs the same function, with a `communicator` of its
# own. We compare outputs and all gradients with those of one machine.

# %%
images = test[:64].arrays(np.float64)[0]
column = mlp.Linear(784, 32, dtype=np.float64, rng=1)
row = mlp.Linear(32, 16, dtype=np.float64, rng=2)
grad_y = np.random.default_rng(3).normal(size=(64, 16))
y = row(column(images))
column.backward(row.backward(grad_y))


def two_layers(communicator):
    first = ColumnParallelLinear.from_serial(column, communicator)
    second = RowParallelLinear.from_serial(row, communicator)
    hidden = first(images)
    output = second(hidden)
    first.backward(second.backward(grad_y))
    return hidden, output, first.weight.grad, second.weight.grad, second.bias.grad


for rank, (hidden, output, *_) in enumerate(run_threads(two_layers, 2)):
    print(f"rank {rank}: hidden {hidden.shape}, output {output.shape}, error {abs(output - y).max():.0e}")
for ranks in (2, 4):
    results = run_threads(two_layers, ranks)
    assert all(np.allclose(result[1], y, atol=1e-12) for result in results)
    assert np.allclose(np.concatenate([r[2] for r in results], axis=1), column.weight.grad, atol=1e-12)
    assert np.allclose(np.concatenate([r[3] for r in results], axis=0), row.weight.grad, atol=1e-12)
    assert all(np.allclose(r[4], row.bias.grad, atol=1e-12) for r in results)

# %% [markdown]
# ## The parallel twins
#
# `ParallelMlp` and `ParallelGatedMlp` are the two blocks with their first layers cut by columns and the last by
# rows. Does each compute what its serial twin does, on any number of ranks? Forward, backward, everything.

# %%
serial = {
    "Mlp": Mlp(784, 48, 16, rng=5, dtype=np.float64),
    "GatedMlp": GatedMlp(784, 48, 16, multiple_of=1, rng=5, dtype=np.float64),
}
twins = {"Mlp": ParallelMlp, "GatedMlp": ParallelGatedMlp}
worst = {}
for name, block in serial.items():
    block.zero_grad()
    y, grad_x = block(images), block.backward(grad_y)
    gradients = {key: p.grad for key, p in mlp.Network(block).body[0].fc2.parameters().items()}

    def run(communicator, block=block, name=name):
        twin = twins[name].from_serial(block, communicator)
        return twin(images), twin.backward(grad_y), twin.fc2.weight.grad

    for ranks in (1, 2, 4):
        results = run_threads(run, ranks)
        errors = [abs(r[0] - y).max() for r in results] + [abs(r[1] - grad_x).max() for r in results]
        weight_grad = np.concatenate([r[2] for r in results], axis=0)
        errors.append(abs(weight_grad - block.fc2.weight.grad).max())
        worst[name, ranks] = max(errors)
        print(f"Parallel{name} on {ranks} ranks: largest difference {worst[name, ranks]:.0e}")
assert max(worst.values()) < 1e-11

# %% [markdown]
# ## What they say to each other
#
# Every call is counted. For $n$ tokens (rows of $x$) of width $d$ a plain tensor-parallel block needs
#
# - forward: an *all-reduce* of $y$ (all ranks get the sum),
# - backward: an *all-reduce* of $\partial L/\partial x$.
#
# In a ring of $N$ ranks an all-reduce makes each rank send $2\frac{N-1}{N}$ times the array. **It does not depend
# on the hidden width**: wide blocks are cheap to divide.
#
# Between the blocks all ranks hold the same $n$ tokens, and do the same work on them. **Sequence parallelism**
# gives each rank $n/N$ tokens there. Forward, $x$ is gathered (all-gather) and $y$ is summed and scattered
# (reduce-scatter), each $\frac{N-1}{N}$: together the same as one all-reduce. Backward, $x$ is gathered once
# more, since nobody kept all of it. So it is 5 units instead of 4, for less memory.

# %%
N_TOKENS, WIDTH = 64, 96
tokens = np.random.default_rng(0).normal(size=(N_TOKENS, WIDTH)).astype(np.float32)


def talk(communicator, hidden, sequence_parallel):
    block = ParallelMlp(WIDTH, hidden, communicator=communicator, sequence_parallel=sequence_parallel, rng=0)
    n = N_TOKENS // communicator.size
    mine = tokens[communicator.rank * n :][:n] if sequence_parallel else tokens
    communicator.counts.clear()
    y = block(mine)
    block.backward(np.ones_like(y))
    return communicator.counts, mine.nbytes + y.nbytes


print("4 ranks, tensor parallel")
print(run_threads(talk, 4, 384, False)[0][0])
print("\n4 ranks, with sequence parallelism")
print(run_threads(talk, 4, 384, True)[0][0])

RANKS = (1, 2, 4, 8)
wire = {
    key: [run_threads(talk, r, *key)[0][0].wire_bytes for r in RANKS]
    for key in ((384, False), (768, False), (384, True))
}
held = {key: [run_threads(talk, r, 384, key)[0][1] for r in RANKS] for key in (False, True)}
unit = tokens.nbytes
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
left.plot(RANKS, np.array(wire[384, False]) / unit, "o-", color=BLUE, label="tensor parallel, hidden 384")
left.plot(RANKS, np.array(wire[768, False]) / unit, "x--", color=BLACK, label="tensor parallel, hidden 768")
left.plot(RANKS, np.array(wire[384, True]) / unit, "o-", color=VERMILION, label="with sequence parallelism")
left.set(xlabel="ranks N", ylabel="a rank sends (times x)", xticks=RANKS, ylim=0)
left.legend(frameon=False)
right.plot(RANKS, np.array(held[False]) / unit, "o-", color=BLUE)
right.plot(RANKS, np.array(held[True]) / unit, "o-", color=VERMILION)
right.set(xlabel="ranks N", ylabel="a rank holds of x and y (times x)", xticks=RANKS, ylim=0)

share = [(N - 1) / N for N in RANKS]
assert np.allclose(wire[384, False], [4 * unit * s for s in share])
assert wire[384, False] == wire[768, False]
assert np.allclose(wire[384, True], [5 * unit * s for s in share], rtol=0.01)  # and the lengths of slices
assert np.allclose(held[True], [2 * unit / N for N in RANKS])

# %% [markdown]
# *What it shows.* Blue and black lie on each other: a wider hidden layer sends nothing more. Sequence parallelism
# sends a quarter more, and what a rank holds between the blocks is divided by $N$.
#
# ## The risks of each block
#
# | block | risk | what happens |
# |---|---|---|
# | `Mlp` | dead or saturated units, wide activations | units that learn nothing; $4d$ numbers a token to remember |
# | `GatedMlp` | closed gates; packed layers in another order | no gradient for the value either; another function |
# | `ParallelMlp` | bias added on each rank; widths that do not divide; waiting in every block | wrong sums; refused; slow connections make it slow |
# | `ParallelGatedMlp` | a packed gate cut contiguously | values without their gates |
#
# Let us walk into four of them.

# %%
# 1. A closed gate closes the value too: dL/dv = dL/dh · act(g).
signal = {}
for bias in (0.0, -5.0, -10.0):
    block = GatedMlp(784, 48, 16, multiple_of=1, rng=5, dtype=np.float64)
    block.gate.bias.data[...] = bias
    block(images)
    block.backward(grad_y)
    signal[bias] = np.sqrt(np.mean(block.value.weight.grad**2))
    print(f"bias of the gates {bias:5.0f}: gradient of the values' weights {signal[bias]:.1e}")
assert signal[-10.0] < 0.01 * signal[0.0]

figure, ax = plt.subplots(figsize=(6, 2.6))
ax.bar([f"gates at {bias:.0f}" for bias in signal], list(signal.values()), color=BLUE)
ax.set(yscale="log", ylabel="size of the gradient", title="closed gates: what is left for the values' weights")

# 2. Other libraries pack v and g into one matrix, in one order or the other.
block = serial["GatedMlp"]
weight, bias = block.packed_fc1("value_first")
swapped = GatedMlp(784, 48, 16, multiple_of=1, rng=5, dtype=np.float64)
swapped.load_packed_fc1(weight, bias, "gate_first")  # read in the wrong order
order_error = abs(swapped(images) - block(images)).max()

# 3. The packed matrix, cut into two contiguous halves: rank 0 has values only, rank 1 gates only.
W2, b2, w = block.fc2.weight.data, block.fc2.bias.data, 48
packed = images @ weight + bias  # (64, 96): values, then gates
halves = [packed[:, :w], packed[:, w:]]
wrong = (
    sum(
        (half[:, : w // 2] / (1 + np.exp(-half[:, w // 2 :]))) @ W2[r * w // 2 :][: w // 2]
        for r, half in enumerate(halves)
    )
    + b2
)
cut_error = abs(wrong - block(images)).max()
print(
    f"order of a packed layer mistaken: error {order_error:.2f}; packed layer cut contiguously: error {cut_error:.2f}"
)
print(f"(the outputs themselves are of size {abs(block(images)).max():.2f})")
assert min(order_error, cut_error) > 0.1

# 4. A hidden width that does not divide is refused, and not silently rounded.
try:
    run_threads(lambda communicator: ParallelMlp(784, 50, 16, communicator=communicator), 4)
except mlp.InputError as error:
    refused = str(error)
print(refused)
assert "50" in refused
assert "4" in refused

# %% [markdown]
# ## Exercises
#
# **1. A block that trains itself.** Train a network with a `ParallelMlp` on two ranks for one epoch, and the same
# network on one. Are the losses equal? (`TensorParallel` makes a network trainable whose layers are divided.)
#
# <details><summary>Solution</summary>
#
# ```python
# from mlp.parallel import TensorParallel
#
# def train_on(communicator):
#     network = mlp.Network(
#         mlp.Linear(784, 32), ParallelMlp(32, 64, communicator=communicator), mlp.Linear(32, 10), rng=0
#     )
#     parallel = TensorParallel(network)
#     optimizer = mlp.SGD(parallel.parameters, lr=0.05)
#     solver = mlp.Solver(parallel, mlp.CrossEntropyLoss(), optimizer, epochs=1)
#     return solver.fit(train[:2000])[-1]["train_loss"]
#
# losses = [run_threads(train_on, ranks)[0] for ranks in (1, 2)]
# print(losses)
# assert np.isclose(*losses, rtol=1e-4)
# ```
#
# Equal up to rounding: in float32 the sums are taken in another order.
#
# </details>
#
# **2. How wide?** A gated block with hidden width 200 replaces a plain one of the same number of weights. How
# wide was the plain one? And which part of the multiplications of the gated block are done on each of 4 ranks?
#
# <details><summary>Solution</summary>
#
# $2 d h = 3 d \cdot 200$, so $h = 300$. A quarter: all three matrices are cut. What is not divided are the bias
# after the sum, and all that stands between the blocks.
#
# ```python
# assert weights_of(Mlp(64, 300)) == weights_of(GatedMlp(64, 200, multiple_of=1))
# quarter = run_threads(
#     lambda c: ParallelGatedMlp(64, 200, communicator=c, multiple_of=1).fc2.weight.size, 4
# )
# assert sum(quarter) == 200 * 64
# ```
#
# </details>
#
# **3. Sum over your own tokens.** With sequence parallelism a LayerNorm between two blocks has seen the tokens of
# its rank only. What is missing from its gradient, and what does it cost to repair?
#
# <details><summary>Solution</summary>
#
# The gradient is a sum over tokens, and each rank has a part of that sum: an all-reduce of $2d$ numbers (scale
# and shift) is missing. `mlp.parallel.sum_token_gradients` does it. Here by hand:
#
# ```python
# def token_gradient(communicator):
#     norm = mlp.LayerNorm(WIDTH)
#     n = N_TOKENS // communicator.size
#     mine = slice(communicator.rank * n, (communicator.rank + 1) * n)
#     norm(tokens[mine])
#     norm.backward(tokens[mine] ** 2)
#     return norm.weight.grad, communicator.all_reduce(norm.weight.grad)
#
# whole, _ = run_threads(token_gradient, 1)[0]
# part, total = run_threads(token_gradient, 4)[0]
# print(abs(part - whole).max(), abs(total - whole).max())
# assert np.allclose(total, whole, rtol=1e-3, atol=1e-3)
# assert not np.allclose(part, whole, rtol=1e-3, atol=1e-3)
# ```
#
# </details>
