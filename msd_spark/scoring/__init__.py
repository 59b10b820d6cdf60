"""Score every song with a trained model: embedding, predictions and flags of known data."""
