import COpenBLAS
import CVectors

/// The processor that the process runs on.
public enum Processor {
    /// Whether it has the instructions that the kernels were compiled for; nothing else of this module may run where it
    /// hasn't.
    public static var isSupported: Bool { peft_processor_is_supported() != 0 }

    /// What it must have, in words.
    public static var requirement: String {
        #if arch(x86_64)
        "AVX2, FMA and BMI2 (Intel since Haswell, 2013; AMD since Excavator, 2015)"
        #else
        "nothing special"
        #endif
    }

    /// Whether it has vectors of 512 bits, and the instructions for them that the kernels take.
    package static var hasWideVectors: Bool { peft_has_wide_vectors() != 0 }

    /// Keeps the kernels to vectors of 256 bits where there are wider ones too; no result depends on it.
    package static func useNarrowVectors(_ isNarrow: Bool) { peft_use_narrow_vectors(isNarrow ? 1 : 0) }

    /// Whether it multiplies numbers of BF16 (AVX512-BF16: Intel since Cooper Lake, AMD since Zen 4).
    public static var hasBFloat16Products: Bool { peft_has_half_products() != 0 }

    /// What computes products, on which the last bits of results depend: OpenBLAS with its kernels for the processor, and which
    /// products are our own kernels'.
    public static var productKernels: String {
        "OpenBLAS \(matrixKernel)" + (BlockProduct.suits(beta: 0) ? ", own products of weights" : "")
    }

    /// The set of kernels that OpenBLAS chose for it, such as `Haswell`, or that `OPENBLAS_CORETYPE` named.
    public static var matrixKernel: String { String(cString: openblas_get_corename()) }
}
