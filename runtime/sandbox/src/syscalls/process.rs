//! What the C library and the standard library do in every process of ours that has an allow list, whatever its kind.

use super::entry::{Entry, entry};

/// Every worker but native programs. Which calls the C library makes for something depends on its version, and some of
/// its callers end the process when one is refused: brk(2) that fails is taken for one that worked.
pub(super) const PROCESS: &[Entry] = &[
    entry!(read, Any, "granted files, resolver files, the program, pipes of jobs"),
    entry!(close, Any, "descriptors that are done with"),
    entry!(brk, Any, "the allocator"),
    entry!(mremap, Any, "the allocator"),
    entry!(munmap, Any, "memories, stacks, the allocator"),
    entry!(futex, Any, "locks"),
    entry!(sigaltstack, Any, "the trap handlers' stacks of threads"),
    entry!(rt_sigprocmask, Any, "threads, aborting"),
    entry!(gettid, Any, "threads, aborting"),
    entry!(getpid, Any, "aborting"),
    entry!(tgkill, OwnProcess, "aborting"),
    entry!(clock_gettime, Any, "the time where the vDSO does not answer, processor time"),
    entry!(exit_group, Any, "ending"),
    entry!(restart_syscall, Any, "after a signal"),
];

/// Those with threads, which are all but the resolver.
pub(super) const THREADS: &[Entry] = &[
    entry!(madvise, Any, "the allocator, stacks"),
    entry!(clone, Thread, "threads"),
    entry!(exit, Any, "ending a thread"),
    entry!(rseq, Any, "threads"),
    entry!(set_robust_list, Any, "threads"),
    entry!(sched_getaffinity, Any, "the size of thread pools, the bounds of stacks"),
    entry!(rt_sigaction, Any, "trap handlers"),
    entry!(sendmsg, DescriptorThree, "messages to the supervisor"),
];
