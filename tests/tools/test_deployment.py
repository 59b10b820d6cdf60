"""What `make package` builds, and what the documentation says that it costs."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from msd_spark.core.errors import UserError
from tests.conftest import REPOSITORY
from tools.deployment import cost, environment
from tools.deployment.archive import named_by_contents, write_archive
from tools.deployment.certificates import make_certificates, node_names
from tools.deployment.code import code_files, pack_code
from tools.deployment.environment import UNUSED, environments, install, members, needed, pins

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


def test_the_environments_are_the_locks_without_spark_tests_and_horovod() -> None:
    names = needed()
    assert {"numpy", "pyarrow", "h5py", "isal", "tensorflow-cpu", "keras", "petastorm"} <= names
    assert not names & {"pyspark", "py4j", "pytest", "moto", "ruff", "horovod", "msd-spark"}
    spark, gpu = environments(REPOSITORY)
    assert spark.requirements.count("==") >= len(names)
    assert "--hash=sha256:" in spark.requirements
    assert not re.search(r"^(nvidia-|tensorflow==)", spark.requirements, flags=re.M)
    assert "nvidia-nccl-cu12==" in gpu.requirements
    assert "horovod==" not in gpu.requirements
    assert re.fullmatch(r"gpu_environment-[0-9a-f]{16}\.tar\.gz", gpu.archive)
    assert replace(gpu, requirements=gpu.requirements + "\n").archive != gpu.archive
    headers = "lib/python3.11/site-packages/tensorflow/include/tensorflow/core/public/version.h"
    assert [any(pattern.search(headers) for pattern in one.excluded) for one in (spark, gpu)] == [True, False]


def wheel(folder: Path, name: str, tag: str) -> str:
    """Write a wheel of one module; return its requirement."""
    path, info = folder / f"{name}-1.0-{tag}.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"tag = {tag!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def test_packages_are_wheels_for_the_nodes_whatever_machine_packs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    suitable = wheel(tmp_path, "demo", "cp311-cp311-manylinux_2_34_x86_64")
    for other in ("cp311-cp311-manylinux_2_35_x86_64", "cp311-cp311-macosx_11_0_arm64", "cp312-cp312-linux_x86_64"):
        wheel(tmp_path, "demo", other)
    (tmp_path / "listed.txt").write_text(suitable)
    install(tmp_path / "listed.txt", tmp_path / "made")
    installed = tmp_path / "made" / "lib" / "python3.11" / "site-packages" / "demo.py"
    assert installed.read_text() == "tag = 'cp311-cp311-manylinux_2_34_x86_64'\n"

    for tag in ("cp311-cp311-manylinux_2_35_x86_64", "cp311-cp311-manylinux_2_17_aarch64"):
        (tmp_path / "listed.txt").write_text(wheel(tmp_path, "newer", tag))
        with pytest.raises(UserError, match=r"newer==1.0.0 has no usable wheels"):
            install(tmp_path / "listed.txt", tmp_path / "made")
        (tmp_path / f"newer-1.0-{tag}.whl").unlink()


def test_a_package_built_from_source_must_be_pure_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(environment, "WITHOUT_WHEELS", ("compiled",))
    for module, refused in (("compiled/__init__.py", False), ("compiled/fast.cpython-311-x86_64-linux-gnu.so", True)):
        source = tmp_path / "compiled-1.0.tar.gz"
        write_archive(source, [(f"compiled-1.0/{name}", content) for name, content in source_of(module).items()])
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        (tmp_path / "listed.txt").write_text(f"compiled==1.0 --hash=sha256:{digest}\n")
        if refused:
            with pytest.raises(UserError, match=r"compiled was built from source and contains fast\.cpython-311"):
                install(tmp_path / "listed.txt", tmp_path / "made")
        else:
            install(tmp_path / "listed.txt", tmp_path / "made")


def source_of(module: str) -> dict[str, bytes]:
    """Return the files of a source distribution of one module, with a build backend of its own."""
    backend = f"""
import zipfile

def build_wheel(folder, settings=None, metadata=None):
    name = "compiled-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{{folder}}/{{name}}", "w") as archive:
        archive.writestr({module!r}, "")
        archive.writestr("compiled-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: compiled\\nVersion: 1.0\\n")
        archive.writestr("compiled-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        archive.writestr("compiled-1.0.dist-info/RECORD", "")
    return name
"""
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    metadata = "Metadata-Version: 2.1\nName: compiled\nVersion: 1.0\n"
    return {"pyproject.toml": project.encode(), "backend.py": backend.encode(), "PKG-INFO": metadata.encode()}


def test_a_packed_environment_runs_elsewhere(tmp_path: Path) -> None:
    made = tmp_path / "made"
    venv.create(made, with_pip=False)
    packages = made / "lib" / "python3.11" / "site-packages"
    (packages / "only_here.py").write_text("word = 'packed'\n")
    (packages / "__pycache__").mkdir()
    (packages / "__pycache__" / "stale.pyc").write_bytes(b"")
    home = str(Path(sys.base_prefix) / "bin")
    write_archive(tmp_path / "environment.tar.gz", members(made, (UNUSED,), home))
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


def test_the_documentation_shows_the_estimate() -> None:
    assert cost.tables() in (REPOSITORY / "docs" / "aws.md").read_text()
