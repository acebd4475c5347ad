"""Where copies of models that were registered with Presagio 0.1 look for their estimators."""

_MOVED = {"DetectorPlan", "FailureAlarm"}


def __getattr__(name: str) -> object:
    """Refuse to build such a copy, and say what can be done."""
    if name in _MOVED:
        raise ImportError(
            f"this scikit-learn copy was registered with an earlier Presagio, whose {name} is no "
            "more. The version is served as before, from its artifact; for a copy that loads, "
            "train anew: presagio train"
        )
    raise AttributeError(f"module {__name__} has no attribute {name}")
