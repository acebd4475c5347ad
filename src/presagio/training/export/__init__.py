"""From a trained model to its artifact, and into the registry."""
