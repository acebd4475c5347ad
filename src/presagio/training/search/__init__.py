"""The choice of features, kernels and shape on the training part."""
