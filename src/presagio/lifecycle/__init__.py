"""A model after its training: gate, promotion, drift, alerts, outcomes; no scikit-learn."""
