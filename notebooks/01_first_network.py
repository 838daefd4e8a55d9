# %% [markdown]
# # 1. A first network in ten minutes
#
# **What you will see.** A network with one hidden layer learns to read handwritten digits in a few seconds. You
# look at its data, its learning curves, its weights, the digits that it confuses and its worst mistakes. You save
# it, load it, and let it read a digit that you draw yourself.
#
# Run the cells from top to bottom. Then change a number and run them again: that is what a notebook is for.

# %%
import matplotlib.pyplot as plt
import numpy as np

import mlp

THOROUGH = False  # True: more epochs
epochs = 20 if THOROUGH else 5

# %% [markdown]
# ## The data
#
# MNIST has 60,000 images to learn from and 10,000 to test with. It comes with the library. An image is 28 × 28
# pixels, which the network sees as one row of 784 numbers between −0.5 (paper) and 0.5 (ink).

# %%
train, test = mlp.load_mnist()
mlp.plots.plot_images(train[:30], columns=10)

# %%
x_test, y_test = test  # arrays: x (10000, 784), y (10000,)
print(
    "pixels of the first test image between", x_test[0].min(), "and", x_test[0].max(), "- its label is", y_test[0]
)
print("images of each digit in the training set:", np.bincount(train.labels))

# %% [markdown]
# ## The network
#
# A hidden layer of 128 neurons, and an output layer with one score for each digit:
#
# $$h = \max(0,\; x W_1 + b_1), \qquad s = h W_2 + b_2, \qquad p_k = \frac{e^{s_k}}{\sum_j e^{s_j}}$$
#
# The largest score wins. The softmax $p$ turns scores into probabilities. `rng` is the seed from which the first
# weights are drawn: with the same seed you get the same network.

# %%
network = mlp.Network(mlp.Linear(784, 128), mlp.ReLU(), mlp.Linear(128, 10), rng=2022)
network.summary()

# %% [markdown]
# ## Training
#
# The loss says how wrong the probabilities are: $L = -\log p_y$, averaged over the images of a batch, where $y$ is
# the right digit. For each batch of 100 images the gradient of $L$ is computed for every weight, and every weight
# takes a small step against it. Once through all images is an epoch.

# %%
loss = mlp.CrossEntropyLoss()
optimizer = mlp.SGD(network.parameters, lr=0.05, momentum=0.9)
before = mlp.evaluate(network, loss, test)

solver = mlp.Solver(network, loss, optimizer, epochs=epochs, callbacks=[mlp.Progress()])
history = solver.fit(train, test)

# %%
history.plot()

# %% [markdown]
# An untrained network guesses: one digit in ten is right, and the loss is near $\log 10 = 2.30$, that of equal
# probabilities for ten digits. After the first epoch most of the work is done.
#
# The training loss keeps falling while the test loss flattens: the network gets better at the images that it sees
# again and again, and less so at new ones. (The training loss of the first epoch is a mean over the epoch, so it
# contains the beginning, when the network knew nothing. That is why it can lie above the test loss.)

# %%
accuracy = history[-1]["test_accuracy"]
print(f"before training: loss {before['loss']:.2f}, accuracy {before['accuracy']:.1%}")
print(f"after {epochs} epochs: loss {history[-1]['test_loss']:.2f}, accuracy {accuracy:.1%}")
assert before["accuracy"] < 0.25
assert accuracy > 0.965
assert history[-1]["train_loss"] < history[0]["train_loss"] / 3

# %% [markdown]
# ## What the weights look like
#
# Each hidden neuron has 784 weights, one for each pixel: an image of its own. Where it is blue, ink makes the
# neuron more active; where it is red, less so. The neurons look for strokes and gaps in certain places.

# %%
W = network[0].weight.data  # (784, 128)
strongest = np.argsort(-np.linalg.norm(W, axis=0))[:24]

figure, axes = plt.subplots(3, 8, figsize=(10, 4), layout="constrained")
for ax, neuron in zip(axes.flat, strongest, strict=True):
    image = W[:, neuron].reshape(28, 28)
    ax.imshow(image, cmap="RdBu", vmin=-abs(image).max(), vmax=abs(image).max())
    ax.set_title(f"neuron {neuron}", fontsize=8)
    ax.axis("off")

# %% [markdown]
# ## Which digits are confused
#
# Row: what the digit is. Column: what the network says. The diagonal is right, everything beside it is a mistake.

# %%
predicted = network.predict(x_test)
matrix = mlp.metrics.confusion_matrix(y_test, predicted)
assert np.trace(matrix) == np.sum(predicted == y_test) == round(10_000 * accuracy)
mlp.plots.plot_confusion_matrix(matrix)

# %%
mistakes = matrix * (1 - np.eye(10, dtype=int))
digit, answer = np.unravel_index(mistakes.argmax(), mistakes.shape)
print(f"most frequent mistake: {mistakes.max()} times a {digit} is taken for a {answer}")
print(f"hardest digit: {np.argmin(matrix.diagonal() / matrix.sum(axis=1))}")

# %% [markdown]
# ## The worst mistakes
#
# Sort the test images by their own loss, $-\log p_y$. The worst are those where the network was sure and wrong.
# Would you have read all of them correctly?

# %%
each = mlp.CrossEntropyLoss(reduction="none").forward(network.scores(x_test), y_test)
worst = np.argsort(-each)[:20]
titles = [f"{y_test[i]}, not {predicted[i]}" for i in worst]
mlp.plots.plot_images(x_test[worst].reshape(-1, 28, 28), titles, columns=10)

# %%
share = np.sort(each)[-500:].sum() / each.sum()
print(f"the worst 5 % of the images cause {share:.0%} of the whole loss")
assert np.all(predicted[worst] != y_test[worst])
assert share > 0.6

# %% [markdown]
# Nearly all of the loss comes from few images. The others are solved, and teach the network almost nothing any
# more: their gradient $p - \mathrm{onehot}(y)$ is nearly zero.
#
# ## Saving and loading

# %%
mlp.save(network, "network.npz")
loaded = mlp.load("network.npz")
assert np.array_equal(loaded.predict_proba(x_test), network.predict_proba(x_test))
loaded

# %% [markdown]
# ## Your own digit
#
# A digit here is a line through some points (column, row) on a page of 28 × 28 pixels. Change the points. If you
# would rather use a picture, `plt.imread("digit.png")` gives its pixels as an array: make it 28 × 28 and dark on
# light, and go on below.


# %%
def draw(points, width=1.3):
    """Ink from 0 to 1 on 28 × 28 pixels: full near the line, nothing farther than its width."""
    pixel = np.stack(np.meshgrid(np.arange(28), np.arange(28)), axis=-1)
    ink = np.zeros((28, 28))
    for a, b in zip(np.array(points[:-1], float), np.array(points[1:], float), strict=True):
        along = np.clip((pixel - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        distance = np.linalg.norm(pixel - a - along[..., np.newaxis] * (b - a), axis=-1)
        ink = np.maximum(ink, np.clip(width + 0.5 - distance, 0, 1))
    return ink


def centre(ink):
    """Move the ink so that its centre of mass is in the middle, as in every image of MNIST."""
    rows, columns = np.indices(ink.shape)
    down = 13.5 - (rows * ink).sum() / ink.sum()
    right = 13.5 - (columns * ink).sum() / ink.sum()
    return np.roll(ink, (round(down), round(right)), axis=(0, 1))


seven = draw([(2, 1), (13, 1), (6, 18)])
pictures = np.stack([seven, centre(seven)])
p = network.predict_proba((255 * pictures.reshape(2, 784) - 128) / 255)

figure, axes = plt.subplots(1, 4, figsize=(11, 2.6), layout="constrained")
for k, title in enumerate(("as drawn", "centred")):
    axes[2 * k].imshow(pictures[k], cmap="gray_r")
    axes[2 * k].set_title(title)
    axes[2 * k + 1].bar(range(10), p[k])
    axes[2 * k + 1].set(xticks=range(10), ylim=(0, 1), xlabel="digit", ylabel="probability")

print("as drawn:", p[0].argmax(), "  centred:", p[1].argmax())
assert p[1].argmax() == 7

# %% [markdown]
# Why centre it? Every weight belongs to one pixel. The network has never seen ink in the corner and has no idea
# that a digit stays the same digit when it moves. Move all test images a little, and see:

# %%
moves = range(7)
images = x_test.reshape(-1, 28, 28)
moved = [np.mean(network.predict(np.roll(images, move, axis=2)) == y_test) for move in moves]

plt.figure(figsize=(5, 3))
plt.plot(moves, np.multiply(moved, 100), "o-")
plt.axhline(10, color="gray", linestyle="--", label="guessing")
plt.xlabel("pixels moved to the right")
plt.ylabel("test accuracy (%)")
plt.legend()

print(f"accuracy: {moved[0]:.1%}, moved by two pixels {moved[2]:.1%}, by six {moved[6]:.1%}")
assert moved[2] < moved[0] - 0.02
assert moved[6] < 0.5

# %% [markdown]
# Lesson 9 teaches it that: it trains with images that are moved, turned and bent.
#
# ## Exercises
#
# **1. No hidden layer.** Train `mlp.Network(mlp.Linear(784, 10), rng=2022)` in the same way. How much does the
# hidden layer bring? Draw the ten columns of the weights as images: what are they?
#
# <details><summary>Solution</summary>
#
# ```python
# linear = mlp.Network(mlp.Linear(784, 10), rng=2022)
# optimizer = mlp.SGD(linear.parameters, lr=0.005, momentum=0.9)
# without = mlp.Solver(linear, loss, optimizer, epochs=3).fit(train, test)[-1]["test_accuracy"]
# print(f"without hidden layer {without:.1%}, with it {accuracy:.1%}")
# assert 0.90 < without < 0.935
#
# figure, axes = plt.subplots(1, 10, figsize=(12, 1.5))
# for digit, ax in enumerate(axes):
#     ax.imshow(linear[0].weight.data[:, digit].reshape(28, 28), cmap="RdBu")
#     ax.axis("off")
# ```
#
# About 92 %: three times as many mistakes. Each column is a template of a digit: ink in the blue places speaks for
# the digit, ink in the red ones against it. One template a digit is too few for all the ways to write it.
#
# </details>
#
# **2. How many neurons?** Train with 8, 32 and 128 hidden neurons. How many parameters has each network, and how
# many of the test images does each get wrong?
#
# <details><summary>Solution</summary>
#
# ```python
# wrong = []
# for width in (8, 32, 128):
#     net = mlp.Network(mlp.Linear(784, width), mlp.ReLU(), mlp.Linear(width, 10), rng=2022)
#     row = mlp.Solver(net, loss, mlp.SGD(net.parameters, lr=0.05, momentum=0.9), epochs=2).fit(train, test)[-1]
#     wrong.append(round(10_000 * (1 - row["test_accuracy"])))
#     print(f"{width:4} neurons: {net.parameters.size:7,} parameters, {wrong[-1]} images wrong")
# assert wrong[0] > wrong[1] > wrong[2]
# ```
#
# A layer from $n$ to $m$ has $n m + m$ parameters. Each four times as many neurons leave clearly fewer mistakes, at
# four times the cost. Lesson 4 goes on from here.
#
# </details>
#
# **3. Shuffle the pixels.** Put the 784 pixels of all images into one random order, the same for all. You could not
# read these images any more. Can the network?
#
# <details><summary>Solution</summary>
#
# ```python
# order = np.random.default_rng(0).permutation(784)
# mixed_train = train.replace(inputs=train.inputs[:, order])
# mixed_test = test.replace(inputs=test.inputs[:, order])
# net = mlp.Network(mlp.Linear(784, 128), mlp.ReLU(), mlp.Linear(128, 10), rng=2022)
# solver = mlp.Solver(net, loss, mlp.SGD(net.parameters, lr=0.05, momentum=0.9), epochs=3)
# mixed = solver.fit(mixed_train, mixed_test)[-1]["test_accuracy"]
# unmixed = history["test_accuracy"][2]
# print(f"after 3 epochs: mixed {mixed:.1%}, unmixed {unmixed:.1%}")
# assert abs(mixed - unmixed) < 0.015
# mlp.plots.plot_images(mixed_train[:5])
# ```
#
# Just as well. $x W$ is a sum over pixels, and a sum does not care about the order. So the network does not know
# which pixels are neighbours. Convolutional networks do, and that is why they read digits better.
#
# </details>
