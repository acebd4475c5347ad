"""Who asks, and what they may ask for: tokens, accounts, issuers."""
