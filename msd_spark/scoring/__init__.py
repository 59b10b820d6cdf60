"""Score every song with a trained model: embedding, predictions, and what is known of it."""
