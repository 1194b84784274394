// The target's first source file arrives with its first type.
