//! What a check says: nothing, or what it expected and what came.

use core::fmt;

use crate::event::{Brief, Event, Events, flag};

/// What a check returns.
pub type Verdict = Result<(), Difference>;

/// An expectation that was not met.
pub struct Difference {
    what: &'static str,
    /// Which of several like cases, if there are some.
    case: Option<usize>,
    kind: Kind,
}

type Briefs = heapless::Vec<Brief, 8>;

enum Kind {
    Numbers { expected: u64, came: u64 },
    Events { expected: Briefs, came: Briefs },
}

/// Fails unless the numbers are the same.
pub fn same(what: &'static str, came: u64, expected: u64) -> Verdict {
    if came == expected {
        return Ok(());
    }
    Err(Difference { what, case: None, kind: Kind::Numbers { expected, came } })
}

/// Fails unless exactly these exceptions came, in this order. Counters are not looked at.
pub fn events(came: &Events, expected: &[Brief]) -> Verdict {
    compare(came.iter().map(|event| Brief::from(*event)).collect(), expected)
}

/// The same for what is not about RF: whether a frame has it is a check of its own.
pub fn events_but_rf(came: &Events, expected: &[Brief]) -> Verdict {
    let without = |event: &Event| Brief { flags: event.flags & !flag::RESUME, ..(*event).into() };
    compare(came.iter().map(without).collect(), expected)
}

fn compare(came: Briefs, expected: &[Brief]) -> Verdict {
    if came == expected {
        return Ok(());
    }
    let expected = expected.iter().copied().collect();
    Err(Difference { what: "exceptions", case: None, kind: Kind::Events { expected, came } })
}

impl Difference {
    /// Says in which of several like cases it came up.
    pub fn in_case(mut self, case: usize) -> Self {
        self.case = Some(case);
        self
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if let Some(case) = self.case {
            write!(f, " ({case})")?;
        }
        match &self.kind {
            Kind::Numbers { expected, came } => write!(f, ": expected {expected:x}, came {came:x}"),
            Kind::Events { expected, came } => {
                f.write_str(": expected ")?;
                list(f, expected)?;
                f.write_str(", came ")?;
                list(f, came)
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, briefs: &Briefs) -> fmt::Result {
    if briefs.is_empty() {
        return f.write_str("none");
    }
    for (position, brief) in briefs.iter().enumerate() {
        let separator = if position == 0 { "" } else { "; " };
        write!(f, "{separator}{brief}")?;
    }
    Ok(())
}
