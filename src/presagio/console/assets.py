"""Scripts and styles, from memory: their addresses hold their SHA-256, so browsers keep them."""

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
# Of the hash, in an address.
_DIGITS = 16


@dataclass(frozen=True)
class Asset:
    """A file that browsers load."""

    address: str
    content: bytes
    media_type: str


class Assets:
    """All of them."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._by_name: dict[str, Asset] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in _TYPES:
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
                place = f"/static/{path.stem}.{digest}{path.suffix}"
                self._by_name[path.name] = Asset(place, content, _TYPES[path.suffix])
        self._by_address = {asset.address: asset for asset in self._by_name.values()}

    def address(self, name: str) -> str:
        """Return the address of a file of the folder."""
        return self._by_name[name].address

    async def answer(self, request: Request) -> Response:
        """Send a file.

        Raises
        ------
        HTTPException
            404, if there is none of this name and content.
        """
        asset = self._by_address.get(request.url.path)
        if asset is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return Response(asset.content, media_type=asset.media_type, headers=_FOR_EVER)
