from house import layers


class MSE:
    def loss(self, predicted, actual):
        return ((predicted - actual) ** 2).sum()

    def grad(self, predicted, actual):
        return 2 * (predicted - actual)


size = len(layers.__name__)
