from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from msd_spark import figures

HOSTILE = "</script><img src=x onerror=alert(1)><b>&amp;"
ESCAPED = "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&lt;b&gt;&amp;amp;"


def songs(n: int, **columns: object) -> pd.DataFrame:
    embeddings = np.random.default_rng(0).normal(size=(n, 50)).astype(np.float32)
    plain = {"title": "t", "artist_name": "a", "genre": "g", "predicted_genre": "Rock"}
    return pd.DataFrame({**plain, **columns, "embedding": list(embeddings)})


def test_hostile_titles_artists_and_genres_are_escaped_in_the_map() -> None:
    figure = figures.song_map(songs(3, title=HOSTILE, artist_name=HOSTILE, genre=HOSTILE, predicted_genre=HOSTILE))
    (trace,) = figure.data
    assert trace.name == ESCAPED
    assert list(trace.text) == [f"{ESCAPED} \u2013 {ESCAPED}<br>label: {ESCAPED}"] * 3


def test_hostile_genres_are_escaped_in_the_other_figures() -> None:
    matrix = figures.confusion({"confusion_matrix": [[1, 0], [0, 1]], "by_class": {HOSTILE: {}, "Rock": {}}})
    assert list(matrix.data[0].x) == list(matrix.data[0].y) == [ESCAPED, "Rock"]
    bars = figures.genre_counts({HOSTILE: {"train": 1, "test": 2}})
    assert [list(bar.x) for bar in bars.data] == [[ESCAPED], [ESCAPED]]


def test_no_figure_with_hostile_text_opens_or_ends_an_element_of_the_page() -> None:
    pages = [
        figure.to_html(full_html=False, include_plotlyjs=False)
        for figure in (
            figures.song_map(songs(3, title=HOSTILE, predicted_genre=HOSTILE)),
            figures.confusion({"confusion_matrix": [[1]], "by_class": {HOSTILE: {}}}),
            figures.genre_counts({HOSTILE: {"train": 1}}),
        )
    ]
    for page in pages:
        assert "<img" not in page
        assert page.count("</script>") == page.count("<script") == 1


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_quotes_in_a_title_are_shown_as_quotes() -> None:
    (trace,) = figures.song_map(songs(1, title='"Heroes"')).data
    assert '"Heroes"' in trace.text[0]


def test_what_is_not_known_is_shown_as_a_question_mark() -> None:
    (trace,) = figures.song_map(songs(2, title=None, artist_name=float("nan"), genre=None)).data
    assert list(trace.text) == ["? \u2013 ?<br>label: ?"] * 2


def test_every_song_is_on_the_map_in_the_plane_of_most_variance() -> None:
    table = songs(40, predicted_genre=[f"genre {number % 11}" for number in range(40)])
    figure = figures.song_map(table)
    assert sum(len(trace.x) for trace in figure.data) == 40
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == len(figure.data) == 11
    places = np.concatenate([np.stack([trace.x, trace.y], axis=1) for trace in figure.data])
    embeddings = np.stack(list(table["embedding"]))
    singular = np.linalg.svd(embeddings - embeddings.mean(axis=0), compute_uv=False)
    assert np.square(places).sum(axis=0) == pytest.approx(np.square(singular[:2]), rel=1e-4)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_map_of_one_song() -> None:
    (trace,) = figures.song_map(songs(1)).data
    assert (list(trace.x), list(trace.y)) == ([0.0], [0.0])


def test_losses_and_shares_have_axes_of_their_own() -> None:
    history = [
        {"epoch": 1, "loss": 2.0, "validation_log_loss": 1.5, "validation_accuracy": 0.25},
        {"epoch": 2, "loss": 1.0, "validation_log_loss": 1.25, "validation_accuracy": 0.5},
    ]
    figure = figures.training_curves(history)
    drawn = {trace.name: (list(trace.x), list(trace.y), trace.yaxis) for trace in figure.data}
    assert drawn == {
        "loss": ([1, 2], [2.0, 1.0], "y"),
        "validation log loss": ([1, 2], [1.5, 1.25], "y"),
        "validation accuracy": ([1, 2], [0.25, 0.5], "y2"),
    }


def test_the_confusion_matrix_is_coloured_by_share_of_the_true_genre() -> None:
    metrics = {"confusion_matrix": [[3, 1, 0], [0, 2, 0], [0, 0, 0]], "by_class": {"A": {}, "B": {}, "C": {}}}
    heat = figures.confusion(metrics).data[0]
    # Row A has 4 examples: 3/4, 1/4, 0. Genre C has none, and no share.
    assert np.array(heat.z).tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert np.array(heat.text).tolist() == [[3, 1, 0], [0, 2, 0], [0, 0, 0]]


def test_genres_stand_in_order_of_their_size_with_a_bar_a_split() -> None:
    figure = figures.genre_counts({"Few": {"train": 1, "test": 0}, "Many": {"train": 5, "test": 4}})
    assert [(bar.name, list(bar.x), list(bar.y)) for bar in figure.data] == [
        ("train", ["Many", "Few"], [5, 1]),
        ("test", ["Many", "Few"], [4, 0]),
    ]
    assert json.loads(figure.to_json())["layout"]["barmode"] == "stack"


def test_curves_of_losses_and_of_shares_have_axes_of_their_own() -> None:
    shares = [f"validation_share_{number}" for number in range(12)]
    history = [
        {"epoch": epoch, "loss": 2.0, "learning_rate": 0.1, "validation_loss": 1.0, **dict.fromkeys(shares, 0.5)}
        for epoch in (1, 2)
    ]
    drawn = {trace.name: trace for trace in figures.training_curves([history[0], history[1] | {shares[0]: None}]).data}
    assert len(drawn) == 2 + len(shares)
    assert drawn["loss"].yaxis == drawn["validation loss"].yaxis == "y"
    assert drawn["validation share 3"].yaxis == "y2"
    assert list(drawn["validation share 0"].y) == [0.5, None]
    assert "learning rate" not in drawn
