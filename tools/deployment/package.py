"""Build what the cluster needs and put it into the artefacts bucket: ``make package BUCKET=... REGION=...``.

Three things: the code, the Python environment that Spark's executors unpack, and the
certificate that nodes encrypt by. Each is named by its contents; what the bucket has already is
not sent again. The names go to ``infra/release.auto.tfvars.json``, which Terraform reads.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pyarrow import fs
from tqdm import tqdm

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.legacy import exit_with
from msd_spark.core.summary import Summary
from tools.deployment.certificates import make_certificates
from tools.deployment.code import STAGE, pack_code
from tools.deployment.environment import pack_environment

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT = REPOSITORY / "build" / "package"
RELEASE = REPOSITORY / "infra" / "release.auto.tfvars.json"
PIECE = 8 << 20


def build(region: str, folder: Path) -> dict[str, Path]:
    """Build every part in `folder`; return the files by what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("code-*.tar.gz"):
        old.unlink()
    return {
        "code": pack_code(REPOSITORY, folder),
        "environment": pack_environment(REPOSITORY, folder),
        "certificates": make_certificates(folder, region),
    }


def keys(parts: dict[str, Path]) -> dict[str, str]:
    """Return where each part lies in the artefacts bucket."""
    return {part: f"{part}/{path.name}" for part, path in parts.items()}


def upload(bucket: str, parts: dict[str, Path]) -> int:
    """Put what is missing into the bucket; return how many bytes that were.

    Raises
    ------
    UserError
        When the bucket does not take it.
    """
    filesystem, root, _ = open_location(f"s3://{bucket}")
    sent = 0
    for part, key in keys(parts).items():
        path, target = parts[part], f"{root}/{key}"
        try:
            there = filesystem.get_file_info(target)
            if there.type == fs.FileType.File and there.size == path.stat().st_size:
                continue
            with (
                path.open("rb") as source,
                filesystem.open_output_stream(target, compression=None) as sink,  # else .gz is compressed once more
                tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=part, file=sys.stderr) as bar,
            ):
                while piece := source.read(PIECE):
                    sink.write(piece)
                    bar.update(len(piece))
        except OSError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"s3://{bucket}/{key} was not written: {reason}") from None
        sent += path.stat().st_size
    return sent


def main() -> None:
    """Run ``make package`` with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bucket", help="the artefacts bucket (terraform output buckets); built only when left out")
    parser.add_argument("--region", default="us-east-1", help="the cluster's region, for its certificate")
    parser.add_argument("--folder", type=Path, default=BUILT, help="where the parts are built and kept")
    parser.add_argument("--release", type=Path, default=RELEASE, help="the file that Terraform reads the names from")
    arguments = parser.parse_args()
    summary = Summary(STAGE)
    parts = build(arguments.region, arguments.folder)
    for part, path in parts.items():
        summary.facts[f"{part}, bytes"] = path.stat().st_size
    if arguments.bucket:
        summary.facts["uploaded, bytes"] = upload(arguments.bucket, parts)
        arguments.release.write_text(json.dumps({"release": keys(parts)}, indent=2) + "\n")
    print(summary.table())


if __name__ == "__main__":
    exit_with(main)
