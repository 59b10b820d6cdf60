from __future__ import annotations

import numpy as np
import pytest

from msd_spark.neighbours.space import Space


def test_invalid_vectors_are_rejected() -> None:
    vectors = np.ones((5, 3), np.float32)
    vectors[3, 1] = np.nan
    with pytest.raises(ValueError, match="1 vectors are not finite, the first is number 3"):
        Space.of(vectors, "cosine")
    with pytest.raises(ValueError, match="beyond the range of float32"):
        Space.of(np.array([[1e30], [-1e30]], np.float32), "euclidean")
