//! Where the image stops: break, tbreak, hbreak, until, finish.
