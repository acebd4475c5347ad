"""The web console: pages for technicians, in a program of its own, rendered on the server."""
