"""What all tests share: property tests that draw the same examples every time and know no deadline."""

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("house")
