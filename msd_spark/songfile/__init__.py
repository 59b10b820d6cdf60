"""Song files of the Million Song Dataset: their layout, and parsing one of them."""
