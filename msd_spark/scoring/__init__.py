"""Every song through a trained model: its embedding, the head's outputs, and what was known of it."""
