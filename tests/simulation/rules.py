"""What one simulated store always does, drawn once for each history."""

import dataclasses
import random

_GOOD = 0.4
"""How many stores are good in form, so that what is rare meets what is usual."""

_GOOD_FORM = {"ranges": "good", "conditions": "obeyed", "lengths": "sent"}
_FORMS = {
    "etags": ["version"] * 7
    + ["md5", "md5", "hex", "absent", "empty", "weak", "unquoted", "changing", "range"],
    "ranges": ["good"] * 6 + ["ignored", "refused", "unsized", "as_200", "silent", "capital"],
    "conditions": ["obeyed"] * 4 + ["ignored", "ignored", "400", "412", "501"],
    "lengths": ["sent"] * 4 + ["chunked"],
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one store always does.

    Attributes:
        etags: `version` (one for each content), `md5` (of the content), `hex` (like an MD5, and is none), `absent`,
            `empty`, `weak`, `unquoted`, `changing` (another with each answer) or `range` (another for each range).
        ranges: `good`, `ignored` (200 and everything), `refused`, `unsized` (`*` for the size), `as_200`,
            `silent` (no Content-Range) or `capital` (`Bytes`).
        conditions: What becomes of If-Match: `obeyed`, `ignored`, or the status that refuses any.
        checksums: `none`, `full`, `composite` (of parts, beside an `-N` ETag), or `repeated` (the complete object's,
            on ranges too).
        lengths: `sent` or `chunked`.
        expired_as: The status of the answer to credentials that have expired; 403 names no reason.
        replaces: How often an object is replaced before an answer, of 1.
        misfortune: How often an answer goes wrong, of 1.
        flips: How often a bit of a body flips where a checksum can show it, of 1.
        expiry: How often credentials die, of 1; at 1, none is ever good.
        denied: An object that no credentials are good for, although it is their expiry that is blamed; or empty.
        provider: How often the provider of credentials fails, of 1.
    """

    etags: str
    ranges: str
    conditions: str
    checksums: str
    lengths: str
    expired_as: str
    replaces: float
    misfortune: float
    flips: float
    expiry: float
    denied: str
    provider: float

    @classmethod
    def draw(cls, dice: random.Random) -> "Rules":
        """Draws the rules of a store; good ones more often, so that others show by themselves."""
        if dice.random() < _GOOD:
            form = {"etags": dice.choice(["version", "version", "md5"]), **_GOOD_FORM}
        else:
            form = {name: dice.choice(values) for name, values in _FORMS.items()}
        return cls(
            **form,
            checksums=dice.choice(["none", "none", "full", "full", "composite", "repeated"]),
            expired_as=dice.choice(["400", "400", "403"]),
            replaces=dice.choice([0.0] * 8 + [0.05, 0.05, 0.3, 0.3, 1.0]),
            misfortune=dice.choice([0.0, 0.0, 0.05, 0.3, 0.8]),
            flips=dice.choice([0.0] * 5 + [0.2]),
            expiry=dice.choice([0.0] * 6 + [0.1, 0.1, 1.0]),
            denied=dice.choice([""] * 9 + ["0.bin"]),
            provider=dice.choice([0.0] * 8 + [0.3, 1.0]),
        )

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong by chance: then every file has to arrive."""
        return not (
            self.denied
            or self.replaces
            or self.misfortune
            or self.flips
            or self.expiry
            or self.provider
        )

    def identifies(self, verify: str) -> bool:
        """Returns whether something is looked at that distinguishes an empty object from an empty answer.

        Args:
            verify: How contents are checked.
        """
        return self.etags != "absent" or (self.shows_flips and verify != "size")

    @property
    def shows_flips(self) -> bool:
        """Whether a checksum of the complete object is sent."""
        return self.checksums in ("full", "repeated")

    @property
    def serves_ranges(self) -> bool:
        """Whether ranges of one version can be asked for, and be continued."""
        return (
            self.etags in ("version", "md5", "unquoted")
            and self.ranges in ("good", "unsized", "as_200", "capital")
            and self.conditions in ("obeyed", "ignored")
            and self.lengths == "sent"
        )

    def __str__(self) -> str:
        """Names what differs from a good store."""
        good = {"etags": "version", "expired_as": "400", **_GOOD_FORM}
        fields = dataclasses.asdict(self).items()
        return ", ".join(
            f"{name}={value}" for name, value in fields if value and good.get(name) != value
        )
