import Files
import JSONText
public import Tensors

extension FileBytes: MemoryLender {}
