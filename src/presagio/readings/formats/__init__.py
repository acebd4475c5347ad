"""What files of readings are written in: each format as rows of cells."""
