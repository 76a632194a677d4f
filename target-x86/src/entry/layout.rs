//! Numbers that the assembly of the entry needs: where things are, and which bits are which.

use core::mem::offset_of;

use crate::frame::Frame;

/// The distance from one vector's entry to the next.
pub const ENTRY_SIZE: usize = 16;
/// Vectors for which the processor pushes an error code (Intel SDM vol. 3, table 7-1, and
/// AMD's #VC and #SX).
pub const WITH_ERROR_CODE: u32 = 1 << 8 | 0b1_1111 << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;
/// Bytes of the frame that move: all but the FXSAVE image.
pub const WORDS_SIZE: usize = Frame::WORDS * 8;
/// Where in them some are.
pub const VECTOR: usize = offset_of!(Frame, vector) - offset_of!(Frame, r15);
pub const ERROR: usize = offset_of!(Frame, error) - offset_of!(Frame, r15);
pub const INSTRUCTION_POINTER: usize = offset_of!(Frame, rip) - offset_of!(Frame, r15);
pub const RFLAGS: usize = offset_of!(Frame, rflags) - offset_of!(Frame, r15);
pub const STACK_POINTER: usize = offset_of!(Frame, rsp) - offset_of!(Frame, r15);
/// Code that keeps data below its stack pointer keeps at most this much there.
pub const RED_ZONE: usize = 128;
/// CR0.EM and CR0.TS.
pub const EMULATION: u32 = 1 << 2;
pub const TASK_SWITCHED: u32 = 1 << 3;
/// CR0.WP. MOV to CR0 keeps the upper half zero, as it must be.
pub const WRITE_PROTECT: u32 = 1 << 16;
/// The enable bits of DR7, and GD.
pub const ARMED: u32 = 0x20FF;
