"""The options by which ``training/train.py`` repeats an experiment, and the defaults that come with it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msd_spark.core.errors import UserError
from training.data.targets import GENRE
from training.protocol_2019.examples import ORIGINAL_OPTIONS, PROTOCOLS, Protocol2019


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """Add the options of a protocol."""
    group = parser.add_argument_group("repeating an experiment")
    group.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        help="on the examples of --dataset, flaws included; batch, epochs and optimizer are the original's unless said",
    )
    group.add_argument(
        "--protocol-rows",
        type=int,
        nargs=2,
        default=(Protocol2019.largest, Protocol2019.others),
        metavar=("LARGEST", "OTHERS"),
        help="rows drawn of the largest genre, and of every other",
    )


def parse_options(parser: argparse.ArgumentParser, words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of a training, with the defaults of its protocol.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        That `add_options` was given.
    words : sequence of str, optional
        Those of the command line where they are left out.

    Raises
    ------
    UserError
        When the protocol cannot be followed.
    """
    arguments = parser.parse_args(words)
    if not arguments.protocol:
        return arguments
    parser.set_defaults(**ORIGINAL_OPTIONS)
    arguments = parser.parse_args(words)
    if arguments.target != GENRE:
        raise UserError(f"--protocol {arguments.protocol} draws by genre; it cannot be had for {arguments.target}")
    protocol_settings(arguments)
    return arguments


def protocol_settings(arguments: argparse.Namespace) -> Protocol2019:
    """Return how examples are drawn under the protocol.

    Raises
    ------
    UserError
        When a value is out of its range.
    """
    try:
        largest, others = arguments.protocol_rows
        return Protocol2019(largest, others, seed=arguments.seed)
    except ValueError as error:
        raise UserError(str(error)) from error
