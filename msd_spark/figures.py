"""The figures of a report, as Plotly figures from plain tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from sklearn.decomposition import PCA

LAYOUT = {"template": "plotly_white", "margin": {"l": 50, "r": 20, "t": 20, "b": 40}, "height": 480}

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""Okabe and Ito's palette, safe for the colour-blind; markers tell apart genres of one colour."""

MARKERS = ("circle", "diamond", "square", "cross")


def _text(value: object) -> str:
    """Return a text as Plotly shows it to the letter: it knows tags, and no entity for quotes."""
    return escape(str(value), quote=False)


def song_map(songs: pd.DataFrame) -> go.Figure:
    """Return every song in the plane of its embedding's first two principal components.

    Parameters
    ----------
    songs : pandas.DataFrame
        Columns ``title``, ``artist_name`` and ``genre``, missing where they are not known,
        ``predicted_genre`` and ``embedding``.
    """
    embeddings = np.stack(list(songs["embedding"]))
    n_components = min(2, *embeddings.shape)
    places = np.zeros((len(songs), 2), np.float32)
    places[:, :n_components] = PCA(n_components, random_state=0).fit_transform(embeddings)
    figure = go.Figure(layout=LAYOUT | {"height": 640})
    for number, (genre, part) in enumerate(songs.assign(x=places[:, 0], y=places[:, 1]).groupby("predicted_genre")):
        texts = [
            "{} – {}<br>label: {}".format(
                *(_text("?" if pd.isna(value) else value) for value in (row.artist_name, row.title, row.genre))
            )
            for row in part.itertuples()
        ]
        marker = {
            "size": 6,
            "opacity": 0.75,
            "color": COLOURS[number % len(COLOURS)],
            "symbol": MARKERS[number // len(COLOURS) % len(MARKERS)],
        }
        figure.add_trace(
            go.Scattergl(
                x=part["x"],
                y=part["y"],
                mode="markers",
                name=_text(genre),
                text=texts,
                hoverinfo="text+name",
                marker=marker,
            )
        )
    return figure.update_layout(xaxis_title="first principal component", yaxis_title="second")


def training_curves(history: Sequence[Mapping[str, float | None]]) -> go.Figure:
    """Return the losses and errors of each epoch, and the other validation figures on an axis of their own.

    Parameters
    ----------
    history : sequence of mapping
        A row an epoch: ``loss`` and ``validation_…`` are drawn; a figure that is None leaves a gap.
    """
    figure = go.Figure(layout=LAYOUT)
    epochs = [row["epoch"] for row in history]
    for number, name in enumerate(key for key in history[0] if key == "loss" or key.startswith("validation_")):
        axis = "y" if name.endswith(("loss", "error")) else "y2"
        line = {"color": COLOURS[number % len(COLOURS)], "dash": "solid" if axis == "y" else "dot"}
        heights = [row.get(name) for row in history]
        figure.add_trace(go.Scatter(x=epochs, y=heights, name=name.replace("_", " "), yaxis=axis, line=line))
    return figure.update_layout(
        xaxis_title="epoch",
        yaxis_title="loss",
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "title": "share",
            "range": [0, 1],
            "dtick": 0.2,
            "tickmode": "linear",
        },
    )


def confusion(metrics: Mapping[str, Any]) -> go.Figure:
    """Return a confusion matrix: colour by share of the true class, counts as text."""
    counts = np.array(metrics["confusion_matrix"], float)
    genres = [_text(genre) for genre in metrics["by_class"]]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    heat = go.Heatmap(
        z=shares,
        x=genres,
        y=genres,
        text=counts.astype(int),
        texttemplate="%{text}",
        colorscale="Cividis",
        zmin=0,
        zmax=1,
    )
    figure = go.Figure(heat, layout=LAYOUT | {"height": 560})
    return figure.update_layout(xaxis_title="predicted", yaxis_title="true", yaxis_autorange="reversed")


def genre_counts(examples_by_genre: Mapping[str, Mapping[str, int]]) -> go.Figure:
    """Return the examples of each genre in each split, stacked."""
    genres = sorted(examples_by_genre, key=lambda genre: -sum(examples_by_genre[genre].values()))
    figure = go.Figure(layout=LAYOUT)
    for number, split in enumerate(next(iter(examples_by_genre.values()))):
        heights = [examples_by_genre[genre][split] for genre in genres]
        figure.add_trace(
            go.Bar(x=[_text(genre) for genre in genres], y=heights, name=split, marker_color=COLOURS[number])
        )
    return figure.update_layout(barmode="stack", yaxis_title="examples")
