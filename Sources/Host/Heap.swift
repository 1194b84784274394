import CHost

/// Gives the kernel the pages back that wait in the heap to be used again.
public func releaseHeap() { peft_release_heap() }
