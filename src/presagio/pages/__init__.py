"""Reports as pages that stand alone: HTML without scripts and without anything from elsewhere."""
