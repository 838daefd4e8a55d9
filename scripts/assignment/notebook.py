# %% [markdown]
# # A multilayer perceptron by hand
#
# You write the layers, the losses, the network and the update rule of a small neural network in plain NumPy, in
# the files `layers.py`, `loss.py`, `network.py` and `optim.py`. This notebook uses them. Work in this order, and
# run the cell of each part until it passes.

# %%
# %load_ext autoreload
# %autoreload 2
import sys

import numpy as np

sys.path[:0] = [".", "tests"]

# %% [markdown]
# ## 1. Layers
#
# A layer computes $y = f(x)$ in `forward`. In `backward` it is given $\partial L / \partial y$ and returns
# $\partial L / \partial x$, by the chain rule. For $y = x W + b$, write down for one entry what it is:
#
# $$\frac{\partial L}{\partial W_{ij}} = \sum_n \frac{\partial L}{\partial y_{nj}} \frac{\partial y_{nj}}{\partial W_{ij}}$$

# %%
from layers import Linear, ReLU, Sigmoid, Tanh
from numeric import check_backward

x = np.random.default_rng(1).normal(size=(5, 4))
for layer in (Linear(4, 3), ReLU(), Sigmoid(), Tanh()):
    check_backward(layer, x)
    print(type(layer).__name__, "agrees with the measured derivative")

# %% [markdown]
# ## 2. Losses

# %%
from loss import CrossEntropyLoss, MSELoss

targets = np.eye(3)[[0, 2, 1, 1]]
for loss in (MSELoss(), CrossEntropyLoss()):
    print(type(loss).__name__, loss.forward(np.zeros((4, 3)), targets))
print("expected: 1 and", np.log(3))

# %% [markdown]
# ## 3. Network and update: two spirals
#
# Two interleaved spirals that no straight line divides. A right network gets nearly all points right.

# %%
from network import Network
from optim import SGD

rng = np.random.default_rng(0)
turn = np.sqrt(rng.uniform(0.05, 1, size=200)) * 2 * np.pi
side = rng.integers(2, size=200)
x = np.stack([turn * np.cos(turn + np.pi * side), turn * np.sin(turn + np.pi * side)], axis=1) / 3
targets = np.eye(2)[side]

network = Network()
for layer in (Linear(2, 32, rng), Tanh(), Linear(32, 32, rng), Tanh(), Linear(32, 2, rng)):
    network.add(layer)
loss, optimizer = CrossEntropyLoss(), SGD(network.layer_list, lr=0.05, momentum=0.9)
for step in range(1001):
    value = loss.forward(network.forward(x), targets)
    network.backward(loss.backward())
    optimizer.step()
    if step % 250 == 0:
        accuracy = np.mean(network.forward(x).argmax(axis=1) == side)
        print("step", step, "loss", round(float(value), 4), "accuracy", accuracy)

# %% [markdown]
# ## Questions
#
# 1. Replace Tanh by Sigmoid. Why does training become slower?
# 2. What happens if all weights of a Linear layer start at 0? Why?
