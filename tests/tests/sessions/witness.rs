//! QEMU's own view of the debug registers against `monitor dr`.
