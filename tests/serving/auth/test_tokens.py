"""Tokens whatever is in them; beside no server, whose threads would disturb how cases are drawn."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from presagio.serving.auth.tokens import SCOPES, Authority
from presagio.serving.http.problems import RefusedError
from presagio.settings import Settings
from tests.serving.conftest import with_secrets
from tests.serving.odd_tokens import KEY, by_hand, claims_of

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "aud", "iss", "sub", "scope", "scp"]),
                    _JSON, max_size=4),
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64"]), _JSON, max_size=3),
)  # fmt: skip
def test_a_token_is_verified_or_refused_whatever_is_in_it(
    claims: dict[str, Any], header: dict[str, Any]
) -> None:
    authority = Authority(with_secrets(Settings(home=Path("/nowhere"))))
    usual = {"alg": "HS256", "typ": "JWT", "kid": hashlib.sha256(KEY.encode()).hexdigest()[:16]}
    token = by_hand(usual | header, claims_of() | claims)
    try:
        principal = asyncio.run(authority.verify(token))
    except RefusedError as err:
        assert err.status == 401  # noqa: PT017 - the other way is tested as well
    else:
        assert principal.scopes <= set(SCOPES)
        assert time.time() - 10 < principal.expires < 1e12
