from __future__ import annotations

import re
from pathlib import Path

import pytest

from msd_spark.core.command_line import main, parse
from msd_spark.core.options import OptionError
from msd_spark.core.runs import METADATA
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.settings import ExportSettings, Layout, MapSettings
from tests.support.embedded_songs import write_embedded_songs

VERB = VERBS["maps"]


def test_options_are_parsed() -> None:
    assert parse(MapSettings, [], VERB) == MapSettings()
    words = "--run cnn --method umap --sample 50 --refit --export to --export-for projector"
    settings = parse(MapSettings, words.split(), VERB)
    assert settings == MapSettings(
        run="cnn", method="umap", sample=50, refit=True, export=ExportSettings("to", "projector")
    )
    assert settings.layout("cnn", None) == Layout("umap", 50)
    assert MapSettings().layout("cnn", Layout(sample=50)) == Layout(sample=50)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--sample 3", "--sample is 3; allowed: 4 or more"),
        ("--perplexity 0.5", "--perplexity is 0.5; allowed: finite numbers of 1 or more"),
        ("--perplexity nan", "--perplexity is nan; allowed: finite numbers of 1 or more"),
        ("--block 0", "--block is 0; allowed: 1 or more"),
        ("--export-for projector", "--export-for needs a folder; add --export DIR"),
    ],
)
def test_invalid_values_are_rejected(words: str, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)):
        parse(MapSettings, words.split(), VERB)
    with pytest.raises(OptionError, match="--method is 'pca'; allowed: tsne, umap"):
        MapSettings(method="pca")


def test_missing_input_is_named_before_a_folder_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def refusal(*words: str) -> str:
        with pytest.raises(SystemExit, match="2"):
            main(["maps", *words])
        return capsys.readouterr().err

    assert "no finished run in" in refusal()
    assert not list(tmp_path.iterdir())
    warehouse = write_embedded_songs(tmp_path / "warehouse", 12)
    warehouse.write_json({}, "models", "tiny", METADATA)
    message = "/neighbours/tiny is missing; run msd-spark neighbours first"
    assert message in refusal("--export", "to")
    assert not Path("to").exists()
    assert not warehouse.is_complete("maps", "tiny")


def test_bare_command_maps_the_newest_run_and_exports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_embedded_songs(tmp_path / "warehouse", 12).write_json({}, "models", "tiny", METADATA)
    main(["maps"])
    assert Warehouse("warehouse").is_complete("maps", "tiny")
    main(["maps", "--export", "to", "--export-for", "projector"])
    assert capsys.readouterr().out.endswith("\n\ntensorboard --logdir to\n")
    assert sorted(path.name for path in Path("to").iterdir()) == [
        "metadata.tsv",
        "projector_config.pbtxt",
        "vectors.tsv",
    ]
