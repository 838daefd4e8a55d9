from house.net import NeuralNet


class SGD:
    def __init__(self, lr=0.01):
        self.lr = lr

    def step(self, net: NeuralNet):
        for param, grad in net.params_and_grads():
            param -= self.lr * grad
