import CHost

/// The path of the shared library that a function is from; nil where it isn't known.
public func libraryPath(ofSymbol symbol: UnsafeRawPointer) -> String? {
    peft_library_path(symbol).map { String(cString: $0) }
}
