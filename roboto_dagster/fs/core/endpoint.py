"""Where one bucket is, as a value."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How one bucket is reached.

    Attributes:
        base_url: The bucket's URL; an object's is this, `/` and its quoted key.
        region: The region that requests are signed for.
        auth: How they are signed, as botocore names it: `sigv4`, `sigv4-s3express`, `sigv4a` …
        service: The service that they are signed for: `s3`, `s3-object-lambda` …
        ca_bundle: Path of the certificates to trust; None for plain http.
        proxy: URL of the proxy, or empty for none. May hold a password.
    """

    base_url: str
    region: str
    ca_bundle: str | None
    proxy: str = dataclasses.field(repr=False)
    auth: str = "sigv4"
    service: str = "s3"

    @property
    def is_plain_s3(self) -> bool:
        """Whether requests are signed in the way that every S3 client knows."""
        return self.auth == "sigv4" and self.service == "s3"
