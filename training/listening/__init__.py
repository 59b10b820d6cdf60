"""Study what a trained model responds to: the tables ``studies/RUN``."""
