"""Download the dataset's public files from where they are published, and put them where the stages expect them."""
