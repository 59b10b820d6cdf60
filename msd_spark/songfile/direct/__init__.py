"""Read a song file by its fixed byte layout, without the HDF5 library."""
