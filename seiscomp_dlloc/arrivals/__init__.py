"""Travel times from many nodes to many stations, for whoever searches a grid: pure, nothing here reads a file."""
