"""Score readings: arrays or a frame in, predictions with the mode of each alarm out."""
