"""A network with one hidden layer and its Adam, in numpy: just enough for the example trainings."""

from __future__ import annotations

import numpy as np


class Network:
    """Inputs (n, inputs) to outputs (n, outputs); remembers the last batch for `gradients`."""

    def __init__(self, rng: np.random.Generator, inputs: int, hidden: int, outputs: int) -> None:
        self.weights = [
            rng.normal(0, inputs**-0.5, (inputs, hidden)),
            np.zeros(hidden),
            rng.normal(0, hidden**-0.5, (hidden, outputs)),
            np.zeros(outputs),
        ]
        self._first = [np.zeros_like(w) for w in self.weights]
        self._second = [np.zeros_like(w) for w in self.weights]
        self._updates = 0

    def copy(self) -> Network:
        """A frozen twin: the reference policy."""
        twin = Network(np.random.default_rng(0), self.weights[0].shape[0], len(self.weights[1]), len(self.weights[3]))
        twin.weights = [w.copy() for w in self.weights]
        return twin

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self._x = x
        self._h = np.tanh(x @ self.weights[0] + self.weights[1])
        return self._h @ self.weights[2] + self.weights[3]

    def gradients(self, d_output: np.ndarray) -> list[np.ndarray]:
        """The gradient of every weight, given that of the loss with respect to the last outputs."""
        d_hidden = (d_output @ self.weights[2].T) * (1 - self._h**2)
        return [self._x.T @ d_hidden, d_hidden.sum(0), self._h.T @ d_output, d_output.sum(0)]

    def update(self, gradients: list[np.ndarray], lr: float) -> None:
        """One step of Adam."""
        self._updates += 1
        for i, g in enumerate(gradients):
            self._first[i] += 0.1 * (g - self._first[i])
            self._second[i] += 0.001 * (g**2 - self._second[i])
            mean, square = self._first[i] / (1 - 0.9**self._updates), self._second[i] / (1 - 0.999**self._updates)
            self.weights[i] = self.weights[i] - lr * mean / (np.sqrt(square) + 1e-8)


def norm(gradients: list[np.ndarray]) -> float:
    """The global norm of a gradient."""
    return float(np.sqrt(sum(float((g**2).sum()) for g in gradients)))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
