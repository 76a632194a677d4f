//! Clients that come, go, vanish and interrupt.
