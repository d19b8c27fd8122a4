"""Photos: decode bytes into an upright RGB array, and encode arrays as JPEG."""

from people.photos.decoding import MAX_LONG_SIDE, decode
from people.photos.encoding import encode, preview, thumbnail
from people.photos.jpeg import LONG_SIDE
from people.photos.limits import MAX_BYTES

__all__ = ["LONG_SIDE", "MAX_BYTES", "MAX_LONG_SIDE", "decode", "encode", "preview", "thumbnail"]
