"""The pages of the console: each is looked at in both languages, at both widths, for everybody."""

# Addresses, as a visitor with every scope may open them on a new stack.
PAGES = (
    "/", "/?state=alarm&search=none", "/alarms", "/alarms?show=all", "/helped", "/files",
    "/files?verdict=quarantined", "/fleets/new", "/models", "/models/ai4i2020/1", "/drift",
    "/what-if", "/what-if?sent=1&v.torque_nm=70",
)  # fmt: skip
