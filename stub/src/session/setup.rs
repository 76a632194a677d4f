//! What the firmware says about itself and its line, once.

use super::Session;
use crate::link::Transport;
use crate::policy::Policy;
use crate::target::monitor::Command;

impl<const PACKET: usize, const QUEUE: usize, const CPUS: usize> Session<PACKET, QUEUE, CPUS> {
    /// Adds the firmware's own `monitor` commands.
    pub const fn set_commands(&mut self, commands: &'static [Command]) {
        self.firmware.commands = commands;
    }

    /// Gives gdb another memory map than "RAM everywhere": an XML document as in the manual of
    /// gdb, section "Memory Map Format". What it leaves out, gdb will not look at.
    pub const fn set_memory_map(&mut self, map: &'static str) {
        self.firmware.memory_map = map;
    }

    /// Says what the line does to bytes. Without a call: it may lose and damage them.
    pub const fn set_transport(&mut self, transport: Transport) {
        self.firmware.transport = transport;
        self.link.set_transport(transport);
    }

    /// What the firmware lets a debugger do. Without a call: everything.
    pub const fn set_policy(&mut self, policy: Policy) {
        self.gate.policy = policy;
    }

    /// Gives what is typed on the line while no client is there to `reader`, which must only store
    /// it: it is called with interrupts off.
    pub const fn set_reader(&mut self, reader: fn(u8)) {
        self.firmware.reader = Some(reader);
    }
}
