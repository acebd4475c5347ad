"""How good a model is: metrics, cross-validation, baselines, curves, the model card."""
