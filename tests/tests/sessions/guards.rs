//! The firmware's own claims, with a debugger and without one.
