// The tests of this target mirror its sources.
