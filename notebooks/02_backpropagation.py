# %% [markdown]
# # 2. Backpropagation by hand
#
# **What you will see.** The gradient of a small network, first with numbers that fit on paper, then as a picture of
# the computation, then as four matrix products that work for any size. You train on digits with nothing but these
# four products. At the end you write a layer of your own, and a checker tells you whether its gradient is right,
# and what is wrong if it is not.

# %%
import matplotlib.pyplot as plt
import numpy as np

import mlp
from mlp.gradcheck import check_layer

THOROUGH = False  # True: more steps of training
steps = 3000 if THOROUGH else 600

# %% [markdown]
# ## Three classes: from scores to the loss
#
# A network has given three scores $s = (2,\ 1,\ 0.1)$. The right class is the second one, $y = 1$ when we count
# from 0.
#
# $$p_i = \frac{e^{s_i}}{\sum_j e^{s_j}}, \qquad L = -\log p_y$$

# %%
s = np.array([2.0, 1.0, 0.1])
y = 1
p = np.exp(s) / np.exp(s).sum()
L = -np.log(p[y])
print("p =", p.round(3), "  L =", L.round(3))

# %% [markdown]
# How does $L$ change when a score changes? Each score changes *all* probabilities, because they share the sum.
# These are nine derivatives, the **Jacobian** of the softmax:
#
# $$J_{ij} = \frac{\partial p_i}{\partial s_j} = p_i\,(\delta_{ij} - p_j), \qquad \delta_{ij} = 1 \text{ if } i = j, \text{ else } 0$$
#
# The loss depends on the scores only through the probabilities, so the chain rule sums over them:
#
# $$\frac{\partial L}{\partial s_j} = \sum_i \frac{\partial L}{\partial p_i} J_{ij}, \qquad
# \frac{\partial L}{\partial p_i} = -\frac{\delta_{iy}}{p_y}$$
#
# Put one into the other, and nearly everything cancels:
#
# $$\frac{\partial L}{\partial s_j} = -\frac{1}{p_y}\, p_y (\delta_{yj} - p_j) = p_j - \delta_{yj}$$

# %%
J = np.diag(p) - np.outer(p, p)
dL_dp = np.array([0, -1 / p[y], 0])
dL_ds = dL_dp @ J

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
left.bar(range(3), p, color=["C0", "C2", "C0"])
left.set(title="probabilities p (green: the right class)", xticks=range(3), xlabel="class", ylim=(0, 1))
middle.imshow(J, cmap="RdBu", vmin=-0.3, vmax=0.3)
for (i, j), value in np.ndenumerate(J):
    middle.text(j, i, f"{value:.3f}", ha="center", va="center")
middle.set(title="Jacobian ∂p/∂s", xticks=range(3), yticks=range(3), xlabel="score j", ylabel="probability i")
right.bar(range(3), dL_ds, color=["C0", "C2", "C0"])
right.axhline(0, color="black", linewidth=0.8)
right.set(title="gradient ∂L/∂s = p − onehot(y)", xticks=range(3), xlabel="class", ylim=(-1, 1))

assert np.allclose(dL_ds, p - [0, 1, 0])
assert np.allclose(J.sum(axis=0), 0)  # probabilities stay a sum of 1, so what one gains the others lose
assert np.isclose(dL_ds.sum(), 0)

# %% [markdown]
# Read the gradient as what training will do, which is the opposite of it: the score of the right class rises, by
# how much is missing to probability 1. The other scores fall, each by the probability that it has wrongly got.
#
# ## Two layers, with numbers that fit on paper
#
# Now the scores come from a network with two inputs and two hidden neurons:
#
# $$z = x W_1 + b_1, \qquad h = \max(0, z), \qquad s = h W_2 + b_2$$
#
# The weights are chosen so that the scores are those from above. Compute them on paper before you go on.

# %%
x = np.array([[1.0, 2.0]])
W1, b1 = np.array([[0.5, -1.0], [1.0, 0.25]]), np.array([-0.5, 0.0])
W2, b2 = np.array([[1.0, 0.5, 0.0], [0.3, -1.0, 0.2]]), np.array([0.0, 0.0, 0.1])

z = x @ W1 + b1
h = np.maximum(0, z)
s = h @ W2 + b2
print("z =", z, "  h =", h, "  s =", s)
assert np.allclose(s, [[2.0, 1.0, 0.1]])

# %% [markdown]
# **Backward.** Start at the loss and ask at each arrow: if this number changes a little, how does the loss change?
#
# * From $s$ to $W_2$: score $s_j$ contains $h_i W_{2,ij}$, so $\partial L/\partial W_{2,ij} = h_i\, \partial
#   L/\partial s_j$.
# * From $s$ to $h$: $h_i$ goes into all three scores, so the three ways add up:
#   $\partial L/\partial h_i = \sum_j W_{2,ij}\, \partial L/\partial s_j$.
# * Through ReLU: the slope is 1 where $z > 0$ and 0 elsewhere. The gradient passes or stops.
# * From $z$ to $W_1$: as for $W_2$.

# %%
ds = p - np.array([[0, 1, 0]])
dW2, db2 = h.T @ ds, ds.sum(axis=0)
dh = ds @ W2.T
dz = dh * (z > 0)
dW1, db1 = x.T @ dz, dz.sum(axis=0)
print("dW2 =", dW2.round(3).tolist())
print("dh  =", dh.round(3), "  dz =", dz.round(3))
print("dW1 =", dW1.round(3).tolist())

# %% [markdown]
# The same as a **computational graph**. Values (blue) flow to the right, gradients (orange) flow back to the left.
# Where a number is used several times, its gradients add up.

# %%
columns = {"x": x, "z": z, "h": h, "s": s, "p": p[np.newaxis], "L": np.array([[L]])}
gradients = {"x": dz @ W1.T, "z": dz, "h": dh, "s": ds, "p": dL_dp[np.newaxis], "L": np.array([[1.0]])}
place = {}
figure, ax = plt.subplots(figsize=(11, 4.2), layout="constrained")
for column, (name, values) in enumerate(columns.items()):
    for i, value in enumerate(values[0]):
        at = place[name, i] = (2 * column, 1.6 * ((len(values[0]) - 1) / 2 - i))
        label = name if name == "L" else f"${name}_{i}$"
        ax.text(*at, f"{label}\n\n", ha="center", va="center", fontsize=11, zorder=3)
        ax.text(*at, f"\n{value:.3g}\n", ha="center", va="center", color="C0", zorder=3)
        ax.text(*at, f"\n\n{gradients[name][0, i]:.3f}", ha="center", va="center", color="C1", zorder=3)
        ax.add_patch(plt.Circle(at, 0.62, facecolor="white", edgecolor="gray", zorder=2))


def arrow(start, end, weight=None):
    (x0, y0), (x1, y1) = place[start], place[end]
    ax.plot([x0, x1], [y0, y1], color="lightgray", zorder=1)
    if weight is not None:
        ax.text(0.62 * x0 + 0.38 * x1, 0.62 * y0 + 0.38 * y1, f"{weight:g}", fontsize=8, ha="center", va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # fmt: skip


for start, end, W in (("x", "z", W1), ("h", "s", W2)):
    for (i, j), weight in np.ndenumerate(W):
        arrow((start, i), (end, j), weight)
for i in range(2):
    arrow(("z", i), ("h", i))
for i in range(3):
    arrow(("p", i), ("L", 0))
    for j in range(3):
        arrow(("s", i), ("p", j))
ax.set(xlim=(-0.8, 10.8), ylim=(-2.4, 2.4), aspect="equal", title="value (blue) and ∂L/∂value (orange)")
ax.set_axis_off()

# %% [markdown]
# The second hidden neuron is off, $z_1 < 0$. Follow its column: gradient 0.975 arrives at $h_1$, and stops. None of
# the weights into or out of this neuron learns anything from this example. A neuron that is off for *all* examples
# never learns again: that is a dead ReLU, the subject of lesson 6.
#
# Is it right? A gradient is a claim about small changes, so change each weight a little and look:
#
# $$\frac{\partial L}{\partial w} \approx \frac{L(w + \varepsilon) - L(w - \varepsilon)}{2 \varepsilon}$$


# %%
def loss_of(W1, W2):
    s = np.maximum(0, x @ W1 + b1) @ W2 + b2
    return -np.log(np.exp(s[0, y]) / np.exp(s).sum())


def measured(f, W, eps=1e-5):
    """The gradient of f at W, entry by entry, by central differences."""
    gradient = np.zeros_like(W)
    for place in np.ndindex(W.shape):
        step = np.zeros_like(W)
        step[place] = eps
        gradient[place] = (f(W + step) - f(W - step)) / (2 * eps)
    return gradient


assert np.allclose(measured(lambda W: loss_of(W, W2), W1), dW1, atol=1e-9)
assert np.allclose(measured(lambda W: loss_of(W1, W), W2), dW2, atol=1e-9)

better = loss_of(W1 - 0.1 * dW1, W2 - 0.1 * dW2)
print(f"loss {L:.3f}, after one step against the gradient {better:.3f}")
assert better < L

# %% [markdown]
# ## How small is a little?
#
# Too large a step, and the curve bends in between: for the central difference the error grows like $\varepsilon^2$,
# for the one-sided difference like $\varepsilon$. Too small a step, and the two losses agree in nearly all digits
# that a computer keeps: the rounding error grows like $1/\varepsilon$. The best step is in between.

# %%
step_sizes = np.logspace(-13, -1, 49)
one_sided, central = [], []
E = np.array([[1.0, 0.0], [0.0, 0.0]])  # change one weight, W1[0, 0]
for eps in step_sizes:
    up, down = loss_of(W1 + eps * E, W2), loss_of(W1 - eps * E, W2)
    one_sided.append(abs((up - loss_of(W1, W2)) / eps - dW1[0, 0]) / abs(dW1[0, 0]))
    central.append(abs((up - down) / (2 * eps) - dW1[0, 0]) / abs(dW1[0, 0]))

plt.figure(figsize=(6, 3.5))
plt.loglog(step_sizes, one_sided, label="one-sided")
plt.loglog(step_sizes, central, label="central")
plt.xlabel("step ε")
plt.ylabel("relative error of the measured slope")
plt.legend()

best_one_sided, best_central = (step_sizes[np.argmin(errors)] for errors in (one_sided, central))
print(f"smallest error: one-sided {min(one_sided):.0e}, central {min(central):.0e}")
assert min(central) < 1e-8 < max(central)
assert central[-1] > 1e4 * min(central)  # too large
assert np.median(central[:8]) > 1e4 * min(central)  # too small

# %% [markdown]
# So differences find out whether a gradient is right, but they are slow: two losses for *each* weight.
# Backpropagation gives all of them for about the price of two more losses. That is why networks of any size can be
# trained at all.
#
# ## Matrices: the same for a hundred digits
#
# Nothing above depends on the sizes. With a batch of $N$ rows, $X$ is $(N, 784)$ and every line stays as it is;
# only the loss is now a mean over the batch, so $1/N$ goes into the first gradient and from there everywhere:
#
# $$\mathrm dS = \tfrac1N (P - Y), \quad \mathrm dW_2 = H^\top \mathrm dS, \quad \mathrm dH = \mathrm dS\, W_2^\top, \quad
# \mathrm dZ = \mathrm dH \odot [Z > 0], \quad \mathrm dW_1 = X^\top \mathrm dZ$$
#
# The products sum over the batch by themselves. And you need not remember where the transpose goes: there is only
# one way in which the shapes fit.


# %%
def forward_and_backward(X, labels, W1, b1, W2, b2):
    """The mean loss of a batch, and its gradients with respect to the four parameters."""
    N = len(X)
    Z = X @ W1 + b1
    H = np.maximum(0, Z)
    S = H @ W2 + b2
    P = np.exp(S - S.max(axis=1, keepdims=True))  # the largest score cancels in the softmax: nothing overflows
    P /= P.sum(axis=1, keepdims=True)
    loss = -np.log(P[np.arange(N), labels]).mean()

    dS = P.copy()
    dS[np.arange(N), labels] -= 1
    dS /= N
    dH = dS @ W2.T
    dZ = dH * (Z > 0)
    return loss, (X.T @ dZ, dZ.sum(axis=0), H.T @ dS, dS.sum(axis=0))


# %% [markdown]
# The library does the same. On a hundred digits, in double precision, both give the same numbers:

# %%
train, test = mlp.load_mnist()
X, labels = train[:100].arrays(np.float64)
network = mlp.Network(mlp.Linear(784, 64), mlp.ReLU(), mlp.Linear(64, 10), rng=2022, dtype=np.float64)
theirs, _ = network.training_step(X, labels, mlp.CrossEntropyLoss())
ours, gradients = forward_and_backward(X, labels, *(p.data for p in network.parameters))

print(f"loss: ours {ours:.12f}, the library's {theirs:.12f}")
assert np.isclose(ours, theirs, rtol=1e-12)
for parameter, gradient in zip(network.parameters, gradients, strict=True):
    assert np.allclose(parameter.grad, gradient, rtol=1e-9, atol=1e-14)
    print(
        f"{parameter.name:9} {parameter.shape!s:10} largest difference {abs(parameter.grad - gradient).max():.0e}"
    )

# %% [markdown]
# ## Training with nothing but this
#
# Gradient descent is one more line: $w \leftarrow w - \eta\, \mathrm dw$ with the learning rate $\eta$.

# %%
rng = np.random.default_rng(2022)
parameters = [rng.normal(0, np.sqrt(2 / 784), (784, 64)), np.zeros(64), rng.normal(0, 0.1, (64, 10)), np.zeros(10)]
X_all, labels_all = train.arrays(np.float64)
losses = []
for _ in range(steps):
    batch = rng.integers(0, len(X_all), 100)
    loss, gradients = forward_and_backward(X_all[batch], labels_all[batch], *parameters)
    losses.append(loss)
    for w, dw in zip(parameters, gradients, strict=True):
        w -= 0.1 * dw

W1_, b1_, W2_, b2_ = parameters
X_test, labels_test = test
scores = np.maximum(0, X_test @ W1_ + b1_) @ W2_ + b2_
accuracy = np.mean(scores.argmax(axis=1) == labels_test)

plt.figure(figsize=(6, 3.2))
plt.plot(losses, linewidth=0.8)
plt.axhline(np.log(10), color="gray", linestyle="--", label="log 10: guessing")
plt.xlabel("step")
plt.ylabel("loss of the batch")
plt.legend()
print(f"{steps} steps of gradient descent by hand: {accuracy:.1%} of the test images are right")
assert accuracy > 0.86

# %% [markdown]
# ## A layer of your own, checked
#
# A layer is two functions: `forward`, and `backward`, which gets $\partial L/\partial y$ and returns
# $\partial L/\partial x$. Here is softsign, a cheap cousin of tanh:
#
# $$y = \frac{x}{1 + |x|}, \qquad \frac{\mathrm dy}{\mathrm dx} = \frac{1}{(1 + |x|)^2}$$


# %%
class Softsign(mlp.Layer):
    def forward(self, x):
        self.saved = x
        return x / (1 + np.abs(x))

    def backward(self, grad_y):
        x = self.recall()
        return grad_y / (1 + np.abs(x)) ** 2


points = np.random.default_rng(0).normal(size=(5, 4))
right = check_layer(Softsign(), points)
assert right
right

# %% [markdown]
# The checker measured the slopes as we did above, for each input, and they agree. Now leave out what is most easily
# left out, the gradient that comes from above:


# %%
class Forgetful(Softsign):
    def backward(self, grad_y):
        x = self.recall()
        return 1 / (1 + np.abs(x)) ** 2


wrong = check_layer(Forgetful(), points)
assert not wrong
assert "multiplied by the upstream gradient" in str(wrong)
wrong

# %% [markdown]
# And a linear layer with a mistake in it. Can you see it?


# %%
class MyLinear:
    """y = x W + b: any object with forward and backward can be checked."""

    def __init__(self, inputs, outputs):
        self.W = np.random.default_rng(1).normal(size=(inputs, outputs))
        self.b = np.zeros(outputs)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad_y):
        self.grad_W = self.x.T @ grad_y / len(self.x)
        self.grad_b = grad_y.sum(axis=0)
        return grad_y @ self.W.T


wrong = check_layer(MyLinear(4, 3), points)
assert not wrong
assert "1/N" in str(wrong)
wrong

# %% [markdown]
# The checker compared the two gradients with mistakes that people make, and found one that fits: the sum over the
# batch was divided by its size once too often. The division belongs to the loss, in one place.
#
# A network with this mistake would still learn, only slowly, and differently for each batch size. You would look
# for the reason everywhere else. That is why gradients are checked.

# %%
network = mlp.Network(mlp.Linear(784, 64), Softsign(), mlp.Linear(64, 10), rng=2022)
solver = mlp.Solver(network, mlp.CrossEntropyLoss(), mlp.SGD(network.parameters, lr=0.05, momentum=0.9), epochs=1)
with_softsign = solver.fit(train[:20_000], test)[-1]["test_accuracy"]
print(f"one epoch on 20,000 digits with softsign: {with_softsign:.1%}")
assert with_softsign > 0.85

# %% [markdown]
# ## Exercises
#
# **1. The first class is right.** In the paper-sized network, let $y = 0$. Which gradients change? What is
# $\partial L/\partial h$ now, on paper and computed?
#
# <details><summary>Solution</summary>
#
# ```python
# ds = p - np.array([[1, 0, 0]])
# dh = ds @ W2.T
# print("ds =", ds.round(3), "  dh =", dh.round(3), "  dz =", (dh * (z > 0)).round(3))
# assert np.allclose(ds, [[p[0] - 1, p[1], p[2]]])
# assert dh[0, 0] < 0
# ```
#
# Only $\partial L/\partial s$ changes directly, to $(-0.341,\ 0.242,\ 0.099)$; all others follow from it. The
# gradient of $h_0$ is negative now: more of $h_0$ would lower the loss, because its weight to class 0 is the
# largest. All gradients are smaller than before, since the network is nearly right.
#
# </details>
#
# **2. Tanh.** Replace ReLU by $h = \tanh z$ in `forward_and_backward`. Which line of the backward pass changes?
# Check against the library.
#
# <details><summary>Solution</summary>
#
# ```python
# net = mlp.Network(mlp.Linear(784, 64), mlp.Tanh(), mlp.Linear(64, 10), rng=2022, dtype=np.float64)
# net.training_step(X, labels, mlp.CrossEntropyLoss())
# V1, c1, V2, c2 = (parameter.data for parameter in net.parameters)
# H = np.tanh(X @ V1 + c1)
# S = H @ V2 + c2
# P = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
# dS = (P - np.eye(10)[labels]) / len(X)
# dZ = dS @ V2.T * (1 - H**2)
# assert np.allclose(X.T @ dZ, net[0].weight.grad)
# ```
#
# One factor: `(Z > 0)` becomes `1 - H**2`, the derivative of tanh, written with its own output.
#
# </details>
#
# **3. Find the mistake.** This layer learns a factor for each feature, $y = a \odot x$. Its gradients are wrong in
# two places. Find them with the checker, then repair them.
#
# ```python
# class Scale:
#     def __init__(self, features):
#         self.a = np.full(features, 2.0)
#
#     def forward(self, x):
#         self.x = x
#         return self.a * x
#
#     def backward(self, grad_y):
#         self.grad_a = (self.x * grad_y)[0]
#         return grad_y
# ```
#
# <details><summary>Solution</summary>
#
# ```python
# class Scale:
#     def __init__(self, features):
#         self.a = np.full(features, 2.0)
#
#     def forward(self, x):
#         self.x = x
#         return self.a * x
#
#     def backward(self, grad_y):
#         self.grad_a = (self.x * grad_y).sum(axis=0)
#         return self.a * grad_y
#
#
# check_layer(Scale(4), points).assert_ok()
# ```
#
# The factor $a$ is used by all rows of the batch, so its gradient is the sum over them. And the chain rule
# multiplies $\partial L/\partial y$ by the slope of this layer, which is $a$.
#
# </details>
