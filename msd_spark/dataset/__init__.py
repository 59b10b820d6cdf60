"""Join songs with lyrics, labels, tags and plays into train, validation and test examples."""
