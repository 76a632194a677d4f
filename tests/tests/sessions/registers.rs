//! What gdb shows of the registers and memory, and what it may change.
