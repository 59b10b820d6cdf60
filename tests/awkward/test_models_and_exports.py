"""Model files with code, arrays of objects in checkpoints, and formulas in CSV files."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msd_spark.core.command_line import main
from msd_spark.core.errors import UserError
from msd_spark.core.runs import METADATA, MODEL, RUNS, model_layers, run_file
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.tables import Table
from tests.support.scoring_runs import write_untrained_run
from tests.support.scoring_songs import write_songs
from training.loop.state import Best, TrainingState, from_bytes, to_bytes
from training.runs.run_folder import read_model


def keras_file_with_code(folder: Path) -> bytes:
    import keras

    inputs = keras.Input((3,))
    doubled = keras.layers.Lambda(lambda values: values * 2, name="doubled")(inputs)
    path = folder / "code.keras"
    keras.Model(inputs, keras.layers.Dense(2)(doubled)).save(path)
    return path.read_bytes()


def test_a_model_with_a_lambda_layer_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Warehouse(str(tmp_path / "w"))
    write_untrained_run(warehouse)
    write_songs(warehouse, [range(2)], 2)
    warehouse.write_file(keras_file_with_code(tmp_path), *run_file(warehouse, "tiny", MODEL))
    message = (
        "models/tiny/model.keras has a Lambda layer, whose code is never run; run msd-spark train with another model"
    )
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["score", "--warehouse", warehouse.root, "--run", "tiny"])
    assert capsys.readouterr().err.startswith(f"score: {message}")
    with pytest.raises(UserError, match=message):
        read_model(warehouse, "tiny")


@pytest.mark.parametrize("damage", [b"", b"no zip", "without a description", "cut off", "other bytes"])
def test_a_damaged_model_is_refused_in_one_line(damage: bytes | str, tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    write_untrained_run(warehouse)
    with warehouse.filesystem.open_input_stream(warehouse.path(*run_file(warehouse, "tiny", MODEL))) as source:
        content = source.read()
    assert len(model_layers(content, "tiny")) > 3
    if damage == "without a description":
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr(METADATA, "{}")
        damage = sink.getvalue()
    if damage == "other bytes":
        middle = len(content) // 2
        damage = content[:middle] + bytes(256) + content[middle + 256 :]
    with pytest.raises(UserError, match=f"{RUNS}/tiny/{MODEL} is not a Keras model .*; run msd-spark train again"):
        model_layers(content[:-400] if isinstance(damage, str) else damage, "tiny")


def test_a_checkpoint_never_has_a_pickle() -> None:
    numbers = (np.arange(3.0),)
    state = TrainingState(1, 0, numbers, numbers, (), np.zeros((1, 2)), [], Best())
    read, _ = from_bytes(to_bytes(state, {}))
    np.testing.assert_array_equal(read.weights[0], numbers[0])
    with zipfile.ZipFile(io.BytesIO(to_bytes(state, {}))) as archive:
        assert "allow_pickle.npy" not in archive.namelist()
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        to_bytes(replace(state, weights=(np.array([{}], object),)), {})


def test_formulas_in_csv_files_are_texts() -> None:
    titles = ["=1+1", "+44", "-2", "-.050", "@home", "\t=1", "\r=1", "a=b", "- - -", "", "'quoted'"]
    table = Table("songs", "", ("=title", "plays"), tuple((title, -1) for title in titles))
    heads, *rows = csv.reader(io.StringIO(table.as_csv().decode(), newline=""))
    assert heads == ["'=title", "plays"]
    assert [row[0] for row in rows] == [
        "'=1+1", "+44", "-2", "-.050", "'@home", "'\t=1", "'\r=1", "a=b", "'- - -", "", "'quoted'"
    ]  # fmt: skip
    assert {row[1] for row in rows} == {"-1"}
