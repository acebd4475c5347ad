"""Tokens that are not what they seem."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt

from tests.serving.conftest import SECRETS

KEY = SECRETS["token_secret"].get_secret_value()


def claims_of(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token, changed; None takes one out."""
    now = int(time.time())
    claims = {
        "iss": "presagio", "aud": "presagio", "sub": "x", "iat": now, "exp": now + 60,
        "scope": "predict feedback admin",
    }  # fmt: skip
    return {name: value for name, value in (claims | changes).items() if value is not None}


def signed(key: str = KEY, algorithm: str = "HS256", **changes: Any) -> str:
    kid = hashlib.sha256(KEY.encode()).hexdigest()[:16]
    return jwt.encode(claims_of(**changes), key, algorithm, headers={"kid": kid})


def coded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def bad_tokens() -> dict[str, str]:
    good = signed()
    header, payload, signature = good.split(".")
    none = coded({"alg": "none", "typ": "JWT"})
    return {
        "no token at all": "",
        "nonsense": "abc",
        "expired": signed(exp=int(time.time()) - 60),
        "of another audience": signed(aud="others"),
        "of another issuer": signed(iss="others"),
        "without an end": signed(exp=None),
        "without an audience": signed(aud=None),
        "without an issuer": signed(iss=None),
        "not valid yet": signed(nbf=int(time.time()) + 600),
        "signed with another key": signed("another key that has 32 characters or so"),
        "signed by another algorithm": signed(algorithm="HS512"),
        "alg none": f"{none}.{payload}.",
        "alg none, old signature": f"{none}.{payload}.{signature}",
        "an empty signature": f"{header}.{payload}.",
        "a cut signature": good[:-4],
        "another payload": f"{header}.{coded(claims_of(sub='root'))}.{signature}",
        "an unknown key": jwt.encode(claims_of(), KEY, "HS256", headers={"kid": "f" * 16}),
        "a key from elsewhere": jwt.encode(
            claims_of(), KEY, "HS256", headers={"jku": "http://127.0.0.1:1/", "x5u": "http://x"}
        ),
        "oversized": good + "a" * 9000,
        "deeply nested": f"{header}.{base64.urlsafe_b64encode(b'[' * 4000).decode()}.{signature}",
    }


ODD: dict[str, list[Any]] = {
    # What json.dumps writes as NaN and Infinity is what libraries read.
    "exp": [10**400, -(10**400), 1e308, float("nan"), float("inf"), -float("inf"), -1, 0, True,
            "9999999999", "soon", None, [], [9999999999], {}, {"$gt": 0}, 10**12],
    "nbf": [10**400, 1e308, float("nan"), float("inf"), True, "1", "x", None, [], {}, 10**11],
    "iat": [10**400, 1e308, float("nan"), float("inf"), True, "1", "x", None, [], {}, 10**11],
    "aud": [[], [[]], [["presagio"]], ["others"], {"presagio": 1}, 7, True, None, "", "presagio ",
            [None], [{}]],
    "iss": [[], ["presagio"], {"presagio": 1}, 7, True, None, "", "Presagio"],
    "sub": [[], {}, 7, True, None, 1.5],
}  # fmt: skip
ODD_HEADERS: list[dict[str, Any]] = [
    {"kid": 7}, {"kid": None}, {"kid": []}, {"kid": {}}, {"kid": "../../etc/passwd"}, {"alg": None},
    {"alg": []}, {"alg": 7}, {"alg": {}}, {"alg": "none"}, {"alg": "nOnE"}, {"crit": ["exp"]},
    {"crit": 7}, {"crit": []}, {"b64": False, "crit": ["b64"]},
]  # fmt: skip


def by_hand(header: object, claims: object, key: str = KEY) -> str:
    """Sign what a library would not write."""
    signed = f"{coded(header)}.{coded(claims)}"
    signature = hmac.digest(key.encode(), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def odd_tokens(**claims: Any) -> dict[str, str]:
    header = {"alg": "HS256", "typ": "JWT", "kid": hashlib.sha256(KEY.encode()).hexdigest()[:16]}
    good = claims_of(**claims)
    tokens = {
        f"{name} {value!r}"[:60]: by_hand(header, good | {name: value})
        for name, values in ODD.items()
        for value in values
    }
    tokens |= {f"header {odd!r}": by_hand(header | odd, good) for odd in ODD_HEADERS}
    whole: list[Any] = [[], [1], "x", 7, None, True, 1e400]
    tokens |= {f"claims {odd!r}": by_hand(header, odd) for odd in whole}
    tokens |= {f"headers {odd!r}": by_hand(odd, good) for odd in whole}
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    tokens["nested"] = by_hand(header, good | {"exp": deep})
    digits = json.dumps(good).replace(str(good["exp"]), "9" * 5000)
    body = base64.urlsafe_b64encode(digits.encode()).rstrip(b"=").decode()
    tokens["5,000 digits"] = by_hand(header, good).replace(coded(good), body)
    return tokens
