"""The tests of the kit, a mixin a theme; `syncengine.testing.conformance.base` puts them together."""
