//! The system calls a child makes before it has a program of its own, without a C library.
//!
//! The child shares the supervisor's memory, so it may neither allocate nor touch thread-local
//! state such as `errno`; results are negative error numbers, as the kernel gives them.

use std::arch::asm;
use std::ffi::c_void;

/// What a child runs; it never returns, for there is nothing on its stack to return to.
pub(super) type Entry = unsafe extern "C" fn(*mut c_void) -> !;

/// A system call with up to five arguments.
///
/// # Safety
/// As the call itself: pointers must be what it expects.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) unsafe fn call(number: i64, args: [usize; 5]) -> isize {
    let result;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers only rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// A system call that makes a process which runs `entry(arg)` on the new stack that `args` name.
///
/// # Safety
/// The arguments must ask for a new stack, and for the caller to be suspended where memory is
/// shared; `entry` must be fit to run there.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(super) unsafe fn clone(number: i64, args: [usize; 5], entry: Entry, arg: *mut c_void) -> isize {
    let result;
    // SAFETY: the parent continues after label 2 with every register but rax, rcx and r11 as it
    // was. The child has a stack of its own, 16-byte aligned, and leaves this code for good.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4],
            in("r12") arg, in("r13") entry,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// A system call with up to five arguments.
///
/// # Safety
/// As the call itself: pointers must be what it expects.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(super) unsafe fn call(number: i64, args: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel keeps every register but x0.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4],
            options(nostack),
        );
    }
    result
}

/// A system call that makes a process which runs `entry(arg)` on the new stack that `args` name.
///
/// # Safety
/// The arguments must ask for a new stack, and for the caller to be suspended where memory is
/// shared; `entry` must be fit to run there.
#[cfg(target_arch = "aarch64")]
#[inline(never)]
pub(super) unsafe fn clone(number: i64, args: [usize; 5], entry: Entry, arg: *mut c_void) -> isize {
    let result: isize;
    // SAFETY: the parent continues after label 2 with every register but x0 as it was. The child
    // has a stack of its own, 16-byte aligned, and leaves this code for good.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            in("x8") number,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4],
            in("x20") arg, in("x21") entry,
        );
    }
    result
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the spawner knows the system calls of x86_64 and aarch64 only");
