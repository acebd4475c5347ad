"""SVM detectors, the features that they see, and the alarm that they make together."""
