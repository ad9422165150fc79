"""Profile likelihood intervals; `profile` is the door."""

from ranef.inference.profile.answer import Profile, profile

__all__ = ["Profile", "profile"]
