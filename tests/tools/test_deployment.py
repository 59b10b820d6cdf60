"""What `make package` builds, and what the documentation says that it costs."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from msd_spark.core.errors import UserError
from tests.conftest import REPOSITORY
from tools.deployment import cost
from tools.deployment.archive import named_by_contents, write_archive
from tools.deployment.certificates import make_certificates, node_names
from tools.deployment.code import code_files, pack_code
from tools.deployment.environment import environment_key, members, needed, pins

LOCK = "a==1 \\\n    --hash=sha256:00\n    # via b\nb_c[x]==2 ; python_version > '3' \\\n    --hash=sha256:11\nd==3\n"


def test_archives_of_the_same_contents_are_the_same_to_the_byte(tmp_path: Path) -> None:
    archives = []
    for number in (1, 2):
        source = tmp_path / f"source-{number}"
        source.write_text("content")
        path = tmp_path / f"archive-{number}.tar.gz"
        write_archive(path, [("a/file", source), ("b", b"bytes"), ("c", "a/file")])
        archives.append(path.read_bytes())
    assert archives[0] == archives[1]
    with tarfile.open(tmp_path / "archive-1.tar.gz") as archive:
        opened = archive.extractfile("a/file")
        assert opened is not None
        assert opened.read() == b"content"
        assert archive.getmember("c").issym()


def test_an_archive_is_named_by_its_contents(tmp_path: Path) -> None:
    names = set()
    for content in (b"one", b"two", b"one"):
        write_archive(tmp_path / "code.tar.gz", [("file", content)])
        names.add(named_by_contents(tmp_path / "code.tar.gz").name)
    assert len(names) == 2


def test_the_code_holds_what_the_commands_name(tmp_path: Path) -> None:
    with tarfile.open(pack_code(REPOSITORY, tmp_path)) as archive:
        by_name = {member.name: member for member in archive}
    assert {"jobs/ingest.py", "training/train.py", "msd_spark/report/assets/report.html", "pyproject.toml"} <= set(
        by_name
    )
    assert by_name["training/train.py"].mode & 0o100  # horovodrun executes it
    assert not [name for name in by_name if name.startswith(("tests", "infra", ".", "build")) or "__pycache__" in name]


def test_code_outside_a_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a git checkout"):
        code_files(tmp_path)


def test_pins_keep_hashes_and_take_the_names_asked_for() -> None:
    assert pins(LOCK, {"b-c", "d"}) == "b_c[x]==2 ; python_version > '3' \\\n    --hash=sha256:11\nd==3\n"
    with pytest.raises(UserError, match="pins no e; run make lock"):
        pins(LOCK, {"a", "e"})


def test_the_environment_is_the_locks_without_spark_and_without_tests() -> None:
    names = needed()
    assert {"numpy", "pyarrow", "h5py", "isal", "tensorflow-cpu", "keras", "petastorm"} <= names
    assert not names & {"pyspark", "py4j", "pytest", "moto", "ruff", "horovod", "msd-spark"}
    requirements = pins((REPOSITORY / "requirements" / "lock.txt").read_text(), names)
    assert requirements.count("==") >= len(names)
    assert "--hash=sha256:" in requirements
    assert environment_key(requirements) != environment_key(requirements + "\n")


def test_a_packed_environment_runs_elsewhere(tmp_path: Path) -> None:
    made = tmp_path / "made"
    venv.create(made, with_pip=False)
    packages = made / "lib" / "python3.11" / "site-packages"
    (packages / "only_here.py").write_text("word = 'packed'\n")
    (packages / "__pycache__").mkdir()
    (packages / "__pycache__" / "stale.pyc").write_bytes(b"")
    home = str(Path(sys.base_prefix) / "bin")
    write_archive(tmp_path / "environment.tar.gz", members(made, home))
    elsewhere = tmp_path / "elsewhere"
    with tarfile.open(tmp_path / "environment.tar.gz") as archive:
        assert not [name for name in archive.getnames() if "__pycache__" in name or "activate" in name]
        archive.extractall(elsewhere)
    made.rename(tmp_path / "gone")
    program = "import only_here, sys; print(only_here.word, sys.prefix)"
    command = [str(elsewhere / "bin" / "python"), "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert told == ["packed", str(elsewhere)]


def test_the_certificate_is_for_private_nodes_and_is_made_once(tmp_path: Path) -> None:
    archive = make_certificates(tmp_path, "eu-west-1")
    assert make_certificates(tmp_path, "eu-west-1") == archive
    assert archive.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(archive) as opened:
        assert sorted(opened.namelist()) == ["certificateChain.pem", "privateKey.pem", "trustedCertificates.pem"]
        certificate = opened.read("certificateChain.pem")
        assert b"PRIVATE KEY" in opened.read("privateKey.pem")
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-subject"], input=certificate, capture_output=True, check=True
    )
    assert b"*.eu-west-1.compute.internal" in shown.stdout
    assert node_names("us-east-1") == "*.ec2.internal"
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]  # no key lies beside it


def test_the_estimate_by_hand() -> None:
    # Two m6i.2xlarge: 16 vCPUs x 250 songs/s = 4,000 songs/s; 1,000,000 / 4,000 = 250 s = 4.167 min.
    # Scored: 16 x 850 = 13,600 songs/s; 73.53 s = 1.2255 min.
    # (2 x 0.384 + 0.192) x 1.25 = 1.20 USD/h; (10 + 4.1667 + 1.2255) min = 15.392 min = 0.25654 h; 0.3078 USD.
    result = cost.estimate(8, 0.384, primary=0.192, emr_share=0.25)
    assert result == pytest.approx((2, 1.20, 4.1667, 1.2255, 0.3078), abs=1e-3)


def test_the_documentation_shows_the_estimate() -> None:
    assert cost.table() in (REPOSITORY / "docs" / "aws.md").read_text()
