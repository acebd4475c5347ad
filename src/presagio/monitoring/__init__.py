"""Whether readings and scores are still like those that the champion was trained on."""
