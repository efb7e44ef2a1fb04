"""Work on more data than memory holds: arrays in temporary files, sorted runs of keys, and a search among them."""
