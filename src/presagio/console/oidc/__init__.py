"""Sign-in by an identity provider: OpenID Connect, an authorization code with PKCE."""
