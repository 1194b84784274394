import Diagnostics

/// What a file is that was downloaded or saved in another form than the one that its name promises; nil where it isn't
/// one of the known mistakes.
func foreignFormat(_ bytes: UnsafeRawBufferPointer, file: String) -> Problem? {
    if bytes.starts(with: "version https://git-lfs".utf8) {
        return Problem(
            "is a Git LFS pointer, not the file itself: fetch it with 'git lfs pull' or download it again", file: file)
    }
    if bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) {
        return Problem(
            "is a PyTorch archive (or another zip file), not a safetensors file: save the model again with "
                + "safe_serialization=True", file: file)
    }
    return nil
}
