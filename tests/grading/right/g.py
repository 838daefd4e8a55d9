import numpy as np


class Linear:
    def __init__(self, input_dim, output_dim):
        self.weight = np.random.uniform(-0.1, 0.1, (output_dim, input_dim))
        self.bias = np.random.uniform(-0.1, 0.1, output_dim)
        self.grad_weight = np.zeros_like(self.weight)
        self.grad_bias = np.zeros_like(self.bias)

    def __call__(self, x):
        self.input = x
        return x @ self.weight.T + self.bias

    def backward(self, grad_output):
        self.grad_weight += grad_output.T @ self.input
        self.grad_bias += grad_output.sum(0)
        return grad_output @ self.weight

    def zero_grad(self):
        self.grad_weight.fill(0)
        self.grad_bias.fill(0)

    def step(self, lr):
        self.weight -= lr * self.grad_weight
        self.bias -= lr * self.grad_bias


class Tanh:
    def __call__(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, grad_output):
        return grad_output / np.cosh(np.arctanh(np.clip(self.y, -1 + 1e-16, 1 - 1e-16))) ** 2 if False else grad_output * (1 - self.y**2)


class GELU:
    def __call__(self, x):
        self.x = x
        self.t = np.tanh(0.7978845608 * (x + 0.044715 * x**3))
        return 0.5 * x * (1 + self.t)

    def backward(self, grad_output):
        inner = 0.7978845608 * (1 + 0.134145 * self.x**2)
        local = 0.5 * (1 + self.t + self.x * (1 - self.t**2) * inner)
        return grad_output * local


class MSE:
    def __call__(self, prediction, target):
        d = prediction - target
        return 0.5 * (d * d).sum() / len(d), d / len(d)


class CrossEntropyLoss:
    def __call__(self, logits, target):
        z = logits - logits.max(1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(1, keepdims=True))
        loss = -(target * logp).sum(1).mean()
        return loss, (np.exp(logp) - target) / len(target)


class HingeLoss:
    def __init__(self, margin=1.0):
        self.margin = margin

    def __call__(self, scores, target):
        correct = (scores * target).sum(1)[:, None]
        z = scores - correct + self.margin
        z = np.where(target == 1, 0, np.maximum(z, 0))
        g = (z > 0) * 1.0
        g = g - target * g.sum(1)[:, None]
        return z.sum() / len(z), g / len(z)


class MLP:
    def __init__(self, sizes=(3, 4, 2)):
        self.fc1 = Linear(sizes[0], sizes[1])
        self.act = Tanh()
        self.fc2 = Linear(sizes[1], sizes[2])

    def __call__(self, x):
        return self.fc2(self.act(self.fc1(x)))

    def backward(self, grad):
        return self.fc1.backward(self.act.backward(self.fc2.backward(grad)))
