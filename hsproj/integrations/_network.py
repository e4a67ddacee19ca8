"""Scores of a linear model or of a network with one hidden layer, their gradients for the weights, and a step of Adam."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hsproj._inputs import Array


@dataclass(frozen=True)
class Shape:
    """How many features, hidden units (0: a linear model) and scores, and whether scores have intercepts."""

    features: int
    hidden: int
    scores: int
    intercept: bool

    def begin(self, rng: np.random.RandomState) -> Array:
        """Weights to start from, flat: 0 for a linear model, else uniform within 1 / sqrt(inputs)."""
        if not self.hidden:
            return np.zeros(self.size)
        sizes = [(self.features, self.features * self.hidden), (self.hidden, self.hidden * self.scores)]
        first, last = (rng.uniform(-1, 1, count) / np.sqrt(inputs) for inputs, count in sizes)
        return np.concatenate([first, np.zeros(self.hidden), last, np.zeros(self.scores * self.intercept)])

    @property
    def size(self) -> int:
        """How many weights."""
        inside = (self.features + 1) * self.hidden
        return inside + (self.hidden or self.features) * self.scores + self.scores * self.intercept

    def split(self, flat: Array) -> tuple[Array, Array, Array, Array]:
        """(features to hidden units, their intercepts, to scores, their intercepts), as views; some may be empty."""
        inputs = self.hidden or self.features
        parts = (self.features * self.hidden, self.hidden, inputs * self.scores, self.scores * self.intercept)
        first, bias, last, intercept = np.split(flat, np.cumsum(parts)[:-1])
        return first.reshape(self.features, self.hidden), bias, last.reshape(inputs, self.scores), intercept

    def forward(self, flat: Array, x: Array) -> tuple[Array, Array]:
        """(n, scores), and what goes into the last layer."""
        first, bias, last, intercept = self.split(flat)
        inputs = np.tanh(x @ first + bias) if self.hidden else x
        return inputs @ last + (intercept if self.intercept else 0.0), inputs

    def backward(self, flat: Array, x: Array, inputs: Array, slopes: Array) -> Array:
        """The gradient for the weights, given that for the scores."""
        gradient = np.empty_like(flat)
        first, bias, last, intercept = self.split(gradient)
        last[:] = inputs.T @ slopes
        if self.intercept:
            intercept[:] = slopes.sum(axis=0)
        if self.hidden:
            inside = (slopes @ self.split(flat)[2].T) * (1.0 - inputs**2)
            first[:], bias[:] = x.T @ inside, inside.sum(axis=0)
        return gradient

    def penalized(self) -> Array:
        """1 for weights, 0 for intercepts."""
        mask = np.ones(self.size)
        _, bias, _, intercept = self.split(mask)
        bias[:], intercept[:] = 0.0, 0.0
        return mask


@dataclass
class Adam:
    """Kingma and Ba's optimiser (arXiv 1412.6980) with its usual constants."""

    rate: float
    first: Array | float = field(default=0.0)
    second: Array | float = field(default=0.0)
    steps: int = 0

    def step(self, flat: Array, gradient: Array) -> Array:
        """The weights after a step."""
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        first, second = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        moved: Array = flat - self.rate * first / (np.sqrt(second) + 1e-8)
        return moved
