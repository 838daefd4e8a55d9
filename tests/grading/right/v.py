"""A two-layer classifier whose loss returns everything, and linear classifiers as functions of W and X."""
import numpy as np


class TwoLayerNet(object):
    def __init__(self, input_dim=3072, hidden_dim=100, num_classes=10, weight_scale=1e-3):
        self.params = {
            'W1': weight_scale * np.random.randn(input_dim, hidden_dim), 'b1': np.zeros(hidden_dim),
            'W2': weight_scale * np.random.randn(hidden_dim, num_classes), 'b2': np.zeros(num_classes),
        }

    def loss(self, X, y=None, reg=0.0):
        p = self.params
        pre = X @ p['W1'] + p['b1']
        act = np.maximum(pre, 0)
        scores = act @ p['W2'] + p['b2']
        if y is None:
            return scores
        n = X.shape[0]
        e = np.exp(scores - scores.max(1, keepdims=True))
        prob = e / e.sum(1, keepdims=True)
        value = -np.log(prob[np.arange(n), y]).mean() + 0.5 * reg * ((p['W1'] ** 2).sum() + (p['W2'] ** 2).sum())
        d = prob.copy()
        d[np.arange(n), y] -= 1
        d /= n
        back = d @ p['W2'].T
        back[pre <= 0] = 0
        grads = {'W2': act.T @ d + reg * p['W2'], 'b2': d.sum(0), 'W1': X.T @ back + reg * p['W1'], 'b1': back.sum(0)}
        return value, grads


def softmax_loss_vectorized(W, X, y, reg):
    n = len(y)
    s = X @ W
    s = s - s.max(axis=1, keepdims=True)
    q = np.exp(s)
    q /= q.sum(axis=1, keepdims=True)
    value = -np.log(q[np.arange(n), y]).sum() / n + reg * (W ** 2).sum()
    q[np.arange(n), y] -= 1
    return value, X.T @ q / n + 2 * reg * W


def svm_loss_naive(W, X, y, reg):
    grad, value = np.zeros_like(W), 0.0
    for x, k in zip(X, y):
        s = x @ W
        for j in range(W.shape[1]):
            gap = s[j] - s[k] + 1
            if j != k and gap > 0:
                value += gap
                grad[:, j] += x
                grad[:, k] -= x
    return value / len(X) + reg * (W ** 2).sum(), grad / len(X) + 2 * reg * W


def batchnorm_forward(x, gamma, beta, bn_param):
    eps, keep = bn_param.get('eps', 1e-5), bn_param.get('momentum', 0.9)
    mean = bn_param.get('running_mean', np.zeros(x.shape[1]))
    var = bn_param.get('running_var', np.zeros(x.shape[1]))
    if bn_param['mode'] == 'test':
        return gamma * (x - mean) / np.sqrt(var + eps) + beta, None
    bn_param['running_mean'] = keep * mean + (1 - keep) * x.mean(0)
    bn_param['running_var'] = keep * var + (1 - keep) * x.var(0)
    std = np.sqrt(x.var(0) + eps)
    z = (x - x.mean(0)) / std
    return gamma * z + beta, (z, gamma, std)


def batchnorm_backward(dout, cache):
    z, gamma, std = cache
    h = dout * gamma
    dx = (h - h.mean(0) - z * (h * z).mean(0)) / std
    return dx, (dout * z).sum(0), dout.sum(0)
