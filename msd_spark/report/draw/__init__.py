"""Charts, tables and the model diagram of the report."""
