//! Segment descriptors, as far as a step loads selectors by itself.
//!
//! What is put into the frame is loaded by the IRET that leaves the stub. A selector that
//! the processor would refuse must never get there: the #GP would be the stub's own. So
//! everything that emulation loads is looked at here first, by the rules of IRET.
//!
//! ```text
//!   63      56 55 54 53 52 51   48 47 46 45 44 43 42 41 40 39        16 15       0
//!   base 31:24  G  D  L    limit    P  DPL   S  E  C  W  A  base 23:0    limit 15:0
//! ```

use tetrarch::machine::Memory;

use crate::tables::DescriptorTable;

/// A descriptor of the GDT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor(pub u64);

impl Descriptor {
    /// Looks `selector` up. `None` for the null selector, for one beyond the table's limit,
    /// and for one of an LDT, which 64-bit code has no use for.
    pub fn find(
        memory: &mut impl Memory,
        table: DescriptorTable,
        selector: u16,
    ) -> Option<Descriptor> {
        const LOCAL: u16 = 1 << 2;
        let index = usize::from(selector >> 3);
        if index == 0 || selector & LOCAL != 0 {
            return None;
        }
        let mut bytes = [0; 8];
        let address = table.entry(index, bytes.len())?;
        let whole = memory.read(address as usize, &mut bytes) == bytes.len();
        whole.then(|| Descriptor(u64::from_le_bytes(bytes)))
    }

    fn bit(self, number: u32) -> bool {
        self.0 >> number & 1 != 0
    }

    /// P.
    pub fn is_present(self) -> bool {
        self.bit(47)
    }

    /// DPL.
    pub fn privilege(self) -> u8 {
        (self.0 >> 45) as u8 & 3
    }

    /// Code of any width.
    pub fn is_code(self) -> bool {
        self.bit(44) && self.bit(43)
    }

    /// Code that runs in 64-bit mode.
    pub fn is_long_code(self) -> bool {
        self.is_code() && self.bit(53) && !self.bit(54)
    }

    /// Code that runs with its caller's privilege. Only meaningful for code.
    pub fn is_conforming(self) -> bool {
        self.bit(42)
    }

    /// A data segment that can be written, as a stack must.
    pub fn is_writable_data(self) -> bool {
        self.bit(44) && !self.bit(43) && self.bit(41)
    }
}

/// Whether 64-bit code of `privilege` could have `selector` in SS: a writable data segment of
/// exactly that privilege or, outside ring 3, a null selector.
pub fn is_stack(
    memory: &mut impl Memory,
    table: DescriptorTable,
    selector: u16,
    privilege: u8,
) -> bool {
    if selector & 3 != u16::from(privilege) {
        return false;
    }
    if selector < 4 {
        return privilege < 3;
    }
    Descriptor::find(memory, table, selector).is_some_and(|segment| {
        segment.is_writable_data() && segment.is_present() && segment.privilege() == privilege
    })
}
