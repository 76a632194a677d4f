//! What happened to the debug registers, as log lines.
//!
//! With the feature `defmt` each event is one frame on the firmware's defmt channel, from
//! which a host can tell who owned which register when. Without it, events are nothing.
//!
//! Events come from inside the debug exception, which may have interrupted the firmware in
//! the middle of a log line of its own. The firmware's logger must bear that: one that takes
//! a lock or refuses to be entered twice does not go together with this feature.

#[cfg(feature = "defmt")]
mod format;

use crate::arbiter::{CpuId, Handle, Rejection, Request, Window};
use crate::dr::Slot;

/// Something that whoever reads the log wants to know.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A claim was made, or changed, or is in force again.
    ClaimAccepted {
        /// Which.
        handle: Handle,
        /// What it is for.
        request: &'a Request,
    },
    /// A request was refused.
    ClaimRefused {
        /// What was asked for.
        request: &'a Request,
        /// Why not.
        rejection: &'a Rejection,
    },
    /// The debugger's release of a claim was deferred.
    ClaimHeld {
        /// Which.
        handle: Handle,
        /// What it is for.
        request: &'a Request,
    },
    /// A claim is gone.
    ClaimReleased {
        /// Which.
        handle: Handle,
        /// What it was for.
        request: &'a Request,
    },
    /// A slot holds a window that it did not hold before.
    Armed {
        /// On this CPU.
        cpu: CpuId,
        /// Which.
        slot: Slot,
        /// What it watches.
        window: &'a Window,
    },
    /// A claim was hit.
    Hit {
        /// Which.
        handle: Handle,
        /// What it is for.
        request: &'a Request,
        /// The first of its windows that was hit.
        window: &'a Window,
        /// By this CPU.
        cpu: CpuId,
        /// Which was there.
        rip: usize,
    },
    /// A debugger is there.
    SessionOpened,
    /// It has gone.
    SessionClosed,
}

/// Logs the event, if there is a log.
pub(crate) fn emit(event: &Event<'_>) {
    #[cfg(feature = "defmt")]
    defmt::info!("{}", event);
    #[cfg(not(feature = "defmt"))]
    let _ = event;
}
