"""Temperature scaling of a model's scores on the validation split.

References
----------
.. [1] C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from training.data.predictions import Predictions
from training.models.losses import SMALLEST_SCORE, Loss
from training.models.settings import SCORE_LAYERS

LARGEST_TEMPERATURE = 10.0


def best_temperature(predictions: Predictions, loss: Loss) -> float:
    """Return the temperature with the lowest loss of the predictions, from 1/10 to 10.

    Scores are divided by it before the softmax; their order does not change.
    """
    judged = predictions.judged()
    logits = np.log(np.maximum(judged.scores.astype(np.float64), SMALLEST_SCORE))

    def cost(log_temperature: float) -> float:
        scores = softmax(logits / np.exp(log_temperature), axis=1).astype(np.float32)
        return loss.of_predictions(replace(judged, scores=scores))

    bound = np.log(LARGEST_TEMPERATURE)
    return float(np.exp(minimize_scalar(cost, bounds=(-bound, bound), method="bounded").x))


def scale_scores(model: keras.Model, temperature: float) -> None:
    """Divide a model's scores before the softmax by a temperature, in its last linear layers."""
    for name in SCORE_LAYERS:
        layer = model.get_layer(name)
        layer.set_weights([weights / np.float32(temperature) for weights in layer.get_weights()])
