//! The allocator of the binaries.
//!
//! A stream's messages are large, and each is freed soon. The C library's gives such memory back to
//! the kernel each time, which then clears it anew, page by page, for the next message.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
