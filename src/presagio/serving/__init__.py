"""The inference API: routes, request models, the champion in memory."""
