//! Into the image: own IDT entries, a TSS if there is none, and what must be protected.
//!
//! *Install* gives the image a copy of its IDT in which #DB, NMI, #BP, #GP, #PF and the
//! serial port's vector lead to the stub, and so does every exception that the image left
//! out. *Hook* leaves the image's IDT alone; its own gates, or its own handlers, lead here.
//!
//! Interrupt stacks come from a TSS, which 64-bit mode needs for nothing else. If TR is 0
//! the image gets one, and a copy of its GDT with room for the descriptor. If it has one,
//! three of its seven interrupt stacks that are still 0 are taken.
//!
//! Everything here runs once, before the first claim.

use tetrarch::arbiter::{Against, Protected, Region};
use tetrarch::machine::Memory;

use crate::area::{self, CpuMemory};
use crate::entry;
use crate::error::InstallError;
use crate::frame::vector;
use crate::gates::{self, Gates, Landing};
use crate::memory::Linear;
use crate::tables::{self, DescriptorTable, Gate, GateKind};

/// What the processor had loaded before the installation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Image {
    /// `None` if it has no IDT: IDTR as a reset leaves it.
    pub idt: Option<DescriptorTable>,
    gdt: DescriptorTable,
    /// The TSS: its selector and its memory.
    task: Option<(u16, Region)>,
}

impl Image {
    /// Reads the registers and follows TR.
    pub fn of_this_cpu() -> Result<Self, InstallError> {
        let idt = tables::store_idt();
        let gdt = tables::store_gdt();
        let task = match tables::store_task() {
            0 => None,
            selector => {
                Some((selector, task_region(gdt, selector).ok_or(InstallError::TaskState)?))
            }
        };
        Ok(Self { idt: (idt.base != 0).then_some(idt), gdt, task })
    }

    /// What a breakpoint must not be on: all of this CPU's that a debug exception goes through.
    pub fn protected(&self) -> impl Iterator<Item = Protected> + use<> {
        let table = |table: DescriptorTable| {
            Region::new(table.base as usize, usize::from(table.limit) + 1)
                .ok()
                .filter(|_| table.base != 0)
        };
        let of_image = [
            (self.idt.and_then(table), "the IDT"),
            (table(self.gdt), "the GDT"),
            (self.task.map(|(_, region)| region), "the TSS"),
        ]
        .into_iter()
        .filter_map(|(region, name)| Some((region?, name)));
        of_image.map(|(region, name)| Protected { region, name, against: Against::Everything })
    }

    /// Nor on what exceptions of all CPUs go through.
    pub fn shared(&self) -> impl Iterator<Item = Protected> + use<> {
        let code = entry::section();
        let entry =
            Region::new(code.start as usize, (code.end - code.start) as usize).map(|region| {
                Protected { region, name: "the exception entry", against: Against::Execute }
            });
        area::regions()
            .map(|(region, name)| Protected { region, name, against: Against::Everything })
            .chain(entry)
    }

    /// Takes three interrupt stacks of the image's TSS, or gives it one; those with these numbers,
    /// if they are settled.
    pub fn interrupt_stacks(
        &self,
        memory: &'static CpuMemory,
        settled: Option<[u8; Landing::COUNT]>,
    ) -> Result<[u8; Landing::COUNT], InstallError> {
        let task = match self.task {
            Some((_, region)) => region.address() as u64,
            None => self.new_task(memory)?,
        };
        let slot = |number| task + tables::interrupt_stack_offset(number) as u64;
        let is_unused = |number| read_word(slot(number)) == Some(0);
        // Of a CPU that is started again, they are ours already.
        let is_ours =
            |landing: Landing, number| read_word(slot(number)) == Some(memory.top(landing));
        let numbers = match settled {
            Some(numbers) => numbers,
            None => {
                let mut unused = (1..=7).filter(|&number| is_unused(number));
                let mut numbers = [0; Landing::COUNT];
                for number in &mut numbers {
                    *number = unused.next().ok_or(InstallError::NoInterruptStacks)?;
                }
                numbers
            }
        };
        for (landing, number) in Landing::ALL.into_iter().zip(numbers) {
            if !is_unused(number) && !is_ours(landing, number) {
                return Err(InstallError::NoInterruptStacks);
            }
            let top = memory.top(landing).to_le_bytes();
            if Linear.patch(slot(number) as usize, &top) != top.len() {
                return Err(InstallError::TaskState);
            }
        }
        Ok(numbers)
    }

    /// Takes three interrupt stacks of the image's TSS if it has them to give; else the
    /// working IDT uses the interrupted stack.
    pub fn interrupt_stacks_if_any(&self, memory: &'static CpuMemory) -> [u8; Landing::COUNT] {
        match self.task {
            Some(_) => self.interrupt_stacks(memory, None).unwrap_or_default(),
            None => [0; Landing::COUNT],
        }
    }

    fn new_task(&self, memory: &'static CpuMemory) -> Result<u64, InstallError> {
        let count = (usize::from(self.gdt.limit) + 1) / 8;
        let task = memory.clear_task();
        let descriptor = tables::task_descriptor(task, tables::TASK_LENGTH);
        let gdt = memory
            .fill_gdt(count, |index| read_word(self.gdt.base + 8 * index as u64), descriptor)
            .ok_or(InstallError::GdtTooLarge)?;
        // SAFETY: the image's descriptors are at the same selectors as before, and the copy is
        // static.
        unsafe { tables::load_gdt(gdt) };
        // SAFETY: the descriptor there has just been written: available, of a static TSS.
        unsafe { tables::load_task(count as u16 * 8) };
        Ok(task)
    }

    /// Fills the normal IDT: what the image has, and over it what the stub takes.
    pub fn fill_normal_idt(&self, gates: Gates, serial: Option<u8>) {
        gates::fill_normal_idt(|number| {
            let theirs = self.gate(number);
            match u64::from(number) {
                // User code may execute an INT3 where the image lets it.
                vector::BREAKPOINT if theirs.kind() != GateKind::Absent => {
                    gates.exception(number).for_privilege(theirs.privilege())
                }
                vector::DEBUG
                | vector::NMI
                | vector::BREAKPOINT
                | vector::PROTECTION
                | vector::PAGE => gates.exception(number),
                _ if serial == Some(number) => gates.serial(),
                _ if theirs.kind() == GateKind::Absent => gates.exception(number),
                _ => theirs,
            }
        });
    }

    fn gate(&self, number: u8) -> Gate {
        let words = self.idt.and_then(|idt| {
            let gate = idt.entry(usize::from(number), size_of::<Gate>())?;
            Some((read_word(gate)?, read_word(gate + 8)?))
        });
        match words {
            Some((low, high)) => Gate::from_bits(u128::from(low) | u128::from(high) << 64),
            None => Gate::ABSENT,
        }
    }
}

fn task_region(gdt: DescriptorTable, selector: u16) -> Option<Region> {
    let descriptor = gdt.entry(usize::from(selector) / 8, 8)?;
    let words = [read_word(descriptor)?, read_word(descriptor + 8)?];
    let length = (tables::descriptor_limit(words) as usize).saturating_add(1);
    Region::new(tables::descriptor_base(words) as usize, length.min(tables::TASK_LENGTH)).ok()
}

/// Reads a word of a table. Nothing catches a fault yet, and none can come: the processor
/// itself reads the tables that it has loaded.
fn read_word(address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    (Linear.read(address as usize, &mut bytes) == bytes.len()).then(|| u64::from_le_bytes(bytes))
}
