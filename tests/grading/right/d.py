import numpy as np


class Parameter:
    def __init__(self, data):
        self.data = np.asarray(data, dtype=float)
        self.grad = np.zeros_like(self.data)

    def zero_grad(self):
        self.grad[...] = 0


class Module:
    def parameters(self):
        return [v for v in vars(self).values() if isinstance(v, Parameter)]

    def zero_grad(self):
        for p in self.parameters():
            p.zero_grad()

    def __call__(self, *args):
        return self.forward(*args)


class Dense(Module):
    def __init__(self, in_features, out_features, rng=None):
        rng = rng or np.random.default_rng()
        self.weight = Parameter(rng.normal(0, 0.1, (in_features, out_features)))
        self.bias = Parameter(np.zeros((1, out_features)))

    def forward(self, x):
        self.cache = x
        return np.einsum("ni,io->no", x, self.weight.data) + self.bias.data

    def backward(self, grad):
        self.weight.grad += np.einsum("ni,no->io", self.cache, grad)
        self.bias.grad += grad.sum(axis=0, keepdims=True)
        return np.einsum("no,io->ni", grad, self.weight.data)


class ReLU(Module):
    def forward(self, x):
        self.mask = (x > 0).astype(x.dtype)
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask


class Tanh(Module):
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, grad):
        return grad - grad * np.square(self.out)


class Sigmoid(Module):
    def forward(self, x):
        self.out = 0.5 * (1 + np.tanh(0.5 * x))
        return self.out

    def backward(self, grad):
        return np.multiply(grad, self.out) * np.subtract(1.0, self.out)


class LeakyReLU(Module):
    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        self.slopes = np.where(x > 0, 1.0, self.negative_slope)
        return x * self.slopes

    def backward(self, grad):
        return grad * self.slopes


class Softmax(Module):
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.p = e / e.sum(axis=-1, keepdims=True)
        return self.p

    def backward(self, grad):
        inner = np.einsum("ij,ij->i", grad, self.p)
        return self.p * (grad - inner[:, None])


class CrossEntropy(Module):
    def forward(self, logits, labels):
        n = len(logits)
        m = logits.max(axis=1, keepdims=True)
        lse = m + np.log(np.exp(logits - m).sum(axis=1, keepdims=True))
        self.p = np.exp(logits - lse)
        self.labels = labels
        return float(np.mean(lse[:, 0] - logits[np.arange(n), labels]))

    def backward(self):
        g = self.p.copy()
        g[np.arange(len(g)), self.labels] -= 1.0
        return g / len(g)


class MSELoss(Module):
    def forward(self, pred, target):
        self.diff = pred - target
        return np.mean(self.diff ** 2)

    def backward(self):
        return self.diff * (2.0 / self.diff.size)


class MultiClassHingeLoss(Module):
    def forward(self, scores, labels):
        n = scores.shape[0]
        self.viol = np.maximum(scores - scores[np.arange(n), labels].reshape(n, 1) + 1, 0)
        self.viol[np.arange(n), labels] = 0
        self.labels = labels
        return self.viol.sum() / n

    def backward(self):
        n = len(self.viol)
        g = (self.viol > 0).astype(float)
        g[np.arange(n), self.labels] = -g.sum(axis=1)
        return g / n


class Sequential(Module):
    def __init__(self, *layers):
        self.layers = list(layers)

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def backward(self, grad):
        for layer in self.layers[::-1]:
            grad = layer.backward(grad)
        return grad


class SGD:
    def __init__(self, params, lr=0.01, momentum=0.0, weight_decay=0.0):
        self.params = list(params)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.velocity = [np.zeros_like(p.data) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.zero_grad()

    def step(self):
        for p, v in zip(self.params, self.velocity):
            v *= self.momentum
            v += p.grad + self.weight_decay * p.data
            p.data -= self.lr * v
