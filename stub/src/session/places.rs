//! Where each CPU has stopped.

use super::Session;
use crate::arbiter::CpuId;
use crate::target::Machine;

/// Where a CPU has stopped; nothing if it has not, or has gone on.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub program_counter: Option<usize>,
    /// Where an execute breakpoint was reported: the instruction there may run now.
    pub reported: Option<usize>,
}

impl Place {
    pub const NOWHERE: Self = Self { program_counter: None, reported: None };
}

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// A CPU has stopped after the others, or with one that told why: its place is remembered.
    pub fn arrived<M: Machine>(&mut self, machine: &M, cpu: CpuId) {
        if let Some(place) = self.places.get_mut(cpu.index())
            && place.program_counter.is_none()
            && let Ok(program_counter) = machine.program_counter(cpu)
        {
            place.program_counter = Some(program_counter);
            self.come_to(cpu, program_counter);
        }
    }

    /// A CPU goes on, as it was ordered to.
    pub fn departed(&mut self, cpu: CpuId) {
        self.remember(cpu, Place::NOWHERE);
    }

    pub(super) fn place(&self, cpu: CpuId) -> Place {
        self.places.get(cpu.index()).copied().unwrap_or(Place::NOWHERE)
    }

    pub(super) fn remember(&mut self, cpu: CpuId, place: Place) {
        if let Some(known) = self.places.get_mut(cpu.index()) {
            *known = place;
        }
    }

    /// The CPU has stopped here of its own accord.
    pub(super) fn come_to(&mut self, cpu: CpuId, place: usize) {
        if let Some(untold) = self.untold.get_mut(cpu.index()) {
            untold.come_to(place);
        }
    }
}
