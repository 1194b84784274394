/// `AdamW` with its state in a scratch file, from which the kernel pages it in and out.
public final class PagedAdamW: AdamW {
    override public class var names: [String] { ["paged_adamw_32bit", "paged_adamw"] }
    override public class var isPaged: Bool { true }
}

/// `AdamW8Bit` with its state in a scratch file, from which the kernel pages it in and out.
public final class PagedAdamW8Bit: AdamW8Bit {
    override public class var names: [String] { ["paged_adamw_8bit"] }
    override public class var isPaged: Bool { true }
}
