"""Generate catalogues in the formats of the Million Song Dataset."""
